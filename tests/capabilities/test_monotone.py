"""More evidence never loses permission and warnings never give any: what is refused, and that the rest holds."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import cedarpy
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from counterfoil.asking import Question
from counterfoil.desk import Desk
from counterfoil.errors import PolicyError
from counterfoil.monotone import check_monotone
from counterfoil.policy import Policy
from counterfoil.rungs import Rung
from counterfoil.store import Counters
from counterfoil.values import ASSURANCES, Account, Contact, Execution, Facts, Money, Receipt


class NobodyKnown:
    async def find(self, hint: str) -> Account | None:
        return None

    async def person(self, account: Account) -> Contact | None:
        return None


desk = Desk("Credit union", directory=NobodyKnown(), roles=["finance", "legal"])


class TransferFacts(Facts):
    score: int
    frozen: bool


@desk.operation(counts="amount")
async def transfer(execution: Execution, account: Account, amount: Money) -> Receipt:
    """Transfer money to another bank."""
    raise NotImplementedError


@transfer.preview
async def transfer_facts(account: Account, amount: Money) -> TransferFacts:
    raise NotImplementedError


def check(text: str) -> None:
    for policy in cedarpy.PolicySet.from_str(text).to_pst().static_policies.values():
        check_monotone(policy, "policy.cedar: the rule")


def permit(condition: str, clause: str = "when") -> str:
    return f'permit(principal, action == Action::"transfer", resource) {clause} {{ {condition} }};'


def forbid(condition: str, clause: str = "when") -> str:
    return f'forbid(principal, action == Action::"transfer", resource) {clause} {{ {condition} }};'


HELPFUL = [
    "context.holder_link",
    'context["holder_passkey"]',
    "context.holder_passkey_bound && context.code_typed",
    "context.staff.finance >= 2 || context.staff.legal > 0",
    "2 <= context.staff.finance || 0 < context.waited",
    "!(context.waited < 3600)",
    "!(!context.holder_passkey || context.staff.finance <= 0)",
    "if resource.facts.frozen then context.staff.legal >= 1 else context.holder_passkey",
    "!context.tainted || context.staff.finance >= 1",
    'context.counters.total_24h.lessThan(decimal("50.00")) && context.holder_passkey',
    "resource.facts.score + 1 < 10 && context.holder_passkey",
    "resource is Transfer && resource.facts has guard && context.holder_link",
]


@pytest.mark.parametrize("condition", HELPFUL)
def test_a_condition_that_more_evidence_can_only_help_may_permit(condition: str) -> None:
    check(permit(condition))
    check(permit(f"!({condition})", "unless"))


@pytest.mark.parametrize("condition", HELPFUL)
def test_the_same_condition_may_exempt_from_a_forbid(condition: str) -> None:
    check(forbid(condition, "unless"))
    check(forbid(f"!({condition})"))


@pytest.mark.parametrize(
    "condition",
    [
        "context.holder_link",
        "context.holder_passkey && resource.facts.frozen",
        "context.staff.finance >= 1",
        "1 < context.waited",
        "resource.facts.frozen || !(context.waited <= 60)",
        "if resource.facts.frozen then context.code_typed else true",
    ],
)
def test_evidence_that_loses_permission_is_refused(condition: str) -> None:
    for text in (
        forbid(condition),
        permit(condition, "unless"),
        permit(f"!({condition})"),
        forbid(f"!({condition})", "unless"),
    ):
        with pytest.raises(PolicyError, match="gives less permission for more evidence") as caught:
            check(text)
        assert "unless { context." in caught.value.remedy


@pytest.mark.parametrize("warning", ["context.tainted", "context.unguarded"])
def test_a_warning_never_gives_permission(warning: str) -> None:
    check(forbid(warning))
    check(permit(f"!{warning}"))
    for text in (permit(f"{warning} && context.holder_link"), forbid(f"!{warning}"), forbid(warning, "unless")):
        with pytest.raises(PolicyError, match="gives more permission because of a warning"):
            check(text)


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("context.holder_passkey == true", "context.holder_passkey"),
        ("context.holder_link != context.holder_passkey", "context.holder_link"),
        ("context.staff.finance == 1", "context.staff"),
        ("context.staff.finance != 2", "context.staff"),
        ("context.staff.finance >= context.staff.legal", "context.staff"),
        ("context.staff.finance + context.staff.legal >= 2", "context.staff"),
        ("context.staff == {finance: 1, legal: 0}", "context.staff"),
        ("context.staff has finance", "context.staff"),
        ("context.waited == 3600", "context.waited"),
        ("context.waited >= resource.facts.score", "context.waited"),
        ("context.waited * -1 < 5", "context.waited"),
        ("if context.holder_passkey then true else resource.facts.frozen", "context.holder_passkey"),
        ("if context.tainted then context.holder_passkey else true", "context.tainted"),
        ("[context.holder_link].contains(false)", "context.holder_link"),
        ("(if context.code_typed then resource else resource) is Transfer", "context.code_typed"),
        ("resource in (if context.code_typed then [resource] else [])", "context.code_typed"),
        ('(if context.code_typed then "a" else "b") like "a*"', "context.code_typed"),
        ("{a: context.code_typed}.a", "context.code_typed"),
        ("(context.waited >= 5) == false", "context.waited"),
        ("context == context", "the whole context"),
        ("(if resource.facts.frozen then context else context).holder_passkey", "the whole context"),
    ],
)
def test_evidence_in_a_place_that_has_no_sign_is_refused(condition: str, named: str) -> None:
    for text in (permit(condition), forbid(condition), forbid(condition, "unless")):
        with pytest.raises(PolicyError) as caught:
            check(text)
        assert f"uses {named}" in caught.value.happened


@pytest.mark.parametrize("asked", ["holder_passkey", "tainted", "taintd", "staff.finance"])
def test_asking_whether_the_context_has_something_is_refused(asked: str) -> None:
    with pytest.raises(PolicyError, match="asks whether the context has"):
        check(forbid(f"!(context has {asked})"))


@pytest.mark.parametrize(
    "condition",
    [
        "context.holder_passkey && resource.facts.score + 1 > 3",
        "resource.facts.frozen || context.staff.finance >= 1 || resource.facts.score * 2 > 3",
        "context.holder_link && (if resource.facts.score - 1 > 3 then true else false)",
        "!context.tainted && -resource.facts.score < 3",
    ],
)
def test_a_calculation_that_evidence_could_switch_on_is_refused(condition: str) -> None:
    with pytest.raises(PolicyError, match="calculates after it has read"):
        check(permit(condition))


def test_a_calculation_in_a_later_clause_counts_as_after() -> None:
    with pytest.raises(PolicyError, match=r"calculates after it has read context\.holder_link"):
        check(
            'permit(principal, action == Action::"transfer", resource)'
            " when { context.holder_link } unless { resource.facts.score + 1 > 3 };"
        )


def test_another_resource_cannot_be_named() -> None:
    with pytest.raises(PolicyError, match='names the resource Transfer::"other"'):
        check(permit('context.holder_link && Transfer::"other".facts.frozen'))
    with pytest.raises(PolicyError, match="names one resource"):
        check('forbid(principal, action, resource == Transfer::"other");')
    check(permit('context.holder_link && resource.account == Account::"A-1" && principal == Agent::"local:1"'))


# The property ---------------------------------------------------------------------------------------------------------

MAXIMUM = 2**63 - 1
COUNTS = ("context.waited", "context.staff.finance", "context.staff.legal")
BOOLEANS = ("holder_link", "holder_passkey", "holder_passkey_bound", "code_typed")
NEUTRAL = (
    "resource.facts.frozen",
    "resource.facts has guard",
    "resource.facts.score > 2",
    f"resource.facts.score + {MAXIMUM - 2} > 0",
    "context.counters.count_24h > 1",
)


def conditions(sign: int) -> st.SearchStrategy[str]:
    """Conditions mostly of the right sign, and now and then of any other shape."""
    flags = st.sampled_from(BOOLEANS).map(lambda name: f"context.{name}")
    counts = st.tuples(st.sampled_from(COUNTS), st.sampled_from([">=", ">"]), st.integers(0, 3)).map(
        lambda parts: f"{parts[0]} {parts[1]} {parts[2]}"
    )
    right = flags | counts | st.sampled_from(["!context.tainted", "!context.unguarded"])
    if sign < 0:
        right = right.map(lambda atom: f"!({atom})")
    strange = st.sampled_from(
        [
            "context.holder_link",
            "!context.holder_passkey",
            "context.staff.finance == 1",
            "context.tainted",
            "context.waited < 2",
        ]
    )
    atoms = st.one_of(right, right, right, st.sampled_from(NEUTRAL), st.sampled_from(NEUTRAL), strange)

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pairs = st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})")
        choices = st.tuples(st.sampled_from(NEUTRAL), inner, inner).map(
            lambda parts: f"(if {parts[0]} then {parts[1]} else {parts[2]})"
        )
        return pairs | choices | inner.map(lambda each: f"!!({each})")

    return st.recursive(atoms, grow, max_leaves=4)


policies = st.lists(
    st.one_of(
        conditions(1).map(permit),
        conditions(-1).map(lambda text: permit(text, "unless")),
        conditions(-1).map(forbid),
        conditions(1).map(lambda text: forbid(text, "unless")),
    ),
    min_size=1,
    max_size=3,
)

rungs = st.builds(
    Rung,
    holder=st.sampled_from(ASSURANCES),
    staff=st.dictionaries(st.sampled_from(["finance", "legal"]), st.integers(1, 3)),
    code=st.booleans(),
    hold=st.integers(0, 4),
)


def joined(one: Rung, other: Rung) -> Rung:
    """The least evidence that covers both."""
    staff = {role: max(one.staff.get(role, 0), other.staff.get(role, 0)) for role in {*one.staff, *other.staff}}
    holder = max(one.holder, other.holder, key=ASSURANCES.index)
    return Rung(holder=holder, staff=staff, code=one.code or other.code, hold=max(one.hold, other.hold))


facts = st.fixed_dictionaries(
    {
        "owners": st.just(["A-1"]),
        "score": st.integers(0, 4),
        "frozen": st.booleans(),
        "guard": st.sampled_from([None, "v1"]),
    }
)


def question(given_facts: dict[str, Any], *, tainted: bool = False, unguarded: bool = False) -> Question:
    return Question(
        operation=transfer,
        principal="local:1",
        account="A-1",
        arguments={"account": "A-1", "amount": {"value": "5.00", "currency": "EUR"}},
        facts=given_facts,
        tainted=tainted,
        unguarded=unguarded,
        counters=Counters(1, Decimal("0")),
        amount=Money(value="5.00", currency="EUR"),
    )


def loads(texts: list[str]) -> list[str]:
    """Those that load."""
    good: list[str] = []
    for text in texts:
        try:
            Policy.load(text, desk)
        except PolicyError:
            event("refused at load")
        else:
            good.append(text)
    return good


@settings(max_examples=150, deadline=None)
@given(texts=policies, data=st.data())
def test_whatever_loads_allows_with_more_evidence_what_it_allows_with_less(
    texts: list[str], data: st.DataObject
) -> None:
    policy = Policy.load("\n".join(loads(texts)), desk)
    for _ in range(4):
        asked = question(data.draw(facts), tainted=data.draw(st.booleans()), unguarded=data.draw(st.booleans()))
        less, more = data.draw(rungs), data.draw(rungs)
        if policy.allows(asked, less).allowed:
            event("allowed with less")
            assert policy.allows(asked, joined(less, more)).allowed, texts


@settings(max_examples=75, deadline=None)
@given(texts=policies, data=st.data())
def test_whatever_loads_allows_without_a_warning_what_it_allows_with_it(texts: list[str], data: st.DataObject) -> None:
    policy = Policy.load("\n".join(loads(texts)), desk)
    for _ in range(4):
        warned = question(data.draw(facts), tainted=True, unguarded=data.draw(st.booleans()))
        evidence = data.draw(rungs)
        if policy.allows(warned, evidence).allowed:
            assert policy.allows(replace(warned, tainted=False), evidence).allowed, texts
            assert policy.allows(replace(warned, unguarded=False), evidence).allowed, texts
