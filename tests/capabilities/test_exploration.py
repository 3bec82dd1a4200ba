"""Every order in which things can happen to a few tickets, explored exhaustively on the real transition table.

The world is a model of everything around the table: a store whose updates are conditional on ``sources()`` and write
their leaf at once; a redeemer that judges first and claims later, when its judgement may be stale; people, clocks and
administrators who stop things at any moment; an executor with a ledger, which may be handed an order twice, crash
anywhere, and look up what became of it; and staff who find that out by themselves, perhaps at the same moment. The
invariants of the design are checked in every state that can be reached.

``COUNTERFOIL_EXPLORE=full`` explores three tickets at once (minutes); without it two. That the exploration sees
something is itself tested: each careless world below breaks the invariant that it is said to break.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from counterfoil.errors import WrongState
from counterfoil.tickets import COUNTED, STOPPABLE, STOPS, TERMINAL, UNDOABLE, Event, State, after, sources

FULL = os.environ.get("COUNTERFOIL_EXPLORE") == "full"


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True, slots=True)
class One:
    """One ticket and what goes on around it. ``logged`` is the state that its leaves add up to."""

    state: State = State.PENDING
    logged: State = State.PENDING
    exists: bool = True
    evidence: bool = False
    due: bool = False
    """Past its time."""
    waited: bool = False
    judged: int | None = None
    """The counter that the redeemer looked at when it judged; None before."""
    order: bool = False
    ledger: bool = False
    runner: str = "none"
    """The executor: none, started, effected, dead, looking."""
    effects: int = 0
    redemptions: int = 0
    late: bool = False
    """Redeemed past its time, or before its waiting time was over."""
    stopped: Event | None = None
    """Which stop was answered as done."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is so around the table. The careless variants leave something out."""

    hold: bool = False
    limit: int = 2
    """How many tickets policy's counter lets through."""
    second_is_undo: bool = False
    crashes: bool = True
    compares_state: bool = True
    compares_counter: bool = True
    compares_expiry: bool = True
    compares_hold: bool = True
    keeps_ledger: bool = True
    writes_leaf: bool = True
    reruns_after_crash: bool = False
    stops_claimed: bool = False
    guesses: bool = False
    people_settle: bool = True
    settles_known: bool = False


World = tuple[One, ...]


def stepped(one: One, event: Event, rules: Rules) -> One | None:
    """The store's conditional update with its leaf; None where it changed nothing."""
    allowed = one.state in sources(event)
    try:
        following = after(one.state, event)
        if not allowed:
            raise Broken(f"{event} leads on from {one.state}, which is none of its sources")
    except WrongState:
        if allowed:
            raise Broken(f"{event} leads nowhere from {one.state}, one of its sources") from None
        careless = (not rules.compares_state and event is Event.REDEEM) or (rules.stops_claimed and event in STOPS)
        if not careless:
            return None
        following = after(sources(event)[0], event)
    logged = following if rules.writes_leaf or event is not Event.REDEEM else one.logged
    return replace(one, state=following, logged=logged)


def moves(one: One, rules: Rules, counted: int) -> Iterator[tuple[str, One]]:
    """Everything that can happen to one ticket next."""
    if not one.exists:
        return
    yield from people(one, rules)
    yield from redeemer(one, rules, counted)
    yield from executor(one, rules)
    yield from settlers(one, rules)


def settlers(one: One, rules: Rules) -> Iterator[tuple[str, One]]:
    """Staff who found out in the organisation's own system, and signed it; the connector's lookup may be under way."""
    if not rules.people_settle or one.state is State.PENDING or not (rules.settles_known or one.state is State.UNKNOWN):
        return
    for event, said in ((Event.FIND_EXECUTED, True), (Event.FIND_NOT_EXECUTED, False)):
        if said is (one.effects > 0) or rules.guesses:
            if (found := stepped(one, event, rules)) is not None:
                yield f"signed: {event}", found
            elif rules.settles_known and one.redemptions:
                after_all = after(State.UNKNOWN, event)
                yield f"signed anyway: {event}", replace(one, state=after_all, logged=after_all)


