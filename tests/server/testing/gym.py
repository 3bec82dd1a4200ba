"""A gym with one of everything that a desk can have, over members in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from counterfoil import (
    Account,
    Contact,
    Desk,
    Execution,
    Facts,
    Money,
    NotExecuted,
    Owned,
    Receipt,
    Rung,
    needs,
    shown,
)

POLICY = """
@id("Up to 50 EUR: the member confirms.")
permit (principal, action == Action::"credit", resource) when {
  context.holder_passkey && context.code_typed &&
  resource.arguments.amount.value.lessThanOrEqual(decimal("50.00")) };
@id("More: the member, and one of the front desk.")
permit (principal, action == Action::"credit", resource) when {
  context.holder_passkey && context.code_typed && context.staff.front >= 1 };
@id("The member takes it back.")
permit (principal, action == Action::"undo_credit", resource) when { context.holder_passkey && context.code_typed };
@id("A locker is opened by its member, and by the AI when they say so.")
permit (principal, action == Action::"open_locker", resource) when { context.holder_passkey && context.code_typed };
@id("A lost passkey: one of the front desk, and a day in which to object.")
permit (principal, action == Action::"change_email", resource) when {
  context.staff.front >= 1 && context.waited >= 86400 };
@id("Records are opened by their member.")
permit (principal, action == Action::"access", resource) when { context.holder_passkey && context.code_typed };
@id("With open records the AI pauses a membership alone.")
permit (principal, action == Action::"pause/unattended", resource) when { !context.tainted };
@id("Otherwise the member does.")
permit (principal, action == Action::"pause", resource) when { context.holder_passkey && context.code_typed };
@id("Nothing on a locked account.")
forbid (principal, action, resource) when { resource.facts.locked };
"""

FRONT_DESK = Rung(staff={"front": 1}, hold=86_400)


class MemberFacts(Facts):
    locked: bool = shown()


class UndoFacts(MemberFacts):
    credit: str


class Visit(Owned):
    day: str
    trainer: str | None = needs("passkey_bound")


@dataclass
class Gym:
    """The members, and what was done for them, by idempotency key."""

    members: dict[str, str] = field(
        default_factory=lambda: {"M-1": "ada@members.example", "M-2": "bo@members.example", "M-3": "cy@members.example"}
    )
    locked: set[str] = field(default_factory=set)
    done: dict[str, str] = field(default_factory=dict)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connector has begun that waits for ``free``."""
    free: asyncio.Event | None = None
    broken: str = ""
    """``refuses``, or ``silent``: takes it in and fails."""

    async def find(self, hint: str) -> Account | None:
        found = (number for number, email in self.members.items() if hint in (number, email))
        return next((Account(number) for number in found), None)

    async def person(self, account: Account) -> Contact | None:
        return Contact(name="Member", email=self.members[account]) if account in self.members else None

    async def do(self, execution: Execution, what: str) -> Receipt:
        """Once for each key."""
        if self.free is not None:
            self.busy.set()
            await self.free.wait()
        if self.broken == "refuses":
            raise NotExecuted("The gym is closed.")
        self.done[execution.idempotency_key] = what
        if self.broken == "silent":
            raise OSError("no answer")
        return Receipt(reference=f"G-{len(self.done)}", summary=what)


def gym_desk(gym: Gym) -> Desk:
    """The desk of a gym."""
    desk = Desk("Gym", directory=gym, roles=["front"], settled_by="front")

    async def facts_of(account: Account) -> MemberFacts:
        return MemberFacts(owners=(account,), locked=account in gym.locked)

    @desk.read
    async def opening_hours() -> str:
        """When the gym is open."""
        return "always"

    @desk.read
    async def visits(account: Account, limit: int = 5) -> list[Visit]:
        """The visits of a member."""
        return [Visit(owner=account, day="Monday", trainer="Kim")][:limit]

    @desk.access
    async def access_facts(account: Account) -> MemberFacts:
        return await facts_of(account)

    @desk.operation(counts="amount")
    async def credit(execution: Execution, account: Account, amount: Money) -> Receipt:
        """Credit a membership."""
        return await gym.do(execution, f"credit {amount}")

    @credit.preview
    async def credit_facts(account: Account, amount: Money) -> MemberFacts:
        return await facts_of(account)

    @credit.undo
    async def take_back(execution: Execution, receipt: Receipt) -> Receipt:
        """Take a credit back."""
        return await gym.do(execution, f"undo {receipt.reference}")

    @take_back.preview
    async def undo_facts(account: Account, receipt: Receipt) -> UndoFacts:
        return UndoFacts(owners=(account,), locked=account in gym.locked, credit=receipt.reference)

    @desk.operation(delivery="collected")
    async def open_locker(execution: Execution, account: Account) -> Receipt:
        """Open a member's locker."""
        return await gym.do(execution, "open")

    @open_locker.preview
    async def locker_facts(account: Account) -> MemberFacts:
        return await facts_of(account)

    @desk.operation(ladder=[FRONT_DESK])
    async def change_email(execution: Execution, account: Account, email: str) -> Receipt:
        """Send a member's messages to another address."""
        return await gym.do(execution, f"email {email}")

    @change_email.preview
    async def email_facts(account: Account, email: str) -> MemberFacts:
        return await facts_of(account)

    @desk.operation
    async def pause(execution: Execution, account: Account) -> Receipt:
        """Pause a membership."""
        return await gym.do(execution, "pause")

    @pause.preview
    async def pause_facts(account: Account) -> MemberFacts:
        return await facts_of(account)

    return desk
