"""Commands that administer, where no process serves."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
from contextlib import closing

import pytest

from capabilities.world import Passkey
from counterfoil.authority import Requester
from counterfoil.canonical import b64, canonical, unb64
from counterfoil.roster import (
    Enrolment,
    SignedEnrolment,
    read_record,
    record_digest,
    secret_key_of,
    sign_with_secret,
)
from counterfoil_server import config
from counterfoil_server.app import open_parts
from server.cli.office import PROGRAM, Office


def test_the_first_command_explains_what_it_created(office: Office) -> None:
    first, second = office.run("tickets", "list"), office.run("tickets", "list")
    assert (first.code, second.code) == (0, 0)
    assert "First start" in first.said
    assert "Move it off this machine" in first.said
    assert "run programs as the same user" in first.said
    assert "First start" not in second.said


def test_the_explanation_keeps_json_on_stdout_alone(office: Office) -> None:
    ran = office.run("tickets", "list", "--json")
    assert ran.json == []
    assert "First start" in ran.err


def test_a_principals_token_is_shown_once_and_never_listed(office: Office) -> None:
    added = office.json("principals", "add", "bot")
    listed = office.run("principals", "list", "--json")
    assert added["principal"] == "bot"
    assert added["token"].startswith("cfp_")
    assert [each["principal"] for each in listed.json] == ["bot"]
    assert added["token"] not in listed.out


def test_a_name_that_is_taken_is_refused_with_1(office: Office) -> None:
    office.json("principals", "add", "bot")
    again = office.run("principals", "add", "bot")
    assert again.code == 1
    assert again.out == ""
    assert "✗ The principal bot exists already." in again.err
    assert "→" in again.err


def test_with_json_a_refusal_is_on_stdout(office: Office) -> None:
    ran = office.run("--json", "principals", "disable", "nobody")
    assert ran.code == 1
    assert ran.error["code"] == "unknown_name"
    assert set(ran.error) == {"code", "happened", "remedy"}


def test_a_disabled_principal_is_listed_as_such(office: Office) -> None:
    office.json("principals", "add", "bot")
    assert office.run("principals", "disable", "bot").code == 0
    assert "disabled" in office.run("principals", "list").out


async def test_an_invitation_is_in_a_roster_that_verifies(office: Office) -> None:
    invited = office.json(
        "people", "invite", "Ana Ruiz", "--account", "A-1", "--role", "finance", "--email", "ana@office.example"
    )
    assert invited["person"].startswith("ana-ruiz-")
    assert invited["url"].startswith(f"{office.public_url}/enrol/")
    secret = unb64(invited["url"].rsplit("/", 1)[1])
    async with open_parts(config.load(office.folder / "counterfoil.toml")) as parts:
        roster = await parts.authority.judge.roster()
    [invitation] = roster.invitations.values()
    assert invitation.secret_key == secret_key_of(secret)
    assert invitation.exp - invitation.iat == 7 * 86400
    assert invitation.exp == invited["expires_at"]
    person = roster.people[invited["person"]]
    assert (person.accounts, person.roles, person.channels) == (
        frozenset({"A-1"}),
        frozenset({"finance"}),
        ("ana@office.example",),
    )


def test_the_one_time_address_stays_whole_on_a_narrow_terminal(office: Office) -> None:
    ran = office.run("people", "invite", "Ana", "--account", "A-1", "--email", "ana@office.example", width=40)
    [line] = [line for line in ran.out.splitlines() if "/enrol/" in line]
    assert len(line.strip().rsplit("/", 1)[1]) == 43
    assert "in person" in ran.said
    assert "It works once, until" in ran.said


def test_inviting_somebody_again_replaces_what_they_hold_and_says_so(office: Office) -> None:
    invite = ("people", "invite", "Ana", "--person", "ana", "--email", "ana@office.example")
    office.json(*invite, "--account", "A-1")
    again = office.run(*invite, "--account", "A-2")
    assert "one more passkey" in again.said
    [person] = office.json("people", "list")
    assert person["accounts"] == ["A-2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--email", "ana@office.example"), "nothing to decide"),
        (("--email", "ana@office.example", "--role", "fnance"), "no role fnance"),
        (("--email", "ana@office.example, eve@else.example", "--account", "A-1"), "not one e-mail address"),
        (("--email", "notanemail", "--account", "A-1"), "Write --email as name@example.com."),
        (("--email", "ana@office.example", "--account", "A-1", "--person", "../ana"), "cannot be a person's id"),
    ],
)
def test_a_wrong_invitation_is_refused_before_it_is_signed(
    office: Office, arguments: tuple[str, ...], said: str
) -> None:
    ran = office.run("people", "invite", "Ana", *arguments)
    assert ran.code == 1
    assert said in ran.said
    assert office.json("people", "list") == []


def test_an_address_that_somebody_has_makes_no_second_person(office: Office) -> None:
    first = office.json("people", "invite", "Ana Ruiz", "--account", "A-1", "--email", "ana@office.example")["person"]
    again = ("people", "invite", "Ana", "--role", "finance", "--email", "Ana@Office.example")
    refused = office.run(*again, "--json")
    assert refused.code == 1
    assert refused.error["happened"] == f"ana@office.example is the address of Ana Ruiz already, {first}."
    assert f"use --person {first}" in refused.error["remedy"]
    assert office.json(*again, "--person", first)["again"] is True
    office.run("people", "disable", first, "--yes")
    assert office.json(*again)["again"] is False


def test_a_person_without_a_name_is_not_invited(office: Office) -> None:
    ran = office.run("people", "invite", " ", "--role", "finance", "--email", "ana@office.example")
    assert "1 to 100" in ran.said
    assert "1 to 100" in office.run("principals", "add", "").said


def test_without_the_roster_key_nobody_is_invited(office: Office) -> None:
    office.json("people", "list")
    (office.folder / "roster-key.pem").unlink()
    ran = office.run("people", "invite", "Ana", "--account", "A-1", "--email", "ana@office.example")
    assert ran.code == 2
    assert "The roster's private key is not at" in ran.said
    assert "Bring it from where you keep it" in ran.said


def test_a_foreign_roster_key_signs_nothing_that_is_accepted(
    office: Office, tmp_path_factory: pytest.TempPathFactory
) -> None:
    office.json("people", "list")
    other = Office.at(tmp_path_factory.mktemp("other") / "office", office.program)
    other.json("people", "list")
    (other.folder / "roster-key.pem").rename(office.folder / "roster-key.pem")
    ran = office.run("people", "invite", "Eve", "--account", "A-1", "--email", "eve@office.example", "--json")
    assert ran.code == 1
    assert ran.error["code"] == "roster_refused"
    assert office.json("people", "list") == []


def test_disabling_a_person_needs_a_confirmation_and_is_for_good(office: Office) -> None:
    invite = ("people", "invite", "Ana", "--person", "ana", "--account", "A-1", "--email", "ana@office.example")
    office.json(*invite)
    unconfirmed = office.run("people", "disable", "ana")
    assert (unconfirmed.code, "--yes" in unconfirmed.said) == (2, True)
    assert office.json("people", "list")[0]["disabled"] is False
    nobody = office.run("people", "disable", "nobody")
    assert (nobody.code, "does not exist" in nobody.said, "--yes" in nobody.said) == (1, True, False)
    assert office.run("people", "disable", "ana", "--yes").code == 0
    assert office.json("people", "list")[0]["disabled"] is True
    assert office.run("people", "disable", "ana", "--yes").code == 1
    again = office.run(*invite)
    assert (again.code, "for good" in again.said) == (1, True)


def passkey_past_the_log(office: Office, url: str, person: str) -> None:
    """A passkey that the secret in the address signed for, put into the database by somebody who has both."""
    secret, passkey = unb64(url.rpartition("/")[2]), Passkey("thief")
    with closing(sqlite3.connect(office.state / "counterfoil.db")) as database, database:
        ((record,),) = database.execute("SELECT record FROM roster_record ORDER BY version DESC LIMIT 1").fetchall()
        enrolment = Enrolment(
            invitation=record_digest(record), person=person, credential=passkey.credential,
            public_key=b64(passkey.public_key), backup_eligible=passkey.backup_eligible, party="localhost",
            iat=read_record(record)["iat"],
        )  # fmt: skip
        signed = SignedEnrolment(
            enrolment=enrolment,
            secret_signature=sign_with_secret(secret, enrolment),
            assertion=passkey.sign(enrolment.challenge, party="localhost", client={"origin": office.public_url}),
        )
        row = (passkey.credential, enrolment.invitation, signed.to_text())
        database.execute("INSERT INTO enrolment (credential, invitation, record) VALUES (?, ?, ?)", row)


def test_whose_passkey_the_log_does_not_tell_of_can_be_ended_as_the_refusal_says(office: Office) -> None:
    """Until then nobody's signature counts, so the way out must not need the very thing that is refused."""
    office.json("people", "invite", "Bo", "--person", "bo", "--account", "A-2", "--email", "bo@office.example")
    delegate = office.json("delegates", "add", "Our site", "--key", str(office.folder / "delegate.pem"))["key"]
    invite = ("people", "invite", "Ana", "--person", "ana", "--account", "A-1", "--email", "ana@office.example")
    passkey_past_the_log(office, office.json(*invite)["url"], "ana")
    refused = office.run("people", "list", "--json")
    assert refused.error["code"] == "roster_refused"
    assert "end ana with 'counterfoil people disable'" in refused.error["remedy"]
    assert office.run(*invite, "--json").error["code"] == "roster_refused"
    assert office.run("delegates", "end", delegate, "--yes").code == 0
    assert office.run("people", "disable", "nobody", "--yes").code == 1
    assert office.run("people", "disable", "ana", "--yes").code == 0
    assert {each["person"]: each["disabled"] for each in office.json("people", "list")} == {"bo": False, "ana": True}


