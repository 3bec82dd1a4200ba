"""A person joins with an invitation, two gestures, and a message to everyone it concerns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from counterfoil import recipients
from counterfoil.canonical import b64, unb64
from counterfoil.roster import End
from counterfoil_server.testing import PageClient, PageRefused, PasskeyRefused
from server.verification.world import ANA, BO, FAY, World


async def registered(client: PageClient, url: str) -> tuple[str, dict[str, Any]]:
    """The address of an invitation, and a fresh passkey's answer to it."""
    path = await client.open(url)
    return path, client.authenticator.create(await client.post(f"{path}/options"), client.origin)


async def test_an_invited_person_enrols_a_passkey_that_the_roster_then_verifies(world: World) -> None:
    ana = world.client()
    await ana.enrol(await world.invite(ANA))
    (credential,) = (await world.authority.judge.roster()).credentials_of(ANA)
    assert credential.id == b64(ana.authenticator.passkeys[0].id)
    assert not credential.backup_eligible
    leaf = (await world.store.leaves())[-1]
    assert leaf.event == "enrol"


async def test_every_channel_of_the_person_is_told_the_former_ones_too(world: World) -> None:
    await world.invite(ANA, channels=["ana@before.example"])
    await world.client().enrol(await world.invite(ANA, channels=["ana@new.example", "+46 70 000"]))
    told = await world.notices(recipients.ENROLLED)
    assert {notice.address for notice in told} == {"ana@before.example", "ana@new.example", "+46 70 000"}
    assert {(notice.recipient, notice.ticket) for notice in told} == {(ANA, None)}


async def test_a_request_made_before_the_holder_had_a_passkey_waits_for_them(world: World) -> None:
    ticket = await world.request()
    assert await world.notices(recipients.APPROVE, ticket) == []
    ana, before = world.client(), len(world.decided)
    await ana.enrol(await world.invite(ANA))
    (asked,) = await world.notices(recipients.APPROVE, ticket)
    assert (asked.recipient, asked.address, asked.seat) == (ANA, "ana@new.example", "holder")
    assert len(world.decided) == before + 1
    await ana.open_and_decide(await world.link(ticket), "approve", world.authority.match_code(ticket.id))
    assert await world.state(ticket) == "approved"


async def test_another_passkey_asks_about_nothing_that_was_asked_before(world: World) -> None:
    await world.enrolled(ANA)
    ticket = await world.request()
    await world.client().enrol(await world.invite(ANA))
    assert len(await world.notices(recipients.APPROVE, ticket)) == 1


async def test_spent_expired_ended_and_unknown_invitations_look_alike(world: World) -> None:
    spent, expired, ended = await world.invite(ANA), await world.invite(BO, life=60), await world.invite(FAY)
    await world.client().enrol(spent)
    world.clock.seconds += 61
    now = world.store.now()
    await world.record(lambda version, head: End(version=version, previous=head, what="person", id=FAY, iat=now))
    client = world.client()
    paths = [spent, expired, ended, "/enrol/x", "/enrol/" + b64(bytes(32)), "/enrol/" + b64(b"x" * 32)]
    answers = [await client.http.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_an_invitation_is_spent_when_the_log_says_so_whatever_the_rows_say(world: World, tmp_path: Path) -> None:
    spent = await world.invite(ANA)
    await world.client().enrol(spent)
    with closing(sqlite3.connect(tmp_path / "counterfoil.db", isolation_level=None)) as connection:
        assert connection.execute("DELETE FROM enrolment").rowcount == 1
    assert (await world.client().http.get(spent)).status_code == 404


async def test_two_who_use_one_invitation_at_once_enrol_one_passkey(world: World) -> None:
    url = await world.invite(ANA)
    first, second = world.client(), world.client()
    path, answer = await registered(second, url)
    asked = await second.post(f"{path}/passkey", answer)
    await first.enrol(url)
    with pytest.raises(PageRefused):
        await second.post(f"{path}/signature", second.authenticator.get(asked, world.origin))
    assert len((await world.authority.judge.roster()).credentials_of(ANA)) == 1


async def test_the_invitations_page_names_nobody_and_its_secret_is_not_stored(world: World, tmp_path: Path) -> None:
    url = await world.invite(ANA)
    client = world.client()
    await client.open(url)
    assert "Ana" not in client.page.html
    await client.enrol(url)
    with closing(sqlite3.connect(tmp_path / "counterfoil.db")) as connection:
        stored = "\n".join(connection.iterdump())
    assert url.rpartition("/")[2] not in stored


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("user_verified", False),
        ("user_present", False),
        ("origin", "https://evil.example"),
        ("cross_origin", True),
    ],
)
@pytest.mark.parametrize("gesture", [1, 2])
async def test_both_gestures_must_verify(world: World, attribute: str, value: object, gesture: int) -> None:
    client = world.client()
    if gesture == 1:
        setattr(client.authenticator, attribute, value)
    path, answer = await registered(client, await world.invite(ANA))
    if gesture == 1:
        with pytest.raises(PageRefused, match="statement_refused"):
            await client.post(f"{path}/passkey", answer)
    else:
        asked = await client.post(f"{path}/passkey", answer)
        setattr(client.authenticator, attribute, value)
        with pytest.raises(PageRefused, match="did not sign properly"):
            await client.post(f"{path}/signature", client.authenticator.get(asked, world.origin))
    assert not (await world.authority.judge.roster()).credentials


