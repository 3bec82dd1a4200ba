"""What is said of one request and why, and tables of cases that a policy must answer as expected."""

from __future__ import annotations

import re

import pytest

from counterfoil.desk import Desk
from counterfoil.errors import CasesError
from counterfoil.policy import Policy
from counterfoil.policy_cases import Judged, judge, read_cases
from counterfoil.policy_explanation import NOT_ASKED_FOR, Explanation, Situation, explain, question_of
from counterfoil.rungs import Rung, seconds
from counterfoil.values import Account, Contact, Execution, Facts, Money, Receipt

HOLDER = Rung(holder="passkey", code=True)


class NobodyKnown:
    async def find(self, hint: str) -> Account | None:
        return None

    async def person(self, account: Account) -> Contact | None:
        return None


class RefundFacts(Facts):
    locked: bool
    colour: str | None
    limit: int = 5


def build() -> Desk:
    desk = Desk("Acme", directory=NobodyKnown(), roles=["finance"])

    @desk.operation(counts="amount")
    async def refund(execution: Execution, account: Account, amount: Money, notify: bool = True) -> Receipt:
        """Refund it."""
        raise NotImplementedError

    @refund.preview
    async def facts(account: Account, amount: Money, notify: bool = True) -> RefundFacts:
        raise NotImplementedError

    return desk


POLICY = """
@id("small ones")
permit (principal, action == Action::"refund", resource)
when {
  context.holder_passkey &&
  context.counters.total_24h.lessThanOrEqual(decimal("50.00"))
};
@id("large ones")
permit (principal, action == Action::"refund", resource)
when { context.holder_passkey && context.staff.finance >= 1 } unless { resource.facts.limit > 9 };
@id("alone")
permit (principal, action == Action::"refund/unattended", resource)
when { context.counters.total_24h.lessThan(decimal("1.00")) };
@id("locked")
forbid (principal, action, resource) when { resource.facts.locked };
"""

desk = build()
policy = Policy.load(POLICY, desk)


def said(*, evidence: Rung | None = None, amount: str = "20.00", **given: object) -> Explanation:
    money = {"value": amount, "currency": "EUR"}
    facts = {"locked": False} | (given.pop("facts", None) or {})  # type: ignore[operator]
    situation = Situation.model_validate(
        {"operation": "refund", "arguments": {"amount": money}, "facts": facts}
        | given
        | ({} if evidence is None else {"evidence": evidence.members()})
    )
    question = question_of(desk, situation)
    assert not isinstance(question, list), question
    return explain(policy, question, situation.proved)


def applying(found: Explanation) -> dict[str | None, bool | None]:
    return {each.rule.words: each.applies for each in found.rules}


def unmet(found: Explanation, words: str) -> list[tuple[str, int]]:
    [rule] = [each for each in found.rules if each.rule.words == words]
    return [(part.in_words(), part.line) for part in rule.unmet]


# Explaining -----------------------------------------------------------------------------------------------------------


def test_without_evidence_it_says_what_is_asked_for_and_asks_the_rules_as_if_all_were_given() -> None:
    found = said()
    assert found.requirements.rungs == (HOLDER,)
    assert found.verdict is None
    assert found.judged_with == Rung(holder="passkey", code=True, staff={"finance": 2})
    assert applying(found) == {"small ones": True, "large ones": True, "locked": False}
    assert found.reasons == ("small ones",)


def test_a_rule_that_does_not_apply_names_the_conditions_that_do_not_hold_with_their_lines() -> None:
    found = said(evidence=HOLDER, amount="50.01")
    assert found.verdict is not None
    assert not found.verdict.allowed
    total = 'context.counters.total_24h.lessThanOrEqual(decimal("50.00"))'
    assert unmet(found, "small ones") == [(total, 6)]
    assert unmet(found, "large ones") == [("context.staff.finance >= 1", 10)]
    assert found.requirements.rungs == (Rung(holder="passkey", code=True, staff={"finance": 1}),)


def test_an_unless_that_holds_is_what_keeps_a_rule_from_applying() -> None:
    found = said(facts={"limit": 10}, amount="60.00")
    assert unmet(found, "large ones") == [("unless { resource.facts.limit > 9 }", 10)]
    assert found.requirements.rungs == ()


def test_a_forbid_that_applies_is_the_reason() -> None:
    found = said(evidence=HOLDER, facts={"locked": True})
    assert found.verdict is not None
    assert (found.verdict.allowed, found.reasons) == (False, ("locked",))
    assert applying(found)["locked"] is True


def test_counters_hold_what_happened_before_and_this_request() -> None:
    assert said(evidence=HOLDER, counters={"count": 1, "total": "30.00"}).verdict == said(evidence=HOLDER).verdict
    more = said(evidence=HOLDER, counters={"count": 1, "total": "30.01"})
    assert more.verdict is not None
    assert not more.verdict.allowed


def test_less_than_any_rung_that_is_asked_for_is_refused_though_the_policy_would_allow_it() -> None:
    found = said(evidence=Rung(holder="passkey"))
    assert found.verdict is not None
    assert (found.verdict.allowed, found.reasons) == (False, (NOT_ASKED_FOR,))


