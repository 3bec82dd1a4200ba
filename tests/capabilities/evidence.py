"""One day at the shop, as evidence: bundles of what happened, what an auditor trusts, and the keys to forge with.

Made once in a process. An attack changes the contents of a bundle and has the *authority itself* sign the result: what
stops it then is what the bundle proves without believing the desk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.parlour import POLICY as PARLOUR_POLICY
from capabilities.parlour import parlour_desk
from capabilities.world import POLICY, START, Office, Passkey, World, open_world, roster_leaf
from counterfoil.audit import verify_bundle
from counterfoil.audit_words import Report
from counterfoil.authority import Requester
from counterfoil.bundle import BUNDLE_TYPE, Attestation, Bundle, BundledLeaf, Contents, TicketEvidence, Trust
from counterfoil.canonical import canonical, digest
from counterfoil.checkpoints import LOG, NoteSigner
from counterfoil.keys import SigningKey
from counterfoil.log import GENESIS, LeafDraft, seal
from counterfoil.roster import End, sign_record
from counterfoil.tickets import Event, Ticket
from counterfoil.tokens import sign
from counterfoil_server import proving
from counterfoil_server.store.sealer import Sealer
from held_keys import held

AN_HOUR_ON = 4000
"""After it, bundles have the capability and the order of what was redeemed at the start."""
LATER = START + 100_000
"""When a forger attests."""


@dataclass(frozen=True)
class Day:
    """What came of it. ``bundles`` by name; ``key`` is the authority's, ``trust`` the auditor's file."""

    bundles: dict[str, bytes]
    key: SigningKey
    office: Office
    passkeys: dict[str, Passkey]
    trust_file: bytes

    @property
    def trust(self) -> Trust:
        """Without the log: whoever forges here can make leaves up, and is to be stopped all the same."""
        return replace(self.sealed_trust, log=None)

    @property
    def sealed_trust(self) -> Trust:
        """With the log."""
        return Trust.from_bytes(self.trust_file)

    def contents(self, name: str) -> Contents:
        return Bundle.from_bytes(self.bundles[name]).contents

    def signed(self, contents: Contents, ticket: str | None = None, now: int = LATER) -> bytes:
        """The bundle that a dishonest authority makes of these contents."""
        named = ticket or proven_ticket(contents.ticket)
        claims = Attestation(iss=self.trust.issuer, ticket=named, bundle=contents.digest, iat=now)
        return Bundle(contents=contents, attestation=sign(self.key, BUNDLE_TYPE, claims.model_dump())).to_bytes()

    def verify(self, contents: Contents) -> Report:
        """What an auditor finds in the forgery."""
        return verify_bundle(self.signed(contents), self.trust)

    def signed_value(self, contents: dict[str, Any], ticket: str) -> bytes:
        """The same of contents that may not even have the form of any."""
        claims = {
            "iss": self.trust.issuer, "ticket": ticket, "bundle": digest("counterfoil-bundle", canonical(contents)),
            "iat": LATER,
        }  # fmt: skip
        attestation = sign(self.key, BUNDLE_TYPE, claims)
        return canonical({"format": "counterfoil-bundle", "v": 1, "contents": contents, "attestation": attestation})

    def forged(self, name: str, change: Callable[[Contents], Contents]) -> Report:
        """What an auditor finds in a changed bundle."""
        return self.verify(change(self.contents(name)))


def proven_ticket(part: TicketEvidence) -> str:
    """The ticket's id, of an envelope that may be anything."""
    return part.envelope.split('"ticket":"')[-1].split('"')[0]


def with_ticket(contents: Contents, **changes: Any) -> Contents:
    """The same contents with other evidence of the ticket."""
    return contents.model_copy(update={"ticket": contents.ticket.model_copy(update=changes)})


async def proofs_of(world: World, folder: Path) -> Sealer:
    """What seals the world's log."""
    signer = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate())
    return await Sealer.open(world.store, signer, folder / "checkpoint")


@cache
def parlour_day() -> Day:
    """An access that a holder granted, and what ran under it."""
    return anyio.run(_parlour_day)


@cache
def shop_day() -> Day:
    """Refunds that were executed, declined, settled, held and stopped; and one whose approver left afterwards."""
    return anyio.run(_shop_day)


