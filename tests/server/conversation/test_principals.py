"""Tokens, and for how long a principal that was found is remembered."""

from __future__ import annotations

import asyncio

from counterfoil.leaves import administered
from counterfoil.store import Principal
from counterfoil_server.bearer import token_digest
from counterfoil_server.conversation.principals import REMEMBERED, Principals
from server.conversation.world import World


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Held:
    """A store whose answer is on its way until it is let go."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def principal_by_token(self, token_digest: str) -> Principal | None:
        self.asked.set()
        await self.answer.wait()
        return self._principal


async def disable(world: World, name: str) -> None:
    await world.store.disable_principal(name, administered("disable_principal", name=name))


async def test_a_principal_disabled_elsewhere_is_refused_after_two_seconds(world: World) -> None:
    clock = Clock()
    principals = Principals(world.store, clock)
    header = [f"Bearer {world.token}".encode()]
    found = await principals.of(header)
    assert found is not None
    assert found.id == "agent"
    await disable(world, "agent")
    clock.now += REMEMBERED - 0.1
    assert await principals.of(header) == found
    clock.now += 0.2
    assert await principals.of(header) is None


async def test_a_principal_disabled_here_is_refused_at_once(world: World) -> None:
    principals = Principals(world.store)
    header = [f"Bearer {world.token}".encode()]
    assert await principals.of(header) is not None
    await disable(world, "agent")
    principals.forget()
    assert await principals.of(header) is None


async def test_an_answer_from_before_the_forgetting_is_not_remembered(world: World) -> None:
    held = Held(Principal("agent", None, 0, None))
    principals = Principals(held)  # type: ignore[arg-type]  # the one verb that is asked
    header = [f"Bearer {world.token}".encode()]
    early = asyncio.create_task(principals.of(header))
    await held.asked.wait()
    principals.forget()
    held.answer.set()
    assert await early is not None
    held.asked.clear()
    await principals.of(header)
    assert held.asked.is_set()


async def test_tokens_are_stored_as_digests_only(world: World) -> None:
    assert world.token.startswith("cfp_")
    assert world.token not in token_digest(world.token)
    assert await world.store.principal_by_token(world.token) is None
    assert await world.store.principal_by_token(token_digest(world.token)) is not None
