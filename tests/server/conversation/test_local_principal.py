"""The principal of this machine's user: who it is, that it stays who it is, and that no token leads to it."""

from __future__ import annotations

import anyio
import pytest

from counterfoil.errors import Unauthenticated
from counterfoil.leaves import administered
from counterfoil_server.bearer import PATTERN, new_token, token_digest
from counterfoil_server.conversation.local_principal import LocalPrincipals, tokenless
from counterfoil_server.conversation.principals import Principals
from server.conversation.world import World


async def test_it_is_named_by_host_and_user(world: World) -> None:
    principal = await LocalPrincipals(world.store, lambda: "ada-laptop").of(1000)
    assert (principal.id, principal.owner, principal.disabled_at) == ("local:ada-laptop:1000", None, None)


async def test_a_machine_that_is_renamed_keeps_its_principal(world: World) -> None:
    first = await LocalPrincipals(world.store, lambda: "ada-laptop").of(1000)
    assert await LocalPrincipals(world.store, lambda: "renamed").of(1000) == first


@pytest.mark.parametrize(("host", "name"), [('a|b":c d\\é', "a-b--c-d--"), ("", "localhost"), ("x" * 100, "x" * 60)])
async def test_any_host_name_makes_a_plain_one(world: World, host: str, name: str) -> None:
    assert (await LocalPrincipals(world.store, lambda: host).of(0)).id == f"local:{name}:0"


async def test_two_first_calls_at_once_make_one(world: World) -> None:
    principals = LocalPrincipals(world.store)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(principals.of, 1000)
    assert len([each for each in await world.store.principals() if each.id.startswith("local:")]) == 1


async def test_once_disabled_it_is_refused_for_good(world: World) -> None:
    name = (await LocalPrincipals(world.store).of(1000)).id
    await world.store.disable_principal(name, administered("principal_disabled", principal=name))
    for principals in (LocalPrincipals(world.store), LocalPrincipals(world.store, lambda: "renamed")):
        with pytest.raises(Unauthenticated, match="disabled"):
            await principals.of(1000)


async def test_no_bearer_token_leads_to_it(world: World) -> None:
    stored = tokenless((await LocalPrincipals(world.store).of(1000)).id)
    assert PATTERN.fullmatch(stored.encode()) is None
    assert ":" not in token_digest(new_token())
    assert await Principals(world.store).of([f"Bearer {stored}".encode()]) is None
