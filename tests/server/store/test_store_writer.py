"""The writer: batches, rollbacks, callers that leave, disks that are full and commits that fail."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from counterfoil.errors import BadJSON, StoreFailed, UnknownName
from counterfoil.tickets import State
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.writer import Transaction
from server.store.world import HandClock, World, check_chain, leaf, open_store


def _put(name: str) -> tuple[str, tuple[str, str]]:
    return "INSERT INTO setting (name, value) VALUES (?, ?)", (name, "x")


class _Gate:
    """Work that keeps the writer busy until the test lets it go on, so that what comes meanwhile is one batch."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self, transaction: Transaction) -> None:
        self.reached.set()
        self.go.wait(30)


async def _held(store: SQLiteStore) -> tuple[_Gate, asyncio.Task[None]]:
    gate = _Gate()
    task = asyncio.ensure_future(store._write(gate))
    await asyncio.to_thread(gate.reached.wait, 30)
    return gate, task


async def test_callers_that_wait_together_share_one_commit(store: SQLiteStore) -> None:
    gate, busy = await _held(store)
    before = store.commits
    calls = [asyncio.create_task(store.put_setting(str(number), "x")) for number in range(50)]
    await asyncio.sleep(0)  # every caller has handed in its work
    gate.go.set()
    await asyncio.gather(busy, *calls)
    assert store.commits == before + 1
    assert await store.setting("49") == "x"


async def test_calls_that_change_nothing_commit_nothing(world: World) -> None:
    await world.store.put_setting("a", "b")
    before = world.store.commits
    assert await world.store.take_secret("link", "none") is None
    assert await world.store.expire_due() == 0
    assert world.store.commits == before


async def test_work_that_raises_takes_back_its_own_changes_and_leaves_and_no_others(store: SQLiteStore) -> None:
    def fails(transaction: Transaction) -> None:
        transaction.change(*_put("lost"))
        transaction.write_leaf(leaf("lost"))
        raise UnknownName("after the change")

    def only_a_leaf(transaction: Transaction) -> None:
        transaction.write_leaf(leaf("lost"))
        raise UnknownName("after the leaf")

    def broken(transaction: Transaction) -> None:
        transaction.write_leaf(leaf("lost"))
        transaction.change("INSERT INTO setting (name, value) VALUES (NULL, NULL)")

    gate, busy = await _held(store)
    calls = [
        asyncio.ensure_future(call)
        for call in (
            store.append_leaf(leaf("first")), store._write(fails), store._write(only_a_leaf), store._write(broken),
            store.put_setting("kept", "x"), store.append_leaf(leaf("last")),
        )
    ]  # fmt: skip
    await asyncio.sleep(0)
    gate.go.set()
    results = await asyncio.gather(busy, *calls, return_exceptions=True)
    assert [type(result).__name__ for result in results] == [
        "NoneType", "Leaf", "UnknownName", "UnknownName", "StoreFailed", "NoneType", "Leaf",
    ]  # fmt: skip
    assert (await store.setting("kept"), await store.setting("lost")) == ("x", None)
    assert [each.event for each in await store.leaves()] == ["first", "last"]
    check_chain(await store.leaves())
    await store.verify_log()


def _claim(name: str, old: str = "value = 'free'") -> Callable[[Transaction], int]:
    """Work that takes what is still free, and writes a leaf."""

    def work(transaction: Transaction) -> int:
        if not transaction.claim(f"UPDATE setting SET value = 'taken' WHERE name = ? AND {old}", (name,)):
            raise UnknownName(name)
        return transaction.write_leaf(leaf("claimed"))

    return work


async def in_one_batch(store: SQLiteStore, *work: Callable[[Transaction], Any]) -> list[Any]:
    """The result, or the error, of each."""
    gate, busy = await _held(store)
    calls = [asyncio.ensure_future(store._write(each)) for each in work]
    await asyncio.sleep(0)
    gate.go.set()
    await busy
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_claims_of_one_batch_are_each_answered_by_themselves(store: SQLiteStore) -> None:
    """The first of each name meets a row; who comes later is refused, alone, and leaves no leaf."""
    for name in "abc":
        await store.put_setting(name, "free")
    results = await in_one_batch(store, *map(_claim, "abcab"))
    assert [type(result) for result in results] == [int, int, int, UnknownName, UnknownName]
    assert len(await store.leaves(after=-1)) == 3
    await store.verify_log()


async def test_a_claim_that_meets_nothing_spends_no_other(store: SQLiteStore) -> None:
    for name in "ab":
        await store.put_setting(name, "free")
    results = await in_one_batch(store, _claim("a"), _claim("c"), _claim("b", "value <> 'taken'"))
    assert [type(result) for result in results] == [int, UnknownName, int]


async def test_a_claim_is_seen_by_what_reads_after_it_in_the_same_batch(store: SQLiteStore) -> None:
    await store.put_setting("a", "free")
    results = await in_one_batch(store, _claim("a"), lambda t: t.rows("SELECT value FROM setting WHERE name = 'a'"))
    assert results == [0, [("taken",)]]


async def test_work_that_raises_after_a_claim_takes_the_claim_back(store: SQLiteStore) -> None:
    await store.put_setting("a", "free")

    def work(transaction: Transaction) -> None:
        _claim("a")(transaction)
        raise UnknownName("a")

    with pytest.raises(UnknownName):
        await store._write(work)
    assert await store.setting("a") == "free"


