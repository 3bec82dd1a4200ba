"""The example's policy, line by line of its table of blast radius, asked over facts from its own previews."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from counterfoil.asking import Question
from counterfoil.desk import Desk
from counterfoil.errors import PolicyError
from counterfoil.policy import Policy
from counterfoil.policy_cases import judge, read_cases
from counterfoil.rungs import Rung
from counterfoil.store import Counters
from counterfoil.values import Account, Money

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "support_desk"
sys.path.insert(0, str(FOLDER))  # desks are loaded with their own folder on the path

import desk as example  # noqa: E402

HOLDER = Rung(holder="passkey", code=True)
ONE = Rung(holder="passkey", code=True, staff={"finance": 1})
TWO = Rung(holder="passkey", code=True, staff={"finance": 2})
COLLEAGUES = Rung(staff={"identity": 2}, hold=86_400)

TOO_MUCH = "A refund is never more than what is left of what was paid."
OTHER_CURRENCY = "A refund is paid in the currency of its order."
LOCKED = "Nothing is changed on a locked account but its lock, nor where the fraud score is 80 or more."
ADDRESS = "This address can't become the sign-in e-mail of this account."


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return example.build(tmp_path / "shop.db")


@pytest.fixture
def policy(desk: Desk) -> Policy:
    return Policy.load((FOLDER / "policy.cedar").read_text(), desk)


async def question(desk: Desk, operation: str, earlier: str = "0.00", /, **arguments: Any) -> Question:
    """What policy is asked about a request for the account that owns what it names; ``earlier`` is the day's sum."""
    declared = desk.operations[operation]
    assert declared.run_preview is not None
    facts = await declared.run_preview(**({"account": Account("C-1001")} | arguments))
    amount = arguments.get("amount")
    return Question(
        operation=declared,
        principal="assistant",
        account=facts.owners[0],
        arguments={
            name: value.model_dump(mode="json") if isinstance(value, Money) else value
            for name, value in ({"account": facts.owners[0]} | arguments).items()
        },
        facts=facts.model_dump(mode="json"),
        tainted=False,
        unguarded=facts.guard is None,
        counters=Counters(count=int(Decimal(earlier) > 0), total=Decimal(earlier)),
        amount=amount,
    )


@pytest.mark.parametrize(
    ("order", "value", "currency", "earlier", "required", "reason"),
    [
        # up to 50 EUR a day: the holder
        ("NL-26017", "39.00", "EUR", "0.00", [HOLDER], "Up to 50 EUR"),
        ("NL-26024", "50.00", "EUR", "0.00", [HOLDER], "Up to 50 EUR"),
        ("NL-26024", "10.00", "EUR", "40.00", [HOLDER], "Up to 50 EUR"),
        # above, also where the day's sum is what is above: one of finance too
        ("NL-26024", "50.01", "EUR", "0.00", [ONE], "Up to 5,000 EUR"),
        ("NL-26024", "10.00", "EUR", "40.01", [ONE], "Up to 5,000 EUR"),
        ("NL-26027", "5000.00", "EUR", "0.00", [ONE], "Up to 5,000 EUR"),
        # above 5,000 EUR: two of finance
        ("NL-26027", "5000.01", "EUR", "0.00", [TWO], "More than that"),
        ("NL-26027", "1.00", "EUR", "4999.01", [TWO], "More than that"),
        # another currency is never small: two of finance
        ("NL-26003", "49.00", "SEK", "0.00", [TWO], "More than that"),
        # never: more than is left, another currency than the order's, a fraud score of 80, a locked account
        ("NL-26017", "49.91", "EUR", "0.00", [], TOO_MUCH),
        ("NL-26016", "1.00", "EUR", "0.00", [], TOO_MUCH),
        ("NL-26017", "0.00", "EUR", "0.00", [], TOO_MUCH),
        ("NL-26003", "49.00", "EUR", "0.00", [], OTHER_CURRENCY),
        ("NL-26023", "10.00", "EUR", "0.00", [], LOCKED),
        ("NL-26008", "10.00", "EUR", "0.00", [], LOCKED),
        # a score of 79 is not yet 80
        ("NL-26015", "10.00", "EUR", "0.00", [HOLDER], "Up to 50 EUR"),
    ],
)
async def test_a_refund_requires_what_its_blast_radius_says(
    desk: Desk, policy: Policy, order: str, value: str, currency: str, earlier: str, required: list[Rung], reason: str
) -> None:
    asked = await question(desk, "refund", earlier, order_id=order, amount=Money(value=value, currency=currency))
    requirements = policy.requirements(asked)
    assert list(requirements.rungs) == required
    assert any(words.startswith(reason) for words in requirements.reasons)


def test_T45_a_desk_that_stopped_counting_amounts_is_refused_with_this_policy(desk: Desk) -> None:
    desk.operations["refund"].counts = None
    with pytest.raises(PolicyError, match="total_24h"):
        Policy.load((FOLDER / "policy.cedar").read_text(), desk)


