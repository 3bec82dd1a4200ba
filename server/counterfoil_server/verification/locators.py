"""Locators: addresses that an AI client may show, worth nothing by themselves (T52).

A locator is a ticket's id, sealed under a key of its own that is not in the database. Whoever holds the id can ask
for its locator, nobody else can make one, and none leads to a link's secret. Nothing is stored for it, so a copy of the
database tells of none and no row can point one elsewhere. Sealing is deterministic (AES-SIV, RFC 5297): one ticket has
one locator, for known and unknown accounts alike (T54).

A locator says nothing of who may use it: whoever signs in needs a seat in the ticket. It leads nowhere once
the ticket has ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from counterfoil.canonical import b64, digest, unb64
from counterfoil.errors import BadJSON, LinkRefused

PATH = "/t/"

_DOMAIN = [b"counterfoil-locator"]


@dataclass(frozen=True)
class Locator:
    """A genuine locator. It is nobody's in particular."""

    digest: str
    ticket: str
    recipient: None = None


class Locators:
    """Makes locators and reads them again. ``key``: 32 bytes."""

    def __init__(self, key: bytes, public_url: str) -> None:
        self._cipher = AESSIV(key)
        self._public_url = public_url

    def url(self, ticket: str) -> str:
        """The address of a ticket's page."""
        return f"{self._public_url}{PATH}{b64(self._cipher.encrypt(ticket.encode(), _DOMAIN))}"

    async def live(self, text: str) -> Locator:
        """The locator; raises :class:`LinkRefused` for what was not made here, without a look at any ticket."""
        try:
            ticket = self._cipher.decrypt(unb64(text), _DOMAIN).decode()
        except (BadJSON, InvalidTag, ValueError):
            raise LinkRefused() from None
        return Locator(digest("counterfoil-locator", text.encode()), ticket)
