"""A small world with rules of its own, in which the trusted core is tested.

A shop with orders that change, the people around it with software passkeys that can misbehave, the office that holds
the roster key, and an authority over the real embedded store with a clock that tests turn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.assertions import RelyingParty
from counterfoil.authority import Authority, Requester, Secrets, Times
from counterfoil.canonical import b64, canonical
from counterfoil.desk import Desk
from counterfoil.display import display, display_digest
from counterfoil.evidence import SignedStatement, code_digest
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.leaves import ROSTER, administered, enrolled
from counterfoil.log import LeafDraft
from counterfoil.policy import Policy
from counterfoil.roster import (
    NO_RECORD,
    End,
    Enrolment,
    Invitation,
    Roster,
    RosterTrust,
    SignedEnrolment,
    enrolment_digest,
    record_digest,
    secret_key_of,
    sign_record,
    sign_with_secret,
    verify_roster,
)
from counterfoil.rungs import Rung
from counterfoil.statements import HOLDER, Assertion, Choice, Found, Statement
from counterfoil.store import Caps, Conversation
from counterfoil.tickets import Envelope, Event, Signals, Ticket, envelope_digest
from counterfoil.values import Account, Change, Contact, Execution, Facts, Money, NotExecuted, Receipt, fact, shown
from counterfoil_server.store import SQLiteStore

START = 1_800_000_000
PARTY = RelyingParty("desk.example", frozenset({"https://desk.example"}))
ISSUER = "https://desk.example"
EXECUTOR = "executor:shop"
LOG_KEY = b"l" * 32


# Passkeys -------------------------------------------------------------------------------------------------------------


class Passkey:
    """A P-256 passkey in software. What an honest one never does is an argument of :meth:`sign`."""

    scheme = ec.ECDSA(hashes.SHA256())

    def __init__(self, credential: str, *, backup_eligible: bool = True, curve: ec.EllipticCurve | None = None) -> None:
        self.credential = credential
        self.backup_eligible = backup_eligible
        self.key = ec.generate_private_key(curve or ec.SECP256R1())

    @property
    def public_key(self) -> bytes:
        """DER SPKI."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(
        self,
        challenge: bytes,
        *,
        client: dict[str, Any] | None = None,
        client_data: bytes | None = None,
        party: str = PARTY.id,
        flags: int | None = None,
        trailing: bytes = b"",
        length: int | None = None,
        credential: str | None = None,
    ) -> Assertion:
        """A WebAuthn assertion. ``client`` overrides members of the client data, and removes those that are None."""
        members: dict[str, Any] = {
            "type": "webauthn.get",
            "challenge": b64(challenge),
            "origin": "https://desk.example",
            "crossOrigin": False,
        }
        members = {name: value for name, value in (members | (client or {})).items() if value is not None}
        told = client_data if client_data is not None else json.dumps(members, separators=(",", ":")).encode()
        own_flags = 0x05 | (0x08 if self.backup_eligible else 0)
        data = hashlib.sha256(party.encode()).digest() + bytes([own_flags if flags is None else flags]) + bytes(4)
        data = (data + trailing)[:length]
        signature = self.key.sign(data + hashlib.sha256(told).digest(), self.scheme)
        return Assertion(
            credential=credential or self.credential,
            authenticator_data=b64(data),
            client_data=b64(told),
            signature=b64(signature),
        )


# The office that holds the roster key ---------------------------------------------------------------------------------


