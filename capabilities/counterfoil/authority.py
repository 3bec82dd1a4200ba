"""The only door: request, ask again, decide, mint, redeem, report, settle, revoke, change keys.

An authority owns no state and believes no caller. What an AI sends is frozen; what people sign is verified; what may
run is judged by policy over evidence; and exactly one transaction turns an approved ticket into an order. There is no
other way to an order, for unattended operations and administrators either.

Every method that changes something is one store verb (two where a decision also completes the evidence), so a crash
between any two lines leaves a state from which :meth:`Authority.advance` goes on.
"""

from __future__ import annotations

from counterfoil.decision_verbs import Offer, View
from counterfoil.door import Secrets, Times
from counterfoil.key_verbs import KeyVerbs
from counterfoil.reminder_verbs import ReminderVerbs
from counterfoil.request_verbs import Requester
from counterfoil.settlement_verbs import SettlementOffer, SettlementVerbs, SettlementView

__all__ = ["Authority", "Offer", "Requester", "Secrets", "SettlementOffer", "SettlementView", "Times", "View"]


class Authority(ReminderVerbs, SettlementVerbs, KeyVerbs):
    """The trusted core over one desk, one policy, one store."""
