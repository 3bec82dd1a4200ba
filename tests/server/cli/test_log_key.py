"""Another key for the log: the tree goes on, each key counts as far as it went, and nothing can be cut short badly."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterfoil import leaves
from counterfoil.audit import verify_bundle
from counterfoil.bundle import Trust
from counterfoil.checkpoints import LOG, NoteKey, NoteSigner, read_as_of_then, read_checkpoint, sign_checkpoint
from counterfoil.errors import ProofRefused
from counterfoil_server import key_files
from server.cli.office import Office
from server.cli.signing import ANA, browser, enrolled, opened, payment
from server.keys import killed_changes, thief


async def pays(office: Office) -> str:
    """A payment that Ana, who enrols for it, approves."""
    async with opened(office) as parts, browser(parts, office) as ana:
        await enrolled(parts, ana, ANA)
        return await payment(parts, ana)


async def goes_on(office: Office) -> None:
    """One more leaf, sealed."""
    async with opened(office) as parts:
        await parts.store.append_leaf(leaves.administered("roster"))
        await parts.sealer.seal()


def prove(office: Office, ticket: str) -> bytes:
    return office.run("prove", ticket).out.encode()


def trust(office: Office) -> bytes:
    return office.run("prove", "--trust").out.encode()


def holds(bundle: bytes, trusted: bytes) -> bool:
    report = verify_bundle(bundle, Trust.from_bytes(trusted))
    assert report.holds or any("of leaf" in each.says for each in report.findings if each.status == "fails")
    return report.holds


def log_rows(office: Office) -> list[dict[str, object]]:
    return [each for each in office.json("keys", "list") if "log" in each["place"]]


def checkpoint(office: Office) -> str:
    return (office.state / key_files.CHECKPOINT).read_text()


async def test_evidence_from_before_and_after_holds_under_one_trust_file(office: Office) -> None:
    ticket = await pays(office)
    before, old_trust = prove(office, ticket), trust(office)
    [row] = log_rows(office)
    answer = office.json("keys", "replace-log-key", "--yes")
    assert answer["former"] == row["key"] != answer["key"]
    assert NoteKey.from_text(answer["key"]).name == NoteKey.from_text(str(row["key"])).name
    assert log_rows(office) == [
        {"place": "log", "key": answer["key"], "size": None},
        {"place": "log, before", "key": row["key"], "size": answer["size"]},
    ]
    after, new_trust = prove(office, ticket), trust(office)
    assert holds(before, new_trust)
    assert holds(after, new_trust)
    assert holds(before, old_trust)
    # What goes on from there counts only for those who have heard of the new key.
    await goes_on(office)
    later = prove(office, ticket)
    assert holds(later, new_trust)
    assert not holds(later, old_trust)


async def test_the_last_checkpoint_of_the_old_key_is_over_the_leaf_that_names_the_new_one(office: Office) -> None:
    await pays(office)
    answer = office.json("keys", "replace-log-key", "--yes")
    both = checkpoint(office)
    old, new = (NoteKey.from_text(answer[name]) for name in ("former", "key"))
    assert read_checkpoint(both, old).size == read_checkpoint(both, new).size == answer["size"]
    async with opened(office) as parts:
        leaf = (await parts.store.leaves())[answer["size"] - 1]
        assert leaf.event == "log_key"
        told = json.loads(leaf.opening or b"{}")["groups"]
        assert (told["key"], told["former"], told["stolen"]) == (answer["key"], answer["former"], False)
    await goes_on(office)
    with pytest.raises(ProofRefused):
        read_checkpoint(checkpoint(office), old)
    assert read_checkpoint(checkpoint(office), new).size == answer["size"] + 1


async def test_a_stolen_key_counts_for_nothing_any_more_and_evidence_is_made_anew(office: Office) -> None:
    ticket = await pays(office)
    before = prove(office, ticket)
    office.json("keys", "replace-log-key", "--yes")
    office.json("keys", "replace-log-key", "--stolen", "--yes")
    assert [each["place"] for each in log_rows(office)] == ["log"]
    assert not holds(before, trust(office))
    assert holds(prove(office, ticket), trust(office))


@pytest.mark.parametrize("more", [(), ("--stolen",)])
def test_what_was_published_under_the_former_key_fits_and_is_followed_by_the_new_one(
    office: Office, more: tuple[str, ...]
) -> None:
    office.settings("[log]", 'publish_file = "published"')
    office.json("keys", "list")
    office.run("doctor")
    file = office.folder / "published"
    before = file.read_text()
    answer = office.json("keys", "replace-log-key", "--yes", *more)
    old, new = (NoteKey.from_text(answer[name]) for name in ("former", "key"))
    read_checkpoint(before, old)
    office.run("doctor")
    assert read_checkpoint(file.read_text(), new).size >= answer["size"]
    # A key that never sealed this log is no former one of it.
    stranger = NoteSigner.of(new.name, LOG, Ed25519PrivateKey.generate())
    file.write_text(sign_checkpoint(stranger, 1, bytes(32)))
    assert office.run("keys", "list", "--json").error["code"] == "tamper_detected"


async def test_two_replacements_leave_each_key_its_range(office: Office) -> None:
    ticket = await pays(office)
    bundles = [prove(office, ticket)]
    sizes = []
    for _ in range(2):
        sizes.append(office.json("keys", "replace-log-key", "--yes")["size"])
        bundles.append(prove(office, ticket))
    assert [each["size"] for each in log_rows(office)] == [None, *sizes]
    assert all(holds(bundle, trust(office)) for bundle in bundles)


async def test_what_somebody_signs_with_a_former_key_later_is_not_believed(office: Office) -> None:
    await pays(office)
    private = thief.log_key(office.state / "keys" / "log.pem")
    answer = office.json("keys", "replace-log-key", "--yes")
    trusted = Trust.from_bytes(trust(office))
    assert trusted.log is not None
    signer = NoteSigner.of(trusted.log.name, LOG, private)
    read_as_of_then(sign_checkpoint(signer, answer["size"], bytes(32)), trusted.log, trusted.former)
    with pytest.raises(ProofRefused):
        read_as_of_then(sign_checkpoint(signer, answer["size"] + 1, bytes(32)), trusted.log, trusted.former)


async def test_killed_before_any_file_operation_it_goes_on_as_before_or_is_finished(
    office: Office, tmp_path: Path
) -> None:
    ticket = await pays(office)
    before, old = prove(office, ticket), log_rows(office)[0]["key"]
    copies = killed_changes.killed(killed_changes.REPLACEMENT, office.folder, tmp_path / "copies")
    assert len(copies) > 7
    sealed_by = []
    for folder in copies:
        copy = replace(office, folder=folder)
        sealed_by.append(log_rows(copy)[0]["key"])
        assert holds(before, trust(copy))
        if sealed_by[-1] == old:
            office_goes_on = copy.json("keys", "replace-log-key", "--yes")
            assert office_goes_on["former"] == old
        assert holds(before, trust(copy))
        assert holds(prove(copy, ticket), trust(copy))
        assert not (copy.state / "keys" / key_files.LOG_NEXT).exists()
    assert sealed_by[-2] == old != sealed_by[-1]


async def test_a_replacement_that_the_database_has_not_heard_of_is_finished_at_the_next_start(office: Office) -> None:
    await pays(office)
    old = log_rows(office)[0]["key"]
    new = office.json("keys", "replace-log-key", "--yes")["key"]
    pin(office, str(old))
    assert log_rows(office)[0]["key"] == new
    # Without the old key's signature nobody is handed the log.
    pin(office, str(old))
    file = office.state / key_files.CHECKPOINT
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:4], *lines[5:]]))
    ran = office.run("keys", "list", "--json")
    assert ran.error["code"] == "tamper_detected"
    assert "is not the one that sealed it before" in ran.error["happened"]


def pin(office: Office, key: str) -> None:
    """Set the key that the database has pinned."""
    with sqlite3.connect(office.state / "counterfoil.db") as database:
        assert database.execute("UPDATE setting SET value = ? WHERE name = 'log_key'", (key,)).rowcount == 1
    database.close()


def test_a_server_that_runs_is_left_alone(office: Office) -> None:
    with office.running("serve", "--no-notices"):
        ran = office.run("keys", "replace-log-key", "--yes", "--json")
    assert ran.error["code"] == "state_folder_in_use"
    assert not (office.state / "keys" / key_files.LOG_NEXT).exists()
