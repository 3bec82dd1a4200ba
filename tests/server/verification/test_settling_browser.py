"""The page for unknown outcomes in real Chromium, with a virtual authenticator, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from counterfoil.tickets import Ticket
from server.verification.browser import PHONE, Person, chromium
from server.verification.test_browser import LONG_NOTE, complaints, press_until
from server.verification.world import ANA, FAY, World, listening_socket, open_world, serving

LONG_WORD = "Donaudampfschifffahrtsgesellschaft" * 4


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The bookshop behind a real server."""
    listening, origin = listening_socket()
    async with open_world(tmp_path, origin) as opened, serving(opened.app, listening):
        yield opened


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


async def unknown(world: World, person: Person, note: str = LONG_NOTE) -> Ticket:
    """A refund of unknown outcome; the person is Fay of finance and has a passkey."""
    await world.enrolled(ANA)
    await person.enrols(await world.invite(FAY, roles=["finance"]))
    return await world.unknown(note=note, order=LONG_WORD if note == LONG_WORD else "4711")


async def signs_in(world: World, person: Person, ticket: Ticket) -> None:
    await person.page.goto(await world.settling(ticket))
    await person.page.get_by_role("button", name="Sign in with your passkey").click()
    await person.page.get_by_role("heading", name="What did you find?").wait_for()


async def test_both_findings_wait_for_the_end_weigh_the_same_and_are_not_taken_for_one_another(
    world: World, browser: Browser
) -> None:
    person = await Person.sits_down(browser, PHONE)
    ticket = await unknown(world, person)
    await signs_in(world, person, ticket)
    page = person.page
    await expect(page.get_by_role("heading", level=1)).to_have_text("Did this happen?")
    one_line = "e => e.clientHeight < 2 * parseFloat(getComputedStyle(e).lineHeight) + 24"
    assert await page.locator("#key").evaluate(one_line)
    findings = [
        page.get_by_role("button", name=name, exact=True) for name in ("Yes, it happened", "No, nothing happened")
    ]
    for finding in findings:
        await expect(finding).to_be_disabled()
    assert await page.evaluate("document.activeElement === document.body")
    await page.locator("#end").scroll_into_view_if_needed()
    looks = []
    for finding in findings:
        await expect(finding).to_be_enabled()
        box = await finding.bounding_box()
        assert box
        style = "element => { const s = getComputedStyle(element); return [s.color, s.fontSize, s.fontWeight]; }"
        looks.append((box["width"], box["height"], box["x"], await finding.evaluate(style)))
    assert looks[0] == looks[1]
    assert looks[0][0] > PHONE["width"] / 2
    colours = [await finding.evaluate("element => getComputedStyle(element).backgroundColor") for finding in findings]
    assert len(set(colours)) == 2
    await findings[1].click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("It did not happen")
    assert await world.state(ticket) == "not_executed"
    assert complaints(person) == []


async def test_it_can_be_settled_with_the_keyboard(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    ticket = await unknown(world, person)
    await signs_in(world, person, ticket)
    await press_until(person, "Reference in your own system, if there is one")
    await person.page.keyboard.type("RF-2291")
    await person.page.keyboard.press("Enter")
    assert await world.state(ticket) == "unknown"
    await press_until(person, "Yes, it happened")
    await press_until(person, "No, nothing happened")
    await press_until(person, "I don’t know yet")
    await person.page.keyboard.press("Enter")
    await expect(person.page.get_by_role("heading", level=1)).to_have_text("Nothing was changed")
    await person.page.go_back()
    await person.page.locator("#end").scroll_into_view_if_needed()
    await press_until(person, "Yes, it happened")
    await person.page.keyboard.press("Space")
    await person.page.wait_for_url("**/settled")
    assert await world.state(ticket) == "executed"


async def test_what_goes_wrong_is_told_on_the_page_and_settles_nothing(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    ticket = await unknown(world, person)
    await signs_in(world, person, ticket)
    page, alert = person.page, person.page.get_by_role("alert")
    await page.locator("#end").scroll_into_view_if_needed()
    happened = page.get_by_role("button", name="Yes, it happened", exact=True)
    await page.get_by_label("Reference in your own system").fill("RF\u202e1")
    await happened.click()
    await expect(alert).to_contain_text("characters that cannot be seen")
    await page.get_by_label("Reference in your own system").fill("RF-1")
    await person.verifies(False)
    await happened.click()
    await expect(alert).to_contain_text("Nothing was signed.")
    assert await world.state(ticket) == "unknown"
    await person.verifies(True)
    await happened.click()
    await expect(page.get_by_text("Reference: RF-1")).to_be_visible()
    assert await world.state(ticket) == "executed"


async def test_whoever_comes_second_is_led_to_what_is_known(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    ticket = await unknown(world, person)
    fox = await world.enrolled("fox", roles=["finance"])
    await signs_in(world, person, ticket)
    await world.authority.ask_settlers(ticket.id)
    await fox.open_and_settle(await world.settling(ticket, "fox"), "executed")
    await person.page.locator("#end").scroll_into_view_if_needed()
    await person.page.get_by_role("button", name="No, nothing happened").click()
    await expect(person.page.get_by_role("heading", level=1)).to_have_text("It happened")
    await expect(person.page.get_by_role("status")).to_contain_text("A colleague has already established this.")


async def test_no_page_is_wider_than_a_small_screen(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser, {"width": 320, "height": 640})
    ticket = await unknown(world, person, LONG_WORD)
    page = person.page
    await page.goto(await world.settling(ticket))
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await signs_in(world, person, ticket)
    for path in ("/settle", "/settle/later"):
        await page.goto(world.origin + path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await page.goto(f"{world.origin}/settle")
    await page.locator("#end").scroll_into_view_if_needed()
    await page.get_by_label("Reference in your own system").fill("W" * 200)
    await page.get_by_role("button", name="Yes, it happened", exact=True).click()
    await page.wait_for_url("**/settled")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
