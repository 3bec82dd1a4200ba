"""Looking through the log: by time, by words, page by page; and whoever edited the stretch looked at is found out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from counterfoil.log import GENESIS
from counterfoil.tickets import Event
from counterfoil_server.store import SQLiteStore, log_reader
from server.store.world import START, HandClock, World, edit, leaf, open_store


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "LOOKED_THROUGH_AT_ONCE", 2)


@pytest.fixture
async def store(path: Path, clock: HandClock) -> AsyncIterator[SQLiteStore]:
    """Leaves 0 to 6, one a second."""
    async with open_store(path, clock) as store:
        world = World(store)
        first = await world.pending(account="A-1", principal="bot", operation="pay")
        for draft in (
            leaf("suspend", scope="account:A-1", reason="r"),
            leaf("suspend", scope="principal-account:bot|A-1", reason="r"),
            leaf("suspend", scope="principal-account:other|A-2", reason="r"),
            leaf("enrol", person="ann", credential="c"),
            leaf("suspend", scope="person:ann", reason="r"),
        ):
            clock.time += 1
            await store.append_leaf(draft)
        clock.time += 1
        await world.step(first, Event.APPROVE)
        yield store


async def found(store: SQLiteStore, **wanted: str) -> list[int]:
    stretch = await store.log_reader().search(wanted, limit=50)
    assert stretch.broken is None
    return [filed.leaf.index for filed in stretch.found]


async def test_words_are_looked_for_in_tickets_openings_and_scopes(store: SQLiteStore) -> None:
    assert await found(store) == [0, 1, 2, 3, 4, 5, 6]
    assert await found(store, event="suspend") == [1, 2, 3, 5]
    assert await found(store, account="A-1") == [0, 1, 2, 6]
    assert await found(store, account="A-2") == [3]
    assert await found(store, principal="bot") == [0, 2, 6]
    assert await found(store, principal="bo") == []
    assert await found(store, operation="pay") == [0, 6]
    assert await found(store, person="ann") == [4, 5]
    assert await found(store, person="ann", event="enrol") == [4]
    assert await found(store, event="x' OR 1 OR '") == []


async def test_what_was_only_in_a_deleted_or_unreadable_opening_is_not_found(path: Path, store: SQLiteStore) -> None:
    edit(path, "UPDATE leaf SET opening = NULL WHERE number = 4")
    assert await found(store, person="ann") == [5]
    edit(path, "UPDATE leaf SET opening = x'7b' WHERE number = 5")
    stretch = await store.log_reader().search({"person": "ann"}, limit=5)
    assert stretch.found == []
    assert stretch.broken == "The opening of leaf 5 of the log is not what was recorded."


@pytest.mark.parametrize(
    ("since", "until", "numbers"),
    [
        (None, None, [0, 1, 2, 3, 4, 5, 6]),
        (START + 2, None, [2, 3, 4, 5, 6]),
        (None, START + 2, [0, 1]),
        (START + 2, START + 4, [2, 3]),
        (START + 4, START + 2, []),
        (0, 2 * START, [0, 1, 2, 3, 4, 5, 6]),
        (2 * START, None, []),
    ],
)
async def test_times_bound_it_from_the_first_to_before_the_second(
    store: SQLiteStore, since: int | None, until: int | None, numbers: list[int]
) -> None:
    stretch = await store.log_reader().search({}, since=since, until=until, limit=50)
    assert [filed.leaf.index for filed in stretch.found] == numbers
    assert (stretch.following, stretch.broken) == (None, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("wanted", [{}, {"event": "suspend"}])
async def test_pages_go_on_where_the_last_one_ended(store: SQLiteStore, limit: int, wanted: dict[str, str]) -> None:
    pages: list[list[int]] = []
    after: int | None = -1
    while after is not None:
        stretch = await store.log_reader().search(wanted, after=after, limit=limit)
        pages.append([filed.leaf.index for filed in stretch.found])
        after = None if stretch.following is None else stretch.following - 1
    assert [number for page in pages for number in page] == await found(store, **wanted)
    assert max(map(len, pages)) <= limit


async def test_a_leaf_comes_with_what_it_follows_and_is_about(path: Path, store: SQLiteStore) -> None:
    reader = store.log_reader()
    newest = await reader.newest(2)
    assert [filed.leaf.index for filed in newest] == [5, 6]
    assert newest[1].previous == newest[0].leaf.mac
    assert (newest[1].operation, newest[1].account, newest[1].principal) == ("pay", "A-1", "bot")
    [first] = await reader.after(-1, 1)
    assert first.previous == GENESIS
    edit(path, "DELETE FROM leaf WHERE number = 5")
    assert [filed.previous for filed in await reader.after(5, 9)] == [None]


EDITS = {
    "an edited body": ("UPDATE leaf SET body = CAST(replace(body, 'enrol', 'unrol') AS BLOB) WHERE number = 4", 4),
    "an edited mac": ("UPDATE leaf SET mac = zeroblob(32) WHERE number = 3", 3),
    "a short mac": ("UPDATE leaf SET mac = x'00' WHERE number = 3", 3),
    "a removed leaf": ("DELETE FROM leaf WHERE number = 2", 2),
    "a removed last leaf": ("DELETE FROM leaf WHERE number = 6", 6),
    "another event": ("UPDATE leaf SET event = 'enrol' WHERE number = 3", 3),
    "another ticket": ("UPDATE leaf SET ticket = 'cf_x' WHERE number = 3", 3),
}


@pytest.mark.parametrize("change", EDITS, ids=lambda name: name.replace(" ", "-"))
async def test_an_edit_in_the_stretch_is_named_whatever_was_looked_for(
    path: Path, store: SQLiteStore, change: str
) -> None:
    sql, number = EDITS[change]
    assert edit(path, sql) == 1
    reader = store.log_reader()
    for stretch in (await reader.search({"event": "approve"}, limit=5), await reader.search({}, limit=50)):
        assert (stretch.broken or "").startswith(f"Leaf {number} of the log ")
    assert (await reader.verified_from(0) or "").startswith(f"Leaf {number} of the log ")


async def test_a_stretch_without_its_first_neighbour_is_broken_and_one_before_an_edit_is_not(
    path: Path, store: SQLiteStore
) -> None:
    edit(path, "DELETE FROM leaf WHERE number = 4")
    reader = store.log_reader()
    assert await reader.verified_from(5) == "Leaf 4 of the log is missing."
    assert (await reader.search({}, after=-1, limit=2)).broken is None
