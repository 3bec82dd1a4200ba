"""What thieves try at executors, the one beside the desk and the one outside it, and with the chats that hosts tell of.

Each of them has one or two of: the database, the authority's key, a delegate's key, somebody's former passkey, an
agent's token. The records, signatures, logs and feeds are real.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from capabilities.world import START, roster_leaf
from counterfoil import Rung
from counterfoil.canonical import canonical
from counterfoil.delegates import Delegation
from counterfoil.errors import RosterRefused
from counterfoil.keys import SigningKey
from counterfoil.presented import OrderVerifier
from counterfoil.redaction import redact
from counterfoil.roster import sign_record
from server.conversation import harbour
from server.conversation.test_turns import client_of
from server.conversation.world import open_world
from server.execution.outside import PAYMENTS, Remembered, follow, trust_of
from server.execution.test_executor import edit
from server.execution.workshop import Workshop, open_workshop

pytestmark = pytest.mark.anyio

FLOORS = {"pay": (Rung(holder="passkey", code=True),)}


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(tmp_path, outside=PAYMENTS) as found:
        yield found


async def appended(workshop: Workshop, record: str) -> None:
    """A record that was signed is appended, as the command line does it."""
    await workshop.store.add_roster_record(record, version=len(workshop.office.records), leaf=roster_leaf(record))


async def delegated(workshop: Workshop) -> SigningKey:
    """The key of a delegate that the roster names, which a thief has as well."""
    office, service = workshop.office, SigningKey.generate()
    jwk = service.public.to_jwk()
    named = Delegation(
        version=len(office.records) + 1, previous=office.head, name="sign-in", x=jwk["x"], y=jwk["y"], roles=(),
        iat=START - 1000, exp=START + 100_000,
    )  # fmt: skip
    await appended(workshop, office._record(sign_record(office.key, named), b""))
    return service


def in_its_place(workshop: Workshop, thief: SigningKey) -> str:
    """The last record of the roster gives way to one that the thief signed, at the same place of the chain."""
    office = workshop.office
    office.records.pop()
    own, office.key = office.key, thief
    try:
        office.invite("mallory", accounts=["A-66"])
    finally:
        office.key = own
    return office.records[-1]


async def test_T49_a_delegates_key_takes_nobodys_end_back(workshop: Workshop) -> None:
    """Ann's phone was stolen and her passkey ended. The thief has a delegate's key too, and writes into the database:
    an invitation takes the place of that end, and the roster has as many records as before."""
    thief = await delegated(workshop)
    ticket, order = await workshop.ordered()
    await appended(workshop, workshop.office.end("credential", workshop.passkeys["ann"].credential))
    forged = in_its_place(workshop, thief)
    edit(workshop, "UPDATE roster_record SET record = ? WHERE version = ?", forged, len(workshop.office.records))
    assert workshop.office.roster().signer(workshop.passkeys["ann"].credential) is not None
    executor = workshop.new_executor()
    with pytest.raises(RosterRefused, match="not the one that the log tells of"):
        await executor.examine()
    await executor.run(ticket.id, order)
    assert workshop.bank.payments == []


async def test_T49_a_delegates_key_takes_nobodys_end_back_outside(workshop: Workshop) -> None:
    """The same at an executor outside, which is handed the roster by whoever presents the order."""
    thief = await delegated(workshop)
    await workshop.carried_out(await workshop.approved())
    order = workshop.bank.presented[-1]
    await appended(workshop, workshop.office.end("credential", workshop.passkeys["ann"].credential))
    memory = Remembered()
    await follow(workshop, memory)
    verifier = OrderVerifier(trust=trust_of(workshop), executor=PAYMENTS, floors=FLOORS, memory=memory)
    value = json.loads(order)
    value["roster"]["records"] = [*workshop.office.records[:-1], in_its_place(workshop, thief)]
    with pytest.raises(RosterRefused, match="not the one that the log tells of"):
        verifier.verify(canonical(value), now=workshop.store.now())


async def test_T49_an_opening_that_was_deleted_hides_no_exchanged_record(workshop: Workshop) -> None:
    """The database's writer deletes what would tell of the true record; the next one that is appended tells again."""
    ticket, order = await workshop.ordered()
    edit(workshop, "UPDATE leaf SET opening = NULL WHERE event = 'roster'")
    memory = Remembered()
    await follow(workshop, memory)
    assert memory.roster_head() == ""
    with pytest.raises(RosterRefused, match="not the one that the log tells of"):
        await workshop.new_executor().examine()
    await appended(workshop, workshop.office.invite("gus", accounts=["A-7"]))
    await workshop.new_executor().run(ticket.id, order)
    assert workshop.bank.payments == [ticket.id]


# Chats that their hosts tell of ---------------------------------------------------------------------------------------

WORST = [{"role": "user", "text": "DE12 " * 1600} for _ in range(3)]
"""Turns that take long to be looked through for what must not be kept."""


async def test_T13_a_flood_of_turns_is_looked_through_one_call_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty calls at once by one principal, each as slow as can be: another principal's call comes next, and no two
    are looked through at the same time, which would keep everybody else waiting for the processor."""
    at_once, most = 0, 0
    counting = threading.Lock()

    def counted(text: str) -> str:
        nonlocal at_once, most
        with counting:
            at_once += 1
            most = max(most, at_once)
        try:
            return redact(text)
        finally:
            with counting:
                at_once -= 1

    monkeypatch.setattr("counterfoil_server.conversation.turns.redact", counted)
    async with open_world(tmp_path, harbour.build(harbour.Boats()), harbour.POLICY) as world:
        app: Any = world.conversation.turns_app(world.store)
        hostile = (await world.authority.start_conversation("agent")).id
        token = await world.principal("other")
        other = (await world.authority.start_conversation("other")).id
        finished: list[str] = []
        async with client_of(app, world) as http, client_of(app, world, token) as another:

            async def flood() -> None:
                answer = await http.post(f"/conversations/{hostile}/turns", json={"turns": WORST})
                finished.append(str(answer.status_code))

            async with anyio.create_task_group() as tasks:
                for _ in range(30):
                    tasks.start_soon(flood)
                while most == 0:
                    await anyio.lowlevel.checkpoint()
                said = {"turns": [{"role": "user", "text": "Hello"}]}
                answer = await another.post(f"/conversations/{other}/turns", json=said)
                before = len(finished)
                tasks.cancel_scope.cancel()
    assert answer.status_code == 200
    assert most == 1
    assert before <= 2 + finished.count("429")
