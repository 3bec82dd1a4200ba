"""What stands before the MCP library, over raw HTTP: who calls, and bytes that say one thing only."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterfoil.leaves import administered
from counterfoil_server.bearer import new_token
from server.conversation.world import MODERN, World

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
LEGACY = {"mcp-protocol-version": "2025-11-25"}
MESSAGE = (
    '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"signal","arguments":%s,"_meta":'
    + json.dumps(ENVELOPE)
    + "}}"
)
GOOD = MESSAGE % '{"flag":"N"}'


def headers(**more: str) -> dict[str, str]:
    return {
        "content-type": "application/json", "accept": "application/json, text/event-stream",
        "mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "signal",
    } | {name.replace("_", "-"): value for name, value in more.items()}  # fmt: skip


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


async def post(http: httpx2.AsyncClient, world: World, body: str | bytes, **more: str) -> httpx2.Response:
    sent = headers(authorization=f"Bearer {world.token}") | headers(**more)
    return await http.post(world.url, content=body, headers=sent)


async def test_a_message_in_strict_json_is_answered(world: World, http: httpx2.AsyncClient) -> None:
    answer = await post(http, world, GOOD)
    assert answer.status_code == 200
    assert answer.json()["result"]["structuredContent"] == {"result": "N x1 up at 1.0"}


# Who calls ------------------------------------------------------------------------------------------------------------


async def refused_alike(http: httpx2.AsyncClient, world: World, authorization: str) -> str:
    answer = await http.post(world.url, content=GOOD, headers=headers(authorization=authorization))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="counterfoil", error="invalid_token"'
    return answer.text


async def test_no_call_without_a_token(world: World, http: httpx2.AsyncClient) -> None:
    answer = await http.post(world.url, content=GOOD, headers=headers())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="counterfoil"'
    assert answer.json()["error"]["code"] == "unauthenticated"


async def test_a_database_that_cannot_be_read_is_told_as_such(
    world: World, http: httpx2.AsyncClient, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "counterfoil.db")) as database:
        database.execute("ALTER TABLE principal RENAME TO mislaid")
    answer = await post(http, world, GOOD)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_failed")


async def test_wrong_malformed_and_disabled_tokens_are_refused_alike(world: World, http: httpx2.AsyncClient) -> None:
    token = await world.principal("leaver")
    assert (await post(http, world, GOOD, authorization=f"Bearer {token}")).status_code == 200
    await world.store.disable_principal("leaver", administered("disable_principal", name="leaver"))
    world.conversation.forget_principals()
    texts = {
        await refused_alike(http, world, authorization)
        for authorization in (
            f"Bearer {token}", f"Bearer {new_token()}", "Bearer x", "Bearer ", f"Basic {world.token}", world.token,
            f"Bearer {world.token} ", f"Bearer {world.token}x", f"Bearer  {world.token}",
        )
        if authorization == authorization.strip()
    }  # fmt: skip
    assert len(texts) == 1


async def test_two_tokens_at_once_are_refused(world: World, http: httpx2.AsyncClient) -> None:
    both = [("authorization", f"Bearer {world.token}"), ("authorization", f"Bearer {await world.principal('b')}")]
    answer = await http.post(world.url, content=GOOD, headers=[*headers().items(), *both])
    assert answer.status_code == 401


async def test_a_token_in_the_url_is_no_token(world: World, http: httpx2.AsyncClient) -> None:
    answer = await http.post(f"{world.url}?access_token={world.token}", content=GOOD, headers=headers())
    assert answer.status_code == 401


async def test_who_calls_is_asked_before_what_is_said(world: World, http: httpx2.AsyncClient) -> None:
    answer = await http.post(world.url, content="{", headers=headers())
    assert answer.status_code == 401


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
async def test_there_are_no_streams_to_open_and_no_sessions_to_end(
    world: World, http: httpx2.AsyncClient, method: str, version: str
) -> None:
    sent = headers(authorization=f"Bearer {world.token}", mcp_protocol_version=version)
    answer = await http.request(method, world.url, headers=sent)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


# Where it comes from --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_a_page_of_another_site_reaches_nothing(
    world: World, http: httpx2.AsyncClient, version: str, sent: Mapping[str, str], status: int
) -> None:
    answer = await post(http, world, GOOD, mcp_protocol_version=version, **sent)
    assert answer.status_code == status


async def test_our_own_page_may_call(world: World, http: httpx2.AsyncClient) -> None:
    assert (await post(http, world, GOOD, origin=f"http://127.0.0.1:{world.port}")).status_code == 200


# What it says ---------------------------------------------------------------------------------------------------------


NESTED = MESSAGE % ('{"flag":' + "[" * 29 + "]" * 29 + "}")
TOO_DEEP = MESSAGE % ('{"flag":' + "[" * 30 + "]" * 30 + "}")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ('{"flag":"a","flag":"b"}', 'The key "flag" stands twice in one object.'),
        ('{"flag":"a","fl\\u0061g":"b"}', 'The key "flag" stands twice in one object.'),
        ('{"flag":"a","speed":NaN}', "NaN is not JSON."),
        ('{"flag":"a","speed":Infinity}', "Infinity is not JSON."),
        ('{"flag":"a","speed":-Infinity}', "-Infinity is not JSON."),
        ('{"flag":"a","speed":1e400}', "A number is larger than 2^53 - 1."),
        ('{"flag":"a","times":9007199254740992}', "An integer is larger than 2^53 - 1."),
        ('{"flag":"a","times":-9007199254740992}', "An integer is larger than 2^53 - 1."),
        ('{"flag":"a","times":' + "9" * 5000 + "}", "An integer is larger than 2^53 - 1."),
        ('{"flag":"\\ud83d"}', "A string holds half of a surrogate pair."),
        ('{"fl\\udc00ag":"x"}', "A string holds half of a surrogate pair."),
    ],
)
@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
async def test_json_with_two_meanings_is_refused_and_its_request_answered(
    world: World, http: httpx2.AsyncClient, arguments: str, why: str, version: str
) -> None:
    answer = await post(http, world, MESSAGE % arguments, mcp_protocol_version=version)
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"]["code"] == -32700
    assert body["error"]["data"]["happened"] == why
    # Of integers with thousands of digits not even the id is read.
    assert body["id"] == (None if "9" * 5000 in arguments else 7)


async def test_32_levels_are_enough_and_33_are_refused(world: World, http: httpx2.AsyncClient) -> None:
    fits = await post(http, world, NESTED)
    assert fits.status_code == 200
    assert "flag: input should be a valid string" in fits.json()["result"]["content"][0]["text"]
    refused = await post(http, world, TOO_DEEP)
    assert refused.json()["error"]["data"]["happened"] == "The message is nested deeper than 32 levels."
    bomb = await post(http, world, "[" * 100_000)
    assert bomb.status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"not json", GOOD.encode("utf-16"), b"\xef\xbb\xbf" + GOOD.encode(), GOOD.encode() + b"x",
        GOOD.encode().replace(b'"N"', b'"\xff"'), GOOD.replace("{", "{//\n", 1).encode(), GOOD.encode() + b"\x00",
    ],
)  # fmt: skip
async def test_what_is_no_utf_8_json_is_refused(world: World, http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await post(http, world, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32700


@pytest.mark.parametrize("body", [f"[{GOOD}]", f"[{GOOD},{GOOD}]", "[]", '"text"', "7", "null", "true"])
@pytest.mark.parametrize("version", [MODERN, "2025-06-18"])
async def test_a_body_is_one_message_and_no_batch(
    world: World, http: httpx2.AsyncClient, body: str, version: str
) -> None:
    answer = await post(http, world, body, mcp_protocol_version=version)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32600
    assert answer.json()["id"] is None


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"jsonrpc":"1.0","id":7,"method":"ping"}',
        '{"jsonrpc":"2.0","id":7}',
        '{"jsonrpc":"2.0","id":7,"method":5}',
        '{"jsonrpc":"2.0","id":true,"method":"ping"}',
        '{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}',
        '{"jsonrpc":"2.0","id":7,"result":5}',
    ],
)
@pytest.mark.parametrize("version", [MODERN, "2025-06-18"])
async def test_an_object_that_is_no_message_is_refused_in_our_own_words(
    world: World, http: httpx2.AsyncClient, body: str, version: str
) -> None:
    answer = await post(http, world, body, mcp_protocol_version=version)
    assert answer.status_code == 400
    assert answer.json()["id"] == (7 if '"id":7' in body else None)
    error = answer.json()["error"]
    assert (error["code"], error["data"]["code"]) == (-32600, "bad_json")
    assert error["message"].startswith("This is not one JSON-RPC message.")
    assert "pydantic" not in answer.text


@pytest.mark.parametrize(("sent", "echoed"), [('"abc"', "abc"), ('"' + "x" * 200 + '"', None), ("true", None)])
async def test_only_a_short_plain_id_is_echoed(
    world: World, http: httpx2.AsyncClient, sent: str, echoed: str | None
) -> None:
    answer = await post(http, world, f'{{"jsonrpc":"2.0","id":{sent},"method":"ping","params":{{"a":1,"a":2}}}}')
    assert answer.json()["id"] == echoed


async def test_a_body_over_256_kib_is_refused_before_it_is_sent(world: World) -> None:
    sent = headers(host=f"127.0.0.1:{world.port}", authorization=f"Bearer {world.token}") | {"content-length": "262145"}
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    lines = ["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 60)
    writer.close()
    assert b" 413 " in answer


async def test_a_body_over_256_kib_is_refused_without_a_length_too(world: World, http: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 65_536

    sent = headers(authorization=f"Bearer {world.token}")
    answer = await http.post(world.url, content=chunks(), headers=sent)
    assert answer.status_code == 413
    assert answer.json()["error"]["data"]["happened"] == "The message is longer than 256 KiB."


async def test_a_body_in_many_chunks_is_one_message(world: World, http: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(GOOD), 7):
            yield GOOD[start : start + 7].encode()

    answer = await http.post(world.url, content=chunks(), headers=headers(authorization=f"Bearer {world.token}"))
    assert answer.json()["result"]["structuredContent"] == {"result": "N x1 up at 1.0"}


async def test_clients_of_before_2025_are_served_as_well(world: World, http: httpx2.AsyncClient) -> None:
    params: dict[str, Any] = {
        "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"},
    }  # fmt: skip
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    answer = await http.post(world.url, content=body, headers=sent | {"authorization": f"bearer {world.token}"})
    assert answer.json()["result"]["protocolVersion"] == "2024-11-05"
    assert "mcp-session-id" not in answer.headers