def test_revoking_everything_needs_a_confirmation(office: Office) -> None:
    for scope in ("all", "everything"):
        ran = office.run("revoke", scope, "--json")
        assert (ran.code, ran.error["code"]) == (2, "confirmation_needed")
    assert office.json("revoke", "all", "--yes") == {
        "scope": "everything", "revoked": 0, "executing": 0, "done": 0, "grants": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("no\n", 2), ("\n", 2)])
def test_at_a_terminal_the_question_is_asked(office: Office, typed: str, code: int) -> None:
    leader, follower = pty.openpty()
    try:
        os.write(leader, typed.encode())
        done = subprocess.run(
            [*PROGRAM, "revoke", "all"], cwd=office.folder, stdin=follower, capture_output=True, text=True, timeout=120
        )
    finally:
        os.close(leader)
        os.close(follower)
    assert "Type yes to go on" in done.stderr
    assert done.returncode == code
    assert ("Revoked" in done.stdout) == (code == 0)


def test_a_suspension_is_listed_until_it_is_resumed(office: Office) -> None:
    assert office.json("suspend", "operation:pay", "--reason", "looks odd") == {
        "scope": "operation:pay",
        "suspended": True,
    }
    [found] = office.json("suspensions")
    assert (found["scope"], found["final"], found["reason"]) == ("operation:pay", False, "looks odd")
    assert "until resumed" in office.run("suspensions").out
    assert office.json("resume", "operation:pay") == {"scope": "operation:pay", "resumed": True}
    assert office.json("resume", "operation:pay") == {"scope": "operation:pay", "resumed": False}
    assert office.json("suspensions") == []


