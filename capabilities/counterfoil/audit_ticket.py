"""What a bundle proves about one ticket: the request itself, or the access under which it ran.

Statements are judged by the roster as it was when they counted: an approval when the ticket was redeemed (or approved,
if it never was), anything else when it was signed. So an approval does not lose its worth when somebody leaves later,
and nobody who had left can have given one.
"""

from __future__ import annotations

from functools import partial

from counterfoil.audit_display import check_display, read_display
from counterfoil.audit_leaves import Told, read_leaves
from counterfoil.audit_outcome import check_established, check_outcome
from counterfoil.audit_roster import RosterThen
from counterfoil.audit_tokens import TokenAudit
from counterfoil.audit_words import Report, at
from counterfoil.bundle import SETTLEMENT, Shown, TicketEvidence, Trust
from counterfoil.canonical import digest, parse_strict
from counterfoil.display import seat_in_words
from counterfoil.errors import BadJSON, EvidenceRefused, NoAccess, TamperDetected
from counterfoil.evidence import (
    Evidence,
    SignedStatement,
    check_statement,
    evidence_of,
    met_but_for_time,
)
from counterfoil.grants import Grant, grant_of
from counterfoil.leaves import STATEMENT
from counterfoil.proof import verify_evidence
from counterfoil.statements import Statement
from counterfoil.tickets import ACCESS, Envelope, State, envelope_digest
from counterfoil.tokens import OrderClaims
from counterfoil.values import Assurance

CHANGED = "the desk has changed since"
DECIDED = {"approve": "approved", "grant": "granted access", "decline": "declined"}
ASSURED: dict[Assurance, str] = {
    "passkey": "a passkey that may be copied between their devices",
    "passkey_bound": "a passkey that cannot leave its device",
}


