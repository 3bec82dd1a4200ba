"""Offering a ticket's page: to clients that declare it, in both eras, and never to the cost of the plain answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client import ClientRequestContext

from counterfoil_server.conversation import elicitation
from counterfoil_server.conversation.elicitation import KEY
from server.conversation.offered import ACTIONS, Action, User, on_a_line, over_http
from server.conversation.test_intake import ENVELOPE, headers
from server.conversation.world import ERAS, MODERN, World, call

ASKED = {"account": "B-1"}
URL: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
FORM: dict[str, Any] = {"elicitation": {"form": {}}}

Connect = Callable[..., AbstractAsyncContextManager[Client]]


async def request(client: Client, **arguments: Any) -> types.CallToolResult:
    return await client.call_tool("request_open_gate", {**ASKED, **arguments})


async def tickets(world: World) -> list[str]:
    return [ticket.id for ticket in await world.store.tickets(limit=100)]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("connect", "mode"), [(over_http, MODERN), (on_a_line, MODERN), (on_a_line, "legacy")])
async def test_whatever_the_user_answers_one_ticket_is_made_and_the_plain_answer_follows(
    world: World, connect: Connect, mode: str, action: Action
) -> None:
    user = User(action)
    async with connect(world, user.answer, mode) as client:
        result = await request(client)
    async with world.client() as session:
        plain = await call(session, "request_open_gate", **ASKED)
    assert result.structured_content == plain.structured_content
    assert result.content == plain.content
    assert await tickets(world) == [plain.structured_content["ticket"]]
    offer = user.offer
    assert offer.url.startswith("http://localhost:8700/t/")
    assert plain.structured_content["ticket"] not in offer.model_dump_json()
    assert "Nothing has been done yet." in offer.message
    assert plain.structured_content["match_code"] in offer.message
    assert "address on file" in offer.message
    for told in ("B-1", "Maria", "maria@boats.example"):
        assert told not in offer.model_dump_json()


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_declares_nothing_gets_the_plain_answer_at_once(world: World, era: str) -> None:
    async with world.client(era) as session:
        result = await session.call_tool("request_open_gate", ASKED, allow_input_required=True)
    assert isinstance(result, types.CallToolResult)
    assert result.structured_content is not None
    assert "http" not in result.model_dump_json()


async def posted(world: World, capabilities: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a modern client that declares ``capabilities`` is answered."""
    meta = ENVELOPE | {types.CLIENT_CAPABILITIES_META_KEY: capabilities}
    params = {"name": "request_open_gate", "arguments": ASKED, "_meta": meta, **more}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    async with world.http() as http:
        answer = await http.post(world.url, content=body, headers=headers(mcp_name="request_open_gate"))
    result: dict[str, Any] = answer.json()["result"]
    return result


async def test_a_client_that_declares_forms_only_gets_the_plain_answer_byte_for_byte(world: World) -> None:
    plain = await posted(world, {})
    assert plain["structuredContent"]["status"] == "pending"
    assert await posted(world, FORM) == plain
    assert await posted(world, {"elicitation": {}}) == plain


@pytest.mark.parametrize(
    "responses", [{}, {KEY: {"action": "accept"}}, {KEY: {"action": "decline"}}, {"other": {"action": "cancel"}}]
)
async def test_any_response_to_the_offer_brings_the_plain_answer(world: World, responses: dict[str, Any]) -> None:
    offered = await posted(world, URL)
    assert offered["resultType"] == "input_required"
    assert "requestState" not in offered
    assert list(offered["inputRequests"]) == [KEY]
    assert offered["inputRequests"][KEY]["params"].keys() == {"mode", "message", "url"}
    assert await posted(world, URL, inputResponses=responses) == await posted(world, {})
    assert await posted(world, URL) == offered
    assert len(await tickets(world)) == 1


async def test_an_old_client_over_http_gets_the_plain_answer_because_nothing_can_be_asked_of_it(world: World) -> None:
    user = User()
    async with over_http(world, user.answer, "legacy") as client:
        result = await request(client)
    assert result.structured_content is not None
    assert result.structured_content["status"] == "pending"
    assert user.asked == []


async def test_an_old_client_on_a_line_without_a_way_back_gets_the_plain_answer(world: World) -> None:
    user = User()
    async with on_a_line(world, user.answer, both_ways=False) as client:
        result = await request(client)
    assert result.structured_content is not None
    assert user.asked == []


async def test_an_old_client_that_refuses_the_offer_gets_the_plain_answer(world: World) -> None:
    async def refuse(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ErrorData:
        return types.ErrorData(code=types.INVALID_REQUEST, message="No windows here")

    async with on_a_line(world, refuse) as client:
        result = await request(client)
    assert result.structured_content is not None
    assert result.structured_content["status"] == "pending"


async def test_an_old_client_whose_user_never_answers_gets_the_plain_answer_after_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elicitation, "PATIENCE", 0.2)

    async def think(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    async with on_a_line(world, think) as client:
        result = await request(client)
    assert result.structured_content is not None
    assert result.structured_content["status"] == "pending"


async def test_nothing_is_offered_where_there_is_nothing_to_decide(world: World) -> None:
    user = User()
    async with over_http(world, user.answer) as client:
        first = await request(client)
        assert first.structured_content is not None
        assert len(user.asked) == 1
        await client.call_tool("ticket_status", {"ticket": first.structured_content["ticket"]})
        await client.call_tool("cancel_ticket", {"ticket": first.structured_content["ticket"]})
        again = await request(client)
        assert again.structured_content is not None
        assert again.structured_content["status"] == "cancelled"
        refused = await client.call_tool("request_open_gate", {"account": 7})
        assert refused.is_error
    assert len(user.asked) == 1


async def test_T54_the_offer_is_the_same_for_known_unknown_and_arrested(world: World) -> None:
    offers = set()
    for account in ("B-1", "maria@boats.example", "B-2", "B-404", "", "nobody"):
        user = User()
        async with over_http(world, user.answer) as client:
            result = await request(client, account=account)
        assert result.structured_content is not None
        text = user.offer.model_dump_json()
        for own in (result.structured_content["match_code"], user.offer.url):
            text = text.replace(own, "*")
        offers.add((text, len(user.offer.url)))
    assert len(offers) == 1
