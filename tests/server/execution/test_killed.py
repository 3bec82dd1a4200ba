"""Killed at any point of a payment's way, the next process finds what is known and pays nothing twice (T47)."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from counterfoil.tickets import State
from server.execution.teller import Found, Point, pay_and_die, prepare, restart

PAID = Found(State.EXECUTED, payments=1, told=1)
NOTHING = Found(None, payments=0, told=0)
WAITS = Found(State.PENDING, payments=0, told=0)
MAYBE = Found(State.UNKNOWN, payments=0, told=1)
MAYBE_PAID = Found(State.UNKNOWN, payments=1, told=1)
PROVEN_UNPAID = Found(State.NOT_EXECUTED, payments=0, told=0)

KILLED: list[tuple[Point, Found, Found]] = [
    (Point("store", "create_ticket", "before"), NOTHING, NOTHING),
    (Point("store", "create_ticket", "after"), WAITS, WAITS),
    (Point("store", "add_statement", "before"), WAITS, WAITS),
    (Point("store", "add_statement", "after"), PAID, PAID),
    (Point("store", "step", "before"), PAID, PAID),
    (Point("store", "step", "after"), PAID, PAID),
    (Point("store", "mint", "before"), PAID, PAID),
    (Point("store", "mint", "after"), PAID, PAID),
    (Point("store", "redeem", "before"), PAID, PAID),
    (Point("store", "redeem", "after"), PAID, PAID),
    (Point("ledger", "start", "before"), PAID, PAID),
    (Point("ledger", "start", "after"), MAYBE, PROVEN_UNPAID),
    (Point("bank", "pay", "before"), MAYBE, PROVEN_UNPAID),
    (Point("bank", "pay", "after"), MAYBE_PAID, PAID),
    (Point("ledger", "finish", "before"), MAYBE_PAID, PAID),
    (Point("ledger", "finish", "after"), PAID, PAID),
    (Point("store", "step", "before", nth=2), PAID, PAID),
    (Point("store", "step", "after", nth=2), PAID, PAID),
]
"""Where it dies; what is found where the connector has no lookup; and where it has one."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with an enrolled holder."""
    folder = tmp_path_factory.mktemp("prepared")
    await prepare(folder)
    return folder


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Starts processes that have the program in memory already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([pay_and_die.__module__])
    with pytest.MonkeyPatch.context() as patch:
        # The process that forks finds what it preloads by this only; otherwise each child would import it anew.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


@pytest.mark.parametrize("with_lookup", [False, True], ids=["no lookup", "lookup"])
@pytest.mark.parametrize(("point", "without", "with_one"), KILLED, ids=[str(case[0]) for case in KILLED])
async def test_T47_a_process_that_is_killed_loses_nothing_and_pays_nothing_twice(
    prepared: Path, tmp_path: Path, processes: ForkServerContext,
    point: Point, without: Found, with_one: Found, with_lookup: bool,
) -> None:  # fmt: skip
    folder = tmp_path / "desk"
    shutil.copytree(prepared, folder)
    child = processes.Process(target=pay_and_die, args=(folder, with_lookup, point))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    for _ in range(2):
        assert await restart(folder, with_lookup) == (with_one if with_lookup else without)
