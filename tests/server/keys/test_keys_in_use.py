"""A ring that changes while the desk is being served: what is signed, redeemed, run and published follows at once."""

from __future__ import annotations

import httpx2
import pytest

from counterfoil.canonical import parse_strict, unb64
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.testing import Asked, OpenDesk, Person, ToolRefused, money
from counterfoil.tickets import Ticket
from held_keys import held
from remote_key import RemoteKey
from server.keys import thief
from server.testing.gym import Gym


@pytest.fixture
async def ada(desk: OpenDesk) -> Person:
    return await desk.enrol("Ada", account="M-1")


async def open_locker(desk: OpenDesk, holder: Person, account: str = "M-1") -> tuple[Asked, str]:
    """An approved request, and the capability with which the AI may redeem it."""
    asked = await desk.ai.request("open_locker", account=account)
    await holder.approves(asked)
    return asked, str((await desk.ai.status(asked))["capability"])


async def published(desk: OpenDesk) -> list[str]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        keys = (await http.get(f"{desk.url}/.well-known/jwks.json")).json()["keys"]
    return [key["kid"] for key in keys]


async def test_a_capability_from_before_a_rotation_is_redeemed_after_it_and_the_desk_goes_on(
    desk: OpenDesk, ada: Person, gym: Gym
) -> None:
    asked, capability = await open_locker(desk, ada)
    ring = desk.parts.authority.keys
    answer = await desk.administer("keys_rotate")
    assert (answer["previous"], answer["current"]) == (ring.current.id, ring.next.id)
    assert (await desk.ai.redeem(asked, capability))["status"] == "executed"
    other = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(other)
    assert (await desk.settled(other)).state == "executed"
    assert list(gym.done) == [asked.ticket, other.ticket]


async def test_the_serving_process_signs_and_publishes_with_the_ring_that_its_files_hold(
    desk: OpenDesk, ada: Person
) -> None:
    answer = await desk.administer("keys_rotate")
    _, capability = await open_locker(desk, ada)
    assert key_of(capability) == answer["current"]
    assert await published(desk) == [answer[place] for place in ("previous", "current", "next")]
    files = thief.ring_files(desk)
    held = {place: thief.taken_from(files / f"authority-{place}.pem").id for place in answer}
    assert held == answer


async def redeemed(desk: OpenDesk, holder: Person, account: str) -> tuple[Ticket, str]:
    """A ticket that was claimed, and its order, which the executor has not got yet."""
    asked, capability = await open_locker(desk, holder, account)
    return await desk.parts.authority.redeem(asked.ticket, capability, presenter="assistant")


async def test_an_order_from_before_one_rotation_is_run_and_from_before_two_is_not(
    desk: OpenDesk, ada: Person, gym: Gym
) -> None:
    first, order = await redeemed(desk, ada, "M-1")
    second, late = await redeemed(desk, await desk.enrol("Bo", account="M-2"), "M-2")
    await desk.administer("keys_rotate")
    assert await thief.hands_over(desk, first, order) == "executed"
    await desk.administer("keys_rotate")
    assert await thief.hands_over(desk, second, late) == "not_executed"
    assert list(gym.done) == [first.id]


async def test_an_order_of_a_revoked_key_is_not_run_whoever_signed_it(desk: OpenDesk, ada: Person, gym: Gym) -> None:
    stolen = held(desk.parts.authority.keys.current)
    first, order = await redeemed(desk, ada, "M-1")
    await desk.administer("keys_revoke", key=stolen.id)
    assert await thief.hands_over(desk, first, order) == "not_executed"
    second, _ = await redeemed(desk, await desk.enrol("Bo", account="M-2"), "M-2")
    assert await thief.hands_over(desk, second, await thief.order(desk, stolen, second.id)) == "not_executed"
    third, good = await redeemed(desk, await desk.enrol("Cy", account="M-3"), "M-3")
    assert await thief.hands_over(desk, third, good) == "executed"
    assert list(gym.done) == [third.id]


async def test_a_rotation_is_on_the_log(desk: OpenDesk) -> None:
    await desk.administer("keys_rotate")
    leaves = await desk.parts.store.leaves()
    assert [leaf.event for leaf in leaves].count("keys") == 1
    assert await desk.parts.store.verify_log() == len(leaves)


async def test_revoking_the_key_that_signs_stops_what_it_signed_and_the_desk_goes_on(
    desk: OpenDesk, ada: Person, gym: Gym
) -> None:
    stopped, capability = await open_locker(desk, ada)
    ring = desk.parts.authority.keys
    answer = await desk.administer("keys_revoke", key=ring.current.id, reason="copied")
    assert answer == {
        "key": ring.current.id, "scope": f"key:{ring.current.id}", "replaced": True, "signs": ring.next.id,
        "revoked": 1, "executing": 0, "done": 0, "grants": 0,
    }  # fmt: skip
    with pytest.raises(ToolRefused):
        await desk.ai.redeem(stopped, capability)
    assert (await desk.ticket(stopped)).state == "revoked"
    assert ring.current.id not in await published(desk)
    other = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(other)
    assert (await desk.settled(other)).state == "executed"
    assert list(gym.done) == [other.ticket]


async def test_the_scope_of_a_key_is_the_same_way(desk: OpenDesk) -> None:
    ring = desk.parts.authority.keys
    await desk.revoke(f"key:{ring.current.id}")
    assert desk.parts.authority.keys.current == ring.next
    assert [each["stopped"] for each in await desk.administer("keys_list")] == ["for good", None, None]


async def test_access_that_was_opened_with_it_ends_and_what_was_done_is_counted(desk: OpenDesk, ada: Person) -> None:
    chat = await desk.ai.start_conversation()
    await ada.approves(await chat.request("access", account="M-1"))
    done = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(done)
    assert (await desk.settled(done)).state == "executed"
    answer = await desk.administer("keys_revoke", key=desk.parts.authority.keys.current.id)
    assert (answer["grants"], answer["done"]) == (1, 2)


async def test_a_collected_request_whose_order_cannot_be_signed_is_under_way_and_then_done(
    desk: OpenDesk, ada: Person, gym: Gym
) -> None:
    remote = RemoteKey()
    desk.parts.authority.keys = KeyRing(remote, SigningKey.generate())
    asked, capability = await open_locker(desk, ada)
    remote.answers = ["fails"]
    assert (await desk.ai.redeem(asked, capability))["status"] in ("executing", "executed")
    assert (await desk.settled(asked)).state == "executed"
    assert remote.answers == []
    assert list(gym.done) == [asked.ticket]


async def test_while_nobody_signs_the_ai_is_handed_no_capability_and_told_nothing_else(
    desk: OpenDesk, ada: Person
) -> None:
    remote = RemoteKey(["fails"])
    desk.parts.authority.keys = KeyRing(remote, SigningKey.generate())
    asked = await desk.ai.request("open_locker", account="M-1")
    await ada.approves(asked)
    waiting = await desk.ai.status(asked)
    assert (waiting["status"], "capability" in waiting.values) == ("approved", False)
    assert "vault.internal" not in waiting.words + str(waiting.values)
    assert (await desk.ai.redeem(asked, (await desk.ai.status(asked))["capability"]))["status"] == "executed"


def key_of(capability: str) -> str:
    header = parse_strict(unb64(capability.split(".")[0]))
    assert isinstance(header, dict)
    return str(header["kid"])
