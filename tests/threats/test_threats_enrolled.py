"""Another passkey in the place of the one that was enrolled, by who has the invitation's link and the database.

The secret in the link signs again, dated as it likes; which enrolment was the first, only the log can tell.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from capabilities import world
from capabilities.world import LOG_KEY, Passkey, join
from counterfoil import Rung
from counterfoil.canonical import canonical
from counterfoil.errors import FeedRefused, RosterRefused, TamperDetected
from counterfoil.judgement import Judge
from counterfoil.leaves import ENROL, administered
from counterfoil.log import LeafDraft
from counterfoil.presented import OrderVerifier
from counterfoil.roster import record_digest
from counterfoil_server.execution.ledger import Ledger
from server.execution.outside import PAYMENTS, Remembered, follow, trust_of
from server.execution.test_executor import edit
from server.execution.workshop import Workshop, executor_over, open_workshop

pytestmark = pytest.mark.anyio

FIRST = "enrolled first with its invitation"


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(tmp_path, outside=PAYMENTS) as found:
        yield found


def in_its_place(workshop: Workshop) -> tuple[str, str]:
    """Ann's invitation (its digest), and the enrolment of a thief's passkey that its secret signed again."""
    named = json.loads(next(text for text in workshop.office.enrolments if '"person":"ann"' in text))
    invitation = named["enrolment"]["invitation"]
    record = next(each for each in workshop.office.records if record_digest(each) == invitation)
    return invitation, workshop.office.enrol(record, "ann", Passkey("thief")).to_text()


def judge_of(workshop: Workshop) -> Judge:
    """The authority's judge as a restarted process has it."""
    known = workshop.authority.judge
    return Judge(desk=known.desk, policy=known.policy, store=workshop.store, trust=known.trust, log_key=LOG_KEY)


async def test_T49_an_enrolment_in_the_place_of_the_first_is_refused_by_the_authority(workshop: Workshop) -> None:
    await judge_of(workshop).roster()
    invitation, text = in_its_place(workshop)
    edit(workshop, "UPDATE enrolment SET record = ? WHERE invitation = ?", text, invitation)
    for judge in (workshop.authority.judge, judge_of(workshop)):
        with pytest.raises(RosterRefused, match=FIRST):
            await judge.roster()


async def test_T49_an_enrolment_after_the_first_was_deleted_is_refused_by_the_authority(workshop: Workshop) -> None:
    """The page takes it, if it can be brought to; its leaf is the second of its invitation."""
    invitation, text = in_its_place(workshop)
    edit(workshop, "DELETE FROM enrolment WHERE invitation = ?", invitation)
    judge = judge_of(workshop)
    assert (await judge.roster()).credentials_of("ann") == []
    assert await judge.is_spent(invitation)
    await join(workshop.store, text)
    with pytest.raises(RosterRefused, match=FIRST):
        await judge.roster()


async def test_T49_an_enrolment_without_a_leaf_is_refused_by_the_authority(workshop: Workshop) -> None:
    invitation = workshop.office.invite("gus", accounts=["A-7"])
    text = workshop.office.enrol(invitation, "gus", Passkey("gus")).to_text()
    edit(
        workshop, "INSERT INTO roster_record (version, record) VALUES (?, ?)", len(workshop.office.records), invitation
    )
    edit(
        workshop, "INSERT INTO enrolment (credential, invitation, record) VALUES (?, ?, ?)", Passkey("gus").credential,
        record_digest(invitation), text,
    )  # fmt: skip
    with pytest.raises(RosterRefused, match="does not tell that the passkey"):
        await judge_of(workshop).roster()


