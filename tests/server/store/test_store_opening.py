"""Opening: schema versions, damaged files, the state folder's one owner, the clock."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil.errors import NewerSchema, SettingsError, StateFolderInUse, StoreFailed
from counterfoil_server.store import Occupant, StateFolder
from counterfoil_server.store.clock import Clock
from counterfoil_server.store.schema import MIGRATIONS
from server.store.world import START, HandClock, World, edit, open_store, read

HAMMERING = """
import asyncio, sys, threading
from pathlib import Path
from counterfoil.errors import StoreFailed
from server.store.world import HandClock, open_store

async def hammer(store, begun):
    try:
        while True:
            await store.suspensions(["everything"] * 400)
            begun.set()
    except StoreFailed:
        print("refused", flush=True)

for _ in range(30):
    store, begun = open_store(Path(sys.argv[1]), HandClock()), threading.Event()
    looking = threading.Thread(target=lambda: asyncio.run(hammer(store, begun)))
    looking.start()
    assert begun.wait(60)
    store.close_now()
    looking.join()
"""


async def test_a_newer_file_is_left_exactly_as_it_is(path: Path, clock: HandClock) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE future (x)")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(NewerSchema):
        open_store(path, clock)
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name]


async def test_a_migration_that_fails_changes_nothing(path: Path, clock: HandClock) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE setting (mine)")
    with pytest.raises(StoreFailed):
        open_store(path, clock)
    assert read(path, "SELECT name FROM sqlite_schema") == [("setting",)]
    assert read(path, "PRAGMA user_version") == [(0,)]


async def test_the_file_is_durable_and_strict(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        pragmas = await store._write(
            lambda transaction: [
                transaction.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        )
    assert pragmas == ["wal", 2, 1]
    assert read(
        path, "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND NOT strict"
    ) == [(0,)]


def test_a_store_that_is_closed_under_lookups_of_another_thread_refuses_them(path: Path) -> None:
    command, root = [sys.executable, "-c", HAMMERING, str(path)], Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout.split()) == (0, ["refused"] * 30), ended.stderr


async def test_a_file_that_is_no_database_is_refused_with_a_remedy(path: Path, clock: HandClock) -> None:
    path.write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreFailed, match="backup"):
        open_store(path, clock)


async def test_a_damaged_database_is_refused_with_a_remedy(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        await World(store).pending()
    content = bytearray(path.read_bytes())
    content[100:4096] = os.urandom(3996)
    path.write_bytes(content)
    with pytest.raises(StoreFailed, match="backup"):
        open_store(path, clock)


async def test_a_file_in_a_missing_folder_is_refused_with_a_remedy(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(StoreFailed, match="folder exists"):
        open_store(tmp_path / "none" / "counterfoil.db", clock)


async def test_a_table_that_cannot_be_read_is_a_failed_store(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        edit(path, "DROP TABLE setting")
        with pytest.raises(StoreFailed, match="read"):
            await store.setting("x")
        edit(path, "DROP TABLE call")
        with pytest.raises(StoreFailed, match="read"):
            await store.calls()


# The clock -----------------------------------------------------------------------------------------------------------


def test_the_clock_never_goes_back() -> None:
    hand = HandClock()
    clock = Clock(hand)
    hand.time += 10.9
    assert clock.now() == START + 10
    hand.time -= 1000
    assert clock.now() == START + 10
    clock.raise_to(START + 50)
    clock.raise_to(START)
    assert clock.now() == START + 50


async def test_a_clock_set_back_between_two_starts_revives_nothing(path: Path, clock: HandClock) -> None:
    async with open_store(path, clock) as store:
        world = World(store)
        ticket = await world.approved(life=60)
        capability = await world.minted(ticket)
        clock.time += 60
        await store.put_setting("any", "write")
    clock.time = START - 10_000.0
    async with open_store(path, clock) as store:
        assert store.now() == START + 60
        with pytest.raises(Exception, match="expired"):
            await store.redeem(World(store).redeeming(ticket, capability))
        assert await store.expire_due() == 1


# The state folder ----------------------------------------------------------------------------------------------------


def test_a_state_folder_is_created_for_its_owner_only_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state"
    with StateFolder.open(path) as folder:
        assert path.stat().st_mode & 0o777 == 0o700
        assert (path / "lock").stat().st_mode & 0o777 == 0o600
        assert StateFolder.occupant(path) == Occupant(os.getpid(), "")
        folder.announce("http://127.0.0.1:8080")
        folder.announce("http://[::1]:1")
        assert StateFolder.occupant(path) == Occupant(os.getpid(), "http://[::1]:1")
        with pytest.raises(StateFolderInUse, match=f"Process {os.getpid()} "):
            StateFolder.open(path)
    assert StateFolder.occupant(path) is None
    folder.close()
    StateFolder.open(path).close()


def test_a_folder_nobody_ever_opened_has_no_occupant(tmp_path: Path) -> None:
    assert StateFolder.occupant(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError):
        StateFolder.open(tmp_path / "file" / "state")


HOLD_FOLDER = """
import sys
from pathlib import Path
from counterfoil_server.store import StateFolder
with StateFolder.open(Path(sys.argv[1])) as folder:
    folder.announce("there")
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone_even_by_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_FOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(StateFolderInUse, match=f"Process {owner.pid} "):
            StateFolder.open(tmp_path)
        assert StateFolder.occupant(tmp_path) == Occupant(owner.pid, "there")
        owner.kill()
        owner.wait(30)
        StateFolder.open(tmp_path).close()
