"""What an executor checks of an order, against nothing but the signatures that it has to verify.

``proof_ratio``: an order and the signatures of two people's passkeys over its envelope (``counterfoil.proof``: issuer,
audience, times, digests, seats, match code, requirements; the roster was verified before) over the three raw ECDSA
verifications in it, taken in turn. What comes before it at an executor outside, reading the order's file and comparing
the pages, costs about as much again and is not in it.

Nothing in it waits for anything, so of all rounds the quickest counts, as the documentation of ``timeit`` has it: what
else the machine does only adds, and adds more to the check, whose code and data fill the caches.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from capabilities.world import ISSUER
from counterfoil.canonical import unb64
from counterfoil.evidence import SignedStatement
from counterfoil.presented import PresentedOrder
from counterfoil.proof import verify_envelope, verify_evidence
from counterfoil.roster import Roster
from server.execution.outside import PAYMENTS, trust_of
from server.execution.workshop import Workshop, open_workshop

ROUNDS = 500


async def measure() -> dict[str, float]:
    """proof_ratio."""
    with tempfile.TemporaryDirectory() as name:
        async with open_workshop(Path(name), outside=PAYMENTS) as workshop:
            return {"proof_ratio": await proof_ratio(workshop)}


async def proof_ratio(workshop: Workshop) -> float:
    """The least time of the check over that of its raw verifications."""
    await workshop.carried_out(await workshop.approved("400.00", "ann", "fay"))
    presented = PresentedOrder.from_bytes(workshop.bank.presented[0].encode())
    roster = await workshop.executor.judge.roster()
    check, raw = _check(workshop, presented, roster), _raw(workshop, presented, roster)
    times: dict[str, list[float]] = {"check": [], "raw": []}
    for _ in range(ROUNDS):
        for name, calls in (("check", [check]), ("raw", raw)):
            begun = time.perf_counter()
            for call in calls:
                call()
            times[name].append(time.perf_counter() - begun)
    return min(times["check"]) / min(times["raw"])


def _check(workshop: Workshop, presented: PresentedOrder, roster: Roster) -> Callable[[], object]:
    trust, now = trust_of(workshop), workshop.store.now()
    body = presented.envelope.encode()
    signed = [SignedStatement(each.statement.encode(), each.assertion) for each in presented.statements]
    shown = {
        each["seat"]: each["display"] for each in (json.loads(statement.statement) for statement in signed)
    }  # made again from the pages, by whoever has them

    def check() -> object:
        claims, envelope = verify_envelope(
            presented.order, body, issuer=ISSUER, executor=PAYMENTS, keys=trust.authority_keys, now=now
        )
        return verify_evidence(
            claims, envelope, signed, roster=roster, party=trust.roster.party, display_of=shown.__getitem__
        )

    check()
    return check


def _raw(workshop: Workshop, presented: PresentedOrder, roster: Roster) -> list[Callable[[], object]]:
    """The three verifications, keys loaded, signatures and messages put together before."""
    head, payload, signature = presented.order.split(".")
    halves = unb64(signature)
    der = encode_dss_signature(int.from_bytes(halves[:32]), int.from_bytes(halves[32:]))
    checks = [_verification(workshop.authority.keys.current.public.public, der, f"{head}.{payload}".encode())]
    for each in presented.statements:
        key = load_der_public_key(roster.credentials[each.assertion.credential].public_key)
        assert isinstance(key, EllipticCurvePublicKey)
        message = unb64(each.assertion.authenticator_data) + hashlib.sha256(unb64(each.assertion.client_data)).digest()
        checks.append(_verification(key, unb64(each.assertion.signature), message))
    return checks


def _verification(key: EllipticCurvePublicKey, signature: bytes, message: bytes) -> Callable[[], object]:
    return partial(key.verify, signature, message, ECDSA(SHA256()))
