"""A desk whose holders open their records to a chat, and where one operation may then run by itself."""

from __future__ import annotations

from capabilities.world import Shop
from counterfoil.desk import Desk
from counterfoil.values import Account, Execution, Facts, NotExecuted, Owned, Receipt, needs, shown


class Visit(Owned):
    """A record of somebody's."""

    day: str
    card: str | None = needs("passkey_bound")


class AccessFacts(Facts):
    """What is looked at before records are opened."""

    locked: bool = shown()


class ResumeFacts(AccessFacts):
    """What is known of the pause that would end."""

    pause: str


POLICY = """
@id("records are opened by their holder")
permit(principal, action == Action::"access", resource) when { context.holder_passkey && context.code_typed };
@id("locked records stay shut")
forbid(principal, action == Action::"access", resource) when { resource.facts.locked };
@id("the holder pauses their visits")
permit(principal, action == Action::"pause", resource) when { context.holder_passkey && context.code_typed };
@id("twice a day the AI pauses them alone")
permit(principal, action == Action::"pause/unattended", resource)
when { !context.tainted && context.counters.count_24h <= 2 && !resource.facts.locked };
@id("the holder takes them up again")
permit(principal, action == Action::"undo_pause", resource) when { context.holder_passkey && context.code_typed };
@id("or the AI, alone")
permit(principal, action == Action::"undo_pause/unattended", resource) when { !resource.facts.locked };
@id("the holder closes")
permit(principal, action == Action::"close", resource) when { context.holder_passkey && context.code_typed };
@id("nobody closes what is locked")
forbid(principal, action == Action::"close", resource) when { resource.facts.locked };
"""


def parlour_desk(shop: Shop) -> Desk:
    """Visits to read, a pause that policy lets run alone, a closure that it does not."""
    desk = Desk("Acme parlour", directory=shop, roles=["finance"])

    @desk.read
    async def visits(account: Account) -> list[Visit]:
        """The visits that were booked."""
        return [Visit(owner=account, day="Monday", card="4242")]

    @desk.access
    async def access_facts(account: Account) -> AccessFacts:
        return AccessFacts(owners=(account,), locked=account in shop.locked)

    @desk.operation
    async def pause(execution: Execution, account: Account, days: int = 7) -> Receipt:
        """Pause the visits."""
        raise NotExecuted("the core never runs connectors")

    @pause.preview
    async def pause_facts(account: Account, days: int = 7) -> AccessFacts:
        return AccessFacts(owners=(account,), locked=account in shop.locked)

    @pause.undo
    async def resume(execution: Execution, receipt: Receipt) -> Receipt:
        """Take the visits up again."""
        raise NotExecuted("the core never runs connectors")

    @resume.preview
    async def resume_facts(account: Account, receipt: Receipt) -> ResumeFacts:
        return ResumeFacts(owners=(account,), locked=account in shop.locked, pause=receipt.reference)

    @desk.operation
    async def close(execution: Execution, account: Account, days: int = 7) -> Receipt:
        """Close the account."""
        raise NotExecuted("the core never runs connectors")

    @close.preview
    async def close_facts(account: Account, days: int = 7) -> AccessFacts:
        return AccessFacts(owners=(account,), locked=account in shop.locked)

    desk.check()
    return desk
