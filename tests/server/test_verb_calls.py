"""Verbs called by name: wrong arguments are told as such before anything runs, and nothing else is told as that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from counterfoil.errors import BadArguments, StoreFailed
from counterfoil_server import admin_socket, config, private_socket
from counterfoil_server.app import Parts, open_parts
from server.cli.conftest import own_desk, program
from server.cli.office import Office, Program

__all__ = ["own_desk", "program"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def parts(folder: Path, program: Program) -> AsyncIterator[Parts]:
    office = Office.at(folder / "office", program)
    async with (
        open_parts(config.load(office.folder / "counterfoil.toml")) as opened,
        anyio.create_task_group() as group,
    ):
        await group.start(admin_socket.serve, opened.administration, opened.configuration.state)
        yield opened
        group.cancel_scope.cancel()


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("suspend", {}),
    ("suspend", {"scope": "everything", "until": 5}),
    ("suspend", {"self": 1, "scope": "everything"}),
    ("forget", {"everything": True}),
    ("log_show", {"tickets": "x"}),
    ("log_tail", {"": 1}),
]


@pytest.mark.parametrize(("verb", "arguments"), WRONG)
async def test_arguments_that_a_verb_does_not_take_are_told_before_it_runs(
    tmp_path: Path, program: Program, verb: str, arguments: dict[str, Any]
) -> None:
    async with parts(tmp_path, program) as opened:
        for call in (opened.administration.call(verb, arguments), over_the_socket(opened, verb, arguments)):
            with pytest.raises(BadArguments, match=f"The verb {verb} does not take these arguments") as refused:
                await call
            assert "update both" in refused.value.remedy
        assert await opened.administration.suspensions() == []


async def test_what_goes_wrong_within_a_verb_is_no_fault_of_the_arguments(
    tmp_path: Path, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    async with parts(tmp_path, program) as opened:
        with pytest.raises(TypeError, match=r"int\(\) argument"):
            await opened.administration.call("log_tail", {"limit": None})
        with pytest.raises(StoreFailed, match="the server's log says why"):
            await over_the_socket(opened, "log_tail", {"limit": None})
    assert "An administration verb failed" in caplog.text
    assert "int() argument" in caplog.text


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"{}\n", b'{"verb":"doctor"}\n', b'{"verb":"doctor","arguments":5}\n', b"[" * 9999 + b"\n"]
)
async def test_what_is_no_request_is_told_as_that(tmp_path: Path, program: Program, line: bytes) -> None:
    async with parts(tmp_path, program) as opened:
        where = opened.configuration.state, private_socket.ADMINISTRATION
        async with await private_socket.connect(*where) as stream:
            await stream.send(line)
            assert b'"happened": "The administration\'s request cannot be read."' in await stream.receive()


async def over_the_socket(opened: Parts, verb: str, arguments: dict[str, Any]) -> Any:
    return await admin_socket.call(opened.configuration.state, verb, arguments)
