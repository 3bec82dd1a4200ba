"""What a bundle proves of a ticket's end: the outcome on its leaf, or what a person signed of an unknown one."""

from __future__ import annotations

from counterfoil.assertions import RelyingParty
from counterfoil.audit_display import check_display, read_display
from counterfoil.audit_leaves import Told
from counterfoil.audit_roster import RosterThen
from counterfoil.bundle import SETTLEMENT, TicketEvidence
from counterfoil.canonical import canonical, digest
from counterfoil.errors import EvidenceRefused
from counterfoil.evidence import SignedStatement, check_settlement
from counterfoil.roster import Person
from counterfoil.settlement import EVENTS, outcome_of
from counterfoil.statements import STAFF, Settlement, Statement
from counterfoil.tickets import Envelope, Event, envelope_digest

FOUND = (Event.FIND_EXECUTED.value, Event.FIND_NOT_EXECUTED.value)
OUTCOMES = (
    Event.REPORT_EXECUTED.value, Event.REPORT_NOT_EXECUTED.value, Event.REPORT_UNKNOWN.value, *FOUND,
    Event.DECLINE.value,
)  # fmt: skip
"""The leaves that record an outcome."""


def check_established(
    part: TicketEvidence, envelope: Envelope, told: Told, rosters: RosterThen, party: RelyingParty
) -> tuple[Settlement, Person]:
    """What somebody signed of an outcome that nobody knew, verified; raises EvidenceRefused or StatementRefused."""
    assert part.settlement is not None  # noqa: S101 - the caller looked
    body = part.settlement.statement.encode()
    read = Settlement.from_bytes(body)
    leaf = told.last(*FOUND)
    if told.redeemed is None or leaf is None or not read.seat.startswith(STAFF):
        raise EvidenceRefused("Nobody could establish anything of this ticket, or not in this role.")
    named = digest("counterfoil-settlement", body)
    told_of = leaf.says(statement=named, seat=read.seat, found=read.found, person=read.person)
    if leaf.event != EVENTS[read.found].value or leaf.at < read.iat or (leaf.values is not None and not told_of):
        raise EvidenceRefused(f"Leaf {leaf.index} tells of another statement.")
    return check_settlement(
        SignedStatement(body, part.settlement.assertion),
        envelope=envelope,
        digest=envelope_digest(part.envelope.encode()),
        seat=read.seat,
        shown=_shown(part, envelope, told.redeemed.at, read),
        redeemed_at=told.redeemed.at,
        decided=[Statement.from_bytes(each.statement.encode()).person for each in part.statements],
        roster=rosters.at(read.iat),
        party=party,
    )


def _shown(part: TicketEvidence, envelope: Envelope, redeemed_at: int, settlement: Settlement) -> str:
    """The digest of the page on which it was signed; where the bundle lacks that page, the one that was signed."""
    pages = [page.content for page in part.displays if page.seat == SETTLEMENT]
    if not pages:
        return settlement.display
    if len(pages) > 1:
        raise EvidenceRefused("What the page showed is in the bundle twice.")
    page = read_display(pages[0])
    request = page.get("request")
    if (page.get("ticket"), page.get("started_at")) != (envelope.ticket, redeemed_at) or not isinstance(request, dict):
        raise EvidenceRefused("The page told of another ticket.")
    check_display(request, envelope, settlement.seat)
    return digest("counterfoil-settlement-display", pages[0].encode())


def check_outcome(part: TicketEvidence, told: Told, settlement: Settlement | None) -> bool:
    """Whether the outcome is the recorded one; False where no leaf that can be read records any.

    ``settlement``: what was verified by :func:`check_established`. Raises :class:`EvidenceRefused`.
    """
    leaf = told.last(*OUTCOMES)
    if leaf is None or leaf.values is None:
        return False
    recorded = leaf.values.get("outcome")
    if leaf.event == Event.DECLINE.value:
        recorded = {"reason": leaf.values.get("why")}
    elif "statement" in leaf.values:
        if settlement is None:
            raise EvidenceRefused("The statement of whoever established it is missing, or does not hold.")
        recorded = outcome_of(settlement)
    if recorded is None or part.outcome != canonical(recorded).decode():
        raise EvidenceRefused(f"It is not the one that leaf {leaf.index} records.")
    return True
