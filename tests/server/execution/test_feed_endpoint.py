"""``GET /feed``: who follows the log over HTTP hears what was committed, at once and whole, and nobody else does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterfoil.errors import SettingsError, StoreFailed
from counterfoil.feed import LEAVES_A_PAGE, MAX_PAGE, FeedPage, write_page
from counterfoil.log import LeafDraft
from counterfoil.testing import OpenDesk, open_desk
from counterfoil_server import feed_endpoint
from counterfoil_server.app import application
from counterfoil_server.config import FeedSettings
from server.execution.follower import TOKEN, Follower
from server.publishing.world import until
from server.testing.gym import POLICY, Gym, gym_desk

pytestmark = pytest.mark.anyio

FEED = {"feed": {"token_env": "A_FEED_TOKEN"}}


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenDesk]:
    monkeypatch.setenv("A_FEED_TOKEN", TOKEN)
    async with open_desk(gym_desk(Gym()), tmp_path, policy=POLICY, settings=FEED) as opened:
        yield opened


@pytest.fixture
async def follower(desk: OpenDesk) -> Follower:
    return Follower.of(desk.url, await desk.administer("evidence_trust"))


async def test_a_fresh_desk_has_a_feed(follower: Follower) -> None:
    answer = await follower.ask()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    reading = await follower.read()
    assert reading.complete
    again = await follower.read()
    assert (again.heard, again.position, again.complete) == ((), reading.position, True)


async def test_what_was_revoked_is_in_the_very_next_page(desk: OpenDesk, follower: Follower) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount={"value": "20.00", "currency": "EUR"})
    await ada.approves(asked)
    assert (await desk.settled(asked)).state == "executed"
    waiting = await desk.ai.request("credit", account="M-1", amount={"value": "21.00", "currency": "EUR"})
    await follower.read_all()
    ticket = str(asked.answer["ticket"])
    envelope = await desk.parts.store.ticket(ticket)
    assert envelope is not None
    assert (follower.memory.redeemed(ticket) or ("", 0))[0] == envelope.digest
    for _ in range(5):
        await desk.suspend("account:M-1")
        await follower.read()
        assert follower.memory.barred(["account:M-1"])
        await desk.resume("account:M-1")
        await follower.read()
        assert not follower.memory.barred(["account:M-1"])
    await desk.revoke(waiting)
    await follower.read()
    assert follower.memory.stopped(str(waiting.answer["ticket"]))


async def test_the_time_that_is_signed_is_that_of_before_the_sealing(
    desk: OpenDesk, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed while it is sealed may be missing, so the page must not claim to be of later."""
    sealer = desk.parts.sealer
    seal, began = sealer.seal, list[int]()

    async def slowly() -> None:
        began.append(desk.parts.store.now())
        await seal()
        desk.clock.move(30)

    monkeypatch.setattr(sealer, "seal", slowly)
    assert (await follower.read()).at in began


async def filled(desk: OpenDesk, count: int, reason: str = "a drill") -> None:
    for _ in range(count):
        await desk.parts.store.append_leaf(LeafDraft("suspend", None, {"scope": "account:M-9", "reason": reason}))


async def test_a_long_log_is_read_in_pages(desk: OpenDesk, follower: Follower) -> None:
    await filled(desk, 2 * LEAVES_A_PAGE)
    answer = await follower.ask("first=0")
    page = FeedPage.model_validate_json(answer.content)
    assert len(page.leaves) == LEAVES_A_PAGE
    assert await follower.read_all() == 3
    assert follower.memory.position.size == await desk.parts.store.leaf_count()
    assert await follower.read_all() == 1


async def test_a_page_of_long_openings_ends_before_it_is_too_large_to_be_read(
    desk: OpenDesk, follower: Follower
) -> None:
    await filled(desk, 120, '"' * 30_000)
    answer = await follower.ask()
    assert MAX_PAGE * 0.9 < len(answer.content) <= MAX_PAGE
    assert await follower.read_all() == 4
    assert follower.memory.position.size == await desk.parts.store.leaf_count()


