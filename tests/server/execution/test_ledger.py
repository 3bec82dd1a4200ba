"""The executor's memory as a file: what is newer or damaged is refused and left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil.errors import NewerSchema, StoreFailed
from counterfoil_server.execution.ledger import SCHEMA_VERSION, Ledger


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
