"""What the policy asks for, allows and refuses; that errors mean no; and what does not load."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import cedarpy
import pytest

from counterfoil.asking import Asking, Question, Reads
from counterfoil.cedar_schema import cedar_schema, resources
from counterfoil.desk import Desk
from counterfoil.errors import PolicyError
from counterfoil.policy import FAILED, FORBIDDEN, NO_EVIDENCE, NOTHING_PERMITS, Policy
from counterfoil.rungs import Rung, default_ladder
from counterfoil.store import Counters
from counterfoil.values import Account, Assurance, Contact, Execution, Facts, Money, Receipt


class NobodyKnown:
    async def find(self, hint: str) -> Account | None:
        return None

    async def person(self, account: Account) -> Contact | None:
        return None


desk = Desk("Acme support", directory=NobodyKnown(), roles=["finance", "legal"])


class RefundFacts(Facts):
    locked: bool
    refundable: Money
    fraud: int


@desk.operation(counts="amount")
async def refund(execution: Execution, account: Account, order_id: str, amount: Money, notify: bool = True) -> Receipt:
    """Refund part or all of an order."""
    raise NotImplementedError


@refund.preview
async def refund_facts(account: Account, order_id: str, amount: Money, notify: bool = True) -> RefundFacts:
    raise NotImplementedError


@desk.operation(ladder=[Rung(), Rung(holder="link"), Rung(holder="link", hold=3600), Rung(holder="link", hold=3600)])
async def close_account(execution: Execution, account: Account) -> Receipt:
    """Close the account for good."""
    raise NotImplementedError


@close_account.preview
async def close_facts(account: Account) -> Facts:
    raise NotImplementedError


POLICY = """
// Small refunds; a comment with a ; in it.
@id("small refunds in euros need the holder; no more than 50 a day")
permit(principal is Agent, action == Action::"refund", resource)
when {
    context.holder_passkey && context.code_typed &&
    resource.arguments.amount.currency == "EUR" &&
    context.counters.total_24h.lessThanOrEqual(decimal("50.00"))
};

@id("other refunds need finance, too")
permit(principal is Agent, action in [Action::"refund"], resource)
when { context.holder_passkey && context.code_typed && context.staff.finance >= 1 };

@id("or two lawyers")
permit(principal is Agent, action == Action::"refund", resource)
when { context.holder_passkey && context.code_typed && context.staff.legal >= 2 };

@id("a locked account gets nothing")
forbid(principal, action == Action::"refund", resource) when { resource.facts.locked };

@id("high fraud scores need legal")
forbid(principal, action == Action::"refund", resource)
when { resource.facts.fraud > 80 } unless { context.staff.legal >= 1 };

