"""Northlight's invoices, and corrections of single lines while an invoice is not paid.

The same promises as in ``business.py``: a correction is one transaction on the version of the invoice that was
previewed, and the same idempotency key answers the same correction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from business import Business, Done, KeyReused, NotDone, Unknown, amount_text


class UnknownInvoice(Unknown):
    """The shop has no invoice of that number."""

    def __init__(self, number: str) -> None:
        super().__init__(f"Northlight has no invoice {number!r}.")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line, in cents, with the corrections made so far."""

    text: str
    amount: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice with its lines, the first of which is line 1. ``customer`` owns it."""

    number: str
    customer: str
    order_number: str | None
    issued: str
    due: str
    paid_on: str | None
    currency: str
    version: int
    lines: tuple[InvoiceLine, ...]
    corrections: int

    @property
    def total(self) -> int:
        """In cents."""
        return sum(line.amount for line in self.lines)


class Invoices:
    """The shop's invoices."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    def invoice(self, number: str) -> Invoice:
        """The invoice as it stands; raises UnknownInvoice."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM invoices WHERE number = ?", (number,)).fetchone()
            lines = database.execute(
                "SELECT text, amount FROM invoice_lines WHERE invoice = ? ORDER BY position", (number,)
            ).fetchall()
            corrections = database.execute(
                "SELECT count(*) FROM invoice_corrections WHERE invoice = ? AND cancelled_by IS NULL", (number,)
            ).fetchone()
        if row is None:
            raise UnknownInvoice(number)
        return Invoice(
            **dict(row), lines=tuple(InvoiceLine(**dict(line)) for line in lines), corrections=int(corrections[0])
        )

    def invoices_of(self, customer: str) -> list[Invoice]:
        """A customer's invoices, the newest first. Each carries its owner's number."""
        with self._shop.reading() as database:
            rows = database.execute(
                "SELECT number FROM invoices WHERE customer = ? ORDER BY issued DESC, number DESC", (customer,)
            ).fetchall()
        return [self.invoice(row["number"]) for row in rows]

    def correct(
        self, key: str, number: str, position: int, cents: int, currency: str, reason: str, version: str | None
    ) -> Done:
        """Add ``cents`` (negative: take off) to a line, if the invoice still has ``version``; raises NotDone."""
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM invoice_corrections WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                asked = (same["invoice"], same["position"], same["after"] - same["before"], same["currency"])
                if (*asked, same["reason"]) != (number, position, cents, currency, reason):
                    raise KeyReused(f"The key {key} was used for another correction.")
                return _done(same)
            changed = database.execute(
                "UPDATE invoices SET version = version + 1 WHERE number = ? AND CAST(version AS TEXT) = ?"
                " AND paid_on IS NULL AND currency = ?",
                (number, version, currency),
            ).rowcount
            line = database.execute(
                "UPDATE invoice_lines SET amount = amount + :cents"
                " WHERE invoice = :invoice AND position = :position AND :cents <> 0 AND amount + :cents >= 0"
                " RETURNING amount",
                {"cents": cents, "invoice": number, "position": position},
            ).fetchone()
            if not changed or line is None:
                raise NotDone(
                    f"Nothing was corrected: the invoice {number} was paid or changed in the meantime,"
                    " or the amount does not fit its line."
                )
            row = database.execute(
                'INSERT INTO invoice_corrections (idempotency_key, invoice, position, "before", "after", currency,'
                " reason) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (key, number, position, line["amount"] - cents, line["amount"], currency, reason),
            ).fetchone()
            return _done(row)

    def find(self, key: str) -> Done | None:
        """The correction made under an idempotency key; None proves that there is none."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM invoice_corrections WHERE idempotency_key = ?", (key,)).fetchone()
        return _done(row) if row else None

    def cancel(self, key: str, reference: str) -> Done:
        """Take a correction back while its invoice is not paid; raises NotDone."""
        with self._shop.writing() as database:
            row = database.execute(
                "SELECT * FROM invoice_corrections WHERE 'IC-' || number = ?", (reference,)
            ).fetchone()
            if row is None:
                raise NotDone(f"Northlight has no correction {reference}.")
            if row["cancelled_by"] not in (None, key):
                raise NotDone(f"The correction {reference} was cancelled before.")
            if row["cancelled_by"] is None:
                database.execute(
                    "UPDATE invoice_corrections SET cancelled_by = ? WHERE number = ?", (key, row["number"])
                )
                open_still = database.execute(
                    "UPDATE invoices SET version = version + 1 WHERE number = ? AND paid_on IS NULL", (row["invoice"],)
                ).rowcount
                fits = database.execute(
                    "UPDATE invoice_lines SET amount = amount - :cents"
                    " WHERE invoice = :invoice AND position = :position AND amount - :cents >= 0",
                    {"cents": row["after"] - row["before"], "invoice": row["invoice"], "position": row["position"]},
                ).rowcount
                if not open_still or not fits:
                    raise NotDone(f"The correction {reference} stands: its invoice was paid or corrected since.")
            return Done(f"ICC-{row['number']}", f"The correction {reference} of invoice {row['invoice']} is cancelled.")


def _done(row: sqlite3.Row) -> Done:
    before, after = (amount_text(row[name], row["currency"]) for name in ("before", "after"))
    return Done(
        f"IC-{row['number']}", f"Line {row['position']} of invoice {row['invoice']} is now {after} instead of {before}."
    )
