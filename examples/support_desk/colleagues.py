"""Northlight's own people, and what each of them may do in the shop's systems.

The same promises as in ``business.py``: a change is one transaction on the version of the colleague's record that was
previewed, and the same idempotency key answers the same receipt.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from business import Business, Done, KeyReused, NotDone, Unknown

Permission = Literal["view_customers", "issue_refunds", "edit_prices", "export_customers", "manage_staff"]

ALLOWS: dict[str, str] = {
    "view_customers": "look up one customer at a time",
    "issue_refunds": "pay money back from the shop's accounts",
    "edit_prices": "change the price of everything in the shop",
    "export_customers": "download names, addresses and orders of all customers",
    "manage_staff": "give permissions to colleagues",
}


class UnknownColleague(Unknown):
    """The shop has no colleague of that number."""

    def __init__(self, number: str) -> None:
        super().__init__(f"Northlight has no colleague {number!r}.")


@dataclass(frozen=True, slots=True)
class Colleague:
    """A colleague and what they may do. ``closed``: they left, and nothing opens for them any more."""

    number: str
    name: str
    email: str
    job: str
    since: str
    closed: bool
    version: int
    permissions: tuple[str, ...]


class Colleagues:
    """The shop's record of its own people."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    def colleague(self, number: str) -> Colleague:
        """The colleague; raises UnknownColleague."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM colleagues WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise UnknownColleague(number)
            held = database.execute("SELECT permission FROM permissions WHERE colleague = ?", (number,)).fetchall()
        permissions = sorted((each["permission"] for each in held), key=list(ALLOWS).index)
        return Colleague(**{**dict(row), "closed": bool(row["closed"])}, permissions=tuple(permissions))

    def holders_of(self, permission: str) -> list[str]:
        """The names of everyone who has a permission."""
        with self._shop.reading() as database:
            rows = database.execute(
                "SELECT name FROM permissions JOIN colleagues ON number = colleague WHERE permission = ? ORDER BY name",
                (permission,),
            ).fetchall()
        return [row["name"] for row in rows]

    def change(self, key: str, number: str, permission: str, change: str, version: str | None) -> Done:
        """Grant or withdraw a permission, if the colleague's record still has ``version``; raises NotDone."""
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM permission_changes WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if (same["colleague"], same["permission"], same["change"]) != (number, permission, change):
                    raise KeyReused(f"The key {key} was used for another change.")
                return _done(database, same)
            current = database.execute(
                "UPDATE colleagues SET version = version + 1"
                " WHERE number = ? AND CAST(version AS TEXT) = ? AND NOT closed",
                (number, version),
            ).rowcount
            statement = (
                "INSERT OR IGNORE INTO permissions VALUES (?, ?)"
                if change == "grant"
                else "DELETE FROM permissions WHERE colleague = ? AND permission = ?"
            )
            if not current or not database.execute(statement, (number, permission)).rowcount:
                raise NotDone(f"Nothing was changed: the record of colleague {number} changed in the meantime.")
            row = database.execute(
                "INSERT INTO permission_changes (idempotency_key, colleague, permission, change)"
                " VALUES (?, ?, ?, ?) RETURNING *",
                (key, number, permission, change),
            ).fetchone()
            return _done(database, row)

    def find(self, key: str) -> Done | None:
        """The change made under an idempotency key; None proves that there is none."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM permission_changes WHERE idempotency_key = ?", (key,)).fetchone()
            return _done(database, row) if row else None


def after_change(held: tuple[str, ...], permission: str, change: str) -> tuple[str, ...]:
    """What a colleague may do once the change is made."""
    return tuple(each for each in ALLOWS if (change == "grant" if each == permission else each in held))


def in_words(permissions: tuple[str, ...]) -> str:
    """Permissions for people: ``view customers, edit prices``."""
    return ", ".join(each.replace("_", " ") for each in permissions) or "none"


def _done(database: sqlite3.Connection, row: sqlite3.Row) -> Done:
    name = database.execute("SELECT name FROM colleagues WHERE number = ?", (row["colleague"],)).fetchone()["name"]
    verb = "may now" if row["change"] == "grant" else "may no longer"
    return Done(f"PC-{row['number']}", f"{name} {verb} {ALLOWS[row['permission']]}.")
