"""Which witnesses saw the log of a bundle, and that evidence below the auditor's quorum does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.evidence import shop_day
from counterfoil.audit import verify_bundle
from counterfoil.audit_words import Report
from counterfoil.bundle import Contents
from counterfoil.checkpoints import WITNESS, NoteSigner, cosign, read_checkpoint

AT = 1_800_000_000
WITNESSES = [
    NoteSigner.of(f"watcher.example/w{number}", WITNESS, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number in (1, 2, 3)
]
STRANGER = NoteSigner.of("watcher.example/w1", WITNESS, Ed25519PrivateKey.generate())


def cosigned(*signers: NoteSigner, first_leaf: bool = True, other: bool = False) -> Contents:
    """A genuine bundle whose proofs carry cosignatures; ``first_leaf``: that of the first one as well; ``other``: they
    are over another checkpoint of the same log."""
    contents = shop_day().contents("executed")
    log = shop_day().sealed_trust.log
    assert log is not None
    proofs = []
    for number, each in enumerate(contents.proofs):
        checkpoint = read_checkpoint(each.proof.partition("\n\n")[2], log)
        over = replace(checkpoint, note=checkpoint.note.replace("\n", "0\n", 1)) if other else checkpoint
        lines = "".join(cosign(signer, over, AT) for signer in signers) if first_leaf or number else ""
        proofs.append(each.model_copy(update={"proof": each.proof + lines}))
    return contents.model_copy(update={"proofs": tuple(proofs)})


def verified(contents: Contents, *trusted: NoteSigner, quorum: int) -> Report:
    trust = replace(shop_day().sealed_trust, witnesses=tuple(each.key for each in trusted), quorum=quorum)
    return verify_bundle(shop_day().signed(contents), trust)


def test_the_report_says_which_witnesses_cosigned_and_when() -> None:
    report = verified(cosigned(WITNESSES[0], WITNESSES[2]), *WITNESSES, quorum=2)
    assert report.holds, report.of("fails")
    [line] = [line for line in report.of("holds") if "cosigned" in line]
    assert "cosigned by 2 of the 3 witnesses that you trust: watcher.example/w1 on 2027-01-15 08:00:00 UTC" in line
    assert "w2" not in line
    assert "each by its own clock" in line


@pytest.mark.parametrize(
    ("signers", "first_leaf", "seen"),
    [
        ((), True, "0 of the 3"),
        ((WITNESSES[1],), True, "1 of the 3"),
        ((WITNESSES[1], STRANGER), True, "1 of the 3"),
        ((WITNESSES[0], WITNESSES[1]), False, "0 of the 3"),
    ],
)
def test_too_few_cosignatures_on_any_leafs_checkpoint_fail(
    signers: tuple[NoteSigner, ...], first_leaf: bool, seen: str
) -> None:
    report = verified(cosigned(*signers, first_leaf=first_leaf), *WITNESSES, quorum=2)
    [line] = report.of("fails")
    assert f"cosigned by only {seen} witnesses" in line
    assert line.endswith("you ask for 2.")


def test_a_cosignature_over_another_checkpoint_fails_also_where_it_is_not_needed() -> None:
    report = verified(cosigned(WITNESSES[0], other=True), *WITNESSES, quorum=0)
    assert any("The cosignature of watcher.example/w1 does not hold" in line for line in report.of("fails"))


def test_a_bundle_of_an_auditor_who_trusts_no_witness_holds_with_and_without_cosignatures() -> None:
    for contents in (cosigned(), cosigned(*WITNESSES)):
        report = verified(contents, quorum=0)
        assert report.holds
        assert not any("cosigned" in line for line in report.of("holds"))


def test_without_a_quorum_it_is_said_and_nothing_fails() -> None:
    report = verified(cosigned(), *WITNESSES, quorum=0)
    assert report.holds
    assert any("by 0 of the 3 witnesses" in line for line in report.of("holds"))


def test_a_leaf_without_a_proof_is_not_passed_over_for_its_witnesses() -> None:
    contents = cosigned(*WITNESSES)
    report = verified(contents.model_copy(update={"proofs": contents.proofs[1:]}), *WITNESSES, quorum=2)
    assert not report.holds
