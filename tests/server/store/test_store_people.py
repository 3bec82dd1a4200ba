"""Principals, roster records, enrolments, secrets and settings."""

from __future__ import annotations

import asyncio

import pytest

from counterfoil.errors import LinkRefused, RosterRefused, UnknownName
from counterfoil.store import Call, Principal, Secret
from counterfoil_server.store import people_verbs
from server.store.world import START, HandClock, World, leaf


async def test_a_principal_is_found_by_its_token_until_it_is_disabled(world: World) -> None:
    store = world.store
    principal = Principal("shop", "ann", START, None)
    await store.add_principal(principal, "digest", leaf("add_principal"))
    assert await store.principal_by_token("digest") == principal
    assert await store.principal_by_token("other") is None
    await store.disable_principal("shop", leaf("disable_principal"))
    assert await store.principal_by_token("digest") is None
    assert await store.principals() == [Principal("shop", "ann", START, START)]
    await store.disable_principal("shop", leaf("disable_principal"))
    assert [each.event for each in await store.leaves()] == ["add_principal", "disable_principal"]


async def test_names_and_tokens_of_principals_are_unique(world: World) -> None:
    store = world.store
    await store.add_principal(Principal("shop", None, START, None), "digest", leaf("add_principal"))
    for name, digest in (("shop", "other"), ("other", "digest")):
        with pytest.raises(UnknownName, match="exists already"):
            await store.add_principal(Principal(name, None, START, None), digest, leaf("add_principal"))
    with pytest.raises(UnknownName, match="no principal"):
        await store.disable_principal("nobody", leaf("disable_principal"))
    assert len(await store.leaves()) == 1


async def test_roster_records_follow_each_other_without_a_gap(world: World) -> None:
    store = world.store
    await store.add_roster_record("one", version=1, leaf=leaf("roster"))
    for version in (1, 3):
        with pytest.raises(RosterRefused, match="next version is 2"):
            await store.add_roster_record("x", version=version, leaf=leaf("roster"))
    await store.add_roster_record("two", version=2, leaf=leaf("roster"))
    assert await store.roster() == (["one", "two"], [])
    assert len(await store.leaves()) == 2


@pytest.mark.parametrize("at_once", [0, 200])
async def test_a_large_roster_is_read_like_a_small_one(
    world: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(people_verbs, "READ_AT_ONCE", at_once)
    for version, record in enumerate(("one", "two", "three"), 1):
        await world.store.add_roster_record(record, version=version, leaf=leaf("roster"))
    await world.store.put_secret(Secret("invitation", "inv", "ann", {}, START + 60))
    await world.store.add_enrolment("own", invitation="inv", credential="key", leaf=leaf("enrol"))
    assert await world.store.roster() == (["one", "two", "three"], ["own"])


async def test_of_two_roster_changes_at_once_one_is_refused(world: World) -> None:
    results = await asyncio.gather(
        *(world.store.add_roster_record(name, version=1, leaf=leaf("roster")) for name in "ab"), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "RosterRefused"]


async def test_an_invitation_enrols_one_credential_and_a_credential_is_enrolled_once(world: World) -> None:
    store = world.store
    await store.put_secret(Secret("invitation", "inv", "ann", {}, START + 60))
    await store.add_enrolment("record", invitation="inv", credential="key-1", leaf=leaf("enrol"))
    assert await store.secret("invitation", "inv") is None
    for invitation, credential in (("inv", "key-2"), ("inv-2", "key-1")):
        with pytest.raises(LinkRefused):
            await store.add_enrolment("other", invitation=invitation, credential=credential, leaf=leaf("enrol"))
    assert await store.roster() == ([], ["record"])
    assert len(await store.leaves()) == 1


async def test_a_secret_is_taken_by_exactly_one_caller(world: World) -> None:
    secret = Secret("link", "digest", "tk", {"seat": "holder", "deep": [1, None]}, START + 60)
    await world.store.put_secret(secret)
    assert await world.store.secret("link", "digest") == secret
    taken = await asyncio.gather(*(world.store.take_secret("link", "digest") for _ in range(50)))
    assert [each for each in taken if each is not None] == [secret]


async def test_unknown_foreign_and_expired_secrets_answer_alike(world: World, clock: HandClock) -> None:
    store = world.store
    await store.put_secret(Secret("link", "digest", "tk", {}, START + 60))
    assert await store.take_secret("session", "digest") is None
    assert await store.take_secret("link", "unknown") is None
    clock.time += 60
    assert await store.secret("link", "digest") is None
    assert await store.take_secret("link", "digest") is None


async def test_a_secret_put_again_has_the_new_data_and_time(world: World, clock: HandClock) -> None:
    await world.store.put_secret(Secret("session", "digest", "ann", {"step": 1}, START + 60))
    renewed = Secret("session", "digest", "ann", {"step": 2}, START + 120)
    await world.store.put_secret(renewed)
    clock.time += 60
    assert await world.store.secret("session", "digest") == renewed


async def test_calls_and_settings_are_kept(world: World) -> None:
    store = world.store
    calls = [Call(START + turn, "shop", "request_refund", None, "ok", "digest") for turn in range(3)]
    await store.record_calls(calls)
    assert await store.calls(limit=2) == calls[:0:-1]
    assert await store.setting("party") is None
    await store.put_setting("party", "example.com")
    await store.put_setting("party", "example.org")
    assert await store.setting("party") == "example.org"
