"""Rungs: what covers what, and which are minimal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from counterfoil.rungs import Ladder, Rung, WrittenRung, default_ladder, duration
from counterfoil.values import ASSURANCES

RUNGS = st.builds(
    Rung,
    holder=st.sampled_from(ASSURANCES),
    staff=st.dictionaries(st.sampled_from(["finance", "legal"]), st.integers(1, 3)),
    code=st.booleans(),
    hold=st.integers(0, 3),
)


def test_stronger_assurances_cover_weaker_ones() -> None:
    for at, stronger in enumerate(ASSURANCES):
        for below, weaker in enumerate(ASSURANCES):
            assert Rung(holder=stronger).covers(Rung(holder=weaker)) is (at >= below)


@pytest.mark.parametrize(
    "more",
    [
        Rung(holder="passkey"),
        Rung(staff={"finance": 2}),
        Rung(staff={"finance": 1, "legal": 1}),
        Rung(staff={"finance": 1}, code=True),
        Rung(staff={"finance": 1}, hold=1),
    ],
)
def test_asking_for_more_of_anything_is_not_covered_by_less(more: Rung) -> None:
    less = Rung(staff={"finance": 1})
    assert not less.covers(more)
    assert more.covers(less) is (more != Rung(holder="passkey"))


@given(RUNGS, RUNGS, RUNGS)
def test_covering_is_an_order(one: Rung, other: Rung, third: Rung) -> None:
    assert one.covers(one)
    assert one.covers(Rung())
    if one.covers(other) and other.covers(third):
        assert one.covers(third)
    if one.covers(other) and other.covers(one):
        assert one == other


@given(st.lists(RUNGS, max_size=6))
def test_minimal_rungs_are_what_everything_else_covers(rungs: list[Rung]) -> None:
    asking = [rung for rung in rungs if not rung.is_empty]
    least = Ladder.of(rungs).least()
    assert all(any(rung.covers(lower) for lower in least) for rung in asking)
    assert not any(one != other and one.covers(other) for one in least for other in least)
    assert list(least) == [rung for place, rung in enumerate(asking) if rung in least and rung not in asking[:place]]


@given(st.lists(RUNGS, max_size=5), st.data())
def test_what_may_be_allowed_is_upward(rungs: list[Rung], data: st.DataObject) -> None:
    ladder = Ladder.of(rungs)
    places = range(len(ladder.rungs))
    allowed = {place for place in places if data.draw(st.booleans())}
    pairs = [(i, j) for i in places for j in places if i != j and ladder.rungs[i].covers(ladder.rungs[j])]
    assert ladder.is_upward(allowed) == all(stronger in allowed for stronger, weaker in pairs if weaker in allowed)
    assert ladder.strongest() == [place for place in places if place not in {weaker for _, weaker in pairs}]


def test_only_the_rung_that_asks_for_nothing_is_empty() -> None:
    assert Rung().is_empty
    for rung in (Rung(holder="link"), Rung(staff={"x": 1}), Rung(code=True), Rung(hold=1)):
        assert not rung.is_empty


@pytest.mark.parametrize(
    "values",
    [
        {"staff": {"x": 0}},
        {"staff": {"x": -1}},
        {"staff": {"x": True}},
        {"hold": -1},
        {"hold": 1.0},
        {"holder": "x"},
        {"y": 1},
    ],
)
def test_impossible_rungs_cannot_be_made(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Expected|Invalid|unknown"):
        Rung.of(values)
    with pytest.raises(ValidationError):
        WrittenRung.model_validate(values)


@pytest.mark.parametrize(("written", "hold"), [("1 day", 86400), ("90", 90), (7, 7)])
def test_a_rung_can_be_written_with_a_duration(written: object, hold: int) -> None:
    read = WrittenRung.model_validate({"staff": {"x": 2}, "hold": written})
    assert read.rung == Rung(staff={"x": 2}, hold=hold)


def test_the_default_ladder_asks_for_more_step_by_step() -> None:
    base = Rung(holder="passkey", code=True)
    assert default_ladder([]) == (base,)
    staff = [rung.staff for rung in default_ladder(["a", "b"])]
    assert staff == [{}, {"a": 1}, {"b": 1}, {"a": 2}, {"b": 2}]
    assert all(rung.covers(base) for rung in default_ladder(["a", "b"]))


@pytest.mark.parametrize(
    ("rung", "words"),
    [
        (Rung(holder="link"), "the account holder confirms with a code sent to them"),
        (Rung(holder="passkey", code=True),
         "the account holder confirms with their passkey and the code from the chat"),
        (Rung(staff={"finance": 1}), "1 person with the role finance approves"),
        (Rung(staff={"finance": 2}), "2 people with the role finance approve"),
        (Rung(staff={"b": 1, "a": 1}), "1 person with the role a approves, and 1 person with the role b approves"),
        (Rung(holder="passkey", hold=86400),
         "the account holder confirms with their passkey, and a waiting time of 1 day passes without objection"),
        (Rung(), ""),
    ],
)  # fmt: skip
def test_rungs_in_words(rung: Rung, words: str) -> None:
    assert rung.in_words() == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (61, "61 seconds"), (120, "2 minutes"),
        (3600, "1 hour"), (5400, "90 minutes"), (86400, "1 day"), (172800, "2 days"), (90000, "25 hours"),
    ],
)  # fmt: skip
def test_durations_are_exact(seconds: int, words: str) -> None:
    assert duration(seconds) == words
