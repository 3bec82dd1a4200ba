"""Store credit in the example desk: its facts, its effect once per key and version, and its rules."""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from counterfoil.asking import Question
from counterfoil.desk import Desk
from counterfoil.policy import Policy
from counterfoil.rungs import Rung
from counterfoil.store import Counters
from counterfoil.values import Account, Change, Execution, Money, NotExecuted, Receipt

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "support_desk"
sys.path.insert(0, str(FOLDER))  # desks are loaded with their own folder on the path

import desk as example  # noqa: E402
from business import Business, KeyReused, NotDone  # noqa: E402
from store_credit import Balance, StoreCredit  # noqa: E402

INES = Account("C-1007")
WHY = "The lantern came two weeks late"
HOLDER = Rung(holder="passkey", code=True)
ONE = Rung(holder="passkey", code=True, staff={"finance": 1})


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def desk(database: Path) -> Desk:
    return example.build(database)


@pytest.fixture
def credit(database: Path) -> StoreCredit:
    return StoreCredit(Business(database))


def euro(value: str, currency: str = "EUR") -> Money:
    return Money(value=value, currency=currency)


async def facts(desk: Desk, value: str = "15.00", account: Account = INES) -> example.CreditFacts:
    preview = desk.operations["goodwill_credit"].run_preview
    assert preview is not None
    found = await preview(account=account, amount=euro(value), reason=WHY)
    assert isinstance(found, example.CreditFacts)
    return found


async def add(desk: Desk, key: str, guard: str | None, amount: Money) -> Receipt:
    given = Execution(ticket=key, idempotency_key=key, guard=guard)
    receipt = await desk.operations["goodwill_credit"].run(given, account=INES, amount=amount, reason=WHY)
    assert isinstance(receipt, Receipt)
    return receipt


def entries(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM credit_entries").fetchone()[0])


async def test_the_preview_shows_the_balance_before_and_after(desk: Desk, credit: StoreCredit) -> None:
    assert (await facts(desk)).store_credit == Change(before="0.00 EUR", after="15.00 EUR")
    credit.add("t-1", INES, 1000, WHY, "0")
    again = await facts(desk)
    assert again.store_credit == Change(before="10.00 EUR", after="25.00 EUR")
    assert (again.guard, again.owners) == ("1", (INES,))


@pytest.mark.parametrize(("value", "account"), [("0.00", "C-1007"), ("15.001", "C-1007"), ("15.00", "C-9999")])
async def test_what_could_not_be_credited_has_no_preview_that_anyone_could_approve(
    desk: Desk, value: str, account: str
) -> None:
    with pytest.raises(NotExecuted):
        await facts(desk, value, Account(account))


async def test_credit_is_added_once_however_often_its_key_comes(desk: Desk, credit: StoreCredit) -> None:
    first = await add(desk, "t-1", "0", euro("15.00"))
    assert await add(desk, "t-1", "0", euro("15.00")) == first
    assert first == Receipt(reference="SC-1", summary="15.00 EUR of store credit were added.")
    assert credit.balance(INES) == Balance(1500, 1)
    with pytest.raises(KeyReused):
        await add(desk, "t-1", "0", euro("16.00"))


@pytest.mark.parametrize("guard", [None, "", "0", "2", "01"])
async def test_without_the_very_balance_that_was_previewed_nothing_is_credited(
    desk: Desk, credit: StoreCredit, database: Path, guard: str | None
) -> None:
    await add(desk, "t-1", "0", euro("15.00"))
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await add(desk, "t-2", guard, euro("15.00"))
    assert (credit.balance(INES), entries(database)) == (Balance(1500, 1), 1)


@pytest.mark.parametrize("amount", [euro("0.00"), euro("15.00", "USD"), euro("0.001")])
async def test_nothing_fractions_and_other_currencies_are_not_credited(
    desk: Desk, credit: StoreCredit, amount: Money
) -> None:
    with pytest.raises(NotExecuted):
        await add(desk, "t-1", "0", amount)
    assert credit.balance(INES) == Balance(0, 0)


def test_of_eight_credits_at_once_on_one_balance_one_is_done(database: Path, credit: StoreCredit) -> None:
    def attempt(number: int) -> bool:
        try:
            StoreCredit(Business(database)).add(f"t-{number}", INES, 100, WHY, "0")
        except NotDone:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert credit.balance(INES) == Balance(100, 1)


async def test_lookup_finds_what_was_credited_and_nothing_else(desk: Desk) -> None:
    lookup = desk.operations["goodwill_credit"].run_lookup
    assert lookup is not None
    execution = Execution(ticket="t-1", idempotency_key="t-1", guard="0")
    assert await lookup(execution) is None
    assert await lookup(execution) is None
    receipt = await add(desk, "t-1", "0", euro("15.00"))
    assert await lookup(execution) == receipt


def test_the_ai_redeems_it_itself_and_nothing_else(desk: Desk) -> None:
    collected = [name for name, operation in desk.operations.items() if operation.delivery == "collected"]
    assert collected == ["goodwill_credit"]


@pytest.mark.parametrize(
    ("value", "currency", "earlier", "required"),
    [
        ("25.00", "EUR", "0.00", [HOLDER]),
        ("25.01", "EUR", "0.00", [ONE]),
        ("10.00", "EUR", "15.01", [ONE]),
        ("250.00", "EUR", "0.00", [ONE]),
        ("250.01", "EUR", "0.00", []),
        ("10.00", "EUR", "240.01", []),
        ("10.00", "SEK", "0.00", []),
    ],
)
async def test_credit_requires_more_people_the_more_it_is_in_a_day(
    desk: Desk, value: str, currency: str, earlier: str, required: list[Rung]
) -> None:
    policy = Policy.load((FOLDER / "policy.cedar").read_text(), desk)
    found = await facts(desk)
    amount = euro(value, currency)
    question = Question(
        operation=desk.operations["goodwill_credit"],
        principal="assistant",
        account=INES,
        arguments={"account": INES, "amount": amount.model_dump(mode="json"), "reason": WHY},
        facts=found.model_dump(mode="json"),
        tainted=False,
        unguarded=False,
        counters=Counters(count=0, total=Decimal(earlier)),
        amount=amount,
    )
    assert list(policy.requirements(question).rungs) == required
