"""What somebody may edit behind the desk's back, and who notices, in which words.

``docs/explanation/what-is-edited.md`` shows this table; ``test_what_is_edited.py`` plays each row and compares both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from counterfoil_server.key_files import _log_pem
from threats.edited_desk import BEFORE, FORKED, LOOKS, OLDER, Desk

COLUMNS = {
    "start": "start",
    "doctor": "`doctor`",
    "redemption": "redemption",
    "executor": "executor",
    "witness": "witness",
    "holder": "who kept a checkpoint",
    "auditor": "auditor",
}


@dataclass(frozen=True)
class Edit:
    """An edit, and a part of what each says who notices it. ``under_way``: it is also made under a process that runs,
    where none starts beside it; what runs already is asked then."""

    what: str
    make: Callable[[Desk], object]
    said: dict[str, str]
    under_way: bool = True

    @property
    def is_asked(self) -> bool:
        """Whether others than a start are asked: nothing runs where that refuses, but what ran already."""
        return self.under_way or "start" not in self.said

    def to_row(self) -> str:
        """The row on the page."""
        marks = ["✓" if name in self.said else "–" if self.is_asked or name == "start" else "" for name in COLUMNS]
        first = next((self.said[name] for name in COLUMNS if name in self.said), "")
        return f"| {self.what} | {' | '.join(marks)} | {f'“{first}”' if first else 'nobody, see below'} |"


def page() -> str:
    """The table on the page."""
    names = ["what is edited", *COLUMNS.values(), "in words such as"]
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    return "\n".join([*lines, *(edit.to_row() for edit in EDITS)]) + "\n"


def _sql(*statements: str, file: str = "counterfoil.db") -> Callable[[Desk], object]:
    return lambda desk: desk.edit(*statements, file=file)


def _back(*files: str, to: str = OLDER) -> Callable[[Desk], object]:
    """Other copies of these files, in their place."""

    def edit(desk: Desk) -> None:
        for file in files:
            (desk.set_back if file.endswith(".db") else desk.take_file)(file, to)

    return edit


def _no_seal_at_all(desk: Desk) -> None:
    (desk.state / "checkpoint").unlink()
    (desk.state / "keys" / "log.pem").unlink()
    desk.edit("DELETE FROM setting WHERE name = 'log_key'")


def _no_ledger(desk: Desk) -> None:
    for path in desk.state.glob("ledger.db*"):
        path.unlink()


def _another_root(desk: Desk) -> None:
    path: Path = desk.state / "checkpoint"
    origin, size, rest = path.read_text().split("\n", 2)
    path.write_text(f"{origin}\n{int(size) - 1}\n{rest}")


EDITED = "does not follow from the leaf before it"
NOT_SEALED = "are not those that were sealed"
OTHER_LOG = "older than, or different from, what the executor has seen"
CUT = "it was cut, or is an older copy"
TWO = "there are two histories"
NO_TICKET = "There is no such ticket"
FEWER = "records; at least"
NOT_FIRST = "enrolled first with its invitation"
NOT_THEIRS = "is not one that this person may sign with"
LOST = "the ledger has lost that it ran"
WRONG_SIGNATURE = "The passkey signed something else"

EDITS = (
    Edit(
        "a leaf near the end of the log",
        _sql("UPDATE leaf SET body = CAST(body || x'20' AS BLOB) WHERE number = 82"),
        {"start": NOT_SEALED, "doctor": EDITED},
    ),
    Edit(
        "a leaf deep in it",
        _sql("UPDATE leaf SET body = CAST(body || x'20' AS BLOB) WHERE number = 20"),
        {"doctor": EDITED},
    ),
    Edit(
        "two leaves change places",
        _sql(
            "UPDATE leaf SET number = -1 WHERE number = 81",
            "UPDATE leaf SET number = 81 WHERE number = 82",
            "UPDATE leaf SET number = 82 WHERE number = -1",
        ),
        {"start": NOT_SEALED, "doctor": EDITED},
    ),
    Edit(
        "the newest leaves are cut off",
        _sql("DELETE FROM leaf WHERE number > (SELECT max(number) - 3 FROM leaf)"),
        {
            "start": "that, or the time, is not what its seal says", "doctor": "of the log is missing",
            "executor": OTHER_LOG,
        },
    ),
    Edit(
        "the log, made anew from some leaf on with the chain's key",
        _back("counterfoil.db", to=FORKED),
        {
            "start": NOT_SEALED, "doctor": NOT_SEALED, "redemption": NO_TICKET, "executor": NO_TICKET, "auditor": FEWER,
        },
    ),
    Edit(
        "the same with the log's key too, so that its checkpoint fits",
        _back("counterfoil.db", "checkpoint", to=FORKED),
        {
            "doctor": OTHER_LOG, "redemption": NO_TICKET, "executor": NO_TICKET, "witness": TWO, "holder": TWO,
            "auditor": FEWER,
        },
    ),
    Edit(
        "the same with every key and the executor's ledger",
        _back("counterfoil.db", "checkpoint", "ledger.db", to=FORKED),
        {"redemption": NO_TICKET, "executor": NO_TICKET, "witness": TWO, "holder": TWO, "auditor": FEWER},
    ),
    Edit(
        "the database is an older copy",
        _back("counterfoil.db"),
        {
            "start": CUT, "doctor": OTHER_LOG, "redemption": NO_TICKET, "executor": NO_TICKET, "auditor": FEWER,
        },
    ),
    Edit(
        "database and checkpoint are older copies",
        _back("counterfoil.db", "checkpoint"),
        {
            "doctor": OTHER_LOG, "redemption": NO_TICKET, "executor": NO_TICKET, "witness": CUT, "holder": CUT,
            "auditor": FEWER,
        },
    ),
    Edit(
        "the whole state folder is an older copy",
        _back("counterfoil.db", "checkpoint", "ledger.db"),
        {"redemption": NO_TICKET, "executor": NO_TICKET, "witness": CUT, "holder": CUT, "auditor": FEWER},
    ),
    Edit(
        "a tile of the log's tree",
        _sql("UPDATE tile SET hashes = CAST(x'00' || substr(hashes, 2) AS BLOB)"),
        {
            "start": NOT_SEALED, "doctor": "A tile of the log's tree",
            "auditor": "does not lead from the leaf to the root",
        },
    ),
    Edit(
        "the checkpoint",
        _another_root,
        {"start": "is not signed by the key of the log"},
        under_way=False,
    ),
    Edit("the checkpoint is an older one", _back("checkpoint"), {}, under_way=False),
    Edit(
        "the checkpoint is gone", lambda desk: (desk.state / "checkpoint").unlink(), {"start": "is missing"},
        under_way=False,
    ),
    Edit(
        "the log's key is another one",
        lambda desk: (desk.state / "keys" / "log.pem").write_bytes(_log_pem()),
        {"start": "is not the one that sealed it before"},
        under_way=False,
    ),
    Edit(
        "checkpoint, log's key and its pinned name are gone together",
        _no_seal_at_all,
        {
            "witness": "is not signed by the key of the log", "holder": "that the log's key did not sign",
            "auditor": "is not signed by the key of the log",
        },
        under_way=False,
    ),
    Edit(
        "a ticket's row: executed becomes approved",
        _sql(
            "UPDATE ticket SET state = 'approved', effect = 1, redeemed_at = NULL, ended_at = NULL, outcome = NULL"
            " WHERE state = 'executed'"
        ),
        {"auditor": "The leaves tell of a ticket that is executed"},
    ),
    Edit(
        "a ticket's row is gone",
        _sql("DELETE FROM ticket WHERE state IN ('approved', 'executing')"),
        {"redemption": NO_TICKET, "executor": NO_TICKET},
    ),
    Edit(
        "an envelope",
        _sql(
            "DROP TRIGGER envelope_is_frozen",
            "UPDATE envelope SET body = CAST(replace(CAST(body AS TEXT), '0.00', '9.00') AS BLOB)",
        ),
        {
            "redemption": "were changed outside Counterfoil", "executor": "is not the one that the order is for",
            "auditor": "tells of another request",
        },
    ),
    Edit(
        "a statement that somebody signed",
        _sql(
            "UPDATE statement SET statement ="
            " CAST(replace(CAST(statement AS TEXT), 'approve', 'decline') AS BLOB)"
        ),
        {"redemption": WRONG_SIGNATURE, "executor": WRONG_SIGNATURE, "auditor": "tells of another statement"},
    ),
    Edit(
        "a signature: that of another request",
        _sql(
            *(
                f"UPDATE statement SET assertion = (SELECT assertion FROM statement WHERE number = {other})"
                f" WHERE number = {number}"
                for number, other in ((3, 1), (1, 2), (2, 3))
            )
        ),
        {"redemption": WRONG_SIGNATURE, "executor": WRONG_SIGNATURE, "auditor": WRONG_SIGNATURE},
    ),
    Edit(
        "a statement is gone",
        _sql("DELETE FROM statement"),
        {
            "redemption": "have not all signed", "executor": "do not meet what the request requires",
            "auditor": "There are more or fewer statements than the leaves tell of",
        },
    ),
    Edit(
        "a record of the roster",
        _sql("UPDATE roster_record SET record = replace(record, '.', '.A') WHERE version = 1"),
        dict.fromkeys(("doctor", "redemption", "executor", "auditor"), "is not signed by the roster key"),
    ),
    Edit(
        "the roster's newest record is gone",
        _sql("DELETE FROM roster_record WHERE version = (SELECT max(version) FROM roster_record)"),
        dict.fromkeys(("doctor", "redemption", "executor", "auditor"), FEWER),
    ),
    Edit(
        "the roster is an older one",
        _sql("DELETE FROM roster_record WHERE version > 1", "DELETE FROM enrolment WHERE number > 1"),
        dict.fromkeys(("doctor", "redemption", "executor", "auditor"), FEWER),
    ),
    Edit(
        "a passkey, by whoever has the link it was made with",
        Desk.exchange_passkey,
        dict.fromkeys(("doctor", "redemption", "executor"), NOT_FIRST) | {"auditor": NOT_THEIRS},
    ),
    Edit(
        "the leaf of an enrolment no longer opens",
        _sql("UPDATE leaf SET opening = NULL WHERE number = (SELECT min(number) FROM leaf WHERE event = 'enrol')"),
        dict.fromkeys(("doctor", "redemption", "executor"), "tells of an enrolment does not open"),
        under_way=False,
    ),
    Edit("a row of the executor's ledger is gone", _sql("DELETE FROM effect", file="ledger.db"), {"executor": LOST}),
    Edit(
        "the executor's ledger is gone",
        _no_ledger,
        {"start": "is missing, but there is a database"},
        under_way=False,
    ),
    Edit("the executor's ledger is an older copy", _back("ledger.db", to=BEFORE), {"executor": LOST}),
)  # fmt: skip

assert COLUMNS.keys() - {"start"} == LOOKS.keys()
