"""A whole desk in the process of a test: every real part, a clock that stands still, and a mailbox in place of e-mail.

It is what ``counterfoil serve`` runs, over a loopback socket: a browser and any MCP client can call it as well. Rules:
nothing is replaced but the time and the way that messages leave by; and each step of a person or an AI, and each
question, lets the desk's workers first do all that is due at that moment, so that tests neither wait nor sleep.
"""

from __future__ import annotations

import asyncio
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from counterfoil.desk import Desk
from counterfoil.values import Account
from counterfoil_server.app import Parts, application, open_parts
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Enrolment, Invited
from counterfoil_server.execution.dispatcher import LOOK_EVERY, SETTLE_EVERY
from counterfoil_server.listening import listening_socket, serving
from counterfoil_server.testing.assistant import Asked, Assistant
from counterfoil_server.testing.authenticator import SoftwareAuthenticator
from counterfoil_server.testing.browser import PageClient
from counterfoil_server.testing.clock import Clock
from counterfoil_server.testing.mailbox import Mailbox
from counterfoil_server.testing.person import Person
from counterfoil_server.testing.serving import in_a_task_of_its_own
from counterfoil_server.testing.settings import configured, listening_at
from counterfoil_server.testing.ticket import Ticket
from counterfoil_server.verification.secrets_kept import LINK, RELINK, read_secret, secret_digest

PATIENCE = 40.0
"""Real seconds for what is due; longer than a connector may take unless its operation says otherwise."""

ASSISTANT = "assistant"
"""The principal of :attr:`OpenDesk.ai`."""

LOOKS = SETTLE_EVERY
"""Looks of the dispatcher after which everything that it puts off has had its turn."""


class OpenDesk:
    """A desk that is being served to a test; made by :func:`open_desk`."""

    ai: Assistant
    """An AI with a credential of its own, named ``assistant``."""

    def __init__(self, parts: Parts, clock: Clock, mailbox: Mailbox, stack: AsyncExitStack) -> None:
        self.parts = parts
        self.clock = clock
        self.mailbox = mailbox
        self._stack = stack

    @property
    def url(self) -> str:
        """Where pages are; MCP is at ``/mcp`` below."""
        return self.parts.configuration.settings.public_url

    # People and agents

    async def enrol(
        self, name: str, *, account: str | Iterable[str] = (), role: str | Iterable[str] = (), email: str | None = None,
        authenticator: SoftwareAuthenticator | None = None,
    ) -> Person:  # fmt: skip
        """A person with a passkey, who was invited and enrolled on the real pages.

        ``account``: what they hold, one or several; ``role``: likewise. Their address is ``email``, or the one that
        the desk's directory has for the account, or one made of the name.
        """
        accounts, address = _several(account), email
        if address is None and accounts:
            contact = await self.parts.authority.judge.desk.directory.person(Account(accounts[0]))
            address = contact.email if contact else None
        person = await self.without_passkey(name, address or made_address(name), authenticator)
        invited = await self.invite(name, account=accounts, role=role, email=person.address)
        await person.browser.enrol(invited.url)
        person.id = invited.person
        return person

    async def invite(
        self, name: str, *, account: str | Iterable[str] = (), role: str | Iterable[str] = (), email: str | None = None
    ) -> Enrolment:
        """Invite a person, who enrols at the ``url`` of the answer: for a real browser, or one that misbehaves."""
        invited = Invited(name, _several(account), _several(role), (email or made_address(name),))
        return await invitations.invite(self.parts.administration.call, self.parts.configuration, invited)

    async def without_passkey(
        self, name: str, email: str, authenticator: SoftwareAuthenticator | None = None
    ) -> Person:
        """Somebody who only has a browser and gets the messages to an address: they can stop things, never approve."""
        browser = PageClient(self.url, authenticator or SoftwareAuthenticator())
        await self._stack.enter_async_context(browser)
        return Person(name, email, browser, self.mailbox, self.ticket_behind)

    async def disable(self, person: Person) -> None:
        """End a person, for good."""
        call = self.parts.administration.call
        await invitations.disable(call, self.parts.configuration, person.id or person.name)

    async def assistant(self, name: str, *, mode: str = "auto", owner: Person | None = None) -> Assistant:
        """Another AI with a credential of its own. ``mode``: ``legacy`` for the handshake of older MCP versions."""
        added = await self.administer("principals_add", name=name, owner=owner.id if owner else None)
        client = Assistant.connected(f"{self.url}/mcp", added["token"], mode, self.caught_up)
        return await self._stack.enter_async_context(in_a_task_of_its_own(client))

    # Tickets

    async def settled(self, asked: Asked | str) -> Ticket:
        """Where the ticket stands once everything is done that is due at this moment."""
        await self.caught_up()
        return await self.ticket(asked)

    async def ticket(self, asked: Asked | str) -> Ticket:
        """Where the ticket stands right now, waiting for nothing."""
        return Ticket.of(await self.administer("tickets_show", ticket=_name(asked)))

    async def tickets(self, state: str | None = None, *, account: str | None = None) -> list[Ticket]:
        """The newest fifty tickets, of a state or an account where they are named; waits like :meth:`settled`."""
        await self.caught_up()
        found = await self.administer("tickets_list", state=state, account=account)
        return [await self.ticket(line["ticket"]) for line in found]

    # Stopping, and everything else that administrators do; at once, waiting for nothing

    async def revoke(self, what: Asked | Person | str, reason: str = "revoked by a test") -> dict[str, Any]:
        """End what is open in a scope such as ``account:C-1``, of a ticket or a person; answers how many were revoked,
        executing and done."""
        answer: dict[str, Any] = await self.administer("revoke", scope=scope_of(what), reason=reason)
        return answer

    async def suspend(self, what: Asked | Person | str, reason: str = "suspended by a test") -> None:
        """Bar a scope until it is resumed."""
        await self.administer("suspend", scope=scope_of(what), reason=reason)

    async def resume(self, what: Asked | Person | str) -> None:
        """Lift a suspension. What could not run meanwhile is tried again within a minute: :meth:`advance` the clock."""
        await self.administer("resume", scope=scope_of(what))

    async def administer(self, verb: str, **arguments: Any) -> Any:
        """Any verb of the administration, as the command line calls it."""
        return await self.parts.administration.call(verb, arguments)

    # Time

    async def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass. What was due before is done before; what becomes due is done before the next step."""
        await self.caught_up()
        passed = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        self.clock.move(passed)
        for _ in range(min(LOOKS, int(passed / LOOK_EVERY))):
            await self.parts.dispatcher.look()
        await self.caught_up()

    async def caught_up(self) -> None:
        """Wait until everything is done that is due: nothing to carry out, to expire or to send.

        Raises TimeoutError, with what is still under way, where a connector takes longer than anyone has patience.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while await self._something_was_done():
                    pass
        except TimeoutError:
            running = await self.administer("tickets_list", state="executing")
            names = ", ".join(line["ticket"] for line in running) or "none"
            raise TimeoutError(f"The desk is still busy after {PATIENCE:g} seconds. Executing: {names}.") from None

    async def _something_was_done(self) -> bool:
        parts, before = self.parts, self.parts.store.commits
        await parts.dispatcher.look()
        # Shielded: a test that runs out of patience must not end a connector half-way.
        await asyncio.shield(parts.engine.settle())
        if parts.delivery is not None:
            while await parts.delivery.deliver_due():
                pass
        while await self._messages_leave():  # noqa: ASYNC110 - the desk's own worker offers no event
            await asyncio.sleep(0.005)
        return parts.store.commits != before

    async def _messages_leave(self) -> bool:
        """Whether a message is leased, and so being sent at this moment."""
        now = self.parts.store.now()
        queued = [notice for notice in await self.parts.store.notices(limit=1000) if notice.state == "queued"]
        return any(notice.next_try > now and notice.tries > 0 and notice.error is None for notice in queued)

    async def ticket_behind(self, link: str) -> str | None:
        """The ticket that a message's link is about; None for a link that never was."""
        known = secret_digest(LINK, read_secret(link.rpartition("/")[2]) or b"")
        for kind in (LINK, RELINK):
            if (found := await self.parts.store.secret(kind, known)) is not None:
                return found.subject
        return None


