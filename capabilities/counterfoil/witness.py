"""What a witness decides: whether it cosigns a checkpoint, given the newest one that it cosigned of that log.

A witness makes two promises about each log: it never cosigns a history that does not begin with the one it cosigned
before, and it never goes back. So whoever is shown a cosigned checkpoint is shown what everybody else is. This is
https://c2sp.org/tlog-witness without its HTTP; the numbers of refusals are those that the page asks for. Whoever calls
:func:`decide` keeps the answer, durably, before a cosignature leaves the machine, and lets nobody in between.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from counterfoil.checkpoints import (
    MAX_NOTE,
    SIZE,
    Checkpoint,
    NoteKey,
    from_base64,
    origin_of,
    read_checkpoint,
    to_base64,
)
from counterfoil.errors import ProofRefused
from counterfoil.tlog import EMPTY, HASH, check_consistency

MAX_PROOF = 63
"""Hashes of a consistency proof."""
MAX_SUBMISSION = MAX_NOTE + 8 * 1024
"""Bytes of a request: a note, and 64 lines before it."""

MALFORMED = 400
NOT_SIGNED = 403
UNKNOWN_LOG = 404
CONFLICT = 409
NOT_CONSISTENT = 422

OLD = re.compile(rf"old ({SIZE.pattern})")


@dataclass(frozen=True)
class Submission:
    """A request: the checkpoint's note, and the proof that the tree of ``old`` leaves is its beginning."""

    old: int
    proof: tuple[bytes, ...]
    note: str


@dataclass(frozen=True)
class Seen:
    """The newest checkpoint of a log that was cosigned: its size and root."""

    size: int
    root: bytes


NOTHING = Seen(0, EMPTY)
"""What is known of a log that never was cosigned."""


@dataclass(frozen=True)
class Refusal:
    """Why a checkpoint is not cosigned. ``known``: the size that the witness knows, where that is the answer;
    ``forked``: a second history under the log's own signature, which is evidence."""

    status: int
    says: str
    known: int | None = None
    forked: Checkpoint | None = None


def write_submission(old: int, proof: Sequence[bytes], note: str) -> str:
    """The body of a request."""
    lines = [f"old {old}", *map(to_base64, proof)]
    return "\n".join(lines) + f"\n\n{note}"


def read_submission(body: bytes) -> Submission | Refusal:
    """Read the body of a request."""
    malformed = Refusal(MALFORMED, "This is no request to cosign a checkpoint.")
    try:
        head, gap, note = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        return malformed
    first, *rest = head.split("\n")
    found = OLD.fullmatch(first)
    proof = [from_base64(line) for line in rest]
    if len(body) > MAX_SUBMISSION or not gap or found is None or len(proof) > MAX_PROOF:
        return malformed
    hashes = tuple(each for each in proof if each is not None and len(each) == HASH)
    if len(hashes) != len(proof):
        return malformed
    return Submission(int(found[1]), hashes, note)


def decide(asked: Submission, logs: Mapping[str, NoteKey], seen: Mapping[str, Seen]) -> Checkpoint | Refusal:
    """The checkpoint, if it is to be cosigned. ``logs``: the keys of the logs that are watched, by origin; ``seen``:
    what was cosigned of them."""
    try:
        origin = origin_of(asked.note)
    except ProofRefused as error:
        return Refusal(MALFORMED, error.happened)
    if origin not in logs:
        return Refusal(UNKNOWN_LOG, "This witness does not watch that log.")
    try:
        checkpoint = read_checkpoint(asked.note, logs[origin])
    except ProofRefused as error:
        return Refusal(NOT_SIGNED, error.happened)
    if asked.old > checkpoint.size:
        return Refusal(MALFORMED, "The old size is larger than the checkpoint's.")
    known = seen.get(origin, NOTHING)
    if asked.old != known.size:
        return Refusal(CONFLICT, f"The newest checkpoint cosigned has {known.size} leaves.", known.size)
    if checkpoint.size == known.size and not hmac.compare_digest(checkpoint.root, known.root):
        says = f"Another checkpoint of {known.size} leaves was cosigned: there are two histories of this log."
        return Refusal(CONFLICT, says, known.size, checkpoint)
    try:
        check_consistency(known.size, known.root, checkpoint.size, checkpoint.root, asked.proof)
    except ProofRefused as error:
        return Refusal(NOT_CONSISTENT, error.happened)
    return checkpoint
