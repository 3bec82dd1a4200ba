"""Killed in the middle of its work, the store opens again with nothing half done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from counterfoil.tickets import State
from server.store.world import HandClock, World, open_store

LOAD = """
import asyncio, itertools, sys
from pathlib import Path
from counterfoil.tickets import Event
from server.store.world import HandClock, World, leaf, open_store

async def one(world, number):
    ticket = await world.approved(account=str(number))
    claim = world.redeeming(ticket, await world.minted(ticket))
    if number % 5 == 0:
        await world.store.revoke(f"ticket:{ticket.id}", reason="r", leaf=leaf("revoke_scope"), final=False)
        print("revoked", ticket.id, flush=True)
        return
    await world.store.redeem(claim)
    print("executing", ticket.id, flush=True)
    if number % 2:
        await world.step(ticket, Event.REPORT_EXECUTED)
        print("executed", ticket.id, flush=True)

async def main(path):
    async with open_store(path, HandClock()) as store:
        world, numbers = World(store), itertools.count()
        async def worker():
            for number in numbers:
                await one(world, number)
        await asyncio.gather(*(worker() for _ in range(16)))

asyncio.run(main(Path(sys.argv[1])))
"""

MAY_FOLLOW = {
    State.REVOKED: {State.REVOKED},
    State.EXECUTING: {State.EXECUTING, State.EXECUTED},
    State.EXECUTED: {State.EXECUTED},
}


@pytest.mark.parametrize("answers", [40, 150])
async def test_what_was_answered_is_there_after_a_kill_and_nothing_is_half_done(
    path: Path, clock: HandClock, answers: int
) -> None:
    told: dict[str, State] = {}
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, str(path)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(answers):
            state, ticket = child.stdout.readline().split()
            told[ticket] = State(state)
        child.kill()
        for line in child.stdout.read().splitlines():
            words = line.split()
            if len(words) == 2 and words[0] in {state.value for state in State}:
                told[words[1]] = State(words[0])
    assert len(told) >= answers / 2
    async with open_store(path, clock) as store:
        world = World(store)
        assert await world.check_everything() >= len(told)
        for ticket, state in told.items():
            assert await world.state(ticket) in MAY_FOLLOW[state]
        await world.executing()
        await world.check_everything()
