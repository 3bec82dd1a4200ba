"""``doctor``: is everything as it must be? One line for each check, with what to do where it is not.

Checks of what is stored run where the state folder's owner is (``administration/checks.py``); checks of files, settings
and this machine run here. Nothing is changed, except by ``--accept-log``.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from counterfoil.errors import CounterfoilError
from counterfoil_server.cli import first_start, inspection
from counterfoil_server.cli.console import Output, counted
from counterfoil_server.cli.exit_codes import FOUND, OK
from counterfoil_server.cli.inspection import Check
from counterfoil_server.cli.session import Session, with_session

SIGNS = {"ok": ("✓", "ok", "good"), "warning": ("!", "!", "note"), "wrong": ("✗", "x", "bad")}
"""For each status: its sign, its sign on a plain terminal, its style."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", short_help="Check settings, files, keys and everything stored.")(with_session(doctor))


def doctor(
    session: Session,
    accept_log: Annotated[
        bool,
        typer.Option(
            "--accept-log", help="Make the executor read the log from its beginning, after a backup was restored."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Check settings, files, keys and everything stored; exits with 3 if something is wrong."""
    if accept_log:
        return _accept_log(session, yes=yes)
    checks = _all_checks(session)
    session.output.answer([check.to_dict() for check in checks], lambda: _show(session.output, checks))
    return FOUND if any(check.status == "wrong" for check in checks) else OK


def _all_checks(session: Session) -> list[Check]:
    configuration, settled = inspection.attempt("settings", lambda: session.configuration)
    checks = [settled]
    if configuration is None:
        return checks
    settled.says = f"{configuration.folder} is the desk's folder"
    checks += inspection.declarations(configuration)
    checks += inspection.machine(configuration)
    if first_start.is_fresh(configuration):
        checks.append(Check("state", "warning", "there is no database yet", "It is made by 'counterfoil serve'."))
        return checks
    checks += inspection.files(configuration)
    if inspection.has_ledger(configuration):  # opening the database would make an empty one
        checks += _stored(session)
    return checks


def _stored(session: Session) -> list[Check]:
    """What only the state folder's owner can say."""
    try:
        found: list[dict[str, Any]] = session.call("doctor")
    except CounterfoilError as error:
        return [Check("database", "wrong", error.happened, error.remedy)]
    return [
        Check(each["check"], "ok" if each["ok"] else "wrong", each["says"], each.get("remedy") or None)
        for each in found
    ]


def _accept_log(session: Session, *, yes: bool) -> int:
    session.output.confirm(
        "The executor will take the log as it is now for the true one. Do this only after you restored a backup.",
        yes=yes,
    )
    inspection.accept_log(session.configuration)
    session.output.answer(
        {"accepted": True},
        lambda: session.output.say("The executor reads the log from its beginning at the next start."),
    )
    return OK


def _show(output: Output, checks: list[Check]) -> None:
    for check in checks:
        sign, plain, style = SIGNS[check.status]
        output.checked(output.mark(sign, plain), style, (check.name, "heading"), f": {check.says}")
        if check.remedy and check.status != "ok":
            output.checked(" ", style, (check.remedy, "quiet"))
    wrong = sum(check.status == "wrong" for check in checks)
    warnings = sum(check.status == "warning" for check in checks)
    output.gap()
    if wrong:
        output.say((f"{counted(wrong, 'thing is', 'things are')} wrong.", "bad"))
    else:
        output.say(("Nothing is wrong", "good"), f"; {counted(warnings, 'warning')}." if warnings else ".")
