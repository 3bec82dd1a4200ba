"""Who plays in the story, besides the assistant, which speaks MCP over HTTP: people use the real pages with authenticators
in software, and the shop's books are read from its own database, past Counterfoil.
"""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from business import amount_text

from counterfoil.testing import PageClient, SoftwareAuthenticator

if TYPE_CHECKING:
    from counterfoil_server.cli.demo import Stage

PATIENCE = 10.0
"""Seconds for which a message is awaited that usually takes some milliseconds."""

EFFECTS = {
    "refunds": "SELECT idempotency_key, order_number, cents FROM refunds ORDER BY 1",
    "payments": "SELECT order_number, refunded, version FROM payments ORDER BY 1",
    "credit_entries": "SELECT idempotency_key, customer, cents FROM credit_entries ORDER BY 1",
    "credit_balances": "SELECT customer, cents, version FROM credit_balances ORDER BY 1",
    "sign_in_changes": 'SELECT idempotency_key, customer, "after" FROM sign_in_changes ORDER BY 1',
    "customers": "SELECT number, email, sign_in_email, version FROM customers ORDER BY 1",
}


@dataclass(frozen=True)
class Entries:
    """How much is in the shop's books, and a digest of all of it."""

    refunds: tuple[tuple[str, str, int], ...]
    credits: tuple[tuple[str, str, int], ...]
    sign_ins: tuple[tuple[str, str, str], ...]
    digest: str


class Books:
    """The shop's own database, read past Counterfoil. What counts is what was added since :meth:`mark`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._marked = self.read()

    def read(self) -> Entries:
        """Everything that an operation could change."""
        with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True)) as connection:
            rows = {name: tuple(connection.execute(query).fetchall()) for name, query in EFFECTS.items()}
        digest = sha256(repr(rows).encode()).hexdigest()
        return Entries(rows["refunds"], rows["credit_entries"], rows["sign_in_changes"], digest)

    def mark(self) -> None:
        """From here on."""
        self._marked = self.read()

    @property
    def unchanged(self) -> bool:
        """Whether not a byte of what operations could change is different."""
        return self.read().digest == self._marked.digest

    @property
    def entries_added(self) -> int:
        """How many entries of any kind were added."""
        now, then = self.read(), self._marked
        pairs = ((now.refunds, then.refunds), (now.credits, then.credits), (now.sign_ins, then.sign_ins))
        return sum(len(after) - len(before) for after, before in pairs)

    def refunded(self, order: str) -> int:
        """How many cents of an order were ever given back."""
        return sum(cents for _, number, cents in self.read().refunds if number == order)

    def added(self, ticket: str) -> int:
        """How often the effect of this ticket is in the books, which hold its id as idempotency key."""
        now = self.read()
        return [row[0] for row in (*now.refunds, *now.credits, *now.sign_ins)].count(ticket)

    def in_words(self) -> str:
        """What was added."""
        now, then = self.read(), self._marked
        refunds = [row for row in now.refunds if row not in then.refunds]
        credits = [row for row in now.credits if row not in then.credits]
        sign_ins = [row for row in now.sign_ins if row not in then.sign_ins]
        parts = [f"{amount_text(cents, 'EUR')} refunded" for _, _, cents in refunds]
        parts += [f"{amount_text(cents, 'EUR')} credited" for _, _, cents in credits]
        parts += [f"sign-in e-mail now {after}" for _, _, after in sign_ins]
        if not parts:
            return "nothing changed" if self.unchanged else "changed, but not by an operation"
        return "; ".join(parts)


class Role(NamedTuple):
    """A person of the story, as the roster will know them."""

    name: str
    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    email: str


@dataclass
class Person:
    """Somebody with a passkey, a browser and a mailbox."""

    role: Role
    browser: PageClient
    stage: Stage
    seen: int = 0
    """The number of the newest message that was read."""

    async def new_message(self, subject: str = "waits for your decision") -> Any:
        """The next message of that kind to this person."""
        kept = await self.stage.mailbox.wait_for(
            lambda kept: kept.to == self.role.email and kept.number > self.seen and subject in kept.message.subject,
            PATIENCE,
        )
        self.seen = kept.number
        return kept.message

    async def open_request(self) -> str:
        """Follow the link of the next message, sign in, and answer the words of the page."""
        message = await self.new_message()
        await self.browser.sign_in(message.link)
        return (await self.browser.read()).text

    async def decide(self, decision: str, code: str | None = None, *, disown: bool = False) -> str:
        """Decide the request on the open page; answers the headline that follows."""
        await self.browser.decide(decision, code, disown=disown)
        status = await self.browser.status()
        return str(status["headline"])


class Cast:
    """Everybody who was invited; people enrol when they first appear."""

    def __init__(self, stage: Stage, stack: AsyncExitStack) -> None:
        self._stage = stage
        self._stack = stack
        self._people: dict[str, Person] = {}

    async def person(self, role: Role) -> Person:
        """The person, invited and enrolled through the real pages if they were not before."""
        if role.name not in self._people:
            browser = await self._stack.enter_async_context(PageClient(self._stage.base_url, SoftwareAuthenticator()))
            url = await self._stage.invite(role.name, accounts=role.accounts, roles=role.roles, email=role.email)
            await browser.enrol(url)
            self._people[role.name] = Person(role, browser, self._stage)
        return self._people[role.name]
