"""A small shop's desk: what an AI may read, and what it may only request.

This runs as it is, on made-up orders. Read it from top to bottom, then put your own systems in place of `Shop`.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from counterfoil import Account, Change, Contact, Desk, Execution, Facts, Money, NotExecuted, Receipt, fact


# 1. Your own system. Here it is a few values in memory; they are as new at every start.
@dataclass
class Order:
    account: Account
    title: str
    paid: Money
    refunded: Decimal = Decimal("0.00")
    version: int = 1

    @property
    def left(self) -> Decimal:
        return self.paid.amount - self.refunded


@dataclass
class Shop:
    people: dict[Account, Contact]
    orders: dict[str, Order]
    locked: set[Account] = field(default_factory=set)
    refunds: dict[str, Receipt] = field(default_factory=dict)

    # Counterfoil asks two things about your customers. Answer both from your records, never from what an AI claims.
    async def find(self, hint: str) -> Account | None:
        """The account that a customer number or an e-mail address means; None where it means no single one."""
        found = [account for account, person in self.people.items() if hint in (account, person.email)]
        return found[0] if len(found) == 1 else None

    async def person(self, account: Account) -> Contact | None:
        """Who holds the account, and where to tell them."""
        return self.people.get(account)


def made_up_orders() -> dict[str, Order]:
    return {
        "A-100": Order(Account("C-1"), "A desk lamp", Money(value="80.00", currency="EUR")),
        "A-200": Order(Account("C-2"), "A bookcase", Money(value="240.00", currency="EUR")),
    }


store = Shop(
    people={
        Account("C-1"): Contact(name="Ada Byron", email="ada@example.com"),
        Account("C-2"): Contact(name="Ben Okri", email="ben@example.com"),
    },
    orders=made_up_orders(),
)

# 2. The desk. A role is what a colleague can be asked in; the policy says when.
desk = Desk("The lamp shop", directory=store, roles=["finance"])


# 3. A read. The AI may call it at once, so let it tell only what everybody may know. The AI reads the docstring.
@desk.read
async def opening_hours() -> str:
    """When the shop is open."""
    return "Monday to Saturday, 9 to 18"


# 4. An operation. The AI can only request it; this function runs once the people whom the policy names have agreed.
@desk.operation(counts="amount")
async def refund(execution: Execution, account: Account, order_id: str, amount: Money) -> Receipt:
    """Refund part or all of an order to the way it was paid."""
    # The same key means the same request: never do it twice. Give the key to your payment provider.
    if execution.idempotency_key in store.refunds:
        return store.refunds[execution.idempotency_key]
    order = store.orders[order_id]
    # NotExecuted promises that nothing happened. Any other exception leaves the outcome unknown.
    if execution.guard != str(order.version):
        raise NotExecuted("The order has changed since it was confirmed.")
    order.refunded += amount.amount
    order.version += 1
    receipt = Receipt(reference=f"R-{len(store.refunds) + 1}", summary=f"{amount} of order {order_id} were refunded.")
    store.refunds[execution.idempotency_key] = receipt
    return receipt


# 5. What people see before they agree, and what the policy judges by: facts of yours, not the AI's words.
class RefundFacts(Facts):
    order: str = fact(label="Order", about="order_id")
    left: Change = fact(label="Left of what was paid", about="amount")
    within_paid: bool
    locked: bool


@refund.preview
async def refund_facts(account: Account, order_id: str, amount: Money) -> RefundFacts:
    order = store.orders.get(order_id)
    if order is None or amount.currency != order.paid.currency:
        raise NotExecuted("There is no such order in this currency.")
    return RefundFacts(
        owners=(order.account,),  # whose it is: a request for somebody else's order ends here
        guard=str(order.version),
        order=order.title,
        left=Change(before=f"{order.left} EUR", after=f"{order.left - amount.amount} EUR"),
        within_paid=amount.amount <= order.left,
        locked=order.account in store.locked,
    )


# 6. If it fails in the middle, what became of it? A receipt: it happened. None: surely not.
@refund.lookup
async def find_refund(execution: Execution) -> Receipt | None:
    return store.refunds.get(execution.idempotency_key)