class Office:
    """Invites and ends people; every text it signs stands in ``records``, every enrolment in ``enrolments``."""

    def __init__(self) -> None:
        self.key = SigningKey.generate()
        self.records: list[str] = []
        self.enrolments: list[str] = []
        self.secrets: dict[str, bytes] = {}

    @property
    def head(self) -> str:
        return record_digest(self.records[-1]) if self.records else NO_RECORD

    def invite(
        self,
        person: str,
        *,
        accounts: Sequence[str] = (),
        roles: Sequence[str] = (),
        channels: Sequence[str] | None = None,
        **changes: Any,
    ) -> str:
        """Sign an invitation; answers its text."""
        secret = hashlib.sha256(f"{person} {len(self.records)}".encode()).digest()
        invitation = Invitation(
            version=len(self.records) + 1,
            previous=self.head,
            person=person,
            name=person.title(),
            accounts=tuple(accounts),
            roles=tuple(roles),
            channels=(f"{person}@example.com",) if channels is None else tuple(channels),
            secret_key=secret_key_of(secret),
            iat=START - 1000,
            exp=START + 1000,
        ).model_copy(update=changes)
        return self._record(sign_record(self.key, invitation), secret)

    def end(self, what: str, name: str) -> str:
        """Sign the end of a person or credential."""
        record = End.model_validate(
            {"version": len(self.records) + 1, "previous": self.head, "what": what, "id": name, "iat": START}
        )
        return self._record(sign_record(self.key, record), b"")

    def _record(self, text: str, secret: bytes) -> str:
        self.records.append(text)
        self.secrets[record_digest(text)] = secret
        return text

    def enrol(
        self,
        invitation: str,
        person: str,
        passkey: Passkey,
        *,
        secret: bytes | None = None,
        signer: Passkey | None = None,
        **changes: Any,
    ) -> SignedEnrolment:
        """Enrol ``passkey`` by an invitation; ``secret`` and ``signer`` can be somebody else's."""
        enrolment = Enrolment(
            invitation=record_digest(invitation),
            person=person,
            credential=passkey.credential,
            public_key=b64(passkey.public_key),
            backup_eligible=passkey.backup_eligible,
            party=PARTY.id,
            iat=START,
        ).model_copy(update=changes)
        own_secret = self.secrets.get(record_digest(invitation), b"?" * 32)
        signed = SignedEnrolment(
            enrolment=enrolment,
            secret_signature=sign_with_secret(own_secret if secret is None else secret, enrolment),
            assertion=(signer or passkey).sign(enrolment.challenge),
        )
        self.enrolments.append(signed.to_text())
        return signed

    async def fill(self, store: SQLiteStore) -> None:
        """Put everything that was signed into an empty store, as the command line and the enrolment page would."""
        for version, record in enumerate(self.records, start=1):
            await store.add_roster_record(record, version=version, leaf=roster_leaf(record))
        for text in self.enrolments:
            await join(store, text)

    def trust(self, minimum_version: int = 0) -> RosterTrust:
        """What a verifier of this office's records brings itself."""
        return RosterTrust({self.key.id: self.key.public}, minimum_version, PARTY)

    def roster(self) -> Roster:
        """The verified roster."""
        return verify_roster(self.records, self.enrolments, self.trust())


def roster_leaf(record: str) -> LeafDraft:
    """The leaf of a record that is appended to the roster."""
    return administered(ROSTER, record=record_digest(record))


PEOPLE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ann": (("A-1",), ()),
    "ben": (("A-2",), ()),
    "fay": ((), ("finance",)),
    "fox": ((), ("finance",)),
    "fil": (("A-1",), ("finance",)),
    "ida": ((), ("identity",)),
    "ivo": ((), ("identity", "finance")),
}
"""Who is on the roster: accounts and roles. Ann's passkey can be copied to other devices, Ben's cannot."""


def staffed_office() -> tuple[Office, dict[str, Passkey]]:
    """An office where everybody in :data:`PEOPLE` is enrolled, and their passkeys; each caller gets one of its own."""
    staffed, passkeys = _staffed_office()
    office = Office()
    office.key, office.secrets = staffed.key, dict(staffed.secrets)
    office.records, office.enrolments = list(staffed.records), list(staffed.enrolments)
    return office, dict(passkeys)


@cache
def _staffed_office() -> tuple[Office, dict[str, Passkey]]:
    office, passkeys = Office(), {}
    for person, (accounts, roles) in PEOPLE.items():
        passkeys[person] = Passkey(b64(f"passkey of {person}".encode()), backup_eligible=person != "ben")
        office.enrol(office.invite(person, accounts=accounts, roles=roles), person, passkeys[person])
    return office, passkeys


# The shop -------------------------------------------------------------------------------------------------------------


@dataclass
class Order:
    """An order in the shop's own records."""

    account: str
    refundable: str = "1000.00"
    version: int = 1


@dataclass
class Shop:
    """The organisation's own records; tests change them while tickets wait."""

    orders: dict[str, Order] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    fraud: int = 3
    email: str = "ann@example.com"
    broken: bool = False

    async def find(self, hint: str) -> Account | None:
        """By account number only."""
        return Account(hint) if hint in ("A-1", "A-2", "A-3") else None

    async def person(self, account: Account) -> Contact | None:
        """Everybody has the shop's address for them."""
        if self.broken:
            raise OSError("the records cannot be read")
        return Contact(name=f"Holder of {account}", email=self.email if account == "A-1" else f"{account}@example.com")


