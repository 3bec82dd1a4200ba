"""The executor's memory as a file: what is newer or damaged is refused and left alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from counterfoil.errors import NewerSchema, StoreFailed, TamperDetected
from counterfoil.leaves import administered, enrolled, enrolment_told
from counterfoil.log import GENESIS, Leaf, seal
from counterfoil_server.execution.ledger import Ledger
from counterfoil_server.execution.ledger_schema import MIGRATIONS, SCHEMA_VERSION
from server.execution.workshop import Workshop


def test_a_newer_ledger_is_left_exactly_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as future:
        future.execute("CREATE TABLE future (x)")
        future.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(NewerSchema, match="ledger"):
        Ledger(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_ledger_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no ledger at all" * 500)
    with pytest.raises(StoreFailed, match="backup"):
        Ledger(path)
    with pytest.raises(StoreFailed, match="cannot be opened"):
        Ledger(tmp_path / "none" / "ledger.db")


def test_what_started_is_known_after_a_restart_and_starts_no_second_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    effect = {"issuer": "i", "ticket": "t", "account": "a", "operation": "o", "currency": None, "amount": None, "at": 1}
    for first in (True, False, False):
        ledger = Ledger(path)
        assert ledger.start(**effect) is first  # type: ignore[arg-type]
        ledger.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_ledger_of_an_earlier_version_hears_the_enrolments_of_the_same_log_alone(tmp_path: Path) -> None:
    """It reads from the beginning again, and has to find there what it had read last."""
    log: list[Leaf] = []
    for credential, enrolment in (("key", "first"), ("new", "second")):
        draft = enrolled(person="ann", credential=credential, invitation="invitation", enrolment=enrolment)
        body, mac = seal(draft, index=len(log), at=1, previous=log[-1].mac if log else GENESIS, key=b"k" * 32)
        log.append(Leaf(len(log), body, mac, draft.opening, None, "enrol"))
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.executescript(f"{MIGRATIONS[0]}{MIGRATIONS[1]} PRAGMA user_version = 2;")
        earlier.execute("INSERT INTO pinned VALUES ('log', 1, ?)", (log[1].mac,))
        earlier.commit()
    with closing(Ledger(path)) as ledger:
        assert ledger.reads_again
        assert ledger.head() == (-1, GENESIS)
        ledger.follow(log[:1])
        assert ledger.reads_again
        with pytest.raises(TamperDetected, match="different from"):
            ledger.follow([Leaf(1, log[1].body, b"x" * 32, log[1].opening, None, "enrol")])
    with closing(Ledger(path)) as ledger:
        assert ledger.reads_again
        ledger.follow(log[1:])
        assert not ledger.reads_again
        assert ledger.enrolled() == {"invitation": "first"}


def test_where_an_earlier_version_had_read_to_is_not_passed_by_leaves_that_are_not_kept(tmp_path: Path) -> None:
    """A leaf after it that does not open undoes the whole: a shorter log would be another one still."""
    log: list[Leaf] = []
    for draft in (
        enrolled(person="ann", credential="key", invitation="invitation", enrolment="first"),
        enrolled(person="ben", credential="new", invitation="another", enrolment="second"),
    ):
        body, mac = seal(draft, index=len(log), at=1, previous=log[-1].mac if log else GENESIS, key=b"k" * 32)
        log.append(Leaf(len(log), body, mac, draft.opening, None, "enrol"))
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.executescript(f"{MIGRATIONS[0]}{MIGRATIONS[1]} PRAGMA user_version = 2;")
        earlier.execute("INSERT INTO pinned VALUES ('log', 0, ?)", (log[0].mac,))
        earlier.commit()
    with closing(Ledger(path)) as ledger:
        with pytest.raises(TamperDetected, match="does not open"):
            ledger.follow([log[0], replace(log[1], opening=None)])
        assert ledger.reads_again
        assert ledger.head() == (-1, GENESIS)
        ledger.follow(log)
        assert not ledger.reads_again


@pytest.mark.anyio
async def test_a_log_that_is_shorter_than_an_earlier_version_had_read_is_refused(workshop: Workshop) -> None:
    await workshop.executor.examine()
    workshop.ledger.reads_again = True
    with pytest.raises(TamperDetected, match="older than"):
        await workshop.executor.follow_log()


def test_leaves_of_enrolments_of_an_earlier_version_name_the_passkey_alone() -> None:
    draft = administered("enrol", person="ann", credential="key")
    body, _ = seal(draft, index=0, at=1, previous=GENESIS, key=b"k" * 32)
    groups = json.loads(body)["groups"]
    assert enrolment_told(groups, draft.opening) == ("credential:key", "")
    assert enrolment_told(groups, None) is None
    with pytest.raises(TamperDetected, match="does not open"):
        enrolment_told(groups, b"{}")
