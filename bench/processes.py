"""Whole server processes, started, asked and measured from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

ROOT = Path(__file__).parent.parent
START_LIMIT = 60.0
"""Seconds after which a server that does not answer is given up."""


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Process:
    """A running server: its MCP address, the time from start to its first answer (seconds), and its token."""

    child: subprocess.Popen[bytes]
    url: str
    token: str | None
    started_in: float

    @property
    def resident(self) -> int:
        """Resident memory in KiB (VmRSS)."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """An SDK client of the newest protocol version."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(self.url, http_client=http), mode="2026-07-28") as client,
        ):
            yield client


@asynccontextmanager
async def running(
    command: list[str], port: int, token: str | None, environment: dict[str, str]
) -> AsyncIterator[Process]:
    """Start the server and wait for its first answer to a tool call; end it afterwards."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        # As installed: a program's bytecode is kept, also where whoever measures forbids to write it.
        env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = Process(child, f"http://127.0.0.1:{port}/mcp", token, 0.0)
    try:
        await _first_answer(process)
        process.started_in = time.perf_counter() - begun
        yield process
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=20)


async def _first_answer(process: Process) -> None:
    with anyio.fail_after(START_LIMIT):
        while True:
            if process.child.poll() is not None:
                raise RuntimeError(f"the server ended with {process.child.returncode}")
            with socket.socket() as probe:
                probe.settimeout(0.05)
                if probe.connect_ex(("127.0.0.1", int(process.url.split(":")[2].split("/")[0]))) == 0:
                    break
            await anyio.sleep(0.005)
    async with process.client() as client:
        await client.call_tool("opening_hours", {})