class RefundFacts(Facts):
    """What the shop knows of an order."""

    order: str = fact(about="order_id")
    refundable: Change = fact(label="Left to refund", about="amount")
    account_age: str = fact(label="Customer since", about="account")
    locked: bool
    address: Change = fact(label="Delivery address")
    fraud: int = shown(label="Fraud score", to="staff")


def shop_desk(shop: Shop) -> Desk:
    """A desk of three operations: direct, collected, and with a waiting time."""
    desk = Desk("Acme support", directory=shop, roles=["finance", "identity"], settled_by="finance")

    @desk.operation(counts="amount")
    async def refund(execution: Execution, account: Account, order_id: str, amount: Money) -> Receipt:
        """Refund part or all of an order.

        Only the first line is shown.
        """
        raise NotExecuted("the core never runs connectors")

    @refund.preview
    async def refund_facts(account: Account, order_id: str, amount: Money) -> RefundFacts:
        if shop.broken:
            raise OSError("the records cannot be read")
        order = shop.orders.get(order_id)
        if order is None:
            raise NotExecuted(f"there is no order {order_id}")
        return RefundFacts(
            owners=(Account(order.account),),
            guard=f"v{order.version}",
            order=f"{order_id}, a lamp",
            refundable=Change(before=order.refundable, after="less"),
            account_age="2019",
            locked=order.account in shop.locked,
            address=Change(before="Old Street 1", after="Old Street 1"),
            fraud=shop.fraud,
        )

    @desk.operation(delivery="collected")
    async def send_gift(execution: Execution, account: Account, text: str = "", count: int = 1) -> Receipt:
        """Send a gift to the holder's address."""
        raise NotExecuted("the core never runs connectors")

    @send_gift.preview
    async def gift_facts(account: Account, text: str = "", count: int = 1) -> Facts:
        return Facts(owners=(account,))

    @desk.operation(
        ladder=[Rung(holder="passkey", code=True), Rung(staff={"identity": 2}, hold=3600)], settled_by="identity"
    )
    async def close_account(execution: Execution, account: Account, share: float = 0.5) -> Receipt:
        """Close an account."""
        raise NotExecuted("the core never runs connectors")

    @close_account.preview
    async def close_facts(account: Account, share: float = 0.5) -> Facts:
        return Facts(owners=(account,))

    desk.check()
    return desk


POLICY = """
@id("small refunds need the holder")
permit(principal is Agent, action == Action::"refund", resource)
when {
    context.holder_passkey && context.code_typed && resource.arguments.amount.currency == "EUR" &&
    context.counters.total_24h.lessThanOrEqual(decimal("50.00"))
};
@id("larger refunds need finance, too")
permit(principal is Agent, action == Action::"refund", resource)
when { context.holder_passkey && context.code_typed && context.staff.finance >= 1 &&
    resource.arguments.amount.currency == "EUR" &&
    context.counters.total_24h.lessThanOrEqual(decimal("500.00")) };
@id("the largest need two of finance")
permit(principal is Agent, action == Action::"refund", resource)
when { context.holder_passkey && context.code_typed && context.staff.finance >= 2 };
@id("gifts need the holder")
permit(principal is Agent, action == Action::"send_gift", resource)
when { context.holder_passkey && context.code_typed };
@id("closing needs the holder")
permit(principal is Agent, action == Action::"close_account", resource)
when { context.holder_passkey && context.code_typed };
@id("or two who check identities, and an hour to object")
permit(principal is Agent, action == Action::"close_account", resource)
when { context.staff.identity >= 2 && context.waited >= 3600 };
@id("locked accounts get nothing")
forbid(principal, action == Action::"refund", resource) when { resource.facts.locked };
"""


# Envelopes and statements outside any store ---------------------------------------------------------------------------

SALT = b64(b"s" * 32)