def people(one: One, rules: Rules) -> Iterator[tuple[str, One]]:
    if one.state in STOPPABLE and not one.due:
        yield "time passes", replace(one, due=True)
    if one.state is State.HELD and not one.waited:
        yield "the hold ends", replace(one, waited=True)
    if not one.evidence and one.state is State.PENDING:
        yield "people sign", replace(one, evidence=True)
    if one.evidence and not one.due:
        for event in (Event.APPROVE, *((Event.HOLD,) if rules.hold else ())):
            if (following := stepped(one, event, rules)) is not None:
                yield event, following
    for event in STOPS:
        if (event is not Event.EXPIRE or one.due) and (following := stepped(one, event, rules)) is not None:
            yield event, replace(following, stopped=event)


def redeemer(one: One, rules: Rules, counted: int) -> Iterator[tuple[str, One]]:
    """Judges on what it reads, and claims later on what it had judged."""
    ready = one.state is State.HELD if rules.hold else one.state is State.APPROVED
    waited = one.waited or not rules.hold or not rules.compares_hold
    if one.judged is None and one.evidence and ready and waited and counted < rules.limit:
        yield "judge", replace(one, judged=counted)
    if one.judged is None:
        return
    if rules.compares_counter and one.judged != counted:
        yield "counters moved", replace(one, judged=None)
    elif not (one.due and rules.compares_expiry) and (claimed := stepped(one, Event.REDEEM, rules)) is not None:
        late = one.due or (rules.hold and not one.waited)
        yield "redeem", replace(claimed, order=True, redemptions=one.redemptions + 1, late=late)
    else:
        yield "redemption refused", replace(one, judged=None)


def executor(one: One, rules: Rules) -> Iterator[tuple[str, One]]:
    """Starts only what its ledger does not know; a crash may come anywhere."""
    if one.order and one.runner == "none" and not (one.ledger and rules.keeps_ledger):
        yield "start", replace(one, ledger=True, runner="started")
        if (late := stepped(one, Event.REPORT_NOT_EXECUTED, rules)) is not None:
            yield "too late", replace(late, ledger=True)
    if one.runner == "started":
        yield "effect", replace(one, runner="effected", effects=one.effects + 1)
        if (refused := stepped(one, Event.REPORT_NOT_EXECUTED, rules)) is not None:
            yield "not executed", replace(refused, runner="none")
    if one.runner == "effected" and (reported := stepped(one, Event.REPORT_EXECUTED, rules)) is not None:
        yield "executed", replace(reported, runner="none")
    if rules.crashes and one.runner in ("started", "effected"):
        yield "crash", replace(one, runner="dead")
    if one.runner == "dead":
        if rules.reruns_after_crash:
            yield "rerun", replace(one, runner="started")
        if (unknown := stepped(one, Event.REPORT_UNKNOWN, rules)) is not None:
            yield "unknown", replace(unknown, runner="looking")
    if one.runner == "looking":
        happened = one.effects > 0
        for event, said in ((Event.FIND_EXECUTED, True), (Event.FIND_NOT_EXECUTED, False)):
            if said is happened or rules.guesses:
                found = stepped(one, event, rules)
                if found is not None:
                    yield event, replace(found, runner="none")


def check(world: World, rules: Rules) -> None:
    """The invariants of the design, by their numbers; raises :class:`Broken`."""
    for one in world:
        if one.effects > 1 or one.redemptions > 1:
            raise Broken("2: an effect started more than once")
        if one.effects and not (one.evidence and one.redemptions == 1):
            raise Broken("1: an effect without a redemption of sufficient evidence")
        if one.stopped is not None and (one.effects or one.state is not STOPS[one.stopped]):
            number = {Event.REVOKE: 3, Event.EXPIRE: 6, Event.DECLINE: 7, Event.CANCEL: 3}[one.stopped]
            raise Broken(f"{number}: what was answered as stopped went on")
        if one.logged is not one.state:
            raise Broken("8: the log does not tell the state")
        if one.effects and not one.ledger:
            raise Broken("11: an effect before its start was recorded")
        if (one.state is State.EXECUTED and not one.effects) or (one.state is State.NOT_EXECUTED and one.effects):
            raise Broken("an outcome was guessed")
        if one.late:
            raise Broken("6: redeemed out of its time")
    if sum(one.state in COUNTED for one in world) > rules.limit:
        raise Broken("28: more was redeemed than the counter allows")
    if rules.second_is_undo and world[1].exists and world[0].state not in UNDOABLE:
        raise Broken("an undo of what was not executed")


