"""Every tool call is recorded, and none waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from counterfoil.errors import StoreFailed
from counterfoil.store import Call
from counterfoil_server.conversation import recorder
from counterfoil_server.conversation.recorder import Recorder
from server.conversation.world import World, call


class FullDisk:
    """A store that cannot write until its disk has room."""

    def __init__(self) -> None:
        self.rows: list[Call] = []
        self.full = True
        self.tried = asyncio.Event()

    def now(self) -> int:
        return 1_800_000_000

    async def record_calls(self, calls: Sequence[Call]) -> None:
        self.tried.set()
        if self.full:
            raise StoreFailed()
        self.rows += calls


def on(store: Any, key: bytes | None = None) -> Recorder:
    return Recorder(store, key)


async def test_every_call_is_recorded_with_its_end_and_its_ticket(world: World) -> None:
    async with world.client() as session:
        await call(session, "tides", day="today")
        ticket = (await call(session, "request_open_gate", account="B-1")).structured_content["ticket"]
        await call(session, "radar")
        await call(session, "ticket_status", ticket="cf_x")
        with pytest.raises(Exception, match="no tool of that name"):
            await session.call_tool("sink_boat", {})
    await world.conversation.recorder.flush()
    rows = [(row.principal, row.tool, row.ticket, row.status) for row in reversed(await world.store.calls())]
    assert rows == [
        ("agent", "tides", None, "ok"),
        ("agent", "request_open_gate", ticket, "ok"),
        ("agent", "radar", None, "read_failed"),
        ("agent", "ticket_status", None, "unknown_ticket"),
        ("agent", "sink_boat", None, "unknown_tool"),
    ]


async def test_rows_are_written_by_themselves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written = asyncio.Event()
    original = world.store.record_calls

    async def record(calls: Sequence[Call]) -> None:
        await original(calls)
        written.set()

    monkeypatch.setattr(world.store, "record_calls", record)
    async with world.client() as session:
        await call(session, "tides")
        await asyncio.wait_for(written.wait(), 60)
    assert len(await world.store.calls()) == 1


async def test_arguments_are_recorded_as_a_digest_that_only_the_key_can_check() -> None:
    store = FullDisk()
    one, other = on(store, b"k" * 32), on(store, b"l" * 32)
    arguments = {"flag": "N", "times": 2}
    assert one.argument_digest("signal", arguments) == one.argument_digest("signal", dict(reversed(arguments.items())))
    assert one.argument_digest("signal", arguments) != one.argument_digest("tides", arguments)
    assert one.argument_digest("signal", arguments) != other.argument_digest("signal", arguments)
    assert one.argument_digest("tides", None) == one.argument_digest("tides", {})


async def test_a_failing_store_delays_rows_and_costs_no_calls() -> None:
    store = FullDisk()
    kept = on(store)
    async with kept.running():
        kept.record("agent", "tides", {}, ticket=None, status="ok")
        await asyncio.wait_for(store.tried.wait(), 60)
        store.full = False
        kept.record("agent", "horn", {"length": 1}, ticket=None, status="ok")
    assert kept.lost == 0
    assert [row.tool for row in store.rows] == ["tides", "horn"]


async def test_rows_that_could_never_be_written_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    kept = on(FullDisk())
    async with kept.running():
        kept.record("agent", "tides", {}, ticket=None, status="ok")
    assert kept.lost == 1
    assert "lost 1 rows" in caplog.text


async def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING", 3)
    store = FullDisk()
    store.full = False
    kept = on(store)
    for _ in range(5):
        kept.record("agent", "tides", {}, ticket=None, status="ok")
    await kept.flush()
    assert (len(store.rows), kept.lost) == (3, 2)


async def test_a_tools_name_is_kept_short() -> None:
    store = FullDisk()
    store.full = False
    kept = on(store)
    kept.record("agent", "x" * 100_000, {}, ticket=None, status="unknown_tool")
    await kept.flush()
    assert store.rows[0].tool == "x" * 100