def envelope_of(desk: Desk, **changes: Any) -> Envelope:
    """A refund of 49 EUR on ann's account by ``agent``, whose match code is 123456; ``changes`` replace fields."""
    envelope = Envelope(
        issuer=ISSUER,
        tenant="acme",
        ticket="cf_1",
        operation="refund",
        arguments='{"account":"A-1","amount":{"currency":"EUR","value":"49.00"},"order_id":"O-1"}',
        account="A-1",
        principal="agent",
        owner=None,
        actor=None,
        conversation=None,
        delivery="direct",
        executor=EXECUTOR,
        facts=(
            '{"account_age":"2019","address":{"after":"Old Street 2","before":"Old Street 1"},"fraud":3,"guard":"v1",'
            '"locked":false,"order":"O-1, a lamp","owners":["A-1"],"refundable":{"after":"less","before":"1000.00"}}'
        ),
        requirements=(Rung(holder="passkey", staff={"finance": 1}, code=True),),
        policy="policy",
        tool=desk.operations["refund"].digest,
        code=code_digest(b"s" * 32, "123456"),
        signals=Signals(),
        note=None,
        undoes=None,
        grant=None,
        requested_at=START,
        expires_at=START + 86400,
        salt=SALT,
    )
    return envelope.changed(**changes)


def statement_of(
    desk: Desk, envelope: Envelope, person: str, passkey: Passkey, seat: str = HOLDER, /, **changes: Any
) -> Statement:
    """The approval that ``person`` is asked to sign in ``seat``; ``changes`` replace fields."""
    shown_to_them = display(desk.name, desk.operations[envelope.operation], envelope, seat)
    return Statement(
        issuer=ISSUER,
        envelope=envelope_digest(envelope.to_bytes()),
        display=display_digest(shown_to_them),
        seat=seat,
        person=person,
        credential=passkey.credential,
        decision="approve",
        code="123456" if seat == HOLDER else None,
        nonce=b64(b"n" * 32),
        iat=START + 10,
        exp=START + 610,
    ).changed(**changes)


def signed_by(passkey: Passkey, statement: Statement, **misbehaviour: Any) -> SignedStatement:
    """The statement, signed."""
    return SignedStatement(statement.to_bytes(), passkey.sign(statement.challenge, **misbehaviour))


# The authority --------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """A clock that tests turn, back as well."""

    at: float = START

    def __call__(self) -> float:
        return self.at


@dataclass
class World:
    """An authority over a real store, and everybody around it."""

    path: Path
    shop: Shop
    desk: Desk
    clock: Clock
    store: SQLiteStore
    authority: Authority
    office: Office
    passkeys: dict[str, Passkey]

    async def request(
        self, operation: str = "refund", *, by: Requester | str = "agent", note: str | None = None, **arguments: Any
    ) -> Ticket:
        """What an AI asks for: by default a refund of 49 EUR of order O-1 on ann's account."""
        values: dict[str, Any] = {"account": "A-1"}
        if operation == "refund":
            values |= {"order_id": "O-1", "amount": {"value": "49.00", "currency": "EUR"}}
        requester = Requester(by) if isinstance(by, str) else by
        await self.converse(requester)
        return await self.authority.request(requester, operation, canonical(values | arguments), note)

    async def converse(self, requester: Requester) -> None:
        """Start the conversation that the requester names, unless it was started before."""
        if requester.conversation is not None and await self.store.conversation(requester.conversation) is None:
            now = self.store.now()
            started = Conversation(requester.conversation, requester.principal, now, now + 86400)
            await self.store.start_conversation(started, at_most=100)

    async def sign(
        self, ticket: Ticket, person: str, decision: Choice = "approve", *, code: str | None = None
    ) -> SignedStatement:
        """What the person's passkey makes of what the page offers; the code from the chat is typed unless given."""
        typed = self.authority.match_code(ticket.id) if code is None else code
        passkey = self.passkeys[person]
        offer = await self.authority.prepare(ticket.id, person, passkey.credential, decision, typed)
        return SignedStatement(offer.statement_bytes, passkey.sign(offer.challenge))

    async def approve(self, ticket: Ticket, *people: str) -> Ticket:
        """Everybody approves in turn."""
        for person in people:
            ticket = await self.authority.decide(ticket.id, await self.sign(ticket, person))
        return ticket

    async def decline(self, ticket: Ticket, person: str, *, disown: bool = False) -> Ticket:
        """Somebody declines."""
        return await self.authority.decide(ticket.id, await self.sign(ticket, person, "decline"), disown=disown)

    async def unknown(self, operation: str = "refund", *, by: Requester | str = "agent", **arguments: Any) -> Ticket:
        """A ticket that ann approved, whose effect was started, and nobody knows what came of it."""
        ticket = await self.approve(await self.request(operation, by=by, **arguments), "ann")
        assert await self.authority.deliver(ticket.id) is not None
        return await self.authority.report(ticket.id, Event.REPORT_UNKNOWN, {"reason": "The connector hung."})

    async def finding(
        self, ticket: Ticket, person: str, found: Found = "executed", reference: str = ""
    ) -> SignedStatement:
        """What the person's passkey makes of what the page for unknown outcomes offers."""
        passkey = self.passkeys[person]
        offer = await self.authority.prepare_settlement(ticket.id, person, passkey.credential, found, reference)
        return SignedStatement(offer.statement_bytes, passkey.sign(offer.challenge))

    async def settle(
        self, ticket: Ticket, person: str = "fay", found: Found = "executed", reference: str = ""
    ) -> Ticket:
        """Somebody says what became of it, and signs."""
        return await self.authority.settle(ticket.id, await self.finding(ticket, person, found, reference))

    async def now(self, ticket: Ticket) -> Ticket:
        """The ticket as it stands."""
        found = await self.store.ticket(ticket.id)
        assert found is not None
        return found

    def with_policy(self, text: str) -> Authority:
        """The authority as it is after a start with another policy."""
        return self._restarted(policy=Policy.load(text, self.desk))

    def with_keys(self, keys: KeyRing) -> Authority:
        """The authority as it is after a rotation of keys."""
        return self._restarted(keys=keys)

    def _restarted(self, *, policy: Policy | None = None, keys: KeyRing | None = None) -> Authority:
        return make_authority(
            self.desk, policy or self.authority.judge.policy, self.store, self.office, keys or self.authority.keys
        )

    async def end(self, what: str, name: str) -> None:
        """The office ends a person or credential."""
        record = self.office.end(what, name)
        await self.store.add_roster_record(record, version=len(self.office.records), leaf=roster_leaf(record))


