"""The demo's mailbox as pages."""

from __future__ import annotations

import re

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from counterfoil_server.notices.mailbox_page import MAX_FORM, MAX_SESSIONS, SESSION, TRIES, mailbox_routes
from counterfoil_server.notices.messages import Message, compose
from counterfoil_server.notices.transports import Mailbox

CODE = "KX4T-92MD-77QP"
AT = 1_790_000_000
HERE = "http://localhost:8700"


class Demo:
    """A demo's mailbox and its pages."""

    def __init__(self) -> None:
        self.time = float(AT)
        self.mailbox = Mailbox(lambda: self.time)
        self.app = Starlette(
            routes=mailbox_routes(
                self.mailbox, operator_code=CODE, organisation="Acme <b>support</b>", clock=lambda: self.time
            )
        )

    def browser(self, origin: str = HERE) -> TestClient:
        return TestClient(self.app, base_url=origin, follow_redirects=False)

    def operator(self) -> TestClient:
        browser = self.browser()
        assert browser.post("/mailbox", data={"code": CODE}).status_code == 303
        return browser


@pytest.fixture
def demo() -> Demo:
    return Demo()


def request_of(title: str = "Refund an order", link: str = f"{HERE}/l/s3cret-1") -> Message:
    return compose("approve", organisation="Acme", title=title, at=AT, link=link)


async def test_nothing_is_shown_without_the_code(demo: Demo) -> None:
    await demo.mailbox.send(request_of(), "ada@customer.example")
    page = demo.browser().get("/mailbox")
    assert page.status_code == 200
    assert "Operator code" in page.text
    assert "DEMO ONLY" in page.text
    for secret in ("ada@customer.example", "Refund", "s3cret", CODE):
        assert secret not in page.text


async def test_the_code_opens_the_messages_newest_first_by_recipient(demo: Demo) -> None:
    await demo.mailbox.send(request_of("First"), "ada@customer.example")
    await demo.mailbox.send(request_of("Second"), "bob@customer.example")
    await demo.mailbox.send(request_of("Third"), "ada@customer.example")
    page = demo.operator().get("/mailbox").text
    assert "DEMO ONLY" in page
    order = re.findall(r"<h2.*?</span> (\S+?)</h2>|<h3[^>]*>.*?&#34;(\w+)&#34;", page)
    assert order == [
        ("ada@customer.example", ""), ("", "Third"), ("", "First"), ("bob@customer.example", ""), ("", "Second"),
    ]  # fmt: skip
    assert f'<a href="{HERE}/l/s3cret-1">{HERE}/l/s3cret-1</a>' in page
    assert "3 messages" in page


