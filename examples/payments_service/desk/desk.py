"""A desk whose refunds are carried out elsewhere: by the payments service beside it, which does not believe it.

The desk asks people and keeps their signatures; what it hands on, the service verifies for itself. Nothing here could
pay anybody: there is no payment in this process, and no credential for one.
"""

from __future__ import annotations

import os

import httpx2
from pydantic import BaseModel

from counterfoil import Account, Change, Contact, Desk, Execution, Facts, Money, NotExecuted, Receipt, fact
from counterfoil_server.connectors import HTTPConnector

TOKEN = "PAYMENTS_ORDERS_TOKEN"
CUSTOMERS = {"A-1": Contact(name="Ada Byron", email="ada@example.com"),
             "A-2": Contact(name="Charles Babbage", email="charles@example.com")}  # fmt: skip


class Payment(BaseModel):
    """What the payments service says of an order, in cents."""

    account: str
    method: str
    currency: str
    captured: int
    refunded: int
    version: int

    def money(self, cents: int) -> Money:
        """An amount in the payment's currency."""
        return Money(value=f"{cents // 100}.{cents % 100:02d}", currency=self.currency)


class RefundFacts(Facts):
    """What whoever decides about a refund should know."""

    payment_method: str = fact(label="Goes back to")
    left: Money = fact(label="Can still be paid back")
    left_change: Change = fact(label="Left to be paid back", about="amount")


class UndoFacts(Facts):
    """What whoever takes a refund back should know."""

    refund: str = fact(label="The refund")


class Customers:
    """Whom an account means."""

    async def find(self, hint: str) -> Account | None:
        """By number or e-mail address."""
        return next((Account(name) for name, person in CUSTOMERS.items() if hint in (name, person.email)), None)

    async def person(self, account: Account) -> Contact | None:
        """Who it belongs to."""
        return CUSTOMERS.get(account)


def build(url: str) -> Desk:
    """The desk over the payments service at this address."""
    payments = HTTPConnector(url, token_env=TOKEN)
    desk = Desk("Acme refunds", directory=Customers(), roles=["finance"])

    @desk.operation(counts="amount", executor="payments")
    async def refund(execution: Execution, account: Account, order_id: str, amount: Money) -> Receipt:
        """Pay part or all of an order back to its original payment method."""
        return await payments.execute(execution, Receipt)

    @refund.lookup
    async def find_refund(execution: Execution) -> Receipt | None:
        return await payments.lookup(execution, Receipt)

    @refund.preview
    async def refund_facts(account: Account, order_id: str, amount: Money) -> RefundFacts:
        payment = await payment_of(url, order_id)
        left = payment.captured - payment.refunded
        after = left - int(amount.amount * 100)
        possible = amount.currency == payment.currency and 0 <= after < left
        return RefundFacts(
            owners=(Account(payment.account),),
            guard=str(payment.version),
            payment_method=payment.method,
            left=payment.money(left),
            left_change=Change(
                before=str(payment.money(left)), after=str(payment.money(after)) if possible else "not possible"
            ),
        )

    @refund.undo
    async def take_back(execution: Execution, refunded: Receipt) -> Receipt:
        """Take a refund back."""
        return await payments.execute(execution, Receipt)

    @take_back.lookup
    async def find_taken_back(execution: Execution) -> Receipt | None:
        return await payments.lookup(execution, Receipt)

    @take_back.preview
    async def undo_facts(account: Account, receipt: Receipt) -> UndoFacts:
        return UndoFacts(owners=(account,), refund=receipt.summary)

    return desk


async def payment_of(url: str, order_id: str) -> Payment:
    """Ask the payments service about an order; raises NotExecuted where it has none."""
    headers = {"authorization": f"Bearer {os.environ.get(TOKEN, '')}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=5) as http:
        answer = await http.get(f"/payments/{order_id}")
    if answer.status_code == 404:
        raise NotExecuted("There is no payment for such an order.")
    answer.raise_for_status()
    return Payment.model_validate_json(answer.content)


desk = build(os.environ.get("PAYMENTS_URL", "http://127.0.0.1:8710"))
