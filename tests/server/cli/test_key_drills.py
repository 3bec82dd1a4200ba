"""Drills of ``docs/how-to/keys.md``: somebody has the real key, the page's commands are run as they stand there."""

from __future__ import annotations

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.world import roster_leaf
from counterfoil.audit import verify_bundle
from counterfoil.bundle import Trust
from counterfoil.checkpoints import (
    LOG,
    Checkpoint,
    NoteKey,
    NoteSigner,
    check_proof,
    read_checkpoint,
    sign_checkpoint,
    write_proof,
)
from counterfoil.errors import CounterfoilError, ProofRefused, RosterRefused
from counterfoil.keys import SigningKey
from counterfoil.roster import Invitation, secret_key_of, sign_record
from counterfoil.testing import Asked, OpenDesk, ToolRefused, money, open_desk
from counterfoil.tickets import State
from counterfoil.tlog import Tree, check_consistency, leaf_hash
from counterfoil_server.app import Parts
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.testing import PageRefused
from docs.steps import steps
from server.cli.office import DESK, Office, Ran
from server.cli.stopped_desk import Stopped, paid
from server.keys import thief

PAGE = "how-to/keys.md"
COLLECTED = DESK.replace("@desk.operation\n", '@desk.operation(delivery="collected")\n')


def follow(office: Office, heading: str, **names: str) -> list[Ran]:
    """Run the page's commands below a heading."""
    ran = [office.run(*arguments, width=200) for arguments in steps(PAGE, heading, **names)]
    assert [each.code for each in ran] == [0] * len(ran), ran
    return ran


# The authority's key --------------------------------------------------------------------------------------------------


async def asks(desk: OpenDesk, amount: str) -> Asked:
    return await desk.ai.request("pay", account="A-1", amount=money(amount))


async def test_drill_the_authority_key_is_stolen(office: Office) -> None:
    office.write("desk.py", COLLECTED)
    async with open_desk(office.folder / "counterfoil.toml", office.folder) as desk:
        ana = await desk.enrol("Ana", account="A-1")
        stolen = thief.taken_from(thief.ring_files(desk) / "authority-current.pem")

        # What the thief can do with it alone: nothing that nobody approved.
        unapproved = await asks(desk, "20.00")
        assert await thief.runs(desk, stolen, unapproved) == "pending"
        with pytest.raises(ToolRefused):
            await desk.ai.redeem(unapproved, await thief.capability(desk, stolen, unapproved))
        assert paid(office) == 0

        # Somebody has just approved a payment when the theft is noticed.
        approved = await asks(desk, "30.00")
        await ana.approves(approved)
        capability = str((await desk.ai.status(approved))["capability"])

        said = await asyncio.to_thread(follow, office, "When an authority key is stolen", KID=stolen.id)
        assert "1 approved request ended" in said[1].said
        assert approved.ticket in said[2].out

        # Nothing that it signed, or that the thief signs from now on, is redeemed or run.
        with pytest.raises(ToolRefused):
            await desk.ai.redeem(approved, capability)
        assert await thief.runs(desk, stolen, approved) == "revoked"
        later = await asks(desk, "40.00")
        await ana.approves(later)
        genuine = str((await desk.ai.status(later))["capability"])
        forged = await thief.capability(desk, stolen, later, jti=thief.id_of(genuine))
        with pytest.raises(ToolRefused):
            await desk.ai.redeem(later, forged)
        assert await thief.runs(desk, stolen, later) == "approved"
        assert paid(office) == 0

        # The desk goes on: the same request, with its own capability, and the one that waited all the time.
        assert (await desk.ai.redeem(later, genuine))["status"] == "executed"
        await ana.approves(unapproved)
        assert (await desk.ai.redeem(unapproved))["status"] == "executed"
        assert paid(office) == 2


# The roster's key -----------------------------------------------------------------------------------------------------