@asynccontextmanager
async def open_desk(
    desk: Desk | str | os.PathLike[str], folder: Path, *, policy: str | Path | None = None,
    settings: Mapping[str, object] | None = None, clock: Clock | None = None,
) -> AsyncIterator[OpenDesk]:  # fmt: skip
    """Serve a desk until left.

    ``desk`` is a :class:`Desk`, or the path of its ``counterfoil.toml``. ``folder`` is an empty one for its state, such
    as pytest's ``tmp_path``. ``policy`` is a policy's text, or the ``Path`` of its file; settings name one already.
    ``settings`` changes others, as in ``{"trust_client_isolation": True}``. ``clock`` may be shared with the systems
    that the desk calls. Raises what ``counterfoil serve`` refuses.
    """
    configuration = configured(desk, folder, policy, settings or {})
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening_socket(configuration))
        configuration = listening_at(configuration, listener.getsockname()[1])
        # The mailbox is needed to wire the parts, and waits for what they have to send.
        opened: list[OpenDesk] = []
        mailbox = Mailbox(clock, lambda: opened[0].caught_up())
        parts = await stack.enter_async_context(open_parts(configuration, transport=mailbox, clock=clock))
        await stack.enter_async_context(serving(application(parts), listener))
        clients = await stack.enter_async_context(AsyncExitStack())
        opened.append(OpenDesk(parts, clock, mailbox, clients))
        opened[0].ai = await opened[0].assistant(ASSISTANT)
        yield opened[0]


def made_address(name: str) -> str:
    """An address for somebody who has none: ``ada.byron@people.example``."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '.', letters).strip('.') or 'somebody'}@people.example"


def scope_of(what: Asked | Person | str) -> str:
    """The scope of a ticket, of a person, or the one that is written out."""
    if isinstance(what, Asked):
        return f"ticket:{what.ticket}"
    return f"person:{what.id}" if isinstance(what, Person) else what


def _name(asked: Asked | str) -> str:
    return asked.ticket if isinstance(asked, Asked) else asked


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