def test_the_session_cannot_be_read_by_scripts_nor_sent_by_other_sites(demo: Demo) -> None:
    answer = demo.browser().post("/mailbox", data={"code": f" {CODE} "})
    cookie = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/mailbox"
    assert {"HttpOnly", "SameSite=strict", "Path=/mailbox"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert CODE not in cookie
    other = demo.browser().post("/mailbox", data={"code": CODE}).headers["set-cookie"]
    assert cookie.split(";")[0] != other.split(";")[0]
    assert "Secure" in demo.browser("https://demo.test").post("/mailbox", data={"code": CODE}).headers["set-cookie"]


async def test_a_session_ends(demo: Demo) -> None:
    await demo.mailbox.send(request_of(), "ada@customer.example")
    operator = demo.operator()
    operator.cookies.set("counterfoil-demo-mailbox", secret := operator.cookies["counterfoil-demo-mailbox"])
    demo.time += SESSION - 1
    cookie = {"Cookie": f"counterfoil-demo-mailbox={secret}"}
    assert "ada@" in demo.browser().get("/mailbox", headers=cookie).text
    demo.time += 1
    assert "ada@" not in demo.browser().get("/mailbox", headers=cookie).text


def test_the_oldest_of_too_many_sessions_is_dropped(demo: Demo) -> None:
    first, second = demo.operator(), demo.operator()
    for _ in range(MAX_SESSIONS - 1):
        demo.operator()
    assert "Operator code" in first.get("/mailbox").text
    assert "newest first" in second.get("/mailbox").text


def test_a_made_up_session_opens_nothing(demo: Demo) -> None:
    page = demo.browser().get("/mailbox", headers={"Cookie": "counterfoil-demo-mailbox=guessed"})
    assert "Operator code" in page.text


def test_five_wrong_codes_lock_the_page_for_everybody_even_for_the_right_code(demo: Demo) -> None:
    operator = demo.operator()
    for left in range(TRIES - 1, 0, -1):
        wrong = demo.browser().post("/mailbox", data={"code": "guess"})
        assert wrong.status_code == 403
        assert f"{left} {'try is' if left == 1 else 'tries are'} left" in wrong.text
    assert "is locked" in demo.browser().post("/mailbox", data={"code": "guess"}).text
    refused = demo.browser().post("/mailbox", data={"code": CODE})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers
    assert "is locked" in demo.browser().get("/mailbox").text
    assert listing(demo, CODE).status_code == 401
    assert "newest first" in operator.get("/mailbox").text


def test_wrong_codes_for_the_listing_count_too(demo: Demo) -> None:
    for _ in range(TRIES):
        assert listing(demo, "guess").status_code == 401
    assert listing(demo, CODE).status_code == 401
    assert "is locked" in demo.browser().get("/mailbox").text


def test_asking_without_a_code_uses_up_no_try(demo: Demo) -> None:
    for _ in range(TRIES + 1):
        assert demo.browser().get("/mailbox/messages.json").status_code == 401
        assert demo.browser().get("/mailbox").status_code == 200
    assert listing(demo, CODE).status_code == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_site_can_neither_sign_in_nor_use_up_tries(demo: Demo, headers: dict[str, str]) -> None:
    for _ in range(TRIES + 1):
        answer = demo.browser().post("/mailbox", data={"code": CODE}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        demo.browser().post("/mailbox", data={"code": "guess"}, headers=headers)
    same = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    assert demo.browser().post("/mailbox", data={"code": CODE}, headers=same).status_code == 303


@pytest.mark.parametrize(
    "body", [b"", b"code", b"x=1", b"\xff\xfe", f"code={CODE}&x={'a' * MAX_FORM}".encode(), b"a&b=1&c=2&d=3&e=4"]
)
def test_a_form_that_is_none_is_a_wrong_code(demo: Demo, body: bytes) -> None:
    assert demo.browser().post("/mailbox", content=body).status_code == 403


async def test_links_to_other_places_cannot_be_followed(demo: Demo) -> None:
    for link in ("https://evil.example/l/1", "http://localhost:9999/l/2", "https://localhost:8700/l/3"):
        await demo.mailbox.send(request_of(link=link), "ada@customer.example")
    page = demo.operator().get("/mailbox").text
    assert set(re.findall(r'href="([^"]*)"', page)) == {"/mailbox", "/mailbox/style.css"}
    assert "https://evil.example/l/1" in page


async def test_everything_is_escaped(demo: Demo) -> None:
    attack = "<script>alert(1)</script>"
    await demo.mailbox.send(Message(attack, f"text {attack}", f"<p>{attack}</p>"), "ada@customer.example")
    page = demo.operator().get("/mailbox").text
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;") == 2


async def test_the_listing_gives_a_program_the_same_messages(demo: Demo) -> None:
    await demo.mailbox.send(request_of("First"), "ada@customer.example")
    objection = compose("object", organisation="Acme", title="Second", at=AT, link=f"{HERE}/o/2", code="7Q2M9XKA")
    await demo.mailbox.send(objection, "bob@customer.example")
    [second, first] = listing(demo, CODE).json()["messages"]
    assert (first["number"], first["to"], first["at"]) == (1, "ada@customer.example", AT)
    assert (first["link"], first["code"]) == (f"{HERE}/l/s3cret-1", None)
    assert (second["link"], second["code"], second["text"]) == (f"{HERE}/o/2", "7Q2M9XKA", objection.text)
    assert demo.operator().get("/mailbox/messages.json").json()["messages"] == [second, first]
    refused = demo.browser().get("/mailbox/messages.json")
    assert refused.json()["error"]["code"] == "unauthenticated"
    assert "ada@" not in refused.text


def test_every_answer_carries_the_strict_headers(demo: Demo) -> None:
    browser = demo.browser()
    answers = [
        browser.get("/mailbox"),
        browser.get("/mailbox/style.css"),
        browser.get("/mailbox/messages.json"),
        browser.post("/mailbox", data={"code": "guess"}),
        browser.post("/mailbox", data={"code": CODE}),
        browser.post("/mailbox", data={"code": CODE}, headers={"Sec-Fetch-Site": "cross-site"}),
        browser.get("/mailbox"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in " ".join(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "style=" not in answer.text
        assert "<script" not in answer.text
    assert answers[1].headers["content-type"].startswith("text/css")


def listing(demo: Demo, code: str) -> httpx.Response:
    return demo.browser().get("/mailbox/messages.json", headers={"Authorization": f"Bearer {code}"})
