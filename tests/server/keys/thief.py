"""Whoever holds a private key of the desk that somebody stole, and signs with it what the desk itself would sign."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from counterfoil.canonical import b64, parse_strict, unb64
from counterfoil.keys import SigningKey
from counterfoil.testing import Asked, OpenDesk
from counterfoil.tickets import Ticket as Stored
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, CapabilityClaims, OrderClaims, sign


def taken_from(file: Path) -> SigningKey:
    """The key in a file of the desk."""
    return SigningKey.from_pem(file.read_bytes())


def ring_files(desk: OpenDesk) -> Path:
    """The folder with the authority's keys."""
    return desk.parts.configuration.state / "keys"


def log_key(file: Path) -> Ed25519PrivateKey:
    """The key that seals the log, from a copy of its file."""
    found = load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(found, Ed25519PrivateKey)
    return found


async def capability(desk: OpenDesk, key: SigningKey, asked: Asked, **claims: Any) -> str:
    """A capability for this ticket in the desk's own words, signed with ``key``; of an id of the thief's own unless
    ``claims`` say otherwise."""
    ticket, now, issuer = await _stored(desk, asked.ticket), desk.parts.store.now(), desk.parts.authority.issuer
    genuine = CapabilityClaims(
        iss=issuer, aud=issuer, sub=ticket.principal, jti=b64(secrets.token_bytes(16)), ticket=ticket.id,
        envelope=ticket.digest, iat=now, exp=now + 120,
    )  # fmt: skip
    return sign(key, CAPABILITY_TYPE, genuine.members() | claims)


async def order(desk: OpenDesk, key: SigningKey, ticket: str, **claims: Any) -> str:
    """An order for this ticket in the desk's own words, redeemed now, signed with ``key``."""
    found, now, authority = await _stored(desk, ticket), desk.parts.store.now(), desk.parts.authority
    genuine = OrderClaims(
        iss=authority.issuer, aud=authority.executor, jti=f"order-{ticket}", ticket=ticket,
        envelope=found.digest, redeemed_at=now, run_by=now + 300,
    )  # fmt: skip
    return sign(key, ORDER_TYPE, genuine.members() | claims)


async def hands_over(desk: OpenDesk, ticket: Stored, order: str) -> str:
    """Give the executor an order; answers the ticket's state when it is done with it."""
    await desk.parts.engine.submit(ticket, order)
    await desk.parts.engine.settle()
    return (await desk.ticket(ticket.id)).state


async def runs(desk: OpenDesk, key: SigningKey, asked: Asked) -> str:
    """Sign an order for what was asked for and give it to the executor; answers where that leaves the ticket."""
    return await hands_over(desk, await _stored(desk, asked.ticket), await order(desk, key, asked.ticket))


async def _stored(desk: OpenDesk, ticket: str) -> Stored:
    found = await desk.parts.store.ticket(ticket)
    assert found is not None
    return found


def id_of(token: str) -> str:
    """The id by which a capability is spent."""
    claims = parse_strict(unb64(token.split(".")[1]))
    assert isinstance(claims, dict)
    return str(claims["jti"])
