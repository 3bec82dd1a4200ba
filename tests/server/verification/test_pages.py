"""What holds for every address: headers, origins, tokens, and friendly refusals of everything malformed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from counterfoil.canonical import b64
from counterfoil.errors import SettingsError
from counterfoil_server.testing import PageClient, PageRefused
from counterfoil_server.verification import Verification
from counterfoil_server.verification.endpoints import Endpoint
from counterfoil_server.verification.rendering import Pages
from server.verification.world import ANA, World, open_world

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def addresses(world: World, method: str) -> list[str]:
    """Every address that answers ``method``, with an unknown secret where it has one."""
    unknown = b64(b"\x07" * 32)
    return [
        route.path.replace("{secret}", unknown).replace("{version}", "0").replace("{name}", "pages.css")
        for route in world.verification.routes()
        if isinstance(route, Route) and isinstance(route.endpoint, Endpoint) and method in route.endpoint.handlers
    ]


async def session(world: World) -> PageClient:
    """A holder who reads a request."""
    ana = await world.enrolled(ANA)
    await ana.sign_in(await world.link(await world.request()))
    await ana.read()
    return ana


def check_headers(response: httpx2.Response) -> None:
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "publickey-credentials-get=(self)" in response.headers["permissions-policy"]
    assert response.headers["x-frame-options"] == "DENY"


async def test_every_answer_carries_the_headers_and_is_stored_nowhere(world: World) -> None:
    ana = await session(world)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        for path in {*addresses(world, "GET"), *addresses(world, "POST")}:
            response = await ana.http.request(method, path)
            check_headers(response)
            assert response.headers["cache-control"] == "no-store"
            assert response.status_code < 500
            assert "strict-transport-security" not in response.headers


async def test_a_method_that_an_address_does_not_know_is_refused_with_those_it_knows(world: World) -> None:
    response = await world.client().http.put("/stop")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_over_tls_cookies_and_transport_are_bound_to_the_host(tmp_path: Path) -> None:
    async with open_world(tmp_path, "https://verify.example") as world:
        ana = await world.enrolled(ANA)
        url = await world.link(await world.request())
        landing = await ana.http.get(url)
        assert landing.headers["strict-transport-security"] == "max-age=31536000"
        visit = landing.headers["set-cookie"]
        assert visit.startswith("__Host-counterfoil-visit=")
        path = await ana.open(url)
        answer = ana.authenticator.get(await ana.post(f"{path}/challenge"), ana.origin)
        signed_in = await ana.http.post(f"{path}/sign-in", content=json.dumps(answer), headers=ana.script_headers)
        session_cookie = signed_in.headers.get_list("set-cookie")[0]
        assert session_cookie.startswith("__Host-counterfoil=")
        for cookie, site in ((visit, "lax"), (session_cookie, "strict")):
            attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert {"secure", "httponly", "path=/", f"samesite={site}"} <= attributes
            assert not any(attribute.startswith("domain") for attribute in attributes)


FOREIGN = [
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "http://localhost:9999", "sec-fetch-site": "same-site"},
    {"origin": "http://localhost:8700", "sec-fetch-site": "cross-site"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": "null"},
    {"sec-fetch-site": "same-origin"},
    {},
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
async def test_no_other_site_can_send_anything_with_a_persons_cookies(world: World, foreign: dict[str, str]) -> None:
    ana = await session(world)
    token = ana.page.token
    for path in addresses(world, "POST"):
        as_form = path in ("/stop", "/done/end") or path.startswith("/o/") or path.endswith("/again")
        body = "form_token=" + token if as_form else "{}"
        kind = "application/x-www-form-urlencoded" if as_form else "application/json"
        response = await ana.http.post(
            path, content=body, headers={**foreign, "content-type": kind, "x-form-token": token}
        )
        assert response.status_code == 403
        assert "did not come from our own page" in response.text


async def test_a_request_without_the_pages_own_token_is_refused(world: World) -> None:
    ana = await session(world)
    other = await session(world)
    for token in ("", "x", other.page.token):
        headers = {**ana.script_headers, "x-form-token": token}
        response = await ana.http.post("/decide/statement", content='{"decision":"decline"}', headers=headers)
        assert (response.status_code, response.json()["happened"]) == (403, "This page is out of date.")
    headers = {name: value for name, value in ana.script_headers.items() if name != "x-form-token"}
    assert (await ana.http.post("/decide/statement", content="{}", headers=headers)).status_code == 403
    url = await world.link(await world.request("31.00"))
    path = await ana.open(url)
    ana.page.token = other.page.token
    with pytest.raises(PageRefused, match="out of date"):
        await ana.post(f"{path}/challenge")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{}", 400),
        (b'{"decision": "approve", "decision": "decline"}', 400),
        (b'{"decision": "maybe"}', 400),
        (b'{"decision": 1}', 400),
        (b'{"decision": "decline", "disown": "yes"}', 400),
        (b'{"decision": "approve", "code": 123456}', 400),
        (b'{"decision": "approve", "code": "12345"}', 400),
        (b'{"decision": "approve", "code": "\\u0661\\u0662\\u0663\\u0664\\u0665\\u0666"}', 400),
        (b'{"decision": "decline", "seat": "holder"}', 400),
        (b"[" * 5000, 400),
        (b'{"decision": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
async def test_malformed_bodies_are_refused_in_words_and_count_for_nothing(
    world: World, body: bytes, status: int
) -> None:
    ana = await session(world)
    for path in ("/decide/statement", "/decide/signature"):
        response = await ana.http.post(path, content=body, headers=ana.script_headers)
        assert response.status_code == status
        assert {"code", "happened", "remedy"} <= set(response.json())
    ticket = (await world.store.tickets())[0]
    assert ticket.state.value == "pending"
    assert await world.store.wrong_code(ticket.id) == 1


@pytest.mark.parametrize(
    "change", [{"id": 7}, {"id": "a b"}, {"type": "password"}, {"response": None}, {"response": {}}]
)
async def test_malformed_answers_of_passkeys_are_refused_in_words(world: World, change: dict[str, object]) -> None:
    ana = await session(world)
    asked = await ana.post("/decide/statement", {"decision": "decline"})
    answer = {**ana.authenticator.get(asked, world.origin), **change}
    with pytest.raises(PageRefused) as refused:
        await ana.post("/decide/signature", answer)
    assert refused.value.status == 400


@pytest.mark.parametrize("client_data", ["!!", b64(b"{"), b64(b"[]"), b64(b'{"challenge": 7}'), b64(b"x" * 4000)])
async def test_unreadable_client_data_is_refused_in_words(world: World, client_data: str) -> None:
    ana = await session(world)
    asked = await ana.post("/decide/statement", {"decision": "decline"})
    answer = ana.authenticator.get(asked, world.origin)
    answer["response"]["clientDataJSON"] = client_data
    with pytest.raises(PageRefused) as refused:
        await ana.post("/decide/signature", answer)
    assert refused.value.status in (400, 403)


@pytest.mark.parametrize(
    "added", ["&code=A&code=B", "&code=%FF", "&" + "&".join(f"f{number}=1" for number in range(20)), "&code=\u00e9"]
)
async def test_a_form_that_no_page_of_ours_sends_is_refused(world: World, added: str) -> None:
    client = world.client()
    path = urlsplit(await world.invite(ANA)).path
    await client.open(path)
    headers = {
        "origin": "null", "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    body = f"form_token={client.page.token}{added}".encode()
    response = await client.http.post("/o/" + path.rpartition("/")[2], content=body, headers=headers)
    assert response.status_code == 400
    assert "form" in response.text


async def test_another_content_type_is_refused(world: World) -> None:
    ana = await session(world)
    headers = {**ana.script_headers, "content-type": "text/plain"}
    response = await ana.http.post("/decide/statement", content='{"decision":"decline"}', headers=headers)
    assert response.status_code == 415


async def test_without_a_session_every_page_says_what_to_do(world: World) -> None:
    client = world.client()
    for path in ("/decide", "/done", "/stop"):
        response = await client.http.get(path)
        assert response.status_code == 404
        assert "Open the newest link from your messages" in response.text


async def test_names_that_an_organisation_chose_are_escaped_too() -> None:
    page = bytes(Pages("Books <b>& more</b>").page("enrolled.html").body).decode()
    assert "Books &lt;b&gt;&amp; more&lt;/b&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize("speaks_json", [False, True])
async def test_an_error_that_nobody_foresaw_reveals_nothing(world: World, speaks_json: bool) -> None:
    async def fails(request: Request) -> Response:
        raise RuntimeError("the account is A-1")

    endpoint = Endpoint(Pages("Harbour Books"), False, {"GET": fails}, speaks_json)
    transport = httpx2.ASGITransport(app=Starlette(routes=[Route("/", endpoint)]))
    async with httpx2.AsyncClient(transport=transport, base_url=world.origin) as client:
        response = await client.get("/")
    check_headers(response)
    assert response.status_code == 503
    assert "nothing was changed" in response.text
    assert "A-1" not in response.text


async def test_a_database_that_fails_is_told_in_words_for_people(world: World, tmp_path: Path) -> None:
    ana = await session(world)
    await world.store.close()
    response = await ana.http.get("/decide")
    assert response.status_code == 503
    assert "Wait a moment" in response.text
    for told in ("counterfoil doctor", "Traceback", str(tmp_path)):
        assert told not in response.text


async def test_pages_hold_no_script_or_style_of_their_own_and_name_no_other_site(world: World) -> None:
    ana = await session(world)
    pages = [ana.page.html]
    for path in (
        await world.link(await world.request("32.00")),
        await world.invite("bo"),
        "/done",
        "/enrolled",
        "/stop",
    ):
        pages.append((await ana.http.get(path)).text)
    for page in pages:
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?:", page)
        for address in re.findall(r'(?:src|href)="([^"]*)"', page):
            assert address.startswith(("/assets/", "#")) or address == "/decide"


async def test_files_are_kept_for_good_under_their_digest_and_nothing_else_is_served(world: World) -> None:
    client = world.client()
    await client.open(await world.invite(ANA))
    (style,) = re.findall(r'href="(/assets/\w+)/pages.css"', client.page.html)
    response = await client.http.get(f"{style}/pages.css")
    check_headers(response)
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-type"].startswith("text/css")
    assert (await client.http.get(f"{style}/enrol.js")).headers["content-type"].startswith("text/javascript")
    for path in (f"{style}/nothing.css", "/assets/0/pages.css", f"{style}/..%2Froutes.py", f"{style}/%2e%2e"):
        assert (await client.http.get(path)).status_code == 404


@pytest.mark.parametrize(
    "public_url",
    [
        "http://localhost:8701",
        "https://localhost:8700",
        "http://127.0.0.1:8700",
        "http://localhost:8700/x",
        "localhost",
    ],
)
async def test_a_public_url_where_passkeys_would_not_work_is_refused(world: World, public_url: str) -> None:
    with pytest.raises(SettingsError):
        Verification(world.authority, public_url=public_url, organisation="Harbour Books")
