"""The authority's keys in the environment: used like those in files, and changed only by whoever set them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.keys import SigningKey
from counterfoil_server import config
from counterfoil_server.app import open_parts
from server.cli.conftest import office, own_desk, program
from server.cli.office import Office

__all__ = ["office", "own_desk", "program"]

NAME = "COUNTERFOIL_AUTHORITY_KEY"
FIRST, SECOND, THIRD = (SigningKey.generate() for _ in range(3))


def variables(current: SigningKey, following: SigningKey, previous: SigningKey | None = None) -> dict[str, str]:
    placed = {"": current, "_NEXT": following, "_PREVIOUS": previous}
    return {f"{NAME}{place}": key.to_pem().decode() for place, key in placed.items() if key is not None}


@pytest.fixture
def elsewhere(office: Office) -> Iterator[Office]:
    office.settings("[keys]", 'authority = "environment"')
    yield office
    assert list((office.state / "keys").glob("authority-*")) == []


def ring(office: Office, environment: dict[str, str]) -> dict[str, str]:
    ran = office.run_in(environment, "keys", "list", "--json")
    assert ran.code == 0, ran
    return {each["place"]: each["key"] for each in ran.json if "log" not in each["place"]}


def test_the_variables_are_the_ring_and_no_key_of_it_is_in_a_file(elsewhere: Office) -> None:
    assert ring(elsewhere, variables(FIRST, SECOND)) == {"current": FIRST.id, "next": SECOND.id}
    assert ring(elsewhere, variables(SECOND, THIRD, FIRST)) == {
        "previous": FIRST.id, "current": SECOND.id, "next": THIRD.id,
    }  # fmt: skip


def test_a_setting_names_the_variable_and_line_ends_may_be_two_characters(elsewhere: Office) -> None:
    elsewhere.settings("[keys]", 'authority = "environment"', 'authority_env = "SIGNS"')
    escaped = {
        name.replace(NAME, "SIGNS"): text.replace("\n", "\\n") for name, text in variables(FIRST, SECOND).items()
    }
    assert ring(elsewhere, escaped) == {"current": FIRST.id, "next": SECOND.id}


P384 = ec.generate_private_key(ec.SECP384R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({NAME: ""}, "settings_error", f"the variable {NAME} is not set"),
        ({f"{NAME}_NEXT": ""}, "settings_error", f"the variable {NAME}_NEXT is not set"),
        ({NAME: "no key"}, "key_file_error", f"A private key is damaged or not a PEM: the variable {NAME}."),
        ({f"{NAME}_PREVIOUS": P384.decode()}, "key_file_error", f"not a P-256 key: the variable {NAME}_PREVIOUS."),
    ],
)
def test_a_variable_that_is_no_key_is_refused_at_the_start(
    elsewhere: Office, changed: dict[str, str], code: str, said: str
) -> None:
    ran = elsewhere.run_in(variables(FIRST, SECOND) | changed, "keys", "list", "--json")
    assert ran.error["code"] == code
    assert said in ran.error["happened"]
    assert "BEGIN" not in str(ran.error)


def test_a_rotation_says_which_variables_to_set_and_changes_nothing(elsewhere: Office) -> None:
    held = variables(FIRST, SECOND)
    ran = elsewhere.run_in(held, "keys", "rotate", width=500)
    assert ran.code == 1
    assert f"Give {NAME}_PREVIOUS what {NAME} holds, {NAME} what {NAME}_NEXT holds" in ran.said
    assert "openssl genpkey" in ran.said
    assert ring(elsewhere, held) == {"current": FIRST.id, "next": SECOND.id}


def test_a_key_that_signs_is_suspended_at_once_and_revoked_when_it_signs_no_more(elsewhere: Office) -> None:
    held = variables(FIRST, SECOND)
    for key in (FIRST, SECOND):
        ran = elsewhere.run_in(held, "keys", "revoke", f"key:{key.id}", "--json")
        assert ran.error["code"] == "keys_elsewhere"
        assert elsewhere.run_in(held, "revoke", f"key:{key.id}", "--json").error == ran.error
    assert elsewhere.run_in(held, "suspend", f"key:{FIRST.id}").code == 0
    moved = variables(SECOND, THIRD, FIRST)
    ran = elsewhere.run_in(moved, "keys", "revoke", f"key:{FIRST.id}", "--json")
    assert (ran.json["replaced"], ran.json["signs"]) == (False, SECOND.id)
    [barred] = elsewhere.run_in(moved, "suspensions", "--json").json
    assert (barred["scope"], barred["final"]) == (f"key:{FIRST.id}", True)


async def test_a_ring_that_changed_since_the_last_start_is_on_the_log_before_it_signs(
    elsewhere: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for held in (variables(FIRST, SECOND), variables(FIRST, SECOND), variables(SECOND, THIRD, FIRST)):
        for name, text in held.items():
            monkeypatch.setenv(name, text)
        async with open_parts(config.load(elsewhere.folder / "counterfoil.toml")) as parts:
            leaves = await parts.store.leaves()
            told.append([leaf.event for leaf in leaves].count("keys"))
    assert told == [1, 1, 2]
    assert THIRD.id in (leaves[-1].opening or b"").decode()


def test_a_desk_goes_on_when_its_keys_move_from_files_to_the_environment(office: Office) -> None:
    held = {each["place"]: each["key"] for each in office.json("keys", "list") if "log" not in each["place"]}
    files = office.state / "keys"
    moved = {
        NAME: (files / "authority-current.pem").read_text(),
        f"{NAME}_NEXT": (files / "authority-next.pem").read_text(),
    }
    for file in files.glob("authority-*"):
        file.unlink()
    office.settings("[keys]", 'authority = "environment"')
    assert ring(office, moved) == held
    checks = {each["check"]: each for each in office.run_in(moved, "doctor", "--json").json}
    assert (checks["keys"]["status"], checks["signing"]["status"]) == ("ok", "ok")
