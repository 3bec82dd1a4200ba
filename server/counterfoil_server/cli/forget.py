"""``forget``: retention. What is personal and no longer needed is deleted; every proof holds as before."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import typer

from counterfoil_server.cli.console import Output, counted, exact_moment
from counterfoil_server.cli.exit_codes import UsageMistake
from counterfoil_server.cli.session import Session, with_session

AGE = re.compile(r"(\d{1,6})([dwy])")
SECONDS = {"d": 86400, "w": 7 * 86400, "y": 365 * 86400}
WORDS = {
    "turns": ("text of a conversation", "texts of conversations"),
    "openings": ("opening of a leaf", "openings of leaves"),
    "notices": ("recipient of a notice", "recipients of notices"),
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forget", short_help="Delete old words and names for good; proofs stay valid.")(with_session(forget))


def forget(
    session: Session,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only what is older: 90d, 26w, 2y; 0d is anything."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only what is about this account.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Only what is about this conversation.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="KIND", help=f"Only {', '.join(WORDS)}; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it would be, and delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete words of conversations, openings of leaves, and to whom notices went: what is old, or about one account or
    conversation.

    Leaves, tickets and signatures stay, so that every proof holds as before; so does what an open ticket, a live access
    or an unsettled outcome needs, until a day after its end, however old it is. It cannot be undone.
    """
    if older_than is None and account is None and conversation is None:
        raise UsageMistake("Nothing says what is to be deleted.", "Add --older-than, --account or --conversation.")
    if unknown := [kind for kind in only or () if kind not in WORDS]:
        raise UsageMistake(f"There is nothing of the kind {unknown[0]}.", f"Use one of {', '.join(WORDS)}.")
    asked: dict[str, Any] = {
        "kinds": only or None,
        "before": None if older_than is None else int(time.time()) + 1 - _seconds(older_than),
        "account": account,
        "conversation": conversation,
    }
    found = session.call("forget", **asked, dry_run=True)
    if not dry_run:
        if any(found["counts"].values()):
            session.output.confirm(f"This deletes {_counts(found)} for good.", yes=yes)
        found = session.call("forget", **asked)
    session.output.answer(found, lambda: _said(session.output, found, about=account or conversation))


def _seconds(age: str) -> int:
    found = AGE.fullmatch(age)
    if found is None:
        raise UsageMistake(f"--older-than {age} is no age.", "Write it as 90d, 26w or 2y.")
    return int(found[1]) * SECONDS[found[2]]


def _counts(found: dict[str, Any]) -> str:
    return ", ".join(counted(number, *WORDS[kind]) for kind, number in found["counts"].items() if number)


def _said(output: Output, found: dict[str, Any], *, about: str | None) -> None:
    if not any(found["counts"].values()):
        output.say("There is nothing to delete.")
        if about is not None:
            output.hint("Check that you spelled ", about, " as your records do.")
        return
    if found["dry_run"]:
        output.say(("Would delete ", "heading"), f"{_counts(found)}, from before {exact_moment(found['before'])}.")
        return
    output.say(("Deleted ", "heading"), f"{_counts(found)}.")
    if not found["overwritten"]:
        output.warn("Somebody reads the database, so that its write-ahead log may still hold it. Run this again later.")
    output.hint("Copies are not reached: delete or let lapse backups that are older than this.")
