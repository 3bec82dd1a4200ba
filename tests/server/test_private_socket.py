"""Private sockets: for the folder's own user, and one connection's failure is its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from counterfoil_server import private_socket

NAME = "test.sock"
NOBODY = 65534

STRANGER = f"""
import os, socket, sys
os.setgid({NOBODY}); os.setuid({NOBODY})
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.sendall(b"hello")
        print(connection.recv(100))
    except OSError:
        print(b"")
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def echo(stream: SocketStream, uid: int) -> None:
    heard = await stream.receive()
    if heard == b"fail":
        raise RuntimeError("a failure that was asked for")
    await stream.send(heard + f" {uid}".encode())


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        await group.start(private_socket.serve, folder, NAME, echo)
        yield
        group.cancel_scope.cancel()


async def said(folder: Path, what: bytes) -> bytes:
    async with await private_socket.connect(folder, NAME) as stream:
        await stream.send(what)
        try:
            return await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return b""


async def test_the_folders_user_is_served_and_known_by_uid(tmp_path: Path) -> None:
    async with listening(tmp_path):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
        assert await said(tmp_path, b"hello") == f"hello {os.geteuid()}".encode()
    assert not (tmp_path / NAME).exists()
    with pytest.raises(FileNotFoundError):
        await private_socket.connect(tmp_path, NAME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_another_user_is_refused_even_where_the_files_are_open_to_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(f"/tmp/counterfoil-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        async with listening(folder):
            (folder / NAME).chmod(0o666)
            with private_socket.path_of(folder, NAME) as path:
                command = [sys.executable, "-c", STRANGER, path]
                found = await anyio.run_process(command, stdout=subprocess.PIPE, stderr=None)
            assert found.stdout.strip() == b"b''"
            assert await said(folder, b"hello") == f"hello {os.geteuid()}".encode()
    finally:
        folder.rmdir()
    assert f"User {NOBODY} was refused" in caplog.text


async def test_a_connection_that_fails_or_vanishes_disturbs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path):
        assert await said(tmp_path, b"fail") == b""
        async with await private_socket.connect(tmp_path, NAME):
            pass
        async with await private_socket.connect(tmp_path, NAME) as gone:
            await gone.send(b"hello")
        assert await said(tmp_path, b"still there?") == f"still there? {os.geteuid()}".encode()
    assert "a failure that was asked for" in caplog.text


async def test_a_folder_with_a_long_name_has_its_sockets_too_and_leaves_no_descriptor(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    async with listening(folder):
        for _ in range(5):
            assert (await said(folder, b"hello")).startswith(b"hello")
    assert len(os.listdir("/proc/self/fd")) == before
