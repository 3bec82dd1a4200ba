"""The roster's chains, each link attacked (T49)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from capabilities.world import PARTY, START, Office, Passkey, staffed_office
from counterfoil import tokens
from counterfoil.assertions import RelyingParty
from counterfoil.canonical import b64, canonical
from counterfoil.errors import RosterRefused
from counterfoil.keys import SigningKey
from counterfoil.roster import (
    NO_RECORD,
    Invitation,
    LastRecord,
    RosterTrust,
    SignedEnrolment,
    read_record,
    record_digest,
    secret_key_of,
    sign_record,
    verify_roster,
)
from counterfoil.statements import APPROVE_NAMESPACE, challenge


def office_of_two() -> Office:
    office = Office()
    for person, accounts in (("ann", ("A-1",)), ("ben", ("A-2",))):
        office.enrol(office.invite(person, accounts=accounts), person, Passkey(b64(person.encode())))
    return office


def refuse(office: Office, **changes: Any) -> str:
    """That the roster is refused; answers why."""
    given: dict[str, Any] = {
        "records": office.records,
        "enrolments": office.enrolments,
        "trust": office.trust(),
    } | changes
    with pytest.raises(RosterRefused) as caught:
        verify_roster(given["records"], given["enrolments"], given["trust"])
    return str(caught.value)


def test_the_roster_says_who_holds_what_and_signs_with_what() -> None:
    office, passkeys = staffed_office()
    roster = office.roster()
    assert roster.version == 7
    assert roster.head == office.head
    assert {person.id for person in roster.holders("A-1")} == {"ann", "fil"}
    assert {person.id for person in roster.staff("finance")} == {"fay", "fox", "fil", "ivo"}
    known = roster.signer(passkeys["ann"].credential)
    assert known is not None
    assert (known[0].public_key, known[1].name) == (passkeys["ann"].public_key, "Ann")
    assert [credential.id for credential in roster.credentials_of("ben")] == [passkeys["ben"].credential]
    assert roster.credentials_of("ben")[0].backup_eligible is False
    assert roster.signer("unknown") is None


def test_an_empty_roster_is_nobody() -> None:
    roster = Office().roster()
    assert (roster.version, dict(roster.people), roster.head) == (0, {}, NO_RECORD)


# Records --------------------------------------------------------------------------------------------------------------


def test_T49_removed_reordered_and_repeated_records_are_noticed() -> None:
    office, _ = staffed_office()
    records = office.records
    for attacked in (
        records[1:],
        records[:3] + records[4:],
        [records[1], records[0], *records[2:]],
        [*records, records[-1]],
        [records[0], *records],
    ):
        refuse(office, records=attacked)


def test_T49_a_roster_that_was_rolled_back_is_older_than_what_was_seen() -> None:
    office, _ = staffed_office()
    office.end("person", "fay")
    seen = office.trust(minimum_version=len(office.records))
    verify_roster(office.records, office.enrolments, seen)
    reason = refuse(office, records=office.records[:-1], trust=seen)
    assert "7" in reason
    assert "8" in reason


def test_T49_a_record_signed_by_another_key_is_noticed() -> None:
    office = office_of_two()
    genuine, office.key = office.key, SigningKey.generate()
    office.invite("eve", accounts=["A-1"])
    trust = RosterTrust({genuine.id: genuine.public}, 0, PARTY)
    assert "Record 3" in refuse(office, trust=trust)


def test_T49_every_changed_record_is_noticed() -> None:
    office = office_of_two()
    header, payload, signature = office.records[1].split(".")
    claims = read_record(office.records[1])
    changed = b64(canonical(claims | {"roles": ["finance"]}))
    for text in (
        f"{header}.{changed}.{signature}",
        f"{header}.{payload}.{'B' if signature.startswith('A') else 'A'}{signature[1:]}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        "",
    ):
        assert "Record 2" in refuse(office, records=[office.records[0], text])


def test_T49_a_genuine_record_of_another_roster_or_place_does_not_fit() -> None:
    office, other = office_of_two(), office_of_two()
    other.key = office.key
    other.records.clear()
    other.invite("eve", accounts=["A-9"])
    other.invite("mal", accounts=["A-1"])
    assert "Record 2" in refuse(office, records=[office.records[0], other.records[1]], enrolments=[])


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 4},
        {"version": 2},
        {"version": 0},
        {"previous": NO_RECORD},
        {"previous": ""},
    ],
)
def test_T49_numbers_and_digests_of_records_have_no_gaps(changes: dict[str, Any]) -> None:
    office = office_of_two()
    office.invite("eve", **changes)
    assert "Record 3" in refuse(office)


@pytest.mark.parametrize(
    "edit",
    [
        {"type": "enrolment"},
        {"type": None},
        {"surprise": 1},
        {"roles": "finance"},
        {"version": "3"},
        {"version": 3.5},
        {"v": 2},
    ],
)
def test_a_record_that_cannot_be_understood_is_no_record(edit: dict[str, Any]) -> None:
    office = office_of_two()
    office.invite("eve")
    claims = read_record(office.records.pop()) | edit
    office.records.append(tokens.sign(office.key, "cf-roster+jwt", claims))
    assert "Record 3" in refuse(office)


def test_a_token_of_another_kind_by_the_same_key_is_no_record() -> None:
    office = office_of_two()
    office.invite("eve")
    claims = read_record(office.records.pop())
    office.records.append(tokens.sign(office.key, tokens.ORDER_TYPE, claims))
    assert "Record 3" in refuse(office)


def test_a_later_invitation_replaces_what_was_said_of_a_person() -> None:
    office = office_of_two()
    office.invite("ann", accounts=["A-3"], roles=["finance"])
    ann = office.roster().people["ann"]
    assert (ann.accounts, ann.roles) == (frozenset({"A-3"}), frozenset({"finance"}))
    assert office.roster().signer(b64(b"ann")) is not None


# Ends -----------------------------------------------------------------------------------------------------------------


def test_an_ended_person_holds_and_signs_nothing_for_good() -> None:
    office, passkeys = staffed_office()
    office.end("person", "fil")
    office.invite("fil", accounts=["A-1"], roles=["finance"])
    roster = office.roster()
    assert roster.people["fil"].ended
    assert roster.signer(passkeys["fil"].credential) is None
    assert "fil" not in {person.id for person in [*roster.holders("A-1"), *roster.staff("finance")]}


def test_an_ended_credential_signs_nothing_and_another_one_goes_on() -> None:
    office = office_of_two()
    office.enrol(office.invite("ann", accounts=["A-1"]), "ann", Passkey(b64(b"second")))
    office.end("credential", b64(b"ann"))
    roster = office.roster()
    assert roster.signer(b64(b"ann")) is None
    assert roster.signer(b64(b"second")) is not None
    assert [credential.id for credential in roster.credentials_of("ann")] == [b64(b"second")]


def test_the_ids_of_people_and_credentials_are_different_names() -> None:
    office = Office()
    office.enrol(office.invite("twin", accounts=["A-1"]), "twin", Passkey("other"))
    office.enrol(office.invite("other", accounts=["A-2"]), "other", Passkey("twin"))
    office.end("credential", "twin")
    roster = office.roster()
    assert roster.signer("other") is not None
    assert not roster.people["twin"].ended
    office.end("person", "twin")
    assert office.roster().signer("other") is None
    assert not office.roster().people["other"].ended


# Enrolments -----------------------------------------------------------------------------------------------------------


def test_T49_an_enrolment_needs_an_invitation_of_its_own() -> None:
    office = office_of_two()
    stranger = sign_record(
        SigningKey.generate(),
        Invitation(
            version=1, previous=NO_RECORD, person="eve", name="Eve", accounts=("A-1",), roles=(), channels=(),
            secret_key=secret_key_of(b"e" * 32), iat=START, exp=START + 10,
        ),
    )  # fmt: skip
    office.enrol(stranger, "eve", Passkey("ZXZl"), secret=b"e" * 32)
    assert "invitation" in refuse(office)


def test_T49_an_invitation_enrols_one_credential() -> None:
    office = office_of_two()
    office.enrol(office.records[0], "ann", Passkey("c2Vjb25k"))
    assert "invitation" in refuse(office)


def test_T49_a_credential_is_one_persons() -> None:
    office = office_of_two()
    office.enrol(office.invite("eve", accounts=["A-1"]), "eve", Passkey(b64(b"ann")))
    assert "invitation" in refuse(office)


@pytest.mark.parametrize(
    "changes",
    [
        {"person": "ben"},
        {"iat": START - 1001},
        {"iat": START + 1001},
        {"party": "evil.example"},
        {"public_key": Passkey("eA").public_key},
        {"backup_eligible": False},
        {"v": 2},
    ],
)
def test_T49_an_enrolment_that_says_something_else_is_refused(changes: dict[str, Any]) -> None:
    office = Office()
    given: dict[str, Any] = {"person": "ann"} | {
        name: b64(value) if isinstance(value, bytes) else value for name, value in changes.items()
    }
    office.enrol(office.invite("ann"), passkey=Passkey("YW5u"), **given)
    refuse(office)


@pytest.mark.parametrize("iat", [START - 1000, START + 1000])
def test_an_enrolment_within_the_invitations_time_is_accepted(iat: int) -> None:
    office = Office()
    office.enrol(office.invite("ann"), "ann", Passkey("YW5u"), iat=iat)
    assert office.roster().signer("YW5u") is not None


def test_T49_an_enrolment_is_signed_by_its_invitations_secret() -> None:
    office = Office()
    ann, ben = office.invite("ann"), office.invite("ben")
    office.enrol(ann, "ann", Passkey("YW5u"), secret=office.secrets[record_digest(ben)])
    assert "signed" in refuse(office)


def test_T49_an_enrolment_is_signed_by_the_credential_that_it_names() -> None:
    office = Office()
    office.enrol(office.invite("ann"), "ann", Passkey("YW5u"), signer=Passkey("YW5u"))
    assert "signed" in refuse(office)


def test_T49_the_assertion_names_the_credential_that_is_enrolled() -> None:
    office, passkey = Office(), Passkey("YW5u")
    signed = office.enrol(office.invite("ann"), "ann", passkey)
    other = passkey.sign(signed.enrolment.challenge, credential="b3RoZXI")
    office.enrolments[0] = signed.model_copy(update={"assertion": other}).to_text()
    assert "signed" in refuse(office)


def test_T49_an_enrolment_needs_a_user_who_was_verified() -> None:
    office, passkey = Office(), Passkey("YW5u")
    signed = office.enrol(office.invite("ann"), "ann", passkey)
    for misbehaviour in ({"flags": 0x09}, {"flags": 0x0C}, {"client": {"type": "webauthn.create"}}):
        lazy = passkey.sign(signed.enrolment.challenge, **misbehaviour)
        office.enrolments[0] = signed.model_copy(update={"assertion": lazy}).to_text()
        assert "signed" in refuse(office)


def test_T51_an_approval_of_the_same_bytes_is_no_enrolment() -> None:
    office, passkey = Office(), Passkey("YW5u")
    signed = office.enrol(office.invite("ann"), "ann", passkey)
    approval = passkey.sign(challenge(APPROVE_NAMESPACE, signed.enrolment.to_bytes()))
    office.enrolments[0] = signed.model_copy(update={"assertion": approval}).to_text()
    assert "signed" in refuse(office)


@pytest.mark.parametrize("part", ["public_key", "credential", "invitation", "person"])
def test_T49_a_changed_enrolment_row_is_noticed(part: str) -> None:
    office = office_of_two()
    row, other = (json.loads(text) for text in office.enrolments)
    row["enrolment"][part] = other["enrolment"][part]
    refuse(office, enrolments=[json.dumps(row), office.enrolments[1]])


def test_T49_an_enrolment_row_that_cannot_be_read_is_noticed() -> None:
    office = office_of_two()
    for text in ("", "{}", office.enrolments[0][:-1], office.enrolments[0].replace('"v":1', '"v":1,"w":1')):
        assert "read" in refuse(office, enrolments=[text])


def test_T49_the_row_of_a_deleted_enrolment_leaves_nothing_behind() -> None:
    office = office_of_two()
    assert verify_roster(office.records, office.enrolments[1:], office.trust()).signer(b64(b"ann")) is None


def test_a_changed_host_voids_every_passkey() -> None:
    office = office_of_two()
    moved = RosterTrust(office.trust().keys, 0, RelyingParty("new.example", frozenset({"https://new.example"})))
    assert "desk.example" in refuse(office, trust=moved)


# A roster key that was replaced ---------------------------------------------------------------------------------------


def replaced(office: Office) -> tuple[SigningKey, RosterTrust]:
    """The office signs with another key from now on; answers the former one, and what a verifier trusts."""
    former, office.key = office.key, SigningKey.generate()
    keys = {key.id: key.public for key in (former, office.key)}
    return former, RosterTrust(keys, 0, PARTY, {former.id: LastRecord(len(office.records), office.head)})


def test_T49_what_a_roster_key_signed_before_it_was_replaced_stays_and_its_successor_goes_on() -> None:
    office = office_of_two()
    _, trust = replaced(office)
    office.enrol(office.invite("cy", accounts=["A-3"]), "cy", Passkey("Y3k"))
    roster = verify_roster(office.records, office.enrolments, trust)
    assert {person for person in roster.people if roster.credentials_of(person)} == {"ann", "ben", "cy"}


def test_T49_a_roster_key_that_was_replaced_signs_nothing_more() -> None:
    office = office_of_two()
    former, trust = replaced(office)
    office.key = former
    office.invite("eve", roles=["finance"])
    assert "was replaced before it" in refuse(office, trust=trust)


def test_T49_nor_anything_where_it_had_signed_nothing_yet() -> None:
    office = Office()
    former, trust = replaced(office)
    assert verify_roster([], [], trust).version == 0
    office.key = former
    office.invite("eve", roles=["finance"])
    assert "was replaced before it" in refuse(office, trust=trust)


def test_T49_a_roster_key_that_was_replaced_signs_no_other_history() -> None:
    office = office_of_two()
    former, trust = replaced(office)
    other = Office()
    other.key = former
    for person in ("ann", "eve"):
        other.enrol(other.invite(person, accounts=["A-1"]), person, Passkey(b64(person.encode())))
    assert "not the one at which" in refuse(other, trust=trust)
    assert "at least 2 were seen" in refuse(other, records=other.records[:1], enrolments=[], trust=trust)


def test_an_invitation_with_a_key_that_is_none_enrols_nobody() -> None:
    for key in ("", "AAAA", "not base64!", b64(b"\xff" * 32)):
        office = Office()
        office.enrol(office.invite("ann", secret_key=key), "ann", Passkey("YW5u"))
        assert "signed" in refuse(office)


def test_what_is_stored_of_an_enrolment_holds_nothing_to_forge_another_with() -> None:
    office = Office()
    invitation = office.invite("ann")
    stored = (
        office.enrol(invitation, "ann", Passkey("YW5u")).to_text() + invitation + json.dumps(read_record(invitation))
    )
    secret = office.secrets[record_digest(invitation)]
    assert b64(secret) not in stored
    assert SignedEnrolment.model_validate_json(office.enrolments[0]).to_text() == office.enrolments[0]