async def _shop_day() -> Day:
    with tempfile.TemporaryDirectory() as folder:
        async with open_world(Path(folder)) as world:
            day: dict[str, Ticket] = {}
            sealer = await proofs_of(world, Path(folder))
            unknown = await world.unknown()
            day["unknown"] = unknown
            made = {"unknown": await proving.bundle(world.authority, unknown.id, POLICY, sealer.proof)}
            day["settled"] = await world.settle(unknown, "fay", "executed", "RF-7")
            large = await world.request(amount={"value": "80.00", "currency": "EUR"})
            day["executed"] = await executed(world, await world.approve(large, "ann", "fay"))
            bens = await world.request(account="A-2", order_id="O-2", amount={"value": "20.00", "currency": "EUR"})
            day["other"] = await executed(world, await world.approve(bens, "ben"))
            day["pending"] = await world.request("send_gift", text="soap")
            day["declined"] = await world.decline(await world.request("send_gift", text="a lamp"), "ann")
            day["held"] = await world.approve(await world.request("close_account"), "ida", "ivo")
            stopped = await world.approve(await world.request("close_account", share=0.25), "ida", "ivo")
            day["stopped"] = await world.decline(stopped, "ann")
            world.clock.at = START + AN_HOUR_ON
            for name, ticket in day.items():
                made.setdefault(name, await proving.bundle(world.authority, ticket.id, POLICY, sealer.proof))
            made["other rules"] = await proving.bundle(world.authority, large.id, None, sealer.proof)
            trust = canonical(await proving.trust(world.authority, sealer.key))
            leaving = ended(world.office, "person", "fay", at=START + 60)
            await world.store.add_roster_record(
                leaving, version=len(world.office.records) + 1, leaf=roster_leaf(leaving)
            )
            made["left"] = await proving.bundle(world.authority, large.id, POLICY, sealer.proof)
            return Day(
                {name: text.encode() for name, text in made.items()},
                held(world.authority.keys.current), world.office, world.passkeys, trust,
            )  # fmt: skip


def ended(office: Office, what: str, name: str, *, at: int) -> str:
    """The next record of the roster: a person or credential ends at that time."""
    record = End.model_validate(
        {"version": len(office.records) + 1, "previous": office.head, "what": what, "id": name, "iat": at}
    )
    return sign_record(office.key, record)


def leaf(event: str, ticket: str | None, number: int, at: int = START, /, **groups: Any) -> BundledLeaf:
    """A leaf as whoever holds the log's key and the database can make one."""
    draft = LeafDraft(event, ticket, groups)
    body, _ = seal(draft, index=number, at=at, previous=GENESIS, key=b"k" * 32)
    return BundledLeaf(body=body.decode(), opening=draft.opening.decode())


async def executed(world: World, ticket: Ticket) -> Ticket:
    """As the executor reports it."""
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    return await world.authority.report(
        ticket.id, Event.REPORT_EXECUTED, {"receipt": {"reference": "R-1", "summary": "Paid."}}
    )


async def _parlour_day() -> Day:
    with tempfile.TemporaryDirectory() as folder:
        async with open_world(Path(folder), desk_of=parlour_desk, policy=PARLOUR_POLICY) as world:
            day: dict[str, Ticket] = {}
            sealer = await proofs_of(world, Path(folder))
            chats = [await world.authority.start_conversation("agent") for _ in range(2)]
            for name, chat, person, account in (("", chats[0], "ann", "A-1"), ("ben's ", chats[1], "ben", "A-2")):
                agent = Requester("agent", conversation=chat.id)
                access = await world.approve(await world.request("access", by=agent, account=account), person)
                day[f"{name}access"] = await executed(world, access)
                paused = await world.request("pause", by=agent, account=account)
                assert paused.envelope.grant == access.id
                day[f"{name}pause"] = await executed(world, paused)
            world.clock.at = START + AN_HOUR_ON
            made = {
                name: await proving.bundle(world.authority, each.id, PARLOUR_POLICY, sealer.proof)
                for name, each in day.items()
            }
            return Day(
                {name: text.encode() for name, text in made.items()},
                held(world.authority.keys.current), world.office, world.passkeys,
                canonical(await proving.trust(world.authority, sealer.key)),
            )  # fmt: skip
