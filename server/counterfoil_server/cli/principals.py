"""``principals``: the credentials of agents. A token is shown once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from counterfoil_server.cli.console import Output, assembled, moment
from counterfoil_server.cli.session import Session, with_session


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Agents' credentials: who may ask for something.", rich_markup_mode=None)
    group.command("add")(with_session(add))
    group.command("list")(with_session(list_principals))
    group.command("disable")(with_session(disable))
    app.add_typer(group, name="principals")


def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="A name for the agent, without spaces.")],
    owner: Annotated[
        str | None,
        typer.Option(metavar="PERSON", help="The person behind it, who then never approves its requests as staff."),
    ] = None,
) -> None:
    """Add an agent's credential and print its bearer token, once."""
    found = session.call("principals_add", name=name, owner=owner)
    session.output.answer(found, lambda: _added(session.output, found))


def list_principals(session: Session) -> None:
    """List the credentials; tokens are not kept and cannot be shown again."""
    found = session.call("principals_list")
    session.output.answer(found, lambda: _list(session.output, found))


def disable(session: Session, name: Annotated[str, typer.Argument(help="The principal's name.")]) -> None:
    """Make a token useless from the next call on."""
    found = session.call("principals_disable", name=name)
    session.output.answer(found, lambda: _disabled(session.output, name))


def _added(output: Output, found: dict[str, Any]) -> None:
    output.say(("Added ", "heading"), f"{found['principal']}. Its token, shown only this once:")
    output.paste(found["token"])
    output.hint("The AI client sends it as 'Authorization: Bearer …'. Keep it out of prompts and repositories.")


def _disabled(output: Output, name: str) -> None:
    output.say(("Disabled ", "heading"), f"{name}: it can call no longer.")
    output.hint("Its open requests stay. To end them: ", (f"counterfoil revoke principal:{name}", "command"))


def _list(output: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        output.say("There are no principals yet.")
        output.hint("Add one: ", ("counterfoil principals add NAME", "command"))
        return
    output.table(
        ("Principal", "Behind it", "Added", "State"),
        [
            (
                each["principal"],
                each["owner"] or "-",
                moment(each["created_at"]),
                assembled(
                    (f"disabled {moment(each['disabled_at'])}", "quiet") if each["disabled_at"] else ("active", "good")
                ),
            )
            for each in found
        ],
        whole=("Added",),
    )
