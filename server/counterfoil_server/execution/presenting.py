"""What is handed to an executor outside: the order, and everything it takes to verify it without believing anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from counterfoil.bundle import RosterRecords, Shown, Signed
from counterfoil.canonical import canonical
from counterfoil.display import display
from counterfoil.judgement import Judge, signed_statement
from counterfoil.presented import PresentedOrder
from counterfoil.roster import SignedEnrolment
from counterfoil.statements import seats_required
from counterfoil.tickets import Ticket


async def present(judge: Judge, ticket: Ticket, order: str) -> str:
    """The presented order (JSON) of a ticket whose order was verified here already."""
    envelope, operation = ticket.envelope, judge.operation(ticket.envelope)
    statements = [
        Signed(statement=stored.statement.decode(), assertion=signed_statement(stored).assertion)
        for stored in await judge.store.statements(ticket.id)
    ]
    records, enrolments = await judge.store.roster()
    return PresentedOrder(
        order=order,
        envelope=ticket.envelope_bytes.decode(),
        statements=tuple(statements),
        displays=tuple(
            Shown(seat=seat, content=canonical(display(judge.desk.name, operation, envelope, seat)).decode())
            for seat in sorted(seats_required(envelope))
        ),
        roster=RosterRecords(records=tuple(records), enrolments=tuple(_of_signers(enrolments, statements))),
    ).to_text()


def _of_signers(enrolments: Sequence[str], statements: Sequence[Signed]) -> Iterator[str]:
    """The enrolments of the passkeys that signed."""
    signers = {each.assertion.credential for each in statements}
    for text in enrolments:
        if SignedEnrolment.model_validate_json(text).enrolment.credential in signers:
            yield text
