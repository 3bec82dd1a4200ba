"""How Northlight's customers sign in: addresses, passwords, open sessions, and locks.

The same promises as in ``business.py``: an effect is one transaction on the version of the customer's record that was
previewed, and the same idempotency key answers the same receipt. What resets a password goes to the customer's own
sign-in address and nowhere else: no receipt holds it.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from business import Business, Done, KeyReused, NotDone, UnknownCustomer

NEW_FOR_DAYS = 7
"""For so long the shop calls a sign-in address new."""


LockReason = Literal["failed_sign_ins", "fraud_desk"]


@dataclass(frozen=True, slots=True)
class Lock:
    """Why nobody can sign in to an account, since when, and after which tries."""

    why: LockReason
    since: str
    tries: str


@dataclass(frozen=True, slots=True)
class Session:
    """One device that is signed in."""

    device: str
    place: str
    since: str


@dataclass(frozen=True, slots=True)
class State:
    """How a customer signs in now. ``password_set`` is None while a reset waits for its new password."""

    password_set: str | None
    last_on: str
    last_from: str
    address_since: str
    address_is_new: bool
    sessions: tuple[Session, ...]
    lock: Lock | None


class SignIn:
    """The shop's sign-in system."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    def state(self, customer: str) -> State:
        """How the customer signs in now; raises UnknownCustomer."""
        with self._shop.reading() as database:
            row = database.execute(
                "SELECT password_set, last_on, last_from, first_seen AS address_since,"
                " first_seen > date('now', ?) AS address_is_new FROM customers"
                " JOIN sign_ins ON sign_ins.customer = number"
                " JOIN addresses ON addresses.customer = number AND addresses.email = sign_in_email WHERE number = ?",
                (f"-{NEW_FOR_DAYS} days", customer),
            ).fetchone()
            sessions = database.execute(
                "SELECT device, place, since FROM sessions WHERE customer = ? AND ended_by IS NULL ORDER BY number",
                (customer,),
            ).fetchall()
            lock = database.execute(
                "SELECT why, since, tries FROM sign_in_locks WHERE customer = ?", (customer,)
            ).fetchone()
        if row is None:
            raise UnknownCustomer(customer)
        return State(
            **{**dict(row), "address_is_new": bool(row["address_is_new"])},
            sessions=tuple(Session(**dict(each)) for each in sessions),
            lock=Lock(**dict(lock)) if lock else None,
        )

    # The sign-in e-mail -----------------------------------------------------------------------------------------------

    def address_in_use(self, email: str, besides: str) -> bool:
        """Whether another customer than ``besides`` is written to, or signs in, with this address."""
        with self._shop.reading() as database:
            return _address_in_use(database, email, besides)

    def address_first_seen(self, email: str, customer: str) -> str | None:
        """The date on which this customer first gave the shop this address, or None."""
        with self._shop.reading() as database:
            row = database.execute(
                "SELECT first_seen FROM addresses WHERE email = ? COLLATE NOCASE AND customer = ?", (email, customer)
            ).fetchone()
        return str(row["first_seen"]) if row else None

    def change_email(self, key: str, number: str, email: str, version: str | None) -> Done:
        """Let a customer sign in with another address, if their record still has ``version``; raises NotDone."""
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM sign_in_changes WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if (same["customer"], same["after"]) != (number, email):
                    raise KeyReused(f"The key {key} was used for another change.")
                return _change_done(same)
            if _address_in_use(database, email, besides=number):
                raise NotDone("Nothing was changed: the new address can't be used for this account.")
            before = database.execute("SELECT sign_in_email FROM customers WHERE number = ?", (number,)).fetchone()
            _raise_version(database, number, version)
            database.execute("UPDATE customers SET sign_in_email = ? WHERE number = ?", (email, number))
            database.execute("INSERT OR IGNORE INTO addresses VALUES (?, ?, date('now'))", (email, number))
            row = database.execute(
                'INSERT INTO sign_in_changes (idempotency_key, customer, "before", "after")'
                " VALUES (?, ?, ?, ?) RETURNING *",
                (key, number, before["sign_in_email"], email),
            ).fetchone()
            return _change_done(row)

    def find_email_change(self, key: str) -> Done | None:
        """The change made under an idempotency key; None proves that there is none."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM sign_in_changes WHERE idempotency_key = ?", (key,)).fetchone()
        return _change_done(row) if row else None

    # Passwords --------------------------------------------------------------------------------------------------------

    def reset_password(self, key: str, number: str, version: str | None) -> Done:
        """End all sessions, void the password, and write to the sign-in address how to choose a new one.

        Raises NotDone. The link is in that message only; the shop keeps its digest, and the receipt neither.
        """
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM password_resets WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if same["customer"] != number:
                    raise KeyReused(f"The key {key} was used for another customer's password.")
                return _reset_done(same)
            _raise_version(database, number, version)
            ended = database.execute(
                "UPDATE sessions SET ended_by = ? WHERE customer = ? AND ended_by IS NULL", (key, number)
            ).rowcount
            database.execute("UPDATE sign_ins SET password_set = NULL WHERE customer = ?", (number,))
            link = f"https://northlight.example/new-password/{secrets.token_urlsafe(24)}"
            database.execute(
                "INSERT INTO mail_to_send (recipient, subject, body)"
                " SELECT sign_in_email, 'Choose a new password', ? FROM customers WHERE number = ?",
                (f"Your password was reset. Choose a new one within an hour: {link}", number),
            )
            row = database.execute(
                "INSERT INTO password_resets (idempotency_key, customer, sessions_ended, link_digest)"
                " VALUES (?, ?, ?, ?) RETURNING *",
                (key, number, ended, sha256(link.encode()).hexdigest()),
            ).fetchone()
            return _reset_done(row)

    def find_password_reset(self, key: str) -> Done | None:
        """The reset made under an idempotency key; None proves that there is none."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM password_resets WHERE idempotency_key = ?", (key,)).fetchone()
        return _reset_done(row) if row else None

    # Locks ------------------------------------------------------------------------------------------------------------

    def unlock(self, key: str, number: str, why: LockReason, version: str | None) -> Done:
        """Open an account that is locked for this reason and no other; raises NotDone."""
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM unlocks WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if same["customer"] != number:
                    raise KeyReused(f"The key {key} was used for another customer's account.")
                return _unlock_done(same)
            _raise_version(database, number, version)
            opened = database.execute(
                "DELETE FROM sign_in_locks WHERE customer = ? AND why = ?", (number, why)
            ).rowcount
            if not opened:
                raise NotDone(f"Nothing was unlocked: the account {number} is not locked, or for another reason.")
            database.execute("UPDATE customers SET locked = 0 WHERE number = ?", (number,))
            row = database.execute(
                "INSERT INTO unlocks (idempotency_key, customer) VALUES (?, ?) RETURNING *", (key, number)
            ).fetchone()
            return _unlock_done(row)

    def find_unlock(self, key: str) -> Done | None:
        """What was unlocked under an idempotency key; None proves that nothing was."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM unlocks WHERE idempotency_key = ?", (key,)).fetchone()
        return _unlock_done(row) if row else None


def _raise_version(database: sqlite3.Connection, number: str, version: str | None) -> None:
    """Claim the customer's record at the version that was previewed; raises NotDone where it is another."""
    changed = database.execute(
        "UPDATE customers SET version = version + 1 WHERE number = ? AND CAST(version AS TEXT) = ?", (number, version)
    ).rowcount
    if not changed:
        raise NotDone(f"Nothing was changed: the record of customer {number} changed in the meantime.")


def _address_in_use(database: sqlite3.Connection, email: str, besides: str) -> bool:
    row = database.execute(
        "SELECT 1 FROM customers WHERE number <> ? AND ? COLLATE NOCASE IN (email, sign_in_email) LIMIT 1",
        (besides, email),
    ).fetchone()
    return row is not None


def _change_done(row: sqlite3.Row) -> Done:
    return Done(f"SI-{row['number']}", f"The customer now signs in with {row['after']} instead of {row['before']}.")


def _reset_done(row: sqlite3.Row) -> Done:
    ended = f"{row['sessions_ended']} sign-in{'s' * (row['sessions_ended'] != 1)} ended"
    return Done(f"PW-{row['number']}", f"{ended}; a message to the sign-in address says how to choose a new password.")


def _unlock_done(row: sqlite3.Row) -> Done:
    return Done(f"UN-{row['number']}", "The account is open again; its password is the same as before.")
