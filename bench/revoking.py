"""How long it takes from revoking something until it is refused, in milliseconds: no ratio, and no goal.

In process: a capability is revoked by the authority's verb and then presented. Across processes: an agent is revoked
over the private socket of a server that runs by itself, as the command does it, and then asks for something over HTTP.
Both are counted from before the revocation is sent to after the refusal has come back; nothing is ever retried, because
a revocation that was answered holds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from bench.processes import free_port, running
from bench.redemption import PLENTY
from bench.serving import prepare
from capabilities.world import World, open_world
from counterfoil.errors import CapabilityRefused, Suspended
from counterfoil_server import admin_socket

IN_PROCESS, ACROSS = 300, 100
REFUND = {"account": "C-1001", "order_id": "NL-26017", "amount": {"value": "1.00", "currency": "EUR"}}


async def measure() -> dict[str, tuple[float, float]]:
    """p50 and p99 of each, in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "world").mkdir()
        async with open_world(Path(name) / "world", caps=PLENTY) as world:
            within = await in_process(world)
        (Path(name) / "served").mkdir()
        return {"in process": within, "across processes": await across_processes(Path(name) / "served")}


def spread(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    return statistics.median(seconds) * 1000, statistics.quantiles(seconds, n=100)[98] * 1000


async def in_process(world: World) -> tuple[float, float]:
    """``authority.revoke`` of a capability, then ``authority.redeem`` with it."""
    times: list[float] = []
    for number in range(IN_PROCESS):
        ticket = await world.approve(await world.request("send_gift", text=f"gift {number}"), "ann")
        capability = await world.authority.mint(ticket.id)
        begun = time.perf_counter()
        await world.authority.revoke(f"ticket:{ticket.id}", "measured")
        try:
            await world.authority.redeem(ticket.id, capability, presenter="agent")
        except (CapabilityRefused, Suspended):
            times.append(time.perf_counter() - begun)
        else:
            raise RuntimeError("a revoked ticket was redeemed")
    return spread(times)


async def across_processes(folder: Path) -> tuple[float, float]:
    """``revoke principal:…`` as the command sends it, then a request by that agent over HTTP."""
    port = free_port()
    settings, token = prepare(folder, port)
    command = ["-m", "counterfoil_server.cli", "--config", str(settings), "serve", "--no-notices"]
    times: list[float] = []
    async with running(command, port, token, {"SUPPORT_DESK_DATABASE": str(folder / "shop.db")}) as served:
        for number in range(ACROSS):
            name = f"agent-{number}"
            added = await admin_socket.call(folder / "state", "principals_add", {"name": name, "owner": None})
            async with AsyncExitStack() as stack:
                headers = {"Authorization": f"Bearer {added['token']}"}
                http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=30))
                transport = streamable_http_client(served.url, http_client=http)
                client = await stack.enter_async_context(Client(transport, mode="2026-07-28"))
                asked = await client.call_tool("request_refund", REFUND)
                assert not asked.is_error, asked.content
                again = REFUND | {"amount": {"value": "2.00", "currency": "EUR"}}
                begun = time.perf_counter()
                await admin_socket.call(
                    folder / "state", "revoke", {"scope": f"principal:{name}", "reason": "measured"}
                )
                refused = await client.call_tool("request_refund", again)
                times.append(time.perf_counter() - begun)
                assert refused.is_error, refused.content
    return spread(times)
