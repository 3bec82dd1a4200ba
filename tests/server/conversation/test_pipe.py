"""A client on a pipe, line by line: strict reading, both eras at once, and who calls."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from counterfoil.leaves import administered
from counterfoil_server import private_socket
from counterfoil_server.conversation.pipe import MAX_OPEN
from counterfoil_server.json_rpc import MAX_BODY
from counterfoil_server.lines import BROKEN, LineSplitter
from server.conversation.test_intake import ENVELOPE
from server.conversation.world import World

SIGNAL = {"name": "signal", "arguments": {"flag": "N"}}
SIGNALLED = {"result": "N x1 up at 1.0"}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@dataclass
class Line:
    """The client's end of the pipe."""

    stream: SocketStream

    def __post_init__(self) -> None:
        self._splitter = LineSplitter(None)
        self._read: list[Any] = []

    async def send(self, *texts: str | bytes) -> None:
        for text in texts:
            await self.stream.send((text.encode() if isinstance(text, str) else text) + b"\n")

    async def answer(self) -> dict[str, Any]:
        while not self._read:
            lines = self._splitter.feed(await self.stream.receive())
            self._read += [json.loads(line) for line in lines if isinstance(line, bytes)]
        found: dict[str, Any] = self._read.pop(0)
        return found

    async def ask(self, to: Any, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        await self.send(message(to, method, params))
        return await self.answer()

    async def initialize(self) -> None:
        assert "result" in await self.ask(0, "initialize", INITIALIZE)
        await self.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')


def message(to: Any, method: str, params: dict[str, Any] | None = None, *, modern: bool = False) -> str:
    given = (params or {}) | ({"_meta": ENVELOPE} if modern else {})
    return json.dumps({"jsonrpc": "2.0", "id": to, "method": method, "params": given}, separators=(",", ":"))


@asynccontextmanager
async def piped(world: World, folder: Path, uid: int = 1000) -> AsyncIterator[Line]:
    """A client whose other end the operating system says to be the user ``uid``."""
    over = anyio.Event()

    async def serve(stream: SocketStream, _: int) -> None:
        await world.conversation.serve_pipe(stream, uid)
        over.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            await group.start(private_socket.serve, folder, "mcp.sock", serve)
            async with await private_socket.connect(folder, "mcp.sock") as stream:
                yield Line(stream)
            await over.wait()
            group.cancel_scope.cancel()


@pytest.fixture
async def line(world: World, tmp_path: Path) -> AsyncIterator[Line]:
    async with piped(world, tmp_path) as connected:
        yield connected


async def ended(line: Line) -> None:
    with pytest.raises(BROKEN):
        await line.stream.receive()


# Eras -----------------------------------------------------------------------------------------------------------------


async def test_discovering_in_the_new_era_and_opening_in_the_old_one_works_as_claude_code_does_it(line: Line) -> None:
    await line.send(message(1, "server/discover", modern=True))
    assert (await line.answer())["result"]["supportedVersions"] == ["2026-07-28"]
    opened = await line.ask(2, "initialize", INITIALIZE)
    assert opened["result"]["protocolVersion"] == "2025-11-25"
    await line.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    called = await line.ask(3, "tools/call", SIGNAL)
    assert called["result"]["structuredContent"] == SIGNALLED
    await line.send(message(4, "tools/call", SIGNAL, modern=True))
    assert (await line.answer())["result"]["structuredContent"] == SIGNALLED


async def test_opening_may_carry_the_envelope_of_the_new_era(line: Line) -> None:
    await line.send(message(1, "server/discover", modern=True), message(2, "initialize", INITIALIZE, modern=True))
    answers = {answer["id"]: answer for answer in (await line.answer(), await line.answer())}
    assert answers[2]["result"]["protocolVersion"] == "2025-11-25"


async def test_a_client_of_the_old_era_that_asks_first_is_told_that_there_is_no_such_method(line: Line) -> None:
    assert (await line.ask(1, "server/discover"))["error"]["code"] == -32601
    await line.initialize()
    assert (await line.ask(2, "tools/call", SIGNAL))["result"]["structuredContent"] == SIGNALLED


async def test_the_list_of_tools_is_the_one_over_http(world: World, line: Line) -> None:
    await line.send(message(1, "tools/list", modern=True))
    piped_tools = (await line.answer())["result"]["tools"]
    async with world.client() as client:
        listed = await client.list_tools()
    assert piped_tools == [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]


# What it says ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ('{"flag":"a","flag":"b"}', 'The key "flag" stands twice in one object.'),
        ('{"flag":"a","speed":NaN}', "NaN is not JSON."),
        ('{"flag":"a","speed":1e400}', "A number is larger than 2^53 - 1."),
        ('{"flag":"a","times":9007199254740992}', "An integer is larger than 2^53 - 1."),
        ('{"flag":"\\ud83d"}', "A string holds half of a surrogate pair."),
        ('{"flag":' + "[" * 30 + "]" * 30 + "}", "The message is nested deeper than 32 levels."),
    ],
)
async def test_json_with_two_meanings_is_refused_and_its_request_answered(
    world: World, line: Line, arguments: str, why: str
) -> None:
    text = message(7, "tools/call", {"name": "signal", "arguments": {"flag": "X"}}, modern=True)
    await line.send(text.replace('{"flag":"X"}', arguments))
    refused = await line.answer()
    assert (refused["id"], refused["error"]["code"]) == (7, -32700)
    assert refused["error"]["data"]["happened"] == why
    await line.send(message(8, "tools/call", SIGNAL, modern=True))
    assert (await line.answer())["result"]["structuredContent"] == SIGNALLED
    await world.conversation.recorder.flush()
    assert len(await world.store.calls()) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700), (b"not json", -32700), (b"\xff", -32700), (b"\xef\xbb\xbf{}", -32700), (b"\x00", -32700),
        (b"[]", -32600), (b"7", -32600), (b"null", -32600), (b"{}", -32600), (b'{"jsonrpc":"1.0"}', -32600),
    ],
)  # fmt: skip
async def test_what_is_no_message_is_refused(line: Line, body: bytes, code: int) -> None:
    await line.send(body)
    refused = await line.answer()
    assert (refused["id"], refused["error"]["code"]) == (None, code)


