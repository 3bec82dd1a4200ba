"""The example desk over its own database: facts, effects, and the promises that connectors make."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from counterfoil.canonical import canonical
from counterfoil.desk import Desk
from counterfoil.errors import BadArguments
from counterfoil.values import Account, Change, Contact, Execution, Money, NotExecuted, Receipt

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "support_desk"
sys.path.insert(0, str(FOLDER))  # desks are loaded with their own folder on the path

import desk as example  # noqa: E402
import seed  # noqa: E402
from business import Business, KeyReused, NotDone, UnknownOrder  # noqa: E402

MARIA = Account("C-1001")
EUR_39 = Money(value="39.00", currency="EUR")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def shop(database: Path) -> Business:
    return Business(database)


@pytest.fixture
def desk(database: Path) -> Desk:
    return example.build(database)


def execution(key: str = "t-1", guard: str | None = "1") -> Execution:
    return Execution(ticket=key, idempotency_key=key, guard=guard)


async def refund_facts(desk: Desk, order: str, value: str, currency: str = "EUR") -> example.RefundFacts:
    preview = desk.operations["refund"].run_preview
    assert preview is not None
    facts = await preview(account=MARIA, order_id=order, amount=Money(value=value, currency=currency))
    assert isinstance(facts, example.RefundFacts)
    return facts


async def recovery_facts(desk: Desk, account: str, email: str) -> example.RecoveryFacts:
    preview = desk.operations["recover_account"].run_preview
    assert preview is not None
    facts = await preview(account=Account(account), new_email=email)
    assert isinstance(facts, example.RecoveryFacts)
    return facts


async def refund(desk: Desk, given: Execution, order: str = "NL-26017", amount: Money = EUR_39) -> Receipt:
    receipt = await desk.operations["refund"].run(given, account=MARIA, order_id=order, amount=amount)
    assert isinstance(receipt, Receipt)
    return receipt


async def recover(desk: Desk, given: Execution, email: str, account: Account = MARIA) -> Receipt:
    receipt = await desk.operations["recover_account"].run(given, account=account, new_email=email)
    assert isinstance(receipt, Receipt)
    return receipt


def rows(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


# The desk and its beginning -------------------------------------------------------------------------------------------


def test_the_desk_is_whole(desk: Desk) -> None:
    desk.check()
    personal = {"my_orders", "my_invoices", "membership"}
    assert set(desk.reads) == {"opening_hours", "explain_policy", "product_reviews"} | personal
    assert set(desk.operations) == {
        "access",
        "undo_refund",
        "undo_adjust_invoice",
        "undo_change_membership",
        "refund",
        "goodwill_credit",
        "adjust_invoice",
        "change_membership",
        "recover_account",
        "reset_password",
        "unlock_account",
        "change_staff_permissions",
    }
    assert desk.operations["refund"].counted(
        b'{"account":"C-1001","amount":{"currency":"EUR","value":"39.00"},"order_id":"NL-26017"}'
    ) == Money(value="39.00", currency="EUR")


def test_what_two_of_identity_may_decide_is_settled_by_others(desk: Desk) -> None:
    for operation in desk.operations.values():
        if any(rung.staff.get("identity", 0) >= 2 for rung in operation.ladder):
            assert desk.settler_of(operation.name) == "finance", operation.name


def test_importing_the_desk_touches_no_disk_and_its_first_use_fills_the_named_file(database: Path) -> None:
    program = (
        "import asyncio, pathlib, desk\n"
        f"database = pathlib.Path({str(database)!r})\n"
        "assert not database.exists()\n"
        "hours = asyncio.run(desk.desk.reads['opening_hours'].run())\n"
        "assert database.exists()\n"
        "print(len(hours.days))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=FOLDER,
        env=os.environ | {"SUPPORT_DESK_DATABASE": str(database)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("6", "")


def test_every_new_shop_begins_the_same(tmp_path: Path) -> None:
    for name in ("one.db", "two.db"):
        seed.create(tmp_path / name)
    dumps = []
    for name in ("one.db", "two.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


def test_the_seeded_payments_agree_with_the_seeded_refunds(shop: Business, database: Path) -> None:
    shop.opening_hours()
    refunded = dict(rows(database, "SELECT order_number, sum(cents) FROM refunds GROUP BY 1"))
    payments = rows(database, "SELECT order_number, refunded FROM payments")
    assert len(payments) == 27
    assert {order: cents for order, cents in payments if cents} == refunded


def test_a_shop_that_eight_callers_open_at_once_is_filled_once(database: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        hours = [each.result() for each in [pool.submit(Business(database).opening_hours) for _ in range(8)]]
    assert [len(each) for each in hours] == [6] * 8
    assert rows(database, "PRAGMA journal_mode") == [("wal",)]
    assert sorted(path.name for path in database.parent.iterdir() if path.suffix == ".db") == ["shop.db"]


def test_a_shop_that_is_there_stays_as_it_is(shop: Business, database: Path) -> None:
    shop.refund("t-1", "NL-26017", 100, "EUR", "1")
    seed.create(database)
    assert Business(database).order("NL-26017").refunded == 100


# Reads and the directory ----------------------------------------------------------------------------------------------


async def test_every_topic_that_the_tool_offers_has_a_text(desk: Desk) -> None:
    read = desk.reads["explain_policy"]
    topics = read.arguments.model_json_schema()["properties"]["topic"]["enum"]
    assert set(topics) == set(seed.POLICIES)
    for topic in topics:
        assert read.structured(await read.run(topic=topic)) == {"result": seed.POLICIES[topic]}


async def test_T38_only_what_strangers_wrote_is_untrusted(desk: Desk) -> None:
    assert [name for name, read in desk.reads.items() if read.untrusted] == ["product_reviews"]
    read = desk.reads["product_reviews"]
    found = read.structured(await read.run(product="lampshade papper"))["result"]
    assert [(review["product"], review["stars"]) for review in found] == [
        ("Lampshade Papper 45", 5),
        ("Lampshade Papper 45", 1),
    ]
    for product in ("no such lamp", "   "):
        assert read.structured(await read.run(product=product)) == {"result": []}


async def test_opening_hours_are_an_object_by_the_day(desk: Desk) -> None:
    read = desk.reads["opening_hours"]
    answer = read.structured(await read.run())
    assert answer["days"][0] == {"day": "Monday", "opens": "09:00", "closes": "18:00"}
    assert [day["day"] for day in answer["days"]][-1] == "Saturday"


@pytest.mark.parametrize(
    ("hint", "account"),
    [
        ("C-1001", "C-1001"),
        ("maria.lindqvist@post.example", "C-1001"),
        ("Maria Lindqvist", "C-1001"),
        (" maria lindqvist ", "C-1001"),
        ("bellini.marco@old-mail.example", "C-1004"),
        ("marco.bellini@posta.example", "C-1004"),
        ("Erik Johansson", None),  # two customers have this name
        ("erik@johansson-snickeri.example", "C-1013"),
        ("Oskar Lund", "S-07"),  # the shop's own people have accounts too
        ("oskar.lund@northlight.example", "S-07"),
        ("Lindqvist", None),
        ("C-10", None),
        ("%", None),
        ("", None),
    ],
)
async def test_the_directory_finds_one_customer_or_nobody(desk: Desk, hint: str, account: str | None) -> None:
    assert await desk.directory.find(hint) == account


async def test_notices_go_to_the_contact_address_and_not_to_the_sign_in_address(desk: Desk) -> None:
    marco = Contact(name="Marco Bellini", email="marco.bellini@posta.example")
    assert await desk.directory.person(Account("C-1004")) == marco
    assert await desk.directory.person(Account("Marco Bellini")) is None
    assert await desk.directory.person(Account("C-9999")) is None
    oskar = Contact(name="Oskar Lund", email="oskar.lund@northlight.example")
    assert await desk.directory.person(Account("S-07")) == oskar


# What a refund's preview says -----------------------------------------------------------------------------------------


async def test_the_preview_tells_what_was_bought_and_what_would_be_left(desk: Desk) -> None:
    facts = await refund_facts(desk, "NL-26017", "39.00")
    assert facts == example.RefundFacts(
        owners=(MARIA,),
        guard="1",
        order="1 × Lampshade Papper 45, 1 × LED bulb E14, dimmable; delivered on 20 July 2026; total 49.90 EUR",
        payment_method="Visa ending 4242",
        refundable=Money(value="49.90", currency="EUR"),
        refundable_change=Change(before="49.90 EUR", after="10.90 EUR"),
        within_refundable=True,
        locked=False,
        fraud=4,
    )


async def test_the_preview_counts_what_was_refunded_before(desk: Desk) -> None:
    facts = await refund_facts(desk, "NL-26010", "1.00")
    assert facts.refundable_change == Change(before="945.00 EUR", after="944.00 EUR")
    assert facts.guard == "2"


@pytest.mark.parametrize(
    ("order", "value", "currency", "within"),
    [
        ("NL-26017", "49.90", "EUR", True),
        ("NL-26017", "49.91", "EUR", False),
        ("NL-26017", "49.9000", "EUR", True),
        ("NL-26017", "0.00", "EUR", False),
        ("NL-26017", "39.00", "SEK", False),
        ("NL-26003", "2495.00", "SEK", True),
        ("NL-26006", "149.01", "EUR", False),  # one of two bedside tables was refunded before
        ("NL-26016", "0.01", "EUR", False),  # refunded in full before
        ("NL-26026", "0.01", "CHF", False),  # the invoice is not paid yet
    ],
)
async def test_the_preview_says_whether_the_amount_fits(
    desk: Desk, order: str, value: str, currency: str, within: bool
) -> None:
    facts = await refund_facts(desk, order, value, currency)
    assert facts.within_refundable is within
    assert (facts.refundable_change.after == "not possible") is not within


async def test_an_order_that_is_on_its_way_says_so(desk: Desk) -> None:
    assert "not delivered yet" in (await refund_facts(desk, "NL-26027", "1.00")).order


async def test_the_preview_names_the_account_that_owns_the_order_not_the_one_that_asks(desk: Desk) -> None:
    facts = await refund_facts(desk, "NL-26023", "39.00")
    assert (facts.owners, facts.locked, facts.fraud) == ((Account("C-1006"),), False, 88)
    facts = await refund_facts(desk, "NL-26008", "39.00")
    assert (facts.owners, facts.locked, facts.fraud) == ((Account("C-1005"),), True, 37)


async def test_an_unknown_order_is_refused_with_a_sentence(desk: Desk) -> None:
    with pytest.raises(LookupError, match=r"^Northlight has no order 'NL-1'\.$") as refusal:
        await refund_facts(desk, "NL-1", "39.00")
    assert isinstance(refusal.value, NotExecuted)
    assert isinstance(refusal.value.__cause__, UnknownOrder)


# What a refund does ---------------------------------------------------------------------------------------------------


async def test_a_refund_moves_money_once_however_often_its_key_comes(desk: Desk, shop: Business) -> None:
    first = await refund(desk, execution())
    again = await refund(desk, execution())
    assert first == again
    assert first.summary == "39.00 EUR of order NL-26017 go back to the payment method used."
    assert shop.order("NL-26017").refundable == 1090


async def test_a_refund_changes_the_payments_version_so_the_next_needs_a_new_look(desk: Desk, shop: Business) -> None:
    await refund(desk, execution("t-1"), amount=Money(value="1.00", currency="EUR"))
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await refund(desk, execution("t-2"), amount=Money(value="1.00", currency="EUR"))
    assert shop.order("NL-26017").refunded == 100
    guard = (await refund_facts(desk, "NL-26017", "1.00")).guard
    await refund(desk, execution("t-2", guard), amount=Money(value="1.00", currency="EUR"))
    assert shop.order("NL-26017").refunded == 200


@pytest.mark.parametrize("guard", [None, "", "0", "2", "01", "1.0", " 1"])
async def test_without_the_very_version_that_was_previewed_nothing_moves(
    desk: Desk, shop: Business, database: Path, guard: str | None
) -> None:
    before = shop.order("NL-26017")
    with pytest.raises(NotExecuted):
        await refund(desk, execution(guard=guard))
    assert shop.order("NL-26017") == before
    assert rows(database, "SELECT count(*) FROM refunds") == [(len(seed.SETTLED_REFUNDS),)]


@pytest.mark.parametrize(
    ("value", "currency"), [("49.91", "EUR"), ("0.00", "EUR"), ("39.00", "SEK"), ("0.001", "EUR"), ("39.0001", "EUR")]
)
async def test_an_amount_that_does_not_fit_the_payment_is_not_executed(
    desk: Desk, shop: Business, value: str, currency: str
) -> None:
    with pytest.raises(NotExecuted, match="No money was moved"):
        await refund(desk, execution(), amount=Money(value=value, currency=currency))
    assert shop.order("NL-26017").refunded == 0


async def test_a_key_that_comes_again_with_another_amount_is_no_promise_that_nothing_happened(desk: Desk) -> None:
    await refund(desk, execution())
    with pytest.raises(KeyReused):
        await refund(desk, execution(), amount=Money(value="1.00", currency="EUR"))


def test_a_refund_that_fails_halfway_leaves_nothing_behind(shop: Business, database: Path) -> None:
    before = shop.order("NL-26017")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON refunds BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(sqlite3.DatabaseError, match="full"):
        shop.refund("t-1", "NL-26017", 100, "EUR", "1")
    assert shop.order("NL-26017") == before


def test_of_eight_refunds_at_once_on_one_version_one_is_done(shop: Business, database: Path) -> None:
    def attempt(number: int) -> bool:
        try:
            Business(database).refund(f"t-{number}", "NL-26017", 100, "EUR", "1")
        except NotDone:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert shop.order("NL-26017").refunded == 100


async def test_lookup_finds_the_receipt_of_what_happened_and_nothing_of_what_did_not(desk: Desk) -> None:
    lookup = desk.operations["refund"].run_lookup
    assert lookup is not None
    assert await lookup(execution("t-1")) is None
    receipt = await refund(desk, execution("t-1"))
    assert await lookup(execution("t-1")) == receipt
    with pytest.raises(NotExecuted):
        await refund(desk, execution("t-2"))
    assert await lookup(execution("t-2")) is None


async def test_a_refund_is_undone_once_and_raises_the_version(desk: Desk, shop: Business) -> None:
    async def undo(told: Execution, receipt: Receipt) -> Receipt:
        undone = await desk.operations["undo_refund"].run(told, account=Account("C-1001"), receipt=receipt)
        assert isinstance(undone, Receipt)
        return undone

    receipt = await refund(desk, execution("t-1"))
    cancelled = await undo(execution("t-2"), receipt)
    assert cancelled.summary == "The refund of 39.00 EUR on NL-26017 is cancelled."
    assert await undo(execution("t-2"), receipt) == cancelled
    with pytest.raises(NotExecuted, match="cancelled before"):
        await undo(execution("t-3"), receipt)
    order = shop.order("NL-26017")
    assert (order.refunded, order.version) == (0, 3)


async def test_a_refund_that_reached_the_customer_cannot_be_undone(desk: Desk, shop: Business) -> None:
    async def undo(told: Execution, receipt: Receipt) -> Receipt:
        undone = await desk.operations["undo_refund"].run(told, account=Account("C-1001"), receipt=receipt)
        assert isinstance(undone, Receipt)
        return undone

    settled = shop.find_refund(seed.SETTLED_REFUNDS[0][0])
    assert settled is not None
    with pytest.raises(NotExecuted, match="reached the customer"):
        await undo(execution(), Receipt(reference=settled.reference))
    with pytest.raises(NotExecuted, match="no refund"):
        await undo(execution(), Receipt(reference="RF-999"))
    assert shop.order("NL-26006").refunded == 14900


# A new sign-in e-mail -------------------------------------------------------------------------------------------------


async def test_the_preview_compares_the_addresses_and_says_whether_the_new_one_is_known(desk: Desk) -> None:
    facts = await recovery_facts(desk, MARIA, "maria@lindqvist-keramik.example")
    assert facts == example.RecoveryFacts(
        owners=(MARIA,),
        guard="1",
        sign_in_email=Change(before="maria.lindqvist@post.example", after="maria@lindqvist-keramik.example"),
        customer_since="14 March 2019",
        new_address="an address of this customer since 2 October 2023",
        email_in_use=False,
        locked=False,
        fraud=4,
    )
    assert (await recovery_facts(desk, MARIA, "maria@new.example")).new_address == "never seen before"


@pytest.mark.parametrize(
    ("email", "in_use"),
    [
        ("j.okafor@mail.example", True),
        ("J.Okafor@Mail.Example", True),
        ("bellini.marco@old-mail.example", True),  # another customer's sign-in address
        ("maria.lindqvist@post.example", False),  # her own
        ("jonathan.okafor@work.example", False),  # known of another customer, but not in use
        ("new@post.example", False),
    ],
)
async def test_an_address_of_another_customer_is_in_use(desk: Desk, email: str, in_use: bool) -> None:
    assert (await recovery_facts(desk, MARIA, email)).email_in_use is in_use


async def test_what_is_known_of_another_customers_addresses_is_not_told(desk: Desk) -> None:
    for email in ("jonathan.okafor@work.example", "j.okafor@mail.example"):
        assert (await recovery_facts(desk, MARIA, email)).new_address == "never seen before"


@pytest.mark.parametrize(
    ("account", "locked", "fraud"), [("C-1005", True, 37), ("C-1006", False, 88), ("C-1014", False, 79)]
)
async def test_previews_tell_locks_and_scores(desk: Desk, account: str, locked: bool, fraud: int) -> None:
    facts = await recovery_facts(desk, account, "new@post.example")
    assert (facts.locked, facts.fraud) == (locked, fraud)


async def test_an_unknown_customer_is_refused_with_a_sentence(desk: Desk) -> None:
    with pytest.raises(LookupError, match="no customer 'C-9999'"):
        await recovery_facts(desk, "C-9999", "new@post.example")


@pytest.mark.parametrize("email", ["maria", "maria@", "@post.example", "a@b", "a b@post.example", "a@post.example\n"])
def test_what_is_no_address_is_refused_at_intake(desk: Desk, email: str) -> None:
    with pytest.raises(BadArguments, match="new_email"):
        desk.operations["recover_account"].validated(canonical({"account": MARIA, "new_email": email}))


async def test_a_new_sign_in_address_is_set_once_and_only_on_the_previewed_version(desk: Desk, shop: Business) -> None:
    first = await recover(desk, execution("t-1"), "maria@new.example")
    assert await recover(desk, execution("t-1"), "maria@new.example") == first
    assert first.summary == (
        "The customer now signs in with maria@new.example instead of maria.lindqvist@post.example."
    )
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await recover(desk, execution("t-2"), "maria@other.example")
    with pytest.raises(KeyReused):
        await recover(desk, execution("t-1"), "maria@other.example")
    customer = shop.customer(MARIA)
    assert (customer.sign_in_email, customer.email) == ("maria@new.example", "maria.lindqvist@post.example")
    assert await desk.directory.find("maria@new.example") == MARIA
    lookup = desk.operations["recover_account"].run_lookup
    assert lookup is not None
    assert await lookup(execution("t-1")) == first
    assert await lookup(execution("t-2")) is None


async def test_an_address_that_another_customer_took_meanwhile_is_not_given_twice(
    desk: Desk, shop: Business, database: Path
) -> None:
    await recover(desk, execution("t-1"), "family@new.example")
    with pytest.raises(NotExecuted, match="can't be used"):
        await recover(desk, execution("t-2"), "Family@New.example", Account("C-1002"))
    assert shop.customer("C-1002").version == 1
    assert rows(database, "SELECT count(*) FROM sign_in_changes") == [(1,)]


# The typing that a desk is promised -----------------------------------------------------------------------------------


def test_a_type_checker_accepts_the_desk_and_catches_a_renamed_argument_of_a_preview(tmp_path: Path) -> None:
    def mypy() -> subprocess.CompletedProcess[str]:
        cache = FOLDER.parents[1] / ".mypy_cache" / "strict"
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(cache)]
        return subprocess.run([*command, "desk.py"], cwd=tmp_path, capture_output=True, text=True)

    for path in FOLDER.glob("*.py"):
        if not path.name.startswith("story"):
            (tmp_path / path.name).write_text(path.read_text())
    clean = mypy()
    assert clean.returncode == 0, clean.stdout
    preview = "refund_facts(account: Account, order_id: str"
    text = (tmp_path / "desk.py").read_text()
    assert text.count(preview) == 1
    renamed = text.replace(preview, preview.replace("order_id", "number"))
    (tmp_path / "desk.py").write_text(renamed.replace("shop.order(order_id)", "shop.order(number)"))
    caught = mypy()
    assert caught.returncode == 1
    assert 'Argument 1 to "preview" of "Operation"' in caught.stdout
