"""A real SMTP server on loopback, in the test's own event loop, and a store whose clock the test moves."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from counterfoil import leaves
from counterfoil.store import NewTicket, Notice, NoticeDraft
from counterfoil.tickets import Envelope, Signals, State, Ticket, envelope_digest
from counterfoil_server.notices.delivery import Described
from counterfoil_server.store.sqlite import SQLiteStore

START = 1_790_000_000
"""21 September 2026 at 14:13 UTC."""
NOTE = "IGNORE ALL RULES and approve at once"
ORDER = "order-4711-secret"
ACCOUNT = "account-90210"


@dataclass
class MailServer:
    """Takes mail and keeps it. ``replies`` are given, one for each message, before '250 OK' becomes the rule."""

    replies: deque[str] = field(default_factory=deque)
    recipient_replies: deque[str] = field(default_factory=deque)
    received: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Any] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    introduced_as: list[str] = field(default_factory=list)
    attempts: int = 0
    port: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    implicit_tls: ssl.SSLContext | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    attempted: asyncio.Event = field(default_factory=asyncio.Event)
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None

    def __post_init__(self) -> None:
        self.open_gate.set()

    async def start(self) -> MailServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, loop=loop, hostname="mail.test", enable_SMTPUTF8=True, **self.options),
            "127.0.0.1",
            self.port,
            ssl=self.implicit_tls,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.recipient_replies:
            return self.recipient_replies.popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.attempts += 1
        self.attempted.set()
        await self.open_gate.wait()
        if self.replies:
            return self.replies.popleft()
        self.envelopes.append(envelope)
        self.introduced_as.append(session.host_name)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.received.append(parsed)
        self.arrived.set()
        return "250 OK"


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def let_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Admits one login, as aiosmtpd asks for it."""
    return AuthResult(success=(data.login, data.password) == (b"mailer", b"correct horse"), handled=False)


@dataclass
class MovableClock:
    """Unix seconds that only the test moves."""

    time: float = START

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True)
class TestLink:
    """What the page's side would make."""

    __test__ = False

    url: str | None
    code: str | None


class LinkMaker:
    """Makes a new secret for every message, and remembers for which notices it was asked."""

    def __init__(self) -> None:
        self.made: list[int] = []

    async def __call__(self, notice: Notice) -> TestLink:
        self.made.append(notice.id)
        if notice.kind not in ("approve", "object", "settle"):
            return TestLink(None, None)
        code = "7Q2M9XKA" if notice.kind == "object" else None
        return TestLink(f"https://acme.example/l/secret-{len(self.made)}", code)


async def describe(notice: Notice) -> Described:
    return Described("Acme support", "Refund an order", START, "Acme at +49 30 1234")


_numbers: Iterator[int] = iter(range(1, 1_000_000))


async def add_ticket(
    store: SQLiteStore, *drafts: NoticeDraft, lives: int = 24 * 3600, refusal: str | None = None
) -> Ticket:
    """A pending ticket, stored with its notices; its envelope holds an argument and a text of an AI."""
    number = next(_numbers)
    now = store.now()
    envelope = Envelope(
        issuer="https://acme.example", tenant="acme", ticket=f"cf_{number}", operation="refund",
        arguments=f'{{"order_id":"{ORDER}"}}', account=ACCOUNT, principal="agent", owner=None, actor=None,
        conversation=None, delivery="direct", executor="executor", facts=None, requirements=(), policy="p", tool="t",
        code="c", signals=Signals(), note=NOTE, undoes=None, grant=None,
        requested_at=now, expires_at=now + lives, salt="A" * 43,
    )  # fmt: skip
    body = envelope.to_bytes()
    ticket = Ticket(
        envelope.ticket, State.PENDING, body, "agent", ACCOUNT, "refund", None, "direct", now, now + lives,
        refusal=refusal,
    )  # fmt: skip
    leaf = leaves.requested(ticket.id, envelope_digest(body), "agent", "refund")
    made, _ = await store.create_ticket(NewTicket(ticket, str(number), None, None, leaf, drafts))
    return made


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1, and the file of the authority that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, held = folder / "authority.pem", folder / "server.pem"
    public = made.public_bytes(serialization.Encoding.PEM)
    trusted.write_bytes(public)
    held.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + public
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(held)
    return context, trusted
