"""Another key for the roster, where the former one was stolen or lost.

The former key stays trusted for the records there are, so that nobody has to enrol again, and for nothing after them.
What a verifier trusts is changed where no server runs: a serving process never writes ``trust.json``.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from counterfoil import leaves
from counterfoil.errors import KeyFileError
from counterfoil.keys import SigningKey
from counterfoil.roster import LastRecord
from counterfoil_server import key_files
from counterfoil_server.config import Configuration


@dataclass(frozen=True)
class Replaced:
    """The new key's id, where its private half is, and the number of the last record that former keys count for."""

    key: str
    path: str
    last: int


async def replace(configuration: Configuration) -> Replaced:
    """Pin the roster as it is and trust a fresh key; raises StateFolderInUse, KeyFileError, RosterRefused, StoreFailed.

    The private key is written first and trusted last: whatever comes in between, the same command goes on from there.
    """
    from counterfoil_server.app import open_parts

    async with open_parts(configuration) as parts:
        judge = parts.authority.judge
        roster = await judge.roster()
        key = _fresh_key(configuration.roster_key, judge.trust.keys)
        leaf = leaves.administered(leaves.ROSTER_KEY, key=key.id, version=roster.version, record=roster.head)
        await parts.store.append_leaf(leaf)
        last = LastRecord(roster.version, roster.head)
        key_files.replace_roster_key(configuration.state / "keys", key.public, last)
    return Replaced(key.id, str(configuration.roster_key), roster.version)


def _fresh_key(path: Path, trusted: Container[str]) -> SigningKey:
    """The key that lies there if it is a fresh one; otherwise one that is made there."""
    if not path.exists():
        key_files.write_private(path, SigningKey.generate().to_pem())
    key = key_files.read_signing_key(path)
    if key.id in trusted:
        raise KeyFileError(
            f"{path} is the roster key that is to be replaced; nothing was changed.",
            "Move it away and run the command again: it makes a new one.",
        )
    return key
