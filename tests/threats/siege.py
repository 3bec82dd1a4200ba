"""The besieged desk, served whole, and what its attackers can do: as an AI, at a page, in the database, with a key.

Everybody is enrolled once, in a folder that each test gets a copy of: passkeys are bound to an origin, so all desks of
a run are served one after another at the same address.
"""

from __future__ import annotations

import copy
import json
import secrets
import shutil
import socket
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.async_api import Browser, ViewportSize
from story_cast import Role
from story_set import AMELIE, ANNELIES, INES, JONAS, MARIA, PRIYA, eur

from counterfoil.canonical import canonical
from counterfoil.testing import Answer, Assistant
from counterfoil.tickets import Ticket
from counterfoil.tokens import ORDER_TYPE, OrderClaims, sign
from counterfoil_server.bearer import new_token, token_digest
from counterfoil_server.config import CapsSettings, Configuration, Settings
from counterfoil_server.notices.messages import Message
from counterfoil_server.testing import Page, PageClient, PageRefused, SoftwareAuthenticator, SoftwarePasskey
from held_keys import held
from server.verification.browser import DESKTOP
from server.verification.browser import Person as Window
from stories.running_desk import EXAMPLE, PATIENCE, MovableClock, RunningDesk, serving
from threats import besieged_desk

CAST = (MARIA, INES, ANNELIES, AMELIE, JONAS, PRIYA)
"""Whoever has a passkey from the beginning."""

ASKED = "waits for your decision"
REFUSED = "capability_refused"
CAPS = CapsSettings(per_principal=12)
"""Few enough to be reached."""


@dataclass(frozen=True)
class Prepared:
    """A folder with everybody enrolled, the socket that all desks listen at, and everybody's passkeys."""

    folder: Path
    listener: socket.socket
    passkeys: Mapping[str, list[SoftwarePasskey]]


def settings_of(
    folder: Path, port: int, *, scheme: str = "http", policy: str = "", alter: str = "", caps: CapsSettings = CAPS
) -> Configuration:
    """The besieged desk's settings. ``policy``: further rules; ``alter``: lines of Python that change the ``desk``."""
    module = f"besieged_{uuid4().hex}"
    built = (
        f"from pathlib import Path\n\nfrom threats.besieged_desk import build\n\ndesk = build(Path({str(folder)!r}))\n"
    )
    (folder / f"{module}.py").write_text(f"{built}{alter}\n")
    (folder / "policy.cedar").write_text((EXAMPLE / "policy.cedar").read_text() + besieged_desk.POLICY + policy)
    settings = Settings(
        desk=f"{module}:desk",
        policy="policy.cedar",
        public_url=f"{scheme}://localhost:{port}",
        port=port,
        caps=caps,
        trust_client_isolation=True,
    )
    return Configuration(settings, folder)


async def prepare(folder: Path, listener: socket.socket) -> Prepared:
    """Enrol the cast through the real pages."""
    import seed

    seed.create(folder / "shop.db")
    passkeys = {}
    settings = settings_of(folder, listener.getsockname()[1])
    with listener.dup() as listening:
        async with serving(settings, listening, MovableClock()) as desk:
            for role in CAST:
                async with PageClient(desk.base_url, SoftwareAuthenticator()) as browser:
                    await browser.enrol(await invitation(desk, role))
                    passkeys[role.name] = browser.authenticator.passkeys
            desk.pass_time(0)  # whoever was invited is told now, and not in the copies
            for role in CAST:
                await desk.message(role.email, "a passkey was added")
    return Prepared(folder, listener, passkeys)


async def invitation(desk: RunningDesk, role: Role) -> str:
    """The enrolment URL of somebody of the story."""
    return await desk.invite(role.name, role.email, accounts=role.accounts, roles=role.roles)


@asynccontextmanager
async def besieged(
    prepared: Prepared, folder: Path, *, clock: MovableClock | None = None, **changed: Any
) -> AsyncIterator[Siege]:
    """Serve the desk in ``folder``; it gets a copy of everything if it is empty. ``changed``: :func:`settings_of`'s."""
    if not (folder / "state").exists():
        shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
    settings = settings_of(folder, prepared.listener.getsockname()[1], **changed)
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(prepared.listener.dup())
        desk = await stack.enter_async_context(serving(settings, listening, clock or MovableClock()))
        async with AsyncExitStack() as browsers:
            yield Siege(desk, folder, prepared, browsers, await desk.assistant(name=f"ai-{secrets.token_hex(4)}"))


