"""Conversations and grants: what a holder opens, to whom, for how long, and what ends it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from capabilities.parlour import POLICY, parlour_desk
from capabilities.world import World, open_world, roster_leaf
from counterfoil.access_verbs import CONVERSATION_LIFE, CONVERSATIONS
from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.errors import (
    CapabilityRefused,
    CounterfoilError,
    NoAccess,
    NotIsolated,
    StatementRefused,
    TooManyRequests,
    UnknownConversation,
)
from counterfoil.evidence import SignedStatement
from counterfoil.statements import Statement
from counterfoil.tickets import GRANT_LIFE, Event, Signals, State, Ticket

AGENT = "agent"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, desk_of=parlour_desk, policy=POLICY) as opened:
        yield opened


async def chat(world: World, principal: str = AGENT) -> str:
    return (await world.authority.start_conversation(principal)).id


async def asked(
    world: World, operation: str, conversation: str | None, *, account: str = "A-1", principal: str = AGENT,
    tainted: bool = False, **arguments: object,
) -> Ticket:  # fmt: skip
    requester = Requester(principal, conversation=conversation, signals=Signals(tainted=tainted))
    return await world.authority.request(requester, operation, canonical({"account": account, **arguments}))


async def carried_out(world: World, ticket: Ticket) -> Ticket:
    """As the executor reports it."""
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    return await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {"receipt": {"reference": "r"}})


async def opened(world: World, conversation: str, person: str = "ann", account: str = "A-1") -> Ticket:
    """The holder opened their records to the conversation."""
    ticket = await asked(world, "access", conversation, account=account)
    return await carried_out(world, await world.approve(ticket, person))


# Conversations --------------------------------------------------------------------------------------------------------


async def test_a_conversation_is_its_principals_own_and_ends_after_a_day(world: World) -> None:
    handle = await chat(world)
    assert len(handle) >= 3 + 32
    assert (await world.authority.conversation(AGENT, handle)).principal == AGENT
    with pytest.raises(UnknownConversation) as foreign:
        await world.authority.conversation("other", handle)
    with pytest.raises(UnknownConversation) as unknown:
        await world.authority.conversation(AGENT, "cv_unknown")
    world.clock.at += CONVERSATION_LIFE
    with pytest.raises(UnknownConversation) as expired:
        await world.authority.conversation(AGENT, handle)
    assert len({str(each.value) for each in (foreign, unknown, expired)}) == 1


async def test_T39_a_foreign_or_unknown_conversation_is_no_place_to_request_anything(world: World) -> None:
    theirs = await chat(world, "other")
    for handle in (theirs, "cv_unknown"):
        with pytest.raises(UnknownConversation):
            await asked(world, "pause", handle)


async def test_T13_conversations_are_bounded_and_expired_ones_make_room(world: World) -> None:
    for _ in range(CONVERSATIONS):
        await chat(world)
    with pytest.raises(TooManyRequests):
        await chat(world)
    await chat(world, "other")
    world.clock.at += CONVERSATION_LIFE
    await chat(world)


# Grants ---------------------------------------------------------------------------------------------------------------


async def test_a_holder_opens_their_records_to_one_conversation_for_fifteen_minutes(world: World) -> None:
    handle, other = await chat(world), await chat(world)
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)
    access = await opened(world, handle)
    grant = await world.authority.access(AGENT, handle)
    assert (grant.account, grant.ticket, grant.people, grant.assurance) == ("A-1", access.id, ("ann",), "passkey")
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, other)
    world.clock.at += GRANT_LIFE - 1
    await world.authority.access(AGENT, handle)
    world.clock.at += 1
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)


async def test_T39_a_grant_is_for_its_own_principal(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    with pytest.raises(UnknownConversation):
        await world.authority.access("other", handle)


@pytest.mark.parametrize("stage", ["requested", "approved", "executing"])
async def test_an_access_that_was_not_carried_out_opens_nothing(world: World, stage: str) -> None:
    handle = await chat(world)
    ticket = await asked(world, "access", handle)
    if stage != "requested":
        await world.approve(ticket, "ann")
    if stage == "executing":
        await world.authority.deliver(ticket.id)
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)


async def test_locked_records_are_not_opened(world: World) -> None:
    world.shop.locked.add("A-1")
    ticket = await asked(world, "access", await chat(world))
    assert ticket.refusal == "locked records stay shut"


async def test_the_records_of_two_people_in_one_conversation_are_read_by_nobody(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    await opened(world, handle, "ben", "A-2")
    with pytest.raises(NoAccess, match="more than one account"):
        await world.authority.access(AGENT, handle)


@pytest.mark.parametrize(
    "scope", ["ticket", "account:A-1", "operation:access", f"principal:{AGENT}", "conversation", "person:ann", "all"]
)
async def test_a_revocation_ends_the_grant_at_once_and_for_good(world: World, scope: str) -> None:
    handle = await chat(world)
    access = await opened(world, handle)
    named = {"ticket": f"ticket:{access.id}", "conversation": f"conversation:{handle}"}.get(scope, scope)
    await world.authority.revoke(named, "for the test")
    with pytest.raises(CounterfoilError):
        await world.authority.access(AGENT, handle)
    if scope == "account:A-1":
        # It bars nothing that comes later: the holder may open their records again.
        fresh = await chat(world)
        await opened(world, fresh)
        await world.authority.access(AGENT, fresh)


async def test_a_revocation_says_how_many_grants_it_ended(world: World) -> None:
    await opened(world, await chat(world))
    assert (await world.authority.revoke("account:A-1", "x")).grants == 1
    assert (await world.authority.revoke("account:A-2", "x")).grants == 0


@pytest.mark.parametrize("scope", ["account:A-1", "operation:access", f"principal:{AGENT}", "person:ann", "all"])
async def test_a_suspension_closes_the_records_until_it_is_lifted(world: World, scope: str) -> None:
    handle = await chat(world)
    await opened(world, handle)
    await world.authority.suspend(scope, "for the test")
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)
    await world.authority.resume(scope)
    await world.authority.access(AGENT, handle)


async def test_T49_the_end_of_a_person_ends_what_they_opened(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    await world.end("person", "ann")
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)


async def test_a_policy_that_no_longer_opens_records_ends_grants(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    stricter = world.with_policy(POLICY.replace("context.holder_passkey &&", "context.holder_passkey_bound &&", 1))
    with pytest.raises(NoAccess):
        await stricter.access(AGENT, handle)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def edit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


EDITS = {
    "a statement": "UPDATE statement SET statement = CAST(replace(CAST(statement AS TEXT), 'grant', 'admit') AS BLOB)",
    "a signature": 'UPDATE statement SET assertion = replace(assertion, \'"signature":"\', \'"signature":"AAAA\')',
    "no statement": "DELETE FROM statement",
    "the envelope's leaf": "UPDATE leaf SET mac = zeroblob(32) WHERE event = 'request'",
    "no leaf": "DELETE FROM leaf WHERE event = 'request'",
    "the account": "UPDATE ticket SET account = 'A-2'",
    "the principal": "UPDATE ticket SET principal = 'other'",
    "when it began": "UPDATE ticket SET redeemed_at = 1",
    "a roster record": "UPDATE roster_record SET record = record || 'A' WHERE version = 1",
    "an enrolment": "DELETE FROM enrolment",
}


@pytest.mark.parametrize("edited", EDITS)
async def test_T40_a_grant_in_use_ends_with_any_byte_that_it_rests_on(world: World, edited: str) -> None:
    handle = await chat(world)
    await opened(world, handle)
    await world.authority.access(AGENT, handle)
    before = dump(world.path)
    edit(world.path, EDITS[edited])
    assert dump(world.path) != before
    for principal in (AGENT, "other"):
        with pytest.raises(CounterfoilError):
            await world.authority.access(principal, handle)


async def test_T49_two_rows_of_the_roster_made_into_one_are_noticed(world: World) -> None:
    """The same text, cut elsewhere: not what was verified."""
    handle = await chat(world)
    await opened(world, handle)
    await world.authority.access(AGENT, handle)
    second = "(SELECT record FROM roster_record WHERE version = 2)"
    edit(world.path, f"UPDATE roster_record SET record = record || char(10) || {second} WHERE version = 1")
    edit(world.path, "DELETE FROM roster_record WHERE version = 2")
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)


async def test_what_was_verified_by_a_roster_goes_with_it(world: World) -> None:
    one, other = await chat(world), await chat(world)
    for handle in (one, other):
        await opened(world, handle)
        await world.authority.access(AGENT, handle)
    office = world.office
    record = office.invite("zoe", accounts=["A-9"])
    await world.store.add_roster_record(record, version=len(office.records), leaf=roster_leaf(record))
    await world.authority.access(AGENT, one)
    assert len(world.authority.judge.grants._kept) == 1
    await world.authority.access(AGENT, other)


async def test_a_grant_in_use_is_not_verified_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = await chat(world)
    await opened(world, handle)
    await world.authority.access(AGENT, handle)
    with monkeypatch.context() as patch:
        patch.delattr(world.authority.judge.__class__, "evidence_under")
        await world.authority.access(AGENT, handle)


async def test_a_grant_that_has_ended_is_not_verified_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = await chat(world)
    await opened(world, handle)
    world.clock.at += GRANT_LIFE
    monkeypatch.delattr(world.authority.judge.__class__, "check_recorded")
    with pytest.raises(NoAccess):
        await world.authority.access(AGENT, handle)


async def test_a_policy_that_counts_is_asked_at_every_use_of_a_grant(world: World) -> None:
    one_at_a_time = """
        @id("One conversation a day.")
        forbid (principal, action == Action::"access", resource) when { context.counters.count_24h > 1 };
    """
    handle = await chat(world)
    await opened(world, handle)
    stricter = world.with_policy(POLICY + one_at_a_time)
    await stricter.access(AGENT, handle)
    await opened(world, await chat(world))
    with pytest.raises(NoAccess):
        await stricter.access(AGENT, handle)


@pytest.mark.parametrize("column", ["state", "account", "conversation", "principal", "redeemed_at"])
async def test_T40_a_row_in_the_database_opens_nothing(world: World, column: str) -> None:
    handle, other = await chat(world), await chat(world)
    ticket = await asked(world, "access", handle)
    if column == "state":
        edit(world.path, "UPDATE ticket SET state = 'executed', effect = 2, redeemed_at = requested_at")
    else:
        await carried_out(world, await world.approve(ticket, "ann"))
        changed = {"account": "'A-2'", "conversation": f"'{other}'", "principal": "'other'", "redeemed_at": "1"}
        edit(world.path, f"UPDATE ticket SET {column} = {changed[column]}")
    for principal, conversation in ((AGENT, handle), (AGENT, other), ("other", handle)):
        with pytest.raises(CounterfoilError):
            await world.authority.access(principal, conversation)


# Granting is no approving ---------------------------------------------------------------------------------------------


async def signed_otherwise(world: World, ticket: Ticket, decision: str) -> SignedStatement:
    """What the passkey would sign if the page had made the other kind of statement."""
    passkey = world.passkeys["ann"]
    offer = await world.authority.prepare(
        ticket.id, "ann", passkey.credential, "approve", world.authority.match_code(ticket.id)
    )
    statement = Statement.of(offer.statement.members() | {"decision": decision})
    return SignedStatement(statement.to_bytes(), passkey.sign(statement.challenge))


async def test_T51_an_approval_opens_no_records_and_a_grant_approves_nothing(world: World) -> None:
    access = await asked(world, "access", await chat(world))
    with pytest.raises(StatementRefused, match="another kind of request"):
        await world.authority.decide(access.id, await signed_otherwise(world, access, "approve"))
    pause = await asked(world, "pause", None)
    with pytest.raises(StatementRefused, match="another kind of request"):
        await world.authority.decide(pause.id, await signed_otherwise(world, pause, "grant"))
    assert (await world.now(access)).state is (await world.now(pause)).state is State.PENDING


# Without a client that keeps customers apart --------------------------------------------------------------------------


async def test_behind_a_shared_credential_nobodys_records_are_opened_unless_somebody_vouches(tmp_path: Path) -> None:
    async with open_world(tmp_path, desk_of=parlour_desk, policy=POLICY, client_isolation=False) as world:
        handle = await chat(world)
        with pytest.raises(NotIsolated):
            await asked(world, "access", handle)
        with pytest.raises(NotIsolated):
            await world.authority.access(AGENT, handle)
        assert (await asked(world, "pause", handle)).state is State.PENDING


# Running unattended ---------------------------------------------------------------------------------------------------


async def test_under_a_grant_policy_may_let_an_operation_run_by_itself(world: World) -> None:
    handle = await chat(world)
    access = await opened(world, handle)
    ticket = await asked(world, "pause", handle)
    assert ticket.state is State.APPROVED
    assert (ticket.envelope.grant, ticket.envelope.requirements) == (access.id, ())
    redeemed, order = (await world.authority.deliver(ticket.id)) or (None, "")
    assert redeemed is not None
    assert redeemed.state is State.EXECUTING
    assert order
    with pytest.raises(CounterfoilError):
        await world.authority.deliver(ticket.id)


async def test_T44_without_that_conversations_grant_for_that_account_people_have_to_sign(world: World) -> None:
    granted, other = await chat(world), await chat(world)
    await opened(world, granted)
    for conversation, account in ((granted, "A-2"), (other, "A-1"), (None, "A-1")):
        ticket = await asked(world, "pause", conversation, account=account)
        assert (ticket.state, ticket.envelope.grant) == (State.PENDING, None)
        assert ticket.envelope.requirements


async def test_what_policy_never_lets_run_alone_waits_for_people(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    assert (await asked(world, "close", handle)).state is State.PENDING
    assert (await asked(world, "access", handle)).envelope.grant is None


async def test_T38_a_tainted_request_waits_for_people_where_policy_says_so(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    assert (await asked(world, "pause", handle, tainted=True)).state is State.PENDING


async def test_T45_what_runs_by_itself_is_counted_with_what_waits(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    states = [(await asked(world, "pause", handle, days=days)).state for days in (1, 2, 3, 4)]
    assert states == [State.APPROVED, State.APPROVED, State.PENDING, State.PENDING]


@pytest.mark.parametrize("end", ["time", "revoke", "suspend", "lock", "taint policy"])
async def test_a_grant_that_ended_before_the_redemption_runs_nothing(world: World, end: str) -> None:
    handle = await chat(world)
    access = await opened(world, handle)
    ticket = await asked(world, "pause", handle)
    authority = world.authority
    if end == "time":
        world.clock.at += GRANT_LIFE
    elif end == "revoke":
        await authority.revoke(f"ticket:{access.id}", "x")
    elif end == "suspend":
        await authority.suspend("account:A-1", "x")
    elif end == "lock":
        await authority.revoke("account:A-1", "x")
    else:
        authority = world.with_policy(POLICY.replace("count_24h <= 2", "count_24h <= 0"))
    with pytest.raises(CounterfoilError):
        await authority.redeem(ticket.id, await authority.mint(ticket.id))
    assert (await world.now(ticket)).state is not State.EXECUTING


async def test_a_capability_minted_under_a_grant_is_worth_nothing_after_its_end(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    world.clock.at += GRANT_LIFE - 10
    ticket = await asked(world, "pause", handle)
    capability = await world.authority.mint(ticket.id)
    world.clock.at += 10
    with pytest.raises((NoAccess, CapabilityRefused)):
        await world.authority.redeem(ticket.id, capability)


async def test_the_holder_may_still_decline_what_would_run_by_itself(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    ticket = await asked(world, "pause", handle)
    assert (await world.decline(ticket, "ann")).state is State.DECLINED
    with pytest.raises(CounterfoilError):
        await world.authority.deliver(ticket.id)


async def test_with_a_grant_the_AI_is_told_why_nobody_can_approve(world: World) -> None:
    handle = await chat(world)
    await opened(world, handle)
    world.shop.locked.add("A-1")
    world.shop.locked.add("A-2")
    told = await asked(world, "close", handle)
    assert await world.authority.told(told) == "nobody closes what is locked"
    for conversation, account in ((None, "A-1"), (handle, "A-2")):
        assert await world.authority.told(await asked(world, "close", conversation, account=account)) is None
