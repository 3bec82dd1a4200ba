"""The documented TypeScript agent, with the SDK of today and the one before, from its request to what was done."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from conformance.node import NODE
from docs.snippets import ROOT, blocks, files
from northlight_served import open_northlight, open_shop

PAGE = ROOT / "docs" / "how-to" / "connect-a-client.md"
MARIA = "maria.lindqvist@post.example"
PATIENCE = 60
"""Seconds that the agent may take on a busy machine."""

CURRENT = 'import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";\n'


def agent(sdk: str) -> str:
    """The page's program; ``former`` with the lines that the page gives for the SDK before."""
    program = files(PAGE)["agent.mts"]
    assert CURRENT in program
    [former] = [block.body for block in blocks(PAGE) if block.words == ("former",)]
    return program.replace(CURRENT, former) if sdk == "former" else program


@pytest.mark.parametrize("sdk", ["current", "former"])
async def test_the_documented_agent_asks_and_hears_what_was_done(tmp_path: Path, modules: Path, sdk: str) -> None:
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "agent.mts").write_text(agent(sdk))
    async with open_northlight(tmp_path, open_shop(tmp_path)) as desk, asyncio.timeout(PATIENCE):
        maria = await desk.enrol("Maria Lindqvist", account="C-1001", email=MARIA)
        token = (await desk.administer("principals_add", name="agent", owner=None))["token"]
        process = await asyncio.create_subprocess_exec(
            NODE, "agent.mts", cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"COUNTERFOIL_URL": f"{desk.url}/mcp", "COUNTERFOIL_TOKEN": token},
        )  # fmt: skip
        assert process.stdout is not None
        try:
            said = (await process.stdout.readuntil(b"Expires: ")).decode()
            assert said.startswith("Requested: Refund.")
            [code] = re.findall(r"Match code: ([0-9]{6})", said)
            await maria.approves(await desk.mailbox.newest(MARIA, "waits for your decision"), code=code)
            [ticket] = await desk.tickets()
            assert (await desk.settled(ticket.id)).state == "executed"
            ended = (await process.stdout.read()).decode()
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert "Status: executed" in ended
    assert "39.00 EUR of order NL-26017" in ended