@id("tiny refunds run by themselves")
permit(principal is Agent, action == Action::"refund/unattended", resource)
when {
    !context.tainted && !context.unguarded && context.counters.count_24h <= 2 &&
    resource.arguments.amount.currency == "EUR" &&
    resource.arguments.amount.value.lessThanOrEqual(decimal("5.00"))
};
"""

LINK = Rung(holder="link", code=True)
PASSKEY = Rung(holder="passkey", code=True)


def with_staff(**staff: int) -> Rung:
    return Rung(holder="passkey", code=True, staff=staff)


def asked(
    value: str = "49.00",
    *,
    currency: str = "EUR",
    counters: Counters | None = None,
    facts: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    tainted: bool = False,
    unguarded: bool = False,
) -> Question:
    """A question about a refund of this amount."""
    amount = {"value": value, "currency": currency}
    found = {"owners": ["A-1"], "guard": "v7", "locked": False, "refundable": amount, "fraud": 3}
    return Question(
        operation=refund,
        principal="local:host",
        account="A-1",
        arguments={"account": "ann@example.com", "order_id": "O-7", "amount": amount} | dict(arguments or {}),
        facts=found | dict(facts or {}),
        tainted=tainted,
        unguarded=unguarded,
        counters=counters or Counters(0, Decimal("0.00")),
        amount=Money(value=value, currency=currency),
    )


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(POLICY, desk)


def load(text: str) -> Policy:
    return Policy.load(text, desk)


def permit(condition: str, action: str = "refund") -> str:
    return f'permit(principal, action == Action::"{action}", resource) when {{ {condition} }};'


# Requirements and verdicts --------------------------------------------------------------------------------------------


def test_the_weakest_sufficient_evidence_is_the_requirement(policy: Policy) -> None:
    answer = policy.requirements(asked("49.00"))
    assert answer.rungs == (PASSKEY,)
    assert answer.reasons == ("small refunds in euros need the holder; no more than 50 a day",)
    assert policy.allows(asked("49.00"), PASSKEY).allowed


def test_incomparable_evidence_becomes_alternatives_in_the_declared_order(policy: Policy) -> None:
    answer = policy.requirements(asked("51.00"))
    assert answer.rungs == (with_staff(finance=1), with_staff(legal=2))
    assert answer.reasons == ("other refunds need finance, too", "or two lawyers")
    assert not policy.allows(asked("51.00"), PASSKEY).allowed
    assert not policy.allows(asked("51.00"), with_staff(legal=1)).allowed
    assert policy.allows(asked("51.00"), with_staff(legal=2)).allowed
    assert policy.allows(asked("51.00"), Rung(holder="passkey_bound", code=True, staff={"finance": 2}, hold=9)).allowed


def test_weaker_evidence_is_not_enough(policy: Policy) -> None:
    for evidence in (LINK, Rung(holder="passkey"), Rung(staff={"finance": 1}, code=True), Rung(hold=10**6)):
        assert policy.allows(asked("49.00"), evidence).reasons == (NOTHING_PERMITS,)


def test_a_forbid_is_named_when_nothing_is_allowed(policy: Policy) -> None:
    answer = policy.requirements(asked(facts={"locked": True}))
    assert answer.rungs == ()
    assert answer.reasons == ("a locked account gets nothing",)
    assert policy.allows(asked(facts={"locked": True}), with_staff(finance=2, legal=2)) == policy.allows(
        asked(facts={"locked": True}), PASSKEY
    )


def test_a_forbid_that_evidence_lifts_becomes_a_requirement(policy: Policy) -> None:
    answer = policy.requirements(asked("49.00", facts={"fraud": 81}))
    assert answer.rungs == (with_staff(legal=1),)
    assert policy.allows(asked("49.00", facts={"fraud": 81}), PASSKEY).reasons == ("high fraud scores need legal",)


def test_when_refused_the_reasons_are_those_of_the_strongest_evidence() -> None:
    text = """
    permit(principal, action == Action::"refund", resource) when { context.holder_passkey };
    @id("always") forbid(principal, action == Action::"refund", resource);
    @id("lifted by finance") forbid(principal, action == Action::"refund", resource)
    unless { context.staff.finance >= 2 };
    @id("lifted by legal") forbid(principal, action == Action::"refund", resource)
    unless { context.staff.legal >= 1 };
    """
    answer = load(text).requirements(asked())
    assert answer.rungs == ()
    assert answer.reasons == ("always", "lifted by legal", "lifted by finance")
    narrow = Desk("Narrow", directory=NobodyKnown(), roles=["finance"])
    narrow.operations["refund"] = refund
    only_finance = text.replace("context.staff.legal", "context.staff.finance")
    assert Policy.load(only_finance, narrow).requirements(asked()).reasons == ("always",)


def test_policies_without_words_get_general_ones() -> None:
    assert load("").requirements(asked()).reasons == (NOTHING_PERMITS,)
    unnamed = load(permit("context.holder_passkey") + "forbid(principal, action, resource) when { context.tainted };")
    assert unnamed.requirements(asked()).reasons == ()
    assert unnamed.requirements(asked(tainted=True)).reasons == (FORBIDDEN,)


def test_without_a_policy_everything_is_refused() -> None:
    for text in ("", "// nothing but a comment\n"):
        empty = load(text)
        assert empty.requirements(asked()).rungs == ()
        assert empty.allows(asked(), with_staff(finance=2, legal=2)).reasons == (NOTHING_PERMITS,)
        assert not empty.unattended(asked()).allowed


def test_executing_is_never_allowed_without_evidence() -> None:
    generous = load('permit(principal, action in [Action::"refund", Action::"close_account"], resource);')
    assert generous.allows(asked(), Rung()).reasons == (NO_EVIDENCE,)
    assert not generous.allows(asked(), Rung()).allowed
    closing = replace(asked(), operation=close_account, arguments={"account": "A-1"}, amount=None)
    assert generous.requirements(closing).rungs == (Rung(holder="link"),)
    assert not generous.unattended(asked()).allowed


def test_a_ladder_of_nothing_but_no_evidence_is_refused() -> None:
    bare = Desk("Bare", directory=NobodyKnown(), roles=desk.roles, ladder=[Rung()])
    bare.operations["refund"] = refund
    answer = Policy.load('permit(principal, action == Action::"refund", resource);', bare).requirements(asked())
    assert (answer.rungs, answer.reasons) == ((), (NOTHING_PERMITS,))


def test_a_hold_is_evidence() -> None:
    closing = replace(asked(), operation=close_account, arguments={"account": "A-1"}, amount=None)
    patient = load(permit("context.holder_link && context.waited >= 3600", "close_account"))
    assert patient.requirements(closing).rungs == (Rung(holder="link", hold=3600),)
    assert not patient.allows(closing, Rung(holder="link", hold=3599)).allowed
    assert patient.allows(closing, Rung(holder="link", hold=10**9)).allowed


def test_stronger_assurance_of_the_holder_includes_the_weaker() -> None:
    linked = load(permit("context.holder_link"))
    bound = load(permit("context.holder_passkey_bound"))
    cases: tuple[tuple[Assurance, bool], ...] = (("link", False), ("passkey", False), ("passkey_bound", True))
    for holder, allowed in cases:
        evidence = Rung(holder=holder)
        assert linked.allows(asked(), evidence).allowed
        assert bound.allows(asked(), evidence).allowed is allowed
    assert not linked.allows(asked(), Rung(code=True)).allowed


def test_approvals_of_a_role_that_the_desk_lacks_count_for_nothing(policy: Policy) -> None:
    assert policy.allows(asked("49.00"), with_staff(janitor=7)).allowed
    assert not policy.allows(asked("51.00"), with_staff(janitor=7)).allowed


def test_the_outline_names_every_permit_of_the_operation_whatever_the_case(policy: Policy) -> None:
    assert policy.outline(refund) == (
        "small refunds in euros need the holder; no more than 50 a day",
        "other refunds need finance, too",
        "or two lawyers",
    )
    assert policy.outline(close_account) == ()


# Counters, currencies, what the policy sees ---------------------------------------------------------------------------


def test_counters_include_the_operation_that_is_asked_about(policy: Policy) -> None:
    spent = Counters(1, Decimal("1.00"))
    assert policy.allows(asked("49.00", counters=spent), PASSKEY).allowed
    assert not policy.allows(asked("49.01", counters=spent), PASSKEY).allowed
    assert policy.unattended(asked("5.00", counters=spent)).allowed
    assert not policy.unattended(asked("5.00", counters=Counters(2, Decimal("1.00")))).allowed


def test_a_sum_is_never_rounded_down(policy: Policy) -> None:
    assert not policy.allows(asked("49.00", counters=Counters(1, Decimal("1.000001"))), PASSKEY).allowed


def test_a_policy_that_names_the_currency_is_not_met_by_another(policy: Policy) -> None:
    assert not policy.allows(asked("49.00", currency="KWD"), PASSKEY).allowed
    assert policy.requirements(asked("49.00", currency="KWD")).rungs == (with_staff(finance=1), with_staff(legal=2))


def test_an_argument_that_was_left_out_has_its_default() -> None:
    silent = load(permit("context.holder_link && !resource.arguments.notify"))
    assert not silent.allows(asked(), LINK).allowed
    assert silent.allows(asked(arguments={"notify": False}), LINK).allowed


def test_the_account_is_the_one_found_and_never_the_hint() -> None:
    named = load(permit('context.holder_link && resource.account == Account::"A-1"'))
    assert named.allows(asked(), LINK).allowed
    assert not named.allows(replace(asked(arguments={"account": "A-1"}), account="A-2"), LINK).allowed
    assert not named.allows(replace(asked(arguments={"account": "A-1"}), account=None), LINK).allowed


def test_an_unknown_account_is_nobodys_account() -> None:
    unknown = replace(asked(), account=None)
    assert load(permit('context.holder_link && resource.account == Account::""')).allows(unknown, LINK).allowed
    assert not load(permit('context.holder_link && resource.account == Account::""')).allows(asked(), LINK).allowed
    exempt = load(permit('context.holder_link && resource.account != Account::"A-1"'))
    assert exempt.allows(unknown, LINK).allowed


def test_the_principal_is_taken_literally() -> None:
    named = load(permit('context.holder_link && principal == Agent::"a\\"b"'))
    assert named.allows(replace(asked(), principal='a"b'), LINK).allowed
    assert not named.allows(replace(asked(), principal='a\\"b'), LINK).allowed


# Unattended -----------------------------------------------------------------------------------------------------------


def test_autonomy_comes_only_from_the_unattended_action(policy: Policy) -> None:
    assert policy.unattended(asked("5.00")).allowed
    assert policy.unattended(asked("5.00")).reasons == ("tiny refunds run by themselves",)
    for refused in (
        asked("5.01"),
        asked("5.00", tainted=True),
        asked("5.00", unguarded=True),
        asked("5.00", currency="KWD"),
    ):
        assert policy.unattended(refused).reasons == (NOTHING_PERMITS,)
    assert not load(permit("true")).unattended(asked("5.00")).allowed


def test_a_name_that_an_operation_does_not_declare_is_answered_with_those_that_it_does() -> None:
    with pytest.raises(PolicyError) as caught:
        load(permit("resource.facts.frauds > 3"))
    assert caught.value.remedy.startswith("The facts of refund are: ")
    assert "fraud" in caught.value.remedy
    assert "resource.facts has frauds && …" in caught.value.remedy
    with pytest.raises(PolicyError, match=r"staff\.finnance") as caught:
        load(permit("context.staff.finnance >= 1"))
    assert "roles are those of the desk" in caught.value.remedy


def test_a_limit_on_a_sum_that_nothing_adds_up_says_how_to_add_it_up() -> None:
    with pytest.raises(PolicyError, match="total_24h") as caught:
        load(permit('context.counters.total_24h.lessThan(decimal("5.00"))', "close_account"))
    assert "counts=" in caught.value.remedy


def test_one_permit_may_name_both_actions_when_it_speaks_of_no_evidence() -> None:
    both = 'permit(principal, action in [Action::"refund", Action::"refund/unattended"], resource)'
    policy = load(f"{both} when {{ !context.tainted }};")
    assert policy.unattended(asked()).allowed
    assert policy.allows(asked(), LINK).allowed
    with pytest.raises(PolicyError, match="not found") as caught:
        load(f"{both} when {{ context.holder_passkey }};")
    assert "name that action alone" in caught.value.remedy


# Errors mean no -------------------------------------------------------------------------------------------------------

OVERFLOWING = "forbid(principal, action, resource) when { resource is Refund && resource.facts.fraud + 1 > 80 };"


def test_a_forbid_that_fails_is_not_skipped() -> None:
    text = permit("context.holder_link") + permit("!context.tainted", "refund/unattended")
    trapped = load(text + OVERFLOWING)
    assert trapped.allows(asked(), LINK).allowed
    overflow = asked(facts={"fraud": 2**63 - 1})
    assert cedar_alone_would_allow(trapped, overflow)
    assert trapped.allows(overflow, LINK) == trapped.unattended(overflow)
    assert trapped.allows(overflow, LINK).reasons == (FAILED,)
    assert not trapped.allows(overflow, LINK).allowed
    assert trapped.requirements(overflow).rungs == ()
    assert trapped.requirements(overflow).reasons == (FAILED,)


def cedar_alone_would_allow(policy: Policy, question: Question) -> bool:
    """Whether the engine's own decision is Allow, so that the test is about what we add to it."""
    resource = {"type": "Refund", "id": "x"}
    facts = {"__entity": {"type": "Account", "id": "A-1"}}
    arguments = dict(question.arguments) | {"notify": True}
    answer = cedarpy.is_authorized(
        {
            "principal": {"type": "Agent", "id": "x"},
            "action": {"type": "Action", "id": "refund/unattended"},
            "resource": resource,
            "context": {"tainted": False, "unguarded": False, "counters": {"count_24h": 1, "total_24h": "1.0"}},
        },
        policy.handle,
        [
            {
                "uid": resource,
                "attrs": {"account": facts, "arguments": arguments, "facts": question.facts},
                "parents": [],
            }
        ],
        cedar_schema(policy.desk),
    )
    return answer.allowed and bool(answer.diagnostics.errors)


