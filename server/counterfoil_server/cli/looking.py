"""``notices list`` and ``calls list``: what was sent to people, and what agents called."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from counterfoil_server.cli.console import Output, assembled, moment
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.cli.tickets import NOTICES

LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]
STYLES = {"sent": "good", "queued": "note", "failed": "bad"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    notices = typer.Typer(help="Messages to people.", rich_markup_mode=None)
    notices.command("list")(with_session(list_notices))
    app.add_typer(notices, name="notices")
    calls = typer.Typer(help="Tool calls of agents.", rich_markup_mode=None)
    calls.command("list")(with_session(list_calls))
    app.add_typer(calls, name="calls")


def list_notices(
    session: Session,
    ticket: Annotated[str | None, typer.Option(help="Only those of this ticket.")] = None,
    limit: LimitOption = 50,
) -> None:
    """List the newest messages to people, and whether they went out."""
    found = session.call("notices_list", ticket=ticket, limit=limit)
    session.output.answer(found, lambda: _notices(session.output, found))


def list_calls(session: Session, limit: LimitOption = 50) -> None:
    """List the newest tool calls; arguments are kept as digests only."""
    found = session.call("calls_list", limit=limit)
    session.output.answer(found, lambda: _calls(session.output, found))


def _notices(output: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        output.say("No messages yet.")
        return
    output.table(
        ("Written", "State", "To", "What"),
        [
            (
                moment(each["created_at"]),
                assembled((each["state"], STYLES.get(each["state"], ""))),
                each["recipient"],
                _about(each),
            )
            for each in found
        ],
        whole=("Written", "State"),
    )


def _about(notice: dict[str, Any]) -> Text:
    lines = [
        assembled(NOTICES.get(notice["kind"], notice["kind"])),
        assembled((notice["ticket"] or "", "quiet")),
        assembled((notice["error"] or "", "bad")),
    ]
    return Text("\n").join(line for line in lines if line)


def _calls(output: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        output.say("No calls yet.")
        return
    output.table(
        ("At", "Principal", "Tool", "Answer"),
        [(moment(each["at"]), each["principal"], each["tool"], str(each["status"])) for each in found],
        whole=("At",),
    )
