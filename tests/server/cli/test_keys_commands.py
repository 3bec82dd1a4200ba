"""``counterfoil keys``: with and without a serving process, and what it says."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.keys import SigningKey
from counterfoil.recipients import APPROVE
from counterfoil.tickets import Event
from counterfoil_server import config, key_files
from counterfoil_server.app import open_parts
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.notices.transports import Mailbox
from server.cli.office import Office, Served
from server.cli.signing import browser, enrolled, link


def ring(office: Office) -> dict[str, str]:
    return {each["place"]: each["key"] for each in office.json("keys", "list") if "log" not in each["place"]}


def in_files(office: Office) -> dict[str, str]:
    files = (office.state / "keys").glob("authority-*.pem")
    return {path.stem.removeprefix("authority-"): key_files.read_signing_key(path).id for path in files}


def published(served: Served) -> list[str]:
    answer = httpx2.get(f"{served.ready['serving']['listening']}/.well-known/jwks.json", trust_env=False, timeout=60)
    return [key["kid"] for key in answer.json()["keys"]]


def test_a_rotation_without_a_server(office: Office) -> None:
    before = ring(office)
    assert set(before) == {"current", "next"}
    answer = office.json("keys", "rotate")
    assert (answer["previous"], answer["current"]) == (before["current"], before["next"])
    assert answer == ring(office) == in_files(office)


def test_a_rotation_while_serving_is_published_at_once_and_kept_for_the_next_start(
    office: Office, served: Served
) -> None:
    answer = office.json("keys", "rotate")
    assert published(served) == [answer["previous"], answer["current"], answer["next"]]
    served.stop()
    assert ring(office) == answer


def test_a_revocation_while_serving(office: Office, served: Served) -> None:
    before = ring(office)
    answer = office.json("keys", "revoke", f"key:{before['current']}", "--reason", "laptop stolen")
    assert (answer["replaced"], answer["signs"]) == (True, before["next"])
    assert published(served)[0] == before["next"]
    [barred] = office.json("suspensions")
    assert barred["scope"] == f"key:{before['current']}"
    assert (barred["final"], barred["reason"]) == (True, "laptop stolen")


def test_the_list_says_what_each_key_does(office: Office) -> None:
    office.json("keys", "rotate")
    held = ring(office)
    office.json("keys", "revoke", f"key:{held['previous']}")
    said = office.run("keys", "list", width=200).out
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    rows = {line.split()[0]: line + below for line, below in pairwise(lines) if not line.startswith(" ")}
    assert held["current"] in rows["current"]
    assert "signs capabilities and orders" in rows["current"]
    assert "stopped for good" in rows["previous"]
    assert "after the next rotation" in rows["next"]
    narrow = office.run("keys", "list", width=80).out
    assert all(key in narrow for key in held.values())
    assert all(place in narrow.split() for place in (*held, "log"))
    assert "seals the log" in narrow


def test_what_a_rotation_means_is_said(office: Office) -> None:
    before = ring(office)
    said = office.run("keys", "rotate", width=200).said
    assert f"{before['next']} signs from now on." in said
    assert f"What {before['current']} signed stays valid until the next rotation." in said
    assert "back up the folder 'keys'" in said


def test_T49_an_auditor_is_not_told_to_trust_a_key_that_was_stopped(office: Office) -> None:
    office.json("keys", "rotate")
    stolen = ring(office)["previous"]
    told = [key["kid"] for key in json.loads(office.run("prove", "--trust").out)["authority_keys"]]
    assert stolen in told
    office.json("keys", "revoke", f"key:{stolen}")
    now = [key["kid"] for key in json.loads(office.run("prove", "--trust").out)["authority_keys"]]
    assert sorted(now) == sorted(set(told) - {stolen})


@pytest.mark.parametrize("verb", [("keys", "revoke"), ("revoke",), ("suspend",)])
def test_an_unknown_key_is_refused_with_the_ids_there_are(office: Office, verb: tuple[str, ...]) -> None:
    held, unknown = ring(office), SigningKey.generate().id
    ran = office.run(*verb, f"key:{unknown}", width=300)
    assert ran.code == 1
    assert f"There is no key '{unknown}' in the authority's ring; nothing was stopped." in ran.said
    assert all(f"{key} ({place})" in ran.said for place, key in held.items())
    assert (ring(office), office.json("suspensions")) == (held, [])


def test_a_key_is_named_by_its_id_alone_or_as_a_scope(office: Office) -> None:
    assert "There is no key 'K1' in" in office.run("keys", "revoke", "K1", width=200).said
    dashed = office.run("keys", "revoke", "key:-h_of-a-thumbprint", width=200)
    assert "There is no key '-h_of-a-thumbprint' in" in dashed.said


async def approved(office: Office, *, delivered: bool = False) -> str:
    """A payment that Ana approved, with a live capability; ``delivered``: carried out as well."""
    async with (
        open_parts(config.load(office.folder / "counterfoil.toml"), transport=Mailbox()) as parts,
        browser(parts, office) as ana,
    ):
        await enrolled(parts, ana, Invited("Ana", ("A-1",), (), ("ana@office.example",)))
        arguments = {"account": "A-1", "amount": {"value": "20.00", "currency": "EUR"}}
        ticket = await parts.authority.request(Requester("bot"), "pay", canonical(arguments))
        code = parts.authority.match_code(ticket.id)
        await ana.open_and_decide(await link(parts, ticket.id, APPROVE), "approve", code)
        if delivered:
            await parts.authority.deliver(ticket.id)
            await parts.authority.report(ticket.id, Event.REPORT_EXECUTED, {})
        else:
            await parts.authority.mint(ticket.id)
        return ticket.id


async def test_what_was_approved_and_is_stopped_is_counted_with_what_to_do(office: Office) -> None:
    ticket = await approved(office)
    said = office.run("keys", "revoke", f"key:{ring(office)['current']}", width=200).said
    assert "1 approved request ended" in said
    assert "Nothing of them was done. Tell those who approved." in said
    assert "can be asked for again 24 hours after" in said
    assert "counterfoil tickets list --state revoked" in said
    assert [each["ticket"] for each in office.json("tickets", "list", "--state", "revoked")] == [ticket]


async def test_what_was_carried_out_with_a_key_is_counted_and_to_be_compared(office: Office) -> None:
    await approved(office, delivered=True)
    said = office.run("keys", "revoke", f"key:{ring(office)['current']}", width=200).said
    assert "0 approved requests ended" in said
    assert "1 request had been executed with it before; that is not undone." in said
    assert "Nothing of them" not in said


def interrupt(folder: Path) -> None:
    """What a rotation leaves that was killed when the next key signed already."""
    for old, new in (("current", "previous"), ("next", "current")):
        (folder / f"authority-{new}.pem").unlink(missing_ok=True)
        key_files.write_private(folder / f"authority-{new}.pem", (folder / f"authority-{old}.pem").read_bytes())


def test_a_rotation_that_was_interrupted_is_told_of_and_finished(office: Office) -> None:
    before = ring(office)
    interrupt(office.state / "keys")
    checks = {check["check"]: check for check in office.run("doctor", "--json").json}
    assert checks["signing"]["status"] == "wrong"
    assert "counterfoil keys rotate" in checks["signing"]["remedy"]
    assert "A rotation was interrupted" in office.run("keys", "list").said
    after = office.json("keys", "rotate")
    assert (after["previous"], after["current"]) == (before["current"], before["next"])
    checks = {check["check"]: check for check in office.run("doctor", "--json").json}
    assert checks["signing"] | {"remedy": None} == {
        "check": "signing", "status": "ok", "says": f"signing with {after['current']}", "remedy": None,
    }  # fmt: skip
    assert "interrupted" not in office.run("keys", "list").said


def test_doctor_says_that_a_stopped_key_carries_nothing_out(office: Office) -> None:
    office.json("suspend", f"key:{ring(office)['current']}")
    checks = {check["check"]: check for check in office.run("doctor", "--json").json}
    assert checks["signing"]["status"] == "wrong"
    assert "nothing is carried out" in checks["signing"]["says"]


def test_key_files_that_cannot_be_written_stop_nothing_and_it_is_said_how_to(office: Office) -> None:
    before = ring(office)
    (office.state / "keys" / "authority-previous.pem.new").mkdir()
    ran = office.run("keys", "revoke", f"key:{before['current']}", "--json")
    assert (ran.code, ran.error["code"]) == (1, "store_failed")
    assert "counterfoil suspend key:ID" in ran.error["remedy"]
    assert (ring(office), office.json("suspensions")) == (before, [])


# The roster's key -----------------------------------------------------------------------------------------------------

ANA = ("people", "invite", "Ana", "--account", "A-1", "--email", "ana@office.example")
BO = ("people", "invite", "Bo", "--account", "A-2", "--email", "bo@office.example")


def roster_key_id(office: Office) -> str:
    return key_files.read_signing_key(office.folder / "roster-key.pem").id


def test_the_roster_key_is_replaced_and_people_are_invited_with_the_new_one(office: Office) -> None:
    office.json(*ANA)
    former = roster_key_id(office)
    (office.folder / "roster-key.pem").unlink()
    answer = office.json("keys", "replace-roster-key", "--yes")
    assert answer == {"key": roster_key_id(office), "path": str(office.folder / "roster-key.pem"), "last": 1}
    assert answer["key"] != former
    office.json(*BO)
    assert [each["name"] for each in office.json("people", "list")] == ["Ana", "Bo"]
    assert office.run("doctor", "--json").code == 0


def test_a_fresh_key_that_lies_there_is_used(office: Office) -> None:
    office.json(*ANA)
    made, path = SigningKey.generate(), office.folder / "roster-key.pem"
    path.unlink()
    key_files.write_private(path, made.to_pem())
    assert office.json("keys", "replace-roster-key", "--yes")["key"] == made.id


def test_the_key_in_use_does_not_replace_itself(office: Office) -> None:
    office.json(*ANA)
    ran = office.run("keys", "replace-roster-key", "--yes", width=200)
    assert ran.code == 2
    assert "is the roster key that is to be replaced; nothing was changed. → Move it away" in ran.said
    office.json(*BO)


def test_replacing_the_roster_key_needs_a_confirmation_and_no_server(office: Office, served: Served) -> None:
    (office.folder / "roster-key.pem").unlink()
    ran = office.run("keys", "replace-roster-key", "--json")
    assert (ran.code, ran.error["code"]) == (2, "confirmation_needed")
    ran = office.run("keys", "replace-roster-key", "--yes", "--json")
    assert (ran.code, ran.error["code"]) == (1, "state_folder_in_use")
    assert not (office.folder / "roster-key.pem").exists()


def test_what_to_do_after_a_replacement_is_said(office: Office) -> None:
    office.json(*ANA)
    (office.folder / "roster-key.pem").unlink()
    said = office.run("keys", "replace-roster-key", "--yes", width=200).said
    assert "signs from record 2 on" in said
    assert "Move it off this machine" in said
    assert "counterfoil people list" in said
