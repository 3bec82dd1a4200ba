"""Permissions of the shop's own people in the example desk: given slowly, taken quickly, and never by oneself."""

from __future__ import annotations

from typing import Any

import pytest
from business import KeyReused
from colleagues import Colleagues
from story_set import AMELIE, JONAS, PRIYA, TOMASZ

from counterfoil.canonical import canonical
from counterfoil.errors import BadArguments
from counterfoil.rungs import Rung
from counterfoil.values import Account, Change, NotExecuted, Receipt
from examples.northlight import LOCKED, Northlight

OSKAR, FREJA, PRIYA_NAIR, DANIEL = "S-07", "S-06", "S-04", "S-08"
TWO = Rung(staff={"identity": 2})
TWO_AND_A_DAY = Rung(staff={"identity": 2}, hold=86_400)
OWNER = "Who may manage staff is decided by the owner in person."
SAME = "The colleague's permissions are like this already."
EXPORT: dict[str, Any] = {"permission": "export_customers", "change": "grant"}
PRICES: dict[str, Any] = {"permission": "edit_prices", "change": "withdraw"}


def held(northlight: Northlight, number: str) -> tuple[str, ...]:
    return Colleagues(northlight.shop).colleague(number).permissions


async def change(northlight: Northlight, key: str, guard: str | None, account: str, **what: Any) -> Receipt:
    return await northlight.run("change_staff_permissions", key, guard, account, **what)


async def test_the_preview_shows_who_it_is_what_they_may_do_and_what_it_allows(northlight: Northlight) -> None:
    facts = await northlight.facts("change_staff_permissions", OSKAR, **EXPORT)
    assert (facts.owners, facts.guard) == ((Account(OSKAR),), "1")
    assert facts.colleague == "Oskar Lund, Warehouse, here since 14 October 2024"
    assert facts.permissions == Change(before="view customers", after="view customers, export customers")
    assert facts.allows == "download names, addresses and orders of all customers"
    assert (facts.others, facts.changes, facts.locked) == (["Ingrid Bergqvist"], True, False)
    taken = await northlight.facts("change_staff_permissions", OSKAR, permission="view_customers", change="withdraw")
    assert taken.permissions == Change(before="view customers", after="none")


@pytest.mark.parametrize(
    ("account", "permission", "what", "required", "reason"),
    [
        (OSKAR, "export_customers", "grant", [TWO_AND_A_DAY], "A colleague gains a permission: "),
        (FREJA, "edit_prices", "withdraw", [TWO], "A colleague loses a permission: "),
        (OSKAR, "view_customers", "grant", [], SAME),
        (OSKAR, "edit_prices", "withdraw", [], SAME),
        (OSKAR, "manage_staff", "grant", [], OWNER),
        (PRIYA_NAIR, "manage_staff", "withdraw", [], OWNER),
        (DANIEL, "view_customers", "grant", [], LOCKED),
    ],
)
async def test_a_permission_is_given_by_two_and_a_day_and_taken_by_two(
    northlight: Northlight, account: str, permission: str, what: str, required: list[Rung], reason: str
) -> None:
    rungs, reasons = await northlight.required("change_staff_permissions", account, permission=permission, change=what)
    assert rungs == required
    assert any(words.startswith(reason) for words in reasons)


@pytest.mark.parametrize(
    ("evidence", "granted", "withdrawn"),
    [
        (Rung(holder="passkey_bound", code=True), False, False),  # whom it is about does not decide it
        (Rung(staff={"identity": 1}, hold=604_800), False, False),
        (Rung(staff={"finance": 2}, hold=604_800), False, False),
        (TWO, False, True),
        (Rung(staff={"identity": 2}, hold=86_399), False, True),
        (TWO_AND_A_DAY, True, True),
    ],
)
async def test_a_permission_is_changed_with_no_less_than_its_evidence(
    northlight: Northlight, evidence: Rung, granted: bool, withdrawn: bool
) -> None:
    grant = await northlight.question("change_staff_permissions", OSKAR, **EXPORT)
    withdraw = await northlight.question("change_staff_permissions", FREJA, **PRICES)
    assert northlight.policy.allows(grant, evidence).allowed is granted
    assert northlight.policy.allows(withdraw, evidence).allowed is withdrawn


async def test_a_permission_is_granted_once_however_often_its_key_comes(northlight: Northlight) -> None:
    first = await change(northlight, "t-1", "1", OSKAR, **EXPORT)
    assert await change(northlight, "t-1", "1", OSKAR, **EXPORT) == first
    assert first == Receipt(
        reference="PC-1", summary="Oskar Lund may now download names, addresses and orders of all customers."
    )
    assert held(northlight, OSKAR) == ("view_customers", "export_customers")
    with pytest.raises(KeyReused):
        await change(northlight, "t-1", "1", FREJA, **EXPORT)
    assert await northlight.lookup("change_staff_permissions", "t-1") == first
    assert await northlight.lookup("change_staff_permissions", "t-2") is None


async def test_a_permission_that_is_withdrawn_is_gone(northlight: Northlight) -> None:
    receipt = await change(northlight, "t-1", "1", FREJA, **PRICES)
    assert receipt.summary == "Freja Holm may no longer change the price of everything in the shop."
    assert held(northlight, FREJA) == ("view_customers",)


@pytest.mark.parametrize("guard", [None, "", "0", "1", "02"])
async def test_without_the_very_version_that_was_previewed_no_permission_changes(
    northlight: Northlight, guard: str | None
) -> None:
    await change(northlight, "t-1", "1", FREJA, **PRICES)
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await change(northlight, "t-2", guard, FREJA, **EXPORT)
    assert held(northlight, FREJA) == ("view_customers",)


async def test_what_would_change_nothing_leaves_the_version_as_it_is(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted):
        await change(northlight, "t-1", "1", OSKAR, permission="view_customers", change="grant")
    assert Colleagues(northlight.shop).colleague(OSKAR).version == 1


async def test_who_left_gains_nothing(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted):
        await change(northlight, "t-1", "1", DANIEL, **EXPORT)
    assert held(northlight, DANIEL) == ()


async def test_a_customer_is_no_colleague(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted, match="no colleague 'C-1001'"):
        await northlight.facts("change_staff_permissions", "C-1001", **EXPORT)


def test_T05_who_decides_is_invited_with_their_own_record_and_so_cannot_decide_about_it(
    northlight: Northlight,
) -> None:
    """The core refuses a role's seat to whoever holds the account; here is what makes them hold it."""
    for role in (AMELIE, JONAS, PRIYA, TOMASZ):
        [number] = role.accounts
        colleague = Colleagues(northlight.shop).colleague(number)
        assert (colleague.name, colleague.email) == (role.name, role.email)


def test_an_unknown_permission_is_refused_at_intake(northlight: Northlight) -> None:
    wrong = {"account": OSKAR, "permission": "everything", "change": "grant"}
    with pytest.raises(BadArguments, match="permission"):
        northlight.desk.operations["change_staff_permissions"].validated(canonical(wrong))