def test_whether_it_may_run_without_anybody() -> None:
    assert said(amount="0.99").unattended.allowed
    assert not said(amount="1.00").unattended.allowed


def test_what_is_left_out_is_filled_in_and_everything_wrong_is_told() -> None:
    situation = Situation.model_validate(
        {
            "operation": "refund",
            "arguments": {"amount": {"value": "1", "currency": "EUR"}, "sum": 1},
            "facts": {"locked": "no", "locked_": 1},
            "evidence": {"staff": {"fnance": 1}},
        }
    )
    mistakes = question_of(desk, situation)
    assert isinstance(mistakes, list)
    assert [each.key for each in mistakes] == [
        ("arguments", "amount", "value"),
        ("arguments", "sum"),
        ("facts", "locked"),
        ("facts", "locked_"),
        ("evidence", "staff", "fnance"),
    ]
    assert mistakes[-1].remedy == "Write finance, if that is what you mean."


@pytest.mark.parametrize(
    ("text", "number"), [("1 day", 86400), ("1day", 86400), ("36hours", 129600), ("2 minutes", 120), ("90", 90)]
)
def test_durations_as_people_write_them(text: str, number: int) -> None:
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "soon", "-1 day", "1.5 days", "1 week", "day", "1 day 2"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        seconds(text)


# Cases ----------------------------------------------------------------------------------------------------------------

DEFAULTS = """
[defaults.refund]
arguments = { amount = { value = "20.00", currency = "EUR" } }
facts = { locked = false }
"""


def judged(case: str) -> Judged:
    [ready] = read_cases(f'{DEFAULTS}\n[[case]]\nname = "it"\noperation = "refund"\n{case}\n', desk)
    return judge(policy, ready)


@pytest.mark.parametrize(
    "case",
    [
        'requires = [{ holder = "passkey", code = true }]',
        'evidence = { holder = "passkey", code = true }\nallowed = true\nreason = "small"',
        'evidence = { holder = "passkey" }\nallowed = false',
        "evidence = { staff = { finance = 1 } }\nallowed = false\nreason = 'No rule'",
        'facts = { locked = true }\nrequires = []\nreason = "locked"',
        'arguments = { amount = { value = "0.50", currency = "EUR" } }\nunattended = true',
        "unattended = false",
        'tainted = true\nprincipal = "other"\naccount = "A-1"\nreason = "small ones"',
        'evidence = { holder = "passkey_bound", code = true, hold = "2 days" }\nallowed = true',
    ],
)
def test_a_case_passes_where_the_policy_answers_as_expected(case: str) -> None:
    assert judged(case).failures == ()


@pytest.mark.parametrize(
    ("case", "failure"),
    [
        ("requires = []", "It requires: the account holder confirms with their passkey and the code from the chat."),
        ('requires = [{ holder = "passkey" }]', "It requires: the account holder"),
        ('evidence = { holder = "link" }\nallowed = true', "It is refused. No rule of the policy permits this."),
        ('evidence = { holder = "passkey", code = true }\nallowed = false', "It is allowed. small ones"),
        ("unattended = true", "Without anybody's approval it may not run."),
        ('reason = "large"', "The reason given is: small ones"),
        ('facts = { locked = true }\nrequires = [{ code = true }]', "nothing that anybody could give. locked"),
    ],
)  # fmt: skip
def test_a_case_fails_with_what_the_policy_answered(case: str, failure: str) -> None:
    found = judged(case)
    assert not found.passed
    assert failure in found.failures[0]


def test_several_expectations_fail_one_by_one() -> None:
    assert len(judged('requires = []\nreason = "x"\nunattended = true').failures) == 3


def test_what_a_case_says_goes_before_the_defaults_key_by_key() -> None:
    [ready] = read_cases(
        f'{DEFAULTS}\n[[case]]\nname = "it"\noperation = "refund"\nfacts = {{ colour = "red" }}\nrequires = []\n', desk
    )
    assert ready.question.facts == {
        "owners": ["account"],
        "guard": None,
        "locked": False,
        "colour": "red",
        "limit": 5,
    }
    assert ready.question.arguments["account"] == "account"


def test_a_mistake_in_the_defaults_is_told_once_where_it_stands() -> None:
    case = '[[case]]\nname = "{}"\noperation = "refund"\nrequires = []\n'
    text = DEFAULTS.replace("false", "0") + case.format("one") + case.format("two")
    with pytest.raises(CasesError) as refused:
        read_cases(text, desk, source="cases.toml")
    assert refused.value.happened.startswith("cases.toml, line 4: in the case “one”, the fact 'locked' is not right")


@pytest.mark.parametrize(
    "text", ["", "[defaults.refund]\n", "case = 1", "case = [1]", "defaults = 1", "[defaults]\nrefund = 1"]
)
def test_a_file_without_a_case_is_a_mistake(text: str) -> None:
    with pytest.raises(CasesError):
        read_cases(text, desk)