def test_cedar_is_given_what_the_rules_of_the_action_read_and_nothing_else() -> None:
    policy = load(
        permit("context.holder_link && resource.facts.fraud < 80")
        + permit("context.counters.count_24h < 3", "refund/unattended")
        + "forbid(principal, action, resource) when { resource.facts has guard && context.tainted };"
    )
    executing, unattended = policy.actions["refund"], policy.actions["refund/unattended"]
    (context,) = executing.contexts(asked(), [LINK])
    assert json.loads(context) == {"holder_link": True, "tainted": False}
    (resource,) = json.loads(executing.entities(asked(facts={"guard": "v1", "fraud": 10})))
    assert resource["attrs"] == {"arguments": {}, "facts": {"fraud": 10, "guard": "v1"}}
    (context,) = unattended.contexts(asked(), [None])
    assert json.loads(context) == {"counters": {"count_24h": 1}, "tainted": False}
    assert (executing.reads_counters, unattended.reads_counters) == (False, True)
    assert (policy.counts("refund"), policy.counts("unheard_of")) == (False, False)


def test_a_value_that_a_rule_wants_and_cedar_was_not_given_means_no() -> None:
    blind = load(permit("context.holder_link"))
    seeing = load(permit("context.holder_link && context.code_typed"))
    assert seeing.allows(asked(), Rung(holder="link", code=True)).allowed
    assert replace(blind, handle=seeing.handle).allows(asked(), Rung(holder="link", code=True)).reasons == (FAILED,)