async def test_an_error_of_a_claim_is_told_to_who_made_it_and_to_nobody_else(store: SQLiteStore) -> None:
    """Also where it is not SQLite's own, such as a lack of memory, and shows only when somebody else reads."""
    await store.put_setting("a", "free")
    results = await in_one_batch(store, _claim("\ud800"), _claim("a"), lambda t: t.rows("SELECT 1"))
    assert [type(result) for result in results] == [UnicodeEncodeError, int, list]
    assert await store.setting("a") == "taken"
    assert len(await store.leaves()) == 1


async def test_work_after_sqlite_gave_the_transaction_up_is_not_kept_without_it(store: SQLiteStore) -> None:
    """As it may do when memory is short, which is no error of SQLite's own to Python."""

    def short_of_memory(transaction: Transaction) -> None:
        transaction.rows("ROLLBACK")
        raise MemoryError

    put = [lambda transaction, name=name: transaction.change(*_put(name)) for name in "ab"]
    results = await in_one_batch(store, put[0], short_of_memory, put[1])
    assert [type(result) for result in results] == [StoreFailed] * 3
    assert (await store.setting("a"), await store.setting("b")) == (None, None)
    await store.put_setting("a", "x")
    await store.verify_log()


def test_a_leaf_that_cannot_be_sealed_never_reaches_the_writer() -> None:
    with pytest.raises(BadJSON):
        leaf("x", text="\ud800")


async def test_a_caller_that_leaves_changes_nothing_for_the_others(store: SQLiteStore) -> None:
    gate, busy = await _held(store)
    leaving = asyncio.create_task(store.put_setting("left", "x"))
    staying = asyncio.create_task(store.put_setting("stayed", "x"))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.go.set()
    await asyncio.gather(busy, staying)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await store.setting("left"), await store.setting("stayed")) == ("x", "x")


async def test_callers_of_several_event_loops_are_served(store: SQLiteStore) -> None:
    def elsewhere() -> None:
        asyncio.run(store.put_setting("elsewhere", "x"))

    await asyncio.gather(asyncio.to_thread(elsewhere), store.put_setting("here", "x"))
    assert (await store.setting("elsewhere"), await store.setting("here")) == ("x", "x")


async def test_a_loop_that_closed_while_its_work_waited_disturbs_nobody(store: SQLiteStore) -> None:
    gate, busy = await _held(store)
    loop = asyncio.new_event_loop()
    task = loop.create_task(store.put_setting("orphan", "x"))
    loop.call_soon(loop.stop)

    def run_and_close() -> None:
        loop.run_forever()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    await asyncio.to_thread(run_and_close)
    gate.go.set()
    await busy
    await store.put_setting("after", "x")
    assert await store.setting("orphan") == "x"


async def test_a_closed_store_refuses(path: Path, clock: HandClock) -> None:
    store = open_store(path, clock)
    await store.close()
    await store.close()
    with pytest.raises(StoreFailed, match="closed"):
        await store.put_setting("a", "b")


async def test_closing_finishes_what_was_handed_in(path: Path, clock: HandClock) -> None:
    store = open_store(path, clock)
    calls = [asyncio.create_task(store.put_setting(str(number), "x")) for number in range(600)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*calls)
    async with open_store(path, clock) as again:
        assert await again.setting("599") == "x"


async def test_a_full_disk_is_refused_and_nothing_is_kept_and_work_goes_on_when_there_is_space(world: World) -> None:
    store = world.store
    ticket = await world.approved()
    redeeming = world.redeeming(ticket, await world.minted(ticket))

    async def limit_pages(extra: int) -> None:
        def limit(transaction: Transaction) -> None:
            pages = transaction.rows("PRAGMA page_count")[0][0]
            transaction.rows(f"PRAGMA max_page_count = {pages + extra}")

        await store._write(limit)

    await limit_pages(0)
    before = await store.leaves(limit=10**6)
    requests = [world.new(account=str(number)) for number in range(400)]  # more than the pages that exist have room for
    results = [(await asyncio.gather(store.create_ticket(new), return_exceptions=True))[0] for new in requests]
    errors = [result for result in results if isinstance(result, BaseException)]
    assert len(errors) > 300
    assert {type(error) for error in errors} == {StoreFailed}
    assert {type(error.__cause__) for error in errors} == {sqlite3.OperationalError}
    await world.check_everything()
    kept = len(await store.leaves(limit=10**6)) - len(before)
    assert kept == 400 - len(errors)
    await limit_pages(10_000)
    await store.redeem(redeeming)
    assert await world.state(ticket) is State.EXECUTING
    await world.pending()
    await world.check_everything()


COMMIT_FAILS = """
import asyncio, resource, signal, sys
from pathlib import Path
from counterfoil.errors import StoreFailed
from server.store.world import HandClock, World, open_store

async def main(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    clock = HandClock()
    async with open_store(path, clock) as store:
        world = World(store)
        tickets = [await world.approved(account=str(number)) for number in range(20)]
        claims = [world.redeeming(ticket, await world.minted(ticket)) for ticket in tickets]
        size = path.with_name(path.name + "-wal").stat().st_size
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        before = store.commits
        results = await asyncio.gather(*(store.redeem(claim) for claim in claims), return_exceptions=True)
        assert all(isinstance(result, StoreFailed) for result in results), results
        assert store.commits == before
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert {await world.state(ticket) for ticket in tickets} == {"approved"}
        for claim in claims:
            await store.redeem(claim)
        await world.check_everything()
    async with open_store(path, clock) as store:
        await World(store).check_everything()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_commit_that_fails_keeps_nothing_of_the_batch_and_later_ones_succeed(path: Path) -> None:
    tests = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", COMMIT_FAILS, str(path)], cwd=tests, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
