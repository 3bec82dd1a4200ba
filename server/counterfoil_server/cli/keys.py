"""``keys``: what the authority signs with, from rotation to theft; and another key for the roster."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import anyio
import typer
from rich.text import Text

from counterfoil.errors import ASK_AGAIN
from counterfoil_server import log_keys
from counterfoil_server.cli import log_key, roster_key
from counterfoil_server.cli.console import Output, assembled, counted
from counterfoil_server.cli.roster_key import Replaced
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.cli.stopping import ReasonOption

DOES = {
    "previous": "verifies what it signed before the last rotation",
    "current": "signs capabilities and orders",
    "next": "signs after the next rotation",
    "log": "seals the log",
    "log, before": "sealed the log",
}

BACK_UP = "The key files have changed: back up the folder 'keys' of the state folder."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keys of authority, roster and log: rotation and theft.", rich_markup_mode=None)
    group.command("list")(with_session(list_keys))
    group.command("rotate")(with_session(rotate))
    group.command("revoke")(with_session(revoke))
    group.command("replace-roster-key")(with_session(replace_roster_key))
    group.command("replace-log-key")(with_session(replace_log_key))
    app.add_typer(group, name="keys")


def list_keys(session: Session) -> None:
    """List the keys that the authority signs and verifies with, and the log's."""
    found = session.call("keys_list") + session.call("keys_log")
    session.output.answer(found, lambda: _list(session.output, found))


def rotate(session: Session) -> None:
    """Let the next key sign from now on, and make a fresh one to follow it.

    What the former one signed stays valid until the next rotation. A rotation that was interrupted is finished.
    """
    found = session.call("keys_rotate")
    session.output.answer(found, lambda: _rotated(session.output, found))


def revoke(
    session: Session,
    key: Annotated[
        str,
        typer.Argument(metavar="KID", help="The key's id, from 'keys list'. One that begins with a dash: key:KID."),
    ],
    reason: ReasonOption = None,
) -> None:
    """Stop everything that a key signed, at once and for good; another key signs on.

    Capabilities of it that are not redeemed end, with the requests that people approved for them; orders of it are not
    run. The same as 'revoke key:KID'.
    """
    found = session.call("keys_revoke", key=key.removeprefix("key:"), **({"reason": reason} if reason else {}))
    session.output.answer(found, lambda: _revoked(session.output, found))


def replace_roster_key(
    session: Session,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Trust another roster key from now on, because the former one was stolen or lost.

    Records of the former one count up to the newest there is; nobody has to enrol again. The private key is made where
    the setting 'roster_key' says, unless a fresh one lies there. Stop the server first: none changes what it trusts.
    """
    session.output.confirm("The former roster key will sign nothing that counts any more.", yes=yes)
    found = anyio.run(roster_key.replace, session.configuration)
    session.output.answer(asdict(found), lambda: _replaced(session.output, found))


def replace_log_key(
    session: Session,
    stolen: Annotated[
        bool,
        typer.Option("--stolen", help="Somebody else may have the former one: it counts for nothing any more."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let another key seal the log from now on. The log and its name go on.

    The former key signs one last checkpoint, and the new one the same. Proofs from before stay good for whoever gets
    'counterfoil prove --trust' anew, unless the key was stolen: then prove again what has to be proven. Stop the server
    first.
    """
    session.output.confirm("The former key will seal nothing any more.", yes=yes)
    found = anyio.run(log_key.replace, session.configuration, stolen)
    session.output.answer(asdict(found), lambda: _log_replaced(session.output, found, stolen))


def _list(output: Output, found: list[dict[str, Any]]) -> None:
    output.table(
        ("Place", "Key, and what it does"),
        [
            (
                each["place"],
                assembled(
                    each["key"],
                    Text("\n"),
                    (f"stopped {each['stopped']}", "bad") if each.get("stopped") else (_does(each), "quiet"),
                ),
            )
            for each in found
        ],
        whole=("Place",),
    )
    if len({each["key"] for each in found}) < len(found):
        output.hint("A rotation was interrupted. To finish it: ", ("counterfoil keys rotate", "command"))


def _does(each: dict[str, Any]) -> str:
    return DOES[each["place"]] + (f" up to {each['size']} leaves" if each.get("size") else "")


def _log_replaced(output: Output, found: log_keys.Replaced, stolen: bool) -> None:
    output.say(("Replaced ", "heading"), f"the log's key: {found.key} seals from now on.")
    output.say(f"{found.former} sealed {counted(found.size, 'leaf', 'leaves')}, and seals no more.")
    output.hint("Give auditors, witnesses and executors elsewhere: ", ("counterfoil prove --trust", "command"))
    if stolen:
        output.warn("Proofs under the former key count no longer: write them again with 'counterfoil prove TICKET'.")
    output.hint(BACK_UP)


def _rotated(output: Output, found: dict[str, str]) -> None:
    output.say(("Rotated: ", "heading"), f"{found['current']} signs from now on.")
    if "previous" in found:
        output.say(f"What {found['previous']} signed stays valid until the next rotation.")
    output.hint(BACK_UP)


def _revoked(output: Output, found: dict[str, Any]) -> None:
    output.say(("Revoked ", "heading"), f"{found['key']}: {counted(found['revoked'], 'approved request')} ended.")
    if found["revoked"]:
        output.say(f"Nothing of them was done. Tell those who approved. {ASK_AGAIN}")
        output.hint("To see them: ", ("counterfoil tickets list --state revoked", "command"))
    if found["executing"]:
        output.warn(
            f"{counted(found['executing'], 'request')} executing already: what is not started yet ends as not executed;"
            " look at the outcome."
        )
    if found["grants"]:
        output.say(
            f"{counted(found['grants'], 'access', 'accesses')} to records ended; their holders can grant it anew."
        )
    if found["done"]:
        output.say(f"{counted(found['done'], 'request')} had been executed with it before; that is not undone.")
        output.hint("To compare them with your own systems: ", ("counterfoil tickets list", "command"))
    output.say(f"{found['signs']} signs from now on." if found["replaced"] else f"{found['signs']} signs, as before.")
    if found["replaced"]:
        output.hint(BACK_UP)


def _replaced(output: Output, found: Replaced) -> None:
    output.say(("Replaced ", "heading"), f"the roster key: {found.key} signs from record {found.last + 1} on.")
    output.say(f"Its private key is {found.path}.")
    output.warn("Move it off this machine, keep a copy, and bring it back only to invite or disable people.")
    output.say("Whoever had the former key may have invited people. Disable everybody whom you do not know:")
    output.hint("They are listed by: ", ("counterfoil people list", "command"))
    output.hint(BACK_UP)
