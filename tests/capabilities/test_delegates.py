"""Delegates of the roster key: what they may sign, and everything they may not (T49)."""

from __future__ import annotations

from typing import Any

import pytest

from capabilities.world import START, Office, Passkey
from counterfoil.canonical import b64
from counterfoil.delegates import Delegation
from counterfoil.errors import RosterRefused
from counterfoil.keys import SigningKey
from counterfoil.roster import End, Invitation, Roster, read_record, secret_key_of, sign_record, verify_roster


class Agency(Office):
    """An office whose roster key named a sign-in service as its delegate, in record 1."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.service = SigningKey.generate()
        self.named = self.delegate(self.service, **changes)

    def delegate(self, key: SigningKey, signer: SigningKey | None = None, **changes: Any) -> str:
        jwk = key.public.to_jwk()
        delegation = Delegation(
            version=len(self.records) + 1,
            previous=self.head,
            name="the sign-in service",
            x=jwk["x"],
            y=jwk["y"],
            roles=("member",),
            iat=START - 1000,
            exp=START + 1000,
        ).model_copy(update=changes)
        return self._record(sign_record(signer or self.key, delegation), b"")

    def signed_by(self, key: SigningKey, person: str, **invitation: Any) -> str:
        """An invitation by another key than the roster's."""
        own, self.key = self.key, key
        try:
            return self.invite(person, **invitation)
        finally:
            self.key = own

    def refused(self) -> str:
        with pytest.raises(RosterRefused) as caught:
            self.roster()
        return caught.value.happened

    def roster(self, minimum_version: int = 0) -> Roster:
        return verify_roster(self.records, self.enrolments, self.trust(minimum_version=minimum_version))


def test_a_delegate_invites_people_who_enrol_and_sign_like_others() -> None:
    agency = Agency()
    invitation = agency.signed_by(agency.service, "cyd", accounts=["A-9"], roles=["member"])
    passkey = Passkey(b64(b"cyd"))
    agency.enrol(invitation, "cyd", passkey)
    again = agency.signed_by(agency.service, "cyd", accounts=["A-9", "A-10"])
    agency.enrol(again, "cyd", Passkey(b64(b"cyd's other")))
    roster = agency.roster()
    known = roster.signer(passkey.credential)
    assert known is not None
    assert known[1].accounts == {"A-9", "A-10"}
    [delegate] = roster.delegates.values()
    assert (delegate.id, delegate.name, delegate.roles) == (
        agency.service.id,
        "the sign-in service",
        frozenset({"member"}),
    )
    assert (delegate.since, delegate.until, delegate.ended) == (START - 1000, START + 1000, False)


def test_the_roster_key_may_invite_whom_a_delegate_invited() -> None:
    agency = Agency()
    agency.signed_by(agency.service, "cyd", accounts=["A-9"])
    agency.invite("cyd", accounts=["A-9"], roles=["finance"])
    agency.invite("dan", accounts=["A-9"])
    assert {person.id for person in agency.roster().holders("A-9")} == {"cyd", "dan"}


def test_a_key_that_was_never_named_signs_nothing() -> None:
    agency = Agency()
    agency.signed_by(SigningKey.generate(), "eve", accounts=["A-1"])
    assert "Record 2 of the roster is not signed by the roster key" in agency.refused()


def test_a_delegate_signs_nothing_before_it_is_named() -> None:
    office = Agency()
    office.records.clear()
    office.signed_by(office.service, "eve", accounts=["A-1"])
    office.delegate(office.service)
    assert "Record 1 of the roster is not signed by the roster key" in office.refused()


def test_only_the_roster_key_names_and_ends() -> None:
    agency = Agency()
    agency.delegate(SigningKey.generate(), signer=agency.service)
    assert "may only invite" in agency.refused()

    other = Agency()
    other.invite("ann", accounts=["A-1"])
    end = End(version=3, previous=other.head, what="person", id="ann", iat=START)
    other._record(sign_record(other.service, end), b"")
    assert "may only invite" in other.refused()


def test_a_delegate_gives_only_the_roles_it_was_named_with() -> None:
    agency = Agency()
    agency.signed_by(agency.service, "eve", roles=["member", "finance"])
    assert "a role that its delegate may not give" in agency.refused()


def test_a_delegate_cannot_become_somebody_whom_others_invited() -> None:
    """A later invitation replaces accounts, roles and addresses, and brings one more passkey."""
    agency = Agency()
    agency.invite("fay", roles=["finance"])
    agency.signed_by(agency.service, "fay", accounts=["A-9"])
    assert "somebody whom its delegate did not invite" in agency.refused()

    two = Agency()
    second = SigningKey.generate()
    two.delegate(second)
    two.signed_by(second, "cyd", accounts=["A-9"])
    two.signed_by(two.service, "cyd", accounts=["A-9"])
    assert "somebody whom its delegate did not invite" in two.refused()


def test_a_delegate_cannot_sit_down_beside_a_holder_whom_others_invited() -> None:
    agency = Agency()
    agency.invite("ann", accounts=["A-1"])
    agency.signed_by(agency.service, "eve", accounts=["A-9", "A-1"])
    assert "an account whose holder its delegate did not invite" in agency.refused()


def test_a_delegate_invites_within_its_time() -> None:
    agency = Agency()
    agency.signed_by(agency.service, "cyd", accounts=["A-9"], iat=START + 1000, exp=START + 1010)
    agency.roster()
    agency.signed_by(agency.service, "dan", accounts=["A-8"], iat=START + 1001, exp=START + 1011)
    assert "time is over" in agency.refused()


def test_a_delegate_that_was_ended_signs_nothing_new_and_what_it_signed_stays() -> None:
    agency = Agency()
    agency.signed_by(agency.service, "cyd", accounts=["A-9"])
    agency.end("delegate", agency.service.id)
    roster = agency.roster()
    assert roster.delegates[agency.service.id].ended
    assert [person.id for person in roster.holders("A-9")] == ["cyd"]
    agency.signed_by(agency.service, "eve", accounts=["A-8"], iat=START, exp=START + 10)
    assert "time is over" in agency.refused()
    del agency.records[-1]
    agency.delegate(agency.service)
    assert "was named before" in agency.refused()


def test_a_delegate_cannot_date_its_record_back_before_the_one_that_precedes_it() -> None:
    agency = Agency()
    agency.invite("ann", accounts=["A-1"], iat=START + 5)
    agency.invite("ben", accounts=["A-2"], iat=START)
    agency.signed_by(agency.service, "cyd", accounts=["A-9"], iat=START + 4)
    assert "Record 4 of the roster is dated before the one that precedes it." in agency.refused()


@pytest.mark.parametrize("changes", [{"x": "AAAA"}, {"x": "?"}, {"y": b64(bytes(32))}])
def test_a_delegation_to_what_is_no_key_is_refused(changes: dict[str, str]) -> None:
    agency = Agency(**changes)
    assert "names a key that cannot be one" in agency.refused()


def test_records_of_a_delegate_are_chained_like_others() -> None:
    agency = Agency()
    invitation = Invitation(
        version=3, previous=agency.head, person="cyd", name="Cyd", accounts=("A-9",), roles=(), channels=(),
        secret_key=secret_key_of(b"s" * 32), iat=START, exp=START + 10,
    )  # fmt: skip
    agency._record(sign_record(agency.service, invitation), b"")
    assert read_record(agency.records[-1])["person"] == "cyd"
    assert "does not follow the one before it" in agency.refused()
