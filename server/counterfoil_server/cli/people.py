"""``people``: who may decide. Inviting and disabling need the roster's private key, which no server holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from counterfoil_server.cli import connection, invitations
from counterfoil_server.cli.console import NEW_LINE, Output, assembled, counted, exact_moment
from counterfoil_server.cli.invitations import Call, Enrolment, Invited
from counterfoil_server.cli.session import Session, with_session

PersonArgument = Annotated[str, typer.Argument(help="The person's id, from 'people list'.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Who may decide, and what they hold.", rich_markup_mode=None)
    group.command("invite")(with_session(invite))
    group.command("list")(with_session(list_people))
    group.command("disable")(with_session(disable))
    app.add_typer(group, name="people")


def invite(
    session: Session,
    name: Annotated[str, typer.Argument(help="Their name, as they would write it.")],
    email: Annotated[list[str], typer.Option(help="Where their messages go; the first is used. Repeatable.")],
    account: Annotated[list[str] | None, typer.Option(help="An account they hold. Repeatable.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A staff role they have. Repeatable.")] = None,
    person: Annotated[str | None, typer.Option(metavar="ID", help="Their id; a new one is made otherwise.")] = None,
    days: Annotated[int, typer.Option(min=1, max=30, help="How long the invitation can be used.")] = 7,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A delegate's private key, in place of the roster key.")
    ] = None,
) -> None:
    """Invite a person to enrol a passkey, and print the one-time address for it, once.

    With --person and the id of somebody known, name, accounts, roles and addresses are replaced by those given, and the
    person may enrol one more passkey.
    """
    invited = Invited(name, tuple(account or ()), tuple(role or ()), tuple(email), person, days, key)
    enrolment = anyio.run(invitations.invite, caller(session), session.configuration, invited)
    session.output.answer(asdict(enrolment), lambda: _invited(session.output, enrolment))


def list_people(session: Session) -> None:
    """List the people of the verified roster."""
    found = session.call("people_list")
    session.output.answer(found, lambda: _list(session.output, found))


def disable(
    session: Session,
    person: PersonArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End a person for good: their passkeys sign nothing any more."""
    anyio.run(invitations.check_can_be_disabled, caller(session), person)
    session.output.confirm(f"This ends {person} for good; they can only come back under another id.", yes=yes)
    anyio.run(invitations.disable, caller(session), session.configuration, person)
    session.output.answer({"person": person, "disabled": True}, lambda: _disabled(session.output, person))


def caller(session: Session) -> Call:
    """Runs administration verbs one by one."""

    async def call(verb: str, arguments: dict[str, Any]) -> Any:
        return await connection.call(session.configuration, verb, arguments, session.output)

    return call


def _invited(output: Output, enrolment: Enrolment) -> None:
    output.say(("Invited ", "heading"), f"{enrolment.name} as {enrolment.person}.")
    if enrolment.again:
        output.say(
            "They were known before: name, accounts, roles and addresses are now those you gave, and they may enrol one"
            f" more passkey (they have {counted(enrolment.passkeys, 'passkey')})."
        )
    output.say("Their enrolment address, shown only this once:")
    output.paste(enrolment.url)
    output.say(f"It works once, until {exact_moment(enrolment.expires_at)}.")
    output.warn(
        "Whoever opens it first becomes this person here. Hand it over in person, or through your own signed-in"
        " channel; not by e-mail, and never through an AI."
    )


def _disabled(output: Output, person: str) -> None:
    output.say(("Disabled ", "heading"), f"{person}. What they signed for open requests counts no longer.")
    output.hint("To end those requests as well: ", (f"counterfoil revoke person:{person}", "command"))


def _list(output: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        output.say("Nobody has been invited yet.")
        output.hint("Invite somebody: ", ("counterfoil people invite --help", "command"))
        return
    output.table(
        ("Person", "May decide", "Messages to", "Passkeys"),
        [
            (
                assembled(each["name"], NEW_LINE, (each["person"], "quiet")),
                _may_decide(each),
                "; ".join(each["channels"]),
                assembled(("disabled", "bad") if each["disabled"] else _passkeys(each["passkeys"])),
            )
            for each in found
        ],
        whole=("Passkeys",),
    )


def _may_decide(person: dict[str, Any]) -> str:
    held = [f"account {account}" for account in person["accounts"]] + [f"role {role}" for role in person["roles"]]
    return ", ".join(held)


def _passkeys(number: int) -> tuple[str, str]:
    return (str(number), "good") if number else ("none yet", "note")
