"""The log in the file: it chains over restarts, and whoever edits it is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from counterfoil.errors import TamperDetected
from counterfoil.tickets import Event
from counterfoil_server.store import SQLiteStore, log_verbs
from server.store.world import HandClock, World, check_chain, edit, leaf, open_store, read


async def test_leaves_are_read_in_order_by_position_and_by_ticket(world: World) -> None:
    ticket = await world.pending()
    await world.store.append_leaf(leaf("started"))
    await world.step(ticket, Event.APPROVE)
    assert [each.event for each in await world.store.leaves()] == ["request", "started", "approve"]
    assert [each.event for each in await world.store.leaves(after=0, limit=1)] == ["started"]
    assert [each.event for each in await world.store.leaves(ticket=ticket.id)] == ["request", "approve"]
    assert [each.event for each in await world.store.leaves(ticket=ticket.id, after=0)] == ["approve"]
    check_chain(await world.store.leaves())


async def test_an_appended_leaf_is_answered_as_it_is_stored(world: World) -> None:
    appended = await world.store.append_leaf(leaf("started", version="1"))
    assert [appended] == await world.store.leaves()
    assert appended.values["groups"].keys() == {"version"}


async def test_the_chain_goes_on_after_a_restart(path: Path, clock: HandClock) -> None:
    for _ in range(3):
        async with open_store(path, clock) as store:
            await store.append_leaf(leaf("started"))
            await World(store).executing()
    async with open_store(path, clock) as store:
        check_chain(await store.leaves())
        assert await store.verify_log() == 15


async def _five_leaves(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        await World(store).approved()
        for _ in range(3):
            await store.append_leaf(leaf("started", by="ann"))


EDITS = {
    "an edited body": "UPDATE leaf SET body = CAST(replace(body, 'started', 'stopped') AS BLOB) WHERE number = 2",
    "an edited mac": "UPDATE leaf SET mac = zeroblob(32) WHERE number = 2",
    "a removed leaf": "DELETE FROM leaf WHERE number = 2",
    "a removed first leaf": "DELETE FROM leaf WHERE number = 0",
    "an edited opening": "UPDATE leaf SET opening = CAST(replace(opening, 'ann', 'bob') AS BLOB) WHERE number = 2",
    "a broken opening": "UPDATE leaf SET opening = x'7b7d' WHERE number = 2",
    "another ticket": "UPDATE leaf SET ticket = 'tk_other' WHERE number = 2",
    "another event": "UPDATE leaf SET event = 'stopped' WHERE number = 2",
    "a moved leaf": "UPDATE leaf SET number = -1 WHERE number = 2",
    "a foreign request": "UPDATE ticket SET request_leaf = 2",
}


@pytest.mark.parametrize("change", EDITS, ids=lambda name: name.replace(" ", "-"))
async def test_whoever_edits_the_log_is_found_out(
    path: Path, clock: HandClock, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_verbs, "VERIFIED_AT_ONCE", 2)
    await _five_leaves(path, clock)
    assert edit(path, EDITS[change]) == 1
    async with open_store(path, clock) as store:
        with pytest.raises(TamperDetected, match=r"[Ll]eaf [0-2] |tk_"):
            await store.verify_log()


async def test_swapped_leaves_are_found_out(path: Path, clock: HandClock) -> None:
    await _five_leaves(path, clock)
    for old, new in ((1, 99), (2, 1), (99, 2)):
        edit(path, "UPDATE leaf SET number = ? WHERE number = ?", (new, old))
    async with open_store(path, clock) as store:
        with pytest.raises(TamperDetected, match="Leaf 1 "):
            await store.verify_log()


async def test_deleted_openings_leave_the_log_whole(path: Path, clock: HandClock) -> None:
    await _five_leaves(path, clock)
    edit(path, "UPDATE leaf SET opening = NULL")
    async with open_store(path, clock) as store:
        assert await store.verify_log() == 5


async def test_an_end_that_is_cut_off_while_the_store_is_open_is_found_out(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        await World(store).approved()
        edit(path, "DELETE FROM leaf WHERE number = 1")
        with pytest.raises(TamperDetected, match="Leaf 1 "):
            await store.verify_log()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM leaf WHERE number = 4",
        "DELETE FROM leaf",
        "UPDATE leaf SET body = x'7b7d' WHERE number = 4",
        "UPDATE head SET leaves = 4",
        "UPDATE head SET seal = zeroblob(32)",
        "UPDATE head SET seal = NULL",
        "UPDATE head SET clock = clock + 3600",
        "UPDATE head SET clock = 0",
    ],
)
async def test_a_log_whose_end_was_cut_or_edited_is_refused_at_the_start(
    path: Path, clock: HandClock, change: str
) -> None:
    await _five_leaves(path, clock)
    edit(path, change)
    with pytest.raises(TamperDetected):
        open_store(path, clock)


async def test_T50_a_clock_put_forward_beside_an_empty_log_is_refused_at_the_start(
    path: Path, clock: HandClock
) -> None:
    async with open_store(path, clock) as store:
        await store.put_setting("any", "write")
    edit(path, "UPDATE head SET clock = clock + 3600")
    with pytest.raises(TamperDetected):
        open_store(path, clock)


async def test_a_log_of_another_key_is_refused_at_the_start(path: Path, clock: HandClock) -> None:
    await _five_leaves(path, clock)
    with pytest.raises(TamperDetected):
        SQLiteStore.open(path, log_key=bytes(32), clock=clock)


async def test_the_file_holds_no_value_of_a_leaf_outside_its_opening(path: Path, clock: HandClock) -> None:
    await _five_leaves(path, clock)
    edit(path, "UPDATE leaf SET opening = NULL")
    assert not any(b"ann" in body for (body,) in read(path, "SELECT body FROM leaf"))
