"""Key material in files: made once with mode 0600, never in the database, never replaced by itself.

An administrator may have the authority's ring replaced (:func:`keep_ring`), one file after the other: a key that signs
is in the ring's files at every moment, under its old place or its new one.

In the state folder's ``keys``: the authority's ring (``authority-current.pem``, ``-next``, ``-previous``; unless it is
kept elsewhere, ``authority_keys.py``), one secret from which the keys for deduplication, match codes, locators and the
log's chain are derived, the key that seals the log (``log.pem``) and those that did before it, and ``trust.json`` with
the roster's public keys. The roster's private key lies elsewhere: serving processes never read it.

A state folder that has a database but lacks a key is refused: a fresh key would make every old record unverifiable.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from counterfoil.authority import Secrets
from counterfoil.checkpoints import FormerKey, NoteKey
from counterfoil.errors import KeyFileError, KeysElsewhere, StoreFailed
from counterfoil.keys import KeyRing, SigningKey, VerificationKey
from counterfoil.roster import LastRecord
from counterfoil_server.durable_file import move_durably, replace_durably

SECRET_LENGTH = 32
TRUST = "trust.json"
LAST = "last_record"
"""In the entry of a roster key that was replaced: the number and digest of the last record that it counts for."""

LOG, LOG_NEXT, LOG_FORMER = "log.pem", "log-next.pem", "log-former.json"
"""The key that seals the log; another one while it is about to; the public keys that did before."""

CHECKPOINT = "checkpoint"
"""The file in the state folder with the log's newest checkpoint."""
COSIGNED = "checkpoint.cosigned"
"""The file there with the newest one that enough witnesses have cosigned."""


@dataclass(frozen=True)
class Keys:
    """What a serving process holds."""

    ring: KeyRing
    secrets: Secrets
    arguments_key: bytes
    """Keys the digests under which tool calls' arguments are recorded."""
    locator_key: bytes
    """Seals the addresses of tickets' pages that AI clients may show."""
    trace_key: bytes
    """Hides which trace is which ticket's."""
    roster_keys: dict[str, VerificationKey]
    replaced: dict[str, LastRecord]
    """Those of the roster's keys that sign nothing new."""
    log: Ed25519PrivateKey
    """Signs the log's checkpoints, and nothing else."""


def load_or_create(folder: Path, *, roster_key: Path, fresh: bool, ring: KeyRing | None = None) -> Keys:
    """Read the keys; ``fresh`` (no database yet) makes those that are missing, the roster's key pair included.

    ``ring``: the authority's, where it is kept elsewhere; then no file of it is read or made.
    """
    if fresh:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if ring is None:
            _create_ring(folder)
        _create(folder, roster_key)
    ring = _ring(folder) if ring is None else ring
    secret = read_private(folder / "secret")
    if len(secret) != SECRET_LENGTH:
        raise KeyFileError(f"The key file {folder / 'secret'} is damaged: it has {len(secret)} bytes, not 32.")
    keys = Secrets(dedupe=derive(secret, "dedupe"), code=derive(secret, "match-code"), log=derive(secret, "log"))
    roster_keys, replaced = read_trust(folder / TRUST)
    return Keys(
        ring,
        keys,
        arguments_key=derive(secret, "recorded-arguments"),
        locator_key=derive(secret, "locator"),
        trace_key=derive(secret, "trace"),
        roster_keys=roster_keys,
        replaced=replaced,
        log=_log_key(folder),
    )


def _ring(folder: Path) -> KeyRing:
    return KeyRing(
        current=read_signing_key(folder / "authority-current.pem"),
        next=read_signing_key(folder / "authority-next.pem"),
        previous=read_signing_key(previous) if (previous := folder / "authority-previous.pem").exists() else None,
    )


def _log_key(folder: Path) -> Ed25519PrivateKey:
    """Read the log's key. A folder of a version that sealed nothing gets one; that nothing was sealed is checked when
    the log is opened."""
    path = folder / LOG
    if not path.exists() and not (folder.parent / CHECKPOINT).exists():
        write_private(path, _log_pem())
    return _read_log_key(path)


def next_log_key(folder: Path) -> Ed25519PrivateKey:
    """The key that is to seal the log, made if it is not there yet: one that was interrupted goes on with it."""
    path = folder / LOG_NEXT
    if not path.exists():
        write_private(path, _log_pem())
    return _read_log_key(path)


def keep_log_key(folder: Path, former: Sequence[FormerKey]) -> None:
    """Let the next key be the one that seals, with these before it. Raises OSError."""
    entries = [{"key": each.key.to_text(), "size": each.size} for each in former]
    replace_private(folder / LOG_FORMER, json.dumps(entries, indent=2).encode())
    move_durably(folder / LOG_NEXT, folder / LOG)


