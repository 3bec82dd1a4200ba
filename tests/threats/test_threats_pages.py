"""T15 to T22: what the person sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from playwright.async_api import Browser, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from story_set import MARIA, eur

from counterfoil.canonical import b64
from counterfoil.statements import Statement
from counterfoil.testing import Assistant
from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from server.verification.browser import PHONE
from server.verification.world import listening_socket
from server.verification.world import serving as serving_elsewhere
from stories.running_desk import MovableClock, RunningDesk, serving
from threats.siege import ASKED, Siege, invitation, settings_of

EVIL = "https://evil.example"
MARKUP = "<img src=x onerror=\"document.title='owned'\">"


def words(text: str) -> str:
    return " ".join(text.split())


async def test_T15_what_the_ai_wrote_stands_apart_and_changes_nothing_else(siege: Siege, browser: Browser) -> None:
    note = "Add 0.01 EUR of store credit</blockquote></aside><h1>Confirm your newsletter</h1> Approved by Northlight."
    await siege.credit("20.00", note=note)
    maria = await siege.at_chromium(browser, MARIA)
    article = maria.page.locator("article.request")
    await expect(article.locator("h1")).to_have_text("Add store credit")
    await expect(article.locator("h1")).to_have_count(1)
    said = maria.page.get_by_role("complementary", name="Written by the AI, not checked")
    await expect(said.locator("blockquote")).to_have_text(note)
    before = words(await article.inner_text()).partition("Written by the AI, not checked")[0]
    assert "Add store credit to a customer's account" in before
    assert "20.00 EUR" in before
    for claimed in ("newsletter", "0.01", "Approved by"):
        assert claimed not in before


async def test_T16_a_session_begins_under_a_new_cookie(siege: Siege) -> None:
    await siege.refund()
    link = await siege.link(MARIA)
    maria, thief = await siege.browser_of(MARIA), await siege.stranger()
    await maria.open(link)
    visit = maria.http.cookies["counterfoil-visit"]
    # A cookie that the thief planted in her browser before she signed in.
    planted = b64(bytes(range(32)))
    maria.http.cookies.set("counterfoil", planted, domain="localhost.local", path="/")
    await maria.sign_in(link)
    await maria.read()
    first = maria.http.cookies["counterfoil"]
    await maria.sign_in(link)
    await maria.read()
    for known in (visit, planted, first):
        thief.http.cookies.set("counterfoil", known, domain="localhost.local", path="/")
        assert (await thief.http.get("/decide")).status_code == 404


async def test_T17_only_our_own_page_in_the_same_browser_changes_anything(siege: Siege) -> None:
    asked = await siege.refund()
    await siege.opens(MARIA)
    maria = await siege.browser_of(MARIA)
    genuine = maria.script_headers
    decline = b'{"decision":"decline","code":null,"disown":true}'
    for changed in (
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
        {"origin": EVIL},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null", "sec-fetch-site": "none"},
        {"x-form-token": ""},
        {"x-form-token": b64(bytes(32))},
        {"content-type": "text/plain"},
    ):
        answer = await maria.http.post("/decide/statement", content=decline, headers=genuine | changed)
        assert answer.status_code in (403, 415), changed
    for missing in ("origin", "x-form-token"):
        headers = {name: value for name, value in genuine.items() if name != missing}
        assert (await maria.http.post("/decide/statement", content=decline, headers=headers)).status_code == 403
    assert await siege.state(asked) == "pending"
    assert (await maria.http.post("/decide/statement", content=decline, headers=genuine)).status_code == 200
    answers = await maria.http.get("/decide", headers={"origin": EVIL})
    assert "access-control-allow-origin" not in answers.headers


class BehindTLS(httpx2.AsyncBaseTransport):
    """What a reverse proxy does: TLS towards the browser, plain HTTP to the server. Keeps every Set-Cookie."""

    def __init__(self) -> None:
        self.inner = httpx2.AsyncHTTPTransport()
        self.cookies: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http")
        response = await self.inner.handle_async_request(request)
        self.cookies += response.headers.get_list("set-cookie")
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


@asynccontextmanager
async def over_tls(folder: Path) -> AsyncIterator[tuple[RunningDesk, PageClient, BehindTLS]]:
    """A desk whose pages are public over https, and Maria's browser."""
    import seed

    seed.create(folder / "shop.db")
    listener, origin = listening_socket()
    with listener:
        settings = settings_of(folder, int(origin.rpartition(":")[2]), scheme="https")
        async with serving(settings, listener, MovableClock()) as desk:
            proxy = BehindTLS()
            async with PageClient(settings.settings.public_url, SoftwareAuthenticator(), proxy) as maria:
                await maria.enrol(await invitation(desk, MARIA))
                yield desk, maria, proxy


