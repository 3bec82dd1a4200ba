"""Every operation of the example desk from the AI's request to the shop's books: over MCP, through the real pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from story_cast import Answer, Assistant

from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from stories.running_desk import RunningDesk, running_desk

DAY = 86_400
MARIA = "maria.lindqvist@post.example"
SABINE = "sabine.krueger@web.example"
OSKAR = "oskar.lund@northlight.example"
IDENTITY = {
    "S-04": ("Priya Nair", "priya.nair@northlight.example"),
    "S-05": ("Tomasz Zieliński", "tomasz.zielinski@northlight.example"),
}


@dataclass
class Counter:
    """The running desk, an assistant, and people with passkeys."""

    desk: RunningDesk
    assistant: Assistant

    async def person(self, name: str, email: str, account: str, roles: Sequence[str] = ()) -> PageClient:
        """Somebody invited and enrolled."""
        browser = await self.desk.stack.enter_async_context(PageClient(self.desk.base_url, SoftwareAuthenticator()))
        await browser.enrol(await self.desk.invite(name, email, accounts=[account], roles=roles))
        return browser

    async def approve(self, person: PageClient, email: str, code: str | None) -> str:
        """Follow the newest link and approve; answers the headline."""
        message = await self.desk.message(email, "waits for your decision")
        assert message.link is not None
        return str((await person.open_and_decide(message.link, "approve", code))["headline"])

    async def executed(self, asked: Answer) -> Answer:
        """The status once the ticket was executed, exactly once."""
        ticket = asked["ticket"]
        await self.desk.state_becomes(ticket, "executed")
        assert (self.desk.books.added(ticket), self.desk.books.entries_added) == (1, 1)
        return await self.assistant.call("ticket_status", ticket=ticket)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with running_desk(tmp_path) as desk:
        yield Counter(desk, await desk.assistant())


@pytest.mark.parametrize(
    ("holder", "operation", "arguments", "summary"),
    [
        (("Maria Lindqvist", MARIA, "C-1001"), "adjust_invoice",
         {"invoice_id": "R-2026-0395", "line": 1, "direction": "lower", "reason": "30.00 EUR were agreed",
          "amount": {"value": "15.00", "currency": "EUR"}},
         "Line 1 of invoice R-2026-0395 is now 30.00 EUR instead of 45.00 EUR."),
        (("Maria Lindqvist", MARIA, "C-1001"), "change_membership", {"tier": "standard"},
         "The membership is now plus, paid until 14 March 2027, then standard."),
        (("Maria Lindqvist", MARIA, "C-1001"), "reset_password", {},
         "2 sign-ins ended; a message to the sign-in address says how to choose a new password."),
        (("Sabine Krüger", SABINE, "C-1005"), "unlock_account", {},
         "The account is open again; its password is the same as before."),
    ],
)  # fmt: skip
async def test_what_the_holder_signs_is_carried_out_once(
    counter: Counter, holder: tuple[str, str, str], operation: str, arguments: dict[str, Any], summary: str
) -> None:
    name, email, account = holder
    person = await counter.person(name, email, account)
    asked = await counter.assistant.call(f"request_{operation}", account=account, **arguments)
    assert counter.desk.books.unchanged
    await counter.approve(person, email, asked["match_code"])
    ended = await counter.executed(asked)
    assert ended.values["outcome"]["summary"] == summary
    told = json.dumps([asked.values, ended.values]) + asked.words + ended.words
    assert "http" not in told
    assert email not in told


async def test_a_permission_is_given_after_two_approvals_and_a_day_without_objection(counter: Counter) -> None:
    people = {
        email: await counter.person(name, email, number, ["identity"]) for number, (name, email) in IDENTITY.items()
    }
    asked = await counter.assistant.call(
        "request_change_staff_permissions", account="S-07", permission="edit_prices", change="grant"
    )
    for email, person in people.items():
        await counter.approve(person, email, None)
    assert (await counter.desk.ticket(asked["ticket"]))["state"] == "held"
    assert counter.desk.books.unchanged
    await counter.desk.message(OSKAR, "you can stop", "It will be carried out on")
    counter.desk.pass_time(DAY + 60)
    ended = await counter.executed(asked)
    assert ended.values["outcome"]["summary"] == "Oskar Lund may now change the price of everything in the shop."


async def test_T05_nobody_is_asked_about_their_own_permissions_as_staff(counter: Counter) -> None:
    """Of the two who check identities one is concerned: a single approval is left, and that is not enough."""
    (mine, (priya, priya_email)), (number, (tomasz, tomasz_email)) = IDENTITY.items()
    concerned = await counter.person(priya, priya_email, mine, ["identity"])
    other = await counter.person(tomasz, tomasz_email, number, ["identity"])
    asked = await counter.assistant.call(
        "request_change_staff_permissions", account=mine, permission="export_customers", change="grant"
    )
    await counter.approve(other, tomasz_email, None)
    message = await counter.desk.message(priya_email, "waits for your decision")
    assert message.link is not None
    await concerned.sign_in(message.link)
    assert "as the holder of the account" in (await concerned.read()).text
    await concerned.decide("decline")
    assert (await counter.desk.ticket(asked["ticket"]))["state"] == "declined"
    assert counter.desk.books.unchanged


async def test_a_record_that_changes_between_request_and_approval_is_not_overwritten(counter: Counter) -> None:
    """The guard and the facts: the shop itself corrected the invoice in the meantime."""
    from business import Business
    from invoices import Invoices

    maria = await counter.person("Maria Lindqvist", MARIA, "C-1001")
    asked = await counter.assistant.call(
        "request_adjust_invoice", account="C-1001", invoice_id="R-2026-0395", line=1, direction="lower",
        amount={"value": "15.00", "currency": "EUR"}, reason="30.00 EUR were agreed",
    )  # fmt: skip
    database = Path(str(counter.desk.parts.configuration.folder)) / "shop.db"
    Invoices(Business(database)).correct("counter-1", "R-2026-0395", 1, -1500, "EUR", "agreed by phone", "1")
    counter.desk.books.mark()
    await counter.approve(maria, MARIA, asked["match_code"])
    shown = await counter.desk.ticket(asked["ticket"])
    assert shown["state"] == "declined"
    assert counter.desk.books.unchanged