async def test_a_batch_is_no_message(line: Line) -> None:
    await line.send(f"[{message(1, 'tools/list', modern=True)}]")
    assert (await line.answer())["error"]["code"] == -32600


async def test_a_line_over_256_kib_is_refused_by_its_id_and_the_next_one_answered(line: Line) -> None:
    long = message(7, "tools/call", {"name": "signal", "arguments": {"flag": "x" * MAX_BODY}}, modern=True)
    await line.send(long, message(8, "tools/call", SIGNAL, modern=True))
    answers = {answer["id"]: answer for answer in (await line.answer(), await line.answer())}
    assert answers[7]["error"]["data"]["happened"] == "The message is longer than 256 KiB."
    assert answers[8]["result"]["structuredContent"] == SIGNALLED


async def test_empty_lines_and_carriage_returns_do_no_harm(line: Line) -> None:
    await line.send("", "\r", "  ", message(1, "tools/call", SIGNAL, modern=True) + "\r")
    assert (await line.answer())["id"] == 1


async def test_answers_to_questions_that_nobody_asked_are_dropped(line: Line) -> None:
    await line.send('{"jsonrpc":"2.0","id":1,"result":{}}', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}')
    await line.send(message(1, "tools/call", SIGNAL, modern=True))
    assert (await line.answer())["result"]["structuredContent"] == SIGNALLED


# Who calls ------------------------------------------------------------------------------------------------------------


async def local(world: World) -> str:
    (found,) = [each.id for each in await world.store.principals() if each.id.startswith("local:")]
    return found


async def test_calls_are_those_of_the_local_principal_which_is_made_on_first_use(world: World, line: Line) -> None:
    await line.send(message(1, "tools/call", SIGNAL, modern=True))
    await line.answer()
    name = await local(world)
    assert name.endswith(":1000")
    (principal,) = [each for each in await world.store.principals() if each.id == name]
    assert principal.owner is None
    await world.conversation.recorder.flush()
    (recorded,) = await world.store.calls()
    assert (recorded.principal, recorded.tool, recorded.status) == (name, "signal", "ok")
    leaves = await world.store.leaves()
    assert [leaf.values["event"] for leaf in leaves].count("principal_added") == 1


