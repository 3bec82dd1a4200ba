"""Help for customers who cannot sign in: a new password, and an account that too many tries have locked.

Neither hands the AI anything to sign in with: a reset writes to the customer's own address, an unlock leaves the
password as it is.
"""

from __future__ import annotations

from typing import Literal

from business import Business, day_text
from desk_words import HOLDER, ONE_HOUR, receipt, refusals_told
from sign_in import LockReason, SignIn

from counterfoil import Account, Change, Desk, Execution, Facts, Receipt, Rung, fact, shown

ONE_COLLEAGUE = Rung(staff={"identity": 1}, hold=ONE_HOUR)
TWO_COLLEAGUES = Rung(staff={"identity": 2}, hold=ONE_HOUR)

WhyLocked = Literal["too many failed sign-ins", "stopped by the fraud desk", "not locked"]
WHY_LOCKED: dict[LockReason, WhyLocked] = {
    "failed_sign_ins": "too many failed sign-ins",
    "fraud_desk": "stopped by the fraud desk",
}


class ResetFacts(Facts):
    """What the person who decides about a new password should know."""

    password: Change = fact(label="Password")
    message_goes_to: str = fact(label="The message goes to")
    address_since: str = fact(label="Sign-in address since")
    address_is_new: bool = fact(label="That address is less than a week old")
    signed_in: list[str] = shown(label="Devices that will be signed out")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


class UnlockFacts(Facts):
    """What the person who decides about opening an account should know."""

    sign_in: Change = fact(label="Signing in")
    why_locked: WhyLocked = fact(label="Locked because")
    failed_tries: str = fact(label="The tries before")
    last_sign_in: str = shown(label="Last good sign-in")
    locked: bool = fact(label="Account is locked")
    fraud: int = shown(label="Fraud score (0 to 100)", to="staff")


def offer_sign_in_help(desk: Desk, shop: Business) -> None:
    """Password resets and unlocking."""
    sign_in = SignIn(shop)
    offer_password_reset(desk, shop, sign_in)
    offer_unlocking(desk, shop, sign_in)


def offer_password_reset(desk: Desk, shop: Business, sign_in: SignIn) -> None:
    """The message goes from the shop's own system to the address on file; no answer to the AI holds any of it."""

    @desk.operation(ladder=[HOLDER, ONE_COLLEAGUE, TWO_COLLEAGUES])
    async def reset_password(execution: Execution, account: Account) -> Receipt:
        """Sign a customer out everywhere and send a message for choosing a new password to their own address."""
        with refusals_told():
            return receipt(sign_in.reset_password(execution.idempotency_key, account, execution.guard))

    @reset_password.preview
    async def reset_facts(account: Account) -> ResetFacts:
        with refusals_told():
            customer, state = shop.customer(account), sign_in.state(account)
        return ResetFacts(
            owners=(account,),
            guard=str(customer.version),
            password=Change(
                before=f"set on {day_text(state.password_set)}" if state.password_set else "none: a reset is under way",
                after="none, until the customer chooses one",
            ),
            message_goes_to=customer.sign_in_email,
            address_since=day_text(state.address_since),
            address_is_new=state.address_is_new,
            signed_in=[f"{each.device} in {each.place} since {day_text(each.since)}" for each in state.sessions],
            locked=customer.locked,
            fraud=customer.fraud_score,
        )

    @reset_password.lookup
    async def find_reset(execution: Execution) -> Receipt | None:
        done = sign_in.find_password_reset(execution.idempotency_key)
        return receipt(done) if done else None


def offer_unlocking(desk: Desk, shop: Business, sign_in: SignIn) -> None:
    """Opens what failed sign-ins have locked, and nothing that the fraud desk has closed."""

    @desk.operation(title="Unlock the account", ladder=[HOLDER, ONE_COLLEAGUE])
    async def unlock_account(execution: Execution, account: Account) -> Receipt:
        """Let a customer sign in again after too many failed tries have locked their account."""
        with refusals_told():
            return receipt(sign_in.unlock(execution.idempotency_key, account, "failed_sign_ins", execution.guard))

    @unlock_account.preview
    async def unlock_facts(account: Account) -> UnlockFacts:
        with refusals_told():
            customer, state = shop.customer(account), sign_in.state(account)
        lock = state.lock
        return UnlockFacts(
            owners=(account,),
            guard=str(customer.version),
            sign_in=Change(
                before=f"locked since {day_text(lock.since)}" if lock else "open",
                after="open, with the same password",
            ),
            why_locked=WHY_LOCKED[lock.why] if lock else "not locked",
            failed_tries=lock.tries if lock else "none",
            last_sign_in=f"{day_text(state.last_on)}, {state.last_from}",
            locked=customer.locked,
            fraud=customer.fraud_score,
        )

    @unlock_account.lookup
    async def find_unlock(execution: Execution) -> Receipt | None:
        done = sign_in.find_unlock(execution.idempotency_key)
        return receipt(done) if done else None
