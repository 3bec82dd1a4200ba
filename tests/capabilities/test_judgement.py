"""May it run now? Whoever edits the database finds that nothing does (T40, T49, T54)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from capabilities.world import LOG_KEY, Office, World
from counterfoil.authority import Requester
from counterfoil.errors import CounterfoilError, RosterRefused, StatementRefused, TamperDetected, WrongState
from counterfoil.judgement import Judge
from counterfoil.roster import RosterTrust
from counterfoil.rungs import Rung
from counterfoil.store import Counters
from counterfoil.tickets import State, Ticket

BIG = {"value": "900.00", "currency": "EUR"}


def sql(world: World, *statements: str | tuple[str, Sequence[Any]]) -> list[Any]:
    """What somebody does who can write the database file: no trigger and no foreign key stops them."""
    connection = sqlite3.connect(world.path, isolation_level=None, timeout=60)
    try:
        rows: list[Any] = []
        for statement in ("DROP TRIGGER IF EXISTS envelope_is_frozen", *statements):
            text, values = (statement, ()) if isinstance(statement, str) else statement
            rows = connection.execute(text, values).fetchall()
        return rows
    finally:
        connection.close()


async def approved(world: World) -> tuple[Ticket, str]:
    """A ticket that could be redeemed, and its capability."""
    ticket = await world.request(by=Requester("agent", conversation="chat"))
    ticket = await world.approve(ticket, "ann")
    return ticket, await world.authority.mint(ticket.id)


async def nothing_runs(world: World, ticket: Ticket, capability: str) -> set[type[BaseException]]:
    """That the ticket is neither minted for nor redeemed; answers with what that was refused."""
    refusals: set[type[BaseException]] = set()
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: world.authority.redeem(ticket.id, capability),
        lambda: world.authority.mint(ticket.id),
        lambda: world.authority.deliver(ticket.id),
    ]
    for attempt in attempts:
        with pytest.raises(CounterfoilError) as caught:
            await attempt()
        refusals.add(caught.type)
    with pytest.raises(CounterfoilError):
        await world.authority.redeem(ticket.id, capability, presenter="agent")
    assert "redeem" not in [leaf.event for leaf in await world.store.leaves(limit=10_000)]
    return refusals


EDITS: dict[str, Any] = {
    "number": 4711,
    "id": "cf_other",
    "state": "pending",
    "principal": "other",
    "account": "A-2",
    "operation": "close_account",
    "conversation": "other",
    "delivery": "collected",
    "requested_at": 1,
    "expires_at": 2_000_000_000,
    "hold_until": 2_000_000_000,
    "request_leaf": 0,
}
"""A column of the ticket row → what somebody writes there so that nothing runs any more."""

SAID: dict[str, Any] = {
    "approved_at": 1,
    "redeemed_at": 1,
    "ended_at": 1,
    "outcome": '{"reason":"edited"}',
    "refusal": "edited",
    "dedupe": "edited",
    "wrong_codes": 0,
}
"""Columns that are told or counted, on which nothing that runs depends."""

COUNTED_COLUMNS = {"currency", "amount", "effect", "undoes"}
"""What counters and caps add up of other tickets, and whether another one undoes the same; the executor's own policy
and ledger look at them again."""


async def test_every_column_of_a_ticket_row_is_looked_at_here(world: World) -> None:
    columns = {row[1] for row in sql(world, "PRAGMA table_info(ticket)")}
    assert columns == set(EDITS) | set(SAID) | COUNTED_COLUMNS


@pytest.mark.parametrize("column", EDITS)
async def test_T40_an_edited_ticket_row_redeems_nothing(world: World, column: str) -> None:
    ticket, capability = await approved(world)
    sql(world, (f"UPDATE ticket SET {column} = ? WHERE id = ?", (EDITS[column], ticket.id)))
    await nothing_runs(world, ticket, capability)


@pytest.mark.parametrize("column", SAID)
async def test_an_edited_column_that_is_only_said_changes_nothing_that_runs(world: World, column: str) -> None:
    ticket, capability = await approved(world)
    sql(world, (f"UPDATE ticket SET {column} = ? WHERE id = ?", (SAID[column], ticket.id)))
    redeemed, _ = await world.authority.redeem(ticket.id, capability)
    assert redeemed.envelope_bytes == ticket.envelope_bytes


@pytest.mark.parametrize("state", ["approved", "held", "executing", "executed"])
async def test_T40_a_state_that_was_written_by_hand_is_no_approval(world: World, state: str) -> None:
    ticket = await world.request(amount=BIG)
    await world.approve(ticket, "ann", "fay")
    sql(world, f"UPDATE ticket SET state = '{state}', approved_at = 1 WHERE id = '{ticket.id}'")
    await nothing_runs(world, ticket, "")


async def test_T40_a_hold_that_was_shortened_by_hand_is_waited_out(world: World) -> None:
    ticket = await world.request("close_account")
    await world.approve(ticket, "ida", "ivo")
    for value in ("NULL", "1"):
        sql(world, f"UPDATE ticket SET hold_until = {value}, state = 'approved' WHERE id = '{ticket.id}'")
        assert WrongState in await nothing_runs(world, ticket, "")
    world.clock.at += 3600
    assert await world.authority.deliver(ticket.id)


async def test_T40_a_decline_that_was_undone_by_hand_stays_one(world: World) -> None:
    ticket = await world.request(amount=BIG)
    await world.approve(ticket, "ann", "fay")
    await world.decline(ticket, "fox")
    for decision in ("approve", "decline"):
        sql(
            world,
            f"UPDATE ticket SET state = 'approved', ended_at = NULL, outcome = NULL WHERE id = '{ticket.id}'",
            f"UPDATE statement SET decision = '{decision}'",
        )
        assert StatementRefused in await nothing_runs(world, ticket, "")


async def test_T40_an_edited_ticket_goes_on_to_nothing(world: World) -> None:
    ticket = await world.request(amount=BIG)
    await world.approve(ticket, "ann", "fay")
    sql(world, f"UPDATE ticket SET delivery = 'collected' WHERE id = '{ticket.id}'")
    with pytest.raises(TamperDetected):
        await world.authority.advance(ticket.id)


ENVELOPE_EDITS = [
    (b'\\"value\\":\\"49.00\\"', b'\\"value\\":\\"48.00\\"'),
    (b'"account":"A-1"', b'"account":"A-2"'),
    (b'"holder":"passkey"', b'"holder":"link"'),
    (b'"requirements":[{', b'"requirements":[{"code":false,"hold":0,"holder":"none","staff":{}},{'),
    (b'"tainted":false', b'"tainted":true'),
    (b'"delivery":"direct"', b'"delivery":"collected"'),
    (b'"note":null', b'"note":"hello"'),
    (b'"v":1', b'"v":1 '),
    (b'"v":1', b'"v":2'),
]


@pytest.mark.parametrize(("before", "after"), ENVELOPE_EDITS)
async def test_T40_an_edited_envelope_redeems_nothing(world: World, before: bytes, after: bytes) -> None:
    ticket, capability = await approved(world)
    body = ticket.envelope_bytes.replace(before, after)
    assert body != ticket.envelope_bytes
    sql(world, ("UPDATE envelope SET body = ?", (body,)))
    assert TamperDetected in await nothing_runs(world, ticket, capability)
    with pytest.raises(CounterfoilError):
        await world.authority.view(ticket.id, "ann")


async def test_T40_an_edited_pending_ticket_is_not_signed(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    body = ticket.envelope_bytes.replace(b"49.00", b"48.00")
    sql(world, ("UPDATE envelope SET body = ?", (body,)))
    for attempt in (
        lambda: world.authority.view(ticket.id, "ann"),
        lambda: world.sign(ticket, "ann"),
        lambda: world.authority.decide(ticket.id, signed),
    ):
        with pytest.raises(TamperDetected):
            await attempt()


async def test_T40_the_envelope_and_rows_of_another_ticket_do_not_fit(world: World) -> None:
    ticket, capability = await approved(world)
    other = await world.request(amount={"value": "1.00", "currency": "EUR"})
    sql(
        world,
        ("UPDATE envelope SET body = ? WHERE ticket = (SELECT number FROM ticket WHERE id = ?)",
         (other.envelope_bytes, ticket.id)),
    )  # fmt: skip
    await nothing_runs(world, ticket, capability)


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM statement",
        "UPDATE statement SET statement = X'7B7D'",
        "UPDATE statement SET statement = CAST(replace(CAST(statement AS TEXT), 'approve', 'decline') AS BLOB)",
        "UPDATE statement SET statement = CAST(replace(CAST(statement AS TEXT), 'ann', 'fil') AS BLOB)",
        "UPDATE statement SET assertion = '{}'",
        'UPDATE statement SET assertion = replace(assertion, \'"signature":"M\', \'"signature":"N\')',
        "INSERT INTO statement SELECT number + 1, ticket, 'fil', seat, credential, decision, statement, assertion, "
        "recorded_at FROM statement",
    ],
)
async def test_T40_edited_deleted_or_copied_evidence_redeems_nothing(world: World, edit: str) -> None:
    ticket, capability = await approved(world)
    sql(world, edit)
    await nothing_runs(world, ticket, capability)


@pytest.mark.parametrize("column", ["person", "seat", "credential", "recorded_at"])
async def test_T40_what_stands_beside_a_signed_statement_is_not_believed(world: World, column: str) -> None:
    ticket = await world.request(amount=BIG)
    await world.approve(ticket, "ann", "fay")
    sql(world, f"UPDATE statement SET {column} = 7 WHERE person = 'fay'")
    evidence = await world.authority.judge.evidence(ticket, await world.store.statements(ticket.id))
    assert evidence.people == ("ann", "fay")
    assert evidence.reached == Rung(holder="passkey", code=True, staff={"finance": 1})


async def test_T40_genuine_evidence_of_another_ticket_does_not_count(world: World) -> None:
    first, _ = await approved(world)
    second = await world.request(amount={"value": "1.00", "currency": "EUR"})
    sql(
        world,
        "UPDATE statement SET ticket = (SELECT number FROM ticket ORDER BY number DESC LIMIT 1)",
        "UPDATE ticket SET state = 'approved'",
    )
    for ticket in (first, second):
        await nothing_runs(world, ticket, "")


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE leaf SET opening = NULL WHERE event = 'request'",
        "UPDATE leaf SET opening = X'5B5D' WHERE event = 'request'",
        "UPDATE leaf SET opening = X'FF' WHERE event = 'request'",
        """UPDATE leaf SET opening = CAST('{"salt":"!"}' AS BLOB) WHERE event = 'request'""",
        """UPDATE leaf SET opening = CAST('{"salt":"AA"}' AS BLOB) WHERE event = 'request'""",
        "UPDATE leaf SET mac = zeroblob(32) WHERE event = 'request'",
        "UPDATE leaf SET mac = zeroblob(31) WHERE number = (SELECT number - 1 FROM leaf WHERE event = 'request')",
        "UPDATE leaf SET body = CAST(replace(CAST(body AS TEXT), '\"v\":1', '\"v\":2') AS BLOB) "
        "WHERE event = 'request'",
        "DELETE FROM leaf WHERE event = 'request'",
        "DELETE FROM leaf WHERE number = (SELECT number - 1 FROM leaf WHERE event = 'request')",
        "UPDATE ticket SET request_leaf = (SELECT number FROM leaf WHERE event = 'statement')",
        "UPDATE ticket SET request_leaf = 9999",
    ],
)
async def test_T40_an_edited_log_redeems_nothing(world: World, edit: str) -> None:
    ticket, capability = await approved(world)
    sql(world, edit)
    assert await nothing_runs(world, ticket, capability) == {TamperDetected}


async def test_T40_the_leaf_of_another_request_does_not_vouch_for_this_one(world: World) -> None:
    ticket, capability = await approved(world)
    other = await world.request(amount={"value": "1.00", "currency": "EUR"})
    leaf = "(SELECT request_leaf FROM ticket WHERE id = '{}')"
    sql(world, f"UPDATE ticket SET request_leaf = {leaf.format(other.id)} WHERE id = '{ticket.id}'")
    assert await nothing_runs(world, ticket, capability) == {TamperDetected}


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE capability SET ticket = (SELECT number FROM ticket ORDER BY number DESC LIMIT 1)",
        "UPDATE capability SET id = 'other'",
        "DELETE FROM capability",
        "UPDATE capability SET ended_at = 1",
        "UPDATE capability SET expires_at = 1",
    ],
)
async def test_T40_an_edited_capability_row_redeems_nothing(world: World, edit: str) -> None:
    ticket, capability = await approved(world)
    await world.request(amount={"value": "1.00", "currency": "EUR"})
    sql(world, edit)
    with pytest.raises(CounterfoilError):
        await world.authority.redeem(ticket.id, capability)


async def test_T40_a_capability_row_that_lives_longer_does_not_make_its_token_live(world: World) -> None:
    ticket, capability = await approved(world)
    world.clock.at += 121
    sql(world, "UPDATE capability SET expires_at = 2000000000")
    with pytest.raises(CounterfoilError):
        await world.authority.redeem(ticket.id, capability)


# T49: the roster in the database --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM roster_record WHERE version = 1",
        "DELETE FROM roster_record WHERE version = 7",
        "DELETE FROM roster_record",
        "UPDATE roster_record SET record = (SELECT record FROM roster_record WHERE version = 2) WHERE version = 1",
        "UPDATE roster_record SET record = replace(record, 'A', 'B') WHERE version = 3",
        "INSERT INTO roster_record SELECT 8, record FROM roster_record WHERE version = 7",
        "INSERT INTO roster_record VALUES (8, 'forged')",
        'UPDATE enrolment SET record = replace(record, \'"person":"fay"\', \'"person":"fox"\')',
        "UPDATE enrolment SET record = (SELECT record FROM enrolment ORDER BY number LIMIT 1)",
        "DELETE FROM enrolment",
    ],
)
async def test_T49_an_edited_roster_decides_mints_and_redeems_nothing(world: World, edit: str) -> None:
    ticket, capability = await approved(world)
    pending = await world.request(amount=BIG)
    signed = await world.sign(pending, "ann")
    sql(world, edit)
    refusals = await nothing_runs(world, ticket, capability)
    assert refusals <= {RosterRefused, StatementRefused}
    with pytest.raises((RosterRefused, StatementRefused)):
        await world.authority.decide(pending.id, signed)


async def test_T49_a_rolled_back_roster_is_noticed_after_a_start_by_the_pinned_version(world: World) -> None:
    ticket, _ = await approved(world)
    await world.end("person", "ann")
    sql(world, "DELETE FROM roster_record WHERE version = 8")
    judge = world.authority.judge
    for minimum, noticed in ((8, True), (7, False)):
        trust = RosterTrust(judge.trust.keys, minimum, judge.trust.party)
        fresh = Judge(desk=world.desk, policy=judge.policy, store=world.store, trust=trust, log_key=LOG_KEY)
        if noticed:
            with pytest.raises(RosterRefused):
                await fresh.may_run(ticket, world.store.now())
        else:
            assert (await fresh.may_run(ticket, world.store.now())).evidence.people == ("ann",)


async def test_T49_the_highest_version_that_was_seen_is_the_lowest_accepted(world: World) -> None:
    await world.authority.judge.roster()
    await world.end("person", "fay")
    await world.authority.judge.roster()
    assert world.authority.judge.trust.minimum_version == 8
    sql(world, "DELETE FROM roster_record WHERE version = 8")
    with pytest.raises(RosterRefused):
        await world.authority.judge.roster()


async def test_T49_an_invitation_by_the_owner_of_the_database_is_worth_nothing(world: World) -> None:
    eves = Office()
    record = eves.invite("eve", accounts=["A-1"], roles=["finance"], version=8, previous=world.office.head)
    sql(world, ("INSERT INTO roster_record VALUES (8, ?)", (record,)))
    with pytest.raises(RosterRefused, match="Record 8"):
        await world.authority.judge.roster()


async def test_a_changed_roster_is_verified_again_at_once(world: World) -> None:
    assert not (await world.authority.judge.roster()).people["fay"].ended
    await world.end("person", "fay")
    assert (await world.authority.judge.roster()).people["fay"].ended


# The judgement itself -------------------------------------------------------------------------------------------------


async def test_a_judgement_says_what_redemption_has_to_find_unchanged(world: World) -> None:
    ticket, _ = await approved(world)
    world.clock.at += 5
    judgement = await world.authority.judge.may_run(ticket, world.store.now())
    assert judgement.evidence.people == ("ann",)
    assert judgement.reached == Rung(holder="passkey", code=True, hold=5)
    assert (judgement.statements, judgement.counters) == (1, Counters(0, Decimal(0)))
    assert judgement.counter_since == world.store.now() - 86400


async def test_a_statement_that_came_in_between_is_looked_at_before_redemption(world: World) -> None:
    """The store compares the number of statements in its transaction, and the authority judges again."""
    ticket, capability = await approved(world)
    judge = world.authority.judge
    judged = judge.may_run
    times = 0

    async def may_run(subject: Ticket, now: int) -> Any:
        nonlocal times
        judgement = await judged(subject, now)
        times += 1
        if times == 1:
            await world.decline(ticket, "fil")
        return judgement

    judge.may_run = may_run  # type: ignore[assignment, method-assign]
    with pytest.raises(CounterfoilError):
        await world.authority.redeem(ticket.id, capability)
    assert (await world.now(ticket)).state is State.DECLINED


async def test_a_preview_that_hangs_is_ended(world: World) -> None:
    operation = world.desk.operations["send_gift"]
    operation.time_limit = 0.01

    async def hangs(**arguments: Any) -> Any:
        await asyncio.Event().wait()

    operation.run_preview = hangs
    previewed = await world.authority.judge.preview(operation, b'{"account":"A-1"}', None)
    assert previewed.facts is None
    ticket = await world.request("send_gift")
    assert "could not be read" in (ticket.refusal or "")


async def test_T54_a_preview_runs_also_for_an_account_that_nobody_knows(world: World) -> None:
    operation = world.desk.operations["send_gift"]
    asked: list[str] = []
    original = operation.run_preview
    assert original is not None

    async def watched(**arguments: Any) -> Any:
        asked.append(arguments["account"])
        return await original(**arguments)

    operation.run_preview = watched
    for account in ("A-1", "A-9"):
        await world.request("send_gift", account=account)
    assert asked == ["A-1", "nobody"]


@pytest.mark.parametrize("owners", [(), ("A-2",), ("A-1", "A-2")])
async def test_T43_the_owners_are_exactly_the_account(world: World, owners: tuple[str, ...]) -> None:
    operation = world.desk.operations["send_gift"]

    async def preview(**arguments: Any) -> Any:
        return operation.facts.model_validate({"owners": owners})

    operation.run_preview = preview
    ticket = await world.request("send_gift")
    assert ticket.envelope.requirements == ()
    assert "does not belong" in (ticket.refusal or "")


async def test_a_preview_that_answers_something_else_gives_no_facts(world: World) -> None:
    operation = world.desk.operations["refund"]

    async def preview(**arguments: Any) -> Any:
        return {"owners": ["A-1"]}

    operation.run_preview = preview
    assert (await world.request()).envelope.facts is None


async def test_the_question_to_policy_holds_what_the_envelope_froze(world: World) -> None:
    ticket, _ = await approved(world)
    judge, envelope = world.authority.judge, ticket.envelope
    facts = envelope.fact_values or {}
    counters = Counters(0, Decimal(0))
    question = judge.question(world.desk.operations["refund"], envelope, facts, counters)
    assert (question.principal, question.account, question.unguarded) == ("agent", "A-1", False)
    assert question.amount is not None
    assert str(question.amount) == "49.00 EUR"
    unguarded = judge.question(world.desk.operations["refund"], envelope, facts | {"guard": None}, counters)
    assert unguarded.unguarded


async def test_what_happened_before_is_compared_where_a_rule_of_the_operation_reads_it(world: World) -> None:
    judge, now = world.authority.judge, world.store.now()
    refund = await world.approve(await world.request(), "ann")
    gift = await world.approve(await world.request("send_gift", text="a book"), "ann")
    assert (await judge.may_run(refund, now)).counters == Counters(0, Decimal(0))
    assert (await judge.may_run(gift, now)).counters is None


async def test_a_roster_that_was_read_before_another_one_takes_nothing_of_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the log; meanwhile somebody is ended. A roster without that end is older than was seen."""
    enrolments = world.authority.judge._enrolments
    told, waits, goes_on = enrolments.told, asyncio.Event(), asyncio.Event()

    async def held_up() -> dict[str, str]:
        if not waits.is_set():
            waits.set()
            await goes_on.wait()
        return await told()

    monkeypatch.setattr(enrolments, "told", held_up)
    early = asyncio.create_task(world.authority.judge.roster())
    await waits.wait()
    await world.end("person", "ben")
    newest = (await world.authority.judge.roster()).version
    goes_on.set()
    assert (await early).version == newest - 1
    assert world.authority.judge.trust.minimum_version == newest
