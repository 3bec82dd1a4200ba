"""A presented order: everything with which an executor outside verifies, by itself, that it may run.

An executor in a process of its own, with a database of its own, is handed an order by somebody whom it does not
believe: the text of it is nothing but claims and signatures. :meth:`OrderVerifier.verify` is the whole decision, made
from the executor's own trust file, its own floor for each operation, and its own memory of the authority's feed. In
this sequence, each refusing with words of its own:

1. the feed was heard lately: who hears nothing does not know what was revoked (T47);
2. order, issuer, audience, envelope and times, by keys of the authority that are not barred (``proof.py``);
3. the log tells of this ticket's redemption with this very envelope, and when; of no refusal of it; and nothing that it
   depends on is barred;
4. the roster, signed by the pinned key, as long as the trust file says, and with the very records that the log tells
   of; each passkey of those who signed is the first that the log tells was enrolled with its invitation (T49);
5. what the pages showed says what the envelope says, and the people's signatures over both meet what the envelope
   requires (``proof.py``);
6. and they reach the executor's own floor for the operation, whatever the authority's policy says.

That it runs once, only a ledger of the executor's own can know; the ticket is its key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from counterfoil.audit_display import check_display, read_display
from counterfoil.bundle import MAX_BUNDLE, MAX_SIGNED, RosterRecords, Shown, Signed, Trust
from counterfoil.canonical import canonical, digest, parse_strict
from counterfoil.errors import BadJSON, EvidenceRefused, OrderRefused, SettingsError
from counterfoil.evidence import SignedStatement, met
from counterfoil.feed import Memory
from counterfoil.proof import Proven, verify_envelope, verify_evidence
from counterfoil.roster import Roster, verify_roster
from counterfoil.rungs import POSSIBLE, Rung
from counterfoil.scopes import scopes_of
from counterfoil.tickets import Envelope
from counterfoil.tokens import OrderClaims
from counterfoil.values import Frozen, Version

FEED_LIFE = 60
"""Seconds after which what was heard of the feed is too old to run anything by."""


class PresentedOrder(Frozen):
    """An order with what it takes to verify it. ``displays``: what the pages showed, by seat."""

    format: Literal["counterfoil-order"] = "counterfoil-order"
    v: Version = 1
    order: str
    envelope: str
    statements: Annotated[tuple[Signed, ...], Field(max_length=MAX_SIGNED)]
    displays: Annotated[tuple[Shown, ...], Field(max_length=MAX_SIGNED)]
    roster: RosterRecords

    def to_text(self) -> str:
        """Canonical JSON."""
        return canonical(self.model_dump(mode="json")).decode()

    @staticmethod
    def from_bytes(body: bytes) -> PresentedOrder:
        """Read one; raises :class:`OrderRefused`."""
        if len(body) > MAX_BUNDLE:
            raise OrderRefused(f"The order is larger than {MAX_BUNDLE >> 20} MiB.")
        try:
            value = parse_strict(body)
            if not isinstance(value, dict) or value.keys() != PresentedOrder.model_fields.keys():
                raise BadJSON
            return PresentedOrder.model_validate_json(body)
        except (BadJSON, ValidationError):
            raise OrderRefused("This is no order of Counterfoil with its evidence.") from None


Floors = Mapping[str, Sequence[Rung]]
"""By operation, the least evidence with which this executor runs it, as alternatives. What is not named never runs."""


@dataclass(frozen=True)
class _KnownRoster:
    """A roster that verified, and the very records it was verified from."""

    records: RosterRecords
    roster: Roster


class OrderVerifier:
    """Decides for the executor ``executor``. ``trust``: its pinned trust file; ``memory``: what it heard of the feed;
    ``feed_life``: how long that counts, in seconds. Not to be shared by threads."""

    def __init__(
        self, *, trust: Trust, executor: str, floors: Floors, memory: Memory, feed_life: int = FEED_LIFE
    ) -> None:
        """Raises :class:`SettingsError` for a floor that is no evidence, which nothing or everything might reach."""
        for operation, floor in floors.items():
            _check_floor(operation, floor)
        self._trust = trust
        self._executor = executor
        self._floors = floors
        self._memory = memory
        self._feed_life = feed_life
        self._known: _KnownRoster | None = None

    def verify(self, body: bytes, *, now: int) -> Proven:
        """Everything that must hold before the effect; raises :class:`OrderRefused` or :class:`RosterRefused`."""
        presented = PresentedOrder.from_bytes(body)
        now = max(now, self._feed_time(now))
        envelope_bytes = presented.envelope.encode()
        claims, envelope = verify_envelope(
            presented.order,
            envelope_bytes,
            issuer=self._trust.issuer,
            executor=self._executor,
            keys={name: key for name, key in self._trust.authority_keys.items() if not self._is_barred(f"key:{name}")},
            now=now,
        )
        self._check_log(claims)
        if envelope.grant is not None:
            raise OrderRefused("Nobody signed for this request itself; such orders are not run here.")
        proven = verify_evidence(
            claims,
            envelope,
            [SignedStatement(each.statement.encode(), each.assertion) for each in presented.statements],
            roster=self._roster(presented.roster),
            party=self._trust.roster.party,
            display_of=_shown(presented.displays, envelope).__getitem__,
        )
        if self._memory.barred(scopes_of(envelope, people=proven.evidence.people)):
            raise OrderRefused("Something that the request depends on is suspended or revoked.")
        floor = self._floors.get(envelope.operation)
        if not floor:
            raise OrderRefused(f"This executor does not run the operation {envelope.operation[:80]!r}.")
        if met(floor, proven.reached) is None:
            raise OrderRefused(f"This executor runs {envelope.operation} only if {_either(floor)}.")
        return proven

    def _feed_time(self, now: int) -> int:
        """The authority's time when its feed was heard last: two clocks are never quite the same."""
        at = self._memory.heard_at()
        if at is None or abs(now - at) > self._feed_life:
            raise OrderRefused(
                "What the authority revoked or declined lately was not heard.",
                "Nothing is run until its feed can be read again; then present the order again.",
            )
        return at

    def _check_log(self, claims: OrderClaims) -> None:
        if self._memory.stopped(claims.ticket):
            raise OrderRefused("The ticket was stopped, or it was told that it was not executed.")
        found = self._memory.redeemed(claims.ticket)
        if found is None or found[0] != claims.envelope:
            raise OrderRefused("The log does not tell of this redemption.")
        if found[1] != claims.redeemed_at:
            # A stolen key would otherwise make an old order good again.
            raise OrderRefused("The log tells of this redemption at another time.")

    def _is_barred(self, scope: str) -> bool:
        return self._memory.barred([scope])

    def _roster(self, records: RosterRecords) -> Roster:
        known = self._known
        if known is None or known.records != records:
            known = _KnownRoster(records, verify_roster(records.records, records.enrolments, self._trust.roster))
            self._known = known
        known.roster.check_told(self._memory.roster_records(), self._memory.roster_head())
        known.roster.check_enrolled(self._memory.enrolled)
        return known.roster


class _Shown(dict[str, str]):
    """The digest of what each seat was shown; of a seat whose page did not come, nothing that anybody could sign."""

    def __missing__(self, seat: str) -> str:
        return ""


def _shown(displays: Sequence[Shown], envelope: Envelope) -> _Shown:
    shown = _Shown()
    try:
        is_readable = isinstance(parse_strict(envelope.arguments.encode()), dict)
    except BadJSON:
        is_readable = False
    if not is_readable:
        raise OrderRefused("The request's arguments cannot be read.")
    for page in displays:
        try:
            check_display(read_display(page.content), envelope, page.seat)
        except EvidenceRefused as error:
            raise OrderRefused(f"What was shown does not fit the request. {error.happened}") from None
        shown[page.seat] = digest("counterfoil-display", page.content.encode())
    return shown


def _check_floor(operation: str, floor: Sequence[Rung]) -> None:
    for rung in floor:
        try:
            rung.check()
        except ValueError as error:
            raise SettingsError(f"The floor of {operation} is not right: {error}.", POSSIBLE) from None


def _either(floor: Sequence[Rung]) -> str:
    return ", or ".join(rung.in_words() for rung in floor)
