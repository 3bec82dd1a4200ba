"""What a witness cosigns: each refusal of https://c2sp.org/tlog-witness, and that it never cosigns two histories."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterfoil.checkpoints import (
    LOG,
    WITNESS,
    Checkpoint,
    NoteSigner,
    add_cosignature,
    cosign,
    cosigned_at,
    origin_of,
    read_checkpoint,
    sign_checkpoint,
)
from counterfoil.errors import ProofRefused
from counterfoil.tlog import EMPTY, Tree, leaf_hash
from counterfoil.witness import (
    CONFLICT,
    MALFORMED,
    MAX_SUBMISSION,
    NOT_CONSISTENT,
    NOT_SIGNED,
    UNKNOWN_LOG,
    Refusal,
    Seen,
    Submission,
    decide,
    read_submission,
    write_submission,
)

SIGNER = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.from_private_bytes(b"l" * 32))
THIEF = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.from_private_bytes(b"t" * 32))
WATCHER = NoteSigner.of("watcher.example", WITNESS, Ed25519PrivateKey.from_private_bytes(b"w" * 32))
LOGS = {"desk.example/log": SIGNER.key}


def tree(*leaves: str) -> Tree:
    made = Tree(lambda level, number: [])
    made.append([leaf_hash(leaf.encode()) for leaf in leaves])
    return made


TRUE = tree(*(f"leaf {number}" for number in range(9)))
FORK = tree(*(f"leaf {number}" for number in range(4)), *(f"other {number}" for number in range(5)))


def note_of(history: Tree, size: int, signer: NoteSigner = SIGNER) -> str:
    return sign_checkpoint(signer, size, history.root(size))


def asked(history: Tree, old: int, size: int, signer: NoteSigner = SIGNER) -> Submission:
    proof = history.consistency(old, size) if 0 < old <= size else []
    return Submission(old, tuple(proof), note_of(history, size, signer))


def answer(submission: Submission, seen: Seen | None) -> int:
    """200, or the number of the refusal."""
    found = decide(submission, LOGS, {"desk.example/log": seen} if seen else {})
    return found.status if isinstance(found, Refusal) else 200


KNOWN = Seen(6, TRUE.root(6))


@pytest.mark.parametrize(
    ("submission", "seen", "status"),
    [
        (asked(TRUE, 0, 6), None, 200),
        (asked(TRUE, 0, 0), None, 200),
        (asked(TRUE, 6, 9), KNOWN, 200),
        (asked(TRUE, 6, 6), KNOWN, 200),
        (asked(TRUE, 0, 9), KNOWN, CONFLICT),
        (asked(TRUE, 5, 9), KNOWN, CONFLICT),
        (asked(TRUE, 7, 9), KNOWN, CONFLICT),
        (asked(TRUE, 5, 5), KNOWN, CONFLICT),
        (asked(FORK, 6, 6), KNOWN, CONFLICT),
        (asked(FORK, 6, 9), KNOWN, NOT_CONSISTENT),
        (Submission(6, (), note_of(TRUE, 9)), KNOWN, NOT_CONSISTENT),
        (Submission(6, tuple(TRUE.consistency(5, 9)), note_of(TRUE, 9)), KNOWN, NOT_CONSISTENT),
        (Submission(0, (bytes(32),), note_of(TRUE, 9)), None, NOT_CONSISTENT),
        (Submission(6, (), note_of(TRUE, 5)), KNOWN, MALFORMED),
        (Submission(0, (), sign_checkpoint(SIGNER, 0, bytes(32))), None, CONFLICT),
        (asked(TRUE, 6, 9, THIEF), KNOWN, NOT_SIGNED),
        (Submission(0, (), note_of(TRUE, 9).replace("desk.example", "other.example")), None, UNKNOWN_LOG),
        (Submission(0, (), "nothing"), None, MALFORMED),
        (Submission(0, (), ""), None, MALFORMED),
    ],
)
def test_each_request_is_answered_as_the_specification_says(
    submission: Submission, seen: Seen | None, status: int
) -> None:
    assert answer(submission, seen) == status


def test_whoever_is_wrong_about_the_size_is_told_it() -> None:
    found = decide(asked(TRUE, 0, 9), LOGS, {"desk.example/log": KNOWN})
    assert isinstance(found, Refusal)
    assert (found.known, found.forked) == (6, None)


def test_a_second_history_of_the_same_size_is_evidence() -> None:
    found = decide(asked(FORK, 6, 6), LOGS, {"desk.example/log": KNOWN})
    assert isinstance(found, Refusal)
    assert found.forked is not None
    assert found.forked.root == FORK.root(6)
    assert "two histories" in found.says


@dataclass
class Watching:
    """A witness as it decides, and everything that it ever cosigned."""

    seen: dict[str, Seen] = field(default_factory=dict)
    cosigned: list[Checkpoint] = field(default_factory=list)

    def ask(self, submission: Submission) -> None:
        found = decide(submission, LOGS, self.seen)
        if isinstance(found, Checkpoint):
            self.cosigned.append(found)
            self.seen[found.origin] = Seen(found.size, found.root)


def test_whatever_it_is_asked_all_that_it_cosigns_is_one_history() -> None:
    chance = random.Random(38)  # noqa: S311 - a walk through requests, the same each time
    several = 0
    for _ in range(100):
        witness = Watching()
        for _ in range(40):
            history = chance.choice([TRUE, FORK])
            old, size = chance.randrange(10), chance.randrange(10)
            proof = chance.choice([TRUE, FORK]).consistency(old, size) if 0 < old <= size else []
            witness.ask(Submission(old, tuple(proof), note_of(history, size)))
        sizes = [each.size for each in witness.cosigned]
        assert sizes == sorted(sizes)
        several += len(witness.cosigned) > 2
        assert any(all(each.root == history.root(each.size) for each in witness.cosigned) for history in (TRUE, FORK))


def test_a_request_is_read_as_it_was_written() -> None:
    for submission in (asked(TRUE, 0, 9), asked(TRUE, 5, 9), asked(TRUE, 9, 9)):
        body = write_submission(submission.old, submission.proof, submission.note)
        assert read_submission(body.encode()) == submission


GOOD = write_submission(5, TRUE.consistency(5, 9), note_of(TRUE, 9))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff" + GOOD.encode(),
        GOOD.replace("old 5", "old 05").encode(),
        GOOD.replace("old 5", "old -5").encode(),
        GOOD.replace("old 5", "Old 5").encode(),
        GOOD.replace("old 5", "old ٥").encode(),
        GOOD.replace("old 5\n", "").encode(),
        GOOD.replace("old 5\n", "old 5\nAAAA\n").encode(),
        GOOD.replace("old 5\n", "old 5\n*\n").encode(),
        GOOD.replace("old 5\n", "old 5\n" + f"{'A' * 43}=\n" * 64).encode(),
        GOOD.partition("\n\n")[0].encode(),
        GOOD.encode() + b"x" * MAX_SUBMISSION,
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    found = read_submission(body)
    assert isinstance(found, Refusal)
    assert found.status == MALFORMED


def test_a_cosignature_is_taken_out_of_an_answer_and_replaces_the_one_before() -> None:
    checkpoint = read_checkpoint(note_of(TRUE, 9), SIGNER.key)
    second = NoteSigner.of("watcher.example/2", WITNESS, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    stranger = NoteSigner.of("watcher.example", WITNESS, Ed25519PrivateKey.from_private_bytes(b"y" * 32))
    once = add_cosignature(checkpoint, cosign(stranger, checkpoint, 1) + cosign(WATCHER, checkpoint, 5), WATCHER.key)
    both = add_cosignature(once, cosign(second, checkpoint, 6), second.key)
    later = add_cosignature(both, cosign(WATCHER, checkpoint, 7), WATCHER.key)
    assert (cosigned_at(later, WATCHER.key), cosigned_at(later, second.key)) == (7, 6)
    assert cosigned_at(later, stranger.key) is None
    assert read_checkpoint(later.note, SIGNER.key).root == checkpoint.root
    for answer in ("", "garbage\n", cosign(stranger, checkpoint, 1), cosign(WATCHER, checkpoint, 5).strip()):
        with pytest.raises(ProofRefused):
            add_cosignature(checkpoint, answer, WATCHER.key)
    other = read_checkpoint(note_of(TRUE, 8), SIGNER.key)
    with pytest.raises(ProofRefused, match="does not hold"):
        add_cosignature(checkpoint, cosign(WATCHER, other, 5), WATCHER.key)


def test_a_note_says_of_which_log_it_is() -> None:
    assert origin_of(note_of(TRUE, 9)) == "desk.example/log"
    with pytest.raises(ProofRefused):
        origin_of("desk.example/log\n9\n")
    assert TRUE.root(0) == EMPTY
