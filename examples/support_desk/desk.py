"""Northlight support: what a small furniture and lighting shop offers an AI.

The AI may read opening hours, policies and product reviews at once, and a customer's own records once that customer
has opened them to the chat. Everything that moves money or changes who may do what it can only request: the people
whom ``policy.cedar`` asks for decide on the facts that the previews read from the shop's own records. Refunds, store
credit and account recovery are declared below, the rest in ``desk_*.py``.

``desk`` works on ``state/shop.db`` beside this file, or on the file named by the environment variable
``SUPPORT_DESK_DATABASE``; either is made and filled when it is first used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from business import Business, Order, amount_text, day_text, decimal_text
from desk_invoices import offer_invoice_corrections
from desk_memberships import offer_memberships
from desk_permissions import offer_permissions
from desk_records import offer_records
from desk_reviews import offer_reviews
from desk_sign_in import offer_sign_in_help
from desk_words import (
    HOLDER,
    MONEY,
    ONE_DAY,
    Reason,
    UndoFacts,
    receipt,
    refusals_told,
    undo_facts,
    whole_cents,
)
from pydantic import BaseModel, Field
from sign_in import SignIn
from store_credit import CURRENCY, StoreCredit

from counterfoil import (
    Account,
    Change,
    Contact,
    Desk,
    Execution,
    Facts,
    Money,
    NotExecuted,
    Receipt,
    Rung,
    fact,
    shown,
)

Topic = Literal["refunds", "returns", "delivery", "warranty", "account_recovery"]
EmailAddress = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$", max_length=254)]


class OpenDay(BaseModel):
    """A day and its hours, local time in Gothenburg."""

    day: str
    opens: str
    closes: str


class Hours(BaseModel):
    """The days on which the shop answers; on all others it is closed."""

    days: list[OpenDay]


class RefundFacts(Facts):
    """What the person who decides about a refund should know."""

    order: str = fact(label="The order", about="order_id")
    payment_method: str = fact(label="Goes back to")
    refundable: Money = fact(label="Can still be refunded")
    refundable_change: Change = fact(label="Left to refund", about="amount")
    within_refundable: bool = fact(label="Within what was paid for the order", about="amount")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


class RecoveryFacts(Facts):
    """What the person who decides about a new sign-in e-mail should know."""

    sign_in_email: Change = fact(label="Sign-in e-mail")
    customer_since: str = fact(label="Customer since")
    new_address: str = fact(label="The new address in our records", about="new_email")
    email_in_use: bool = fact(label="Belongs to another customer", about="new_email", to="staff")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


class CreditFacts(Facts):
    """What the person who decides about store credit should know."""

    store_credit: Change = fact(label="Store credit", about="amount")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


class Accounts:
    """Whom an account means, as Counterfoil's directory: one of the shop's customers, or one of its own people."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    async def find(self, hint: str) -> Account | None:
        """The account of a number, e-mail address or full name, or None where it means nobody or more than one."""
        number = self._shop.find_account(hint)
        return Account(number) if number else None

    async def person(self, account: Account) -> Contact | None:
        """Who it belongs to, with the address that notices go to (not the sign-in e-mail, which a request may
        change)."""
        contact = self._shop.contact(account)
        return Contact(name=contact[0], email=contact[1]) if contact else None


def build(database: Path) -> Desk:
    """The desk over the shop's database at this path.

    Finance also establishes what became of a sign-in or a permission: both of the two who check identities may have
    decided it, and whoever decided does not settle.
    """
    shop = Business(database)
    desk = Desk("Northlight support", directory=Accounts(shop), roles=["finance", "identity"], settled_by="finance")
    offer_information(desk, shop)
    offer_reviews(desk, shop)
    offer_records(desk, shop)
    offer_refunds(desk, shop)
    offer_store_credit(desk, shop)
    offer_invoice_corrections(desk, shop)
    offer_memberships(desk, shop)
    offer_account_recovery(desk, shop)
    offer_sign_in_help(desk, shop)
    offer_permissions(desk, shop)
    return desk


def offer_information(desk: Desk, shop: Business) -> None:
    """Reads that touch nobody's data."""

    @desk.read
    async def opening_hours() -> Hours:
        """When Northlight's shop and support are open."""
        return Hours(days=[OpenDay(day=day, opens=opens, closes=closes) for day, opens, closes in shop.opening_hours()])

    @desk.read
    async def explain_policy(topic: Topic) -> str:
        """What Northlight's rules say about refunds, returns, delivery, warranty or account_recovery."""
        return shop.policy(topic)