@pytest.mark.parametrize(
    "rule",
    [
        "resource.facts == resource.facts",
        "[resource.facts].contains(resource.facts)",
        "resource == resource",
    ],
)
def test_a_whole_that_a_rule_reads_is_given_whole(rule: str) -> None:
    (resource,) = json.loads(load(permit(rule)).actions["refund"].entities(asked()))
    assert set(asked().facts) - {"guard"} <= set(resource["attrs"]["facts"])


# What Cedar is given and what there is --------------------------------------------------------------------------------

CONDITIONS = (
    "resource.facts.locked", 'resource["facts"]["lock\\u{65}d"]', "resource.facts.fraud > 80",
    "resource.facts has guard", "resource has facts.guard", 'resource.facts has "gu\\u{61}rd"',
    'resource has "arguments"', "resource.facts has locked", "resource.facts has refundable.currency",
    'resource.facts has guard && resource.facts.guard == "v7"', "resource.arguments.notify",
    'resource.facts has refundable && resource.facts.refundable.currency == "EUR"',
    "resource.arguments.amount has currency", 'resource.arguments.amount.value.greaterThan(decimal("50.00"))',
    'resource.arguments.amount.currency == "EUR"', "resource.arguments.amount == resource.facts.refundable",
    '(if resource.facts.locked then resource.arguments.amount else resource.facts.refundable).currency == "EUR"',
    "{a: resource.facts}.a.locked", "[resource.facts.fraud, 3].contains(3)", 'resource.arguments.order_id like "O-*"',
    "[resource.arguments.amount].contains(resource.facts.refundable)", "resource.facts == resource.facts",
    'resource.account == Account::"A-1"', 'resource.account in Account::"A-1"', "resource.account is Account",
    "resource is Refund", "resource == resource", "[resource].contains(resource)", "{x: resource}.x.facts.locked",
    "(if true then resource else resource).facts.locked", 'principal == Agent::"local:host"',
    "context.counters.count_24h > 2", 'context.counters.total_24h.lessThan(decimal("100.00"))',
    "context.counters == context.counters", "{x: context.counters}.x.count_24h > 2",
)  # fmt: skip
"""What a rule may ask that is no evidence: by every way to a value that Cedar knows."""

