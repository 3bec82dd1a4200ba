"""Which leaves of a bundle are on the log, and which witnesses saw that log.

A cosignature says that its witness saw this checkpoint go on from everything it had seen of the log before. Enough of
them mean that nobody was shown another history, as long as not that many witnesses lie together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from counterfoil.audit_words import Report, at
from counterfoil.bundle import LeafProof, Trust
from counterfoil.checkpoints import Checkpoint, FormerKey, NoteKey, check_proof, cosigned_at
from counterfoil.errors import EvidenceRefused, ProofRefused


def verify_proofs(proofs: Sequence[LeafProof], leaves: Mapping[int, str], trust: Trust, report: Report) -> None:
    """Verify the proofs of ``leaves``, bodies by number, against the log and the witnesses that are trusted."""
    log = trust.log
    found = {proof.leaf: proof.proof for proof in proofs}
    if len(found) != len(proofs) or found.keys() - leaves.keys():
        report.fail("There is a proof of a leaf that is not in the bundle, or one leaf has two.")
    under: list[Checkpoint] = []
    for index in sorted(leaves):
        if log is None:
            report.leave_open(f"Leaf {index} is not proven to be on the log: you trust no log.")
        elif index not in found:
            report.fail(f"Leaf {index} is not proven to be on the log: no proof came with it.")
        else:
            work = partial(_proven, index, leaves[index], found[index], log, trust.former)
            checkpoint = report.check(f"The proof of leaf {index}", work)
            under += [checkpoint] if checkpoint is not None else []
    if log is not None and under and len(under) == len(leaves):
        report.hold(
            f"Leaves {', '.join(map(str, sorted(leaves)))} are on the log {log.name}, under a checkpoint of"
            f" {max(each.size for each in under)} leaves that its key signed."
        )
    if trust.witnesses:
        _witnessed(under, trust, report)


def _proven(index: int, body: str, proof: str, log: NoteKey, former: Sequence[FormerKey]) -> Checkpoint:
    """The checkpoint under which the leaf is; raises ProofRefused or EvidenceRefused."""
    number, checkpoint = check_proof(proof, body.encode(), log, former)
    if number != index:
        raise EvidenceRefused("It is of another place on the log.")
    return checkpoint


def _witnessed(under: Sequence[Checkpoint], trust: Trust, report: Report) -> None:
    """Say of each checkpoint which of the trusted witnesses cosigned it and when, and fail below the quorum."""
    for note in dict.fromkeys(each.note for each in under):
        checkpoint = next(each for each in under if each.note == note)
        seen: list[str] = []
        for witness in trust.witnesses:
            try:
                when = cosigned_at(checkpoint, witness)
            except ProofRefused as error:
                report.fail(error.happened)
                continue
            if when is not None:
                seen.append(f"{witness.name} on {at(when)}")
        what = f"The checkpoint of {checkpoint.size} leaves is cosigned by"
        who = f"{len(seen)} of the {len(trust.witnesses)} witnesses that you trust"
        names = f": {', '.join(seen)}, each by its own clock" if seen else ""
        if len(seen) < trust.quorum:
            report.fail(f"{what} only {who}{names}; you ask for {trust.quorum}.")
        else:
            report.hold(f"{what} {who}{names}{'' if trust.quorum else '; you ask for none'}.")
