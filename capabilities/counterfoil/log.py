"""The leaves of the append-only log.

A leaf says that something happened, to which ticket, and the digests of what it was about. It holds no personal data:
every field group is digested under a salt derived from the leaf's own, so that one group can be opened without the
others, and openings can be deleted while the leaf stays. Leaves are chained by a MAC whose key is not in the
database: whoever edits, removes, inserts or reorders rows there cannot mend the chain.

The format is versioned (``v``) and final for version 1: a Merkle tree can be built over the stored bytes.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from counterfoil.canonical import b64, canonical, parse_strict, pre_auth, salted_digest, unb64
from counterfoil.errors import BadJSON, TamperDetected

GENESIS = bytes(32)
"""What stands for the MAC of the leaf before the first."""


GROUP = "counterfoil-leaf-group"
"""What the digest of a field group is a digest of."""

NAME = re.compile(r"[a-z][a-z_]{0,40}")


@dataclass(frozen=True)
class LeafDraft:
    """What a caller wants recorded; the store adds index, time and MAC inside its transaction.

    The event and the groups' names are lower case words with underscores; ``ValueError`` for any other. ``salt`` is 32
    fresh random bytes. ``parts`` (the leaf's body between time, index and end) and ``opening`` are made here, by the
    caller, because everybody waits while the one writer works.
    """

    event: str
    ticket: str | None
    groups: Mapping[str, Any]
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False, compare=False)
    parts: tuple[str, str] = field(init=False, repr=False, compare=False)
    opening: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not all(map(NAME.fullmatch, (self.event, *self.groups))):
            raise ValueError("a leaf's event and groups are lower case words")
        # Written out piece by piece, in RFC 8785 order.
        values = {name: canonical(self.groups[name]).decode() for name in sorted(self.groups)}
        digests = ",".join(
            f'"{name}":"{salted_digest(group_salt(self.salt, name), GROUP, value.encode())}"'
            for name, value in values.items()
        )
        opened = ",".join(f'"{name}":{value}' for name, value in values.items())
        ticket = canonical(self.ticket).decode()
        parts = (f'"event":"{self.event}","groups":{{{digests}}}', f'"ticket":{ticket},"v":1')
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "opening", f'{{"groups":{{{opened}}},"salt":"{b64(self.salt)}"}}'.encode())


@dataclass(frozen=True)
class Leaf:
    """A recorded leaf. ``opening`` (JSON: salt and values) proves what the digests are of, and may be deleted."""

    index: int
    body: bytes
    mac: bytes
    opening: bytes | None
    ticket: str | None = None
    event: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The public content: v, n, at, event, ticket, groups."""
        value = parse_strict(self.body)
        if not isinstance(value, dict):
            raise TamperDetected()
        return value


def seal(draft: LeafDraft, *, index: int, at: int, previous: bytes, key: bytes) -> tuple[bytes, bytes]:
    """The body and the MAC of the leaf that follows the one with the MAC ``previous``."""
    what, whose = draft.parts
    body = f'{{"at":{at},{what},"n":{index},{whose}}}'.encode()
    return body, chain_mac(key, previous, body)


def group_salt(salt: bytes, group: str) -> bytes:
    """The salt of one field group, from the leaf's."""
    return hmac.digest(salt, group.encode(), "sha256")


def chain_mac(key: bytes, previous: bytes, body: bytes) -> bytes:
    """The MAC over a leaf and everything before it; raises :class:`TamperDetected` unless ``previous`` is a MAC, whose
    fixed length keeps the two apart."""
    if len(previous) != len(GENESIS):
        raise TamperDetected("A MAC in the log has a wrong length.")
    return keyed_mac(key, "counterfoil-leaf", previous + body)


def keyed_mac(key: bytes, kind: str, body: bytes) -> bytes:
    """HMAC-SHA-256 of ``body`` as a ``kind`` of thing, for a key that is used again and again."""
    mac = _keyed(key).copy()
    mac.update(pre_auth(kind, body))
    return mac.finalize()


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> HMAC:
    """HMAC-SHA-256 under the key, to be copied: to set it up anew takes longer than to hash a leaf."""
    return HMAC(key, SHA256())


def check_link(leaf: Leaf, previous: bytes, key: bytes) -> None:
    """Raise :class:`TamperDetected` unless ``leaf`` follows the leaf whose MAC is ``previous``."""
    if not hmac.compare_digest(chain_mac(key, previous, leaf.body), leaf.mac):
        raise TamperDetected(f"Leaf {leaf.index} of the log does not follow from the leaf before it.")


def is_filed_as_recorded(leaf: Leaf) -> bool:
    """Whether the leaf's number, ticket and event are those of its body, by the order in which :func:`seal` wrote them:
    to parse it takes longer than all else that a walk over the log does."""
    what = b'"event":%b,"groups":{' % canonical(leaf.event)
    whose = b'"n":%d,"ticket":%b,"v":1}' % (leaf.index, canonical(leaf.ticket))
    return leaf.body.partition(b",")[2].startswith(what) and leaf.body.endswith(whose)


def opens(opening: bytes, digests: Mapping[str, str]) -> bool:
    """Whether the opening's values are those of which the leaf holds the ``digests``, by group."""
    try:
        value = parse_strict(opening)
        if not isinstance(value, dict) or value["groups"].keys() != digests.keys():
            return False
        salt = unb64(value["salt"])
        return all(
            salted_digest(group_salt(salt, name), GROUP, canonical(group)) == digests[name]
            for name, group in value["groups"].items()
        )
    except (BadJSON, KeyError, AttributeError, TypeError):
        return False
