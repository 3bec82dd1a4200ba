"""The outbox: leases, retries and the cap per recipient."""

from __future__ import annotations

import pytest

from counterfoil.errors import UnknownName
from counterfoil.store import Notice, NoticeDraft
from server.store.world import START, HandClock, World


async def _queue(world: World, *recipients: str, capped: bool = True) -> None:
    await world.store.add_notices(
        "tk", [NoticeDraft("approve", name, f"{name}@example.com", None, capped) for name in recipients]
    )


async def _lease(world: World, *, limit: int = 10, cap: int = 3) -> list[Notice]:
    return await world.store.lease_notices(limit=limit, lease=30, cap=cap, window=3600)


async def test_a_notice_is_leased_once_until_its_lease_is_over(world: World, clock: HandClock) -> None:
    await _queue(world, "ann", "bob")
    assert [notice.recipient for notice in await _lease(world, limit=1)] == ["ann"]
    assert [notice.recipient for notice in await _lease(world)] == ["bob"]
    assert await _lease(world) == []
    clock.time += 30
    again = await _lease(world)
    assert [(notice.recipient, notice.tries) for notice in again] == [("ann", 2), ("bob", 2)]


async def test_a_delivery_is_settled(world: World, clock: HandClock) -> None:
    await _queue(world, "ann", "bob", "eve")
    sent, later, never = await _lease(world)
    await world.store.settle_notice(sent.id, sent=True, error=None, next_try=None)
    await world.store.settle_notice(later.id, sent=False, error="busy", next_try=START + 300)
    await world.store.settle_notice(never.id, sent=False, error="no such mailbox", next_try=None)
    states = {each.recipient: (each.state, each.error, each.sent_at) for each in await world.store.notices("tk")}
    assert states == {
        "ann": ("sent", None, START), "bob": ("queued", "busy", None), "eve": ("failed", "no such mailbox", None),
    }  # fmt: skip
    clock.time += 299
    assert await _lease(world) == []
    clock.time += 1
    assert [notice.recipient for notice in await _lease(world)] == ["bob"]
    with pytest.raises(UnknownName):
        await world.store.settle_notice(99, sent=True, error=None, next_try=None)


async def test_a_recipient_gets_so_many_capped_notices_in_a_window_and_the_rest_later(
    world: World, clock: HandClock
) -> None:
    await _queue(world, "ann", "ann")
    for notice in await _lease(world, cap=2):
        await world.store.settle_notice(notice.id, sent=True, error=None, next_try=None)
    clock.time += 600
    await _queue(world, "ann", "bob", "ann")
    await _queue(world, "ann", capped=False)
    assert [notice.recipient for notice in await _lease(world, cap=2)] == ["bob", "ann"]
    waiting = [notice for notice in await world.store.notices() if notice.state == "queued" and notice.tries == 0]
    assert [notice.next_try for notice in waiting] == [START + 3600] * 2
    clock.time = START + 3599
    assert "ann" not in {notice.recipient for notice in await _lease(world, cap=2) if notice.tries == 1}
    clock.time = START + 3600
    assert [notice.recipient for notice in await _lease(world, cap=2) if notice.tries == 1] == ["ann", "ann"]


async def test_held_back_notices_do_not_keep_others_waiting(world: World) -> None:
    await _queue(world, *["ann"] * 5, "bob")
    assert [notice.recipient for notice in await _lease(world, limit=2, cap=1)] == ["ann", "bob"]


async def test_a_lease_that_nobody_settled_counts_and_a_failed_delivery_does_not(world: World) -> None:
    await _queue(world, "ann")
    first = (await _lease(world, cap=1))[0]
    await _queue(world, "ann")
    assert await _lease(world, cap=1) == []
    await world.store.settle_notice(first.id, sent=False, error="busy", next_try=START + 9000)
    await _queue(world, "ann")
    assert len(await _lease(world, cap=1)) == 1


async def test_a_lease_that_ran_out_does_not_stand_in_its_own_way(world: World, clock: HandClock) -> None:
    await _queue(world, "ann")
    await _lease(world, cap=1)
    clock.time += 30
    assert [notice.tries for notice in await _lease(world, cap=1)] == [2]


async def test_a_cap_of_none_holds_everything_back(world: World) -> None:
    await _queue(world, "ann")
    assert await _lease(world, cap=0) == []
    assert [notice.next_try for notice in await world.store.notices()] == [START + 3600]


async def test_notices_without_a_ticket_are_listed_newest_first(world: World) -> None:
    await world.store.add_notices(None, [NoticeDraft("enrolled", name, name) for name in ("ann", "bob")])
    await _queue(world, "eve")
    assert [notice.recipient for notice in await world.store.notices(limit=2)] == ["eve", "bob"]
    assert [notice.recipient for notice in await world.store.notices("tk")] == ["eve"]
