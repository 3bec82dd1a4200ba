"""Settling an unknown outcome: one transaction, once; and older files, which have nowhere to record it."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from counterfoil.errors import StatementRefused, Suspended, UnknownTicket, WrongState
from counterfoil.leaves import settled
from counterfoil.settlement_verbs import NONCE
from counterfoil.store import NoticeDraft, Principal, Secret, Step, StoredSettlement
from counterfoil.tickets import Event, State, Ticket
from counterfoil_server.store.schema import FIRST, MIGRATIONS
from server.store.world import START, HandClock, World, leaf, open_store, read, state_of_leaves

TOLD = NoticeDraft("executed", "account:account-1", "ann@example.com", "holder", capped=False)


def finding(ticket: Ticket | str, person: str = "fay", found: str = "executed") -> StoredSettlement:
    identity = ticket if isinstance(ticket, str) else ticket.id
    return StoredSettlement(
        identity, "staff:finance", person, f"credential of {person}", found, "RF-1", b"signed bytes", "{}", START
    )


async def nonce(world: World, ticket: Ticket | str, *, kind: str = NONCE, life: int = 600) -> str:
    identity = ticket if isinstance(ticket, str) else ticket.id
    name = f"{kind} for {identity}: {secrets.token_hex(8)}"
    await world.store.put_secret(Secret(kind, name, identity, {}, world.store.now() + life))
    return name


async def settle(world: World, ticket: Ticket | str, found: str = "executed", **values: Any) -> Ticket:
    event = Event.FIND_EXECUTED if found == "executed" else Event.FIND_NOT_EXECUTED
    stored = finding(ticket, values.pop("person", "fay"), found)
    spent = values.pop("nonce", None) or await nonce(world, ticket)
    scopes = values.pop("scopes", (f"person:{stored.person}",))
    draft = settled(event, stored.ticket, "digest", stored.seat, found, stored.person)
    return await world.store.settle(stored, nonce=spent, scopes=scopes, step=Step(event, draft, **values))


@pytest.mark.parametrize("found", ["executed", "not_executed"])
async def test_an_unknown_outcome_is_settled_with_its_leaf_its_notices_and_its_record(
    world: World, path: Path, found: str
) -> None:
    ticket = await world.in_state(State.UNKNOWN)
    before = len(await world.store.leaves())
    spent = await nonce(world, ticket)
    known = await settle(world, ticket, found, nonce=spent, outcome='{"settled":true}', notices=[TOLD])
    assert (known.state, known.outcome, known.ended_at) == (State(found), '{"settled":true}', START)
    assert await world.store.settlement(ticket.id) == finding(ticket, found=found)
    assert [each.event for each in await world.store.leaves(after=before - 1)] == [f"find_{found}"]
    assert [notice.kind for notice in await world.store.notices(ticket.id)] == ["executed"]
    assert await world.store.secret(NONCE, spent) is None
    assert read(path, "SELECT count(*) FROM statement") == [(0,)]
    await world.check_everything()


@pytest.mark.parametrize("state", [state for state in State if state is not State.UNKNOWN])
async def test_whatever_is_known_is_not_settled(world: World, state: State) -> None:
    ticket = await world.in_state(state)
    spent = await nonce(world, ticket)
    before = len(await world.store.leaves())
    with pytest.raises(WrongState, match=state.value):
        await settle(world, ticket, nonce=spent)
    assert await world.state(ticket) is state
    assert await world.store.settlement(ticket.id) is None
    assert await world.store.secret(NONCE, spent) is not None
    assert len(await world.store.leaves()) == before


async def test_a_nonce_is_spent_once_for_its_own_ticket_in_its_time_and_meaning(world: World, clock: HandClock) -> None:
    ticket, other = await world.in_state(State.UNKNOWN), await world.in_state(State.UNKNOWN)
    foreign, lapsed = await nonce(world, other), await nonce(world, ticket, life=1)
    clock.time += 1
    for spent in ("never made", foreign, lapsed, await nonce(world, ticket, kind="nonce")):
        with pytest.raises(StatementRefused):
            await settle(world, ticket, nonce=spent)
        assert await world.store.settlement(ticket.id) is None
        assert await world.state(ticket) is State.UNKNOWN
    await settle(world, other, nonce=foreign)
    with pytest.raises(StatementRefused):
        await settle(world, ticket, nonce=foreign)


async def test_T28_whoever_is_suspended_in_the_same_moment_settles_nothing(world: World) -> None:
    ticket = await world.in_state(State.UNKNOWN)
    spent = await nonce(world, ticket)
    suspended = world.store.suspend("person:fay", reason="stolen passkey", leaf=leaf("suspend"))
    answers = await asyncio.gather(suspended, settle(world, ticket, nonce=spent), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), Suspended]
    assert await world.state(ticket) is State.UNKNOWN
    assert await world.store.settlement(ticket.id) is None
    assert await world.store.secret(NONCE, spent) is not None
    await world.store.suspend("person:fox", reason="left", leaf=leaf("suspend"))
    await world.store.resume("person:fay", leaf=leaf("resume"))
    assert (await settle(world, ticket, nonce=spent)).state is State.EXECUTED


async def test_a_settlement_that_names_no_scope_is_stopped_by_none(world: World) -> None:
    ticket = await world.in_state(State.UNKNOWN)
    await world.store.suspend("everything", reason="audit", leaf=leaf("suspend"))
    assert (await settle(world, ticket, scopes=())).state is State.EXECUTED


async def test_of_many_at_the_same_moment_one_settles(world: World) -> None:
    ticket = await world.in_state(State.UNKNOWN)
    found = [settle(world, ticket, "executed" if at % 2 else "not_executed", person=f"p{at}") for at in range(6)]
    lookup = world.step(ticket, Event.FIND_EXECUTED, outcome='{"receipt":{"reference":"R"}}')
    answers = await asyncio.gather(*found, lookup, return_exceptions=True)
    [won] = [answer for answer in answers if isinstance(answer, Ticket)]
    assert all(isinstance(answer, WrongState | Ticket) for answer in answers)
    assert won.state is await world.state(ticket)
    assert state_of_leaves(await world.store.leaves(ticket=ticket.id)) is won.state
    await world.check_everything()


async def test_a_step_that_fails_leaves_no_settlement_behind(world: World, path: Path) -> None:
    ticket = await world.in_state(State.UNKNOWN)
    spent = await nonce(world, ticket)
    step = Step(Event.REPORT_EXECUTED, leaf("report_executed", ticket.id))
    with pytest.raises(WrongState):
        await world.store.settle(finding(ticket), nonce=spent, scopes=(), step=step)
    assert read(path, "SELECT count(*) FROM settlement") == [(0,)]
    assert await world.store.secret(NONCE, spent) is not None
    assert (await settle(world, ticket, nonce=spent)).state is State.EXECUTED


async def test_an_unknown_ticket_is_settled_by_nobody(world: World) -> None:
    with pytest.raises(UnknownTicket):
        await settle(world, "tk_none")
    assert await world.store.settlement("tk_none") is None


# A file of the first schema -------------------------------------------------------------------------------------------


ADDED = ("settlement", "conversation")
"""Tables of later schemas."""

OF_FIRST = {"waiting": "iif(effect = 1, 1, NULL)", "planned": "iif(effect IS NOT NULL, 1, NULL)"}
"""Columns that only the first schemas have, from those of now."""


def schema_of(path: Path) -> list[Any]:
    return read(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")


def content_of(path: Path) -> dict[str, list[Any]]:
    tables = [name for (name,) in read(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return {name: read(path, f"SELECT * FROM {name}") for name in tables if not name.startswith("sqlite_")}


def fresh_first(path: Path) -> None:
    """An empty file exactly as the first schema made it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in FIRST:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")


