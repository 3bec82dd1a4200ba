"""``revoke``, ``suspend``, ``resume`` and ``suspensions``: stopping things, from one ticket to everything."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from counterfoil.scopes import EVERYTHING, KINDS, check_scope, is_final
from counterfoil_server.cli.console import Output, assembled, counted, moment
from counterfoil_server.cli.session import Session, with_session

ScopeArgument = Annotated[
    str,
    typer.Argument(metavar="SCOPE", help=f"kind:name with a kind of {', '.join(sorted(KINDS))}; or 'all'."),
]
ReasonOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it is kept with it.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("revoke", short_help="End every open request in a scope, for good.")(with_session(revoke))
    app.command("suspend", short_help="Bar a scope until it is resumed.")(with_session(suspend))
    app.command("resume")(with_session(resume))
    app.command("suspensions")(with_session(suspensions))


def revoke(
    session: Session,
    scope: ScopeArgument,
    reason: ReasonOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before revoking everything.")] = False,
) -> None:
    """End every open request in a scope, at once and for good.

    What already runs cannot be stopped; the answer says how much that is. A revoked ticket, capability, principal,
    conversation, person or key is barred from then on; to bar an account or an operation, suspend it as well.
    """
    scope = check_scope(scope)
    if scope == EVERYTHING:
        session.output.confirm("This ends every open request of every account.", yes=yes)
    arguments = {"scope": scope} | ({"reason": reason} if reason else {})
    found = session.call("revoke", **arguments)
    session.output.answer(found, lambda: _revoked(session.output, scope, found))


def suspend(session: Session, scope: ScopeArgument, reason: ReasonOption = None) -> None:
    """Bar a scope until it is resumed: nothing in it is accepted or executed."""
    arguments = {"scope": check_scope(scope)} | ({"reason": reason} if reason else {})
    found = session.call("suspend", **arguments)
    session.output.answer(found, lambda: _suspended(session.output, found))


def resume(session: Session, scope: ScopeArgument) -> None:
    """Lift a suspension."""
    found = session.call("resume", scope=check_scope(scope))
    words = "is open again" if found["resumed"] else "was not suspended"
    session.output.answer(found, lambda: session.output.say(f"{found['scope']} {words}."))


def suspensions(session: Session) -> None:
    """List what is suspended or barred."""
    found = session.call("suspensions")
    session.output.answer(found, lambda: _list(session.output, found))


def _revoked(output: Output, scope: str, found: dict[str, Any]) -> None:
    output.say(("Revoked ", "heading"), f"{scope}: {counted(found['revoked'], 'open ticket')} ended.")
    if found["executing"]:
        output.warn(
            f"{counted(found['executing'], 'ticket')} executing already: too late to stop; look at the outcome."
        )
    if found["grants"]:
        output.say(f"{counted(found['grants'], 'access', 'accesses')} to records ended.")
    _say_known(output, found)
    if found["done"]:
        output.say(f"{counted(found['done'], 'ticket')} had been executed before; that is not undone.")
    if is_final(scope):
        output.say("It is barred for good.")
    else:
        output.hint("New requests are still accepted. To bar them too: ", (f"counterfoil suspend {scope}", "command"))


def _suspended(output: Output, found: dict[str, Any]) -> None:
    scope = found["scope"]
    output.say(("Suspended ", "heading"), f"{scope}: nothing in it is accepted or executed.")
    _say_known(output, found)
    output.hint("To lift it: ", (f"counterfoil resume {scope}", "command"))


def _say_known(output: Output, found: dict[str, Any]) -> None:
    """Whether an account was named that anything was ever asked for on: whoever mistyped it must notice."""
    if found.get("tickets") == 0:
        output.warn("No ticket is known for this account; check that you spelled it as your records do.")
    elif "tickets" in found:
        output.say(f"{counted(found['tickets'], 'ticket is', 'tickets are')} known for this account.")


def _list(output: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        output.say("Nothing is suspended.")
        return
    output.table(
        ("Scope", "Since", "How", "Why"),
        [
            (
                each["scope"],
                moment(each["since"]),
                assembled(("for good", "bad") if each["final"] else ("until resumed", "note")),
                each["reason"],
            )
            for each in found
        ],
        whole=("Since", "How"),
    )
