"""Undoing: a ticket of its own, linked to what was carried out, once."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from capabilities.parlour import POLICY, parlour_desk
from capabilities.test_access_verbs import AGENT, asked, carried_out, chat, opened
from capabilities.world import World, open_world
from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.display import display
from counterfoil.errors import AlreadyUndone, BadArguments, CounterfoilError, DeskError, UnknownTicket, WrongState
from counterfoil.tickets import Event, State, Ticket
from counterfoil.values import Account, Execution, Facts, Receipt


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, desk_of=parlour_desk, policy=POLICY) as opened_world:
        yield opened_world


async def paused(world: World, *, days: int = 7, account: str = "A-1", person: str = "ann") -> Ticket:
    """A pause that was carried out."""
    return await carried_out(
        world, await world.approve(await asked(world, "pause", None, account=account, days=days), person)
    )


async def undo(
    world: World, ticket: Ticket | str, *, principal: str = AGENT, conversation: str | None = None, **more: object
) -> Ticket:
    named = ticket if isinstance(ticket, str) else ticket.id
    requester = Requester(principal, conversation=conversation)
    return await world.authority.request(requester, "undo_pause", canonical({"ticket": named, **more}))


async def test_an_undo_names_what_it_undoes_and_is_signed_like_anything_else(world: World) -> None:
    first = await paused(world)
    ticket = await undo(world, first)
    envelope = ticket.envelope
    assert (envelope.undoes, envelope.account, ticket.state) == (first.id, "A-1", State.PENDING)
    content = display(world.desk.name, world.desk.operations["undo_pause"], envelope, "holder")
    assert content["operation"] == "Undo: Pause"
    assert {"label": "Pause", "value": "r"} in content["facts"]
    done = await carried_out(world, await world.approve(ticket, "ann"))
    assert done.state is State.EXECUTED
    assert (await world.now(first)).state is State.EXECUTED


async def test_under_a_grant_policy_may_let_an_undo_run_by_itself(world: World) -> None:
    first = await paused(world)
    handle = await chat(world)
    await opened(world, handle)
    assert (await undo(world, first, conversation=handle)).state is State.APPROVED


async def test_T04_only_the_requester_of_a_ticket_can_ask_for_its_undo(world: World) -> None:
    first = await paused(world)
    for named, principal in ((first.id, "other"), ("cf_unknown", AGENT)):
        with pytest.raises(UnknownTicket):
            await undo(world, named, principal=principal)


async def test_only_what_was_carried_out_can_be_undone(world: World) -> None:
    waiting = await asked(world, "pause", None)
    with pytest.raises(WrongState):
        await undo(world, waiting)


async def test_a_ticket_of_another_operation_is_no_pause(world: World) -> None:
    closed = await carried_out(world, await world.approve(await asked(world, "close", None), "ann"))
    with pytest.raises(BadArguments):
        await undo(world, closed)
    first = await paused(world)
    undone = await carried_out(world, await world.approve(await undo(world, first), "ann"))
    with pytest.raises(BadArguments):
        await undo(world, undone)


async def test_T43_the_account_is_that_of_the_ticket_and_cannot_be_named(world: World) -> None:
    first = await paused(world)
    with pytest.raises(BadArguments):
        await undo(world, first, account="A-2")
    schema = world.desk.operations["undo_pause"].request_schema(in_conversation=False)
    assert set(schema["properties"]) == {"ticket", "note"}
    assert schema["required"] == ["ticket"]


async def test_what_was_undone_is_not_undone_again(world: World) -> None:
    first = await paused(world)
    one, other = await undo(world, first), await undo(world, first, conversation=await chat(world))
    assert one.id != other.id
    await world.approve(one, "ann")
    await world.approve(other, "ann")
    capability = await world.authority.mint(other.id)
    delivered = await world.authority.deliver(one.id)
    assert delivered is not None
    with pytest.raises(AlreadyUndone):
        await world.authority.redeem(other.id, capability)
    assert await world.authority.deliver(other.id) is None
    assert (await world.now(other)).state is State.DECLINED


async def test_an_undo_that_did_not_happen_can_be_asked_for_again(world: World) -> None:
    first = await paused(world)
    one = await world.approve(await undo(world, first), "ann")
    await world.authority.deliver(one.id)
    await world.authority.report(one.id, Event.REPORT_NOT_EXECUTED, {"reason": "x"})
    other = await world.approve(await undo(world, first, conversation=await chat(world)), "ann")
    assert await world.authority.deliver(other.id) is not None


async def test_T27_a_receipt_that_was_changed_in_the_database_is_noticed(world: World) -> None:
    first = await paused(world)
    ticket = await undo(world, first)
    with closing(sqlite3.connect(world.path, isolation_level=None)) as connection:
        theirs = '{"receipt":{"reference":"theirs"}}'
        connection.execute("UPDATE ticket SET outcome = ? WHERE id = ?", (theirs, first.id))
    assert (await world.approve(ticket, "ann")).state is State.DECLINED
    with pytest.raises(CounterfoilError):
        await world.authority.mint(ticket.id)


def test_an_undo_without_a_preview_or_a_docstring_is_refused_at_load() -> None:
    from capabilities.world import Shop
    from counterfoil.desk import Desk

    desk = Desk("Acme", directory=Shop())

    @desk.operation
    async def pause(execution: Execution, account: Account) -> Receipt:
        """Pause."""
        raise NotImplementedError

    @pause.preview
    async def facts(account: Account) -> Facts:
        return Facts(owners=(account,))

    async def silent(execution: Execution, receipt: Receipt) -> Receipt:
        raise NotImplementedError

    with pytest.raises(DeskError, match="docstring"):
        pause.undo(silent)
    silent.__doc__ = "Take it back."
    pause.undo(silent)
    with pytest.raises(DeskError, match="undo_pause has no preview"):
        desk.check()
