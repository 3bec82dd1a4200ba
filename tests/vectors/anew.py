"""The capability and the order of a redemption, as the authority signs them anew for evidence."""

from __future__ import annotations

from typing import Any

from counterfoil.bundle import BundledLeaf
from counterfoil.canonical import parse_strict
from counterfoil.tickets import Envelope, envelope_digest
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, sign
from vectors.cast import AUTHORITY, ISSUER
from vectors.vector import JSONObject

TYPES = (CAPABILITY_TYPE, ORDER_TYPE)


def tokens(
    request: Envelope,
    leaves: list[BundledLeaf],
    *,
    key: Any = AUTHORITY,
    kinds: tuple[str, str] = TYPES,
    **changes: Any,
) -> JSONObject:
    """The capability and the order of these leaves, signed anew; none where nothing was redeemed. ``changes`` replace
    claims of whichever has them."""
    bodies: list[Any] = [parse_strict(leaf.body.encode()) for leaf in leaves]
    moments = [body["at"] for body in bodies if body["event"] == "redeem"]
    if not moments:
        return {"capability": None, "order": None}
    at = moments[0]
    shared = {"iss": ISSUER, "ticket": request.ticket, "envelope": envelope_digest(request.to_bytes())}
    capability = {"aud": ISSUER, "sub": request.principal, "jti": f"cap-{request.ticket}", "iat": at, "exp": at + 120}
    order = {"aud": request.executor, "jti": f"order-{request.ticket}", "redeemed_at": at, "run_by": at + 300}
    made = [shared | claims for claims in (capability, order)]
    made = [claims | {name: changes[name] for name in claims.keys() & changes} for claims in made]
    return {"capability": sign(key, kinds[0], made[0]), "order": sign(key, kinds[1], made[1])}
