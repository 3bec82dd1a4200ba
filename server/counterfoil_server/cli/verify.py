"""``verify``: what an evidence bundle proves, line by line; it needs no desk, no settings, no network and no clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from counterfoil.audit import TRUSTED, verify_bundle
from counterfoil.audit_words import Report, Status
from counterfoil.bundle import MAX_BUNDLE, MAX_TRUST, Trust
from counterfoil.errors import EvidenceRefused
from counterfoil_server.cli.console import Output
from counterfoil_server.cli.exit_codes import DOES_NOT_HOLD, OK, UsageMistake
from counterfoil_server.cli.session import Session, with_session

SIGNS: dict[Status, tuple[str, str, str]] = {
    "holds": ("✓", "+", "good"),
    "fails": ("✗", "x", "bad"),
    "open": ("?", "?", "note"),
}
"""How a line begins, also where the terminal is plain, and its style."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", short_help="Verify an evidence bundle, offline.")(with_session(verify))


def verify(
    session: Session,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The file that 'counterfoil prove' wrote.")],
    trust: Annotated[
        Path, typer.Option("--trust", metavar="FILE", help="Whose keys you trust: from 'counterfoil prove --trust'.")
    ],
) -> int:
    """Verify an evidence bundle offline, and say what holds, what does not, and what remains a matter of trust.

    The exit code is 0 only if nothing in the bundle fails, and 5 if anything does or the file is no bundle.
    """
    try:
        trusted = Trust.from_bytes(_read(trust, MAX_TRUST))
    except EvidenceRefused as error:
        raise UsageMistake(
            error.happened, "Ask the organisation for what 'counterfoil prove --trust' writes."
        ) from None
    try:
        report = verify_bundle(_read(bundle, MAX_BUNDLE), trusted)
    except EvidenceRefused as error:
        session.output.error(error)
        return DOES_NOT_HOLD
    told = {
        "holds": report.holds,
        "findings": [{"status": each.status, "says": each.says} for each in report.findings],
        "trusted": list(TRUSTED),
    }
    session.output.answer(told, lambda: _show(session.output, report))
    return OK if report.holds else DOES_NOT_HOLD


def _read(path: Path, most: int) -> bytes:
    """The file, and no more of it than is needed to see that it is too large."""
    with path.open("rb") as file:
        return file.read(most + 1)


def _show(output: Output, report: Report) -> None:
    for finding in report.findings:
        sign, plain, style = SIGNS[finding.status]
        output.checked(output.mark(sign, plain), style, finding.says[:1].upper() + finding.says[1:])
    if report.holds:
        output.heading("Everything that was looked at holds. What remains a matter of trust:")
        for each in TRUSTED:
            output.checked("-", "quiet", each)
    else:
        output.gap()
        output.warn("It does not hold: rely on nothing in this file.")
