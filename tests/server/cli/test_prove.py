"""``counterfoil prove``: what others verify without this machine, here with stock ssh-keygen (T51)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.recipients import SETTLE
from counterfoil.statements import APPROVE_NAMESPACE, DECLINE_NAMESPACE, SETTLE_NAMESPACE
from counterfoil_server.cli.invitations import Invited
from server.cli.office import DESK, POLICY, Office, Program, Ran
from server.cli.signing import ANA, browser, enrolled, link, opened, payment


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ssh_takes(folder: Path, person: str, namespace: str, number: int = 1, *, statement: bytes | None = None) -> bool:
    """What ssh-keygen says of a statement in the folder."""
    name = f"statement-{number}.json"
    ran = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", person, "-n", namespace, "-s", f"{name}.sig"],
        input=(folder / name).read_bytes() if statement is None else statement,
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode == 0) == (b"Good" in ran.stdout)
    return ran.returncode == 0


async def test_T51_ssh_keygen_takes_an_approval_and_refuses_a_decline(office: Office, tmp_path: Path) -> None:
    async with opened(office) as parts, browser(parts, office) as ana:
        person = await enrolled(parts, ana, ANA)
        yes, no = await payment(parts, ana), await payment(parts, ana, "decline", amount="30.00")
        stored = (await parts.store.statements(yes))[0].statement
    approved, declined = tmp_path / "approved", tmp_path / "declined"
    said = office.run("prove", yes, "--openssh", str(approved), width=300).said
    assert f"{person} signed “approve”" in said
    assert "not the roster, the requirements" in said
    assert office.json("prove", no, "--openssh", str(declined))["signatures"][0]["decision"] == "decline"
    assert (approved / "statement-1.json").read_bytes() == stored
    assert ssh_takes(approved, person, APPROVE_NAMESPACE)
    for namespace in (DECLINE_NAMESPACE, "git", "file"):
        assert not ssh_takes(approved, person, namespace)
    assert not ssh_takes(approved, "somebody", APPROVE_NAMESPACE)
    assert not ssh_takes(approved, person, APPROVE_NAMESPACE, statement=stored.replace(b"approve", b"decline"))
    for namespace in (APPROVE_NAMESPACE, DECLINE_NAMESPACE):
        assert not ssh_takes(declined, person, namespace)


async def test_the_printed_line_is_what_verifies_it(office: Office, tmp_path: Path) -> None:
    async with opened(office) as parts, browser(parts, office) as ana:
        await enrolled(parts, ana, ANA)
        ticket = await payment(parts, ana)
    out = office.run("prove", ticket, "--openssh", str(tmp_path / "new"), width=40).out
    [line] = [line for line in out.splitlines() if line.strip().startswith("ssh-keygen -Y")]
    ran = subprocess.run(line, shell=True, cwd=tmp_path / "new", capture_output=True, check=True)  # noqa: S602 - ours
    assert b"Good" in ran.stdout


async def test_what_was_established_afterwards_counts_for_that_alone(office: Office, tmp_path: Path) -> None:
    office.write("desk.py", DESK.replace('roles=["finance"])', 'roles=["finance"], settled_by="finance")'))
    async with opened(office) as parts, browser(parts, office) as ana, browser(parts, office) as fay:
        holder = await enrolled(parts, ana, ANA)
        settler = await enrolled(parts, fay, Invited("Fay", (), ("finance",), ("fay@office.example",)))
        ticket = await payment(parts, ana, known=False)
        await fay.open_and_settle(await link(parts, ticket, SETTLE), "executed", "RF-1")
    folder = tmp_path / "settled"
    written = office.json("prove", ticket, "--openssh", str(folder))["signatures"]
    assert [each["decision"] for each in written] == ["approve", "executed"]
    assert ssh_takes(folder, holder, APPROVE_NAMESPACE)
    assert ssh_takes(folder, settler, SETTLE_NAMESPACE, 2)
    assert not ssh_takes(folder, settler, APPROVE_NAMESPACE, 2)
    assert not ssh_takes(folder, holder, SETTLE_NAMESPACE, 2)


async def test_nothing_is_mixed_into_a_folder_that_is_in_use(office: Office, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    ran = office.run("prove", "cf_x", "--openssh", str(tmp_path))
    assert ran.code == 2
    assert "is there already" in ran.said
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kept.txt"]


async def test_a_ticket_that_nobody_signed_or_that_is_unknown_is_refused_in_words(
    office: Office, tmp_path: Path
) -> None:
    async with opened(office) as parts, browser(parts, office) as ana:
        await enrolled(parts, ana, ANA)
        arguments = canonical({"account": "A-1", "amount": {"value": "20.00", "currency": "EUR"}})
        ticket = (await parts.authority.request(Requester("bot"), "pay", arguments)).id
    for name, why in ((ticket, "Nobody has signed"), ("cf_nothing", "There is no ticket")):
        ran = office.run("prove", name, "--openssh", str(tmp_path / "new"))
        assert ran.code == 1
        assert why in ran.said
        assert not (tmp_path / "new").exists()


# Bundles --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Auditor:
    """Somebody with two files and the program, and nothing of the office."""

    office: Office

    @classmethod
    def at(cls, folder: Path, program: Program, **files: str) -> Auditor:
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.json").write_bytes(text.encode())
        return cls(Office(folder, 0, program))

    def verify(self, *more: str, width: int = 80) -> Ran:
        return self.office.run("verify", "bundle.json", "--trust", "trust.json", *more, width=width)


async def paid_and_declined(office: Office) -> tuple[str, str, str]:
    """Ana's id, a ticket that was executed, and one that she declined."""
    async with opened(office) as parts, browser(parts, office) as ana:
        person = await enrolled(parts, ana, ANA)
        return person, await payment(parts, ana), await payment(parts, ana, "decline", amount="30.00")