def former_log_keys(folder: Path) -> tuple[FormerKey, ...]:
    """The keys that the log had before and that count as far as they go; raises :class:`KeyFileError`."""
    path = folder / LOG_FORMER
    if not path.exists():
        return ()
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple(FormerKey(NoteKey.from_text(each["key"]), int(each["size"])) for each in entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise KeyFileError(f"The file {path} with the log's former keys is damaged.") from None


def _read_log_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError):
        raise KeyFileError(f"The key file {path} is damaged or not a PEM.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"The key file {path} holds no Ed25519 key.")
    return key


def _log_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def derive(secret: bytes, use: str) -> bytes:
    """The key for one use, from the one secret (HKDF-SHA-256, RFC 5869)."""
    return HKDF(hashes.SHA256(), SECRET_LENGTH, salt=None, info=f"counterfoil-{use}".encode()).derive(secret)


def read_signing_key(path: Path) -> SigningKey:
    """A private key from its file; raises :class:`KeyFileError` naming the file."""
    try:
        return SigningKey.from_pem(read_private(path))
    except KeyFileError as error:
        if str(path) in error.happened:
            raise
        raise KeyFileError(f"{error.happened[:-1]}: {path}.") from None


def read_private(path: Path) -> bytes:
    """The bytes of a file that only its owner may read."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise KeyFileError(f"The key file {path} can be read by others.", f"Run: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        raise KeyFileError(f"The key file {path} is missing.") from None
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be read: {error.strerror}.") from None


def read_trust(path: Path) -> tuple[dict[str, VerificationKey], dict[str, LastRecord]]:
    """The roster's public keys by id, and where those of them stopped that were replaced."""
    keys, replaced = {}, {}
    try:
        for jwk in json.loads(path.read_text(encoding="utf-8"))["roster_keys"]:
            last = jwk.pop(LAST, None)
            key = VerificationKey.from_jwk(jwk)
            keys[key.id] = key
            if last is not None:
                replaced[key.id] = LastRecord(int(last["version"]), str(last["digest"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise KeyFileError(f"The trust file {path} is missing or damaged.") from None
    return keys, replaced


def replace_roster_key(folder: Path, fresh: VerificationKey, last: LastRecord) -> None:
    """Trust ``fresh`` from now on, and the keys of before up to their last record only; raises StoreFailed."""
    keys, replaced = read_trust(folder / TRUST)
    stopped = {name: replaced.get(name, last) for name in keys}
    entries: list[dict[str, object]] = [
        {**key.to_jwk(), LAST: {"version": stopped[name].version, "digest": stopped[name].digest}}
        for name, key in keys.items()
    ]
    try:
        replace_private(folder / TRUST, _trust_file([*entries, {**fresh.to_jwk()}]))
    except OSError as error:
        raise StoreFailed(f"{folder / TRUST} could not be written: {error.strerror}. Nothing has changed.") from None


def write_private(path: Path, content: bytes) -> None:
    """Create the file with mode 0600; never overwrites one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def keep_ring(folder: Path, ring: KeyRing) -> None:
    """Replace the ring's files; raises :class:`StoreFailed`.

    In this order, because the process may end between any two steps: a current key that becomes the previous one is
    written to its new place before its old one is taken; then both places of the next key hold it, until a fresh one
    follows (``KeyRing.cut_short``). Each is the old file or the new one, never a part of it.
    """
    try:
        for place, key in ring.places.items():
            if not isinstance(key, SigningKey):
                raise KeysElsewhere()
            replace_private(folder / f"authority-{place}.pem", key.to_pem())
    except OSError as error:
        raise StoreFailed(
            f"The key files in {folder} could not be written: {error.strerror}. The former keys go on.",
            "Make room or mend the folder's rights, and try again; 'counterfoil suspend key:ID' stops a key meanwhile.",
        ) from None


def replace_private(path: Path, content: bytes) -> None:
    """The same in the place of another file, which is there until the new one is; raises OSError."""
    replace_durably(path, content, mode=0o600)


def _create_ring(folder: Path) -> None:
    for name in ("authority-current.pem", "authority-next.pem"):
        if not (folder / name).exists():
            write_private(folder / name, SigningKey.generate().to_pem())


def _create(folder: Path, roster_key: Path) -> None:
    if not (folder / LOG).exists():
        write_private(folder / LOG, _log_pem())
    if not (folder / "secret").exists():
        write_private(folder / "secret", secrets.token_bytes(SECRET_LENGTH))
    if not (folder / TRUST).exists():
        if not roster_key.exists():
            roster_key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(roster_key, SigningKey.generate().to_pem())
        write_private(folder / TRUST, _trust_file([{**read_signing_key(roster_key).public.to_jwk()}]))


def _trust_file(roster_keys: list[dict[str, object]]) -> bytes:
    return json.dumps({"roster_keys": roster_keys}, indent=2).encode()
