"""Points in time as people and programs type them: ISO 8601."""

from __future__ import annotations

from datetime import datetime
from math import ceil

from counterfoil_server.cli.exit_codes import UsageMistake


def seconds_of(text: str | None, option: str) -> int | None:
    """Unix seconds of a date or date and time, of this machine's time zone unless it names another; raises
    :class:`UsageMistake`."""
    if text is None:
        return None
    try:
        return ceil(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError, OSError):
        raise UsageMistake(
            f"{option} {text} is no date or time.", "Write it as 2026-11-26, 2026-11-26T18:30 or 2026-11-26T18:30:00Z."
        ) from None
