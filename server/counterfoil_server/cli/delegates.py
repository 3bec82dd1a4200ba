"""``delegates``: keys that invite people in the roster key's place, within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from rich.text import Text

from counterfoil.delegates import Delegation
from counterfoil.errors import BadArguments, KeyFileError, UnknownName
from counterfoil.keys import SigningKey
from counterfoil.roster import End, sign_record
from counterfoil_server import key_files
from counterfoil_server.cli.console import Output, assembled, exact_moment
from counterfoil_server.cli.invitations import DAY, read_roster_key
from counterfoil_server.cli.people import caller
from counterfoil_server.cli.session import Session, with_session


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keys that may invite people, and nothing else.", rich_markup_mode=None)
    group.command("add")(with_session(add))
    group.command("list")(with_session(list_delegates))
    group.command("end")(with_session(end))
    app.add_typer(group, name="delegates")


def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="What holds the key, as 'sign-in service'.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Its private key; made there unless there is one.")],
    role: Annotated[list[str] | None, typer.Option(help="A staff role that it may give. Repeatable.")] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="How long it may invite.")] = 365,
) -> None:
    """Let another key invite people, signed with the roster key.

    It can invite people whom nobody else invited, for accounts whose holders nobody else invited, with the roles you
    name; it can neither end nor change anybody else. 'people invite --key FILE' signs with it.
    """
    found = anyio.run(_add, session, name, key, tuple(role or ()), days)
    session.output.answer(found, lambda: _added(session.output, found))


def list_delegates(session: Session) -> None:
    """List the delegates of the verified roster."""
    found = session.call("delegates_list")
    session.output.answer(found, lambda: _list(session.output, found))


def end(
    session: Session,
    key: Annotated[str, typer.Argument(metavar="KID", help="The key's id, from 'delegates list'.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End a delegate for good, signed with the roster key. Whom it invited stay: disable those you do not know."""
    session.output.confirm("This key will invite nobody any more.", yes=yes)
    anyio.run(_end, session, key)
    session.output.answer({"key": key, "ended": True}, lambda: _ended(session.output, key))


async def _add(session: Session, name: str, path: Path, roles: tuple[str, ...], days: int) -> dict[str, Any]:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise BadArguments("A delegate's name has 1 to 100 printable characters.", "Say what holds its key.")
    if unknown := [role for role in roles if role not in session.configuration.desk.roles]:
        listed = ", ".join(session.configuration.desk.roles) or "none"
        raise BadArguments(f"The desk has no role {unknown[0]}.", f"Its roles: {listed}.")
    head = await caller(session)("roster_head", {})
    roster_key = read_roster_key(session.configuration)
    made = not path.exists()
    delegate = _key_at(path)
    if delegate.id == roster_key.id:
        raise KeyFileError(f"{path} is the roster key itself.", "Name another file; a key is made there.")
    jwk = delegate.public.to_jwk()
    record = Delegation(
        version=head["version"],
        previous=head["previous"],
        name=name,
        x=jwk["x"],
        y=jwk["y"],
        roles=roles,
        iat=head["now"],
        exp=head["now"] + days * DAY,
    )
    await caller(session)("roster_append", {"record": sign_record(roster_key, record)})
    return {
        "key": delegate.id,
        "name": name,
        "path": str(path),
        "made": made,
        "roles": list(roles),
        "until": record.exp,
    }


def _key_at(path: Path) -> SigningKey:
    """The private key in the file; one is made there if there is none."""
    try:
        if not path.exists():
            key_files.write_private(path, SigningKey.generate().to_pem())
    except OSError as error:
        raise KeyFileError(
            f"A key cannot be made at {path}: {error.strerror}.", "Name a file in a folder of yours."
        ) from None
    return key_files.read_signing_key(path)


async def _end(session: Session, key: str) -> None:
    call = caller(session)
    known = {each["key"]: each for each in await call("delegates_list", {})}
    if key not in known or known[key]["ended"]:
        why = "is ended already" if key in known else "does not exist"
        raise UnknownName(f"The delegate {key} {why}.", "List them with 'counterfoil delegates list'.")
    roster_key = read_roster_key(session.configuration)
    head = await call("roster_head", {})
    record = End(version=head["version"], previous=head["previous"], what="delegate", id=key, iat=head["now"])
    await call("roster_append", {"record": sign_record(roster_key, record)})


def _added(output: Output, found: dict[str, Any]) -> None:
    output.say(("Named ", "heading"), f"{found['name']} as a delegate until {exact_moment(found['until'])}.")
    output.say(
        f"Its private key is {found['path']}{', made just now' if found['made'] else ''}; its id {found['key']}."
    )
    roles = f" and the roles {', '.join(found['roles'])}" if found["roles"] else ", no roles"
    output.say(f"It may give accounts{roles}, to people whom nobody else invited.")
    output.warn("Whoever has that key and can write into the database invites people of their own.")
    output.hint("To invite with it: ", (f"counterfoil people invite --key {found['path']} …", "command"))


def _list(output: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        output.say("The roster key has named no delegate.")
        return
    output.table(
        ("Delegate", "May give", "Until"),
        [
            (
                assembled(each["name"], Text("\n"), (each["key"], "quiet")),
                ", ".join(["accounts", *(f"role {role}" for role in each["roles"])]),
                assembled(("ended", "bad") if each["ended"] else exact_moment(each["until"])),
            )
            for each in found
        ],
        whole=("Delegate",),
    )


def _ended(output: Output, key: str) -> None:
    output.say(("Ended ", "heading"), f"the delegate {key}. It invites nobody any more; whom it invited stay.")
    output.hint("Look through them: ", ("counterfoil people list", "command"))
