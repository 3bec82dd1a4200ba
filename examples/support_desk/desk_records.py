"""What a customer can have read to them: their own orders, invoices and membership, once they have opened them."""

from __future__ import annotations

from business import Business, Order, day_text, decimal_text
from invoices import Invoice, Invoices
from memberships import BENEFITS, Memberships, in_words

from counterfoil import Account, Desk, Facts, Money, Owned, fact, needs, shown


class MyOrder(Owned):
    """One of the customer's orders."""

    number: str
    placed: str
    delivered: str | None
    goods: list[str]
    total: Money
    refunded: Money
    paid_by: str | None = needs("passkey_bound")


class MyInvoice(Owned):
    """One of the customer's invoices."""

    number: str
    issued: str
    order: str | None
    lines: list[str]
    total: Money
    due: str
    paid_on: str | None


class MyMembership(Owned):
    """The customer's membership."""

    membership: str
    benefits: str


class AccessFacts(Facts):
    """What is looked at before a customer's records are opened."""

    customer_since: str = fact(label="Customer since")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


def offer_records(desk: Desk, shop: Business) -> None:
    """Reads of one customer's records, and the access that opens them."""
    invoices, memberships = Invoices(shop), Memberships(shop)

    @desk.access
    async def access_facts(account: Account) -> AccessFacts:
        customer = shop.customer(account)
        return AccessFacts(
            owners=(account,),
            customer_since=day_text(customer.customer_since),
            locked=customer.locked,
            fraud=customer.fraud_score,
        )

    @desk.read
    async def my_orders(account: Account) -> list[MyOrder]:
        """The orders of the customer whom you talk to, the newest first."""
        return [my_order(order) for order in shop.orders_of(account)]

    @desk.read
    async def my_invoices(account: Account) -> list[MyInvoice]:
        """The invoices of the customer whom you talk to, the newest first."""
        return [my_invoice(invoice) for invoice in invoices.invoices_of(account)]

    @desk.read
    async def membership(account: Account) -> MyMembership:
        """The membership of the customer whom you talk to."""
        found = memberships.membership_of(account)
        return MyMembership(owner=Account(found.customer), membership=in_words(found), benefits=BENEFITS[found.tier])


def my_order(order: Order) -> MyOrder:
    """An order as it is read to its owner."""
    return MyOrder(
        owner=Account(order.customer),
        number=order.number,
        placed=order.placed,
        delivered=order.delivered,
        goods=[f"{line.quantity} × {line.product}" for line in order.lines],
        total=Money(value=decimal_text(order.total), currency=order.currency),
        refunded=Money(value=decimal_text(order.refunded), currency=order.currency),
        paid_by=order.method,
    )


def my_invoice(invoice: Invoice) -> MyInvoice:
    """An invoice as it is read to its owner."""
    return MyInvoice(
        owner=Account(invoice.customer),
        number=invoice.number,
        issued=invoice.issued,
        order=invoice.order_number,
        lines=[f"{line.text}: {decimal_text(line.amount)} {invoice.currency}" for line in invoice.lines],
        total=Money(value=decimal_text(invoice.total), currency=invoice.currency),
        due=invoice.due,
        paid_on=invoice.paid_on,
    )
