"""What lies in a state folder, opened: the executor's ledger, the log with its key, and what the store pins.

Whoever looks at a folder opens these as whoever serves it does, without the parts that serve.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from counterfoil.checkpoints import LOG, NoteKey, NoteSigner
from counterfoil.errors import SettingsError, StoreFailed
from counterfoil_server import key_files, log_keys
from counterfoil_server.config import Configuration
from counterfoil_server.execution.ledger import Ledger
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import LOG_KEY, Sealer

if TYPE_CHECKING:
    from counterfoil_server.publishing.publisher import Publisher

DATABASE = "counterfoil.db"
LEDGER = "ledger.db"


def open_ledger(path: Path, *, fresh: bool) -> Ledger:
    """The executor's ledger. Beside an existing database a missing one is refused: an empty one forgets what ran."""
    if not fresh and not path.exists():
        raise StoreFailed(
            f"The executor's ledger {path} is missing, but there is a database.",
            "Restore it from your backup; without it, what ran before could run again.",
        )
    return Ledger(path)


def started_by(ledger: Ledger, configuration: Configuration) -> Callable[[str], int | None]:
    """When the executor started a ticket's effect (Unix seconds), by its ledger; None where it never did."""

    def started(ticket: str) -> int | None:
        effect = ledger.effect(configuration.issuer, ticket)
        return effect.started_at if effect else None

    return started


async def open_sealer(store: SQLiteStore, keys: key_files.Keys, configuration: Configuration) -> Sealer:
    """The sealer of the store's log, which was checked against what was sealed before.

    The log keeps the name that it had first, whatever the settings say later.
    """
    signer = await log_signer(store, keys, configuration)
    await log_keys.adopt(store, signer, configuration.state / key_files.CHECKPOINT)
    sealer = await Sealer.open(store, signer, configuration.state / key_files.CHECKPOINT)
    sealer.former = [each.key for each in key_files.former_log_keys(configuration.state / "keys")]
    return sealer


async def open_publisher(configuration: Configuration, sealer: Sealer) -> Publisher | None:
    """Who publishes the log's checkpoints, if anybody; what was published before was compared with the log."""
    if not configuration.settings.log.wanted:
        return None
    from counterfoil_server import log_publishing  # where nothing is published, nothing of it is loaded

    return await log_publishing.open_publisher(configuration, sealer)


async def log_signer(store: SQLiteStore, keys: key_files.Keys, configuration: Configuration) -> NoteSigner:
    """The key that seals the store's log, under the log's name."""
    pinned = await store.setting(LOG_KEY)
    name = NoteKey.from_text(pinned).name if pinned is not None else log_name(configuration.issuer)
    return NoteSigner.of(name, LOG, keys.log)


def log_name(issuer: str) -> str:
    """What a log is called: a URL without its scheme, as is the custom (https://c2sp.org/tlog-checkpoint)."""
    return f"{quote(issuer.partition('://')[2] or issuer, safe='/:.-_~')}/log"


async def pin_party(store: SQLiteStore, configuration: Configuration) -> None:
    """Pin the passkeys' host. Raises SettingsError for another one than is pinned: that would void every passkey."""
    pinned = await store.setting("rp_id")
    if pinned is None:
        await store.put_setting("rp_id", configuration.party.id)
    elif pinned != configuration.party.id:
        raise SettingsError(
            f"The passkeys of this state folder are bound to the host {pinned}, but public_url is at"
            f" {configuration.party.id}.",
            "Restore public_url; or use a fresh state folder and invite everyone again.",
        )
