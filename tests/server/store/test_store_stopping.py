"""Revocations by every kind of scope, and suspensions."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from counterfoil.errors import CapabilityRefused, Suspended, UnknownName, WrongState
from counterfoil.scopes import KINDS, pair
from counterfoil.store import Revoked, Suspension
from counterfoil.tickets import STOPPABLE, Event, State, Ticket
from counterfoil_server.store.stopping import MEMBERS
from server.store.world import START, HandClock, World, leaf


async def _revoke(world: World, scope: str, *, final: bool = False) -> Revoked:
    return await world.store.revoke(scope, reason="lost phone", leaf=leaf("revoke_scope", scope=scope), final=final)


def test_every_kind_of_scope_can_be_revoked() -> None:
    assert set(MEMBERS) == KINDS | {"everything"}


async def _scene(world: World) -> tuple[Ticket, dict[str, str]]:
    """One ticket that every scope reaches, and the scopes' texts."""
    values = {
        "account": "a|1", "operation": "refund", "principal": "local:agent", "conversation": "talk", "amount": "1.00",
    }  # fmt: skip
    ticket = await world.pending(**values)
    await world.sign(ticket, "ann")
    ticket = await world.store.ticket(ticket.id) or ticket
    return ticket, {
        "ticket": f"ticket:{ticket.id}", "account": "account:a|1", "operation": "operation:refund",
        "principal": "principal:local:agent", "conversation": "conversation:talk", "person": "person:ann",
        "principal-account": pair("local:agent", "a|1"), "everything": "everything",
        "capability": "capability:cap", "key": "key:key-7",
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS | {"everything"}))
async def test_a_revocation_ends_exactly_what_waits_in_its_scope(world: World, kind: str) -> None:
    ticket, scopes = await _scene(world)
    other = await world.approved(
        account="other", operation="other", principal="other", conversation="other", amount="1.00"
    )
    await world.minted(other, name="other-cap", key="other-key")
    await world.step(ticket, Event.APPROVE)
    capability = await world.minted(ticket, name="cap", key="key-7")
    answer = await _revoke(world, scopes[kind])
    assert answer == Revoked(2 if kind == "everything" else 1, 0, 0)
    assert await world.state(ticket) is State.REVOKED
    assert await world.state(other) is (State.REVOKED if kind == "everything" else State.APPROVED)
    with pytest.raises(CapabilityRefused):
        await world.store.redeem(world.redeeming(ticket, capability))
    events = [each.event for each in await world.store.leaves()]
    assert events.count("revoke_scope") == 1
    assert events.count("revoke") == answer.revoked
    assert await world.store.suspensions() == []
    await world.check_everything()


async def test_a_revocation_says_what_it_came_too_late_for(world: World) -> None:
    for state in State:
        await world.in_state(state)
    await world.in_state(State.EXECUTED, account="other")
    assert await _revoke(world, "account:account-1") == Revoked(len(STOPPABLE), 1, 2)
    assert await _revoke(world, "everything") == Revoked(0, 1, 3)
    assert await _revoke(world, "operation:none") == Revoked(0, 0, 0)


async def test_a_pair_reaches_that_principal_on_that_account_only(world: World) -> None:
    meant = await world.pending(principal="a|b", account="c")
    others = [
        await world.pending(principal=principal, account=account)
        for principal, account in (("other", "c"), ("a|b", "other"), ("b", "c"))
    ]
    assert (await _revoke(world, pair("a|b", "c"))).revoked == 1
    assert await world.state(meant) is State.REVOKED
    assert [await world.state(ticket) for ticket in others] == [State.PENDING] * 3


async def test_what_came_after_a_revocation_is_not_what_it_came_too_late_for(world: World) -> None:
    reached, go = threading.Event(), threading.Event()

    def busy(_: sqlite3.Connection) -> None:
        reached.set()
        go.wait(30)

    reading = asyncio.create_task(world.store._readers.run(busy))
    await asyncio.to_thread(reached.wait, 30)
    waiting = await world.pending()
    revoking = asyncio.create_task(_revoke(world, "everything"))
    await asyncio.sleep(0)  # handed to the writer before what follows; its counting waits for the busy reader
    await world.executing()
    go.set()
    await reading
    assert await revoking == Revoked(1, 0, 0)
    assert await world.state(waiting) is State.REVOKED


async def test_the_capability_of_a_running_ticket_names_the_ticket_it_redeemed(world: World) -> None:
    ticket = await world.approved()
    capability = await world.minted(ticket)
    await world.store.redeem(world.redeeming(ticket, capability))
    assert await _revoke(world, f"capability:{capability.id}") == Revoked(0, 1, 0)


async def test_a_key_reaches_only_capabilities_that_live(world: World, clock: HandClock) -> None:
    ticket = await world.approved()
    await world.minted(ticket, life=60)
    clock.time += 60
    assert await _revoke(world, "key:key-1") == Revoked(0, 0, 0)


async def test_a_final_revocation_bars_its_scope_and_is_never_resumed(world: World) -> None:
    await world.store.suspend("principal:agent", reason="first", leaf=leaf("suspend"))
    await _revoke(world, "principal:agent", final=True)
    assert await world.store.suspensions() == [Suspension("principal:agent", True, START, "lost phone")]
    ticket = await world.approved()
    redeeming = world.redeeming(ticket, await world.minted(ticket), scopes=("principal:agent",))
    with pytest.raises(Suspended):
        await world.store.redeem(redeeming)
    leaves = len(await world.store.leaves())
    with pytest.raises(WrongState, match="for good"):
        await world.store.resume("principal:agent", leaf=leaf("resume"))
    assert len(await world.store.leaves()) == leaves
    await world.store.suspend("principal:agent", reason="softer", leaf=leaf("suspend"))
    assert [each.final for each in await world.store.suspensions()] == [True]


async def test_suspensions_are_listed_and_lifted(world: World) -> None:
    for scope in ("account:1", "everything"):
        await world.store.suspend(scope, reason="audit", leaf=leaf("suspend", scope=scope))
    assert [each.scope for each in await world.store.suspensions()] == ["account:1", "everything"]
    assert [each.scope for each in await world.store.suspensions(["account:1", "account:2"])] == ["account:1"]
    assert await world.store.suspensions([]) == []
    assert await world.store.resume("account:1", leaf=leaf("resume")) is True
    leaves = len(await world.store.leaves())
    assert await world.store.resume("account:1", leaf=leaf("resume")) is False
    assert len(await world.store.leaves()) == leaves


@pytest.mark.parametrize("scope", ["", "account", "account:", "moon:1", "everything:1"])
async def test_what_is_no_scope_is_refused(world: World, scope: str) -> None:
    with pytest.raises(UnknownName):
        await _revoke(world, scope)
    with pytest.raises(UnknownName):
        await world.store.suspend(scope, reason="r", leaf=leaf("suspend"))


async def test_a_revoked_ticket_says_why(world: World) -> None:
    ticket = await world.pending()
    await _revoke(world, f"ticket:{ticket.id}")
    revoked = await world.store.ticket(ticket.id)
    assert revoked is not None
    assert revoked.outcome == '{"reason": "lost phone"}'
