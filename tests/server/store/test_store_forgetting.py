"""Deleting for good: what goes, what stays whatever its age, that the bytes are gone, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil import feed_leaves
from counterfoil.leaves import administered
from counterfoil.store import NoticeDraft
from counterfoil.tickets import TERMINAL, State
from counterfoil.turns import Limits, TurnDraft, turns_leaf
from counterfoil_server.retention import Retention
from counterfoil_server.store import SQLiteStore, forgetting
from counterfoil_server.store.forgetting import AT_ONCE, KINDS, Scope
from server.store.world import DAY, HandClock, World, open_store, read

MANY = Limits(per_call=10**6, per_conversation=10**6, characters=10**9, per_hour=10**6)
TOLD = NoticeDraft("approve", "ana-1", "ana@office.example")


async def say(store: SQLiteStore, conversation: str, *texts: str) -> None:
    turns = [TurnDraft("user", text) for text in texts]
    leaf = turns_leaf(conversation, "agent", turns)
    assert await store.add_turns(conversation, "agent", turns, leaf=leaf, limits=MANY)


async def openable(store: SQLiteStore, ticket: str) -> set[bool]:
    """Whether the leaves of a ticket can be opened."""
    return {leaf.opening is not None for leaf in await store.leaves(ticket=ticket)}


async def settle_notices(store: SQLiteStore) -> None:
    for notice in await store.lease_notices(limit=1000, lease=60, cap=1000, window=3600):
        await store.settle_notice(notice.id, sent=True, error=None, next_try=None)


@pytest.mark.parametrize("state", State)
async def test_only_what_ended_loses_its_openings_and_recipients(
    store: SQLiteStore, world: World, clock: HandClock, state: State
) -> None:
    ticket = await world.in_state(state, notices=[TOLD], conversation="cv_1")
    await settle_notices(store)
    clock.time += 500 * DAY
    await Retention(store).forget(before=store.now())
    ended = state in TERMINAL
    assert await openable(store, ticket.id) == {not ended}
    [notice] = await store.notices(ticket.id)
    assert notice.address == ("" if ended else "ana@office.example")
    assert await world.check_everything() == 1


@pytest.mark.parametrize(("hours", "gone"), [(23, False), (25, True)])
async def test_what_ended_rests_for_a_day(
    store: SQLiteStore, world: World, clock: HandClock, hours: int, gone: bool
) -> None:
    """A grant that has just ended may still be under what an order runs; a page may still be open."""
    ticket = await world.in_state(State.EXECUTED, operation="access", conversation="cv_1", notices=[TOLD])
    await settle_notices(store)
    clock.time += hours * 3600
    await Retention(store).forget(account="account-1")
    assert await openable(store, ticket.id) == {not gone}
    assert (await store.notices(ticket.id))[0].address == ("" if gone else "ana@office.example")


async def test_a_message_that_still_has_to_go_out_keeps_its_address(
    store: SQLiteStore, world: World, clock: HandClock
) -> None:
    ticket = await world.in_state(State.EXECUTED, notices=[TOLD])
    clock.time += 500 * DAY
    await Retention(store).forget(before=store.now())
    [notice] = await store.lease_notices(limit=10, lease=60, cap=10, window=3600)
    assert (notice.ticket, notice.address) == (ticket.id, "ana@office.example")


async def test_what_was_sent_lately_counts_for_the_cap_whoever_is_forgotten(
    store: SQLiteStore, world: World, clock: HandClock
) -> None:
    await store.add_notices(None, [TOLD] * 3)
    await settle_notices(store)
    await Retention(store).forget(before=store.now() + 1)
    await store.add_notices(None, [TOLD])
    assert await store.lease_notices(limit=10, lease=60, cap=3, window=3600) == []


async def test_an_age_is_a_limit_to_the_second(store: SQLiteStore, world: World, clock: HandClock) -> None:
    start = store.now()
    for text in ("first", "second", "third"):
        await say(store, "cv_1", text)
        await store.append_leaf(administered("principal_disabled", principal=text))
        clock.time += 1
    clock.time += 500 * DAY
    done = await Retention(store).forget(before=start + 2)
    assert done["counts"] == {"turns": 2, "openings": 4, "notices": 0}
    assert [turn.text for turn in await store.turns("cv_1")] == [None, None, "third"]
    # With the salt, whoever has the digest could still try what the text was.
    assert [turn.salt is None for turn in await store.turns("cv_1")] == [True, True, False]
    assert [leaf.opening is not None for leaf in await store.leaves()][:6] == [False] * 4 + [True] * 2


async def test_what_is_barred_can_be_heard_by_whoever_begins_to_follow_the_log(
    store: SQLiteStore, clock: HandClock
) -> None:
    """The feed's own reader refuses a leaf that bars something and does not open."""
    for event in ("revoke_scope", "suspend", "resume"):
        await store.append_leaf(administered(event, scope="account:A-1", reason="odd"))
    await store.append_leaf(administered("principal_disabled", principal="A-1"))
    clock.time += 500 * DAY
    await Retention(store).forget(before=store.now())
    await Retention(store).forget(account="A-1")
    opened = {leaf.event: leaf.opening is not None for leaf in await store.leaves()}
    assert {event for event, stays in opened.items() if not stays} == {"principal_disabled"}
    assert all(opened[event] for event in feed_leaves.OPENED if event in opened)


