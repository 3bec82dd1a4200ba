"""Links: locators that say which request a message was about, and nothing else.

A link never signs anyone in, holds no personal data (T02), and opening it changes nothing (T06). Its secret is made
when a message is delivered, is known here by its digest only, and lives ten minutes; afterwards its page can send one
new message to the same address while the request still waits, or its outcome is still unknown (T11). A message that
tells of something to object to also carries a code, which must be typed: a machine that opens links and presses
buttons stops nothing (T07).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from counterfoil import recipients
from counterfoil.canonical import b64
from counterfoil.errors import LinkRefused, UnknownTicket
from counterfoil.store import Notice, NoticeDraft, Secret, Store
from counterfoil.tickets import STOPPABLE, State, Ticket
from counterfoil_server.verification.secrets_kept import (
    LINK,
    RELINK,
    TRY,
    keyed,
    new_secret,
    read_secret,
    secret_digest,
)

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letters that look like digits."""

CODE_LENGTH = 8
CODE_TRIES = 5

_READ_ALIKE = str.maketrans("OIL", "011", " -\u2010\u2011\u2013")

PATHS = {recipients.APPROVE: "/l/", recipients.OBJECT: "/o/", recipients.SETTLE: "/u/"}
"""Where each kind of link leads; other kinds of message have none."""

ASKED_AGAIN_WITHIN = 30 * 86400
"""Seconds for which a link about an unknown outcome can bring a new one: nothing else ends such a ticket's wait."""


@dataclass(frozen=True)
class DeliveredLink:
    """What one message carries: a link, or none for its kind; and the code that its page asks for."""

    url: str | None
    code: str | None


@dataclass(frozen=True)
class Link:
    """A link that was opened. ``live``: its ten minutes are not over."""

    secret: bytes
    ticket: str
    kind: str
    recipient: str
    live: bool
    code: str | None

    @property
    def digest(self) -> str:
        """What the store knows it by."""
        return secret_digest(LINK, self.secret)


class Links:
    """Makes links and finds them again."""

    def __init__(self, store: Store, public_url: str, life: int) -> None:
        self._store = store
        self._public_url = public_url
        self._life = life

    async def make(self, notice: Notice) -> DeliveredLink:
        """The link for a message that is being delivered now; raises UnknownTicket where the ticket is gone."""
        path = PATHS.get(notice.kind)
        if path is None or notice.ticket is None:
            return DeliveredLink(None, None)
        ticket = await self._store.ticket(notice.ticket)
        if ticket is None:
            raise UnknownTicket()
        secret = new_secret()
        code = new_code() if notice.kind == recipients.OBJECT else None
        data = {
            "kind": notice.kind,
            "address": notice.address,
            "seat": notice.seat,
            "recipient": notice.recipient,
            "code": keyed(secret, "stop-code", code) if code else None,
        }
        now = self._store.now()
        known = secret_digest(LINK, secret)
        ends = max(ticket.expires_at, ticket.hold_until or 0)
        if notice.kind == recipients.SETTLE:
            ends = now + ASKED_AGAIN_WITHIN
        await self._store.put_secret(Secret(LINK, known, ticket.id, data, now + self._life))
        await self._store.put_secret(Secret(RELINK, known, ticket.id, data, max(ends, now + self._life)))
        for number in range(CODE_TRIES if code else 0):
            await self._store.put_secret(Secret(TRY, _try_digest(secret, number), known, {}, now + self._life))
        return DeliveredLink(f"{self._public_url}{path}{b64(secret)}", code)

    async def open(self, text: str, kind: str) -> Link:
        """The link of this kind; raises :class:`LinkRefused` for unknown and used-up ones alike."""
        secret = read_secret(text) or bytes(32)
        known = secret_digest(LINK, secret)
        live, again = await self._store.secret(LINK, known), await self._store.secret(RELINK, known)
        found = live or again
        if found is None or found.data.get("kind") != kind:
            raise LinkRefused()
        code = found.data.get("code")
        return Link(
            secret, found.subject, kind, str(found.data.get("recipient")), live is not None, str(code) if code else None
        )

    async def live(self, text: str, kind: str) -> Link:
        """Like :meth:`open`, but only within its ten minutes."""
        link = await self.open(text, kind)
        if not link.live:
            raise LinkRefused()
        return link

    async def send_again(self, text: str, kind: str) -> None:
        """Queue one new message to the same address, if there still is what it was about; says nothing of either."""
        link = await self.open(text, kind)
        spent = await self._store.take_secret(RELINK, link.digest)
        ticket = await self._store.ticket(link.ticket)
        if spent is None or ticket is None or not still_asked(kind, ticket):
            return
        seat = spent.data.get("seat")
        draft = NoticeDraft(kind, link.recipient, str(spent.data["address"]), str(seat) if seat else None)
        await self._store.add_notices(link.ticket, [draft])

    async def code_is_right(self, link: Link, typed: str) -> bool:
        """Spend one of the link's tries and compare; False once all are spent."""
        for number in range(CODE_TRIES):
            if await self._store.take_secret(TRY, _try_digest(link.secret, number)) is not None:
                sent = keyed(link.secret, "stop-code", normal_code(typed))
                return link.code is not None and hmac.compare_digest(sent, link.code)
        return False

    async def tries_left(self, link: Link) -> int:
        """How many codes can still be typed for this link."""
        tries = [await self._store.secret(TRY, _try_digest(link.secret, number)) for number in range(CODE_TRIES)]
        return sum(found is not None for found in tries)


def still_asked(kind: str, ticket: Ticket) -> bool:
    """Whether a link of this kind still leads to something to do."""
    return ticket.state is State.UNKNOWN if kind == recipients.SETTLE else ticket.state in STOPPABLE


def new_code() -> str:
    """Eight characters, 40 random bits."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def normal_code(typed: str) -> str:
    """What was typed, without spaces and hyphens, and with letters read as the digits they look like."""
    return typed.upper().translate(_READ_ALIKE)


def _try_digest(secret: bytes, number: int) -> str:
    return secret_digest(TRY, secret + bytes([number]))
