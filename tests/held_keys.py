"""The private key behind a signer of a desk whose keys are here, for tests in which somebody has stolen it."""

from __future__ import annotations

from counterfoil.keys import Signer, SigningKey


def held(signer: Signer) -> SigningKey:
    """The key itself."""
    assert isinstance(signer, SigningKey)
    return signer
