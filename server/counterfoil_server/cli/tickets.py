"""``tickets list`` and ``tickets show``: what was requested, what it waits for, and what came of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

from counterfoil.display import in_words, seat_in_words
from counterfoil.recipients import APPROVE, ENROLLED, EXECUTED, NOT_DONE, OBJECT, SETTLE, UNCERTAIN
from counterfoil.tickets import State
from counterfoil_server.cli.console import NEW_LINE, Output, assembled, counted, exact_moment, moment
from counterfoil_server.cli.session import Session, with_session

STATES: dict[str, tuple[str, str]] = {
    State.PENDING: ("note", "waits for people to decide"),
    State.APPROVED: ("busy", "has what it needs and is about to run"),
    State.HELD: ("busy", "approved; waits out the time in which it can be stopped"),
    State.EXECUTING: ("busy", "runs now; it cannot be stopped any more"),
    State.EXECUTED: ("good", "done"),
    State.NOT_EXECUTED: ("bad", "was to run, but nothing was done"),
    State.UNKNOWN: ("bad", "may or may not have happened; look into your own records"),
    State.DECLINED: ("quiet", "somebody said no; nothing was done"),
    State.CANCELLED: ("quiet", "taken back by whoever asked; nothing was done"),
    State.EXPIRED: ("quiet", "nobody decided in time; nothing was done"),
    State.REVOKED: ("quiet", "stopped by an administrator or the holder; nothing was done"),
}
"""Style and meaning of each state."""

EVENTS = {
    "request": "requested",
    "statement": "somebody signed a decision",
    "approve": "approved: the evidence suffices",
    "hold": "waiting time began",
    "mint": "capability minted",
    "redeem": "capability redeemed: it runs from here on",
    "report_executed": "the executor reported: done",
    "report_not_executed": "the executor reported: nothing was done",
    "report_unknown": "the executor reported: not known whether it happened",
    "find_executed": "found out: it was done",
    "find_not_executed": "found out: nothing was done",
    "decline": "declined",
    "cancel": "cancelled",
    "expire": "expired",
    "revoke": "revoked",
}
"""Words for the log's events; others are shown as they are."""

NOTICES = {
    APPROVE: "asked to decide",
    OBJECT: "told, with a way to object",
    EXECUTED: "told that it was done",
    UNCERTAIN: "told that it may have been done",
    NOT_DONE: "told that nothing was done",
    SETTLE: "asked to find out whether it happened",
    ENROLLED: "told of a new passkey",
}
"""Words for the kinds of notices."""


NOBODY_DECIDES = (
    "Nobody who could decide it has a passkey, or they are not told while the account is suspended. Whoever is invited"
    " is asked when they have made one."
)
INVITE_SOMEBODY = "Invite somebody who neither holds the account nor stands behind the request."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What was requested, and what came of it.", rich_markup_mode=None)
    group.command("list")(with_session(list_tickets))
    group.command("show")(with_session(show_ticket))
    group.command("ask")(with_session(ask_about_ticket))
    app.add_typer(group, name="tickets")


