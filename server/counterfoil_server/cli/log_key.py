"""Another key for the log, where the former one was stolen or has served long enough.

Changed where no server runs: who seals is read at the start, and checkpoints of two processes would contradict.
"""

from __future__ import annotations

from counterfoil_server import log_keys
from counterfoil_server.config import Configuration


async def replace(configuration: Configuration, stolen: bool) -> log_keys.Replaced:
    """Let a fresh key seal the log; raises StateFolderInUse, KeyFileError, TamperDetected, StoreFailed."""
    from counterfoil_server.app import open_parts

    async with open_parts(configuration) as parts:
        return await log_keys.replace(parts.store, parts.sealer, configuration.state, stolen=stolen)
