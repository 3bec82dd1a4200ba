"""What an executor outside has heard after so many pages: read by the core, kept as the payments service keeps it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from counterfoil.bundle import Trust
from counterfoil.canonical import b64
from counterfoil.feed import Position, Reading, read_page
from counterfoil.presented import FEED_LIFE
from payments_service.database import Database
from payments_service.heard import SCHEMA, FeedMemory
from vectors.vector import JSONObject


def follow(pages: list[str], trust: Trust, now: int) -> JSONObject:
    """The facts of a vector of the feed; raises :class:`FeedRefused`."""
    readings: list[Reading] = []
    position, at = Position(), -(1 << 53)
    for page in pages:
        reading = read_page(page.encode(), position=position, trust=trust, not_before=at, not_after=now + FEED_LIFE)
        position, at = reading.position, reading.at
        readings.append(reading)
    return _kept(readings, trust.issuer) | {"size": position.size, "root": b64(position.root)}


def _kept(readings: list[Reading], issuer: str) -> JSONObject:
    with TemporaryDirectory() as folder:
        database = Database(Path(folder) / "ledger.db", SCHEMA)
        try:
            memory = FeedMemory(database, issuer)
            for reading in readings:
                memory.keep(reading)
            rows = database.rows("SELECT ticket, envelope, at FROM redeemed")
            return {
                "heard_at": memory.heard_at(),
                "stopped": sorted(name for (name,) in database.rows("SELECT ticket FROM stopped")),
                "redeemed": {ticket: [envelope, at] for ticket, envelope, at in rows},
                "barred": sorted(name for (name,) in database.rows("SELECT name FROM scope WHERE barred")),
                "roster_records": memory.roster_records(),
                "roster_head": memory.roster_head(),
                "enrolled": dict(database.rows("SELECT invitation, enrolment FROM enrolled")),
            }
        finally:
            database.close()