async def test_a_bundle_is_verified_without_the_desk(office: Office, tmp_path: Path) -> None:
    person, paid, declined = await paid_and_declined(office)
    trust = office.run("prove", "--trust").out
    auditor = Auditor.at(tmp_path / "auditor", office.program, bundle=office.run("prove", paid).out, trust=trust)
    ran = auditor.verify(width=200)
    assert ran.code == 0, ran
    for words in (
        f"\u2713 Ana ({person}) approved as the holder of the account",
        "\u2713 It ended as executed",
        "are on the log localhost:",
        "What remains a matter of trust:",
        "That each invitation reached the person it names",
    ):
        assert words in ran.said, words
    other = Auditor.at(tmp_path / "other", office.program, bundle=office.run("prove", declined).out, trust=trust)
    assert f"Ana ({person}) declined" in other.verify(width=200).said


async def test_a_bundle_that_does_not_hold_ends_with_5(office: Office, tmp_path: Path) -> None:
    _, paid, _ = await paid_and_declined(office)
    bundle, trust = office.run("prove", paid).out, office.run("prove", "--trust").out
    changed = Auditor.at(tmp_path / "changed", office.program, bundle=bundle.replace("20.00", "99.00"), trust=trust)
    ran = changed.verify(width=200)
    assert ran.code == 5
    assert "\u2717 The authority\u2019s signature" in ran.said.replace("'", "\u2019")
    assert "rely on nothing in this file" in ran.said
    told = changed.verify("--json")
    assert (told.code, told.json["holds"]) == (5, False)
    assert {each["status"] for each in told.json["findings"]} == {"fails", "open"}
    for number, cut in enumerate((bundle[:-1], bundle + "\n", "", "[" * 100_000, trust)):
        ran = Auditor.at(tmp_path / f"cut{number}", office.program, bundle=cut, trust=trust).verify()
        assert ran.code == 5
        assert "\u2717" in ran.err
    ran = Auditor.at(tmp_path / "swapped", office.program, bundle=bundle, trust=bundle).verify()
    assert ran.code == 2
    assert "no trust file" in ran.said
    ran = Auditor.at(tmp_path / "nothing", office.program).verify()
    assert ran.code == 1


async def test_a_serving_process_is_asked_for_its_evidence(office: Office, tmp_path: Path) -> None:
    _, paid, _ = await paid_and_declined(office)
    with office.running("serve", "--no-notices"):
        served, trust = office.run("prove", paid), office.run("prove", "--trust")
        office.json("prove", paid, "--openssh", str(tmp_path / "signed"))
    assert Auditor.at(tmp_path / "auditor", office.program, bundle=served.out, trust=trust.out).verify().code == 0
    assert json.loads(served.out)["contents"] == json.loads(office.run("prove", paid).out)["contents"]


async def test_evidence_outlives_the_rules_it_was_decided_by(office: Office, tmp_path: Path) -> None:
    _, paid, _ = await paid_and_declined(office)
    office.write("policy.cedar", POLICY.replace("500.00", "400.00"))
    trust = office.run("prove", "--trust").out
    ran = Auditor.at(tmp_path / "later", office.program, bundle=office.run("prove", paid).out, trust=trust).verify()
    assert ran.code == 0
    assert "The rules of then are not in the bundle" in ran.said
    office.write("desk.py", DESK.replace("The office", "The new office"))
    ran = Auditor.at(tmp_path / "new", office.program, bundle=office.run("prove", paid).out, trust=trust).verify()
    assert ran.code == 0
    assert "is not in the bundle: the desk has changed since" in ran.said


@pytest.mark.parametrize("arguments", [(), ("cf_x", "--trust"), ("--trust", "--openssh", "new")])
def test_what_to_prove_is_named_once(office: Office, arguments: tuple[str, ...]) -> None:
    ran = office.run("prove", *arguments)
    assert ran.code == 2
    assert "not both" in ran.said


def test_a_bundle_of_a_ticket_that_is_unknown_is_refused(office: Office) -> None:
    ran = office.run("prove", "cf_nothing")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no ticket" in ran.said
