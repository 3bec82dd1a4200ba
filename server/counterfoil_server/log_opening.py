"""The log of a state folder that no process serves, opened to be looked at and for nothing else.

What was sealed may not fit the log any more: then nothing starts, and this alone still opens, because somebody has to
find out which leaf was edited.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from counterfoil.errors import TamperDetected
from counterfoil.judgement import Judge
from counterfoil.roster import RosterTrust
from counterfoil_server import authority_keys
from counterfoil_server.config import Configuration
from counterfoil_server.log_audit import LogAudit
from counterfoil_server.opening import DATABASE, LEDGER, open_ledger, open_sealer, started_by
from counterfoil_server.store import SQLiteStore, StateFolder
from counterfoil_server.store.sealer import Sealer


@asynccontextmanager
async def open_log(configuration: Configuration) -> AsyncIterator[LogAudit]:
    """Own the folder while somebody looks at its log; raises StateFolderInUse, every refusal of settings, desk, policy
    and keys, and of the store those of its very end."""
    desk, policy = configuration.desk, configuration.load_policy()
    with StateFolder.open(configuration.state):
        keys = authority_keys.load(configuration, fresh=False)
        ledger = open_ledger(configuration.state / LEDGER, fresh=False)
        try:
            async with SQLiteStore.open(configuration.state / DATABASE, log_key=keys.secrets.log) as store:
                trust = RosterTrust(keys.roster_keys, ledger.roster_version(), configuration.party)
                judge = Judge(desk=desk, policy=policy, store=store, trust=trust, log_key=keys.secrets.log)
                sealer: Sealer | TamperDetected
                try:
                    sealer = await open_sealer(store, keys, configuration)
                except TamperDetected as error:
                    sealer = error
                yield LogAudit(
                    store, judge, key=keys.secrets.log, sealer=sealer, effect_started=started_by(ledger, configuration)
                )
        finally:
            ledger.close()