async def test_T49_an_executor_remembers_the_first_enrolment_though_its_leaf_is_hidden(workshop: Workshop) -> None:
    """The row and the filing of the first leaf are gone, and the log goes on: the database alone looks right."""
    await workshop.executor.examine()
    invitation, text = in_its_place(workshop)
    edit(workshop, "DELETE FROM enrolment WHERE invitation = ?", invitation)
    edit(
        workshop,
        "UPDATE leaf SET event = 'event' WHERE event = 'enrol' AND CAST(opening AS TEXT) LIKE ?",
        f"%{invitation}%",
    )
    await join(workshop.store, text)
    assert (await judge_of(workshop).roster()).signer(Passkey("thief").credential) is not None
    with pytest.raises(RosterRefused, match=FIRST):
        await workshop.new_executor().examine()


async def test_T49_an_enrolment_in_the_place_of_the_first_is_refused_outside(workshop: Workshop) -> None:
    await workshop.carried_out(await workshop.approved())
    value = json.loads(workshop.bank.presented[-1])
    memory = Remembered()
    await follow(workshop, memory)
    floors = {"pay": (Rung(holder="passkey", code=True),)}
    verifier = OrderVerifier(trust=trust_of(workshop), executor=PAYMENTS, floors=floors, memory=memory)
    assert verifier.verify(canonical(value), now=workshop.store.now()).evidence.people == ("ann",)
    invitation, text = in_its_place(workshop)
    value["roster"]["enrolments"] = [text]
    with pytest.raises(RosterRefused, match=FIRST):
        verifier.verify(canonical(value), now=workshop.store.now())
    await join_again(workshop, invitation, text)
    await follow(workshop, memory)
    with pytest.raises(RosterRefused, match=FIRST):
        verifier.verify(canonical(value), now=workshop.store.now())


@pytest.fixture
async def upgraded(tmp_path: Path) -> AsyncIterator[Workshop]:
    """A workshop whose leaves of enrolments are those of an earlier version, which name the passkey alone."""

    def earlier(text: str) -> LeafDraft:
        enrolment = json.loads(text)["enrolment"]
        return administered(ENROL, person=enrolment["person"], credential=enrolment["credential"])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world, "enrolment_leaf", earlier)
        async with open_workshop(tmp_path) as found:
            patched.undo()
            yield found


async def test_T49_an_invitation_that_was_used_in_an_earlier_version_stays_used(upgraded: Workshop) -> None:
    """The leaf does not name it; whoever verified the roster while its enrolment was there remembers which it was."""
    judge = judge_of(upgraded)
    assert (await judge.roster()).credentials_of("ann") != []
    await upgraded.executor.examine()
    invitation, text = in_its_place(upgraded)
    edit(upgraded, "DELETE FROM enrolment WHERE invitation = ?", invitation)
    assert await judge.is_spent(invitation)
    await join(upgraded.store, text)
    with pytest.raises(RosterRefused, match=FIRST):
        await judge.roster()
    restarted = judge_of(upgraded)
    assert (await restarted.roster()).signer(Passkey("thief").credential) is not None
    with pytest.raises(RosterRefused, match=FIRST):
        await upgraded.new_executor().examine()


async def join_again(workshop: Workshop, invitation: str, text: str) -> None:
    """The page enrols a second passkey with the same invitation."""
    edit(workshop, "DELETE FROM enrolment WHERE invitation = ?", invitation)
    await join(workshop.store, text)


async def test_T49_a_leaf_of_an_enrolment_whose_opening_was_deleted_hides_nothing(
    workshop: Workshop, tmp_path: Path
) -> None:
    """Else the second enrolment of its invitation would be the first that anybody hears of who begins to listen."""
    await join_again(workshop, *in_its_place(workshop))
    edit(workshop, "UPDATE leaf SET opening = NULL WHERE number = (SELECT min(number) FROM leaf WHERE event = 'enrol')")
    with pytest.raises(FeedRefused, match="does not open"):
        await follow(workshop, Remembered())
    with pytest.raises(TamperDetected, match="does not open"):
        await judge_of(workshop).roster()
    ledger = Ledger(tmp_path / "fresh.db")
    fresh = executor_over(workshop.store, workshop.authority, ledger, workshop.executor.judge, workshop.sealer)
    with pytest.raises(TamperDetected, match="does not open"):
        await fresh.follow_log()
    ledger.close()