@pytest.mark.parametrize("scope", ["operation:payy", "principal:bott", "ticket:cf_nothing", "person:anna"])
def test_a_mistyped_name_is_not_believed_to_be_stopped(office: Office, scope: str) -> None:
    for verb in ("suspend", "revoke"):
        ran = office.run(verb, scope)
        assert ran.code == 1
        assert "nothing was stopped" in ran.said


def test_stopping_an_account_says_how_much_is_known_of_it(office: Office) -> None:
    assert office.json("suspend", "account:A-9") == {"scope": "account:A-9", "suspended": True, "tickets": 0}
    assert office.json("revoke", "account:A-9")["tickets"] == 0
    assert "No ticket is known for this account" in office.run("suspend", "account:A-9").said


async def test_a_person_on_the_roster_can_be_stopped(office: Office) -> None:
    person = office.json("people", "invite", "Ana", "--account", "A-1", "--email", "ana@office.example")["person"]
    assert office.json("suspend", f"person:{person}")["suspended"] is True
    async with open_parts(config.load(office.folder / "counterfoil.toml")) as parts:
        arguments = {"account": "A-1", "amount": {"value": "20.00", "currency": "EUR"}}
        await parts.authority.request(Requester("bot"), "pay", canonical(arguments))
    assert "1 ticket is known for this account" in office.run("revoke", "account:A-1").said


