"""The pages in real Chromium, with a virtual authenticator, by mouse and by keyboard, on a desk and on a phone."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from counterfoil.statements import APPROVE_NAMESPACE, DECLINE_NAMESPACE
from counterfoil_server import proving
from counterfoil_server.testing import PageClient
from server.verification.browser import DESKTOP, PHONE, Person, chromium
from server.verification.world import ANA, BO, FAY, World, listening_socket, open_world, serving

LONG_NOTE = "The customer says that the book came damaged and asks for the money back. " * 6


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


def complaints(person: Person) -> list[str]:
    """What the browser complained about, without its advice to allow RSA keys and without HTTP refusals."""
    expected = ("pubKeyCredParams", "the server responded with a status")
    return [text for text in person.complaints if not any(words in text for words in expected)]


async def test_a_person_enrols_approves_one_request_and_declines_another(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(ANA))
    ticket = await world.request()
    await person.reads(await world.link(ticket))
    code = world.authority.match_code(ticket.id)
    await person.page.get_by_label("Code from the chat").fill(f"{code[:3]} {code[3:]}")
    await person.page.get_by_role("button", name="Approve").click()
    await expect(person.page.get_by_role("status")).to_contain_text("Approved")
    assert await world.state(ticket) == "approved"

    other = await world.request("30.00")
    await person.reads(await world.link(other))
    await person.page.get_by_role("button", name="Decline").click()
    await expect(person.page.get_by_role("heading", level=1)).to_have_text("You declined")
    assert await world.state(other) == "declined"
    assert complaints(person) == []


async def test_T51_ssh_keygen_verifies_what_the_browser_signed(world: World, browser: Browser, tmp_path: Path) -> None:
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(ANA))
    tickets = {"Approve": await world.request(), "Decline": await world.request("30.00")}
    for choice, ticket in tickets.items():
        await person.reads(await world.link(ticket))
        if choice == "Approve":
            await person.page.get_by_label("Code from the chat").fill(world.authority.match_code(ticket.id))
        await person.page.get_by_role("button", name=choice).click()
        await person.page.wait_for_url("**/done")
        files = (await proving.openssh_files(world.authority, ticket.id))["files"]
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        verify = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-s", "statement-1.json.sig", "-n"]
        for namespace in (APPROVE_NAMESPACE, DECLINE_NAMESPACE):
            ran = await anyio.run_process(
                [*verify, namespace, "-I", ANA], input=files["statement-1.json"].encode(), cwd=tmp_path, check=False
            )
            good = (choice, namespace) == ("Approve", APPROVE_NAMESPACE)
            assert (ran.returncode == 0) == good, ran.stdout + ran.stderr


async def test_the_page_follows_the_request_by_itself_until_it_is_final(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(ANA))
    fay: PageClient = await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request("80.00")
    links = await world.links(ticket)
    await person.reads(links[ANA])
    await person.page.get_by_label("Code from the chat").fill(world.authority.match_code(ticket.id))
    await person.page.get_by_role("button", name="Approve").click()
    status = person.page.get_by_role("status")
    await expect(status).to_contain_text("Still needed: 1 person with the role finance approves.")
    await fay.open_and_decide(links[FAY], "decline")
    await expect(status).to_contain_text("Declined by somebody with the role finance.")


async def test_a_link_clicked_on_another_site_leads_through_sign_in_to_the_request(
    world: World, browser: Browser
) -> None:
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(ANA))
    url = await world.link(await world.request())

    async def webmail(request: Request) -> HTMLResponse:
        return HTMLResponse(f'<!doctype html><a href="{url}">Decide</a>')

    listening, origin = listening_socket()
    async with serving(Starlette(routes=[Route("/mail", webmail)]), listening):
        for _ in range(2):
            await person.page.goto(origin.replace("localhost", "127.0.0.1") + "/mail")
            await person.page.get_by_role("link", name="Decide").click()
            await person.page.get_by_role("button", name="Sign in with your passkey").click()
            await expect(person.page.get_by_role("heading", name="Your decision")).to_be_visible()
    cookies = {cookie.get("name"): cookie for cookie in await person.context.cookies()}
    assert cookies["counterfoil"].get("sameSite") == "Strict"
    assert cookies["counterfoil"].get("httpOnly")


async def test_approve_waits_until_the_end_was_shown_and_neither_choice_stands_out(
    world: World, browser: Browser
) -> None:
    person = await Person.sits_down(browser, PHONE)
    await person.enrols(await world.invite(ANA))
    ticket = await world.request(note=LONG_NOTE)
    await person.reads(await world.link(ticket))
    page = person.page
    approve, decline = page.get_by_role("button", name="Approve"), page.get_by_role("button", name="Decline")
    await expect(approve).to_be_disabled()
    await expect(decline).to_be_enabled()
    assert await page.evaluate("document.activeElement === document.body")
    await page.locator("#end").scroll_into_view_if_needed()
    await expect(approve).to_be_enabled()
    boxes = [await decline.bounding_box(), await approve.bounding_box()]
    assert boxes[0]
    assert boxes[1]
    assert (boxes[0]["width"], boxes[0]["height"], boxes[0]["y"]) == (
        boxes[1]["width"], boxes[1]["height"], boxes[1]["y"]
    )  # fmt: skip
    assert await world.state(ticket) == "pending"


async def test_on_a_phone_what_is_asked_for_is_seen_before_who_asked_and_when(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser, {"width": 390, "height": 844})
    await person.enrols(await world.invite(ANA))
    await person.reads(await world.link(await world.request()))
    asked = await person.page.locator(".argument").first.bounding_box()
    who = await person.page.locator(".who").bounding_box()
    assert asked
    assert who
    assert asked["y"] + asked["height"] <= 844
    assert who["y"] > asked["y"]
    columns = await person.page.locator(".who dt").evaluate_all("found => new Set(found.map(e => e.offsetLeft)).size")
    assert columns == 2


@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 640}, DESKTOP], ids=["360", "320", "1280"])
async def test_no_page_is_wider_than_its_screen(world: World, browser: Browser, viewport: dict[str, int]) -> None:
    person = await Person.sits_down(browser, {"width": viewport["width"], "height": viewport["height"]})
    invitation = await world.invite(ANA)
    ticket_word = "Donaudampfschifffahrtsgesellschaft" * 4
    for url in (invitation, None):
        if url is not None:
            await person.page.goto(url)
            assert await person.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            await person.enrols(url)
        else:
            ticket = await world.request(note=ticket_word, order=ticket_word)
            await person.reads(await world.link(ticket))
        assert await person.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


async def test_everything_can_be_done_with_the_keyboard(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    await person.page.goto(await world.invite(ANA))
    await press_until(person, "Make my passkey")
    await person.page.keyboard.press("Enter")
    await person.page.get_by_role("heading", name="Your passkey is ready").wait_for()
    ticket = await world.request(note=LONG_NOTE)
    await person.page.goto(await world.link(ticket))
    await press_until(person, "Sign in with your passkey")
    await person.page.keyboard.press("Space")
    await person.page.get_by_role("heading", name="Your decision").wait_for()
    await press_until(person, "Code from the chat")
    await person.page.keyboard.type(world.authority.match_code(ticket.id))
    await person.page.keyboard.press("Enter")
    assert await world.state(ticket) == "pending"
    await press_until(person, "Decline")
    await press_until(person, "Approve")
    await person.page.keyboard.press("Enter")
    await person.page.wait_for_url("**/done")
    assert await world.state(ticket) == "approved"


async def press_until(person: Person, name: str) -> None:
    """Tab on until the control of this name has the focus."""
    for _ in range(12):
        await person.page.keyboard.press("Tab")
        focused = await person.page.evaluate(
            "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
        )
        if focused == name:
            return
    raise AssertionError(f"The keyboard does not reach {name!r}.")


async def test_a_wrong_code_and_an_unverified_user_are_told_on_the_page(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(ANA))
    ticket = await world.request()
    await person.reads(await world.link(ticket))
    page, alert = person.page, person.page.get_by_role("alert")
    approve = page.get_by_role("button", name="Approve")
    await page.get_by_label("Code from the chat").fill("12345")
    await approve.click()
    await expect(alert).to_contain_text("The code has six digits.")
    await expect(page.get_by_label("Code from the chat")).to_be_focused()
    right = world.authority.match_code(ticket.id)
    await page.get_by_label("Code from the chat").fill(f"{(int(right) + 1) % 1_000_000:06d}")
    await approve.click()
    await expect(alert).to_contain_text("That is not the code from the chat.")
    await person.verifies(False)
    await page.get_by_label("Code from the chat").fill(right)
    await approve.click()
    await expect(alert).to_contain_text("Nothing was signed.")
    assert await world.state(ticket) == "pending"
    await person.verifies(True)
    await approve.click()
    await page.wait_for_url("**/done")
    assert await world.state(ticket) == "approved"


async def test_another_person_is_refused_and_sees_nothing_of_the_request(world: World, browser: Browser) -> None:
    await world.enrolled(ANA)
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(BO))
    await person.page.goto(await world.link(await world.request()))
    await person.page.get_by_role("button", name="Sign in with your passkey").click()
    await expect(person.page.get_by_role("alert")).to_contain_text("This link is not valid, or not for you.")
    assert "4711" not in await person.page.content()


async def test_a_device_that_holds_the_persons_passkey_makes_no_second_one(world: World, browser: Browser) -> None:
    person = await Person.sits_down(browser)
    await person.enrols(await world.invite(ANA))
    await person.page.goto(await world.invite(ANA))
    await person.page.get_by_role("button", name="Make my passkey").click()
    await expect(person.page.get_by_role("alert")).to_contain_text("This device already has your passkey.")


async def test_an_objection_works_without_any_script(world: World, browser: Browser) -> None:
    fay = await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request_address()
    await fay.open_and_decide(await world.link(ticket, FAY), "approve")
    url, code = await world.objection(ticket)
    context = await browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_label("Code from the message").fill(code)
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Stop it: this wasn’t me").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Stopped")
    assert await world.state(ticket) == "declined"
    assert await world.store.suspensions()


async def test_a_page_of_ours_is_framed_by_nobody(world: World, browser: Browser) -> None:
    url = await world.invite(ANA)

    async def trap(request: Request) -> HTMLResponse:
        return HTMLResponse(f'<!doctype html><iframe src="{url}" width="400" height="400"></iframe>')

    listening: socket.socket
    listening, origin = listening_socket()
    person = await Person.sits_down(browser)
    async with serving(Starlette(routes=[Route("/", trap)]), listening):
        await person.page.goto(origin)
        await expect(person.page.frame_locator("iframe").get_by_role("button", name="Make my passkey")).to_have_count(0)
    assert any("frame-ancestors" in text for text in person.complaints)
