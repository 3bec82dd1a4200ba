"""``log export``: the log as it is stored, for other programs and other places."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import typer

from counterfoil_server.cli.connection import BROKEN, many_calls
from counterfoil_server.cli.exit_codes import NotReachable
from counterfoil_server.cli.log_proofs import refuse_broken
from counterfoil_server.cli.points_in_time import seconds_of
from counterfoil_server.cli.session import Session

VERB = "log_export"


def export(
    session: Session,
    after: Annotated[int | None, typer.Option(min=0, help="Only leaves after the one of this number.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only before this time (ISO 8601).")] = None,
    turns: Annotated[bool, typer.Option("--turns", help="With what was said in chats; nobody verified it.")] = False,
) -> None:
    """Write every leaf as one JSON line on stdout: index, body, mac and opening, the bytes in base64url.

    All of it is verified on the way; exits with 1 if it was edited, after everything that is there was written.
    """
    wrong: list[str] = []
    asked = {"until": seconds_of(until, "--until"), "turns": turns}
    anyio.run(_export, session, -1 if after is None else after, asked, wrong)
    refuse_broken(session, wrong)


async def _export(session: Session, after: int, asked: dict[str, Any], wrong: list[str]) -> None:
    """Page by page, so that no more than one is in memory; what is wrong is added to ``wrong``."""
    following: int | None = after
    async with many_calls(session.configuration, VERB, session.output) as call:
        while following is not None:
            try:
                page = await call(VERB, {"after": following, **asked})
            except (OSError, *BROKEN):
                raise NotReachable(
                    "The serving process stopped before everything was exported.",
                    f"Go on with --after {following} and append to the same file.",
                ) from None
            session.output.write_json_lines(page["leaves"])
            if page["broken"] is not None:
                wrong.append(page["broken"])
            following = page["more_after"]
