"""What a witness keeps: its key, and the newest checkpoint that it cosigned of each log.

The memory is one file, replaced as a whole and on the disk before a cosignature leaves, and signed by the witness
itself. A witness that cannot read it, or finds it changed or gone, does not start: with an empty memory it would cosign
whatever it is shown. For the same reason it is never restored from a backup; a witness that lost it gets another key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from counterfoil.canonical import canonical
from counterfoil.checkpoints import WITNESS, Checkpoint, NoteKey, NoteSigner, cosign, from_base64, to_base64
from counterfoil.errors import KeyFileError, StoreFailed, TamperDetected
from counterfoil.tlog import HASH
from counterfoil.values import Version
from counterfoil.witness import Refusal, Seen, Submission, decide
from counterfoil_server.durable_file import replace_durably, sync_folder
from counterfoil_server.key_files import read_private, write_private

KEY = "witness.pem"
MEMORY = "seen.json"
CONTEXT = b"counterfoil-witness-memory\n"
"""Before what the key signs of the memory, so that it is the signature of nothing else."""

ANEW = "Start a new witness with a new key ('counterfoil witness init'): one that forgot cosigns what it should not."


class _Newest(BaseModel):
    """The newest checkpoint of a log that was cosigned."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: Annotated[int, Field(ge=0)]
    root: str


class _File(BaseModel):
    """The memory's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["counterfoil-witness"] = "counterfoil-witness"
    v: Version = 1
    name: str
    logs: dict[str, _Newest]

    @property
    def signed(self) -> bytes:
        """What the key signs."""
        return CONTEXT + canonical(self.model_dump(mode="json"))


class Memory:
    """The witness's folder, opened. Whoever opens it holds the folder's lock."""

    def __init__(self, folder: Path, signer: NoteSigner, seen: dict[str, Seen]) -> None:
        self._folder = folder
        self._signer = signer
        self._seen = seen

    @property
    def key(self) -> NoteKey:
        """The key that verifies the cosignatures."""
        return self._signer.key

    @classmethod
    def create(cls, folder: Path, name: str) -> Memory:
        """Make a key and an empty memory. Raises KeyFileError where there is a witness already, or for a bad name."""
        if (folder / KEY).exists() or (folder / MEMORY).exists():
            raise KeyFileError(f"There is a witness in {folder} already.", "Name another folder with --state.")
        private = Ed25519PrivateKey.generate()
        try:
            memory = cls(folder, NoteSigner.of(name, WITNESS, private), {})
        except ValueError:
            raise KeyFileError(
                f"{name[:100]!r} is no name of a witness.",
                "Write it without spaces and plus, as in witness.example/w1.",
            ) from None
        memory._write(memory._seen)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(folder / KEY, pem)
        sync_folder(folder)
        return memory

    @classmethod
    def open(cls, folder: Path) -> Memory:
        """Read key and memory; raises :class:`KeyFileError` and :class:`TamperDetected`."""
        path = folder / KEY
        try:
            private = load_pem_private_key(read_private(path), password=None)
        except (ValueError, TypeError):  # damaged, or under a passphrase
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"The key file {path} is damaged, or holds no Ed25519 key.", ANEW)
        name, seen = _read(folder / MEMORY, private)
        return cls(folder, NoteSigner.of(name, WITNESS, private), seen)

    def cosign(self, asked: Submission, logs: dict[str, NoteKey], clock: Callable[[], float]) -> str | Refusal:
        """The cosignature's line, or why not. What is cosigned is remembered first; raises StoreFailed where it cannot
        be, and then is not cosigned. One call at a time."""
        found = decide(asked, logs, self._seen)
        if isinstance(found, Refusal):
            if found.forked is not None:
                self._keep_evidence(found.forked)
            return found
        seen = self._seen | {found.origin: Seen(found.size, found.root)}
        if seen != self._seen:
            self._write(seen)
            self._seen = seen
        return cosign(self._signer, found, int(clock()))

    def _write(self, seen: dict[str, Seen]) -> None:
        logs = {origin: _Newest(size=each.size, root=to_base64(each.root)) for origin, each in seen.items()}
        file = _File(name=self.key.name, logs=logs)
        signature = to_base64(self._signer.private.sign(file.signed))
        content = json.dumps({"memory": file.model_dump(mode="json"), "signature": signature}, indent=1)
        try:
            replace_durably(self._folder / MEMORY, content.encode(), mode=0o600)
        except OSError as error:
            raise StoreFailed(
                f"{self._folder / MEMORY} cannot be written: {error.strerror}.", "Nothing was cosigned; make room."
            ) from None

    def _keep_evidence(self, forked: Checkpoint) -> None:
        """Keep the first checkpoint of a second history: under the log's own signature, it proves that there are two.
        One for each log, so that nobody can fill the disk."""
        name = hashlib.sha256(forked.origin.encode()).hexdigest()[:16]
        try:
            write_private(self._folder / f"second-history-{name}", forked.note.encode())
        except OSError:
            return  # it is there already; or cannot be kept, and is refused all the same


def _read(path: Path, private: Ed25519PrivateKey) -> tuple[str, dict[str, Seen]]:
    try:
        value = json.loads(path.read_bytes())
        found = _File.model_validate(value["memory"])
        private.public_key().verify(from_base64(value["signature"]) or b"", found.signed)
        seen = {}
        for origin, each in found.logs.items():
            root = from_base64(each.root)
            if root is None or len(root) != HASH:
                raise ValueError("no root")
            seen[origin] = Seen(each.size, root)
    except FileNotFoundError:
        raise TamperDetected(f"What the witness has seen, {path}, is missing.", ANEW) from None
    except OSError as error:
        raise StoreFailed(
            f"What the witness has seen, {path}, cannot be read: {error.strerror}.",
            "Mend the file's rights or its disk.",
        ) from None
    except (ValueError, TypeError, KeyError, RecursionError, ValidationError, InvalidSignature):
        raise TamperDetected(f"What the witness has seen, {path}, is damaged or was changed.", ANEW) from None
    return found.name, seen