async def test_what_became_needed_meanwhile_is_not_deleted(store: SQLiteStore, world: World, clock: HandClock) -> None:
    """The transaction asks again, whatever was found before."""
    ticket = await world.pending()
    clock.time += 500 * DAY
    numbers = [leaf.index for leaf in await store.leaves(ticket=ticket.id)]
    assert await store.forgetter().delete("openings", Scope(store.now()), numbers) == 0
    assert await openable(store, ticket.id) == {True}


async def test_an_account_takes_what_names_it_and_nothing_else(
    store: SQLiteStore, world: World, clock: HandClock
) -> None:
    mine = await world.in_state(State.EXECUTED, account="A-1", conversation="cv_1", notices=[TOLD])
    theirs = await world.in_state(State.EXECUTED, account="A-2", conversation="cv_2", notices=[TOLD])
    named = await store.append_leaf(administered("personal_read", account="A-1", read="x", grant="g", conversation="c"))
    other = await store.append_leaf(administered("personal_read", account="A-2", read="x", grant="g", conversation="c"))
    await say(store, "cv_1", "mine")
    await say(store, "cv_2", "theirs")
    await settle_notices(store)
    clock.time += 2 * DAY
    await Retention(store).forget(account="A-1")
    assert [await openable(store, ticket.id) for ticket in (mine, theirs)] == [{False}, {True}]
    assert [turn.text for name in ("cv_1", "cv_2") for turn in await store.turns(name)] == [None, "theirs"]
    assert [notice.address for notice in await store.notices()] == ["ana@office.example", ""]
    leaves = await store.leaves()
    assert (leaves[named.index].opening, leaves[other.index].opening is not None) == (None, True)


async def test_no_byte_of_it_is_left_in_the_files(store: SQLiteStore, path: Path, clock: HandClock) -> None:
    """Texts of all sizes, deleted in pieces and with others coming in between, so that pages are split and freed."""
    dice = random.Random(7)  # noqa: S311
    sizes = [dice.choice((12, 200, 3_900, 4_100, 7_900)) for _ in range(600)]
    for number, size in enumerate(sizes):
        await say(store, f"cv_{number % 7}", f"needle-{number:04}-" + "x" * size)
    await store.add_notices(
        None, [NoticeDraft("told", f"needle-person-{n}", f"needle{n}@x.example") for n in range(90)]
    )
    await settle_notices(store)
    clock.time += 10 * DAY
    retention = Retention(store)
    for conversation in ("cv_3", "cv_5"):
        await retention.forget(conversation=conversation)
        for number in range(40):
            await say(store, f"cv_new_{number}", "y" * dice.choice((30, 4_000)))
    assert b"needle-" in path.read_bytes()
    done = await retention.forget(before=store.now() - DAY)
    assert done["overwritten"] is True
    wal = path.with_name(path.name + "-wal")
    for file in (path, wal):
        assert b"needle" not in file.read_bytes(), file
    assert (await store.verify_log()) > 600
    assert read(path, "PRAGMA integrity_check") == [("ok",)]


async def test_deleted_bytes_are_overwritten_on_every_system(store: SQLiteStore) -> None:
    rows = await store._write(lambda transaction: transaction.rows("PRAGMA secure_delete"))
    assert rows == [(1,)]


