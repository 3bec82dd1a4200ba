"""Wrong settings, desk, policy, keys and databases: each ends with its exit code, what is wrong and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from server.cli.office import DESK, POLICY, Office

Damage = Callable[[Office], object]

WRONG: dict[str, tuple[Damage, str, str]] = {
    "no settings": (
        lambda office: (office.folder / "counterfoil.toml").unlink(),
        "settings_error",
        "There is no counterfoil.toml",
    ),
    "bad TOML": (lambda office: office.write("counterfoil.toml", "desk = \n"), "settings_error", "is not TOML"),
    "not text": (
        lambda office: (office.folder / "counterfoil.toml").write_bytes(b"\xff\xfe"),
        "settings_error",
        "is not UTF-8 text",
    ),
    "unknown setting": (lambda office: office.settings("color = 1"), "settings_error", "color"),
    "wrong type": (
        lambda office: office.settings('port = "eighty"'),
        "settings_error",
        "line 4: the setting 'port' is not right",
    ),
    "too large": (
        lambda office: office.settings("[times]", "link = 6000"),
        "settings_error",
        "less than or equal to 600",
    ),
    "too small": (
        lambda office: office.settings("[caps]", "per_account = 0"),
        "settings_error",
        "greater than or equal to 1",
    ),
    "wrong public_url": (
        lambda office: office.write(
            "counterfoil.toml", 'desk = "desk:desk"\npolicy = "policy.cedar"\npublic_url = "http://127.0.0.1:1"\n'
        ),
        "settings_error",
        "passkeys need https",
    ),
    "desk not module:variable": (
        lambda office: office.write("counterfoil.toml", 'desk = "desk"\npolicy = "policy.cedar"\n'),
        "settings_error",
        "'module:variable'",
    ),
    "desk fails": (lambda office: office.write("desk.py", "import nothing_of_that_name\n"), "desk_error", "nothing_of"),
    "desk is none": (lambda office: office.write("desk.py", "desk = 1\n"), "desk_error", "is not a Desk"),
    "desk is not whole": (
        lambda office: office.write("desk.py", DESK.replace("@pay.preview", "")),
        "desk_error",
        "no preview",
    ),
    "no policy": (lambda office: (office.folder / "policy.cedar").unlink(), "policy_error", "cannot be read"),
    "policy is not text": (
        lambda office: (office.folder / "policy.cedar").write_bytes(b"\xff\xfe"),
        "policy_error",
        "is not UTF-8 text",
    ),
    "policy does not parse": (lambda office: office.write("policy.cedar", "permit ("), "policy_error", "policy.cedar"),
    "policy does not fit": (
        lambda office: office.write("policy.cedar", POLICY.replace("arguments.amount", "arguments.sum")),
        "policy_error",
        "Never more than 500.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_a_remedy_and_exit_code_2(office: Office, case: str) -> None:
    damage, code, said = WRONG[case]
    damage(office)
    as_json = office.run("tickets", "list", "--json")
    assert (as_json.code, as_json.error["code"]) == (2, code)
    assert said in as_json.error["happened"]
    assert as_json.error["remedy"]
    for_people = office.run("serve", "--no-notices")
    assert for_people.code == 2
    assert for_people.out == ""
    assert for_people.err.startswith("✗ ")
    assert "\n→ " in for_people.err
    assert not office.state.exists()


KEY_DAMAGE: dict[str, tuple[Damage, str]] = {
    "damaged": (
        lambda office: (office.state / "keys/authority-current.pem").write_text("-----BEGIN nothing"),
        "authority-current.pem",
    ),
    "missing": (lambda office: (office.state / "keys/authority-next.pem").unlink(), "authority-next.pem is missing"),
    "cut": (lambda office: (office.state / "keys/secret").write_bytes(b"short"), "is damaged"),
    "readable": (lambda office: (office.state / "keys/secret").chmod(0o640), "can be read by others"),
    "trust": (lambda office: (office.state / "keys/trust.json").write_text("{}"), "trust.json"),
}


@pytest.mark.parametrize("case", KEY_DAMAGE)
def test_a_key_file_that_cannot_be_trusted_stops_everything(office: Office, case: str) -> None:
    office.json("principals", "list")
    damage, said = KEY_DAMAGE[case]
    damage(office)
    ran = office.run("principals", "add", "bot", "--json")
    assert (ran.code, ran.error["code"]) == (2, "key_file_error")
    assert said in ran.error["happened"]
    assert office.run("serve", "--no-notices").code == 2


def test_keys_are_never_made_a_second_time(office: Office) -> None:
    office.json("principals", "list")
    key = office.state / "keys/authority-current.pem"
    key.unlink()
    assert office.run("principals", "list").code == 2
    assert not key.exists()


def test_a_database_of_a_newer_version_is_left_alone(office: Office) -> None:
    office.json("principals", "list")
    file = office.state / "counterfoil.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = file.read_bytes()
    ran = office.run("principals", "list", "--json")
    assert (ran.code, ran.error["code"]) == (1, "newer_schema")
    assert "newer version" in ran.error["remedy"]
    assert file.read_bytes() == before


def test_a_damaged_database_is_said_to_be_damaged(office: Office) -> None:
    office.json("principals", "list")
    (office.state / "counterfoil.db").write_bytes(b"no database " * 1000)
    ran = office.run("principals", "list", "--json")
    assert (ran.code, ran.error["code"]) == (1, "store_failed")
    assert "damaged" in ran.error["happened"]


def test_another_host_for_passkeys_is_refused(office: Office) -> None:
    office.json("principals", "list")
    office.write(
        "counterfoil.toml",
        'desk = "desk:desk"\npolicy = "policy.cedar"\npublic_url = "https://verify.office.example"\n',
    )
    ran = office.run("principals", "list", "--json")
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert "localhost" in ran.error["happened"]


def test_policy_check_says_what_each_operation_needs(office: Office) -> None:
    [pay] = office.json("policy", "check")["operations"]
    assert pay["operation"] == "pay"
    assert pay["ladder"][0] == "the account holder confirms with their passkey and the code from the chat"
    assert pay["permitted"] == ["The account holder confirms with their passkey and the code from the chat."]
    assert pay["forbidden"] == ["Never more than 500."]
    assert pay["unattended"] == []
    said = office.run("policy", "check").said
    assert "✓ policy.cedar fits the desk." in said
    assert "Never more than 500." in said
    assert not office.state.exists()


def test_policy_check_warns_of_what_nobody_or_anybody_may_do(office: Office) -> None:
    office.write("policy.cedar", "// nothing\n")
    assert "Every request for it is refused." in office.run("policy", "check").said
    office.write(
        "policy.cedar",
        POLICY + '@id("Small ones.") permit (principal, action == Action::"pay/unattended", resource)'
        ' when { resource.arguments.amount.value.lessThan(decimal("1.00")) };',
    )
    assert "without anybody's approval: Small ones." in office.run("policy", "check").said


@pytest.mark.parametrize("case", [name for name, (_, code, _) in WRONG.items() if code != "settings_error"])
def test_policy_check_ends_with_3_where_desk_or_policy_is_wrong(office: Office, case: str) -> None:
    damage, code, said = WRONG[case]
    damage(office)
    ran = office.run("policy", "check", "--json")
    assert (ran.code, ran.error["code"]) == (3, code)
    assert said in ran.error["happened"]
