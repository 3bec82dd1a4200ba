"""The authority's own keys: the next one takes its turn, and a stolen one is stopped."""

from __future__ import annotations

import asyncio

import pytest

from capabilities.world import World
from counterfoil import tokens
from counterfoil.authority import Authority
from counterfoil.errors import CapabilityRefused, CounterfoilError, StoreFailed, Suspended, UnknownName
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.leaves import KEYS
from counterfoil.store import Revoked
from counterfoil.tickets import State, Ticket
from held_keys import held


class Folder:
    """Where rings are kept: remembers each, and can be full."""

    def __init__(self, authority: Authority) -> None:
        self.kept: list[KeyRing] = []
        self.full = False
        self._authority = authority

    async def keep(self, ring: KeyRing) -> None:
        leaves = [leaf.event for leaf in await self._authority.store.leaves()]
        assert leaves.count(KEYS) > len(self.kept), "recorded before it is kept"
        assert self._authority.keys is not ring, "kept before it signs"
        await asyncio.sleep(0)
        if self.full:
            raise StoreFailed()
        self.kept.append(ring)


@pytest.fixture
def folder(world: World) -> Folder:
    return Folder(world.authority)


async def approved(world: World, amount: str = "20.00") -> Ticket:
    asked = await world.request(amount={"value": amount, "currency": "EUR"})
    return await world.approve(asked, "ann")


# Rotation -------------------------------------------------------------------------------------------------------------


async def test_the_next_key_signs_and_a_fresh_one_follows_it(world: World, folder: Folder) -> None:
    before = world.authority.keys
    after = await world.authority.rotate_keys(folder.keep)
    assert (after.previous, after.current) == (before.current, before.next)
    assert after.next.id not in before.verification_keys
    assert folder.kept == [after]
    assert world.authority.keys is after


async def test_what_was_signed_before_is_good_through_one_rotation_and_not_two(world: World, folder: Folder) -> None:
    ticket, other = await approved(world), await approved(world, "21.00")
    first, second = await world.authority.mint(ticket.id), await world.authority.mint(other.id)
    await world.authority.rotate_keys(folder.keep)
    claimed, order = await world.authority.redeem(ticket.id, first)
    assert claimed.state is State.EXECUTING
    tokens.verify(order, tokens.ORDER_TYPE, {(key := world.authority.keys.current).id: key.public})
    await world.authority.rotate_keys(folder.keep)
    with pytest.raises(CapabilityRefused):
        await world.authority.redeem(other.id, second)


async def test_a_ring_that_could_not_be_kept_does_not_sign(world: World, folder: Folder) -> None:
    before = world.authority.keys
    folder.full = True
    with pytest.raises(StoreFailed):
        await world.authority.rotate_keys(folder.keep)
    with pytest.raises(StoreFailed):
        await world.authority.revoke_key(before.current.id, "stolen", folder.keep)
    assert world.authority.keys is before
    folder.full = False
    assert (await world.authority.rotate_keys(folder.keep)).previous == before.current


async def test_rotations_at_the_same_moment_come_one_after_the_other(world: World, folder: Folder) -> None:
    await asyncio.gather(*(world.authority.rotate_keys(folder.keep) for _ in range(3)))
    assert world.authority.keys is folder.kept[-1]
    for earlier, later in zip(folder.kept, folder.kept[1:], strict=False):
        assert (later.previous, later.current) == (earlier.current, earlier.next)


async def test_a_rotation_that_was_cut_short_is_finished(world: World, folder: Folder) -> None:
    ring = world.authority.keys
    world.authority.keys = KeyRing(current=ring.next, next=ring.next, previous=ring.current)
    after = await world.authority.rotate_keys(folder.keep)
    assert (after.previous, after.current) == (ring.current, ring.next)
    assert not after.cut_short


async def test_a_key_that_was_stopped_does_not_become_the_one_that_signs(world: World, folder: Folder) -> None:
    before = world.authority.keys
    await world.authority.suspend(f"key:{before.next.id}", "odd")
    after = await world.authority.rotate_keys(folder.keep)
    assert after.previous == before.current
    assert before.next.id not in after.verification_keys
    await world.authority.deliver((await approved(world)).id)


# Revocation -----------------------------------------------------------------------------------------------------------


