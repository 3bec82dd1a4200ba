"""Where checkpoints are published: a file, a file in a folder under git, an HTTP target.

A target can be read, because nothing is written over a checkpoint that does not fit. Whatever keeps it from answering
is an OSError, with words.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import anyio
import httpx2

from counterfoil.checkpoints import MAX_NOTE
from counterfoil_server.durable_file import replace_durably
from counterfoil_server.publishing.http import send

FILE_NAME = "checkpoint"
"""In a folder under git."""
FAREWELL = 2.0
"""Seconds that a git which is ended may take."""


class Target(Protocol):
    """A place that holds the newest checkpoint."""

    @property
    def name(self) -> str:
        """For people."""

    async def read(self) -> str | None:
        """What it holds; None for nothing. Raises OSError."""

    async def write(self, note: str, size: int) -> None:
        """Put the note in its place; raises OSError."""


class FileTarget:
    """A file, on a disk or share that somebody else keeps."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """For people."""
        return f"The file {self._path}"

    async def read(self) -> str | None:
        """What it holds."""
        return await asyncio.to_thread(read_file, self._path)

    async def write(self, note: str, size: int) -> None:
        """Replace it, as a whole."""
        await asyncio.to_thread(replace_durably, self._path, note.encode())


class GitTarget:
    """The file ``checkpoint`` in a folder under git: each one is a commit. A hook may push them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = FileTarget(folder / FILE_NAME)

    @property
    def name(self) -> str:
        """For people."""
        return f"The git folder {self._folder}"

    async def read(self) -> str | None:
        """What the file holds."""
        return await self._file.read()

    async def write(self, note: str, size: int) -> None:
        """Replace the file and commit it, alone."""
        if await self._file.read() != note:
            await self._file.write(note, size)
        await self._git("add", "--", FILE_NAME)
        if await self._git("status", "--porcelain", "--", FILE_NAME):
            identity = ("-c", "user.name=Counterfoil", "-c", "user.email=counterfoil@localhost")
            await self._git(*identity, "commit", "--quiet", "-m", f"{size} leaves", "--", FILE_NAME)

    async def _git(self, *arguments: str) -> str:
        """What git says; it and its hooks are ended with whoever waits for them."""
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=self._folder, env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                await _end(process)
        text = said.decode(errors="replace").strip()
        if process.returncode:
            raise OSError(f"git {arguments[0] if arguments[0] != '-c' else 'commit'} failed: {text[-200:]}")
        return text


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and its hooks; it is given the time to take its lock away, without which it never works again."""
    with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with anyio.move_on_after(FAREWELL):
            await process.wait()
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class URLTarget:
    """An address that answers GET with what was PUT there. ``token`` is sent as a bearer token."""

    def __init__(self, url: str, token: str | None = None, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._transport = transport

    @property
    def name(self) -> str:
        """For people."""
        return f"The address {self._url}"

    async def read(self) -> str | None:
        """What it holds."""
        status, body = await send("GET", self._url, headers=self._headers, transport=self._transport)
        if status in (404, 410):
            return None
        if status != 200:
            raise OSError(f"it answers {status} to GET")
        return _text(body)

    async def write(self, note: str, size: int) -> None:
        """PUT it."""
        headers = self._headers | {"content-type": "text/plain; charset=utf-8"}
        status, _ = await send("PUT", self._url, note.encode(), headers=headers, transport=self._transport)
        if not 200 <= status < 300:
            raise OSError(f"it answers {status} to PUT")


def read_file(path: Path) -> str | None:
    """What a published file holds; None if there is none. Raises OSError."""
    try:
        with path.open("rb") as file:
            return _text(file.read(MAX_NOTE + 1))
    except FileNotFoundError:
        return None


def _text(body: bytes) -> str:
    """As text; what is none is no checkpoint either, and reads as something else."""
    return body.decode("utf-8", errors="replace")