def test_a_final_revocation_cannot_be_resumed(office: Office) -> None:
    office.run("principals", "add", "bot")
    assert "barred for good" in office.run("revoke", "principal:bot").said
    ran = office.run("resume", "principal:bot", "--json")
    assert (ran.code, ran.error["code"]) == (1, "wrong_state")


@pytest.mark.parametrize("verb", ["revoke", "suspend", "resume"])
def test_what_is_no_scope_is_refused_with_the_kinds(office: Office, verb: str) -> None:
    ran = office.run(verb, "pay")
    assert ran.code == 1
    assert "'pay' is not a scope" in ran.said
    assert "operation" in ran.said


@pytest.mark.parametrize(
    "listing", [("tickets", "list"), ("notices", "list"), ("calls", "list"), ("people", "list"), ("principals", "list")]
)
def test_an_empty_listing_says_so(office: Office, listing: tuple[str, str]) -> None:
    assert office.json(*listing) == []
    said = office.run(*listing).out
    assert "no" in said.lower()


def test_an_unknown_ticket_and_an_unknown_state_are_refused(office: Office) -> None:
    ticket = office.run("tickets", "show", "cf_none", "--json")
    state = office.run("tickets", "list", "--state", "lost")
    assert (ticket.code, ticket.error["code"]) == (1, "unknown_name")
    assert state.code == 1
    assert "pending" in state.said


def test_usage_mistakes_end_with_2_and_name_the_help(office: Office) -> None:
    for arguments in (("tickets",), ("tickets", "shw"), ("revoke",), ("calls", "list", "--limit", "0"), ("--bogus",)):
        ran = office.run(*arguments)
        assert ran.code == 2, arguments
        assert "--help" in ran.err
        assert "?." not in ran.err
        as_json = office.run(*arguments, "--json")
        assert (as_json.code, as_json.error["code"]) == (2, "usage")


def test_help_and_version_need_no_settings(office: Office) -> None:
    (office.folder / "counterfoil.toml").unlink()
    assert office.run("--version").out.startswith("counterfoil ")
    helped = office.run("--help")
    assert helped.code == 0
    assert "Exit codes: 0 done" in helped.said
    assert office.run().out == helped.out
    assert "--config" in office.run("revoke", "--help").out


def test_both_global_options_may_stand_before_or_after_the_command(office: Office) -> None:
    (office.folder / "counterfoil.toml").rename(office.folder / "elsewhere.toml")
    assert office.run("--json", "--config", "elsewhere.toml", "principals", "list").json == []
    assert office.run("principals", "list", "--config", "elsewhere.toml", "--json").json == []
    assert office.run("principals", "list", "--json").code == 2


def test_the_settings_may_be_named_from_anywhere(office: Office) -> None:
    settings = str(office.folder / "counterfoil.toml")
    done = subprocess.run(
        [*PROGRAM, "principals", "list", "--json", "--config", settings],
        cwd="/", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert office.state.is_dir()
