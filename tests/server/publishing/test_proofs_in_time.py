"""Whoever asks for a proof waits for no slow witness: not where a proof can be given, and else for a moment only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from counterfoil.checkpoints import check_proof, cosigned_at
from counterfoil_server.publishing import publisher as publishing
from counterfoil_server.publishing.publisher import Publisher
from server.publishing.world import AT, Log, Watcher, opened

pytestmark = pytest.mark.anyio

Proven = Callable[[int], Awaitable[tuple[int, list[int | None]]]]
"""The size of the checkpoint that a leaf is proven under, and when each witness cosigned it."""


@asynccontextmanager
async def publishing_log(
    folder: Path, quorum: int, watchers: list[Watcher]
) -> AsyncIterator[tuple[Log, Publisher, Proven]]:
    """A log of three leaves, about which witnesses are asked for up to a minute, as a running server asks them."""
    witnesses = [each.at() for each in watchers]
    async with opened(folder / "log") as log, anyio.create_task_group() as group:
        publisher = log.publisher(witnesses=witnesses, quorum=quorum, patience=60)

        async def proven(index: int) -> tuple[int, list[int | None]]:
            body = (await log.store.leaves())[index].body
            _, checkpoint = check_proof(await publisher.proof(index), body, log.sealer.key)
            return checkpoint.size, [cosigned_at(checkpoint, each.key) for each in witnesses]

        await log.grow(3)
        group.start_soon(publisher.run)
        for each in watchers:
            await each.asked.wait()
        yield log, publisher, proven
        group.cancel_scope.cancel()


@pytest.fixture
def watchers(tmp_path: Path) -> list[Watcher]:
    """One that hangs, and one that is well."""
    return [Watcher(tmp_path / "w1", hangs=True), Watcher(tmp_path / "w2")]


async def test_a_proof_that_can_be_given_waits_for_no_witness_and_no_round(
    tmp_path: Path, watchers: list[Watcher]
) -> None:
    async with publishing_log(tmp_path, 1, watchers) as (log, _, proven):
        with anyio.fail_after(publishing.SHORT_PATIENCE / 2):
            assert await proven(2) == (3, [None, AT])
            await log.grow(2)  # the round is still about the three
            assert await proven(4) == (5, [None, AT])
            assert await proven(2) == (5, [None, AT])


async def test_an_answer_that_comes_late_takes_no_newer_proof_away(tmp_path: Path, watchers: list[Watcher]) -> None:
    slow, well = watchers
    async with publishing_log(tmp_path, 1, watchers) as (log, publisher, proven):
        await log.grow(2)
        assert await proven(4) == (5, [None, AT])
        well.gone, slow.hangs = True, False
        slow.asked = anyio.Event()
        slow.released.set()
        with anyio.fail_after(10):
            await slow.asked.wait()  # about the five, in the round that follows that about the three
            size, [_, by_well] = await proven(4)
            assert (size, by_well) == (5, AT)
            await publisher.round()
        assert await proven(4) == (5, [AT, AT])


async def test_without_enough_witnesses_many_wait_together_and_not_again(
    tmp_path: Path, watchers: list[Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "SHORT_PATIENCE", 1.0)
    found = []
    async with publishing_log(tmp_path, 2, watchers) as (_, _, proven):

        async def ask() -> None:
            found.append(await proven(2))

        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
        took = anyio.current_time() - began
        assert 1 <= took < 4
        with anyio.fail_after(0.9):
            found.append(await proven(2))
        assert found == [(3, [None, AT])] * 11
        watchers[0].hangs = False
        watchers[0].released.set()
