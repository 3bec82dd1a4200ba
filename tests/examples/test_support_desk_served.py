"""Every operation of the example desk from the AI's request to the shop's books: over MCP, through the real pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from business import Business
from invoices import Invoices
from story_books import Books

from counterfoil.testing import Asked, OpenDesk, Ticket, money
from northlight_served import open_northlight, open_shop

OSKAR = "oskar.lund@northlight.example"
IDENTITY = {"S-04": "Priya Nair", "S-05": "Tomasz Zieliński"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return open_shop(tmp_path)


@pytest.fixture
def books(shop: Path) -> Books:
    return Books(shop)


@pytest.fixture
async def desk(tmp_path: Path, shop: Path) -> AsyncIterator[OpenDesk]:
    async with open_northlight(tmp_path, shop) as opened:
        yield opened


async def executed(desk: OpenDesk, books: Books, asked: Asked) -> Ticket:
    """The ticket, which was executed exactly once."""
    ended = await desk.settled(asked)
    assert ended.state == "executed"
    assert (books.added(asked.ticket), books.entries_added) == (1, 1)
    return ended


@pytest.mark.parametrize(
    ("name", "account", "operation", "arguments", "summary"),
    [
        ("Maria Lindqvist", "C-1001", "adjust_invoice",
         {"invoice_id": "R-2026-0395", "line": 1, "direction": "lower", "reason": "30.00 EUR were agreed",
          "amount": money("15.00")},
         "Line 1 of invoice R-2026-0395 is now 30.00 EUR instead of 45.00 EUR."),
        ("Maria Lindqvist", "C-1001", "change_membership", {"tier": "standard"},
         "The membership is now plus, paid until 14 March 2027, then standard."),
        ("Maria Lindqvist", "C-1001", "reset_password", {},
         "2 sign-ins ended; a message to the sign-in address says how to choose a new password."),
        ("Sabine Krüger", "C-1005", "unlock_account", {},
         "The account is open again; its password is the same as before."),
    ],
)  # fmt: skip
async def test_what_the_holder_signs_is_carried_out_once(
    desk: OpenDesk, books: Books, name: str, account: str, operation: str, arguments: dict[str, Any], summary: str
) -> None:
    holder = await desk.enrol(name, account=account)
    asked = await desk.ai.request(operation, account=account, **arguments)
    assert books.unchanged
    await holder.approves(asked)
    await executed(desk, books, asked)
    ended = await desk.ai.status(asked)
    assert ended.values["outcome"]["summary"] == summary
    told = json.dumps([asked.answer.values, ended.values]) + asked.answer.words + ended.words
    assert "http" not in told
    assert holder.address not in told


async def test_a_permission_is_given_after_two_approvals_and_a_day_without_objection(
    desk: OpenDesk, books: Books
) -> None:
    people = [await desk.enrol(name, account=number, role="identity") for number, name in IDENTITY.items()]
    asked = await desk.ai.request("change_staff_permissions", account="S-07", permission="edit_prices", change="grant")
    for person in people:
        await person.approves(asked)
    assert (await desk.settled(asked)).state == "held"
    await desk.mailbox.newest(OSKAR, "you can stop", "It will be carried out on")
    await desk.advance(days=1, seconds=-1)
    assert (await desk.settled(asked)).state == "held"
    assert books.unchanged
    await desk.advance(seconds=1)
    ended = await executed(desk, books, asked)
    assert ended.receipt is not None
    assert ended.receipt.summary == "Oskar Lund may now change the price of everything in the shop."


async def test_T05_nobody_is_asked_about_their_own_permissions_as_staff(desk: OpenDesk, books: Books) -> None:
    """Of the two who check identities one is concerned: a single approval is left, and that is not enough."""
    concerned, other = [await desk.enrol(name, account=number, role="identity") for number, name in IDENTITY.items()]
    asked = await desk.ai.request(
        "change_staff_permissions", account="S-04", permission="export_customers", change="grant"
    )
    await other.approves(asked)
    assert (await desk.settled(asked)).state == "pending"
    assert "as the holder of the account" in (await concerned.reads(asked)).text
    await concerned.browser.decide("decline")
    assert (await desk.settled(asked)).state == "declined"
    assert books.unchanged


async def test_a_record_that_changes_between_request_and_approval_is_not_overwritten(
    desk: OpenDesk, books: Books, shop: Path
) -> None:
    """The guard and the facts: the shop itself corrected the invoice in the meantime."""
    maria = await desk.enrol("Maria Lindqvist", account="C-1001")
    asked = await desk.ai.request(
        "adjust_invoice", account="C-1001", invoice_id="R-2026-0395", line=1, direction="lower",
        amount=money("15.00"), reason="30.00 EUR were agreed",
    )  # fmt: skip
    Invoices(Business(shop)).correct("counter-1", "R-2026-0395", 1, -1500, "EUR", "agreed by phone", "1")
    books.mark()
    await maria.approves(asked)
    assert (await desk.settled(asked)).state == "declined"
    assert books.unchanged
