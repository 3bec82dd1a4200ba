"""A desk that somebody edits behind its back, and whoever could notice: each says in words whether they do."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capabilities.world import Passkey
from counterfoil.audit import verify_bundle
from counterfoil.authority import Requester
from counterfoil.bundle import Trust
from counterfoil.canonical import b64, canonical, unb64
from counterfoil.checkpoints import NoteKey
from counterfoil.errors import CounterfoilError
from counterfoil.recipients import APPROVE
from counterfoil.roster import SignedEnrolment, sign_with_secret
from counterfoil.tickets import Ticket
from counterfoil.tokens import ORDER_TYPE, OrderClaims, sign
from counterfoil_server import proving
from counterfoil_server.app import Parts
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.publishing.history import check_history
from counterfoil_server.publishing.publisher import Publisher
from counterfoil_server.testing import PageClient
from held_keys import held
from server.cli.office import POLICY, Office, Program
from server.cli.signing import ANA, browser, enrolled, link, opened, payment
from server.publishing.world import Watcher
from server.store.world import leaf

FAY = Invited("Fay", (), ("finance",), ("fay@office.example",))
OLDER = "older"
"""The state folder as it was before the newest things happened."""
BEFORE = "before"
"""The executor's ledger before anything ran."""
FORKED = "forked"
"""A state folder that goes on from there otherwise, made with every key of the machine."""


@dataclass(frozen=True)
class Desk:
    """A folder with a desk in it, and what others hold: the auditor's trust, a checkpoint that was published.

    ``ran``, ``approved``, ``ordered`` are tickets: one that was executed, one that waits for its redemption, and one
    whose ``order`` waits for the executor. ``link`` is the one that Ana enrolled her passkey with.
    """

    office: Office
    trust: Trust
    held: str
    log: NoteKey
    ran: str
    approved: str
    ordered: str
    order: str
    link: str

    @property
    def state(self) -> Path:
        return self.office.state

    def copied(self, folder: Path) -> Desk:
        """The same desk somewhere else, to be edited."""
        shutil.copytree(self.office.folder, folder)
        return replace(self, office=replace(self.office, folder=folder))

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Parts]:
        """Its parts; the module of its folder and not that of another one."""
        sys.modules.pop("desk", None)
        async with opened(self.office) as parts:
            yield parts

    def edit(self, *statements: str, file: str = "counterfoil.db") -> None:
        """Change a database past the server."""
        with closing(sqlite3.connect(self.state / file, isolation_level=None, timeout=60)) as database:
            for statement in statements:
                if not statement.startswith("DROP"):
                    assert database.execute(statement).rowcount > 0, statement
                else:
                    database.execute(statement)

    def set_back(self, file: str, to: str = OLDER) -> None:
        """Put another copy of the database in this one's place, also under a process that has it open."""
        with (
            closing(sqlite3.connect(self.office.folder / to / file)) as source,
            closing(sqlite3.connect(self.state / file, timeout=60)) as target,
        ):
            source.backup(target)

    def copy_database(self, file: str, folder: Path) -> None:
        """Keep the database as it is now."""
        with (
            closing(sqlite3.connect(self.state / file)) as source,
            closing(sqlite3.connect(folder / file)) as target,
        ):
            source.backup(target)

    def take_file(self, name: str, to: str = OLDER) -> None:
        """The same of a plain file."""
        shutil.copy(self.office.folder / to / name, self.state / name)

    def exchange_passkey(self) -> None:
        """Let Ana's link, which was used, enrol another passkey in the place of hers."""
        with closing(sqlite3.connect(self.state / "counterfoil.db", isolation_level=None, timeout=60)) as database:
            number, record = database.execute("SELECT number, record FROM enrolment ORDER BY number").fetchone()
            true = SignedEnrolment.from_text(record).enrolment
            thief = Passkey("dGhpZWY", backup_eligible=true.backup_eligible)
            made = true.model_copy(update={"credential": thief.credential, "public_key": b64(thief.public_key)})
            signed = SignedEnrolment(
                enrolment=made,
                secret_signature=sign_with_secret(unb64(self.link.rpartition("/")[2]), made),
                assertion=thief.sign(made.challenge, party=made.party, client={"origin": self.office.public_url}),
            )
            change = "UPDATE enrolment SET record = ?, credential = ? WHERE number = ?"
            assert database.execute(change, (signed.to_text(), thief.credential, number)).rowcount

    def count(self, amount: str) -> int:
        """How often this amount was paid."""
        file = self.office.folder / "paid.txt"
        return file.read_text().count(amount) if file.exists() else 0


async def prepare(folder: Path, program: Program) -> Desk:
    """A desk with a past: people, payments, 70 more leaves, somebody who left."""
    office = Office.at(folder, program)
    office.write("policy.cedar", POLICY)
    office.settings("[times]", "run = 3600")
    plain = Desk(office, None, "", None, "", "", "", "", "")  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        async with plain.started() as parts:
            ana = await stack.enter_async_context(browser(parts, office))
            fay = await stack.enter_async_context(browser(parts, office))
            invited = await invitations.invite(parts.administration.call, parts.configuration, ANA)
            await ana.enrol(invited.url)
            left = await enrolled(parts, fay, FAY)
            (folder / BEFORE).mkdir()
            plain.copy_database("ledger.db", folder / BEFORE)
            ran = await payment(parts, ana)
            for _ in range(70):
                await parts.store.append_leaf(leaf("event"))
        shutil.copytree(office.state, folder / OLDER)
        await _fork(plain, folder)
        async with plain.started() as parts, browser(parts, office) as window:
            window.authenticator = ana.authenticator
            approved = await _approved(parts, window, "30.00")
            ordered = await _approved(parts, window, "40.00")
            delivered = await parts.authority.deliver(ordered)
            assert delivered is not None
            await invitations.disable(parts.administration.call, parts.configuration, left)
            await parts.executor.follow_log()
            await parts.sealer.seal()
            watcher = Watcher(folder / "w1", parts.sealer.key)
            publisher = Publisher(parts.sealer, folder / "cosigned", witnesses=[watcher.at()], quorum=1)
            await publisher.round()
            held = (folder / "cosigned").read_text()
            trust = Trust.from_bytes(
                canonical(await proving.trust(parts.authority, parts.sealer.key, publisher.witnesses, 1))
            )
            return Desk(office, trust, held, parts.sealer.key, ran, approved, ordered, delivered[1], invited.url)