async def test_another_user_of_the_machine_is_another_principal(world: World, tmp_path: Path) -> None:
    for uid in (1000, 1001, 1000):
        async with piped(world, tmp_path, uid) as line:
            await line.send(message(1, "tools/call", SIGNAL, modern=True))
            await line.answer()
    names = [each.id for each in await world.store.principals() if each.id.startswith("local:")]
    assert [name.rpartition(":")[2] for name in names] == ["1000", "1001"]


async def test_what_a_client_calls_itself_makes_no_other_principal(world: World, tmp_path: Path) -> None:
    for name in ("one", "two"):
        async with piped(world, tmp_path) as line:
            client = INITIALIZE | {"clientInfo": {"name": name, "version": "1"}}
            await line.ask(1, "initialize", client)
            await line.ask(2, "tools/call", SIGNAL)
    await local(world)


async def test_a_disabled_principal_is_refused_from_its_next_call_on(world: World, line: Line) -> None:
    await line.initialize()
    await line.ask(1, "tools/call", SIGNAL)
    name = await local(world)
    await world.store.disable_principal(name, administered("principal_disabled", principal=name))
    for to, modern in ((2, False), ("three", True)):
        await line.send(message(to, "tools/call", SIGNAL, modern=modern))
        refused = await line.answer()
        assert (refused["id"], refused["error"]["data"]["code"]) == (to, "unauthenticated")
        assert name in refused["error"]["message"]
    await world.conversation.recorder.flush()
    assert len(await world.store.calls()) == 1


async def test_a_disabled_principal_stays_so_on_a_new_connection(world: World, tmp_path: Path) -> None:
    async with piped(world, tmp_path) as line:
        await line.send(message(1, "tools/call", SIGNAL, modern=True))
        await line.answer()
    name = await local(world)
    await world.store.disable_principal(name, administered("principal_disabled", principal=name))
    async with piped(world, tmp_path) as line:
        await line.send(message(1, "tools/call", SIGNAL, modern=True))
        assert (await line.answer())["error"]["data"]["code"] == "unauthenticated"


# Ends -----------------------------------------------------------------------------------------------------------------


async def test_what_was_asked_before_the_client_ended_its_side_is_answered(line: Line) -> None:
    await line.send(*(message(number, "tools/call", SIGNAL, modern=True) for number in range(20)))
    await line.stream.send_eof()
    assert {(await line.answer())["id"] for _ in range(20)} == set(range(20))
    await ended(line)


async def test_a_last_line_without_a_line_feed_is_answered(line: Line) -> None:
    await line.stream.send(message(1, "tools/call", SIGNAL, modern=True).encode())
    await line.stream.send_eof()
    assert (await line.answer())["id"] == 1


async def test_a_client_that_is_gone_at_any_point_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    asked = message(1, "tools/call", SIGNAL, modern=True).encode() + b"\n"
    sizes = set()
    for sent in (asked, b"", asked[:20], asked + asked[:20], asked * 50, b"\n" * 5):
        async with piped(world, tmp_path) as line:
            await line.stream.send(sent)
        sizes.add(len(os.listdir("/proc/self/fd")))
    assert len(sizes) == 1


async def test_a_client_that_does_not_read_is_not_read_from_for_ever(world: World, line: Line, tmp_path: Path) -> None:
    listing = message(1, "tools/list", modern=True)
    with anyio.move_on_after(1) as flooding:
        for _ in range(100 * MAX_OPEN):
            await line.send(listing)
    assert flooding.cancelled_caught
    async with piped(world, tmp_path) as other:
        await other.send(message(2, "tools/call", SIGNAL, modern=True))
        assert (await other.answer())["id"] == 2


async def test_what_an_older_client_is_asked_on_its_line_is_answered_there(world: World, tmp_path: Path) -> None:
    async with piped(world, tmp_path) as line:
        declared = INITIALIZE | {"capabilities": {"elicitation": {"url": {}}}}
        assert "result" in await line.ask(0, "initialize", declared)
        await line.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
        wanted = {"name": "request_open_gate", "arguments": {"account": "B-1"}}
        asked = await line.ask(1, "tools/call", wanted)
        assert (asked["method"], asked["params"]["mode"]) == ("elicitation/create", "url")
        await line.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}))
        answered = await line.answer()
        assert (answered["id"], answered["result"]["structuredContent"]["status"]) == (1, "pending")
