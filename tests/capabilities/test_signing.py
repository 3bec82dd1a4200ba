"""Asking a signer: a good signature in time, or one refusal that says nothing of what the signer said."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from counterfoil import tokens
from counterfoil.errors import SignerFailed
from counterfoil.keys import SigningKey, jws_form
from counterfoil.signing import signature
from remote_key import GARBAGE, RemoteKey

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("signer", [SigningKey.generate(), RemoteKey()])
async def test_a_signature_is_over_the_digest_of_the_message_in_the_form_of_JWS(signer: SigningKey | RemoteKey) -> None:
    found = await signature(signer, b"a message")
    assert len(found) == 64
    assert signer.public.verifies(found, b"a message")
    assert not signer.public.verifies(found, b"another")


async def test_a_signer_is_handed_32_bytes_and_answers_DER() -> None:
    key = SigningKey.generate()
    answered = await key.sign(hashlib.sha256(b"a message").digest())
    key.private.public_key().verify(answered, b"a message", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(ValueError, match="digest"):
        await key.sign(b"a message")


async def test_a_token_is_the_same_whoever_signs_it() -> None:
    remote = RemoteKey()
    token = await tokens.issue(remote, tokens.ORDER_TYPE, {"a": 1})
    assert token.rpartition(".")[0] == tokens.sign(remote.key, tokens.ORDER_TYPE, {"a": 1}).rpartition(".")[0]
    assert tokens.verify(token, tokens.ORDER_TYPE, {remote.id: remote.public}) == ({"a": 1}, remote.id)


@pytest.mark.parametrize("answer", ["fails", "another key", *GARBAGE])
async def test_what_is_no_good_signature_is_refused_without_a_word_of_what_was_said(answer: str) -> None:
    with pytest.raises(SignerFailed) as caught:
        await signature(RemoteKey([answer]), b"a message")
    assert "vault.internal" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.remedy


async def test_it_is_said_that_a_service_signs_with_another_key() -> None:
    remote = RemoteKey(["another key"])
    with pytest.raises(SignerFailed, match=f"does not sign with the key {remote.id}"):
        await signature(remote, b"a message")


async def test_a_signer_that_never_answers_is_left_when_its_time_is_over() -> None:
    with pytest.raises(SignerFailed, match=r"did not answer within 0\.01 seconds"):
        await asyncio.wait_for(signature(RemoteKey(["hangs"]), b"a message", within=0.01), 60)


async def test_a_signers_own_time_out_is_a_failure_like_another() -> None:
    class Hurried(RemoteKey):
        async def sign(self, digest: bytes) -> bytes:
            raise TimeoutError("its own")

    with pytest.raises(SignerFailed, match="could not be reached"):
        await signature(Hurried(), b"a message")


async def test_whoever_waits_for_a_signature_may_be_cancelled() -> None:
    remote = RemoteKey(["hangs"])
    waiting = asyncio.create_task(signature(remote, b"a message"))
    await asyncio.wait_for(remote.hung.wait(), 60)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(("r", "s"), [(1, 1), ((1 << 256) - 1, 5), (5, (1 << 255) + 1)])
def test_DER_becomes_two_numbers_of_32_bytes(r: int, s: int) -> None:
    assert jws_form(encode_dss_signature(r, s)) == r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (1 << 256, 1), (1, 1 << 256)])
def test_numbers_that_no_P_256_key_makes_are_refused(r: int, s: int) -> None:
    with pytest.raises(ValueError, match="no signature"):
        jws_form(encode_dss_signature(r, s))
