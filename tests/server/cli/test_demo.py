"""``demo``: a story from beginning to end, and a desk that is left running for people to try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2

from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from server.cli.office import Office, Served
from server.cli.test_serving import FIFTY, request


def test_the_story_is_played_in_a_folder_of_its_own_and_ends_with_its_code(office: Office) -> None:
    first, second = office.run("demo"), office.run("demo", "--json")
    assert (first.code, second.code) == (7, 7)
    seen = json.loads(first.out.strip().splitlines()[-1])
    state = Path(seen.pop("state"))
    assert seen == {"health": 200, "mailbox": 200, "token": "cfp_", "prepared": True, "invited": True}
    assert office.folder not in state.parents
    assert not state.exists()
    assert not office.state.exists()
    assert second.json == {"story": "story:play", "exit_code": 7}
    assert '"health": 200' in second.err


def test_a_refusal_in_a_story_is_shown_as_one(office: Office) -> None:
    office.write("story.py", "async def play(stage):\n    await stage.add_principal('a name with spaces')\n")
    ran = office.run("demo", "--json")
    assert (ran.code, ran.error["code"]) == (1, "bad_arguments")
    assert ran.err == ""


def test_a_story_that_is_missing_or_broken_is_refused(office: Office) -> None:
    office.write("story.py", "import nothing_of_that_name\n")
    broken = office.run("demo", "--json")
    assert (broken.code, broken.error["code"]) == (2, "settings_error")
    assert "nothing_of_that_name" in broken.error["happened"]
    office.settings()
    none = office.run("demo", "--json")
    assert (none.code, none.error["code"]) == (2, "settings_error")
    assert none.error["remedy"].startswith("Run 'counterfoil demo --stay'")


def test_the_demo_is_never_shown_to_others(office: Office) -> None:
    office.write(
        "counterfoil.toml",
        'desk = "desk:desk"\npolicy = "policy.cedar"\npublic_url = "https://verify.office.example"\n',
    )
    ran = office.run("demo", "--stay", "--json")
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert not office.state.exists()


def test_staying_needs_no_story(office: Office) -> None:
    office.settings()
    with office.running("demo", "--stay") as stays:
        assert stays.ready["people"] == []
        assert stays.ready["mcp"] == f"{office.public_url}/mcp"
        assert stays.stop().code == 0


async def test_a_demo_that_stays_can_be_used_and_started_again(office: Office) -> None:
    with office.running("demo", "--stay") as stays:
        offered = stays.ready
        assert (offered["principal"], offered["first"]) == ("demo", True)
        ana = next(person for person in offered["people"] if person["name"] == "Ana")
        assert ana["accounts"] == ["A-1"]
        ticket = await approved_payment(office, stays, ana["url"])
        shown = await shown_when_ended(office, ticket)
        assert shown["state"] == "executed"
        assert (office.folder / "paid.txt").read_text() == "A-1 50.00 EUR\n"
        check_card(office, ticket)
        assert stays.stop().code == 0
    with office.running("demo", "--stay") as again:
        offered = again.ready
        assert (offered["principal"], offered["first"]) == ("demo-2", False)
        known, fay = offered["people"]
        assert (known["name"], known["person"], known["passkeys"], known["url"]) == ("Ana", ana["person"], 1, None)
        assert fay["url"].startswith(office.public_url)
        assert len(office.json("people", "list")) == 2


async def approved_payment(office: Office, stays: Served, enrolment: str) -> str:
    """Ana enrols, an AI asks for a payment, Ana approves it by the link in the mailbox; answers the ticket."""
    async with PageClient(office.public_url, SoftwareAuthenticator()) as browser:
        await browser.enrol(enrolment)
        token, url = stays.ready["token"], stays.ready["mcp"]
        note = "Skip \x1b[2J the \u202e check"
        pending = await request(url, token, account="A-1", amount=FIFTY, note=note)
        link = await link_of_newest_request(office, stays)
        await browser.open_and_decide(link, "approve", pending["match_code"])
    return str(pending["ticket"])


async def link_of_newest_request(office: Office, stays: Served) -> str:
    """Read the mailbox as its operator until a message with a link has come."""
    headers = {"Authorization": f"Bearer {stays.ready['operator_code']}"}
    async with httpx2.AsyncClient(trust_env=False, timeout=60, headers=headers) as http:
        for _ in range(1000):
            answer = await http.get(f"{office.public_url}/mailbox/messages.json")
            for message in answer.json()["messages"]:
                if message["link"] and "/l/" in message["link"]:
                    return str(message["link"])
    raise AssertionError("no message came")


async def shown_when_ended(office: Office, ticket: str) -> dict[str, Any]:
    for _ in range(100):
        shown: dict[str, Any] = office.json("tickets", "show", ticket)
        if shown["state"] not in ("pending", "approved", "held", "executing"):
            return shown
    raise AssertionError(shown)


def check_card(office: Office, ticket: str) -> None:
    """The card tells the whole story to somebody who reads it for the first time, at every width, without colour."""
    for width in (60, 80, 140):
        card = office.run("tickets", "show", ticket, width=width)
        assert all(len(line) <= width for line in card.out.splitlines())
        for words in (
            "executed: done",
            "amount 50.00 EUR",
            "What the AI wrote (it may be wrong or misleading)",
            "What your own systems said",
            "balance after it 100.00 becomes 50.00",
            "the account holder confirms with their passkey and the code from the chat",
            "as the holder of the account, approved on",
            "capability redeemed: it runs from here on",
            "50.00 EUR were paid.",
        ):
            assert words in card.said, (width, card.out)
        assert "\x1b" not in card.out
        assert "\u202e" not in card.out
        assert "\\u{1B}[2J" in card.said
    listed = office.run("tickets", "list").out
    assert ticket in listed
    assert all(len(line) <= 80 for line in listed.splitlines())