class TicketAudit:
    """The audit of one ticket. ``envelope``, ``told`` and ``grant`` are what it has established."""

    def __init__(
        self, part: TicketEvidence, rosters: RosterThen, trust: Trust, report: Report, handed_out: int, of: str = ""
    ) -> None:
        self.envelope: Envelope | None = None
        self.told: Told | None = None
        self.grant: Grant | None = None
        self._part = part
        self._body = part.envelope.encode()
        self._rosters = rosters
        self._trust = trust
        self._party = trust.roster.party
        self._report = report
        self._handed_out = handed_out
        self._of = of
        self._signed = [SignedStatement(each.statement.encode(), each.assertion) for each in part.statements]
        self._shown: dict[str, str] = {}
        """The digest of what each seat had to be shown."""

    def verify(self, access: TicketAudit | None = None) -> None:
        """Add every finding to the report. ``access``: the audit of the access in the same bundle."""
        envelope = self._report.check(f"{self._of}the request", self._read_envelope)
        if envelope is None:
            return
        self.envelope = envelope
        self._hold(
            f"the request is {envelope.ticket}: {envelope.operation} for account {envelope.account or 'unknown'}, asked"
            f" for by {envelope.principal} on {at(envelope.requested_at)}."
        )
        told = self._report.check(f"{self._of}the history", lambda: self._read_history(envelope))
        if told is None:
            return
        self.told = told
        self._hold(
            f"leaves {told.leaves[0].index} to {told.leaves[-1].index} open rightly and tell a history that ends as"
            f" {in_words(told.state)}."
        )
        if told.unopened:
            self._report.leave_open(f"{self._of}leaves cannot be read, their openings were deleted: {told.unopened}.")
        self._pages(envelope)
        # All of them are looked at, also after one that does not hold.
        sound = [self._statement(number, envelope, told) for number in range(len(self._signed))]
        if all(sound):
            self._consent(envelope, told, access)
        self._tokens(envelope, told)
        self._ended(envelope, told)

    def _hold(self, says: str) -> None:
        self._report.hold(self._of + says)

    # The request and its history

    def _read_envelope(self) -> Envelope:
        try:
            envelope = Envelope.from_bytes(self._body)
            arguments = parse_strict(envelope.arguments.encode())
        except (TamperDetected, BadJSON):
            raise EvidenceRefused("It cannot be read.") from None
        if not isinstance(arguments, dict):
            raise EvidenceRefused("It cannot be read.")
        if envelope.issuer != self._trust.issuer:
            raise EvidenceRefused("It was made by another authority.")
        if envelope.executor not in self._trust.executors:
            raise EvidenceRefused("It was for another executor.")
        return envelope

    def _read_history(self, envelope: Envelope) -> Told:
        told = read_leaves(self._part.leaves, envelope.ticket, envelope_digest(self._body))
        if told.state is not self._part.state:
            raise EvidenceRefused(f"The leaves tell of a ticket that is {in_words(told.state)}.")
        first = told.leaves[0]
        if first.values is not None and not first.says(principal=envelope.principal, operation=envelope.operation):
            raise EvidenceRefused(f"Leaf {first.index} tells of another request.")
        if len(told.all(STATEMENT)) != len(self._signed):
            raise EvidenceRefused("There are more or fewer statements than the leaves tell of.")
        return told

    def _pages(self, envelope: Envelope) -> None:
        """What each page showed, where it is in the bundle; statements name its digest."""
        for page in self._part.displays:
            if page.seat != SETTLEMENT:
                name = f"{self._of}what the page showed {seat_in_words(page.seat)}"
                if self._report.check(name, partial(self._page, page, envelope)):
                    self._hold(f"what the page showed {seat_in_words(page.seat)} says what the request says.")

    def _page(self, page: Shown, envelope: Envelope) -> bool:
        if page.seat in self._shown:
            raise EvidenceRefused("It is in the bundle twice.")
        self._shown[page.seat] = digest("counterfoil-display", page.content.encode())
        check_display(read_display(page.content), envelope, page.seat)
        return True

    # Who agreed

    def _statement(self, number: int, envelope: Envelope, told: Told) -> bool:
        """Whether one statement holds, and its line."""
        found = self._report.check(
            f"{self._of}statement {number + 1}", lambda: self._check_statement(number, envelope, told)
        )
        if found is not None:
            self._hold(found)
        return found is not None

    def _check_statement(self, number: int, envelope: Envelope, told: Told) -> str:
        signed = self._signed[number]
        read = Statement.from_bytes(signed.statement)
        leaf = told.all(STATEMENT)[number]
        named = digest("counterfoil-statement", signed.statement)
        if leaf.values is not None and not leaf.says(
            statement=named, seat=read.seat, decision=read.decision, person=read.person
        ):
            raise EvidenceRefused(f"Leaf {leaf.index} tells of another statement.")
        if leaf.at < read.iat:
            raise EvidenceRefused("It was recorded before it was made.")
        if read.seat not in self._shown:
            self._shown[read.seat] = read.display
            self._report.leave_open(
                f"{self._of}what the page showed {seat_in_words(read.seat)} is not in the bundle: {CHANGED}."
            )
        statement, person, assurance = check_statement(
            signed,
            envelope=envelope,
            digest=envelope_digest(self._body),
            display_of=self._display_of,
            roster=self._rosters.at(self._counted_at(read, told)),
            party=self._party,
        )
        return (
            f"{person.name} ({person.id}) {DECIDED[statement.decision]} {seat_in_words(statement.seat)}, on"
            f" {at(statement.iat)}, with {ASSURED[assurance]}, their finger, face or PIN verified, at one of"
            f" {', '.join(sorted(self._party.origins))}."
        )

    def _display_of(self, seat: str) -> str:
        return self._shown.get(seat, "")

    @staticmethod
    def _counted_at(statement: Statement, told: Told) -> int:
        counted = told.redeemed or told.approved
        if counted is None or statement.decision == "decline":
            return statement.iat
        return max(counted.at, statement.iat)

    # Whether it was enough

    def _consent(self, envelope: Envelope, told: Told, access: TicketAudit | None) -> None:
        found = self._report.check(f"{self._of}the consent", lambda: self._check_consent(envelope, told, access))
        if found is not None:
            self._hold(found)

    def _check_consent(self, envelope: Envelope, told: Told, access: TicketAudit | None) -> str:
        if told.redeemed is not None:
            return self._redeemed(envelope, told, access)
        if told.approved is not None and envelope.grant is None:
            return self._approved(envelope, told)
        return "it was not redeemed, so nothing of it was to be carried out."

    def _redeemed(self, envelope: Envelope, told: Told, access: TicketAudit | None) -> str:
        assert told.redeemed is not None  # noqa: S101 - the caller looked
        moment = told.redeemed.at
        if not envelope.requested_at <= moment < envelope.expires_at:
            raise EvidenceRefused("The ticket was redeemed outside its lifetime.")
        grant = access.grant if access is not None else None
        if envelope.grant is not None and (grant is None or not grant.holds(moment)):
            raise EvidenceRefused("It ran under an access that is not in the bundle, does not hold, or had ended.")
        # What the order has to have said, whether or not it is in the bundle.
        claims = OrderClaims(
            iss=envelope.issuer, aud=envelope.executor, jti=f"order-{envelope.ticket}", ticket=envelope.ticket,
            envelope=envelope_digest(self._body), redeemed_at=moment, run_by=moment,
        )  # fmt: skip
        roster = self._rosters.at(moment)
        proven = verify_evidence(
            claims, envelope, self._signed, roster=roster, party=self._party,
            display_of=self._display_of, grant=grant,
        )  # fmt: skip
        if envelope.operation == ACCESS and told.state is State.EXECUTED:
            self.grant = self._granted(envelope, told, proven.evidence)
        if envelope.grant is not None:
            return f"it ran by itself under the access {envelope.grant}, which held on {at(moment)}."
        return f"that was enough when it was redeemed on {at(moment)}: {_either(envelope)}."

    def _approved(self, envelope: Envelope, told: Told) -> str:
        assert told.approved is not None  # noqa: S101 - the caller looked
        approvals = [
            each for each in self._signed if Statement.from_bytes(each.statement).decision != "decline"
        ]  # fmt: skip
        evidence = evidence_of(
            approvals, envelope=envelope, digest=envelope_digest(self._body), display_of=self._display_of,
            roster=self._rosters.at(told.approved.at), party=self._party,
        )  # fmt: skip
        if evidence.complete_at > told.approved.at:
            raise EvidenceRefused("A signature was made after the approval.")
        if met_but_for_time(envelope.requirements, evidence.reached) is None:
            raise EvidenceRefused("The signatures do not meet what the request requires.")
        return f"that was enough to approve it on {at(told.approved.at)}: {_either(envelope)}. It was never redeemed."

    @staticmethod
    def _granted(envelope: Envelope, told: Told, evidence: Evidence) -> Grant:
        try:
            return grant_of(envelope, evidence, redeemed_at=told.redeemed.at if told.redeemed else 0)
        except NoAccess:
            raise EvidenceRefused("It granted nothing.") from None

    # What was redeemed, and what let it run

    def _tokens(self, envelope: Envelope, told: Told) -> None:
        tokens = TokenAudit(self._part, envelope, told, self._trust, self._handed_out)
        for name, text, line in (
            ("capability", self._part.capability, tokens.capability),
            ("order", self._part.order, tokens.order),
        ):
            if text is not None:
                if (found := self._report.check(f"{self._of}the {name}", line)) is not None:
                    self._hold(found)
            elif (lacks := self._report.check(f"{self._of}the {name}", partial(tokens.lacks, name))) is not None:
                self._report.leave_open(self._of + lacks)

    # What came of it

    def _ended(self, envelope: Envelope, told: Told) -> None:
        settlement = None
        if self._part.settlement is not None:
            found = self._report.check(
                f"{self._of}what was established afterwards",
                lambda: check_established(self._part, envelope, told, self._rosters, self._party),
            )
            if found is not None:
                settlement, person = found
                if not any(page.seat == SETTLEMENT for page in self._part.displays):
                    self._report.leave_open(f"{self._of}what the page showed then is not in the bundle: {CHANGED}.")
                self._hold(
                    f"{person.name} ({person.id}) established {seat_in_words(settlement.seat)} that it was"
                    f" {settlement.found.replace('_', ' ')}, signed on {at(settlement.iat)}."
                )
        if self._report.check(f"{self._of}the outcome", lambda: check_outcome(self._part, told, settlement)):
            whose = "what was established" if settlement is not None else "what its leaf records"
            self._hold(f"it ended as {in_words(told.state)}, and the outcome in the bundle is {whose}.")


def in_words(state: State) -> str:
    """A state as people read it."""
    return state.value.replace("_", " ")


def _either(envelope: Envelope) -> str:
    return ", or ".join(rung.in_words() for rung in envelope.requirements if not rung.is_empty)