def offer_refunds(desk: Desk, shop: Business) -> None:
    """Money back, once per ticket and only on the payment that people looked at."""

    @desk.operation(counts="amount", ladder=MONEY)
    async def refund(execution: Execution, account: Account, order_id: str, amount: Money) -> Receipt:
        """Refund part or all of an order to its original payment method."""
        with refusals_told():
            done = shop.refund(
                execution.idempotency_key, order_id, whole_cents(amount), amount.currency, execution.guard
            )
        return receipt(done)

    @refund.preview
    async def refund_facts(account: Account, order_id: str, amount: Money) -> RefundFacts:
        with refusals_told():
            order = shop.order(order_id)
        owner = shop.customer(order.customer)
        left = order.refundable - int(amount.amount * 100)
        within = amount.currency == order.currency and 0 < amount.amount * 100 <= order.refundable
        return RefundFacts(
            owners=(Account(order.customer),),
            guard=str(order.version),
            order=order_text(order),
            payment_method=order.method,
            refundable=Money(value=decimal_text(order.refundable), currency=order.currency),
            refundable_change=Change(
                before=amount_text(order.refundable, order.currency),
                after=amount_text(left, order.currency) if within else "not possible",
            ),
            within_refundable=within,
            locked=owner.locked,
            fraud=owner.fraud_score,
        )

    @refund.lookup
    async def find_refund(execution: Execution) -> Receipt | None:
        done = shop.find_refund(execution.idempotency_key)
        return receipt(done) if done else None

    @refund.undo
    async def cancel_refund(execution: Execution, refunded: Receipt) -> Receipt:
        """Take a refund back that has not reached the customer yet."""
        with refusals_told():
            done = shop.cancel_refund(execution.idempotency_key, refunded.reference)
        return receipt(done)

    @cancel_refund.preview
    async def cancel_refund_facts(account: Account, receipt: Receipt) -> UndoFacts:
        return undo_facts(shop, account, receipt)


def offer_store_credit(desk: Desk, shop: Business) -> None:
    """Credit for a next order. Collected: once people have confirmed it, the AI itself redeems the ticket."""
    credit = StoreCredit(shop)

    @desk.operation(title="Add store credit", counts="amount", ladder=MONEY, delivery="collected")
    async def goodwill_credit(execution: Execution, account: Account, amount: Money, reason: Reason) -> Receipt:
        """Add store credit to a customer's account, to make up for something that went wrong."""
        with refusals_told():
            done = credit.add(execution.idempotency_key, account, credit_cents(amount), reason, execution.guard)
        return receipt(done)

    @goodwill_credit.preview
    async def credit_facts(account: Account, amount: Money, reason: Reason) -> CreditFacts:
        with refusals_told():
            customer = shop.customer(account)
        balance = credit.balance(account)
        return CreditFacts(
            owners=(account,),
            guard=str(balance.version),
            store_credit=Change(
                before=amount_text(balance.cents, CURRENCY),
                after=amount_text(balance.cents + credit_cents(amount), CURRENCY),
            ),
            locked=customer.locked,
            fraud=customer.fraud_score,
        )

    @goodwill_credit.lookup
    async def find_credit(execution: Execution) -> Receipt | None:
        done = credit.find(execution.idempotency_key)
        return receipt(done) if done else None


def offer_account_recovery(desk: Desk, shop: Business) -> None:
    """A new sign-in e-mail: by the holder's passkey, or where that is lost by two colleagues and a day's wait."""
    sign_in = SignIn(shop)
    colleagues = Rung(staff={"identity": 2}, hold=ONE_DAY)

    @desk.operation(title="Change the sign-in e-mail", ladder=[HOLDER, colleagues])
    async def recover_account(execution: Execution, account: Account, new_email: EmailAddress) -> Receipt:
        """Let a customer who can't sign in any more use another e-mail address to sign in."""
        with refusals_told():
            done = sign_in.change_email(execution.idempotency_key, account, new_email, execution.guard)
        return receipt(done)

    @recover_account.preview
    async def recovery_facts(account: Account, new_email: EmailAddress) -> RecoveryFacts:
        with refusals_told():
            customer = shop.customer(account)
        in_use = sign_in.address_in_use(new_email, besides=account)
        seen = sign_in.address_first_seen(new_email, account)
        return RecoveryFacts(
            owners=(account,),
            guard=str(customer.version),
            sign_in_email=Change(before=customer.sign_in_email, after=new_email),
            customer_since=day_text(customer.customer_since),
            new_address=f"an address of this customer since {day_text(seen)}" if seen else "never seen before",
            email_in_use=in_use,
            locked=customer.locked,
            fraud=customer.fraud_score,
        )

    @recover_account.lookup
    async def find_change(execution: Execution) -> Receipt | None:
        done = sign_in.find_email_change(execution.idempotency_key)
        return receipt(done) if done else None


def credit_cents(amount: Money) -> int:
    """The credit in cents; raises NotExecuted for nothing at all and for another currency than the shop's."""
    if amount.currency != CURRENCY or amount.amount <= 0:
        raise NotExecuted(f"Store credit is in {CURRENCY}, and more than nothing; {amount} is not.")
    return whole_cents(amount)


def order_text(order: Order) -> str:
    """An order in one line: what was bought, when it came, what it cost."""
    bought = ", ".join(f"{line.quantity} × {line.product}" for line in order.lines)
    arrived = f"delivered on {day_text(order.delivered)}" if order.delivered else "not delivered yet"
    return f"{bought}; {arrived}; total {amount_text(order.total, order.currency)}"


FOLDER = Path(__file__).resolve().parent
desk = build(Path(os.environ.get("SUPPORT_DESK_DATABASE") or FOLDER / "state" / "shop.db"))
