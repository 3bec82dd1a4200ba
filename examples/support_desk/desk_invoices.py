"""Corrections of invoices: one line at a time, while the invoice is not paid."""

from __future__ import annotations

from typing import Annotated, Literal

from business import Business, amount_text, day_text
from desk_words import MONEY, Reason, UndoFacts, receipt, refusals_told, undo_facts, whole_cents
from invoices import Invoice, Invoices
from pydantic import Field

from counterfoil import Account, Change, Desk, Execution, Facts, Money, Receipt, fact, shown

LineNumber = Annotated[int, Field(ge=1, le=999, description="The line of the invoice; the first is 1.")]
Direction = Literal["lower", "raise"]
NOT_POSSIBLE = "not possible"


class InvoiceFacts(Facts):
    """What the person who decides about a correction should know."""

    invoice: str = fact(label="The invoice", about="invoice_id")
    line_text: str = fact(label="What the line is for", about="line")
    line_amount: Change = fact(label="This line")
    invoice_total: Change = fact(label="The whole invoice")
    currency: str = fact(label="Currency of the invoice")
    paid: bool = fact(label="Invoice is paid")
    fits: bool = fact(label="Fits the line", about="amount")
    corrections: int = shown(label="Corrections of this invoice so far")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


def offer_invoice_corrections(desk: Desk, shop: Business) -> None:
    """A wrong amount put right, once per ticket and only on the invoice that people looked at."""
    invoices = Invoices(shop)

    @desk.operation(title="Correct an invoice", counts="amount", ladder=MONEY)
    async def adjust_invoice(
        execution: Execution,
        account: Account,
        invoice_id: str,
        line: LineNumber,
        direction: Direction,
        amount: Money,
        reason: Reason,
    ) -> Receipt:
        """Lower or raise one line of an invoice that is not paid yet, by an amount."""
        with refusals_told():
            return receipt(
                invoices.correct(
                    execution.idempotency_key,
                    invoice_id,
                    line,
                    signed_cents(direction, amount),
                    amount.currency,
                    reason,
                    execution.guard,
                )
            )

    @adjust_invoice.preview
    async def invoice_facts(
        account: Account, invoice_id: str, line: LineNumber, direction: Direction, amount: Money, reason: Reason
    ) -> InvoiceFacts:
        with refusals_told():
            invoice = invoices.invoice(invoice_id)
            owner = shop.customer(invoice.customer)
        found = invoice.lines[line - 1] if line <= len(invoice.lines) else None
        cents = signed_cents(direction, amount)
        before = found.amount if found else 0
        fits = bool(found and cents and before + cents >= 0 and amount.currency == invoice.currency)

        def change(now: int) -> Change:
            after = amount_text(now + cents, invoice.currency) if fits else NOT_POSSIBLE
            return Change(before=amount_text(now, invoice.currency), after=after)

        return InvoiceFacts(
            owners=(Account(invoice.customer),),
            guard=str(invoice.version),
            invoice=invoice_text(invoice),
            line_text=found.text if found else "the invoice has no such line",
            line_amount=change(before),
            invoice_total=change(invoice.total),
            currency=invoice.currency,
            paid=invoice.paid_on is not None,
            fits=fits,
            corrections=invoice.corrections,
            locked=owner.locked,
            fraud=owner.fraud_score,
        )

    @adjust_invoice.lookup
    async def find_correction(execution: Execution) -> Receipt | None:
        done = invoices.find(execution.idempotency_key)
        return receipt(done) if done else None

    @adjust_invoice.undo
    async def cancel_correction(execution: Execution, corrected: Receipt) -> Receipt:
        """Take the correction of an invoice back while it is not paid."""
        with refusals_told():
            return receipt(invoices.cancel(execution.idempotency_key, corrected.reference))

    @cancel_correction.preview
    async def cancel_correction_facts(account: Account, receipt: Receipt) -> UndoFacts:
        return undo_facts(shop, account, receipt)


def signed_cents(direction: Direction, amount: Money) -> int:
    """What is added to the line; raises NotExecuted for a fraction of a cent."""
    return whole_cents(amount) * (-1 if direction == "lower" else 1)


def invoice_text(invoice: Invoice) -> str:
    """An invoice in one line: of when, for which order, and whether it is paid."""
    order = f" for order {invoice.order_number}" if invoice.order_number else ""
    paid = f"paid on {day_text(invoice.paid_on)}" if invoice.paid_on else f"to be paid by {day_text(invoice.due)}"
    return f"{invoice.number} of {day_text(invoice.issued)}{order}, {paid}"