async def test_the_new_passkey_itself_must_sign_the_enrolment(world: World) -> None:
    client = world.client()
    path, answer = await registered(client, await world.invite(ANA))
    asked = await client.post(f"{path}/passkey", answer)
    client.authenticator.sign_with = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(PageRefused, match="did not sign properly"):
        await client.post(f"{path}/signature", client.authenticator.get(asked, world.origin))
    client.authenticator.sign_with = None
    with pytest.raises(PageRefused, match="too late"):
        await client.post(f"{path}/signature", client.authenticator.get(asked, world.origin))
    assert (await world.store.roster())[1] == []


async def test_a_passkey_that_may_be_copied_is_enrolled_as_such(world: World) -> None:
    ana = world.client()
    ana.authenticator.backup_eligible = True
    await ana.enrol(await world.invite(ANA))
    assert (await world.authority.judge.roster()).credentials_of(ANA)[0].backup_eligible


async def test_a_registration_counts_once_in_time_and_in_its_own_browser(world: World) -> None:
    url = await world.invite(ANA)
    client, thief = world.client(), world.client()
    path, answer = await registered(client, url)
    await thief.open(url)
    with pytest.raises(PageRefused, match="too late"):
        await thief.post(f"{path}/passkey", answer)
    with pytest.raises(PageRefused, match="too late"):
        await client.post(f"{path}/passkey", answer)
    path, answer = await registered(client, url)
    world.clock.seconds += 301
    with pytest.raises(PageRefused, match="too late"):
        await client.post(f"{path}/passkey", answer)


async def test_a_passkey_that_somebody_has_enrolled_is_refused(world: World) -> None:
    ana = await world.enrolled(ANA)
    bo = world.client(ana.authenticator)
    path = await bo.open(await world.invite(BO))
    options = await bo.post(f"{path}/options")
    assert "excludeCredentials" not in options or not options["excludeCredentials"]
    answer = ana.authenticator.create(options, world.origin)
    answer = with_attestation(answer, lambda data: replace_id(data, ana.authenticator.passkeys[0].id))
    answer["id"] = answer["rawId"] = b64(ana.authenticator.passkeys[0].id)
    with pytest.raises(PageRefused, match="enrolled already"):
        await bo.post(f"{path}/passkey", answer)


async def test_an_authenticator_that_holds_a_passkey_of_the_person_is_not_used_twice(world: World) -> None:
    ana = await world.enrolled(ANA)
    with pytest.raises(PasskeyRefused, match="already holds"):
        await ana.enrol(await world.invite(ANA))


def with_attestation(answer: dict[str, Any], change: Callable[[bytes], bytes]) -> dict[str, Any]:
    """The answer with other authenticator data."""
    attestation = cbor2.loads(unb64(answer["response"]["attestationObject"]))
    attestation["authData"] = change(attestation["authData"])
    return {**answer, "response": {**answer["response"], "attestationObject": b64(cbor2.dumps(attestation))}}


def replace_id(data: bytes, other: bytes) -> bytes:
    """Authenticator data that names another credential of the same length."""
    return data[:55] + other + data[55 + len(other) :]


def with_key(key: dict[int, Any]) -> Callable[[bytes], bytes]:
    """Authenticator data with another COSE key."""
    return lambda data: data[: 55 + 32] + cbor2.dumps(key)


def cose(algorithm: int, curve: ec.EllipticCurve, name: int) -> dict[int, Any]:
    """A genuine elliptic-curve key that claims an algorithm (RFC 9053, section 7.1.1)."""
    numbers = ec.generate_private_key(curve).public_key().public_numbers()
    length = (curve.key_size + 7) // 8
    return {1: 2, 3: algorithm, -1: name, -2: numbers.x.to_bytes(length, "big"), -3: numbers.y.to_bytes(length, "big")}


FOREIGN_KEYS = {
    "Ed25519": {1: 1, 3: -8, -1: 6, -2: ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()},
    "RSA": {1: 3, 3: -257, -1: b"\xc1" + b"\xff" * 255, -2: b"\x01\x00\x01"},
    "P-384": cose(-7, ec.SECP384R1(), 2),
    "P-256 for RS256": cose(-257, ec.SECP256R1(), 1),
    "off the curve": {1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x02" * 32},
    "nothing": {},
}


@pytest.mark.parametrize("kind", FOREIGN_KEYS)
async def test_only_p256_keys_are_enrolled(world: World, kind: str) -> None:
    client = world.client()
    path, answer = await registered(client, await world.invite(ANA))
    with pytest.raises(PageRefused) as refused:
        await client.post(f"{path}/passkey", with_attestation(answer, with_key(FOREIGN_KEYS[kind])))
    assert refused.value.answer["code"] == "statement_refused"


@pytest.mark.parametrize("attestation", ["AAAA", b64(cbor2.dumps({})), b64(cbor2.dumps([1])), b64(b"\xff" * 500)])
async def test_an_unreadable_attestation_is_refused(world: World, attestation: str) -> None:
    client = world.client()
    path, answer = await registered(client, await world.invite(ANA))
    answer["response"]["attestationObject"] = attestation
    with pytest.raises(PageRefused) as refused:
        await client.post(f"{path}/passkey", answer)
    assert (refused.value.status, refused.value.answer["code"]) == (403, "statement_refused")
