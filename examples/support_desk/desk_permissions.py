"""What the shop's own people may do in its systems. The account is the colleague's own record.

Nobody decides about themselves: a colleague who is invited with their own record as their account cannot sit in a
role's seat where it is concerned, but can object.
"""

from __future__ import annotations

from typing import Literal

from business import Business, day_text
from colleagues import ALLOWS, Colleagues, Permission, after_change, in_words
from desk_words import ONE_DAY, receipt, refusals_told

from counterfoil import Account, Change, Desk, Execution, Facts, Receipt, Rung, fact, shown

TWO = Rung(staff={"identity": 2})
TWO_AND_A_DAY = Rung(staff={"identity": 2}, hold=ONE_DAY)


class PermissionFacts(Facts):
    """What the people who decide about a permission should know."""

    colleague: str = fact(label="Colleague")
    permissions: Change = fact(label="May do")
    allows: str = fact(label="What it allows", about="permission")
    others: list[str] = shown(label="Who has it now", about="permission")
    changes: bool = fact(label="Changes something")
    locked: bool = fact(label="Account is closed")


def offer_permissions(desk: Desk, shop: Business) -> None:
    """Rights are given slowly and taken quickly."""
    colleagues = Colleagues(shop)

    @desk.operation(title="Change a colleague's permissions", ladder=[TWO, TWO_AND_A_DAY])
    async def change_staff_permissions(
        execution: Execution, account: Account, permission: Permission, change: Literal["grant", "withdraw"]
    ) -> Receipt:
        """Give one of the shop's own people a permission in its systems, or take it away."""
        with refusals_told():
            return receipt(colleagues.change(execution.idempotency_key, account, permission, change, execution.guard))

    @change_staff_permissions.preview
    async def permission_facts(
        account: Account, permission: Permission, change: Literal["grant", "withdraw"]
    ) -> PermissionFacts:
        with refusals_told():
            colleague = colleagues.colleague(account)
        after = after_change(colleague.permissions, permission, change)
        return PermissionFacts(
            owners=(account,),
            guard=str(colleague.version),
            colleague=f"{colleague.name}, {colleague.job}, here since {day_text(colleague.since)}",
            permissions=Change(before=in_words(colleague.permissions), after=in_words(after)),
            allows=ALLOWS[permission],
            others=colleagues.holders_of(permission),
            changes=after != colleague.permissions,
            locked=colleague.closed,
        )

    @change_staff_permissions.lookup
    async def find_change(execution: Execution) -> Receipt | None:
        done = colleagues.find(execution.idempotency_key)
        return receipt(done) if done else None
