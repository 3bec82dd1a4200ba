"""``doctor``: what it finds, and that it changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from counterfoil_server.execution.ledger import Ledger
from server.cli.office import Office, Ran, Served

Damage = Callable[[Office], object]


def checks(ran: Ran) -> dict[str, dict[str, Any]]:
    return {check["check"]: check for check in ran.json}


def examined(office: Office) -> tuple[int, dict[str, dict[str, Any]]]:
    ran = office.run("doctor", "--json")
    return ran.code, checks(ran)


def test_a_desk_that_never_ran_is_not_started_by_looking(office: Office) -> None:
    code, found = examined(office)
    assert code == 0
    assert found["state"]["status"] == "warning"
    assert not office.state.exists()


def test_a_desk_in_order_has_warnings_at_most(office: Office) -> None:
    office.json("principals", "list")
    code, found = examined(office)
    assert code == 0
    wrong = [check for check in found.values() if check["status"] == "wrong"]
    assert wrong == []
    for name in ("settings", "desk", "policy", "keys", "ledger", "state folder", "log", "roster", "outcomes", "disk"):
        assert found[name]["status"] == "ok", found[name]


def test_it_warns_of_the_roster_key_until_it_is_moved(office: Office) -> None:
    office.json("principals", "list")
    _, found = examined(office)
    assert found["roster key"]["status"] == "warning"
    assert "Move it off this machine" in found["roster key"]["remedy"]
    (office.folder / "roster-key.pem").unlink()
    _, found = examined(office)
    assert found["roster key"]["status"] == "ok"


def test_it_warns_where_nobody_is_told(office: Office) -> None:
    _, found = examined(office)
    assert found["mail"]["status"] == "warning"
    office.settings("[smtp]", 'host = "mail.office.example"', 'sender = "desk@office.example"')
    _, found = examined(office)
    assert (found["mail"]["status"], found["mail"]["says"]) == ("ok", "sent through mail.office.example:587")


def forge_roster(office: Office) -> None:
    with sqlite3.connect(office.state / "counterfoil.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        [table] = [name for name in tables if "roster" in name]
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        text = next(name for name in columns if name in ("record", "body", "text"))
        database.execute(f"UPDATE {table} SET {text} = replace({text}, 'e', 'f')")
    database.close()


WRONG: dict[str, tuple[Damage, str]] = {
    "broken settings": (lambda office: office.write("counterfoil.toml", "desk ="), "settings"),
    "broken desk": (lambda office: office.write("desk.py", "broken("), "desk"),
    "broken policy": (lambda office: office.write("policy.cedar", "broken("), "policy"),
    "open state folder": (lambda office: office.state.chmod(0o755), "state folder"),
    "open key": (lambda office: (office.state / "keys/secret").chmod(0o644), "keys"),
    "no ledger": (lambda office: (office.state / "ledger.db").unlink(), "ledger"),
    "open roster key": (lambda office: (office.folder / "roster-key.pem").chmod(0o644), "roster key"),
    "other passkey host": (
        lambda office: office.write(
            "counterfoil.toml", 'desk = "desk:desk"\npolicy = "policy.cedar"\npublic_url = "https://a.example"\n'
        ),
        "database",
    ),
    "forged roster": (forge_roster, "roster"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found_with_a_remedy_and_exit_code_3(office: Office, case: str) -> None:
    office.json("people", "invite", "Ana", "--account", "A-1", "--email", "ana@office.example")
    damage, name = WRONG[case]
    damage(office)
    code, found = examined(office)
    assert code == 3
    assert found[name]["status"] == "wrong", found
    assert found[name]["remedy"]
    for_people = office.run("doctor")
    assert for_people.code == 3
    assert f"✗ {name}:" in for_people.out


def test_it_works_while_serving(office: Office, served: Served) -> None:
    code, found = examined(office)
    assert code == 0
    assert found["log"]["status"] == "ok"


def test_accepting_a_log_needs_a_confirmation_and_makes_the_executor_read_it_anew(office: Office) -> None:
    office.json("principals", "add", "bot")
    with sqlite3.connect(office.state / "ledger.db") as database:
        database.execute("INSERT INTO pinned VALUES ('log', 41, x'00')")
    database.close()
    assert office.run("doctor", "--accept-log").code == 2
    assert head(office) == 41
    assert office.json("doctor", "--accept-log", "--yes") == {"accepted": True}
    assert head(office) == -1


def test_what_was_published_and_cannot_be_set_aside_keeps_the_log_as_it_is(office: Office) -> None:
    office.json("principals", "add", "bot")
    sealed = (office.state / "checkpoint").read_bytes()
    (office.state / "checkpoint.cosigned").mkdir()
    ran = office.run("doctor", "--accept-log", "--yes", "--json")
    assert (ran.code, ran.error["code"]) == (1, "store_failed")
    assert "cannot be set aside" in ran.error["happened"]
    assert (office.state / "checkpoint").read_bytes() == sealed


def head(office: Office) -> int:
    ledger = Ledger(office.state / "ledger.db")
    try:
        return ledger.head()[0]
    finally:
        ledger.close()


def test_a_log_older_than_the_executor_has_read_is_found_and_how_to_accept_it(office: Office) -> None:
    office.json("principals", "add", "bot")
    with sqlite3.connect(office.state / "ledger.db") as database:
        database.execute("INSERT INTO pinned VALUES ('log', 41, zeroblob(32))")
    database.close()
    code, found = examined(office)
    assert code == 3
    assert found["executor"]["status"] == "wrong"
    assert "--accept-log" in found["executor"]["remedy"]


def test_a_missing_ledger_beside_a_database_is_refused_and_not_made_anew(office: Office) -> None:
    office.json("principals", "add", "bot")
    for path in office.state.glob("ledger.db*"):
        path.unlink()
    ran = office.run("principals", "list")
    assert ran.code != 0
    assert "ledger" in ran.said
    assert "Restore it from your backup" in ran.said
    assert not (office.state / "ledger.db").exists()


def test_an_older_database_starts_only_after_it_was_accepted_and_then_as_a_new_log(office: Office) -> None:
    office.json("principals", "add", "bot")
    older = office.folder / "older.db"
    with closing(sqlite3.connect(office.state / "counterfoil.db")) as source, closing(sqlite3.connect(older)) as target:
        source.backup(target)
    office.json("principals", "add", "other")
    sealed = (office.state / "checkpoint").read_text()
    for name in ("counterfoil.db-wal", "counterfoil.db-shm"):
        (office.state / name).unlink(missing_ok=True)
    older.replace(office.state / "counterfoil.db")
    refused = office.run("principals", "list", "--json")
    assert (refused.code, refused.error["code"]) == (1, "tamper_detected")
    assert "older copy" in refused.error["happened"]
    assert "--accept-log" in refused.error["remedy"]
    assert office.json("doctor", "--accept-log", "--yes") == {"accepted": True}
    assert [each["principal"] for each in office.json("principals", "list")] == ["bot"]
    [aside] = office.state.glob("checkpoint.until-*")
    assert aside.read_text() == sealed
    origin, anew = (text.split("\n")[0] for text in (sealed, (office.state / "checkpoint").read_text()))
    assert anew.startswith(f"{origin}/from-")