async def test_the_key_that_signs_is_replaced_and_what_it_signed_is_stopped(world: World, folder: Folder) -> None:
    stolen, follows = world.authority.keys.current, world.authority.keys.next
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    met = await world.authority.revoke_key(stolen.id, "stolen", folder.keep)
    assert (met.found, met.replaced) == (Revoked(1, 0, 0), True)
    assert (world.authority.keys.current, world.authority.keys.previous) == (follows, stolen)
    with pytest.raises(CounterfoilError):
        await world.authority.redeem(ticket.id, capability)
    assert (await world.now(ticket)).state is State.REVOKED
    assert stolen.id not in await world.authority.good_keys()
    delivered = await world.authority.deliver((await approved(world, "21.00")).id)
    assert delivered is not None


async def test_a_capability_that_a_thief_signs_later_is_refused(world: World, folder: Folder) -> None:
    stolen = held(world.authority.keys.current)
    await world.authority.revoke_key(stolen.id, "stolen", folder.keep)
    ticket = await approved(world)
    genuine = await world.authority.mint(ticket.id)
    claims, _ = tokens.read_capability(
        genuine, world.authority.keys.verification_keys, issuer=world.authority.issuer, now=world.store.now()
    )
    with pytest.raises(Suspended):
        await world.authority.redeem(ticket.id, tokens.sign(stolen, tokens.CAPABILITY_TYPE, claims.members()))
    assert (await world.authority.redeem(ticket.id, genuine))[0].state is State.EXECUTING


async def test_the_next_key_is_replaced_before_it_ever_signs(world: World, folder: Folder) -> None:
    before = world.authority.keys
    met = await world.authority.revoke_key(before.next.id, "copied", folder.keep)
    after = world.authority.keys
    assert met.replaced
    assert after.current == before.current
    assert before.next.id not in after.verification_keys


async def test_the_previous_key_is_stopped_and_the_ring_stays(world: World, folder: Folder) -> None:
    ring = await world.authority.rotate_keys(folder.keep)
    assert ring.previous is not None
    met = await world.authority.revoke_key(ring.previous.id, "stolen", folder.keep)
    assert not met.replaced
    assert world.authority.keys is ring
    assert set(await world.authority.good_keys()) == {ring.current.id, ring.next.id}


async def test_a_key_that_signs_already_and_was_to_be_the_next_is_replaced_in_both_places(
    world: World, folder: Folder
) -> None:
    ring = world.authority.keys
    world.authority.keys = KeyRing(current=ring.next, next=ring.next, previous=ring.current)
    await world.authority.revoke_key(ring.next.id, "stolen", folder.keep)
    after = world.authority.keys
    assert after.previous == ring.next
    assert ring.next.id not in (after.current.id, after.next.id)
    assert not after.cut_short


async def test_when_the_whole_ring_was_stolen_each_key_can_be_revoked(world: World, folder: Folder) -> None:
    ring = await world.authority.rotate_keys(folder.keep)
    for key in ring.places.values():
        await world.authority.revoke_key(key.id, "stolen", folder.keep)
    assert not set(ring.verification_keys) & set(await world.authority.good_keys())
    await world.authority.deliver((await approved(world)).id)


async def test_revoking_a_key_again_changes_nothing(world: World, folder: Folder) -> None:
    stolen = world.authority.keys.current
    await world.authority.revoke_key(stolen.id, "stolen", folder.keep)
    ring = world.authority.keys
    met = await world.authority.revoke_key(stolen.id, "again", folder.keep)
    assert (met.found, met.replaced) == (Revoked(0, 0, 0), False)
    assert world.authority.keys is ring


async def test_an_unknown_key_is_refused_with_those_there_are(world: World, folder: Folder) -> None:
    ring = world.authority.keys
    with pytest.raises(UnknownName) as caught:
        await world.authority.revoke_key(SigningKey.generate().id, "typo", folder.keep)
    assert all(f"{key.id} ({place})" in caught.value.remedy for place, key in ring.places.items())
    assert (world.authority.keys, await world.store.suspensions(), folder.kept) == (ring, [], [])


async def test_what_was_carried_out_with_a_key_is_counted_long_after(world: World, folder: Folder) -> None:
    signs = world.authority.keys.current
    await world.authority.deliver((await approved(world)).id)
    world.clock.at += 3600
    met = await world.authority.revoke_key(signs.id, "stolen", folder.keep)
    assert met.found == Revoked(0, 1, 0)
