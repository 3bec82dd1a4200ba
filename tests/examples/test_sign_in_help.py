"""Passwords and locks in the example desk: what people are shown, what policy asks, and what no AI ever reads."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from business import KeyReused
from sign_in import SignIn

from counterfoil.rungs import Rung
from counterfoil.values import Account, Change, NotExecuted, Receipt
from examples.northlight import HOLDER, LOCKED, Northlight

MARIA, SABINE, VIKTOR, RASMUS, INES = "C-1001", "C-1005", "C-1006", "C-1015", "C-1007"
ONE_COLLEAGUE = Rung(staff={"identity": 1}, hold=3600)
TWO_COLLEAGUES = Rung(staff={"identity": 2}, hold=3600)
EVERYTHING = Rung(holder="passkey_bound", code=True, staff={"finance": 9, "identity": 9}, hold=604_800)
FRAUD_DESK = "Only what failed sign-ins have locked is opened here; what the fraud desk has closed, it opens itself."


# A new password -------------------------------------------------------------------------------------------------------


async def test_the_preview_shows_where_the_message_goes_and_which_devices_are_signed_out(
    northlight: Northlight,
) -> None:
    facts = await northlight.facts("reset_password", MARIA)
    assert (facts.owners, facts.guard) == ((Account(MARIA),), "1")
    assert facts.password == Change(before="set on 3 May 2024", after="none, until the customer chooses one")
    assert facts.message_goes_to == "maria.lindqvist@post.example"
    assert (facts.address_since, facts.address_is_new) == ("14 March 2019", False)
    assert facts.signed_in == [
        "Safari on iPhone in Gothenburg since 2 November 2026",
        "Firefox on Windows in Gothenburg since 16 November 2026",
    ]


@pytest.mark.parametrize(
    ("account", "required", "reason"),
    [
        (MARIA, [HOLDER, ONE_COLLEAGUE], "A new password: "),
        (INES, [HOLDER, ONE_COLLEAGUE], "A new password without a passkey: "),
        (SABINE, [], LOCKED),
        (VIKTOR, [], LOCKED),
        (RASMUS, [], LOCKED),
    ],
)
async def test_a_new_password_requires_the_holder_or_a_colleague_and_an_hour(
    northlight: Northlight, account: str, required: list[Rung], reason: str
) -> None:
    rungs, reasons = await northlight.required("reset_password", account)
    assert rungs == required
    assert any(words.startswith(reason) for words in reasons)


async def test_after_a_new_sign_in_address_two_colleagues_look_at_a_reset_for_a_week(northlight: Northlight) -> None:
    await northlight.run("recover_account", "t-1", "1", MARIA, new_email="maria@new.example")
    facts = await northlight.facts("reset_password", MARIA)
    assert (facts.message_goes_to, facts.address_is_new) == ("maria@new.example", True)
    assert (await northlight.required("reset_password", MARIA))[0] == [TWO_COLLEAGUES]
    asked = await northlight.question("reset_password", MARIA)
    assert not northlight.policy.allows(asked, HOLDER).allowed


@pytest.mark.parametrize(
    ("evidence", "allowed"),
    [
        (HOLDER, True),
        (Rung(holder="passkey"), False),
        (Rung(holder="link", code=True), False),
        (ONE_COLLEAGUE, True),
        (Rung(staff={"identity": 1}, hold=3599), False),
        (Rung(staff={"finance": 2}, hold=3600), False),
    ],
)
async def test_a_password_is_reset_with_no_less_than_its_evidence(
    northlight: Northlight, evidence: Rung, allowed: bool
) -> None:
    asked = await northlight.question("reset_password", MARIA)
    assert northlight.policy.allows(asked, evidence).allowed is allowed


async def test_a_reset_ends_all_sessions_and_writes_once_to_the_customers_own_address(northlight: Northlight) -> None:
    first = await northlight.run("reset_password", "t-1", "1", MARIA)
    assert await northlight.run("reset_password", "t-1", "1", MARIA) == first
    state = SignIn(northlight.shop).state(MARIA)
    assert (state.password_set, state.sessions) == (None, ())
    assert northlight.rows("SELECT count(*) FROM sessions WHERE ended_by = 't-1'") == [(2,)]
    assert len(SignIn(northlight.shop).state(INES).sessions) == 2
    assert northlight.rows("SELECT recipient FROM mail_to_send") == [("maria.lindqvist@post.example",)]
    with pytest.raises(KeyReused):
        await northlight.run("reset_password", "t-1", "1", INES)


async def test_no_receipt_holds_a_link_a_password_or_an_address(northlight: Northlight) -> None:
    receipt = await northlight.run("reset_password", "t-1", "1", MARIA)
    assert receipt == Receipt(
        reference="PW-1",
        summary="2 sign-ins ended; a message to the sign-in address says how to choose a new password.",
    )
    assert await northlight.lookup("reset_password", "t-1") == receipt
    [(body,)] = northlight.rows("SELECT body FROM mail_to_send")
    link = body.rpartition(" ")[2]
    assert link.startswith("https://northlight.example/new-password/")
    # The shop itself keeps only the link's digest beside the message.
    assert northlight.rows("SELECT link_digest FROM password_resets") == [(sha256(link.encode()).hexdigest(),)]


@pytest.mark.parametrize("guard", [None, "", "0", "1", "02"])
async def test_without_the_very_version_that_was_previewed_no_password_is_reset(
    northlight: Northlight, guard: str | None
) -> None:
    await northlight.run("reset_password", "t-1", "1", MARIA)
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await northlight.run("reset_password", "t-2", guard, MARIA)
    assert northlight.rows("SELECT count(*) FROM mail_to_send") == [(1,)]
    assert await northlight.lookup("reset_password", "t-2") is None


async def test_a_sign_in_between_request_and_approval_does_not_void_them(northlight: Northlight) -> None:
    compared = northlight.desk.operations["reset_password"].comparable(await northlight.facts("reset_password", MARIA))
    assert "signed_in" not in compared


# A locked account -----------------------------------------------------------------------------------------------------


async def test_the_preview_shows_why_it_is_locked_and_the_last_good_sign_in(northlight: Northlight) -> None:
    facts = await northlight.facts("unlock_account", SABINE)
    assert facts.sign_in == Change(before="locked since 24 November 2026", after="open, with the same password")
    assert facts.why_locked == "too many failed sign-ins"
    assert facts.failed_tries == "12 wrong passwords in 9 minutes, Safari on iPad, Berlin"
    assert facts.last_sign_in == "20 November 2026, Safari on iPad, Berlin"
    assert (facts.locked, facts.guard, facts.owners) == (True, "1", (Account(SABINE),))


@pytest.mark.parametrize(
    ("account", "required", "reason"),
    [
        (SABINE, [HOLDER, ONE_COLLEAGUE], "Opening the account again: "),
        (RASMUS, [], FRAUD_DESK),
        (MARIA, [], FRAUD_DESK),  # not locked at all
        (VIKTOR, [], LOCKED),
    ],
)
async def test_a_lock_of_failed_sign_ins_is_lifted_and_no_other(
    northlight: Northlight, account: str, required: list[Rung], reason: str
) -> None:
    rungs, reasons = await northlight.required("unlock_account", account)
    assert rungs == required
    assert any(words.startswith(reason) for words in reasons)


async def test_the_same_locked_account_is_closed_to_everything_else(northlight: Northlight) -> None:
    everything_else: dict[str, dict[str, Any]] = {
        "reset_password": {},
        "recover_account": {"new_email": "sabine@new.example"},
        "change_membership": {"tier": "plus"},
    }
    for operation, arguments in everything_else.items():
        asked = await northlight.question(operation, SABINE, **arguments)
        assert northlight.policy.allows(asked, EVERYTHING).reasons == (LOCKED,), operation


async def test_an_account_is_unlocked_once_and_only_on_the_previewed_version(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await northlight.run("unlock_account", "t-0", "2", SABINE)
    assert northlight.shop.customer(SABINE).locked
    first = await northlight.run("unlock_account", "t-1", "1", SABINE)
    assert await northlight.run("unlock_account", "t-1", "1", SABINE) == first
    assert first == Receipt(reference="UN-1", summary="The account is open again; its password is the same as before.")
    assert not northlight.shop.customer(SABINE).locked
    assert SignIn(northlight.shop).state(SABINE).lock is None
    with pytest.raises(KeyReused):
        await northlight.run("unlock_account", "t-1", "1", MARIA)
    assert await northlight.lookup("unlock_account", "t-1") == first
    assert await northlight.lookup("unlock_account", "t-0") is None
    assert (await northlight.required("reset_password", SABINE))[0] == [HOLDER, ONE_COLLEAGUE]


@pytest.mark.parametrize("account", [RASMUS, MARIA])
async def test_the_connector_itself_opens_nothing_that_failed_sign_ins_did_not_lock(
    northlight: Northlight, account: str
) -> None:
    before = northlight.shop.customer(account)
    with pytest.raises(NotExecuted, match="for another reason"):
        await northlight.run("unlock_account", "t-1", "1", account)
    assert northlight.shop.customer(account) == before


@pytest.mark.parametrize("operation", ["reset_password", "unlock_account"])
async def test_an_unknown_customer_and_a_colleague_are_refused_with_a_sentence(
    northlight: Northlight, operation: str
) -> None:
    for account in ("C-9999", "S-07"):
        with pytest.raises(NotExecuted, match=f"no customer '{account}'"):
            await northlight.facts(operation, account)


def test_every_locked_customer_has_a_reason(northlight: Northlight) -> None:
    northlight.shop.opening_hours()
    locked = "SELECT number FROM customers WHERE locked ORDER BY 1"
    assert northlight.rows(locked) == northlight.rows("SELECT customer FROM sign_in_locks ORDER BY 1")
