"""The payments service in a process of its own, beside a real authority whose refunds are addressed to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capabilities.world import Clock, Shop
from counterfoil import Account, Desk, Execution, Facts, Money, Receipt
from counterfoil.authority import Requester
from counterfoil.bundle import Trust, TrustFile
from counterfoil.tickets import Ticket
from counterfoil_server.execution.presenting import present
from examples.payments.feed_server import FEED_TOKEN, FeedServer, feed_of
from server.execution.outside import PAYMENTS, trust_of
from server.execution.workshop import Workshop, open_workshop

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
ORDERS_TOKEN = "orders-token-0123456789-0123456789"

POLICY = """
@id("the holder signs") permit(principal, action == Action::"refund", resource)
when { context.holder_passkey && context.code_typed };
@id("the holder takes it back") permit(principal, action == Action::"undo_refund", resource)
when { context.holder_passkey && context.code_typed };
"""

SETTINGS = """
authority = "http://127.0.0.1:{port}"
trust = "trust.json"
executor = "payments"
state = "state"
port = 0
feed_every = {every}
feed_token = "FEED"
orders_token = "ORDERS"
[[floor.refund]]
holder = "passkey"
code = true
{staff}
[[floor.undo_refund]]
holder = "passkey"
code = true
[limits.EUR]
one = "500.00"
day = "800.00"
"""

NEVER = 3600.0


@dataclass(frozen=True)
class Answered:
    """What the service answered."""

    status: int
    value: dict[str, Any]

    @property
    def state(self) -> tuple[int, str]:
        return self.status, self.value.get("state", "")

    @property
    def reason(self) -> str:
        return str(self.value.get("reason", ""))


@dataclass(frozen=True)
class Service:
    """A running process of the service."""

    process: subprocess.Popen[str]
    port: int

    async def present(self, body: str, key: str | None = None) -> Answered:
        """Present an order."""
        ticket = key if key is not None else json.loads(json.loads(body)["envelope"])["ticket"]
        return await self.call("POST", "/orders", body, {"Idempotency-Key": ticket})

    async def where(self, ticket: Ticket) -> Answered:
        """Ask where a ticket stands."""
        return await self.call("GET", f"/orders/{ticket.id}")

    async def close(self, ticket: Ticket) -> Answered:
        """Close a ticket."""
        return await self.call("POST", f"/orders/{ticket.id}/close")

    async def health(self) -> Answered:
        """What it says of itself."""
        return await self.call("GET", "/healthz", token="")

    async def call(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None,
        token: str = ORDERS_TOKEN,
    ) -> Answered:  # fmt: skip
        """Any request."""
        return await asyncio.to_thread(self._call, method, path, body, (headers or {}) | _bearer(token))

    def _call(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answered:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body.encode() if body is not None else None, headers)
            response = connection.getresponse()
            return Answered(response.status, json.loads(response.read()))

    async def ended(self) -> int:
        """The exit code, once it has one."""
        return await asyncio.to_thread(self.process.wait, 60)


@dataclass(frozen=True)
class Launch:
    """How its process is started: in the folder of its settings, with these variables besides."""

    folder: Path
    environment: dict[str, str]

    @property
    def log(self) -> str:
        """What its processes wrote."""
        return (self.folder / "log").read_text()

    def process(self, *fault: str) -> subprocess.Popen[str]:
        """The process, which may refuse to start."""
        command = [sys.executable, "-m", "examples.payments.served", "payments.toml", "clock", *fault]
        paths = os.pathsep.join([str(EXAMPLES), str(ROOT / "tests")])
        environment = os.environ | self.environment | {"PYTHONPATH": paths}
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )

    @asynccontextmanager
    async def serving(self, *fault: str) -> AsyncIterator[Service]:
        """The service, until left."""
        process = self.process(*fault)
        assert process.stdout is not None
        try:
            line = await asyncio.to_thread(process.stdout.readline)
            assert "listens on" in line, self.log
            yield Service(process, int(line.rsplit(":", 1)[1]))
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 30)
            process.stdout.close()
            assert "Traceback" not in self.log, self.log


@dataclass
class Bureau:
    """Everything around the service. ``folder``: its own."""

    workshop: Workshop
    folder: Path
    feed: FeedServer
    every: float = NEVER
    staff: str = ""
    services: list[Service] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What its processes wrote."""
        return (self.folder / "log").read_text()

    def write(self, **trusted: object) -> None:
        """Its settings and trust file."""
        self.folder.mkdir(exist_ok=True)
        text = SETTINGS.format(port=self.feed.port, every=self.every, staff=self.staff)
        (self.folder / "payments.toml").write_text(text)
        (self.folder / "trust.json").write_text(trust_file(trust_of(self.workshop, **trusted)))
        self.set_clock()

    def set_clock(self, ahead: float = 0) -> None:
        """Its clock shows the authority's time, or another."""
        place = self.folder / "clock"
        place.with_suffix(".new").write_text(str(self.workshop.clock() + ahead))
        place.with_suffix(".new").rename(place)

    def spend(self, seconds: float) -> None:
        """Time passes, for everybody."""
        self.workshop.clock.at += seconds
        self.set_clock()

    def launched(self, *fault: str) -> subprocess.Popen[str]:
        """Its process, which may refuse to start."""
        return Launch(self.folder, {"FEED": FEED_TOKEN, "ORDERS": ORDERS_TOKEN}).process(*fault)

    @asynccontextmanager
    async def serving(self, *fault: str) -> AsyncIterator[Service]:
        """The service, until left. ``fault``: how its next effect goes wrong."""
        async with Launch(self.folder, {"FEED": FEED_TOKEN, "ORDERS": ORDERS_TOKEN}).serving(*fault) as service:
            yield service

    # Orders

    async def requested(self, order_id: str = "O-1001", value: str = "40.00") -> Ticket:
        """What an AI asks for: a refund to ann."""
        arguments = {"account": "A-1", "order_id": order_id, "amount": {"value": value, "currency": "EUR"}}
        return await self.workshop.authority.request(Requester("agent"), "refund", json.dumps(arguments).encode())

    async def approved(self, order_id: str = "O-1001", value: str = "40.00") -> Ticket:
        """One that ann approved."""
        return await self.workshop.signed(await self.requested(order_id, value), "ann")

    async def redeemed(self, ticket: Ticket) -> str:
        """The order of an approved ticket, as the desk's executor hands it on."""
        delivered = await self.workshop.authority.deliver(ticket.id)
        assert delivered is not None
        await self.workshop.sealer.seal()
        return await present(self.workshop.executor.judge, *delivered)

    async def ordered(self, order_id: str = "O-1001", value: str = "40.00") -> tuple[Ticket, str]:
        """A redeemed ticket and its presented order."""
        ticket = await self.approved(order_id, value)
        return ticket, await self.redeemed(ticket)

    # The business

    def rows(self, question: str) -> list[tuple[Any, ...]]:
        """What the payments' own records answer."""
        with _read_only(self.folder / "state" / "payments.db") as database:
            return database.execute(question).fetchall()

    def ledger(self, question: str = "SELECT ticket, state FROM ticket") -> list[tuple[Any, ...]]:
        """What the ledger answers."""
        with _read_only(self.folder / "state" / "ledger.db") as database:
            return database.execute(question).fetchall()

    @property
    def refunded(self) -> list[int]:
        """The refunds that were made, in cents."""
        return [cents for (cents,) in self.rows("SELECT cents FROM refund WHERE taken_back_by IS NULL ORDER BY number")]


