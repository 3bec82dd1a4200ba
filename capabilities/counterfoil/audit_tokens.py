"""The capability and the order of a redeemed ticket, as a bundle has them: signed anew, and of no use any more.

The desk keeps neither text. What each said follows wholly from what the desk does keep, so the authority signs the same
claims again for whoever audits. An auditor may be anybody, so neither stands in a bundle before its own time has been
over for :data:`OVER` seconds when the file is handed out: then nobody who reads it can redeem or run anything by it,
whatever they remember of tickets. Before that the report leaves it open; when the longest time that either can have
has passed, a redeemed ticket has both.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterfoil.audit_leaves import MINT, ReadLeaf, Told
from counterfoil.audit_words import at
from counterfoil.bundle import TicketEvidence, Trust
from counterfoil.errors import EvidenceRefused
from counterfoil.proof import MAX_RUN
from counterfoil.tickets import Envelope, envelope_digest
from counterfoil.tokens import OVER, CapabilityClaims, OrderClaims, read_capability, read_order

ANEW = "the authority signed it anew for this file"


@dataclass(frozen=True)
class TokenAudit:
    """The audit of both. ``handed_out``: when the authority attested the bundle (Unix seconds)."""

    part: TicketEvidence
    envelope: Envelope
    told: Told
    trust: Trust
    handed_out: int

    def lacks(self, name: str) -> str | None:
        """The line where the capability or the order is not there; None where there can be none. Raises EvidenceRefused
        where its time is over, whatever the desk's settings."""
        redeemed = self.told.redeemed
        if redeemed is None:
            return None
        if name == "capability" and redeemed.values is None:
            return f"the {name} is not in the bundle: which one it was cannot be read."
        if self.handed_out > redeemed.at + MAX_RUN + OVER:
            raise EvidenceRefused("It is not in the bundle, though its time is over.")
        return f"the {name} is not in the bundle: its time may not have been over when this file was handed out."

    def capability(self) -> str:
        """Its line; raises CapabilityRefused or EvidenceRefused."""
        redeemed, text, issuer = self._redeemed(), self.part.capability or "", self.envelope.issuer
        claims, _ = read_capability(text, self.trust.authority_keys, issuer=issuer, now=redeemed.at)
        self._about(claims)
        if claims.sub != self.envelope.principal:
            raise EvidenceRefused("It is for somebody else.")
        minted = [leaf for leaf in self.told.all(MINT) if leaf.index < redeemed.index]
        is_minted = any(leaf.values is None or leaf.says(capability=claims.jti) for leaf in minted)
        if not is_minted or not (redeemed.values is None or redeemed.says(capability=claims.jti)):
            raise EvidenceRefused("It is not the one that was minted and redeemed.")
        self._over(claims.exp)
        return (
            f"the capability that was redeemed was for {claims.sub}, from {at(claims.iat)} to {at(claims.exp)}; {ANEW}."
        )

    def order(self) -> str:
        """The same of the order; raises OrderRefused or EvidenceRefused."""
        redeemed, issuer, executor = self._redeemed(), self.envelope.issuer, self.envelope.executor
        claims = read_order(self.part.order or "", self.trust.authority_keys, issuer=issuer, executor=executor)
        self._about(claims)
        if claims.jti != f"order-{claims.ticket}" or claims.redeemed_at != redeemed.at:
            raise EvidenceRefused("It is of another redemption.")
        if not claims.redeemed_at <= claims.run_by <= claims.redeemed_at + MAX_RUN:
            raise EvidenceRefused("Its times are not possible.")
        self._over(claims.run_by)
        return f"the order told {claims.aud} to run it, from {at(claims.redeemed_at)} to {at(claims.run_by)}; {ANEW}."

    def _redeemed(self) -> ReadLeaf:
        if self.told.redeemed is None:
            raise EvidenceRefused("The ticket was not redeemed: there can be none.")
        return self.told.redeemed

    def _about(self, claims: CapabilityClaims | OrderClaims) -> None:
        if claims.ticket != self.envelope.ticket or claims.envelope != envelope_digest(self.part.envelope.encode()):
            raise EvidenceRefused("It is for another request.")

    def _over(self, end: int) -> None:
        if self.handed_out <= end + OVER:
            raise EvidenceRefused("It could still be used when this file was handed out.")
