"""Grants: one account's records, or what policy lets run unattended on it, opened to one conversation for a while.

A grant is no record of its own. It *is* an executed ticket of the operation ``access``, and is worth what the people
who signed that ticket are worth: whoever relies on one verifies what they signed (``granted.py``). So a row in a
database opens nothing, and what a grant is for cannot be moved to another account, principal or conversation
(invariant 4). It ends by itself fifteen minutes after the last signature, or when anything that covers its ticket is
revoked or suspended.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterfoil.errors import NoAccess
from counterfoil.evidence import Evidence, met, with_wait
from counterfoil.tickets import ACCESS, GRANT_LIFE, Envelope
from counterfoil.values import Account, Assurance


@dataclass(frozen=True)
class Grant:
    """A verified grant. ``ticket`` is the access that it is; it holds from ``begins_at`` and before ``ends_at`` (Unix
    seconds)."""

    ticket: str
    account: Account
    principal: str
    conversation: str
    assurance: Assurance
    people: tuple[str, ...]
    begins_at: int
    ends_at: int

    def holds(self, at: int) -> bool:
        """Whether that moment is within its time."""
        return self.begins_at <= at < self.ends_at


def grant_of(envelope: Envelope, evidence: Evidence, *, redeemed_at: int) -> Grant:
    """The grant that an executed access is; raises :class:`NoAccess` where it is none."""
    if envelope.operation != ACCESS or envelope.account is None or envelope.conversation is None:
        raise NoAccess()
    if met(envelope.requirements, with_wait(evidence, redeemed_at)) is None:
        raise NoAccess()
    if redeemed_at < evidence.complete_at:
        raise NoAccess()
    return Grant(
        ticket=envelope.ticket,
        account=Account(envelope.account),
        principal=envelope.principal,
        conversation=envelope.conversation,
        assurance=evidence.reached.holder,
        people=evidence.people,
        begins_at=redeemed_at,
        ends_at=evidence.complete_at + GRANT_LIFE,
    )


def covers(grant: Grant, envelope: Envelope) -> bool:
    """Whether a request was made under this very grant: same account, principal and conversation."""
    return (envelope.grant, envelope.account, envelope.principal, envelope.conversation) == (
        grant.ticket, grant.account, grant.principal, grant.conversation,
    )  # fmt: skip
