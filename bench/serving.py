"""The figures of whole servers: reads, requests, memory and start, against the bare server with the same tools.

Calls to both are interleaved one by one, because the machine's speed drifts by more than the difference in question.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.processes import ROOT, Process, free_port, running

CALLS = 400
STARTS = 5
SETTINGS = """
desk = "desk:desk"
policy = "policy.cedar"
state = "{state}"
roster_key = "{state}-roster.pem"
public_url = "http://localhost:{port}"
"""


def prepare(folder: Path, port: int) -> tuple[Path, str]:
    """The support desk's settings for a fresh state folder, and the token of a principal in it."""
    desk = ROOT / "examples" / "support_desk"
    for source in desk.iterdir():
        if source.is_file():
            (folder / source.name).write_bytes(source.read_bytes())
    settings = folder / "counterfoil.toml"
    settings.write_text(SETTINGS.format(state="state", port=port))
    return settings, add_principal(settings)


def add_principal(settings: Path) -> str:
    """A principal's token, from the command line."""
    command = [sys.executable, "-m", "counterfoil_server.cli", "--config", str(settings), "--json"]
    done = subprocess.run([*command, "principals", "add", "bench"], capture_output=True, check=True)
    token: str = json.loads(done.stdout)["token"]
    return token


async def measure() -> dict[str, float]:
    """read_ratio, request_ratio, rss_ratio and start_ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ports = free_port(), free_port()
        settings, token = prepare(folder, ports[1])
        environment = {"SUPPORT_DESK_DATABASE": str(folder / "shop.db")}
        tools = folder / "tools.json"
        bare_command = ["-m", "bench.bare", str(ports[0]), str(tools)]
        our_command = ["-m", "counterfoil_server.cli", "--config", str(settings), "serve", "--no-notices"]
        async with running(our_command, ports[1], token, environment) as ours, ours.client() as client:
            tools.write_text((await client.list_tools()).model_dump_json(by_alias=True, exclude_none=True))
        starts: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(STARTS):
            async with running(bare_command, ports[0], None, environment) as bare:
                starts["bare"].append(bare.started_in)
            async with running(our_command, ports[1], token, environment) as ours:
                starts["ours"].append(ours.started_in)
        async with AsyncExitStack() as stack:
            bare = await stack.enter_async_context(running(bare_command, ports[0], None, environment))
            ours = await stack.enter_async_context(running(our_command, ports[1], token, environment))
            reads, requests, resident = await _calls(stack, bare, ours)
    return {
        "read_ratio": reads,
        "request_ratio": requests,
        "rss_ratio": resident,
        "start_ratio": statistics.median(starts["ours"]) / statistics.median(starts["bare"]),
    }


async def _calls(stack: AsyncExitStack, bare: Process, ours: Process) -> tuple[float, float, float]:
    plain = await stack.enter_async_context(bare.client())
    real = await stack.enter_async_context(ours.client())

    async def bare_read(_: int) -> Any:
        return await plain.call_tool("opening_hours", {})

    async def our_read(_: int) -> Any:
        return await real.call_tool("opening_hours", {})

    async def our_request(number: int) -> Any:
        amount = {"value": f"{number // 100}.{number % 100:02d}", "currency": "EUR"}
        arguments = {"account": "C-1001", "order_id": "NL-26017", "amount": amount}
        result = await real.call_tool("request_refund", arguments)
        if result.is_error:
            raise RuntimeError(f"a request failed: {result.content}")
        return result

    async def withdraw(requested: Any) -> None:
        # Left waiting, they would reach the cap of an account, and later ones would not be what is measured.
        await real.call_tool("cancel_ticket", {"ticket": requested.structured_content["ticket"]})

    reads = await ratio(bare_read, our_read, CALLS)
    requests = await ratio(bare_read, our_request, CALLS, after=withdraw)
    return reads, requests, ours.resident / bare.resident


async def ratio(
    first: Callable[[int], Awaitable[Any]],
    second: Callable[[int], Awaitable[Any]],
    calls: int,
    *,
    after: Callable[[Any], Awaitable[None]] | None = None,
) -> float:
    """The median time of ``second`` over that of ``first``, called in turn; ``after`` gets what ``second`` answered,
    and its time does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(1, calls + 1):
        for which, call in enumerate((first, second)):
            begun = time.perf_counter()
            answer = await call(number)
            times[which].append(time.perf_counter() - begun)
        if after is not None:
            await after(answer)
    warm = calls // 10
    return statistics.median(times[1][warm:]) / statistics.median(times[0][warm:])
