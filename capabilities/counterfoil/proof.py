"""What an executor verifies before it runs anything, from the order alone and its own trust.

Nothing that comes with an order is believed. In this sequence, each refusing with words of its own (T25, T41, T42):

1. the order's signature, type, issuer and audience;
2. that the stored envelope is the one whose digest the order names, for this ticket and this executor;
3. that the ticket was redeemed before it expired and is run in time (compared with the order, not the wall clock), at
   no time to come, and not longer after it than any setting allows: a stolen key could end a hold or revive a ticket;
4. every signed statement against the envelope, the display made again from the executor's own desk, and the roster
   chain verified under the executor's own trust;
5. that this evidence meets a requirement that is frozen in the envelope; or that a grant, verified by the executor
   from the signatures of those who gave it, is for this very account, principal and conversation.

Whether the evidence *suffices* the executor asks its own policy; that it runs once, its own ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from counterfoil.assertions import RelyingParty
from counterfoil.errors import OrderRefused, StatementRefused, TamperDetected
from counterfoil.evidence import Evidence, SignedStatement, evidence_of, met, with_wait
from counterfoil.grants import Grant, covers
from counterfoil.keys import VerificationKey
from counterfoil.roster import Roster
from counterfoil.rungs import Rung
from counterfoil.tickets import Envelope, envelope_digest
from counterfoil.tokens import OrderClaims, read_order

MAX_RUN = 3600
"""Seconds from redemption to ``run_by`` that an order can have; the setting ``times.run`` allows no more."""


class Proven(Struct, frozen=True):
    """An order that verified, with the evidence that was verified for it."""

    claims: OrderClaims
    envelope: Envelope
    evidence: Evidence
    reached: Rung


def verify_envelope(
    order: str,
    envelope_bytes: bytes,
    *,
    issuer: str,
    executor: str,
    keys: Mapping[str, VerificationKey],
    now: int,
) -> tuple[OrderClaims, Envelope]:
    """Steps 1 to 3; raises :class:`OrderRefused`."""
    claims = read_order(order, keys, issuer=issuer, executor=executor)
    if envelope_digest(envelope_bytes) != claims.envelope:
        raise OrderRefused("The stored request is not the one that the order is for.")
    try:
        envelope = Envelope.from_bytes(envelope_bytes)
    except TamperDetected as error:
        raise OrderRefused(error.happened) from None
    if envelope.ticket != claims.ticket or envelope.issuer != issuer or envelope.executor != executor:
        raise OrderRefused("The order and the stored request name different tickets.")
    if not envelope.requested_at <= claims.redeemed_at < envelope.expires_at:
        raise OrderRefused("The ticket was redeemed outside its lifetime.")
    if claims.redeemed_at > now or claims.run_by > claims.redeemed_at + MAX_RUN:
        raise OrderRefused("The order's times are not possible.")
    if now > claims.run_by:
        raise OrderRefused("The order came too late to be run.")
    return claims, envelope


def verify_evidence(
    claims: OrderClaims,
    envelope: Envelope,
    statements: Iterable[SignedStatement],
    *,
    roster: Roster,
    party: RelyingParty,
    display_of: Callable[[str], str],
    grant: Grant | None = None,
) -> Proven:
    """Steps 4 and 5, of what :func:`verify_envelope` gave; raises :class:`OrderRefused`.

    ``grant`` is the verified grant that an unattended request rests on, as of the redemption; it takes the place of
    requirements, and then policy has to be asked whether the operation may run unattended.
    """
    try:
        evidence = evidence_of(
            statements,
            envelope=envelope,
            digest=claims.envelope,
            display_of=display_of,
            roster=roster,
            party=party,
        )
    except StatementRefused as error:
        raise OrderRefused(f"A signature for this order does not hold. {error.happened}") from None
    if evidence.complete_at > claims.redeemed_at:
        raise OrderRefused("A signature was made after the ticket was redeemed.")
    reached = with_wait(evidence, claims.redeemed_at)
    if envelope.grant is not None:
        if grant is None or not covers(grant, envelope):
            raise OrderRefused("The grant that the request names is not for it.")
        return Proven(claims, envelope, Evidence(Rung(), grant.people, evidence.complete_at), Rung())
    if met(envelope.requirements, reached) is None:
        raise OrderRefused("The signatures do not meet what the request requires.")
    return Proven(claims, envelope, evidence, reached)
