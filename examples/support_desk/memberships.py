"""Northlight's memberships: three tiers, paid for a year at a time.

A higher tier begins at once and costs the difference for the running year. A lower one begins when the paid year ends:
nobody loses what they paid for. The same promises as in ``business.py`` hold for keys and versions.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from business import Business, Done, KeyReused, NotDone, UnknownCustomer, amount_text, day_text

Tier = Literal["free", "standard", "plus"]
Direction = Literal["upgrade", "downgrade", "stay", "nothing"]

CURRENCY = "EUR"
YEARLY: dict[str, int] = {"free": 0, "standard": 2900, "plus": 7900}
"""Cents a year, the lowest tier first."""
BENEFITS: dict[str, str] = {
    "free": "no membership benefits",
    "standard": "free pick-up of returns",
    "plus": "free pick-up of returns, delivery to the room, and 5 % off lamps",
}


@dataclass(frozen=True, slots=True)
class Membership:
    """What a customer is a member of. ``customer`` owns it; ``paid_until`` is None in the free tier."""

    customer: str
    tier: str
    paid_until: str | None
    next_tier: str | None
    """The tier that follows the paid year, where it is another."""
    method: str
    version: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change would do: its direction, what it costs now in cents, and what holds afterwards."""

    direction: Direction
    cost: int
    tier: str
    next_tier: str | None


def plan(membership: Membership, asked: str) -> Plan:
    """What asking for a tier means for this membership."""
    now, then = YEARLY[membership.tier], YEARLY[asked]
    if then > now:
        return Plan("upgrade", then - now, asked, None)
    if asked == membership.tier:
        return Plan("stay" if membership.next_tier else "nothing", 0, membership.tier, None)
    if asked == membership.next_tier:
        return Plan("nothing", 0, membership.tier, membership.next_tier)
    return Plan("downgrade", 0, membership.tier, asked)


class Memberships:
    """The shop's members."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    def membership_of(self, customer: str) -> Membership:
        """The customer's membership, free in version 0 for those who never had one; raises UnknownCustomer."""
        with self._shop.reading() as database:
            return _membership(database, customer)

    def change(self, key: str, customer: str, asked: str, version: str | None) -> Done:
        """Change to the tier ``asked``, if the membership still has ``version``; raises NotDone."""
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM membership_changes WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if (same["customer"], same["asked"]) != (customer, asked):
                    raise KeyReused(f"The key {key} was used for another change.")
                return _done(same)
            former = _membership(database, customer)
            planned = plan(former, asked)
            if str(former.version) != version or planned.direction == "nothing":
                raise NotDone("Nothing was changed: the membership changed in the meantime, or is this one already.")
            begins = former.paid_until is None
            database.execute(
                "INSERT INTO memberships VALUES (:customer, :tier, date('now', '+1 year'), :next, :method, 1)"
                " ON CONFLICT (customer) DO UPDATE SET tier = :tier, next_tier = :next, version = version + 1,"
                " paid_until = CASE WHEN :begins THEN date('now', '+1 year') ELSE paid_until END",
                {
                    "customer": customer, "tier": planned.tier, "next": planned.next_tier, "method": former.method,
                    "begins": begins,
                },
            )  # fmt: skip
            after = _membership(database, customer)
            row = database.execute(
                'INSERT INTO membership_changes (idempotency_key, customer, asked, "before", "after", charged,'
                " former_tier, former_paid_until, former_next_tier, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " RETURNING *",
                (
                    key, customer, asked, in_words(former), in_words(after), planned.cost,
                    former.tier, former.paid_until, former.next_tier, after.version,
                ),
            ).fetchone()  # fmt: skip
            return _done(row)

    def find(self, key: str) -> Done | None:
        """The change made under an idempotency key; None proves that there is none."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM membership_changes WHERE idempotency_key = ?", (key,)).fetchone()
        return _done(row) if row else None

    def undo(self, key: str, reference: str) -> Done:
        """Put the membership back as it was before a change, and give back what was charged; raises NotDone."""
        with self._shop.writing() as database:
            row = database.execute(
                "SELECT * FROM membership_changes WHERE 'MB-' || number = ?", (reference,)
            ).fetchone()
            if row is None:
                raise NotDone(f"Northlight has no change of membership {reference}.")
            if row["undone_by"] not in (None, key):
                raise NotDone(f"The change {reference} was undone before.")
            if row["undone_by"] is None:
                restored = database.execute(
                    "UPDATE memberships SET tier = ?, paid_until = ?, next_tier = ?, version = version + 1"
                    " WHERE customer = ? AND version = ?",
                    (
                        row["former_tier"], row["former_paid_until"], row["former_next_tier"], row["customer"],
                        row["version"],
                    ),
                ).rowcount  # fmt: skip
                if not restored:
                    raise NotDone(f"The change {reference} stands: the membership was changed again since.")
                database.execute("UPDATE membership_changes SET undone_by = ? WHERE number = ?", (key, row["number"]))
            back = f"; {amount_text(row['charged'], CURRENCY)} are given back" if row["charged"] else ""
            return Done(f"MBU-{row['number']}", f"The membership is {row['before']} again{back}.")


def in_words(membership: Membership) -> str:
    """A membership for people: ``plus, paid until 14 March 2027, then free``."""
    until = f", paid until {day_text(membership.paid_until)}" if membership.paid_until else ""
    return f"{membership.tier}{until}" + (f", then {membership.next_tier}" if membership.next_tier else "")


def _membership(database: sqlite3.Connection, customer: str) -> Membership:
    row = database.execute("SELECT * FROM memberships WHERE customer = ?", (customer,)).fetchone()
    if row is not None:
        return Membership(**dict(row))
    paid_last = database.execute(
        "SELECT method FROM orders JOIN payments ON order_number = number WHERE customer = ? ORDER BY placed DESC",
        (customer,),
    ).fetchone()
    if paid_last is None and not database.execute("SELECT 1 FROM customers WHERE number = ?", (customer,)).fetchone():
        raise UnknownCustomer(customer)
    return Membership(customer, "free", None, None, paid_last["method"] if paid_last else "Invoice", 0)


def _done(row: sqlite3.Row) -> Done:
    charged = f" {amount_text(row['charged'], CURRENCY)} are charged." if row["charged"] else ""
    return Done(f"MB-{row['number']}", f"The membership is now {row['after']}.{charged}")
