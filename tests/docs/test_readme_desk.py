"""The README's desk, as it stands there: an AI requests, the holder signs, it is executed; and the policy's limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from docs.served import PATIENCE, free_port, run, served
from docs.snippets import ROOT, write


async def test_the_readmes_desk_carries_out_what_its_holder_signs_and_nothing_else(tmp_path: Path) -> None:
    write(ROOT / "README.md", tmp_path)
    origin = f"http://localhost:{free_port()}"
    with (tmp_path / "counterfoil.toml").open("a") as settings:
        settings.write(f'public_url = "{origin}"\n')
    with served(tmp_path, "demo", "--stay") as demo:
        invited = await anyio.to_thread.run_sync(
            run, tmp_path, "people", "invite", "Ada Byron", "--email", "ada@example.com", "--account", "C-1"
        )
        headers = {"Authorization": f"Bearer {demo['token']}"}
        async with (
            PageClient(origin, SoftwareAuthenticator()) as ada,
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        ):
            await ada.enrol(invited["url"])
            async with Client(streamable_http_client(demo["mcp"], http_client=http)) as ai:
                asked = await call(ai, "request_credit", amount="20.00")
                assert asked["status"] == "pending"
                link = await waiting_link(origin, demo["operator_code"])
                await ada.open_and_decide(link, "approve", asked["match_code"])
                assert await final_status(ai, asked["ticket"]) == "executed"
                too_much = await call(ai, "request_credit", amount="30.01")
                assert too_much.keys() == asked.keys()
                shown = await anyio.to_thread.run_sync(run, tmp_path, "tickets", "show", too_much["ticket"])
                assert shown["requirements"] == []
                assert shown["refusal"] is not None


async def call(ai: Client, tool: str, *, amount: str) -> dict[str, Any]:
    money = {"value": amount, "currency": "EUR"}
    answer = await ai.call_tool(tool, {"account": "ada@example.com", "amount": money})
    assert isinstance(answer.structured_content, dict), answer
    return answer.structured_content


async def waiting_link(origin: str, operator_code: str) -> str:
    """The link of the newest message that asks for a decision."""
    headers = {"Authorization": f"Bearer {operator_code}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        with anyio.fail_after(PATIENCE):
            while True:
                messages = (await http.get(f"{origin}/mailbox/messages.json")).json()["messages"]
                links = [message["link"] for message in messages if message["link"] and "/l/" in message["link"]]
                if links:
                    return str(links[0])


async def final_status(ai: Client, ticket: str) -> str:
    """The ticket's status once it is no longer on its way."""
    with anyio.fail_after(PATIENCE):
        while True:
            answer = await ai.call_tool("ticket_status", {"ticket": ticket})
            assert isinstance(answer.structured_content, dict), answer
            if answer.structured_content["status"] not in ("pending", "approved", "executing"):
                return str(answer.structured_content["status"])
