"""Asking a signer that may be far away: how long, how often, and what its answer is worth.

Three rules. A key in this process signs at once, and what it answers is not verified again: it would be the same
arithmetic with the same key, for more time than signing takes. Any other signer has some seconds, and its answer is
verified with its public key before it leaves: a service that was set up with another key would otherwise have us hand
out tokens that nobody accepts. Whatever it does wrong is one refusal, :class:`SignerFailed`, in words without anything
that it said, since those words reach people and models; what it said is in the server's own messages.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging

from counterfoil.errors import SignerFailed
from counterfoil.keys import Signer, SigningKey, jws_form

logger = logging.getLogger(__name__)

SIGNING_TIME = 5.0
"""Seconds that a signer elsewhere may take. Key services answer within some tens of milliseconds."""


async def signature(signer: Signer, message: bytes, *, within: float = SIGNING_TIME) -> bytes:
    """The signature of the message in the form of JWS; raises :class:`SignerFailed` unless it is a good one in time."""
    digest = hashlib.sha256(message).digest()
    if isinstance(signer, SigningKey):
        return jws_form(await signer.sign(digest))
    try:
        async with asyncio.timeout(within) as limit:
            answered = await signer.sign(digest)
    except Exception as error:
        if limit.expired() and isinstance(error, TimeoutError):
            raise SignerFailed(f"Whoever signs for the authority did not answer within {within:g} seconds.") from None
        logger.exception("The signer of key %s failed", signer.id)
        raise SignerFailed() from None
    try:
        found = jws_form(answered)
    except (ValueError, TypeError):
        raise SignerFailed("Whoever signs for the authority answered with something that is no signature.") from None
    if not signer.public.verifies(found, message):
        raise SignerFailed(
            f"Whoever signs for the authority does not sign with the key {signer.id}.",
            "Nothing that it signed was used; let the settings and the key service name the same key.",
        )
    return found
