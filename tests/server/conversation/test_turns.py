"""Turns over real HTTP: whose they are, what is kept of them, and that no input breaks anything."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.errors import StoreFailed
from counterfoil.turns import Limits, turn_digest
from counterfoil_server.conversation.turns import TurnIntake
from server.conversation.world import World

HELLO = {"role": "user", "text": "Hello"}


def app_of(world: World, **limits: int) -> TurnIntake:
    intake: Any = world.conversation.turns_app(world.store)
    assert isinstance(intake, TurnIntake)
    intake._limits = Limits(**limits)
    return intake


@asynccontextmanager
async def client_of(app: TurnIntake, world: World, token: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    headers = {"authorization": f"Bearer {token or world.token}", "content-type": "application/json"}
    url = f"http://127.0.0.1:{world.port}"
    async with httpx2.AsyncClient(transport=transport, base_url=url, headers=headers) as http:
        yield http


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app_of(world), world) as opened:
        yield opened


@pytest.fixture
async def conversation(world: World) -> str:
    return (await world.authority.start_conversation("agent")).id


async def post(http: httpx2.AsyncClient, conversation: str, *turns: Any, **more: str) -> httpx2.Response:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return await http.post(f"/conversations/{conversation}/turns", json={"turns": list(turns)}, headers=headers)


async def events(world: World) -> list[str]:
    return [leaf.event for leaf in await world.store.leaves()]


async def test_turns_are_kept_redacted_with_one_leaf_for_a_call(
    world: World, http: httpx2.AsyncClient, conversation: str
) -> None:
    said = {"role": "user", "text": "My card is 4111 1111 1111 1111.", "at": 1_800_000_000}
    answer = await post(http, conversation, said, {"role": "tool", "text": "{}"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"conversation": conversation, "stored": 2, "known_before": 0, "removed": 1}
    first, second = await world.store.turns(conversation)
    assert (first.role, first.text, first.said_at) == ("user", "My card is [card number removed].", 1_800_000_000)
    assert (second.role, second.text, second.principal) == ("tool", "{}", "agent")
    assert first.leaf == second.leaf
    [leaf] = [leaf for leaf in await world.store.leaves() if leaf.event == "turns"]
    assert leaf.index == first.leaf
    assert leaf.opening is not None
    assert json.loads(leaf.opening)["groups"] == {
        "conversation": conversation, "principal": "agent", "turns": [first.digest, second.digest],
    }  # fmt: skip
    assert first.salt is not None
    assert first.digest == turn_digest("user", first.text or "", 1_800_000_000, first.salt)
    assert b"4111" not in leaf.opening + leaf.body


async def test_the_same_words_have_another_digest_each_time(
    world: World, http: httpx2.AsyncClient, conversation: str
) -> None:
    await post(http, conversation, HELLO, HELLO)
    assert len({turn.digest for turn in await world.store.turns(conversation)}) == 2


async def test_what_is_sent_again_under_the_same_ids_is_kept_once(
    world: World, http: httpx2.AsyncClient, conversation: str
) -> None:
    named = [HELLO | {"id": "1"}, HELLO | {"id": "2"}, HELLO | {"id": "2"}]
    assert (await post(http, conversation, *named)).json()["stored"] == 2
    leaves = await events(world)
    again = await post(http, conversation, *named)
    assert (again.status_code, again.json()["stored"], again.json()["known_before"]) == (200, 0, 3)
    assert await events(world) == leaves
    more = await post(http, conversation, *named, HELLO | {"id": "3"})
    assert (more.json()["stored"], more.json()["known_before"]) == (1, 3)
    assert len(await world.store.turns(conversation)) == 3
    other = (await world.authority.start_conversation("agent")).id
    assert (await post(http, other, *named)).json()["stored"] == 2


async def test_an_id_is_not_kept_as_it_was_given(
    world: World, http: httpx2.AsyncClient, conversation: str, tmp_path: Path
) -> None:
    await post(http, conversation, HELLO | {"id": "maria@boats.example"})
    with closing(sqlite3.connect(tmp_path / "counterfoil.db")) as database:
        assert "maria@" not in str(database.execute("SELECT * FROM turn").fetchall())


async def test_foreign_ended_and_unknown_conversations_answer_alike(
    world: World, http: httpx2.AsyncClient, conversation: str
) -> None:
    async with client_of(app_of(world), world, await world.principal("other")) as other:
        foreign = await post(other, conversation, HELLO)
    unknown = await post(http, "cv_" + "a" * 32, HELLO)
    malformed = await post(http, "nonsense/else", HELLO)
    assert foreign.status_code == unknown.status_code == malformed.status_code == 404
    assert foreign.content == unknown.content == malformed.content
    assert await world.store.turns(conversation) == []


@pytest.mark.parametrize("token", ["", "Bearer x", "Basic x"])
async def test_no_call_without_a_token(http: httpx2.AsyncClient, conversation: str, token: str) -> None:
    answer = await post(http, conversation, HELLO, authorization=token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


async def test_no_browser_and_no_other_host_may_call(http: httpx2.AsyncClient, conversation: str, world: World) -> None:
    for origin in ("https://evil.example", f"http://127.0.0.1:{world.port}", "null"):
        assert (await post(http, conversation, HELLO, origin=origin)).status_code == 403
    assert (await post(http, conversation, HELLO, host="evil.example")).status_code == 421
    assert await world.store.turns(conversation) == []


async def test_only_posted_json_is_read(http: httpx2.AsyncClient, conversation: str) -> None:
    assert (await http.get(f"/conversations/{conversation}/turns")).status_code == 405
    assert (await post(http, conversation, HELLO, content_type="text/plain")).status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"turns":[]}', b'{"turns":[{"role":"user"}]}', b'{"turns":[{}],"turns":[{}]}',
        b'{"turns":[{"role":"system","text":"a"}]}', b'{"turns":[{"role":"user","text":""}]}',
        b'{"turns":[{"role":"user","text":"a","at":"now"}]}', b'{"turns":[{"role":"user","text":"a","at":true}]}',
        b'{"turns":[{"role":"user","text":"a","at":-1}]}', b'{"turns":[{"role":"user","text":"a","at":9e15}]}',
        b'{"turns":[{"role":"user","text":"\\ud800"}]}', b'{"turns":[{"role":"user","text":"a","more":1}]}',
        b'{"turns":[{"role":"user","text":"a"}],"x":NaN}', b"\xff",
    ],
)  # fmt: skip
async def test_what_is_not_exactly_turns_is_refused_and_not_repeated(
    world: World, http: httpx2.AsyncClient, conversation: str, body: bytes
) -> None:
    answer = await http.post(f"/conversations/{conversation}/turns", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] in ("bad_json", "bad_arguments")
    assert await world.store.turns(conversation) == []


async def test_limits_of_a_call(world: World, http: httpx2.AsyncClient, conversation: str) -> None:
    assert (await post(http, conversation, *[HELLO] * 101)).status_code == 400
    assert (await post(http, conversation, {"role": "user", "text": "a" * 8001})).status_code == 400
    assert (await post(http, conversation, *[{"role": "user", "text": "ä" * 8000}] * 20)).status_code == 413
    assert (await post(http, conversation, *[HELLO] * 100, {"role": "user", "text": "a" * 8000})).status_code == 400
    assert (await post(http, conversation, *[HELLO] * 99, {"role": "user", "text": "a" * 8000})).status_code == 200


@pytest.mark.parametrize("limits", [{"per_conversation": 2}, {"characters": 12}, {"per_hour": 2}])
async def test_limits_of_a_conversation_and_an_hour(world: World, conversation: str, limits: dict[str, int]) -> None:
    async with client_of(app_of(world, **limits), world) as http:
        assert (await post(http, conversation, HELLO, HELLO)).status_code == 200
        leaves = await events(world)
        answer = await post(http, conversation, HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
        assert await events(world) == leaves
        assert len(await world.store.turns(conversation)) == 2
        other = await world.authority.start_conversation("agent")
        assert (await post(http, other.id, HELLO)).status_code == (429 if "per_hour" in limits else 200)


@pytest.mark.parametrize("scope", ["everything", "principal:agent", "conversation"])
async def test_nothing_is_taken_from_what_is_suspended(
    world: World, http: httpx2.AsyncClient, conversation: str, scope: str
) -> None:
    await world.authority.suspend(f"conversation:{conversation}" if scope == "conversation" else scope, "odd")
    answer = await post(http, conversation, HELLO)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "suspended")
    assert await world.store.turns(conversation) == []


async def test_a_store_that_fails_is_told_as_such(
    world: World, http: httpx2.AsyncClient, conversation: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "counterfoil.db")) as database:
        database.execute("ALTER TABLE turn RENAME TO mislaid")
    answer = await post(http, conversation, HELLO)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, StoreFailed.code)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TURNS = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(["user", "tool", "system"]) | JSONS, "text": st.text() | JSONS,
                  "at": st.integers() | JSONS, "id": st.text(max_size=300) | JSONS},
)  # fmt: skip
BODIES = (
    st.binary(max_size=200)
    | JSONS.map(lambda value: json.dumps(value).encode())
    | st.lists(TURNS, max_size=4).map(lambda turns: json.dumps({"turns": turns}).encode())
)


@given(body=BODIES, path=st.text(max_size=60), header=st.binary(max_size=40), whole=st.booleans())
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_no_input_breaks_it(
    world: World, conversation: str, body: bytes, path: str, header: bytes, whole: bool
) -> None:
    """The application itself is called, with paths and headers that a client library would not send."""
    app, statuses = app_of(world), []
    chunks = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> Any:
        if not chunks:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks) or not whole}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for where in (f"/conversations/{conversation}/turns", f"/conversations/{path}"):
        headers = [
            (b"host", b"127.0.0.1:%d" % world.port), (b"authorization", b"Bearer " + world.token.encode()),
            (b"content-type", b"application/json"), (b"x-any", header),
        ]  # fmt: skip
        scope = {
            "type": "http", "method": "POST", "path": where, "raw_path": where.encode(errors="replace"),
            "query_string": header, "headers": headers, "scheme": "http", "http_version": "1.1",
        }  # fmt: skip
        await app(scope, receive, send)
    assert len(statuses) == 2
    assert set(statuses) <= {200, 400, 404, 413, 415}


IMPORTED = re.compile(r"^\s*(?:from|import) .*\b(?:turns|turn_verbs|log_turns)\b", re.MULTILINE)


def test_no_ticket_path_knows_of_turns() -> None:
    """What decides reads the ``Store`` port, and that has no verb for turns; nor does any module of it name them."""
    import counterfoil
    from counterfoil.store import Store

    assert not [name for name in dir(Store) if "turn" in name]
    core = Path(counterfoil.__file__).parent
    assert not [path for path in core.glob("*.py") if IMPORTED.search(path.read_text())]
    server = core.parents[1] / "server" / "counterfoil_server"
    for layer in ("verification", "execution", "notices"):
        assert not [path for path in (server / layer).rglob("*.py") if IMPORTED.search(path.read_text())]