async def _fork(desk: Desk, folder: Path) -> None:
    """Another history from the older copy on, as long as the true one or longer."""
    aside = folder / "aside"
    desk.state.rename(aside)
    shutil.copytree(folder / OLDER, desk.state)
    async with desk.started() as parts:
        for _ in range(40):
            await parts.store.append_leaf(leaf("other"))
        await parts.sealer.seal()
    desk.state.rename(folder / FORKED)
    aside.rename(desk.state)


async def _approved(parts: Parts, ana: PageClient, amount: str) -> str:
    arguments = {"account": "A-1", "amount": {"value": amount, "currency": "EUR"}}
    ticket = (await parts.authority.request(Requester("bot"), "pay", canonical(arguments))).id
    await ana.open_and_decide(await link(parts, ticket, APPROVE), "approve", parts.authority.match_code(ticket))
    return ticket


# Who could notice -----------------------------------------------------------------------------------------------------


async def start(desk: Desk) -> str:
    """What a start says; nothing where it starts."""
    try:
        async with desk.started():
            return ""
    except CounterfoilError as error:
        return error.happened


async def doctor(desk: Desk, parts: Parts) -> str:
    """What doctor finds wrong."""
    return " ".join(each["says"] for each in await parts.administration.doctor() if not each["ok"])


async def redemption(desk: Desk, parts: Parts) -> str:
    """What redeeming the approved ticket says."""
    if await parts.authority.deliver(desk.approved) is not None:
        return ""
    return "It is redeemed by nobody."


async def executor(desk: Desk, parts: Parts) -> str:
    """What the executor says to a genuine order; where its ledger has lost what ran, to a thief's order for that."""
    try:
        await parts.executor.run(desk.ordered, desk.order)
    except CounterfoilError as error:
        return error.happened
    found, ran = await parts.store.ticket(desk.ordered), await parts.store.ticket(desk.ran)
    if not desk.count("40.00"):
        return (found.outcome or "It is not executed.") if found is not None else "There is no such ticket."
    if ran is not None and parts.executor.ledger.effect(parts.authority.issuer, desk.ran) is None:
        await parts.executor.prove(ran, _stolen(parts, ran))
    return ""


def _stolen(parts: Parts, ticket: Ticket) -> str:
    """An order for what ran already, signed by a thief of the authority's key."""
    authority, now = parts.authority, parts.store.now()
    claims = OrderClaims(
        iss=authority.issuer, aud=authority.executor, jti="again", ticket=ticket.id, envelope=ticket.digest,
        redeemed_at=now, run_by=now + 300,
    )  # fmt: skip
    return sign(held(authority.keys.current), ORDER_TYPE, claims.members())


async def witness(desk: Desk, parts: Parts) -> str:
    """What the witness answers to the next checkpoint."""
    await parts.sealer.seal()
    publisher = _publisher(desk, parts)
    await publisher.round()
    return "" if publisher.standings[0].ok else publisher.standings[0].in_words()


async def auditor(desk: Desk, parts: Parts) -> str:
    """What fails in the evidence of the executed ticket, for whoever trusts one witness."""
    text = await proving.bundle(parts.authority, desk.ran, None, _publisher(desk, parts).proof)
    return " ".join(verify_bundle(text.encode(), desk.trust).of("fails"))


async def holder(desk: Desk, parts: Parts) -> str:
    """What somebody finds who kept a checkpoint and compares it with the log."""
    await check_history(desk.held, parts.sealer, "Somebody")
    return ""


def _publisher(desk: Desk, parts: Parts) -> Publisher:
    watcher = Watcher(desk.office.folder / "w1", desk.log)
    return Publisher(parts.sealer, desk.office.folder / "fresh", witnesses=[watcher.at()], quorum=1)


Look = Callable[[Desk, Parts], Awaitable[str]]
LOOKS: dict[str, Look] = {
    "doctor": doctor,
    "auditor": auditor,
    "holder": holder,
    "witness": witness,
    "redemption": redemption,
    "executor": executor,
}
"""In the order in which they look: the last ones change something."""


async def looked(desk: Desk, edit: Callable[[Desk], Any], *, under_way: bool, folder: Path) -> dict[str, str | None]:
    """Who says what of the edit: made while nothing runs; and, if nothing starts then, under a process that runs
    (``under_way``). None: it was not asked, because nothing runs."""
    closed = desk.copied(folder / "closed")
    edit(closed)
    said: dict[str, str | None] = {"start": await start(closed)} | dict.fromkeys(LOOKS)
    if said["start"] and not under_way:
        return said
    there = desk.copied(folder / "open") if said["start"] else closed
    async with there.started() as parts:
        if said["start"]:
            edit(there)
        for name, look in LOOKS.items():
            try:
                said[name] = await look(there, parts)
            except CounterfoilError as error:
                said[name] = error.happened
        ran = await parts.store.ticket(there.ran)
        if ran is not None:
            with suppress(CounterfoilError):
                await parts.executor.run(ran.id, _stolen(parts, ran))
        assert there.count("20.00") == 1, "it was paid twice"
    return said