QUESTIONS = [
    asked(value, facts=facts, counters=counters, tainted=tainted, unguarded=tainted)
    for value in ("1.00", "49.00", "80.00")
    for facts in ({}, {"guard": None}, {"locked": True}, {"fraud": 90}, {"fraud": 2**63 - 1, "guard": "v8"})
    for counters in (Counters(0, Decimal(0)), Counters(5, Decimal(100)))
    for tainted in (False, True)
]


def with_everything(policy: Policy) -> Policy:
    """The policy where Cedar is given all there is, whether a rule reads it or not."""
    everything, roles = Reads(frozenset({("resource",), ("context",)})), tuple(policy.desk.roles)
    found = resources(policy.desk).values()
    actions = {
        name: Asking(name, each, everything, roles) for each in found for name in (each.execute, each.unattended)
    }
    return replace(policy, actions=actions)


def condition(chance: random.Random) -> str:
    chosen = chance.sample(CONDITIONS, chance.randint(1, 3))
    return chance.choice((" && ", " || ")).join(f"{chance.choice(('!', ''))}({each})" for each in chosen)


def a_policy(chance: random.Random) -> Policy:
    heads = ('action == Action::"refund"', 'action in [Action::"refund", Action::"refund/unattended"]', "action")
    text = permit(f"context.holder_passkey && ({condition(chance)})") + permit(condition(chance), "refund/unattended")
    text += permit(f"context.holder_link && context.staff.finance >= 1 && ({condition(chance)})")
    for head in chance.sample(heads, 2):
        text += f"forbid(principal, {head}, resource) when {{ resource is Refund && ({condition(chance)}) }};"
    return load(text)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_out_for_cedar_changes_no_answer(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same policies each time
    narrowed = a_policy(chance)
    full = with_everything(narrowed)
    for question in chance.sample(QUESTIONS, 8):
        for evidence in (LINK, PASSKEY, Rung(holder="passkey", code=True, staff={"finance": 1}, hold=4000)):
            assert narrowed.allows(question, evidence) == full.allows(question, evidence)
        assert narrowed.requirements(question) == full.requirements(question)
        assert narrowed.unattended(question) == full.unattended(question)


@pytest.mark.parametrize(
    "broken",
    [
        asked(facts={"fraud": 2**63}),
        asked(facts={"fraud": "high"}),
        asked(facts={"locked": None}),
        asked(arguments={"amount": "49.00"}),
        asked(arguments={"order_id": object()}),
        asked(counters=Counters(0, Decimal("1e16"))),
        asked(counters=Counters(0, Decimal("1e60"))),
        asked(counters=Counters(0, Decimal("NaN"))),
        replace(asked(), amount=None),
        replace(asked(), operation=replace(refund, name="unheard_of")),
    ],
)
def test_what_cannot_be_evaluated_is_refused(broken: Question) -> None:
    generous = load('permit(principal, action in [Action::"refund", Action::"refund/unattended"], resource);')
    assert generous.allows(asked(), LINK).allowed
    for verdict in (generous.allows(broken, LINK), generous.unattended(broken)):
        assert not verdict.allowed
        assert verdict.reasons == (FAILED,)
    assert generous.requirements(broken).rungs == ()


def test_a_policy_that_still_loses_permission_for_evidence_is_found_when_asked() -> None:
    """The second line behind the check at load: the same question, put to a policy that did not pass it."""
    backwards = cedarpy.PolicySet.from_str(
        permit("context.holder_link")
        + 'forbid(principal, action == Action::"refund", resource) when { context.staff.finance == 1 };'
    )
    policy = replace(load(permit("context.holder_link || context.staff.finance >= 1")), handle=backwards)
    with pytest.raises(PolicyError, match="refuses refund with more evidence"):
        policy.requirements(asked())


# What does not load ---------------------------------------------------------------------------------------------------

DENY_LIST = permit("true") + '@id("not by link") forbid(principal, action == Action::"refund", resource) when {'


@pytest.mark.parametrize(
    ("text", "happened"),
    [
        ("permit(principal, action, resource", "line 1: the policy that begins there does not parse"),
        (POLICY + "\npermit(principal = 3);", f"line {POLICY.count(chr(10)) + 2}: the policy"),
        ("permit(principal, action, resource);", "permits without naming an action"),
        ("permit(principal, action in [], resource);", "does not fit the desk"),
        (permit("true", "refund_all"), 'names Action::"refund_all", which is no action of the desk'),
        ('forbid(principal, action in [Action::"refund", Action::"transfer"], resource);', 'names Action::"transfer"'),
        ('permit(principal, action == Bank::Action::"refund", resource);', "which is no action of the desk"),
        ('permit(principal == ?principal, action == Action::"refund", resource);', "is a template with a slot"),
        (permit("resource.facts.guard == \"v1\""), "unable to guarantee safety of access to optional attribute"),
        (permit("resource.facts.frauds > 3"), "`facts.frauds` on entity type `Refund` not found"),
        (permit('resource.facts.fraud > "3"'), "unexpected type"),
        ("forbid(principal, action, resource) when { !context.holder_passkey };", '/unattended" not found'),
        (permit('resource.facts.refundable.value.lessThan(decimal("a lot"))'), "failed to parse as a decimal"),
        (permit('resource.facts.refundable.value.lessThan(decimal(resource.arguments.order_id))'), "literal"),
        (DENY_LIST + "context.holder_link && !context.holder_passkey };", "gives less permission for more evidence"),
        (DENY_LIST + "context.staff.finance == 1 };", "uses context.staff in a way"),
        (permit("context.staff.finance == 1"), "uses context.staff in a way"),
        (permit("context.holder_passkey == true"), "uses context.holder_passkey in a way"),
        (permit("resource.facts has fraudscore"), "asks whether there is resource.facts.fraudscore"),
        (
            'forbid(principal, action, resource) when { resource has facts.fraudscore && resource.facts.fraud > 8 };',
            "asks whether there is resource.facts.fraudscore",
        ),
        (permit("resource has fact"), "asks whether there is resource.fact,"),
        (permit(" && ".join(["true"] * 150)), "does not parse"),
    ],
)  # fmt: skip
def test_a_wrong_policy_does_not_load(text: str, happened: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert happened in caught.value.happened
    assert caught.value.happened.startswith("policy.cedar")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("operation", "asked_for", "happened"),
    [
        ("refund", "resource.arguments.amount has curency", "resource.arguments.amount.curency"),
        ("refund", "resource.facts.refundable has vlaue", "resource.facts.refundable.vlaue"),
        ("refund", "resource.facts has refundable.curency", "resource.facts.refundable.curency"),
        ("refund", "resource.account has frozen", "resource.account.frozen"),
        ("refund", "(if true then resource.facts else resource.facts) has lockd", "than the resource"),
        ("refund", "principal has owner", "than the resource"),
        ("refund", "context has staf", "than the resource"),
        ("refund", "context.counters has total24h", "than the resource"),
        ("refund", "{a: 1} has b", "than the resource"),
        (
            "close_account",
            'context.counters has total_24h && context.counters.total_24h.greaterThan(decimal("5.00"))',
            "than the resource",
        ),
    ],
)  # fmt: skip
def test_a_forbid_that_a_misspelled_has_would_keep_from_ever_applying_does_not_load(
    operation: str, asked_for: str, happened: str
) -> None:
    text = f'forbid(principal, action == Action::"{operation}", resource) when {{ {asked_for} }};'
    with pytest.raises(PolicyError) as caught:
        load(permit("context.holder_link", operation) + text)
    assert "the forbid asks whether" in caught.value.happened
    assert happened in caught.value.happened


def test_a_refusal_names_the_source_the_line_and_the_id() -> None:
    text = POLICY + '\n// a comment; with a semicolon\n@id("odd")\n' + permit("context.staff.finance == 1")
    line = text.count("\n", 0, text.index('@id("odd")')) + 1
    with pytest.raises(PolicyError) as caught:
        Policy.load(text, desk, source="refunds.cedar")
    assert caught.value.happened.startswith(f"refunds.cedar, line {line}: the permit “odd” uses context.staff")
    with pytest.raises(PolicyError) as caught:
        Policy.load(text.replace("context.staff.finance == 1", "context.stuff"), desk, source="refunds.cedar")
    assert caught.value.happened.startswith(f"refunds.cedar, line {line}: the permit “odd” does not fit the desk")


def test_asking_for_what_is_declared_and_optional_loads() -> None:
    guarded = load(permit('context.holder_link && resource.facts has guard && resource.facts.guard like "v*"'))
    assert guarded.allows(asked(), LINK).allowed
    assert not guarded.allows(asked(facts={"guard": None}), LINK).allowed


def test_more_than_ten_policies_keep_the_order_of_the_text() -> None:
    text = "\n".join(f'@id("rule {number}") {permit("context.holder_link")}' for number in range(12))
    words = tuple(f"rule {number}" for number in range(12))
    assert load(text).allows(asked(), LINK).reasons == words
    assert load(text).outline(refund) == words


def test_the_digest_is_of_the_text_and_of_what_the_desk_declares(policy: Policy) -> None:
    assert policy.digest == load(POLICY).digest
    assert policy.digest != load(POLICY + " ").digest
    other = Desk("Other", directory=NobodyKnown(), roles=[*desk.roles, "audit"])
    other.operations.update(desk.operations)
    assert policy.digest != Policy.load(POLICY, other).digest


def test_the_default_ladder_is_what_is_asked(policy: Policy) -> None:
    assert policy.desk.ladder_of(refund) == default_ladder(desk.roles)