async def test_T17_over_tls_cookies_belong_to_the_host_alone(tmp_path: Path) -> None:
    async with over_tls(tmp_path) as (desk, maria, proxy):
        added = await desk.parts.administration.call("principals_add", {"name": "ai"})
        behind = desk.base_url.replace("https:", "http:")
        async with Assistant.connected(f"{behind}/mcp", added["token"]) as assistant:
            await assistant.call("request_refund", account=MARIA.email, order_id="NL-26017", amount=eur("9.00"))
        await maria.sign_in((await desk.message(MARIA.email, ASKED)).link or "")
        await maria.read()
        assert maria.http.cookies["__Host-counterfoil"]
        for cookie in proxy.cookies:
            visit = cookie.startswith("__Host-counterfoil-visit=")
            assert cookie.startswith("__Host-counterfoil")
            assert "SameSite=lax" in cookie if visit else "SameSite=strict" in cookie
            assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
            assert "Domain" not in cookie
        answer = await maria.http.get("/decide")
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_T18_every_answer_is_framed_by_nobody_and_runs_no_foreign_script(siege: Siege, browser: Browser) -> None:
    await siege.refund(note="<script>document.title='owned'</script>")
    window = await siege.at_chromium(browser, MARIA)
    client = await siege.stranger()
    link = (await siege.posted(MARIA.email))[0].link or ""
    for method, path in (
        ("GET", link), ("GET", "/decide"), ("GET", "/done"), ("GET", "/enrol/x"), ("GET", "/assets/x/pages.css"),
        ("GET", "/settle"), ("POST", "/decide/statement"), ("PUT", "/decide"), ("GET", "/stop"),
    ):  # fmt: skip
        headers = (await client.http.request(method, path)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
    for page in (await client.http.get(link)).text, await window.page.content():
        for inline in ("<script>", " style=", " onclick="):
            assert inline not in page

    # What a hole in the escaping would let in does not run.
    await window.page.evaluate(
        "() => { const script = document.createElement('script');"
        " script.textContent = 'window.owned = 1'; document.body.append(script) }"
    )
    assert await window.page.evaluate("window.owned") is None

    async def trap(request: Request) -> HTMLResponse:
        return HTMLResponse(f'<!doctype html><iframe src="{link}" width="400" height="400"></iframe>')

    listening, origin = listening_socket()
    async with serving_elsewhere(Starlette(routes=[Route("/", trap)]), listening):
        await window.page.goto(origin)
        framed = window.page.frame_locator("iframe").get_by_role("button", name="Sign in with your passkey")
        await expect(framed).to_have_count(0)
    assert any("frame-ancestors" in text for text in window.complaints)


async def test_T19_nobody_is_led_to_an_address_that_somebody_sent(siege: Siege) -> None:
    asked = await siege.refund()
    maria = await siege.browser_of(MARIA)
    await maria.open_and_decide(await siege.link(MARIA), "approve", asked["match_code"])
    await siege.desk.state_becomes(asked["ticket"], "executed")
    sent = {name: EVIL for name in ("next", "location", "return_to", "url", "redirect_uri")}
    headers = {"referer": f"{EVIL}/", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    found = []
    for path in (
        "/decide",
        "/done",
        "/settle",
        "/decide/",
        "/",
        "//evil.example",
        "/%2f%2fevil.example/",
        "/@evil.example",
    ):
        answer = await maria.http.get(siege.desk.base_url + path, params=sent, headers=headers)
        found.append(urlsplit(answer.headers.get("location", "")))
    assert found[0].path == "/done"
    assert {target.netloc for target in found} <= {"", urlsplit(siege.desk.base_url).netloc}
    assert not [target for target in found if target.path.startswith("//")]
    for host in ("evil.example", "localhost.evil.example", "evil.example:80"):
        assert (await maria.http.get("/decide", headers={"host": host})).status_code == 400


async def test_T20_arguments_are_shown_literally(siege: Siege, browser: Browser) -> None:
    await siege.credit(reason=f"Late {MARKUP} {{{{7*7}}}}", note=MARKUP)
    maria = await siege.at_chromium(browser, MARIA)
    reason = words(await maria.page.locator(".argument", has_text="Reason").inner_text())
    assert reason == f"Reason Late {MARKUP} {{{{7*7}}}}"
    await expect(maria.page.locator("blockquote")).to_have_text(MARKUP)
    assert await maria.page.locator("main img").count() == 0
    assert "owned" not in await maria.page.title()
    await maria.page.get_by_role("button", name="Decline").click()
    await maria.page.wait_for_url("**/done")

    # A refusal repeats what was asked for.
    await siege.refund(order=MARKUP)
    maria = await siege.at_chromium(browser, MARIA)
    await expect(maria.page.locator("main")).to_contain_text(MARKUP)
    assert await maria.page.locator("main img").count() == 0
    assert "owned" not in await maria.page.title()


async def test_T21_characters_that_hide_or_imitate_are_made_visible(siege: Siege, browser: Browser) -> None:
    hidden = "1\u202e00.5\u202c \u200bok\u0000\u2066\U000e0041\ufeff\u0378"
    await siege.credit(reason=hidden, note="a\u202eb")
    page = words(await (await siege.at_chromium(browser, MARIA)).page.locator("article.request").inner_text())
    shown = "1\\u{202E}00.5\\u{202C} \\u{200B}ok\\u{0}\\u{2066}\\u{E0041}\\u{FEFF}\\u{378}"
    assert f"Reason {shown}" in page
    assert "a\\u{202E}b" in page
    assert not set("\u202e\u202c\u200b\u2066\ufeff") & set(page)
    assert "Careful." not in page

    await siege.ai.call("request_recover_account", account=MARIA.email, new_email="m@\u0440aypal.example")
    page = words(await (await siege.at_chromium(browser, MARIA)).page.locator("article.request").inner_text())
    assert "Careful. This text mixes letters of different alphabets that can look alike." in page


async def test_T22_nothing_is_cut_and_nobody_approves_what_was_not_shown(siege: Siege, browser: Browser) -> None:
    long = {"reason": "Because " * 14 + "the end", "note": "Words and words. " * 28 + "The very last word."}
    asked = await siege.credit(**long)
    maria = await siege.at_chromium(browser, MARIA, PHONE)
    article = maria.page.locator("article.request")
    for text in long.values():
        assert text in words(await article.inner_text())
    approve = maria.page.get_by_role("button", name="Approve")
    await expect(approve).to_be_disabled()
    for part in await maria.page.locator("article.request dd, article.request blockquote").all():
        style = "(e) => { const s = getComputedStyle(e); return [s.textOverflow, s.webkitLineClamp] }"
        assert await part.evaluate(style) == ["clip", "none"]
        assert not await part.evaluate("(e) => e.scrollWidth > e.clientWidth + 1")
    await maria.page.locator("#end").scroll_into_view_if_needed()
    await expect(approve).to_be_enabled()
    await maria.page.get_by_label("Code from the chat").fill(asked["match_code"])
    await approve.click()
    await maria.page.wait_for_url("**/done")
    # What was signed names all that had to be shown, and nothing else passes for it.
    (stored,) = await siege.desk.parts.store.statements(asked["ticket"])
    statement = Statement.from_bytes(stored.statement)
    ticket = await siege.ticket(asked)
    assert statement.display == siege.desk.parts.authority.judge.display_digests(ticket.envelope)("holder")
