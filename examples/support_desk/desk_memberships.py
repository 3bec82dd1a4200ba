"""Memberships: a higher tier at once and for its price, a lower one when the paid year ends."""

from __future__ import annotations

from dataclasses import replace

from business import Business, decimal_text
from desk_words import HOLDER, UndoFacts, receipt, refusals_told, undo_facts
from memberships import BENEFITS, CURRENCY, Direction, Memberships, Tier, in_words, plan

from counterfoil import Account, Change, Desk, Execution, Facts, Money, Receipt, fact, shown


class MembershipFacts(Facts):
    """What the person who decides about a membership should know."""

    membership: Change = fact(label="Membership")
    benefits: Change = fact(label="Benefits")
    costs_now: Money = fact(label="To pay now")
    paid_by: str | None = fact(label="Paid by")
    begins: str = fact(label="Begins", about="tier")
    direction: Direction = fact(label="Kind of change")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


def offer_memberships(desk: Desk, shop: Business) -> None:
    """Three tiers. What was paid for stays until its year ends."""
    memberships = Memberships(shop)

    @desk.operation(title="Change the membership", ladder=[HOLDER])
    async def change_membership(execution: Execution, account: Account, tier: Tier) -> Receipt:
        """Move a customer to the free, standard or plus membership."""
        with refusals_told():
            return receipt(memberships.change(execution.idempotency_key, account, tier, execution.guard))

    @change_membership.preview
    async def membership_facts(account: Account, tier: Tier) -> MembershipFacts:
        with refusals_told():
            customer = shop.customer(account)
            now = memberships.membership_of(account)
        planned = plan(now, tier)
        then = replace(now, tier=planned.tier, next_tier=planned.next_tier)
        after = f"{in_words(then)}{'' if then.paid_until else ', paid for one year'}"
        return MembershipFacts(
            owners=(account,),
            guard=str(now.version),
            membership=Change(before=in_words(now), after=in_words(now) if planned.direction == "nothing" else after),
            benefits=Change(before=BENEFITS[now.tier], after=BENEFITS[planned.next_tier or planned.tier]),
            costs_now=Money(value=decimal_text(planned.cost), currency=CURRENCY),
            paid_by=now.method if planned.cost else None,
            begins="when the paid year ends" if planned.direction == "downgrade" else "at once",
            direction=planned.direction,
            locked=customer.locked,
            fraud=customer.fraud_score,
        )

    @change_membership.lookup
    async def find_change(execution: Execution) -> Receipt | None:
        done = memberships.find(execution.idempotency_key)
        return receipt(done) if done else None

    @change_membership.undo
    async def undo_change(execution: Execution, changed: Receipt) -> Receipt:
        """Put a membership back as it was before a change, and give back what was charged for it."""
        with refusals_told():
            return receipt(memberships.undo(execution.idempotency_key, changed.reference))

    @undo_change.preview
    async def undo_change_facts(account: Account, receipt: Receipt) -> UndoFacts:
        return undo_facts(shop, account, receipt)
