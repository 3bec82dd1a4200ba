"""What all operations of the desk share: rungs, refusals, and the way from the shop's amounts and records to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from business import Business, Done, NotDone, Unknown
from pydantic import Field

from counterfoil import Account, Facts, Money, NotExecuted, Receipt, Rung, fact, shown

Reason = Annotated[str, Field(min_length=3, max_length=120)]

HOLDER = Rung(holder="passkey", code=True)
MONEY = (HOLDER, *(HOLDER.changed(staff={"finance": count}) for count in (1, 2)))
"""What may be asked for before money leaves: the account holder, then one colleague in finance as well, then two."""

ONE_DAY = 86_400
ONE_HOUR = 3_600
"""Seconds in which whoever is concerned can object to what they did not confirm."""


class NotInOurRecords(NotExecuted, LookupError):
    """A request names something that the shop does not have; nothing was changed."""


class UndoFacts(Facts):
    """What the person who decides about an undo should know."""

    done: str = fact(label="What was done")
    reference: str = fact(label="Reference")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


def undo_facts(shop: Business, account: Account, done: Receipt) -> UndoFacts:
    """The facts of an undo: what was done, as it was recorded, and how the account stands now."""
    customer = shop.customer(account)
    return UndoFacts(
        owners=(account,), done=done.summary, reference=done.reference, locked=customer.locked,
        fraud=customer.fraud_score,
    )  # fmt: skip


@contextmanager
def refusals_told() -> Iterator[None]:
    """The shop's own refusals, as the promise that nothing happened. Whatever else is raised stays what it is."""
    try:
        yield
    except NotDone as refusal:
        raise NotExecuted(str(refusal)) from refusal
    except Unknown as error:
        raise NotInOurRecords(str(error)) from error


def receipt(done: Done) -> Receipt:
    """The shop's record of an effect, as the desk's receipt."""
    return Receipt(reference=done.reference, summary=done.summary)


def whole_cents(amount: Money) -> int:
    """The amount in cents; raises NotExecuted for a fraction of a cent, which no payment method can carry."""
    cents = amount.amount * 100
    if cents != int(cents):
        raise NotExecuted(f"No money was moved: {amount} is no whole number of cents.")
    return int(cents)