class RefundFacts(Facts):
    """What the payments say."""

    left: Money


def refund_desk(payments: Path) -> Desk:
    """A desk whose refunds are carried out by the service over the file ``payments``."""
    desk = Desk("Refunds", directory=Shop(), roles=["finance", "identity"], settled_by="finance")

    @desk.operation(counts="amount", executor=PAYMENTS)
    async def refund(execution: Execution, account: Account, order_id: str, amount: Money) -> Receipt:
        """Pay money back."""
        raise AssertionError("tests present the order themselves")

    @refund.preview
    async def refund_facts(account: Account, order_id: str, amount: Money) -> RefundFacts:
        version = 1
        if payments.exists():
            with _read_only(payments) as database:
                question = "SELECT version FROM payment WHERE order_id = ?"
                version = database.execute(question, (order_id,)).fetchone()[0]
        return RefundFacts(owners=(account,), left=Money(value="100.00", currency="EUR"), guard=str(version))

    @refund.undo
    async def take_back(execution: Execution, receipt: Receipt) -> Receipt:
        """Take a refund back."""
        raise AssertionError("tests present the order themselves")

    @take_back.preview
    async def take_back_facts(account: Account, receipt: Receipt) -> Facts:
        return Facts(owners=(account,))

    return desk


def trust_file(trust: Trust) -> str:
    """The trust as ``counterfoil prove --trust`` writes it."""
    return TrustFile(
        issuer=trust.issuer,
        executors=tuple(trust.executors),
        party=trust.roster.party.id,
        origins=tuple(trust.roster.party.origins),
        roster_keys=tuple(key.to_jwk() for key in trust.roster.keys.values()),
        roster_version=trust.roster.minimum_version,
        authority_keys=tuple(key.to_jwk() for key in trust.authority_keys.values()),
        log_key=trust.log.to_text() if trust.log is not None else None,
    ).model_dump_json()


@asynccontextmanager
async def open_bureau(folder: Path) -> AsyncIterator[Bureau]:
    """A bureau over fresh files, whose service does not run yet."""
    own = folder / "service"
    (folder / "authority").mkdir()
    desk = refund_desk(own / "state" / "payments.db")
    async with (
        open_workshop(folder / "authority", clock=Clock(), desk=desk, policy=POLICY) as workshop,
        feed_of(workshop) as feed,
    ):
        bureau = Bureau(workshop, own, feed)
        bureau.write()
        yield bureau


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        yield database
