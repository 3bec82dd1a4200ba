"""``/.well-known/jwks.json``: who verifies from outside finds what the authority signs with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from counterfoil.keys import VerificationKey
from counterfoil.testing import OpenDesk, open_desk
from counterfoil.tokens import ORDER_TYPE, sign
from counterfoil_server.published_keys import PATH, PublishedKeys
from held_keys import held
from server.testing.gym import POLICY, Gym, gym_desk


async def ask(desk: OpenDesk, method: str = "GET", **more: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.request(method, f"{desk.url}/.well-known/jwks.json", **more)


async def published(desk: OpenDesk) -> list[dict[str, str]]:
    keys: list[dict[str, str]] = (await ask(desk)).json()["keys"]
    return keys


async def test_the_ring_is_published_as_public_keys_only(desk: OpenDesk) -> None:
    answer = await ask(desk)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"
    ring = desk.parts.authority.keys
    assert set(answer.json()) == {"keys"}
    for found, kept in zip(answer.json()["keys"], (ring.current, ring.next), strict=True):
        assert set(found) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (found["kty"], found["crv"], found["alg"], found["use"]) == ("EC", "P-256", "ES256", "sig")
        assert found["kid"] == kept.id == VerificationKey.from_jwk(found).id


async def test_a_library_that_knows_nothing_of_ours_verifies_a_token_with_it(desk: OpenDesk) -> None:
    token = sign(held(desk.parts.authority.keys.current), ORDER_TYPE, {"ticket": "cf_1"})
    keys = KeySet.import_key_set({"keys": await published(desk)})  # type: ignore[typeddict-item]
    assert jws.deserialize_compact(token, keys, algorithms=["ES256"]).payload == b'{"ticket":"cf_1"}'


async def test_where_the_store_cannot_be_read_nothing_is_published(tmp_path: Path, gym: Gym) -> None:
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY) as closed:
        app = PublishedKeys(closed.parts.authority)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as http:
        answer = await http.get(PATH)
    assert (answer.status_code, answer.headers["cache-control"], answer.content) == (503, "no-store", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_it_is_only_read(desk: OpenDesk, method: str) -> None:
    refused = await ask(desk, method)
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "GET, HEAD", b"")


async def test_its_head_can_be_asked_for(desk: OpenDesk) -> None:
    answer = await ask(desk, "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/jwk-set+json"


async def test_another_host_is_not_answered(desk: OpenDesk) -> None:
    assert (await ask(desk, headers={"host": "evil.example"})).status_code == 400


async def test_a_key_that_was_stopped_is_not_published(desk: OpenDesk) -> None:
    ring = desk.parts.authority.keys
    await desk.suspend(f"key:{ring.current.id}")
    assert [found["kid"] for found in await published(desk)] == [ring.next.id]
    await desk.resume(f"key:{ring.current.id}")
    assert [found["kid"] for found in await published(desk)] == [ring.current.id, ring.next.id]