def fill_first(path: Path, current: Path) -> None:
    """Give a file of the first schema what is in a current one, as its own program would have written it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS current", (str(current),))
        tables = connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = [column for _, column, *_ in connection.execute(f"PRAGMA main.table_info({table})")]
            values = ", ".join(OF_FIRST.get(column, column) for column in columns)
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {values} FROM current.{table}")


async def test_a_file_of_the_first_schema_is_brought_to_the_current_one_with_everything_in_it(
    tmp_path: Path, path: Path, clock: HandClock
) -> None:
    async with open_store(path, clock) as store:
        world = World(store)
        tickets = {state: await world.in_state(state, amount="12.50", notices=[TOLD]) for state in State}
        await world.sign(await world.pending(), "ann")
        await store.add_principal(Principal("agent", None, START, None), "token digest", leaf("principal_added"))
        await store.put_secret(Secret("link", "digest", "subject", {"a": 1}, START + 600))
        await store.put_setting("rp_id", "desk.example")
        await store.suspend("account:A-9", reason="odd", leaf=leaf("suspend"))
    before = content_of(path)
    assert all(before[name] for name in ("ticket", "envelope", "statement", "capability", "notice", "leaf", "setting"))
    assert [before[added] for added in ADDED] == [[], []]
    first = tmp_path / "first.db"
    fresh_first(first)
    fill_first(first, path)

    async with open_store(first, clock) as store:
        world = World(store)
        assert read(first, "PRAGMA user_version") == [(len(MIGRATIONS),)]
        assert schema_of(first) == schema_of(path)
        after = content_of(first)
        assert {name: rows for name, rows in after.items() if name != "head"} == {
            name: rows for name, rows in before.items() if name != "head"
        }
        for state, ticket in tickets.items():
            assert await world.state(ticket) is state
        assert await store.principal_by_token("token digest") is not None
        assert await store.setting("rp_id") == "desk.example"
        await world.check_everything()
        assert (await settle(world, tickets[State.UNKNOWN])).state is State.EXECUTED
        await world.check_everything()


async def test_a_fresh_file_and_one_brought_up_to_date_have_the_same_schema(
    tmp_path: Path, path: Path, clock: HandClock
) -> None:
    fresh_first(path)
    for each in (path, tmp_path / "fresh.db"):
        async with open_store(each, clock):
            pass
    assert schema_of(path) == schema_of(tmp_path / "fresh.db")
