"""An executor outside, as the core alone makes one: its memory of the feed, and how pages are made of a workshop."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from capabilities.world import ISSUER
from counterfoil.bundle import BundledLeaf, Trust
from counterfoil.feed import LEAVES_A_PAGE, Position, Reading, read_page, state, write_page
from counterfoil.feed_leaves import OPENED, Heard, is_bar, is_for_good, is_roster_record
from counterfoil.tickets import NOTHING_HAPPENS
from server.execution.workshop import Workshop

PAYMENTS = "payments"
"""The executor outside."""


@dataclass
class Remembered:
    """A memory in memory."""

    position: Position = field(default_factory=Position)
    at: int | None = None
    heard: list[Heard] = field(default_factory=list)

    def keep(self, reading: Reading) -> None:
        """Keep a reading."""
        self.heard += reading.heard
        self.position = reading.position
        if reading.complete:
            self.at = reading.at

    def heard_at(self) -> int | None:
        return self.at

    def stopped(self, ticket: str) -> bool:
        return any(each.ticket == ticket and each.event in NOTHING_HAPPENS for each in self.heard)

    def redeemed(self, ticket: str) -> tuple[str, int] | None:
        found = ((each.envelope, each.at) for each in self.heard if each.ticket == ticket and each.envelope)
        return next(found, None)

    def barred(self, scopes: Collection[str]) -> bool:
        now: dict[str | None, bool] = {}
        for each in self.heard:
            bars = is_bar(each.event)
            if bars is not None:
                now[each.scope] = bars
        for_good = {each.scope for each in self.heard if is_for_good(each.event)}
        return any(scope in for_good or now.get(scope, False) for scope in scopes)

    def roster_records(self) -> int:
        return sum(is_roster_record(each.event) for each in self.heard)

    def roster_head(self) -> str:
        records = [each.record or "" for each in self.heard if is_roster_record(each.event)]
        return records[-1] if records else ""

    def enrolled(self, invitation: str) -> str | None:
        return next((each.enrolled[1] for each in self.heard if each.enrolled and each.enrolled[0] == invitation), None)


def trust_of(workshop: Workshop, **changes: object) -> Trust:
    """What the executor outside pins."""
    values: dict[str, object] = {
        "issuer": ISSUER,
        "executors": frozenset({PAYMENTS}),
        "roster": workshop.office.trust(),
        "authority_keys": dict(workshop.stolen_ring.verification_keys),
        "log": workshop.sealer.key,
    }
    return Trust(**(values | changes))  # type: ignore[arg-type]


async def page_of(workshop: Workshop, first: int, *, most: int = LEAVES_A_PAGE, now: int | None = None) -> bytes:
    """A page as the authority hands it out."""
    await workshop.sealer.seal()
    leaves = await workshop.store.leaves(after=first - 1, limit=most)
    end = first + len(leaves)
    proof, checkpoint = await workshop.sealer.consistency(end) if end else ([], workshop.sealer.checkpoint)
    assert checkpoint is not None
    at = workshop.store.now() if now is None else now
    return write_page(
        await state(workshop.authority.keys.current, issuer=ISSUER, checkpoint=checkpoint.note, now=at),
        first=first,
        leaves=[
            BundledLeaf(
                body=leaf.body.decode(),
                opening=leaf.opening.decode() if leaf.event in OPENED and leaf.opening is not None else None,
            )
            for leaf in leaves
        ],
        consistency=proof if end < checkpoint.size else [],
        checkpoint=checkpoint.note,
    )


async def follow(workshop: Workshop, memory: Remembered, trust: Trust | None = None) -> None:
    """Read everything there is."""
    page = await page_of(workshop, memory.position.size)
    memory.keep(read_page(page, position=memory.position, trust=trust or trust_of(workshop), not_before=memory.at or 0))