async def test_openings_are_handed_out_of_redemptions_bars_records_and_enrolments(
    desk: OpenDesk, follower: Follower
) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount={"value": "20.00", "currency": "EUR"})
    await ada.approves(asked)
    assert (await desk.settled(asked)).state == "executed"
    await desk.suspend("account:M-2")
    answer = await follower.ask()
    leaves = FeedPage.model_validate_json(answer.content).leaves
    opened = {json.loads(leaf.body)["event"] for leaf in leaves if leaf.opening is not None}
    assert opened == {"redeem", "suspend", "roster", "enrol"}
    for secret in ("20.00", "credit", "members.example", "Ada"):
        assert secret not in answer.text


NO_TOKENS = ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Bearer  {TOKEN}", TOKEN]


async def test_without_the_token_nothing_is_answered(follower: Follower) -> None:
    for header in NO_TOKENS:
        for method in ("GET", "POST"):
            refused = await follower.ask(method=method, authorization=header)
            assert refused.status_code == 401, header
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert refused.json()["error"]["code"] == "unauthenticated"
            assert "[feed]" in refused.json()["error"]["remedy"]


async def test_a_token_that_comes_twice_or_of_a_principal_is_none(desk: OpenDesk, follower: Follower) -> None:
    principal = (await desk.administer("principals_add", name="another", owner=None))["token"]
    assert (await follower.ask(authorization=f"Bearer {principal}")).status_code == 401
    twice = [("authorization", f"Bearer {TOKEN}")] * 2
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        assert (await http.get(f"{desk.url}/feed?first=0", headers=twice)).status_code == 401
        assert (await http.get(f"{desk.url}/feed?first=0")).status_code == 401


NO_NUMBERS = [
    "", "first", "first=", "first=-1", "first=1.5", "first=1e3", "first=%20", "first=%2B1", "first=0x1", "first=00",
    "first=0&first=0", "first=0&first=1", "first=%D9%A1", "first=%FF", "first=%00", "first[]=0", "FIRST=0",
    "first=" + "9" * 16, "first=" + "9" * 4000, "first=NaN", "first=0%0a",
]  # fmt: skip


async def test_what_is_no_number_is_refused_in_words(follower: Follower) -> None:
    for query in NO_NUMBERS:
        refused = await follower.ask(query)
        assert refused.status_code == 400, query
        assert refused.json()["error"]["code"] == "bad_arguments"
        assert "/feed?first=N" in refused.json()["error"]["remedy"]


async def test_beyond_the_end_of_the_log_there_is_no_page(desk: OpenDesk, follower: Follower) -> None:
    size = await desk.parts.store.leaf_count()
    for beyond in (1, 10**6, 10**14):
        refused = await follower.ask(f"first={size + beyond}")
        assert refused.status_code == 400
        assert f"it has {size}." in refused.json()["error"]["happened"]
    assert (await follower.ask(f"first={size}")).status_code == 200


async def test_it_is_only_read(follower: Follower) -> None:
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        refused = await follower.ask(method=method)
        assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "GET", b"")


async def test_another_host_is_not_answered(follower: Follower) -> None:
    assert (await follower.ask(host="evil.example")).status_code == 400