async def forge(parts: Parts, key: SigningKey, person: str, secret: bytes) -> str:
    """An invitation to hold A-1, signed with a stolen key."""
    roster, now = await parts.authority.judge.roster(), parts.store.now()
    return sign_record(
        key,
        Invitation(
            version=roster.version + 1, previous=roster.head, person=person, name="Eve", accounts=("A-1",), roles=(),
            channels=(f"{person}@evil.example",), secret_key=secret_key_of(secret), iat=now, exp=now + 86400,
        ),
    )  # fmt: skip


async def test_drill_the_roster_key_is_stolen(office: Office) -> None:
    desk = Stopped(office, {})
    key_file = office.folder / "roster-key.pem"
    async with desk.parts() as parts:
        ana = await invitations.invite(
            parts.administration.call, parts.configuration, Invited("Ana", ("A-1",), (), ("ana@office.example",))
        )
        await desk.enrol(parts, "ana", ana.url)
        stolen = thief.taken_from(key_file)

        # With the key and the state folder the thief is a holder like Ana, and has one more invitation up the sleeve.
        for person, secret in (("eve", b"e" * 32), ("eve-later", b"l" * 32)):
            await parts.administration.roster_append(record=await forge(parts, stolen, person, secret))
        await desk.enrol(parts, "eve", parts.verification.enrolment_url(b"e" * 32))
        assert await desk.pays(parts, "eve", "20.00") is State.EXECUTED
        assert paid(office) == 1

    key_file.rename(office.folder / "stolen.pem")
    commands = steps(PAGE, "When the roster key is stolen")
    assert commands[0] == ["keys", "replace-roster-key", "--yes"]
    for person in ("eve", "eve-later"):
        replacing = 0 if person == "eve" else 1
        for arguments in steps(PAGE, "When the roster key is stolen", ID=person)[replacing:]:
            ran = office.run(*arguments, width=200)
            assert ran.code == 0, ran

    # Whoever audits is told where the stolen key stopped.
    trust = json.loads(office.run("prove", "--trust").out)
    assert set(trust["replaced"]) == {stolen.id}
    assert trust["replaced"][stolen.id]["version"] <= trust["roster_version"]

    async with desk.parts() as parts:
        # Whom the thief invited decides nothing, and enrols nothing.
        assert await desk.pays(parts, "eve", "30.00") is State.PENDING
        with pytest.raises(PageRefused):
            await desk.enrol(parts, "eve-later", parts.verification.enrolment_url(b"l" * 32))
        # The stolen key signs nothing more, wherever the record is put.
        with pytest.raises(RosterRefused, match="was replaced"):
            await parts.administration.roster_append(record=await forge(parts, stolen, "mallory", b"m" * 32))
        # Ana, who never enrolled again, goes on; somebody new is invited.
        assert await desk.pays(parts, "ana", "40.00") is State.EXECUTED
        bo = await invitations.invite(
            parts.administration.call, parts.configuration, Invited("Bo", ("A-2",), (), ("bo@office.example",))
        )
        await desk.enrol(parts, "bo", bo.url)
        assert paid(office) == 2
        # Put into the database by hand, it is noticed before anything is carried out.
        record = await forge(parts, stolen, "mallory", b"m" * 32)
        version = (await parts.authority.judge.roster()).version + 1
        await parts.store.add_roster_record(record, version=version, leaf=roster_leaf(record))
        with pytest.raises(CounterfoilError):
            await desk.pays(parts, "ana", "45.00")
        assert paid(office) == 2


async def test_drill_the_roster_key_is_lost(office: Office) -> None:
    desk = Stopped(office, {})
    async with desk.parts() as parts:
        ana = await invitations.invite(
            parts.administration.call, parts.configuration, Invited("Ana", ("A-1",), (), ("ana@office.example",))
        )
        await desk.enrol(parts, "ana", ana.url)
    (office.folder / "roster-key.pem").unlink()
    invite = ("people", "invite", "Bo", "--account", "A-2", "--email", "bo@office.example")
    assert office.run(*invite).code == 2
    assert office.run("keys", "replace-roster-key", "--yes").code == 0
    office.json(*invite)
    async with desk.parts() as parts:
        assert await desk.pays(parts, "ana", "40.00") is State.EXECUTED


