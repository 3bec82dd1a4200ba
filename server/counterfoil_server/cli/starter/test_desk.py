"""Tests of the desk and of its policy. Run them with: python -m pytest"""

from pathlib import Path

import anyio
import pytest

import desk
from counterfoil import Account, Execution, Money, NotExecuted
from counterfoil.policy_cases import ReadyCase, judge, read_cases
from counterfoil_server import config

FOLDER = Path(__file__).parent
ADA, BEN = Account("C-1"), Account("C-2")
TWENTY = Money(value="20.00", currency="EUR")

# Loading the desk and the policy checks both; a mistake is told with file, line and remedy.
settings = config.load(FOLDER / "counterfoil.toml")
policy = settings.load_policy()
cases = read_cases((FOLDER / "policy_cases.toml").read_text(encoding="utf-8"), settings.desk)


@pytest.fixture(autouse=True)
def new_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own orders."""
    monkeypatch.setattr(desk, "store", desk.shop())


def order(key: str, guard: str = "1") -> Execution:
    """What the executor gives to an operation. The key is the same whenever it is the same request."""
    return Execution(ticket=key, idempotency_key=key, guard=guard)


@pytest.mark.parametrize("case", cases, ids=lambda each: each.case.name)
def test_the_policy_answers_as_expected(case: ReadyCase) -> None:
    assert judge(policy, case).failures == ()


def test_people_see_what_is_left_and_whose_it_is() -> None:
    facts = anyio.run(desk.refund_facts, ADA, "A-100", TWENTY)
    assert facts.owners == (ADA,)
    assert (facts.left.before, facts.left.after) == ("80.00 EUR", "60.00 EUR")
    # Asked for with Ada's account, Ben's order is still Ben's: Counterfoil refuses that.
    assert anyio.run(desk.refund_facts, ADA, "A-200", TWENTY).owners == (BEN,)


def test_a_refund_that_is_run_twice_happens_once() -> None:
    first = anyio.run(desk.refund.run, order("T-1"), ADA, "A-100", TWENTY)
    again = anyio.run(desk.refund.run, order("T-1"), ADA, "A-100", TWENTY)
    assert first == again
    assert str(desk.store.orders["A-100"].left) == "60.00"


def test_nothing_happens_where_the_order_has_changed() -> None:
    with pytest.raises(NotExecuted):
        anyio.run(desk.refund.run, order("T-1", guard="0"), ADA, "A-100", TWENTY)
    assert str(desk.store.orders["A-100"].left) == "80.00"


def test_it_can_be_found_out_what_became_of_a_refund() -> None:
    assert anyio.run(desk.find_refund, order("T-1")) is None
    done = anyio.run(desk.refund.run, order("T-1"), ADA, "A-100", TWENTY)
    assert anyio.run(desk.find_refund, order("T-1")) == done


def test_a_customer_is_found_by_number_or_e_mail_and_by_nothing_else() -> None:
    assert anyio.run(desk.store.find, "C-1") == ADA
    assert anyio.run(desk.store.find, "ada@example.com") == ADA
    assert anyio.run(desk.store.find, "Ada") is None
