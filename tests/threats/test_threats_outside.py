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

from capabilities.test_witness import FORK, TRUE, asked
from capabilities.world import ISSUER, START, roster_leaf
from counterfoil import Rung
from counterfoil.canonical import canonical
from counterfoil.delegates import Delegation
from counterfoil.display import display
from counterfoil.errors import OrderRefused, RosterRefused, SignerFailed
from counterfoil.feed import read_page, state
from counterfoil.judgement import signed_statement
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.presented import FEED_LIFE, OrderVerifier
from counterfoil.proof import MAX_RUN
from counterfoil.redaction import redact
from counterfoil.roster import sign_record
from counterfoil.tickets import State, Ticket
from counterfoil.witness import Submission
from counterfoil_server.witness import Memory
from remote_key import RemoteKey
from server.conversation import harbour
from server.conversation.test_turns import client_of
from server.conversation.world import open_world
from server.execution.outside import PAYMENTS, Remembered, follow, page_of, trust_of
from server.execution.test_executor import edit, forged
from server.execution.workshop import Workshop, open_workshop
from server.witness.test_witness_service import ask, send, written

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


# An executor outside, with orders and feeds of thieves ----------------------------------------------------------------


async def judged(workshop: Workshop, order: str, memory: Remembered, **own: Any) -> None:
    """What an executor outside says of an order; raises its refusal."""
    made: dict[str, Any] = {"trust": trust_of(workshop), "executor": PAYMENTS, "floors": FLOORS, "memory": memory}
    OrderVerifier(**made | own).verify(order.encode(), now=workshop.store.now())


async def presented(workshop: Workshop, value: str = "40.00") -> tuple[Ticket, str]:
    """A payment that people approved and the authority redeemed, as it is handed on."""
    ticket = await workshop.carried_out(await workshop.approved(value))
    return ticket, workshop.bank.presented[-1]


async def heard(workshop: Workshop) -> Remembered:
    memory = Remembered()
    await follow(workshop, memory)
    return memory


async def test_T42_a_stolen_key_runs_nothing_outside_that_nobody_redeemed(workshop: Workshop) -> None:
    """People approved it, and the thief signs the order before its hold is over, or after it was declined."""
    _, order = await presented(workshop)
    ticket = await workshop.approved("41.00")
    statements = [
        {"statement": each.statement.decode(), "assertion": signed_statement(each).assertion.model_dump(mode="json")}
        for each in await workshop.store.statements(ticket.id)
    ]
    envelope = ticket.envelope
    shown = display(workshop.executor.judge.desk.name, workshop.executor.judge.operation(envelope), envelope, "holder")
    stolen = forged(workshop, ticket, aud=PAYMENTS)
    value = json.loads(order) | {
        "order": stolen, "envelope": ticket.envelope_bytes.decode(), "statements": statements,
        "displays": [{"seat": "holder", "content": canonical(shown).decode()}],
    }  # fmt: skip
    with pytest.raises(OrderRefused, match="does not tell of this redemption"):
        await judged(workshop, canonical(value).decode(), await heard(workshop))


async def test_T28_an_executor_outside_that_hears_nothing_runs_nothing(workshop: Workshop) -> None:
    """The feed's network path is cut after the last honest page, and something is suspended meanwhile."""
    _, order = await presented(workshop)
    memory = await heard(workshop)
    await judged(workshop, order, memory)
    await workshop.authority.suspend("everything", "an incident")
    workshop.clock.at += FEED_LIFE + 1
    with pytest.raises(OrderRefused, match="was not heard"):
        await judged(workshop, order, memory)


async def test_T50_a_feed_held_back_with_a_stolen_key_bars_what_came_after_it(workshop: Workshop) -> None:
    """Who has the authority's key and the network path shows an older checkpoint as if it were the newest. A suspension
    is not heard then; but no redemption after it either, and an order of before is not made good again."""
    first, order = await presented(workshop)
    memory = await heard(workshop)
    page = json.loads(await page_of(workshop, memory.position.size))
    await workshop.authority.suspend("account:A-2", "an incident")
    second, later = await presented(workshop, "41.00")
    workshop.clock.at += MAX_RUN + 1
    now, signer = workshop.store.now(), workshop.authority.keys.current
    page["statement"] = await state(signer, issuer=ISSUER, checkpoint=page["checkpoint"], now=now)
    trust = trust_of(workshop)
    memory.keep(read_page(canonical(page), position=memory.position, trust=trust, not_before=memory.at or 0))
    assert memory.heard_at() == now
    for ticket, text, why in (
        (first, order, "redemption at another time"), (second, later, "does not tell of this redemption"),
    ):  # fmt: skip
        again = json.loads(text) | {"order": forged(workshop, await workshop.now(ticket), aud=PAYMENTS)}
        with pytest.raises(OrderRefused, match=why):
            await judged(workshop, canonical(again).decode(), memory)
    with pytest.raises(OrderRefused, match="too late"):
        await judged(workshop, order, memory)


async def test_T41_the_floor_of_an_executor_outside_stands_above_the_desks_policy(workshop: Workshop) -> None:
    """A desk that was taken over asks for less, and people sign that less."""
    _, order = await presented(workshop)
    memory = await heard(workshop)
    higher = {"pay": (Rung(holder="passkey", code=True, staff={"finance": 1}),)}
    for floors in (higher, {}, {"refund": FLOORS["pay"]}):
        with pytest.raises(OrderRefused, match=r"runs pay only if|does not run the operation"):
            await judged(workshop, order, memory, floors=floors)


async def test_T34_a_key_service_that_signs_with_another_key_signs_nothing(workshop: Workshop) -> None:
    """Whoever stands between us and the service that holds the key, or gave it another one, has no ticket redeemed."""
    ticket = await workshop.approved()
    workshop.authority.keys = KeyRing(RemoteKey.answering(["another key"] * 3), SigningKey.generate())
    with pytest.raises(SignerFailed, match="does not sign with the key"):
        await workshop.authority.deliver(ticket.id)
    assert (await workshop.now(ticket)).state is State.APPROVED
    assert workshop.bank.payments == []


# Delegates ------------------------------------------------------------------------------------------------------------


async def test_T35_a_delegates_key_takes_nobody_over(workshop: Workshop) -> None:
    """Another passkey for ann or for the head of finance, a seat beside the holder of ann's account."""
    thief = await delegated(workshop)
    office = workshop.office
    for person, accounts, roles in (
        ("ann", [], []),
        ("fay", [], []),
        ("mallory", ["A-1"], []),
        ("eve", [], ["finance"]),
    ):
        office.key, own = thief, office.key
        office.invite(person, accounts=accounts, roles=roles)
        office.key = own
        with pytest.raises(RosterRefused, match="delegate"):
            office.roster()
        office.records.pop()


# Witnesses ------------------------------------------------------------------------------------------------------------


async def test_T40_the_logs_key_has_no_witness_cosign_a_second_history(tmp_path: Path) -> None:
    """Longer, of the same length, or from the beginning; with the true history's proof, the false one's, and none."""
    Memory.create(tmp_path, "watcher.example/w1")
    assert (await ask(tmp_path, TRUE, 0, 6)).status_code == 200
    for old, size in ((6, 6), (6, 9), (4, 9), (0, 9), (0, 6)):
        for proof in (asked(FORK, old, size).proof, asked(TRUE, old, size).proof, ()):
            stolen = Submission(old, proof, asked(FORK, old, size).note)
            assert (await send(tmp_path, written(stolen))).status_code in (409, 422)
    assert (await ask(tmp_path, TRUE, 6, 9)).status_code == 200
