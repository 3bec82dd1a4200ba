"""The ring's files: replaced so that no end of a process, at no moment, loses a key that signed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from counterfoil.errors import KeyFileError, StoreFailed
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.roster import LastRecord
from counterfoil_server import key_files
from server.keys import killed_changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    load(made := tmp_path / "keys", fresh=True)
    return made


def load(folder: Path, *, fresh: bool = False) -> KeyRing:
    return key_files.load_or_create(folder, roster_key=folder / "roster-key.pem", fresh=fresh).ring


def ids(ring: KeyRing) -> dict[str, str]:
    return {place: key.id for place, key in ring.places.items()}


def test_a_ring_that_was_kept_is_the_one_that_is_loaded(folder: Path) -> None:
    first = load(folder)
    once = first.rotated(SigningKey.generate())
    key_files.keep_ring(folder, once)
    assert ids(load(folder)) == ids(once)
    key_files.keep_ring(folder, twice := once.rotated(SigningKey.generate()))
    assert ids(load(folder)) == ids(twice)
    assert first.current.id not in load(folder).verification_keys


def test_its_files_are_for_their_owner_only_and_nothing_is_left_beside_them(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    (folder / "authority-next.pem.new").write_text("what a process left that died here")
    key_files.keep_ring(folder, load(folder).rotated(SigningKey.generate()))
    assert {path.name for path in folder.iterdir()} == before | {"authority-previous.pem"}
    assert {path.stat().st_mode & 0o777 for path in folder.glob("authority-*")} == {0o600}


@pytest.mark.parametrize("rotated_before", [False, True])
def test_a_rotation_killed_before_any_file_operation_leaves_a_ring_that_verifies(
    folder: Path, tmp_path: Path, rotated_before: bool
) -> None:
    if rotated_before:
        key_files.keep_ring(folder, load(folder).rotated(SigningKey.generate()))
    before = load(folder)
    copies = killed_changes.killed(killed_changes.ROTATION, folder, tmp_path)
    assert len(copies) > 9
    halves = 0
    for copy in copies:
        found = load(copy)
        assert before.current.id in found.verification_keys
        assert found.current.id in (before.current.id, before.next.id)
        halves += found.cut_short
        # Whoever comes next goes on from there, and what was signed before it is good all the same.
        fresh = SigningKey.generate()
        key_files.keep_ring(copy, found.with_next(fresh) if found.cut_short else found.rotated(fresh))
        assert found.current.id in load(copy).verification_keys
        assert not load(copy).cut_short
    assert halves > 0, "one of the kills comes when the next key signs already"
    assert load(copies[-1]).previous is not None


def test_a_folder_that_cannot_be_written_is_said_so_and_changes_nothing(folder: Path) -> None:
    before = load(folder)
    (folder / "authority-previous.pem.new").mkdir()
    with pytest.raises(StoreFailed, match="could not be written") as caught:
        key_files.keep_ring(folder, before.rotated(SigningKey.generate()))
    assert "counterfoil suspend key:" in caught.value.remedy
    assert ids(load(folder)) == ids(before)
    assert os.listdir(folder / "authority-previous.pem.new") == []


# The roster's ---------------------------------------------------------------------------------------------------------


def test_roster_keys_that_were_replaced_keep_the_record_at_which_they_stopped(folder: Path) -> None:
    [first] = key_files.read_trust(folder / "trust.json")[0]
    second, third = SigningKey.generate(), SigningKey.generate()
    key_files.replace_roster_key(folder, second.public, LastRecord(3, "three"))
    key_files.replace_roster_key(folder, third.public, LastRecord(5, "five"))
    keys, replaced = key_files.read_trust(folder / "trust.json")
    assert list(keys) == [first, second.id, third.id]
    assert replaced == {first: LastRecord(3, "three"), second.id: LastRecord(5, "five")}
    assert (folder / "trust.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("last", ["{}", "[]", "3", '{"version": "x", "digest": "d"}', '{"version": 3}'])
def test_a_last_record_that_cannot_be_read_is_no_key_without_one(folder: Path, last: str) -> None:
    trust = folder / "trust.json"
    trust.write_text(trust.read_text().replace('"kty"', f'"last_record": {last}, "kty"'))
    with pytest.raises(KeyFileError, match="missing or damaged"):
        load(folder)


def test_a_trust_file_that_cannot_be_written_stays(folder: Path) -> None:
    before = (folder / "trust.json").read_text()
    (folder / "trust.json.new").mkdir()
    with pytest.raises(StoreFailed, match="Nothing has changed"):
        key_files.replace_roster_key(folder, SigningKey.generate().public, LastRecord(0, "none"))
    assert (folder / "trust.json").read_text() == before
