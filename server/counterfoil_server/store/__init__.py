"""The embedded store."""

from counterfoil_server.store.folder import Occupant, StateFolder
from counterfoil_server.store.sqlite import SQLiteStore

__all__ = ["Occupant", "SQLiteStore", "StateFolder"]
