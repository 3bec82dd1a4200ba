"""Signed checkpoints of the log, cosignatures of witnesses, and the proofs that are handed out.

The formats are those of the transparency community, so that its tools read them: signed notes
(https://c2sp.org/signed-note), checkpoints (https://c2sp.org/tlog-checkpoint), cosignatures
(https://c2sp.org/tlog-cosignature) and proofs (https://c2sp.org/tlog-proof). A key has a name; a *verifier key* is its
text form ``name+id+key``. A signature counts only under a key that the reader already holds: lines by others are left
unread, and a second line by the same key makes the whole note worthless.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from counterfoil.errors import KeyFileError, ProofRefused
from counterfoil.tlog import HASH, check_inclusion, leaf_hash

LOG = 1
"""The kind of key that signs a log's checkpoints (Ed25519)."""
WITNESS = 4
"""The kind of key that cosigns them with a time (Ed25519, cosignature/v1)."""

MAX_NOTE = 64 * 1024
"""Bytes of a note that is read."""
MAX_LINES = 64
"""Signature lines, or hashes of a proof."""

KEY_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")
SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
PROOF = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class NoteKey:
    """A public key of a log or a witness. ``kind`` is :data:`LOG` or :data:`WITNESS`."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which signature lines name the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @staticmethod
    def from_text(text: str) -> NoteKey:
        """Read a verifier key; raises :class:`KeyFileError`."""
        name, _, rest = text.strip().partition("+")
        number, _, encoded = rest.partition("+")
        key = from_base64(encoded)
        if KEY_NAME.fullmatch(name) and key is not None and len(key) == 1 + 32 and key[0] in (LOG, WITNESS):
            found = NoteKey(name, key[0], key[1:])
            if number == found.id.hex():
                return found
        raise KeyFileError("This is no verifier key of a log or a witness.", "Write it as it was printed: name+id+key.")

    def to_text(self) -> str:
        """The verifier key."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True)
class NoteSigner:
    """The private key of a log or a witness."""

    key: NoteKey
    private: Ed25519PrivateKey

    @staticmethod
    def of(name: str, kind: int, private: Ed25519PrivateKey) -> NoteSigner:
        """Give a key its name; ``ValueError`` for a name that cannot be one."""
        if not KEY_NAME.fullmatch(name):
            raise ValueError("a key's name has no space and no plus")
        return NoteSigner(NoteKey(name, kind, private.public_key().public_bytes_raw()), private)


@dataclass(frozen=True)
class FormerKey:
    """A key that a log had before its present one. It counts for checkpoints of up to ``size`` leaves: what somebody
    signs with it later, of a log that went on under another key, is not believed."""

    key: NoteKey
    size: int


@dataclass(frozen=True)
class Checkpoint:
    """The root of a log's tree at a size. ``note`` is the whole signed text it was read from."""

    origin: str
    size: int
    root: bytes
    note: str

    @property
    def body(self) -> str:
        """What was signed."""
        return self.note.partition("\n\n")[0] + "\n"


def sign_checkpoint(signer: NoteSigner, size: int, root: bytes) -> str:
    """The checkpoint as a signed note. The log's origin is its key's name."""
    body = f"{signer.key.name}\n{size}\n{to_base64(root)}\n"
    return f"{body}\n{_line(signer.key, signer.private.sign(body.encode()))}"


def hand_over(checkpoint: Checkpoint, to: NoteSigner) -> str:
    """The note of the checkpoint, signed by another key of the same log as well; ``ValueError`` for one of another."""
    if to.key.name != checkpoint.origin:
        raise ValueError("a log's keys have the log's name")
    return f"{checkpoint.note}{_line(to.key, to.private.sign(checkpoint.body.encode()))}"


def cosign(signer: NoteSigner, checkpoint: Checkpoint, at: int) -> str:
    """A witness's signature line over a checkpoint that it found consistent at the time ``at`` (Unix seconds)."""
    signature = signer.private.sign(_cosigned(checkpoint.body, at))
    return _line(signer.key, at.to_bytes(8, "big") + signature)


def read_checkpoint(note: str, log: NoteKey) -> Checkpoint:
    """The checkpoint, signed by the log's key; raises :class:`ProofRefused`."""
    body, signatures = _parts(note)
    lines = body.split("\n")
    root = from_base64(lines[2]) if len(lines) >= 4 else None
    if root is None or len(root) != HASH or not SIZE.fullmatch(lines[1]) or "" in lines[:-1]:
        raise ProofRefused("This is no checkpoint of a log.")
    if lines[0] != log.name or log.kind != LOG:
        raise ProofRefused(f"The checkpoint is of the log {lines[0][:100]!r}, not of {log.name}.")
    signature = _only(signatures, log)
    if signature is None or not _verifies(log, signature, body.encode()):
        raise ProofRefused(f"The checkpoint is not signed by the key of the log {log.name}.")
    return Checkpoint(lines[0], int(lines[1]), root, note)


