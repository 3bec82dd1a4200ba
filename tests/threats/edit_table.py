"""What somebody may edit behind the desk's back, and who notices, in which words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threats.edited_desk import FORKED, Desk

TICKETS = "(SELECT number FROM ticket WHERE state IN ('approved', 'executing'))"


@dataclass(frozen=True)
class Edit:
    """An edit, and what it takes. ``under_way``: it can be made under a process that runs."""

    what: str
    make: Callable[[Desk], object]
    under_way: bool = True


def _forked(desk: Desk, *, all_keys: bool, ledger: bool = False) -> None:
    desk.set_back("counterfoil.db", FORKED)
    if all_keys:
        desk.take_file("checkpoint", FORKED)
    if ledger:
        desk.set_back("ledger.db", FORKED)


def _set_back(desk: Desk, *files: str) -> None:
    for file in files:
        (desk.set_back if file.endswith(".db") else desk.take_file)(file)


def _new_log_key(desk: Desk) -> None:
    (desk.state / "keys" / "log.pem").write_bytes(_another_key(desk))


def _another_key(desk: Desk) -> bytes:
    from counterfoil_server.key_files import _log_pem

    return _log_pem()


def _forget_the_seal(desk: Desk) -> None:
    (desk.state / "checkpoint").unlink()
    (desk.state / "keys" / "log.pem").unlink()
    desk.edit("DELETE FROM setting WHERE name = 'log_key'")


def _replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


EDITS = {
    "leaf": lambda desk: desk.edit("UPDATE leaf SET body = CAST(body || x'20' AS BLOB) WHERE number = 70"),
    "leaf deep": lambda desk: desk.edit("UPDATE leaf SET body = CAST(body || x'20' AS BLOB) WHERE number = 2"),
    "reorder": lambda desk: desk.edit(
        "UPDATE leaf SET number = -1 WHERE number = 70",
        "UPDATE leaf SET number = 70 WHERE number = 71",
        "UPDATE leaf SET number = 71 WHERE number = -1",
    ),
    "truncate": lambda desk: desk.edit("DELETE FROM leaf WHERE number > (SELECT max(number) - 3 FROM leaf)"),
    "fork chain": lambda desk: _forked(desk, all_keys=False),
    "fork all keys": lambda desk: _forked(desk, all_keys=True),
    "fork all keys and ledger": lambda desk: _forked(desk, all_keys=True, ledger=True),
    "db back": lambda desk: _set_back(desk, "counterfoil.db"),
    "db, cp back": lambda desk: _set_back(desk, "counterfoil.db", "checkpoint"),
    "all back": lambda desk: _set_back(desk, "counterfoil.db", "checkpoint", "ledger.db"),
    "tile": lambda desk: desk.edit("UPDATE tile SET hashes = CAST(x'00' || substr(hashes, 2) AS BLOB)"),
    "cp edited": lambda desk: _replace_in(desk.state / "checkpoint", "\n1", "\n2"),
    "cp older": lambda desk: desk.take_file("checkpoint"),
    "cp gone": lambda desk: (desk.state / "checkpoint").unlink(),
    "log key": _new_log_key,
    "cp, key, name gone": _forget_the_seal,
    "ticket state ran": lambda desk: desk.edit(
        "UPDATE ticket SET state = 'approved', effect = 1, redeemed_at = NULL, ended_at = NULL, outcome = NULL WHERE state = 'executed'"
    ),
    "ticket gone": lambda desk: desk.edit("DELETE FROM ticket WHERE state IN ('approved', 'executing')"),
    "envelope": lambda desk: desk.edit(
        "DROP TRIGGER envelope_is_frozen",
        f"UPDATE envelope SET body = CAST(replace(CAST(body AS TEXT), '0.00', '9.00') AS BLOB) WHERE ticket IN {TICKETS}",
    ),
    "statement": lambda desk: desk.edit(
        f"UPDATE statement SET statement = CAST(replace(CAST(statement AS TEXT), 'approve', 'decline') AS BLOB) WHERE ticket IN {TICKETS}"
    ),
    "signature": lambda desk: desk.edit(
        f"UPDATE statement SET assertion = (SELECT assertion FROM statement WHERE number = 1) WHERE ticket IN {TICKETS}"
    ),
    "statement gone": lambda desk: desk.edit(f"DELETE FROM statement WHERE ticket IN {TICKETS}"),
    "roster edit": lambda desk: desk.edit(
        "UPDATE roster_record SET record = replace(record, '.', '.A') WHERE version = 1"
    ),
    "roster newest": lambda desk: desk.edit(
        "DELETE FROM roster_record WHERE version = (SELECT max(version) FROM roster_record)"
    ),
    "ledger row": lambda desk: desk.edit("DELETE FROM effect", file="ledger.db"),
    "ledger gone": lambda desk: [path.unlink() for path in desk.state.glob("ledger.db*")],
    "ledger back": lambda desk: _set_back(desk, "ledger.db"),
}
FILES = {"cp edited", "cp older", "cp gone", "log key", "cp, key, name gone", "ledger gone"}