async def test_while_somebody_reads_it_says_that_the_log_beside_it_could_not_be_emptied(
    store: SQLiteStore, path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 1)
    await say(store, "cv_1", "needle")
    clock.time += DAY
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turn").fetchone()
        assert (await Retention(store).forget(before=store.now()))["overwritten"] is False
        await say(store, "cv_1", "others still write")
    assert (await Retention(store).forget(before=store.now(), kinds=["turns"]))["overwritten"] is True
    assert b"needle" not in path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()
    waits = await store._write(lambda transaction: transaction.rows("PRAGMA busy_timeout"))
    assert waits == [(10000,)]


async def test_a_large_deletion_is_many_small_transactions_and_others_write_between_them(
    store: SQLiteStore, clock: HandClock
) -> None:
    await say(store, "cv_1", *map(str, range(AT_ONCE * 6 + 1)))
    clock.time += DAY
    commits, between = store.commits, 0
    forgetter, scope = store.forgetter(), Scope(store.now())
    async for numbers in forgetter.due("turns", scope):
        assert len(numbers) <= AT_ONCE
        assert await forgetter.delete("turns", scope, numbers) == len(numbers)
        await store.put_setting("x", str(between))
        between += 1
    assert between == 7
    assert store.commits == commits + 2 * between
    assert {turn.text for turn in await store.turns("cv_1")} == {None}


async def fill(store: SQLiteStore, world: World, many: int) -> None:
    """That many turns, leaves, and notices that were sent."""
    await say(store, "cv_1", *map(str, range(many)))
    await asyncio.gather(*(store.append_leaf(administered("event", number=number)) for number in range(many)))
    await world.in_state(State.EXECUTED, notices=[TOLD] * many)
    for notice in await store.lease_notices(limit=many, lease=60, cap=10**6, window=3600):
        await store.settle_notice(notice.id, sent=True, error=None, next_try=None)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_idle_look_reads_nothing_of_what_is_gone_or_young(
    store: SQLiteStore, world: World, clock: HandClock, kind: str
) -> None:
    async def look() -> int:
        """Hundreds of steps of SQLite that a look takes."""
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        store._readers._far.set_progress_handler(step, 100)
        found = await Retention(store).forget(kinds=[kind], before=store.now() - 30 * DAY)
        store._readers._far.set_progress_handler(None, 100)
        assert found["counts"] == {kind: 0}
        return steps

    await fill(store, world, 10)
    few = await look()
    await fill(store, world, 2500)
    assert await look() <= few + 2
    clock.time += 40 * DAY
    done = await Retention(store).forget(kinds=[kind], before=store.now() - 30 * DAY)
    assert done["counts"][kind] >= 2510
    assert await look() <= few + 2


async def test_a_run_that_was_cut_short_is_seen_and_can_go_on(
    store: SQLiteStore, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(store, "cv_1", "a", "b")
    clock.time += DAY

    async def broken(*_: object) -> int:
        raise OSError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(forgetting.Forgetter, "delete", broken)
        with pytest.raises(OSError, match="power"):
            await Retention(store).forget(before=store.now())
    assert (await store.leaves())[-1].event == "retention_started"
    await Retention(store).forget(before=store.now(), kinds=["turns"])
    assert [leaf.event for leaf in await store.leaves()][-2:] == ["retention_started", "retention"]
    assert [turn.text for turn in await store.turns("cv_1")] == [None, None]


async def test_a_turn_whose_text_is_gone_is_still_known_when_it_is_sent_again(
    store: SQLiteStore, clock: HandClock
) -> None:
    turn = TurnDraft("user", "hello", key="k")
    leaf = turns_leaf("cv_1", "agent", [turn])
    assert await store.add_turns("cv_1", "agent", [turn], leaf=leaf, limits=MANY)
    clock.time += DAY
    await Retention(store).forget(before=store.now())
    assert not await store.add_turns("cv_1", "agent", [turn], leaf=leaf, limits=MANY)
    assert await store.known_turns("cv_1", ["k", "l"]) == {"k"}


async def test_the_file_of_an_earlier_version_gets_the_table(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        await say(store, "cv_1", "a")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "DROP TABLE turn; DROP INDEX leaf_by_opening; DROP INDEX notice_by_age; DROP INDEX leaf_of_enrolment;"
            "PRAGMA user_version = 5;"
        )
    async with open_store(path, clock) as store:
        assert await store.turns("cv_1") == []
        await say(store, "cv_1", "b")
