"""Memberships in the example desk: what a change costs and when it begins, policy, effect, lookup, undo."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from business import KeyReused, UnknownCustomer
from memberships import Membership, Memberships

from counterfoil.rungs import Rung
from counterfoil.values import Account, Change, NotExecuted, Receipt
from examples.northlight import HOLDER, LOCKED, Northlight, euro

MARIA, ANNELIES, INES, JONATHAN = "C-1001", "C-1003", "C-1007", "C-1002"


def membership(northlight: Northlight, customer: str) -> Membership:
    return Memberships(northlight.shop).membership_of(customer)


@pytest.mark.parametrize(
    ("account", "tier", "direction", "before", "after", "costs", "begins"),
    [
        (ANNELIES, "plus", "upgrade", "standard, paid until 21 June 2027", "plus, paid until 21 June 2027", "50.00",
         "at once"),
        (JONATHAN, "plus", "upgrade", "free", "plus, paid for one year", "79.00", "at once"),
        (MARIA, "standard", "downgrade", "plus, paid until 14 March 2027",
         "plus, paid until 14 March 2027, then standard", "0.00", "when the paid year ends"),
        (MARIA, "free", "downgrade", "plus, paid until 14 March 2027", "plus, paid until 14 March 2027, then free",
         "0.00", "when the paid year ends"),
        (INES, "standard", "stay", "standard, paid until 5 May 2027, then free", "standard, paid until 5 May 2027",
         "0.00", "at once"),
        (INES, "plus", "upgrade", "standard, paid until 5 May 2027, then free", "plus, paid until 5 May 2027", "50.00",
         "at once"),
    ],
)  # fmt: skip
async def test_a_higher_tier_costs_the_difference_now_and_a_lower_one_waits_for_the_end_of_the_paid_year(
    northlight: Northlight, account: str, tier: str, direction: str, before: str, after: str, costs: str, begins: str
) -> None:
    facts = await northlight.facts("change_membership", account, tier=tier)
    assert facts.membership == Change(before=before, after=after)
    assert (facts.direction, facts.costs_now, facts.begins) == (direction, euro(costs), begins)
    assert facts.owners == (Account(account),)
    assert (await northlight.required("change_membership", account, tier=tier))[0] == [HOLDER]


async def test_the_preview_says_what_it_brings_and_what_is_charged(northlight: Northlight) -> None:
    facts = await northlight.facts("change_membership", ANNELIES, tier="plus")
    assert facts.paid_by == "iDEAL, ABN AMRO"
    assert facts.benefits == Change(
        before="free pick-up of returns",
        after="free pick-up of returns, delivery to the room, and 5 % off lamps",
    )
    lower = await northlight.facts("change_membership", MARIA, tier="free")
    assert (lower.paid_by, lower.benefits.after) == (None, "no membership benefits")


@pytest.mark.parametrize(
    ("account", "tier", "count", "required", "reason"),
    [
        (MARIA, "plus", 0, [], "The account has this membership already."),
        (JONATHAN, "free", 0, [], "The account has this membership already."),
        (INES, "free", 0, [], "The account has this membership already."),
        (MARIA, "standard", 2, [HOLDER], "Another membership: "),
        (MARIA, "standard", 3, [], "Three changes of membership a day are enough."),
        ("C-1005", "plus", 0, [], LOCKED),
        ("C-1006", "plus", 0, [], LOCKED),
    ],
)
async def test_a_membership_requires_the_holder_and_a_change(
    northlight: Northlight, account: str, tier: str, count: int, required: list[Rung], reason: str
) -> None:
    rungs, reasons = await northlight.required("change_membership", account, count=count, tier=tier)
    assert rungs == required
    assert any(words.startswith(reason) for words in reasons)


async def test_no_colleague_can_stand_in_for_the_holder(northlight: Northlight) -> None:
    asked = await northlight.question("change_membership", MARIA, tier="free")
    colleagues = Rung(staff={"finance": 9, "identity": 9}, code=True, hold=604_800)
    assert not northlight.policy.allows(asked, colleagues).allowed


async def test_T38_a_downgrade_runs_by_itself_once_a_day_and_not_for_an_ai_that_read_what_strangers_wrote(
    northlight: Northlight,
) -> None:
    asked = await northlight.question("change_membership", MARIA, tier="free")
    assert northlight.policy.unattended(asked).allowed
    again = await northlight.question("change_membership", MARIA, count=1, tier="free")
    upgrade = await northlight.question("change_membership", ANNELIES, tier="plus")
    for each in (replace(asked, tainted=True), again, upgrade):
        assert not northlight.policy.unattended(each).allowed
    assert northlight.policy.requirements(replace(asked, tainted=True)).rungs == (HOLDER,)


async def test_an_upgrade_is_charged_once_however_often_its_key_comes(northlight: Northlight) -> None:
    first = await northlight.run("change_membership", "t-1", "1", ANNELIES, tier="plus")
    assert await northlight.run("change_membership", "t-1", "1", ANNELIES, tier="plus") == first
    assert first == Receipt(
        reference="MB-1", summary="The membership is now plus, paid until 21 June 2027. 50.00 EUR are charged."
    )
    assert northlight.rows("SELECT sum(charged) FROM membership_changes") == [(5000,)]
    with pytest.raises(KeyReused):
        await northlight.run("change_membership", "t-1", "1", ANNELIES, tier="free")
    assert await northlight.lookup("change_membership", "t-1") == first
    assert await northlight.lookup("change_membership", "t-2") is None


async def test_a_downgrade_takes_nothing_that_was_paid_for(northlight: Northlight) -> None:
    receipt = await northlight.run("change_membership", "t-1", "1", MARIA, tier="free")
    assert receipt.summary == "The membership is now plus, paid until 14 March 2027, then free."
    after = membership(northlight, MARIA)
    assert (after.tier, after.paid_until, after.next_tier) == ("plus", "2027-03-14", "free")


async def test_a_first_membership_is_paid_for_one_year(northlight: Northlight) -> None:
    assert (await northlight.facts("change_membership", JONATHAN, tier="standard")).guard == "0"
    receipt = await northlight.run("change_membership", "t-1", "0", JONATHAN, tier="standard")
    assert re.fullmatch(
        r"The membership is now standard, paid until .+ 20\d\d\. 29\.00 EUR are charged\.", receipt.summary
    )
    assert membership(northlight, JONATHAN).method == "Mastercard ending 5100"


@pytest.mark.parametrize("guard", [None, "", "0", "1", "02"])
async def test_without_the_very_version_that_was_previewed_nothing_is_changed(
    northlight: Northlight, guard: str | None
) -> None:
    await northlight.run("change_membership", "t-1", "1", MARIA, tier="free")
    before = membership(northlight, MARIA)
    with pytest.raises(NotExecuted, match="changed in the meantime"):
        await northlight.run("change_membership", "t-2", guard, MARIA, tier="standard")
    assert membership(northlight, MARIA) == before


async def test_undo_puts_it_back_once_and_names_what_is_given_back(northlight: Northlight) -> None:
    receipt = await northlight.run("change_membership", "t-1", "1", INES, tier="plus")
    undone = await northlight.undo("change_membership", "t-2", receipt)
    assert undone.summary == (
        "The membership is standard, paid until 5 May 2027, then free again; 50.00 EUR are given back."
    )
    assert await northlight.undo("change_membership", "t-2", receipt) == undone
    back = membership(northlight, INES)
    assert (back.tier, back.next_tier, back.version) == ("standard", "free", 3)
    with pytest.raises(NotExecuted, match="undone before"):
        await northlight.undo("change_membership", "t-3", receipt)
    with pytest.raises(NotExecuted, match="no change"):
        await northlight.undo("change_membership", "t-3", Receipt(reference="MB-9"))


async def test_a_change_that_another_followed_is_not_undone(northlight: Northlight) -> None:
    receipt = await northlight.run("change_membership", "t-1", "1", MARIA, tier="standard")
    await northlight.run("change_membership", "t-2", "2", MARIA, tier="free")
    with pytest.raises(NotExecuted, match="stands"):
        await northlight.undo("change_membership", "t-3", receipt)
    assert membership(northlight, MARIA).next_tier == "free"


async def test_a_membership_that_began_and_was_undone_is_free_and_can_begin_again(northlight: Northlight) -> None:
    receipt = await northlight.run("change_membership", "t-1", "0", JONATHAN, tier="plus")
    await northlight.undo("change_membership", "t-2", receipt)
    assert membership(northlight, JONATHAN).tier == "free"
    facts = await northlight.facts("change_membership", JONATHAN, tier="plus")
    assert facts.costs_now == euro("79.00")
    await northlight.run("change_membership", "t-3", facts.guard, JONATHAN, tier="plus")
    assert membership(northlight, JONATHAN).paid_until is not None


def test_a_membership_carries_its_owner_also_where_there_never_was_one(northlight: Northlight) -> None:
    assert membership(northlight, MARIA).customer == MARIA
    assert membership(northlight, JONATHAN) == Membership(JONATHAN, "free", None, None, "Mastercard ending 5100", 0)
    with pytest.raises(UnknownCustomer):
        membership(northlight, "C-9999")


async def test_a_colleague_is_no_customer(northlight: Northlight) -> None:
    with pytest.raises(NotExecuted, match="no customer 'S-07'"):
        await northlight.facts("change_membership", "S-07", tier="plus")