def make_authority(
    desk: Desk,
    policy: Policy,
    store: SQLiteStore,
    office: Office,
    keys: KeyRing,
    caps: Caps | None = None,
    client_isolation: bool = True,
) -> Authority:
    """An authority as the server makes it."""
    return Authority(
        issuer=ISSUER,
        tenant="acme",
        executor=EXECUTOR,
        judge=Judge(desk=desk, policy=policy, store=store, trust=office.trust(), log_key=LOG_KEY),
        keys=keys,
        secrets=Secrets(dedupe=b"d" * 32, code=b"c" * 32, log=LOG_KEY),
        times=Times(),
        caps=caps,
        client_isolation=client_isolation,
    )


@asynccontextmanager
async def open_world(
    folder: Path,
    *,
    caps: Caps | None = None,
    desk_of: Callable[[Shop], Desk] = shop_desk,
    policy: str = POLICY,
    client_isolation: bool = True,
) -> AsyncIterator[World]:
    """A world with everybody enrolled and two orders; closed with its store."""
    shop = Shop(orders={"O-1": Order("A-1"), "O-2": Order("A-2")})
    desk, clock = desk_of(shop), Clock()
    office, passkeys = staffed_office()
    async with SQLiteStore.open(folder / "counterfoil.db", log_key=LOG_KEY, clock=clock) as store:
        await office.fill(store)
        keys = KeyRing(SigningKey.generate(), SigningKey.generate())
        authority = make_authority(desk, Policy.load(policy, desk), store, office, keys, caps, client_isolation)
        yield World(folder / "counterfoil.db", shop, desk, clock, store, authority, office, passkeys)


async def join(store: SQLiteStore, text: str) -> None:
    """Store a signed enrolment with its leaf, as the enrolment page does."""
    enrolment = SignedEnrolment.model_validate_json(text).enrolment
    await store.add_enrolment(
        text, invitation=enrolment.invitation, credential=enrolment.credential, leaf=enrolment_leaf(text)
    )


def enrolment_leaf(text: str) -> LeafDraft:
    """The leaf of a signed enrolment."""
    enrolment = SignedEnrolment.model_validate_json(text).enrolment
    return enrolled(
        person=enrolment.person,
        credential=enrolment.credential,
        invitation=enrolment.invitation,
        enrolment=enrolment_digest(text),
    )