def list_tickets(
    session: Session,
    state: Annotated[str | None, typer.Option(help=f"Only this state: {', '.join(State)}.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    principal: Annotated[str | None, typer.Option(help="Only requests of this principal.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
) -> None:
    """List the newest tickets."""
    found = session.call("tickets_list", state=state, account=account, principal=principal, limit=limit)
    session.output.answer(found, lambda: _list(session.output, found, limit))


def show_ticket(session: Session, ticket: Annotated[str, typer.Argument(help="The ticket's id.")]) -> None:
    """Show one ticket with everything that is known of it."""
    found = session.call("tickets_show", ticket=ticket)
    session.output.answer(found, lambda: _card(session.output, found))


def ask_about_ticket(session: Session, ticket: Annotated[str, typer.Argument(help="The ticket's id.")]) -> None:
    """Send those who still have to decide, or can settle an unknown outcome, a new link."""
    found = session.call("tickets_ask", ticket=ticket)

    def show() -> None:
        if found["asked"]:
            session.output.say(f"Asked: {', '.join(found['asked'])}. Their links go out with the next messages.")
        elif found["role"] is None:
            session.output.warn(NOBODY_DECIDES)
        else:
            session.output.warn(f"Nobody with the role {found['role']} may settle it. {INVITE_SOMEBODY}")

    session.output.answer(found, show)


def _list(output: Output, found: list[dict[str, Any]], limit: int) -> None:
    if not found:
        output.say("There are no such tickets.")
        return
    output.table(
        ("Ticket", "State", "Asked", "What"),
        [
            (
                ticket["ticket"],
                _state(ticket["state"]),
                moment(ticket["requested_at"]),
                assembled(ticket["operation"], NEW_LINE, (ticket["account"] or "no known account", "quiet")),
            )
            for ticket in found
        ],
        whole=("Ticket", "State", "Asked"),
    )
    if len(found) == limit:
        output.hint(f"Only the newest {limit} are shown; ask for more with --limit.")


def _card(output: Output, ticket: dict[str, Any]) -> None:
    style, meaning = STATES.get(ticket["state"], ("", ""))
    output.say(("Ticket ", "heading"), (ticket["ticket"], "heading"))
    output.fields(
        [
            ("State", assembled((_state_word(ticket["state"]), style), f": {meaning}" if meaning else "")),
            ("Asked", exact_moment(ticket["requested_at"])),
            ("Asked by", ticket["principal"]),
            ("Ends", exact_moment(ticket["expires_at"]) if ticket["state"] == State.PENDING else None),
            ("Held until", exact_moment(ticket["hold_until"]) if ticket["hold_until"] else None),
            ("Runs since", exact_moment(ticket["redeemed_at"]) if ticket["redeemed_at"] else None),
            ("Came of it", _outcome(ticket["outcome"])),
        ]
    )
    _request(output, ticket)
    _people(output, ticket)
    if ticket["notices"]:
        output.heading("Who was told")
        output.fields((moment(each["created_at"]), _notice(each)) for each in ticket["notices"])
    output.heading("What happened")
    output.fields((moment(leaf["at"]), EVENTS.get(leaf["event"], leaf["event"])) for leaf in ticket["log"])
    if ticket["state"] == State.UNKNOWN:
        output.gap()
        output.warn("Nobody knows whether this happened. Look in the system it was for, before anyone asks again.")
        _settlers(output, ticket["settlers"])


def _settlers(output: Output, settlers: dict[str, Any]) -> None:
    """Who can say what became of it, and whether they know that they are asked."""
    if settlers["role"] is None:
        output.hint("The desk names nobody who could settle it by hand (settled_by); only the operation's lookup can.")
    elif not settlers["people"]:
        output.hint(f"Nobody with the role {settlers['role']} may settle it. {INVITE_SOMEBODY}")
    else:
        people = [
            f"{person}, {'who was told' if person in settlers['told'] else 'whom no message has reached yet'}"
            for person in settlers["people"]
        ]
        output.items(f"With the role {settlers['role']} it can be settled by:", people)
        output.hint("A link that has lapsed offers a new one; 'counterfoil tickets ask' sends one to each of them.")


def _request(output: Output, ticket: dict[str, Any]) -> None:
    output.heading("What was asked for (values given by the AI)")
    output.fields(
        [
            ("operation", ticket["operation"]),
            *((_label(name), in_words(value)) for name, value in ticket["arguments"].items()),
            ("means", assembled("account ", ticket["account"] or "unknown: the directory knows no such account")),
        ]
    )
    if ticket["note"]:
        output.heading("What the AI wrote (it may be wrong or misleading)")
        output.items("To whoever decides:", [assembled("“", ticket["note"], "”")])
    if ticket["facts"]:
        output.heading("What your own systems said")
        output.fields((_label(name), _fact(value)) for name, value in ticket["facts"].items())


def _people(output: Output, ticket: dict[str, Any]) -> None:
    output.heading("Who has to agree")
    if ticket["refusal"]:
        output.items("Nobody can:", [assembled((ticket["refusal"], "bad"))])
    elif ticket["waiting_for"]:
        output.items("It still waits until" + _either(ticket["waiting_for"]), ticket["waiting_for"])
    elif ticket["requirements"]:
        output.items("It needed that" + _either(ticket["requirements"]), ticket["requirements"])
    else:
        output.items("Nobody:", ["the policy lets it run unattended"])
    if ticket["statements"]:
        output.items("Signed:", map(_signed, ticket["statements"]))
    if ticket["settlement"]:
        output.items("Established afterwards:", [_established(ticket["settlement"])])


def _either(alternatives: list[str]) -> str:
    return ", either" if len(alternatives) > 1 else ""


def _signed(statement: dict[str, Any]) -> Text:
    approved = statement["decision"] != "decline"
    return assembled(
        f"{statement['person']}, {seat_in_words(statement['seat'])}, ",
        ("approved", "good") if approved else ("declined", "bad"),
        f" on {exact_moment(statement['recorded_at'])}",
    )


def _established(settlement: dict[str, Any]) -> Text:
    happened = settlement["found"] == "executed"
    return assembled(
        f"{settlement['person']}, {seat_in_words(settlement['seat'])}, signed that it ",
        ("happened", "good") if happened else ("did not happen", "bad"),
        f" on {exact_moment(settlement['recorded_at'])}",
        f" (reference {settlement['reference']})" if settlement["reference"] else "",
    )


def _label(name: str) -> str:
    return name.replace("_", " ")


def _state(state: str) -> Text:
    return assembled((_state_word(state), STATES.get(state, ("", ""))[0]))


def _state_word(state: str) -> str:
    return state.replace("_", " ")


def _fact(value: Any) -> str:
    match value:
        case {"before": str(before), "after": str(after)}:
            return f"{before} becomes {after}"
        case _:
            return in_words(value)


def _outcome(outcome: str | None) -> str | None:
    """The outcome's JSON in words."""
    if outcome is None:
        return None
    match json.loads(outcome):
        case {"receipt": {"reference": str(reference), **rest}}:
            summary = rest.get("summary")
            return f"{summary} (reference {reference})" if summary else f"reference {reference}"
        case {"receipt": {"summary": str(summary)}}:
            return summary
        case {"reason": str(reason)}:
            return reason
    return outcome


def _notice(notice: dict[str, Any]) -> Text:
    what = NOTICES.get(notice["kind"], notice["kind"])
    match notice["state"]:
        case "sent":
            how = ("sent " + moment(notice["sent_at"]), "good")
        case "failed":
            how = (f"failed after {counted(notice['tries'], 'try', 'tries')}: {notice['error']}", "bad")
        case _:
            how = ("waits to be sent" + (f": {notice['error']}" if notice["error"] else ""), "note")
    return assembled(f"{notice['recipient']} {what}; ", how)