def cosigned_at(checkpoint: Checkpoint, witness: NoteKey) -> int | None:
    """When the witness saw the checkpoint (Unix seconds); None if it did not sign. Raises :class:`ProofRefused` for a
    signature in its name that does not hold."""
    signature = _only(_parts(checkpoint.note)[1], witness)
    if signature is None:
        return None
    at = int.from_bytes(signature[:8], "big")
    if witness.kind != WITNESS or not _verifies(witness, signature[8:], _cosigned(checkpoint.body, at)):
        raise ProofRefused(f"The cosignature of {witness.name} does not hold.")
    return at


def add_cosignature(checkpoint: Checkpoint, answer: str, witness: NoteKey) -> Checkpoint:
    """The checkpoint with the line of this witness out of its ``answer``, in place of an earlier one; raises
    :class:`ProofRefused` where there is none that holds."""
    _, _, signed = checkpoint.note.rpartition("\n\n")
    others = [line for line in signed.splitlines(keepends=True) if not _is_of(line, witness)]
    for line in answer.splitlines(keepends=True):
        if _is_of(line, witness):
            found = replace(checkpoint, note=f"{checkpoint.body}\n{''.join(others)}{line}")
            if cosigned_at(found, witness) is not None:
                return found
    raise ProofRefused(f"The answer has no cosignature of {witness.name}.")


def origin_of(note: str) -> str:
    """Of which log a note says that it is a checkpoint; raises :class:`ProofRefused` for what is no signed note."""
    return _parts(note)[0].partition("\n")[0]


def write_proof(index: int, path: Sequence[bytes], note: str) -> str:
    """The proof that leaf ``index`` is under the checkpoint."""
    hashes = "".join(f"{to_base64(each)}\n" for each in path)
    return f"{PROOF}\nindex {index}\n{hashes}\n{note}"


def read_as_of_then(note: str, log: NoteKey, former: Sequence[FormerKey]) -> Checkpoint:
    """The checkpoint, signed by the log's key or, as far as it counts, by one that the log had before; raises
    :class:`ProofRefused`."""
    try:
        return read_checkpoint(note, log)
    except ProofRefused as refusal:
        for each in former:
            try:
                found = read_checkpoint(note, each.key)
            except ProofRefused:
                continue
            if found.size <= each.size:
                return found
        raise refusal from None


def check_proof(proof: str, body: bytes, log: NoteKey, former: Sequence[FormerKey] = ()) -> tuple[int, Checkpoint]:
    """The index of the leaf with these bytes and the checkpoint it is under; raises :class:`ProofRefused`."""
    head, gap, note = proof.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != PROOF:
        raise ProofRefused("This is no proof of inclusion.")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]  # what it says has no meaning here
    word, _, number = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    path = [from_base64(line) for line in lines[2:]]
    if word != "index" or not SIZE.fullmatch(number) or len(path) > MAX_LINES:
        raise ProofRefused("This is no proof of inclusion.")
    checkpoint = read_as_of_then(note, log, former)
    check_inclusion(leaf_hash(body), int(number), checkpoint.size, [each or b"" for each in path], checkpoint.root)
    return int(number), checkpoint


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text, and the names and contents of the signature lines."""
    body, gap, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if len(note) > MAX_NOTE or not gap or not body or lines.pop() != "" or not 0 < len(lines) <= MAX_LINES:
        raise ProofRefused("This is no signed note.")
    found: list[tuple[str, bytes]] = []
    for line in lines:
        dash, name, encoded = (*line.split(" "), "", "")[:3]
        content = from_base64(encoded)
        if dash != "—" or not KEY_NAME.fullmatch(name) or content is None or len(content) < 5:
            raise ProofRefused("A signature line of the note cannot be read.")
        found.append((name, content))
    return f"{body}\n", found


def _is_of(line: str, key: NoteKey) -> bool:
    """Whether a signature line is by this key, as far as it says."""
    dash, name, encoded = (*line.strip().split(" "), "", "")[:3]
    return (dash, name) == ("—", key.name) and (from_base64(encoded) or b"")[:4] == key.id


def _only(signatures: list[tuple[str, bytes]], key: NoteKey) -> bytes | None:
    """What the key signed with, if it did; raises :class:`ProofRefused` where it did twice."""
    own = [content[4:] for name, content in signatures if name == key.name and content[:4] == key.id]
    if len(own) > 1:
        raise ProofRefused(f"The note has two signatures of {key.name}.")
    return own[0] if own else None


def _verifies(key: NoteKey, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _cosigned(body: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{body}".encode()


def _line(key: NoteKey, content: bytes) -> str:
    return f"— {key.name} {to_base64(key.id + content)}\n"


def to_base64(content: bytes) -> str:
    """Standard base64, in which notes and proofs write hashes, keys and signatures."""
    return base64.b64encode(content).decode()


def from_base64(text: str) -> bytes | None:
    """The bytes of standard base64 in its only spelling, or None."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if to_base64(content) == text else None