@dataclass
class Siege:
    """A served desk under attack. ``ai`` is a hostile client with a credential of its own."""

    desk: RunningDesk
    folder: Path
    prepared: Prepared
    stack: AsyncExitStack
    ai: Assistant
    browsers: dict[str, PageClient] = field(default_factory=dict)

    # People

    async def browser_of(self, role: Role) -> PageClient:
        """The browser of somebody of the cast, with their passkey; the same one each time."""
        if role.name not in self.browsers:
            held = copy.copy(self.prepared.passkeys.get(role.name, []))
            self.browsers[role.name] = await self.stranger(SoftwareAuthenticator(passkeys=held))
        return self.browsers[role.name]

    async def stranger(self, authenticator: SoftwareAuthenticator | None = None) -> PageClient:
        """Somebody else's browser, with no passkey or a given authenticator."""
        client = PageClient(self.desk.base_url, authenticator or SoftwareAuthenticator())
        return await self.stack.enter_async_context(client)

    async def at_chromium(self, browser: Browser, role: Role, viewport: ViewportSize = DESKTOP) -> Window:
        """A real browser of somebody of the cast, whose authenticator holds their passkey; at their next request."""
        window = await Window.sits_down(browser, viewport)
        self.stack.push_async_callback(window.context.close)
        for passkey in self.prepared.passkeys[role.name]:
            key = passkey.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            credential = {
                "credentialId": b64encode(passkey.id).decode(), "isResidentCredential": True, "rpId": passkey.party,
                "privateKey": b64encode(key).decode(), "userHandle": b64encode(passkey.user).decode(), "signCount": 0,
            }  # fmt: skip
            await window.cdp.send(
                "WebAuthn.addCredential", {"authenticatorId": window.authenticator, "credential": credential}
            )
        await window.reads(await self.link(role))
        return window

    async def link(self, role: Role, subject: str = ASKED) -> str:
        """The link of the next message of this kind."""
        found = (await self.desk.message(role.email, subject)).link
        assert found is not None
        return found

    async def posted(self, address: str) -> list[Message]:
        """Every message to this address, once all that may be sent now has been."""
        self.desk.pass_time(0)
        due = "SELECT 1 FROM notice WHERE state = 'queued' AND (next_try <= ? OR tries > 0)"
        with anyio.fail_after(PATIENCE):
            while self.rows(due, self.desk.parts.store.now()):  # noqa: ASYNC110 - the worker has no event for it
                await anyio.sleep(0.02)
        return [kept.message for kept in self.desk.mailbox.messages() if kept.to == address]

    async def opens(self, role: Role) -> Page:
        """Sign in by the next message, and read the request."""
        browser = await self.browser_of(role)
        await browser.sign_in(await self.link(role))
        return await browser.read()

    async def approves(self, role: Role, code: str | None = None) -> None:
        """Open the next message, read, sign."""
        await self.opens(role)
        await (await self.browser_of(role)).decide("approve", code)

    # Requests of the AI

    async def refund(
        self, amount: str = "39.00", order: str = "NL-26017", account: str = MARIA.email, **more: Any
    ) -> Answer:
        """Ask for a refund; up to 50 EUR a day need the holder only."""
        return await self.ai.call("request_refund", account=account, order_id=order, amount=eur(amount), **more)

    async def credit(
        self, amount: str = "5.00", reason: str = "A late parcel", account: str = MARIA.email, **more: Any
    ) -> Answer:
        """Ask for store credit, which the AI redeems itself; up to 25 EUR a day need the holder only."""
        return await self.ai.call("request_goodwill_credit", account=account, amount=eur(amount), reason=reason, **more)

    async def voucher(self, amount: str = "5.00", account: str = MARIA.email) -> Answer:
        """Ask for a voucher, which the AI redeems itself and which the post sends as often as it is told to."""
        return await self.ai.call("request_send_voucher", account=account, amount=eur(amount), text="Sorry")

    async def approved(self, asked: Answer, role: Role = MARIA) -> str:
        """Let the holder approve it honestly; answers the capability that the AI gets."""
        await self.approves(role, asked["match_code"])
        return await self.capability(asked)

    async def capability(self, asked: Answer) -> str:
        """What the status of a ticket that is approved hands out; empty where it does not."""
        return str((await self.ai.call("ticket_status", ticket=asked["ticket"])).values.get("capability", ""))

    async def as_requester_of(self, asked: Answer) -> None:
        """Speak as the agent that asked for this, after a restart: an administrator gives it a new token."""
        token, principal = new_token(), (await self.ticket(asked)).principal
        self.edit("UPDATE principal SET token_digest = ? WHERE id = ?", token_digest(token), principal)
        client = Assistant.connected(f"{self.desk.base_url}/mcp", token)
        self.ai = await self.desk.stack.enter_async_context(client)

    async def redeem(self, asked: Answer, capability: str) -> Answer:
        """Present a capability."""
        return await self.ai.call("redeem_ticket", ticket=asked["ticket"], capability=capability)

    async def state(self, asked: Answer) -> str:
        """Where a ticket stands, as an administrator sees it."""
        return str((await self.desk.ticket(asked["ticket"]))["state"])

    @property
    def vouchers(self) -> list[str]:
        """The tickets for which the post sent vouchers."""
        sent = self.folder / "vouchers.txt"
        return [line.split()[0] for line in sent.read_text().splitlines()] if sent.exists() else []

    @property
    def records_read(self) -> int:
        """How often the vouchers' records were read."""
        read = self.folder / "read.txt"
        return len(read.read_text().splitlines()) if read.exists() else 0

    # Whoever can write the database file, or holds a key

    @property
    def database(self) -> Path:
        """The ticket database."""
        return self.folder / "state" / "counterfoil.db"

    def edit(self, statement: str, *values: object) -> None:
        """Change the database past the server."""
        with closing(sqlite3.connect(self.database, timeout=60)) as database, database:
            database.execute(statement, values)

    def edit_envelope(self, asked: Answer, **changed: object) -> None:
        """Change what was frozen, past the trigger that keeps it."""
        self.edit("DROP TRIGGER IF EXISTS envelope_is_frozen")
        number = "(SELECT number FROM ticket WHERE id = ?)"
        ((body,),) = self.rows(f"SELECT body FROM envelope WHERE ticket = {number}", asked["ticket"])
        edited = canonical(json.loads(body) | changed)
        self.edit(f"UPDATE envelope SET body = ? WHERE ticket = {number}", edited, asked["ticket"])

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the database past the server."""
        with closing(sqlite3.connect(self.database, timeout=60)) as database:
            return database.execute(query, values).fetchall()

    def dump(self) -> str:
        """Everything in the database, as text; without how late it is, which is written with every commit."""
        with closing(sqlite3.connect(self.database, timeout=60)) as database:
            return "\n".join(line for line in database.iterdump() if not line.startswith('INSERT INTO "head"'))

    async def ticket(self, asked: Answer) -> Ticket:
        """The stored ticket."""
        found = await self.desk.parts.store.ticket(asked["ticket"])
        assert found is not None
        return found

    async def stolen_order(self, asked: Answer, **claims: object) -> None:
        """Sign an order with the authority's own key, hand it to the executor, and wait until it is done with it."""
        ticket, parts = await self.ticket(asked), self.desk.parts
        now = parts.store.now()
        genuine = OrderClaims(
            iss=parts.authority.issuer, aud=parts.authority.executor, jti=f"order-{ticket.id}", ticket=ticket.id,
            envelope=ticket.digest, redeemed_at=now, run_by=now + 300,
        )  # fmt: skip
        order = sign(held(parts.authority.keys.current), ORDER_TYPE, genuine.members() | claims)
        await parts.engine.submit(ticket, order)
        await parts.engine.settle()


async def refused(browser: PageClient, decision: str, code: str | None = None) -> PageRefused:
    """Decide on the page just read, and answer the refusal; fails where it is accepted."""
    try:
        await browser.decide(decision, code)
    except PageRefused as refusal:
        return refusal
    raise AssertionError(f"the page took '{decision}'")
