"""What the command line says of a ticket whose outcome nobody knows."""

from __future__ import annotations

import pytest

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.recipients import APPROVE, SETTLE
from counterfoil.tickets import Event
from counterfoil_server import config
from counterfoil_server.app import open_parts
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.notices.transports import Mailbox
from server.cli.office import DESK, Office
from server.cli.signing import browser, enrolled, link, opened


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def names_settlers(office: Office, role: str = "finance") -> None:
    office.write("desk.py", DESK.replace('roles=["finance"])', f'roles=["finance", "legal"], settled_by="{role}")'))


async def left_unknown(office: Office) -> tuple[str, str]:
    """A payment that Ana approved and whose end nobody knows; answers the ticket and the id of Fay of finance."""
    async with (
        opened(office) as parts,
        browser(parts, office) as ana,
        browser(parts, office) as fay,
    ):
        await enrolled(parts, ana, Invited("Ana", ("A-1",), (), ("ana@office.example",)))
        who = await enrolled(parts, fay, Invited("Fay", (), ("finance",), ("fay@office.example",)))
        arguments = {"account": "A-1", "amount": {"value": "20.00", "currency": "EUR"}}
        ticket = await parts.authority.request(Requester("bot"), "pay", canonical(arguments))
        code = parts.authority.match_code(ticket.id)
        await ana.open_and_decide(await link(parts, ticket.id, APPROVE), "approve", code)
        await parts.authority.deliver(ticket.id)
        await parts.authority.report(ticket.id, Event.REPORT_UNKNOWN, {"reason": "The connector hung."})
        return ticket.id, who


async def test_an_unknown_ticket_says_who_can_settle_it_and_whom_a_message_has_reached(office: Office) -> None:
    names_settlers(office)
    ticket, fay = await left_unknown(office)
    shown = office.json("tickets", "show", ticket)
    assert shown["settlers"] == {"role": "finance", "people": [fay], "told": []}
    assert shown["settlement"] is None
    said = office.run("tickets", "show", ticket, width=200).said
    assert "With the role finance it can be settled by:" in said
    assert f"{fay}, whom no message has reached yet" in said
    async with opened(office) as parts:
        assert parts.delivery is not None
        await parts.delivery.deliver_due()
    assert office.json("tickets", "show", ticket)["settlers"]["told"] == [fay]
    said = office.run("tickets", "show", ticket, width=200).said
    assert f"{fay}, who was told" in said
    assert "asked to find out whether it happened; sent" in said
    assert "told that it may have been done; sent" in said


async def test_those_who_can_settle_it_are_sent_a_new_link(office: Office) -> None:
    names_settlers(office)
    ticket, fay = await left_unknown(office)
    assert office.json("tickets", "ask", ticket) == {"ticket": ticket, "role": "finance", "asked": [fay]}
    assert f"Asked: {fay}." in office.run("tickets", "ask", ticket).said
    kinds = [each["kind"] for each in office.json("notices", "list", "--ticket", ticket)]
    assert kinds.count(SETTLE) == 3


async def test_those_who_still_have_to_decide_are_sent_a_new_link(office: Office) -> None:
    configuration = config.load(office.folder / "counterfoil.toml")
    async with open_parts(configuration, transport=Mailbox()) as parts, browser(parts, office) as ana:
        arguments = {"account": "A-1", "amount": {"value": "20.00", "currency": "EUR"}}
        ticket = (await parts.authority.request(Requester("bot"), "pay", canonical(arguments))).id
        assert await parts.administration.call("tickets_ask", {"ticket": ticket}) == {
            "ticket": ticket, "role": None, "asked": [],
        }  # fmt: skip
        who = await enrolled(parts, ana, Invited("Ana", ("A-1",), (), ("ana@office.example",)))
    assert office.json("tickets", "ask", ticket)["asked"] == [who]
    kinds = [each["kind"] for each in office.json("notices", "list", "--ticket", ticket)]
    assert kinds.count(APPROVE) == 2
    office.json("suspend", "account:A-1")
    assert "Nobody who could decide it has a passkey" in office.run("tickets", "ask", ticket).said


async def test_where_nobody_may_settle_it_the_command_says_what_to_do(office: Office) -> None:
    ticket, _ = await left_unknown(office)
    assert office.json("tickets", "show", ticket)["settlers"] == {"role": None, "people": [], "told": []}
    assert "The desk names nobody who could settle it by hand" in office.run("tickets", "show", ticket, width=200).said
    refused = office.run("tickets", "ask", ticket)
    assert refused.code == 1
    assert "settled_by" in refused.said
    names_settlers(office, "legal")
    assert "Nobody with the role legal may settle it." in office.run("tickets", "show", ticket, width=200).said
    asked = office.run("tickets", "ask", ticket, width=200)
    assert asked.code == 0
    assert "Invite somebody" in asked.said


async def test_a_settled_ticket_says_who_established_what(office: Office) -> None:
    names_settlers(office)
    ticket, _ = await left_unknown(office)
    async with (
        opened(office) as parts,
        browser(parts, office) as gus,
    ):
        who = await enrolled(parts, gus, Invited("Gus", (), ("finance",), ("gus@office.example",)))
        await parts.authority.ask_settlers(ticket)
        [notice] = [found for found in await parts.store.notices(ticket) if found.recipient == who]
        await gus.open_and_settle((await parts.verification.make_link(notice)).url or "", "executed", "P-7")
    shown = office.json("tickets", "show", ticket)
    assert shown["settlers"] is None
    assert (shown["settlement"]["person"], shown["settlement"]["found"]) == (who, "executed")
    said = office.run("tickets", "show", ticket, width=200).said
    assert f"{who}, with the role finance, signed that it happened on" in said
    assert "(reference P-7)" in said
    refused = office.run("tickets", "ask", ticket)
    assert refused.code == 1
    assert "it is executed" in refused.said
    assert office.run("tickets", "ask", "cf_none").code == 1


def test_policy_check_and_doctor_say_who_settles_and_what_stays_unknown_for_good(office: Office) -> None:
    office.json("principals", "list")
    found = {check["check"]: check for check in office.run("doctor", "--json").json}
    assert found["settling"]["status"] == "warning"
    assert "pay" in found["settling"]["says"]
    assert office.json("policy", "check")["operations"][0]["settled_by"] is None
    assert (
        "An unknown outcome stays unknown for good. Give the operation a lookup" in office.run("policy", "check").said
    )
    names_settlers(office)
    found = {check["check"]: check for check in office.run("doctor", "--json").json}
    assert found["settling"]["status"] == "ok"
    assert office.json("policy", "check")["operations"][0]["settled_by"] == "finance"
    said = office.run("policy", "check").said
    assert "a person with the role finance" in said
    assert "stays unknown" not in said


def test_a_desk_that_names_a_role_it_does_not_have_is_refused(office: Office) -> None:
    names_settlers(office, "nobody")
    ran = office.run("tickets", "list")
    assert ran.code == 2
    assert "no role that the desk lists" in ran.said
