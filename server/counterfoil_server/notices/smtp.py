"""Delivery over SMTP.

Rules: what a server says is never passed on, only its code: replies may repeat addresses and addresses of pages. A
password never travels in clear text to another machine. What goes wrong says whether trying again can help.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from typing import Literal

import aiosmtplib

from counterfoil.errors import SettingsError
from counterfoil_server.notices.messages import Message
from counterfoil_server.notices.transports import NotDelivered, single_address

Encryption = Literal["none", "starttls", "tls"]
SETTINGS_CODES = frozenset({530, 534, 535, 538})
"""Replies that a setting causes and no recipient (RFC 4954, section 6): corrected by an operator, then tried again."""


class SMTPTransport:
    """Delivers over SMTP (RFC 5321), one connection for each message.

    ``sender`` is an address, with or without a name. ``tls``: ``starttls`` (RFC 3207, usually port 587), ``tls`` (from
    the first byte, RFC 8314, usually port 465) or ``none``. ``certificates`` is a file of authorities to trust instead
    of the system's. ``timeout`` holds for each step, in seconds. Raises SettingsError.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        username: str | None = None,
        password: str | None = None,
        tls: Encryption = "starttls",
        timeout: float = 20.0,
        *,
        certificates: Path | None = None,
    ) -> None:
        if tls not in ("none", "starttls", "tls"):
            raise SettingsError("The mail setting tls is unknown.", "Set it to 'starttls', 'tls' or 'none'.")
        if (username is None) != (password is None):
            raise SettingsError("The mail settings hold only half of a login.", "Set both username and password.")
        if tls == "none" and password is not None and not _is_loopback(host):
            raise SettingsError(
                "The mail settings would send the password without encryption.", "Set tls to 'starttls' or 'tls'."
            )
        if not host or not 0 < port < 65536:
            raise SettingsError("The mail settings name no server.", "Set host and port (587 for 'starttls').")
        self._host, self._port, self._tls = host, port, tls
        self._username, self._password, self._timeout = username, password, timeout
        self._context = None if tls == "none" else _trust(certificates)
        self._sender, self._address, self._domain = _sender(sender)

    async def send(self, message: Message, to: str) -> None:
        """Deliver; raises :class:`NotDelivered`, permanent where the server refused the message for good."""
        mail = self.mail(message, single_address(to))
        try:
            await aiosmtplib.send(
                mail,
                sender=self._address,
                recipients=[to],
                hostname=self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                # The real host name is nobody's business, and finding it may block.
                local_hostname=self._domain,
                timeout=self._timeout,
                use_tls=self._tls == "tls",
                start_tls=self._tls == "starttls",
                tls_context=self._context,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._judged(error) from error

    def mail(self, message: Message, to: str) -> EmailMessage:
        """The message with its headers: plain text with an HTML alternative, marked as sent automatically."""
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = Address(addr_spec=to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = make_msgid(domain=self._domain)
        # RFC 3834: keeps out-of-office replies away.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail

    def _judged(self, error: Exception) -> NotDelivered:
        match error:
            case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
                return _refused("the recipient's address", first.code)
            case aiosmtplib.SMTPSenderRefused(code=code):
                return _refused("the sender's address", code)
            case aiosmtplib.SMTPAuthenticationError(code=code):
                return NotDelivered(f"The mail server refused the login ({code}).", "Check username and password.")
            case aiosmtplib.SMTPDataError(code=code):
                return _refused("the message", code)
            case aiosmtplib.SMTPResponseException(code=code):
                return NotDelivered(f"The mail server is not ready ({code}).")
        if (cause := _tls_cause(error)) is not None:
            return cause
        if isinstance(error, TimeoutError):
            return NotDelivered(f"The mail server did not answer within {self._timeout:g} seconds.")
        if isinstance(error, OSError):
            return NotDelivered("The mail server cannot be reached.", "Check host and port, and that it runs.")
        if self._tls == "starttls" and "STARTTLS" in str(error):
            return NotDelivered("The mail server does not offer STARTTLS.", "Set tls to 'tls', or use another port.")
        if "auth" in str(error).lower():
            return NotDelivered("The mail server offers no login that can be used.", "Check username, tls and port.")
        if isinstance(error, aiosmtplib.SMTPNotSupported):
            return NotDelivered("The mail server cannot take this address.", "Use another address.", permanent=True)
        return NotDelivered("The conversation with the mail server failed.")


def _refused(what: str, code: int) -> NotDelivered:
    if code in SETTINGS_CODES:
        return NotDelivered(f"The mail server wants a login or encryption ({code}).", "Check username and tls.")
    if 500 <= code < 600:
        return NotDelivered(f"The mail server refused {what} for good ({code}).", "Correct it.", permanent=True)
    return NotDelivered(f"The mail server put {what} off ({code}).")


def _tls_cause(error: BaseException) -> NotDelivered | None:
    """What went wrong with TLS, from the error or those behind it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotDelivered(
                "The mail server's certificate is not trusted.", "Check host, or name its authority's certificate."
            )
        if isinstance(cause, ssl.SSLError):
            return NotDelivered(
                "The mail server does not speak TLS on this port.", "Set tls to 'starttls' for port 587 or 25."
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _trust(certificates: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:
        raise SettingsError(
            "The file of certificates for the mail server cannot be read.", "Name a file in PEM form."
        ) from error


def _sender(text: str) -> tuple[Address, str, str]:
    name, address = parseaddr(text)
    try:
        if not text.isprintable():
            raise ValueError
        parsed = Address(name, addr_spec=single_address(address))
    except (NotDelivered, ValueError):
        raise SettingsError(
            "The mail setting sender is no address.", "Write it like 'Acme support <notices@acme.example>'."
        ) from None
    return parsed, address, parsed.domain


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
