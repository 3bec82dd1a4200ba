"""One-time and short-lived secrets, known only by their digests. Unknown, spent and expired answer alike (T32)."""

from __future__ import annotations

import json

from counterfoil.store import Secret
from counterfoil_server.store.connections import Row
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

SELECT_SECRET = (
    "SELECT kind, digest, subject, data, expires_at FROM secret WHERE kind = ? AND digest = ? AND expires_at > ?"
)
TAKE_SECRET = (
    "DELETE FROM secret WHERE kind = ? AND digest = ? AND expires_at > ? "
    "RETURNING kind, digest, subject, data, expires_at"
)


def delete_expired_secrets(transaction: Transaction, limit: int) -> None:
    """Forget secrets past their time."""
    transaction.change(
        "DELETE FROM secret WHERE (kind, digest) IN (SELECT kind, digest FROM secret WHERE expires_at <= ? LIMIT ?)",
        (transaction.now, limit),
    )


def _to_secret(row: Row | None) -> Secret | None:
    return None if row is None else Secret(row[0], row[1], row[2], json.loads(row[3]), row[4])


class SecretVerbs(Verbs):
    """Secrets of the verification layer."""

    async def put_secret(self, secret: Secret) -> None:
        """Remember it by its digest; the same one again gets the new data and time."""
        await self._write(
            lambda transaction: transaction.change(
                "INSERT INTO secret (kind, digest, subject, data, expires_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (kind, digest) DO UPDATE SET subject = excluded.subject, data = excluded.data, "
                "expires_at = excluded.expires_at",
                (secret.kind, secret.digest, secret.subject, json.dumps(secret.data), secret.expires_at),
            )
        )

    async def secret(self, kind: str, digest: str) -> Secret | None:
        """The live secret, or None for unknown, spent and expired alike."""
        rows = self._readers.lookup(SELECT_SECRET, (kind, digest, self.now()))
        return _to_secret(rows[0] if rows else None)

    async def take_secret(self, kind: str, digest: str) -> Secret | None:
        """Spend it: exactly one caller gets it."""
        return _to_secret(
            await self._write(lambda transaction: transaction.row(TAKE_SECRET, (kind, digest, transaction.now)))
        )