def following(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """Everything that can happen next in the whole world."""
    counted = sum(one.state in COUNTED for one in world)
    for at, one in enumerate(world):
        for what, changed in moves(one, rules, counted):
            yield f"{at}: {what}", (*world[:at], changed, *world[at + 1 :])
    if rules.second_is_undo and not world[1].exists and world[0].state in UNDOABLE:
        yield "1: requested as undo", (world[0], replace(world[1], exists=True))
    revocable = [stepped(one, Event.REVOKE, rules) if one.exists else None for one in world]
    if len(world) > 1 and any(revocable):
        yield (
            "revoke the account",
            tuple(
                one if revoked is None else replace(revoked, stopped=Event.REVOKE)
                for one, revoked in zip(world, revocable, strict=True)
            ),
        )


def explore(start: World, rules: Rules) -> set[World]:
    """Every world that can be reached, each checked; :class:`Broken` names the shortest way to one that is wrong."""
    came: dict[World, tuple[World, str] | None] = {start: None}
    ahead = deque([start])
    while ahead:
        world = ahead.popleft()
        try:
            check(world, rules)
            reached = list(following(world, rules))
        except Broken as error:
            raise Broken(f"{error}, after {' → '.join(way(world, came))}") from None
        for what, nearby in reached:
            if nearby not in came:
                came[nearby] = (world, what)
                ahead.append(nearby)
    return set(came)


def way(world: World, came: dict[World, tuple[World, str] | None]) -> list[str]:
    steps: list[str] = []
    while (origin := came[world]) is not None:
        world, what = origin
        steps.append(what)
    return steps[::-1]


@pytest.mark.parametrize("hold", [False, True])
def test_all_that_can_happen_to_one_ticket(hold: bool) -> None:
    worlds = explore((One(),), Rules(hold=hold))
    assert {world[0].state for world in worlds} == set(State) - (set() if hold else {State.HELD})
    assert {world[0].effects for world in worlds} == {0, 1}
    assert {world[0].runner for world in worlds} == {"none", "started", "effected", "dead", "looking"}


def test_all_that_can_happen_to_an_operation_and_its_undo() -> None:
    worlds = explore((One(), One(exists=False)), Rules(second_is_undo=True))
    assert {world[1].state for world in worlds if world[1].effects} >= {State.EXECUTING, State.EXECUTED}
    assert all(world[0].state is State.EXECUTED for world in worlds if world[1].exists)


@pytest.mark.parametrize("limit", [1, 2])
def test_all_that_can_happen_to_tickets_that_share_a_counter(limit: int) -> None:
    tickets = 3 if FULL else 2
    worlds = explore((One(),) * tickets, Rules(limit=limit, hold=not FULL))
    assert max(sum(one.effects for one in world) for world in worlds) == limit
    assert len(worlds) > (70_000 if FULL else 3_000)


def test_what_has_ended_stays_as_it_is_whatever_happens_next() -> None:
    rules = Rules(hold=True)
    ended = [world for world in explore((One(),), rules) if world[0].state in TERMINAL]
    assert {world[0].state for world in ended} == TERMINAL
    for world in ended:
        assert {nearby[0].state for _, nearby in following(world, rules)} <= {world[0].state}


@pytest.mark.parametrize(
    ("careless", "broken"),
    [
        (Rules(compares_state=False), "7: what was answered as stopped"),
        (Rules(compares_counter=False, limit=1), "28: more was redeemed"),
        (Rules(compares_expiry=False), "6: redeemed out of its time"),
        (Rules(compares_hold=False, hold=True), "6: redeemed out of its time"),
        (Rules(keeps_ledger=False), "an outcome was guessed"),
        (Rules(keeps_ledger=False, crashes=False), "an outcome was guessed"),
        (Rules(writes_leaf=False), "8: the log does not tell"),
        (Rules(reruns_after_crash=True), "2: an effect started more than once"),
        (Rules(stops_claimed=True), "3: what was answered as stopped|7: what was answered as stopped"),
        (Rules(guesses=True), "an outcome was guessed"),
        (Rules(settles_known=True), "an outcome was guessed"),
    ],
)
def test_the_exploration_notices_a_careless_world(careless: Rules, broken: str) -> None:
    start = (One(), One()) if careless.limit == 1 else (One(),)
    with pytest.raises(Broken, match=broken):
        explore(start, careless)
