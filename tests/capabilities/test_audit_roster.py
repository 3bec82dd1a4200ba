"""A roster whose key was replaced, as an auditor's trust file tells of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from capabilities.evidence import Day, ended, proofs_of, shop_day
from capabilities.world import PEOPLE, START, Office, make_authority, open_world
from counterfoil.audit import verify_bundle
from counterfoil.bundle import Contents, Trust
from counterfoil.canonical import canonical
from counterfoil.keys import SigningKey
from counterfoil.roster import LastRecord, RosterTrust, record_digest
from counterfoil_server import proving

NEXT = SigningKey.generate()


def trusted(day: Day, records: tuple[str, ...]) -> Trust:
    """The auditor knows that the office's key was replaced after these records."""
    roster = day.trust.roster
    last = LastRecord(len(records), record_digest(records[-1]))
    keys = dict(roster.keys) | {NEXT.id: NEXT.public}
    return replace(day.trust, roster=replace(roster, keys=keys, replaced={day.office.key.id: last}))


def with_records(contents: Contents, *records: str) -> Contents:
    return contents.model_copy(update={"roster": contents.roster.model_copy(update={"records": records})})


def test_the_thief_of_a_roster_key_that_was_replaced_can_neither_go_on_nor_begin_again() -> None:
    day = shop_day()
    mine = day.contents("executed")
    records = mine.roster.records
    trust = trusted(day, records)

    def found(contents: Contents) -> str:
        return "\n".join(verify_bundle(day.signed(contents), trust).of("fails"))

    assert found(mine) == ""
    further = ended(day.office, "person", "fay", at=START + 60)
    assert f"Record {len(records) + 1} of the roster is signed by a roster key that was replaced before it" in found(
        with_records(mine, *records, further)
    )
    assert day.verify(with_records(mine, *records, further)).holds, "where it was not replaced"
    again = Office()
    again.key = day.office.key
    for person in PEOPLE:
        again.invite(person, accounts=["A-1"], roles=["finance"])
    pinned = f"Record {len(records)} of the roster is not the one at which a roster key was replaced."
    assert pinned in found(with_records(mine, *again.records))
    assert f"at least {len(records)} were seen before" in found(with_records(mine, *records[:-1]))


def test_its_successor_goes_on() -> None:
    day = shop_day()
    mine = day.contents("executed")
    office = Office()
    office.key, office.records = NEXT, list(mine.roster.records)
    further = ended(office, "person", "fay", at=START + 60)
    contents = with_records(mine, *mine.roster.records, further)
    assert verify_bundle(day.signed(contents), trusted(day, mine.roster.records)).holds
    assert not day.verify(contents).holds, "who does not know the next key"


def test_the_roster_of_a_moment_before_the_key_was_replaced_is_shorter_and_holds() -> None:
    day = shop_day()
    left = day.contents("left")
    assert verify_bundle(day.signed(left), trusted(day, left.roster.records)).holds


class ReplacedKeyOffice(Office):
    """Whoever trusts it knows that its key stopped."""

    def trust(self, minimum_version: int = 0) -> RosterTrust:
        last = LastRecord(len(self.records), self.head)
        return replace(super().trust(minimum_version), replaced={self.key.id: last})


@pytest.mark.anyio
async def test_a_desk_writes_into_its_trust_file_where_keys_stopped(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sealer, office = await proofs_of(world, tmp_path), ReplacedKeyOffice()
        assert "replaced" not in await proving.trust(world.authority, sealer.key)
        office.key, office.records = world.office.key, world.office.records
        judge, keys = world.authority.judge, world.authority.keys
        written = await proving.trust(make_authority(world.desk, judge.policy, world.store, office, keys), sealer.key)
        read = Trust.from_bytes(canonical(written))
        assert read.roster.replaced == {office.key.id: LastRecord(len(PEOPLE), office.head)}