async def test_policy_compares_the_amounts_itself_whatever_the_preview_concluded(desk: Desk, policy: Policy) -> None:
    asked = await question(desk, "refund", order_id="NL-26017", amount=Money(value="49.91", currency="EUR"))
    mistaken = replace(asked, facts={**asked.facts, "within_refundable": True})
    assert not policy.allows(mistaken, TWO).allowed


@pytest.mark.parametrize(
    ("account", "email", "required", "reason"),
    [
        ("C-1001", "maria@new.example", [HOLDER, COLLEAGUES], "A new sign-in e-mail: "),
        ("C-1014", "siobhan@new.example", [HOLDER, COLLEAGUES], "A new sign-in e-mail without a passkey: "),
        ("C-1001", "j.okafor@mail.example", [], ADDRESS),
        ("C-1005", "sabine@new.example", [], LOCKED),
        ("C-1006", "viktor@new.example", [], LOCKED),
    ],
)
async def test_a_new_sign_in_address_requires_the_holder_or_two_colleagues_and_a_day(
    desk: Desk, policy: Policy, account: str, email: str, required: list[Rung], reason: str
) -> None:
    asked = await question(desk, "recover_account", account=Account(account), new_email=email)
    requirements = policy.requirements(asked)
    assert list(requirements.rungs) == required
    assert any(words.startswith(reason) for words in requirements.reasons)


@pytest.mark.parametrize(
    ("evidence", "small", "large", "huge"),
    [
        (Rung(), False, False, False),
        (Rung(holder="link", code=True), False, False, False),
        (Rung(holder="passkey"), False, False, False),
        (HOLDER, True, False, False),
        (Rung(holder="passkey_bound", code=True), True, False, False),
        (Rung(holder="passkey", code=True, staff={"identity": 2}), True, False, False),
        (Rung(staff={"finance": 2}, code=True, hold=86_400), False, False, False),
        (ONE, True, True, False),
        (Rung(holder="passkey", staff={"finance": 2}), False, False, False),
        (TWO, True, True, True),
        (Rung(holder="passkey", code=True, staff={"finance": 3, "identity": 2}, hold=86_400), True, True, True),
    ],
)
async def test_a_refund_runs_with_no_less_than_its_evidence(
    desk: Desk, policy: Policy, evidence: Rung, small: bool, large: bool, huge: bool
) -> None:
    for value, allowed in (("39.00", small), ("619.00", large), ("6190.00", huge)):
        asked = await question(desk, "refund", order_id="NL-26027", amount=Money(value=value, currency="EUR"))
        assert policy.allows(asked, evidence).allowed is allowed, value


@pytest.mark.parametrize(
    ("evidence", "allowed"),
    [
        (HOLDER, True),
        (Rung(holder="passkey"), False),
        (Rung(holder="link", code=True), False),
        (COLLEAGUES, True),
        (Rung(staff={"identity": 2}, hold=86_399), False),
        (Rung(staff={"identity": 1}, hold=86_400), False),
        (Rung(staff={"finance": 2}, hold=86_400), False),
        (Rung(holder="passkey", code=True, staff={"identity": 2}, hold=86_400), True),
    ],
)
async def test_a_new_sign_in_address_is_set_with_no_less_than_its_evidence(
    desk: Desk, policy: Policy, evidence: Rung, allowed: bool
) -> None:
    asked = await question(desk, "recover_account", new_email="maria@new.example")
    assert policy.allows(asked, evidence).allowed is allowed


async def test_all_the_evidence_there_is_opens_no_locked_account(desk: Desk, policy: Policy) -> None:
    everything = Rung(holder="passkey_bound", code=True, staff={"finance": 9, "identity": 9}, hold=604_800)
    for account in ("C-1005", "C-1006"):
        asked = await question(desk, "recover_account", account=Account(account), new_email="new@post.example")
        verdict = policy.allows(asked, everything)
        assert (verdict.allowed, verdict.reasons) == (False, (LOCKED,))


async def test_nothing_runs_unattended(desk: Desk, policy: Policy) -> None:
    refund = await question(desk, "refund", order_id="NL-26017", amount=Money(value="1.00", currency="EUR"))
    recovery = await question(desk, "recover_account", new_email="maria@new.example")
    assert not policy.unattended(refund).allowed
    assert not policy.unattended(recovery).allowed


def test_the_policy_answers_its_own_cases_as_they_expect(desk: Desk, policy: Policy) -> None:
    judged = [judge(policy, case) for case in read_cases((FOLDER / "policy_cases.toml").read_text(), desk)]
    assert judged
    assert [each for each in judged if each.failures] == []


def test_the_policy_is_short_and_says_every_rule_in_words() -> None:
    text = (FOLDER / "policy.cedar").read_text()
    assert len(text.splitlines()) <= 180
    assert text.count("@id(") == text.count("\npermit (") + text.count("\nforbid (")