# The log's key --------------------------------------------------------------------------------------------------------


def forged_proof(log: NoteKey, private: Ed25519PrivateKey, size: int) -> tuple[bytes, str, Checkpoint]:
    """A leaf that never was, the proof that it is on a log of this size, and the checkpoint of that."""
    bodies = [b"a leaf that never was %d" % number for number in range(size)]
    tree = Tree(lambda level, number: [])
    tree.append([leaf_hash(body) for body in bodies])
    note = sign_checkpoint(NoteSigner.of(log.name, LOG, private), size, tree.root())
    return bodies[-1], write_proof(size - 1, tree.inclusion(size - 1), note), read_checkpoint(note, log)


def trusted(office: Office) -> Trust:
    """What an auditor is given."""
    return Trust.from_bytes(office.run("prove", "--trust").out.encode())


def believed(body: bytes, proof: str, trust: Trust) -> bool:
    """Whether the auditor takes the leaf for one of the log's."""
    assert trust.log is not None
    try:
        check_proof(proof, body, trust.log, trust.former)
    except ProofRefused:
        return False
    return True


async def test_drill_the_log_key_is_stolen(office: Office) -> None:
    desk = Stopped(office, {})
    async with desk.parts() as parts:
        ana = await invitations.invite(
            parts.administration.call, parts.configuration, Invited("Ana", ("A-1",), (), ("ana@office.example",))
        )
        await desk.enrol(parts, "ana", ana.url)
        assert await desk.pays(parts, "ana", "20.00") is State.EXECUTED
        [ticket] = await parts.store.tickets(states=(State.EXECUTED,))
    stolen, before = thief.log_key(office.state / "keys" / "log.pem"), trusted(office)
    assert before.log is not None
    file = office.state / "checkpoint"
    held = read_checkpoint(file.read_text(), before.log)
    evidence = office.run("prove", ticket.id).out.encode()

    # What the thief can do: convince somebody who holds the key and nothing else, of a log of any size.
    forgeries = [forged_proof(before.log, stolen, size) for size in (held.size, held.size + 5)]
    assert all(believed(body, proof, before) for body, proof, _ in forgeries)
    # Who notices: whoever holds an earlier checkpoint; no path leads from it to the forged one.
    assert forgeries[0][2].root != held.root
    with pytest.raises(ProofRefused):
        check_consistency(held.size, held.root, forgeries[1][2].size, forgeries[1][2].root, [bytes(32)])
    # And the desk itself, if it is put there: nothing starts, and the backup of that file mends it.
    genuine = file.read_text()
    for _, _, forged in forgeries:
        file.write_text(forged.note)
        assert office.run("keys", "list", "--json").error["code"] == "tamper_detected"
        assert office.run("keys", "replace-log-key", "--stolen", "--yes", "--json").error["code"] == "tamper_detected"
    file.write_text(genuine)

    ran = follow(office, "When the log key is stolen", TICKET=ticket.id)
    after = trusted(office)

    # Nothing under the stolen key counts for who was told; the same leaves are proven anew.
    assert not any(believed(body, proof, after) for body, proof, _ in forgeries)
    assert not verify_bundle(evidence, after).holds
    assert verify_bundle(ran[-1].out.encode(), after).holds
    # The log that the new key seals goes on from what was held before.
    async with desk.parts() as parts:
        path, now = await parts.sealer.consistency(held.size)
        check_consistency(held.size, held.root, now.size, now.root, path)
        assert "log_key" in [leaf.event for leaf in await parts.store.leaves()]
        assert await desk.pays(parts, "ana", "30.00") is State.EXECUTED
        assert paid(office) == 2