async def test_a_log_that_cannot_be_sealed_is_told_in_words(
    desk: OpenDesk, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder of the checkpoint is gone: nothing after it may be called the newest."""
    checkpoint = desk.parts.configuration.state / "checkpoint"
    kept = checkpoint.read_bytes()
    checkpoint.unlink()
    checkpoint.with_name("checkpoint.new").mkdir()
    await desk.suspend("account:M-1")
    refused = await follower.ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["happened"] == "The log cannot be sealed or read now."
    assert str(checkpoint) not in refused.text
    assert "checkpoint" in caplog.text
    checkpoint.with_name("checkpoint.new").rmdir()
    checkpoint.write_bytes(kept)
    await follower.read_all()
    assert follower.memory.barred(["account:M-1"])


async def test_a_log_with_a_gap_is_not_handed_out(
    desk: OpenDesk, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = desk.parts.store
    leaves = store.leaves

    async def without_the_third(**how: int) -> object:
        found = await leaves(**how)  # type: ignore[arg-type]
        return found[:2] + found[3:]

    await filled(desk, 5)
    monkeypatch.setattr(store, "leaves", without_the_third)
    assert (await follower.ask()).status_code == 503


async def test_many_who_ask_at_once_are_answered_in_turn_or_refused_in_words(
    desk: OpenDesk, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, under_way, most = threading.Event(), 0, 0

    def held_up(*what: Any, **how: Any) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        held.wait(30)
        under_way -= 1
        return write_page(*what, **how)

    monkeypatch.setattr(feed_endpoint, "write_page", held_up)
    calls = [asyncio.create_task(follower.ask()) for _ in range(feed_endpoint.WAITING + 5)]
    done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 5:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    for call in done:
        assert call.result().status_code == 503
        error = call.result().json()["error"]
        assert "calls with this token wait for the feed already" in error["happened"]
        assert "[feed.executors]" in error["remedy"]
    held.set()
    for answer in await asyncio.gather(*waiting):
        assert answer.status_code == 200
    assert most == 1
    assert (await follower.ask()).status_code == 200


async def test_one_executor_that_fills_its_places_keeps_no_other_one_out(
    desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "the-token-of-another-executor-0123456789"
    feed = feed_endpoint.Feed(desk.parts.authority, desk.parts.store, desk.parts.sealer, [TOKEN, other])
    made, held = list[str](), threading.Event()

    def held_up(*what: Any, **how: Any) -> bytes:
        held.wait(30)
        return write_page(*what, **how)

    monkeypatch.setattr(feed_endpoint, "write_page", held_up)
    monkeypatch.setattr(feed_endpoint, "REST", 0)

    async def ask(token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(feed), base_url=desk.url, headers=headers) as http:
            answer = await http.get("/feed?first=0")
        if answer.status_code == 200:
            made.append(token)
        return answer.status_code

    greedy = [asyncio.create_task(ask(TOKEN)) for _ in range(feed_endpoint.WAITING + 1)]
    [refused], waiting = await asyncio.wait(greedy, return_when=asyncio.FIRST_COMPLETED)
    assert refused.result() == 503
    modest = [asyncio.create_task(ask(other)) for _ in range(2)]
    await until(lambda: [caller.waiting for caller in feed._callers] == [feed_endpoint.WAITING, 2])
    held.set()
    assert await asyncio.gather(*waiting, *modest) == [200] * (feed_endpoint.WAITING + 2)
    assert made[:4].count(other) == 2, "it waits for one page of the other's before each of its own, and not for all"


async def test_who_does_not_read_the_pages_fills_its_own_places_and_not_the_memory(
    desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that was answered and not taken is held by whoever asked for it; of it one piece is on the way."""
    monkeypatch.setattr(feed_endpoint, "REST", 0)
    await filled(desk, 30, "x" * 30_000)
    other = "the-token-of-another-executor-0123456789"
    feed = feed_endpoint.Feed(desk.parts.authority, desk.parts.store, desk.parts.sealer, [TOKEN, other])
    begun, taken, sent = list[int](), asyncio.Event(), list[list[bytes]]()

    async def receive() -> Any:
        raise AssertionError("a page is asked for without a body")

    async def stall(token: str = TOKEN) -> int:
        pieces, status = list[bytes](), 0

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message.get("more_body"):
                begun.append(len(message["body"]))
                pieces.append(message["body"])
                await taken.wait()

        headers = [(b"authorization", f"Bearer {token}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/feed", "query_string": b"first=0", "headers": headers}
        await feed(scope, receive, send)
        sent.append(pieces)
        return status

    stalled = [asyncio.create_task(stall()) for _ in range(feed_endpoint.WAITING)]
    await until(lambda: len(begun) == feed_endpoint.WAITING)
    assert max(begun) <= 64 * 1024
    async with asyncio.timeout(30):
        assert await stall() == 503
    modest = asyncio.create_task(stall(other))
    await until(lambda: len(begun) == feed_endpoint.WAITING + 1)
    taken.set()
    assert await asyncio.gather(*stalled, modest) == [200] * (feed_endpoint.WAITING + 1)
    assert all(len(FeedPage.model_validate_json(b"".join(each)).leaves) > 30 for each in sent if each)
    assert await stall() == 200


async def test_after_a_page_there_is_a_rest_before_the_next(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks in a loop gets a share of the process."""
    monkeypatch.setattr(feed_endpoint, "REST", 1e9)
    monkeypatch.setattr(feed_endpoint, "LONGEST_REST", 0.5)
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in range(3):
        assert (await follower.ask()).status_code == 200
    assert clock() - began >= 1.0


async def test_tickets_and_those_who_follow_do_not_disturb_each_other(desk: OpenDesk, follower: Follower) -> None:
    """Every page of a log that grows meanwhile is whole, and goes on where the one before it ended."""
    ended = asyncio.Event()

    async def grow() -> None:
        for number in range(60):
            await desk.ai.call("request_credit", account="M-1", amount={"value": f"1.{number:02}", "currency": "EUR"})
        ended.set()

    growing = asyncio.create_task(grow())
    others = [Follower(follower.url, follower.trust) for _ in range(3)]
    while not ended.is_set():
        await asyncio.gather(*(each.read_all() for each in (follower, *others)))
    await growing
    for each in (follower, *others):
        await each.read_all()
        assert each.memory.position == follower.memory.position
    assert follower.memory.position.size == await desk.parts.store.leaf_count()


async def test_without_settings_there_is_no_such_address(tmp_path: Path) -> None:
    async with (
        open_desk(gym_desk(Gym()), tmp_path, policy=POLICY) as plain,
        httpx2.AsyncClient(trust_env=False, timeout=60, headers={"authorization": f"Bearer {TOKEN}"}) as http,
    ):
        answer = await http.get(f"{plain.url}/feed?first=0")
    assert answer.status_code == 404


async def test_two_executors_have_no_token_in_common(desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOTHER", TOKEN)
    both = FeedSettings(token_env="A_FEED_TOKEN", executors={"payments": "ANOTHER"})
    with pytest.raises(SettingsError, match="the same token in A_FEED_TOKEN and in ANOTHER"):
        assert both.tokens
    assert FeedSettings(executors={"payments": "ANOTHER"}).tokens == [TOKEN]
    monkeypatch.setenv("ANOTHER", "y" * 32)
    assert both.tokens == [TOKEN, "y" * 32]
    monkeypatch.delenv("ANOTHER")
    with pytest.raises(SettingsError, match="ANOTHER is not set"):
        assert both.tokens


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (None, "is not set"), ("", "is not set"), ("x" * 31, "holds no token of 32"),
        ("two words and more than thirty-two characters", "holds no token of 32"), ("ü" * 40, "holds no token of 32"),
        ("x" * 40 + "\n", "holds no token of 32"),
    ],
)  # fmt: skip
async def test_a_server_does_not_start_with_a_feed_that_anybody_could_read(
    desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, token: str | None, why: str
) -> None:
    monkeypatch.delenv("A_FEED_TOKEN")
    if token is not None:
        monkeypatch.setenv("A_FEED_TOKEN", token)
    with pytest.raises(SettingsError, match=f"A_FEED_TOKEN {why}"):
        application(desk.parts)


async def test_a_log_that_was_never_sealed_has_no_page(desk: OpenDesk, follower: Follower) -> None:
    desk.parts.sealer.checkpoint = None
    feed = feed_endpoint.Feed(desk.parts.authority, desk.parts.store, desk.parts.sealer, [TOKEN])

    async def nothing() -> None:
        pass

    desk.parts.sealer.seal = nothing  # type: ignore[method-assign]
    with pytest.raises(StoreFailed):
        await feed._page(0)
