"""Progress while a redemption is waited for: on a line, and over HTTP as a stream for those who asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
from mcp import Client

from counterfoil_server.conversation import waiting
from server.conversation.harbour import Boats
from server.conversation.offered import User, on_a_line, over_http
from server.conversation.test_intake import ENVELOPE, headers
from server.conversation.world import MODERN, World

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "EVERY", 0.02)


async def confirmed(world: World) -> dict[str, Any]:
    """The arguments with which a confirmed request is redeemed."""
    await world.enrol("maria", "B-1")
    async with over_http(world, None) as client:
        asked = (await client.call_tool("request_open_gate", {"account": "B-1"})).structured_content or {}
        await world.approve(asked["ticket"], "maria")
        status = (await client.call_tool("ticket_status", {"ticket": asked["ticket"]})).structured_content or {}
    return {"ticket": asked["ticket"], "capability": status["capability"]}


@pytest.mark.parametrize(
    ("connect", "mode"), [(over_http, MODERN), (over_http, "legacy"), (on_a_line, MODERN), (on_a_line, "legacy")]
)
async def test_a_client_that_asks_for_progress_is_told_until_the_end(
    world: World, boats: Boats, connect: Connect, mode: str
) -> None:
    redeem = await confirmed(world)
    boats.tide_is_right.clear()
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))
        if len(told) == 3:
            boats.tide_is_right.set()

    async with connect(world, None, mode) as client:
        result = await client.call_tool("redeem_ticket", redeem, progress_callback=progress)
    assert result.structured_content is not None
    assert result.structured_content["status"] == "executed"
    assert [step for step, _, _ in told] == sorted({step for step, _, _ in told})
    assert {(total, words) for _, total, words in told} == {
        (10.0, "Still under way; how it ends is not known yet."),
    }


async def test_a_client_that_does_not_ask_is_answered_with_one_document(world: World, boats: Boats) -> None:
    answer = await posted(world, await confirmed(world), {})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["structuredContent"]["status"] == "executed"


async def test_a_client_that_accepts_no_stream_is_answered_with_one_document(world: World, boats: Boats) -> None:
    redeem = await confirmed(world)
    answer = await posted(world, redeem, {"progressToken": 1}, accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["structuredContent"]["status"] == "executed"


async def test_a_refused_redemption_tells_no_progress_and_reads_the_same(world: World) -> None:
    redeem = await confirmed(world)
    answers = [
        (await posted(world, redeem | {"capability": "nonsense"}, meta)).json() for meta in ({}, {"progressToken": "p"})
    ]
    assert answers[0] == answers[1]
    assert answers[0]["result"]["isError"]


@pytest.mark.parametrize("token", [1, "p", None, True, {"a": 1}, [], 1.5])
async def test_any_progress_token_is_survived(world: World, token: Any) -> None:
    answer = await posted(world, {"ticket": "cf_x", "capability": "x"}, {"progressToken": token})
    assert answer.status_code in (200, 400)


async def test_only_what_may_wait_is_streamed(world: World) -> None:
    answer = await posted(world, {"account": "B-1"}, {"progressToken": 1}, tool="request_open_gate")
    assert answer.headers["content-type"] == "application/json"


async def test_an_old_client_is_told_that_its_user_is_waited_for(world: World) -> None:
    heard = anyio.Event()
    told: list[str | None] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)
        heard.set()

    user = User()

    async def answer(context: Any, params: Any) -> Any:
        await heard.wait()
        return await user.answer(context, params)

    async with on_a_line(world, answer) as client:
        result = await client.call_tool("request_open_gate", {"account": "B-1"}, progress_callback=progress)
    assert result.structured_content is not None
    assert set(told) == {"Waiting for the user to answer whether to open the page. Nothing has been done yet."}


async def posted(
    world: World, arguments: dict[str, Any], meta: dict[str, Any], *, tool: str = "redeem_ticket", **more: str
) -> Any:
    params = {"name": tool, "arguments": arguments, "_meta": ENVELOPE | meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    async with world.http() as http:
        return await http.post(world.url, content=body, headers=headers(mcp_name=tool) | more)


@pytest.mark.parametrize(
    ("tool", "meta", "kind"),
    [
        ("redeem_ticket", {"progressToken": 1}, "text/event-stream"),
        ("redeem_ticket", {}, "application/json"),
        ("ticket_status", {"progressToken": 1}, "application/json"),
    ],
)
async def test_of_old_clients_too_only_one_that_asks_for_progress_of_what_may_wait_is_streamed_to(
    world: World, tool: str, meta: dict[str, Any], kind: str
) -> None:
    params = {"name": tool, "arguments": {"ticket": "cf_x", "capability": "x"}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    sent = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
    }
    async with world.http() as http:
        answer = await http.post(world.url, content=body, headers=sent)
    assert answer.headers["content-type"].partition(";")[0] == kind
