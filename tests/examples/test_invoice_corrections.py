"""Corrections of invoices in the example desk: facts, policy, effect once per key and version, lookup, undo."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from business import Business, KeyReused, NotDone
from invoices import Invoices

from counterfoil.canonical import canonical
from counterfoil.errors import BadArguments
from counterfoil.rungs import Rung
from counterfoil.values import Account, Change, Money, NotExecuted, Receipt
from examples.northlight import FINANCE, HOLDER, LOCKED, TWO_OF_FINANCE, Northlight, euro

CHAIRS = "R-2026-0377"
STUDIO = "C-1008"
WHY = "Delivered three weeks late"


def off(value: str, *, invoice: str = CHAIRS, line: int = 3, currency: str = "EUR") -> dict[str, Any]:
    return {
        "invoice_id": invoice, "line": line, "direction": "lower", "amount": euro(value, currency), "reason": WHY,
    }  # fmt: skip


def up(value: str, **where: Any) -> dict[str, Any]:
    return off(value, **where) | {"direction": "raise"}


async def correct(northlight: Northlight, key: str, guard: str | None, arguments: dict[str, Any]) -> Receipt:
    return await northlight.run("adjust_invoice", key, guard, STUDIO, **arguments)


def line(northlight: Northlight, invoice: str = CHAIRS, number: int = 3) -> int:
    return Invoices(northlight.shop).invoice(invoice).lines[number - 1].amount


async def test_the_preview_shows_the_line_and_the_whole_invoice_before_and_after(northlight: Northlight) -> None:
    facts = await northlight.facts("adjust_invoice", STUDIO, **off("80.00"))
    assert (facts.owners, facts.guard) == ((Account(STUDIO),), "1")
    assert facts.invoice == ("R-2026-0377 of 30 September 2026 for order NL-26021, to be paid by 15 December 2026")
    assert facts.line_text == "Delivery and assembly"
    assert facts.line_amount == Change(before="240.00 EUR", after="160.00 EUR")
    assert facts.invoice_total == Change(before="13284.00 EUR", after="13204.00 EUR")
    assert (facts.fits, facts.paid, facts.corrections) == (True, False, 0)
    raised = await northlight.facts("adjust_invoice", STUDIO, **up("80.00"))
    assert raised.line_amount == Change(before="240.00 EUR", after="320.00 EUR")


@pytest.mark.parametrize(
    "arguments",
    [off("240.01"), off("0.00"), off("80.00", currency="SEK"), off("80.00", line=4), up("0.00"), up("1.00", line=9)],
)
async def test_what_does_not_fit_the_line_says_so_and_nobody_can_approve_it(
    northlight: Northlight, arguments: dict[str, Any]
) -> None:
    facts = await northlight.facts("adjust_invoice", STUDIO, **arguments)
    assert (facts.fits, facts.line_amount.after, facts.invoice_total.after) == (False, "not possible", "not possible")
    assert (await northlight.required("adjust_invoice", STUDIO, **arguments))[0] == []
    with pytest.raises(NotExecuted, match="Nothing was corrected"):
        await correct(northlight, "t-1", "1", arguments)
    assert line(northlight) == 24000


async def test_T43_the_preview_names_the_owner_of_the_invoice_not_who_asks(northlight: Northlight) -> None:
    facts = await northlight.facts("adjust_invoice", "C-1003", **off("80.00"))
    assert facts.owners == (Account(STUDIO),)


async def test_an_unknown_invoice_is_refused_with_a_sentence(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted, match=r"^Northlight has no invoice 'R-1'\.$"):
        await northlight.facts("adjust_invoice", STUDIO, **off("80.00", invoice="R-1"))


@pytest.mark.parametrize(
    ("account", "arguments", "earlier", "required", "reason"),
    [
        # up to 100 EUR a day off: the holder
        (STUDIO, off("80.00"), "0.00", [HOLDER], "Up to 100 EUR"),
        (STUDIO, off("100.00"), "0.00", [HOLDER], "Up to 100 EUR"),
        (STUDIO, off("80.00"), "20.00", [HOLDER], "Up to 100 EUR"),
        # more, or dearer: one of finance too
        (STUDIO, off("80.00"), "20.01", [FINANCE], "Up to 2,000 EUR"),
        (STUDIO, off("100.01"), "0.00", [FINANCE], "Up to 2,000 EUR"),
        (STUDIO, up("1.00"), "0.00", [FINANCE], "Up to 2,000 EUR"),
        (STUDIO, off("2000.00", line=1), "0.00", [FINANCE], "Up to 2,000 EUR"),
        # above 2,000 EUR, or another currency: two of finance
        (STUDIO, off("2000.01", line=1), "0.00", [TWO_OF_FINANCE], "A larger correction"),
        ("C-1010", off("1.00", invoice="R-2026-0391", line=1, currency="CHF"), "0.00", [TWO_OF_FINANCE], "A larger"),
        # never: paid, locked, or a fraud score of 80
        (STUDIO, off("1.00", invoice="R-2026-0118", line=1), "0.00", [], "What is paid is given back as a refund"),
        ("C-1005", off("1.00", invoice="R-2026-0405", line=1), "0.00", [], LOCKED),
        ("C-1006", off("1.00", invoice="R-2026-0406", line=1), "0.00", [], LOCKED),
    ],
)
async def test_a_correction_requires_more_people_the_more_it_moves(
    northlight: Northlight, account: str, arguments: dict[str, Any], earlier: str, required: list[Rung], reason: str
) -> None:
    rungs, reasons = await northlight.required("adjust_invoice", account, earlier=earlier, **arguments)
    assert rungs == required
    assert any(words.startswith(reason) for words in reasons)


async def test_a_line_is_corrected_once_however_often_its_key_comes(northlight: Northlight) -> None:
    first = await correct(northlight, "t-1", "1", off("80.00"))
    assert await correct(northlight, "t-1", "1", off("80.00")) == first
    assert first == Receipt(
        reference="IC-1", summary="Line 3 of invoice R-2026-0377 is now 160.00 EUR instead of 240.00 EUR."
    )
    assert line(northlight) == 16000
    for other in (off("80.01"), up("80.00"), off("80.00", line=2)):
        with pytest.raises(KeyReused):
            await correct(northlight, "t-1", "1", other)


@pytest.mark.parametrize("guard", [None, "", "0", "1", "02"])
async def test_without_the_very_version_that_was_previewed_nothing_is_corrected(
    northlight: Northlight, guard: str | None
) -> None:
    await correct(northlight, "t-1", "1", off("80.00"))
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await correct(northlight, "t-2", guard, off("80.00"))
    assert (line(northlight), Invoices(northlight.shop).invoice(CHAIRS).version) == (16000, 2)
    assert await northlight.lookup("adjust_invoice", "t-2") is None


async def test_a_paid_invoice_stays_as_it_is(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted, match="was paid"):
        await correct(northlight, "t-1", "1", off("1.00", invoice="R-2026-0118", line=1))
    assert line(northlight, "R-2026-0118", 1) == 693600


def test_of_eight_corrections_at_once_on_one_version_one_is_done(northlight: Northlight) -> None:
    def attempt(number: int) -> bool:
        try:
            Invoices(Business(northlight.database)).correct(f"t-{number}", CHAIRS, 3, -100, "EUR", WHY, "1")
        except NotDone:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert line(northlight) == 23900


async def test_lookup_finds_the_correction_and_nothing_else(northlight: Northlight) -> None:
    assert await northlight.lookup("adjust_invoice", "t-1") is None
    receipt = await correct(northlight, "t-1", "1", off("80.00"))
    assert await northlight.lookup("adjust_invoice", "t-1") == receipt


async def test_a_correction_is_undone_once_and_only_while_the_invoice_is_open(northlight: Northlight) -> None:
    receipt = await correct(northlight, "t-1", "1", off("80.00"))
    undone = await northlight.undo("adjust_invoice", "t-2", receipt)
    assert undone.summary == "The correction IC-1 of invoice R-2026-0377 is cancelled."
    assert await northlight.undo("adjust_invoice", "t-2", receipt) == undone
    assert (line(northlight), Invoices(northlight.shop).invoice(CHAIRS).version) == (24000, 3)
    with pytest.raises(NotExecuted, match="cancelled before"):
        await northlight.undo("adjust_invoice", "t-3", receipt)
    with pytest.raises(NotExecuted, match="no correction"):
        await northlight.undo("adjust_invoice", "t-3", Receipt(reference="IC-9"))


async def test_an_undo_that_would_leave_less_than_nothing_changes_nothing(northlight: Northlight) -> None:
    raised = await correct(northlight, "t-1", "1", up("80.00"))
    await correct(northlight, "t-2", "2", off("300.00"))
    with pytest.raises(NotExecuted, match="stands"):
        await northlight.undo("adjust_invoice", "t-3", raised)
    assert (line(northlight), Invoices(northlight.shop).invoice(CHAIRS).version) == (2000, 3)


async def test_every_invoice_of_a_customer_carries_its_owner(northlight: Northlight) -> None:
    invoices = Invoices(northlight.shop).invoices_of(STUDIO)
    assert [(each.number, each.customer) for each in invoices] == [(CHAIRS, STUDIO), ("R-2026-0118", STUDIO)]
    assert Invoices(northlight.shop).invoices_of("C-9999") == []
    orders = northlight.shop.orders_of(STUDIO)
    assert [(each.number, each.customer) for each in orders] == [("NL-26021", STUDIO), ("NL-26004", STUDIO)]
    assert northlight.shop.orders_of("C-9999") == []


@pytest.mark.parametrize(
    "wrong", [{"line": 0}, {"line": "3"}, {"direction": "delete"}, {"reason": ""}, {"amount": {"value": "-1.00"}}]
)
def test_what_is_no_correction_is_refused_at_intake(northlight: Northlight, wrong: dict[str, Any]) -> None:
    plain = {key: value.model_dump() if isinstance(value, Money) else value for key, value in off("80.00").items()}
    with pytest.raises(BadArguments, match=next(iter(wrong))):
        northlight.desk.operations["adjust_invoice"].validated(canonical({"account": STUDIO} | plain | wrong))
