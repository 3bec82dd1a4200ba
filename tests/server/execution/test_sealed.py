"""Nothing that people signed for happens before its redemption is on the log under a signed checkpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterfoil.checkpoints import LOG, NoteKey, NoteSigner, sign_checkpoint, write_proof
from counterfoil.errors import StoreFailed
from counterfoil.tickets import State
from counterfoil.tlog import Tree, leaf_hash
from counterfoil_server.execution.executor import Executor
from server.execution.test_granted import payment
from server.execution.workshop import Workshop, executor_over

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Source:
    """What an executor is given in place of the sealer's proofs."""

    proof: Callable[[int], Awaitable[str]]
    key: NoteKey


def trusting(workshop: Workshop, proof: Callable[[int], Awaitable[str]]) -> Executor:
    source = Source(proof, workshop.sealer.key)
    return executor_over(workshop.store, workshop.authority, workshop.ledger, workshop.executor.judge, source)


async def run(workshop: Workshop, proof: Callable[[int], Awaitable[str]]) -> str:
    """Run an approved payment with these proofs; nothing is paid. Answers why."""
    ticket, order = await workshop.ordered()
    await trusting(workshop, proof).run(ticket.id, order)
    assert workshop.bank.payments == []
    ended = await workshop.now(ticket)
    assert ended.state is State.NOT_EXECUTED
    return ended.outcome or ""


async def test_a_payment_is_made_once_its_redemption_is_sealed(workshop: Workshop) -> None:
    asked: list[int] = []

    async def proof(index: int) -> str:
        assert workshop.bank.payments == []
        asked.append(index)
        return await workshop.sealer.proof(index)

    ticket, order = await workshop.ordered()
    await trusting(workshop, proof).run(ticket.id, order)
    assert len(workshop.bank.payments) == 1
    [leaf] = await workshop.store.leaves(after=asked[0] - 1, limit=1)
    assert (leaf.event, leaf.ticket) == ("redeem", ticket.id)


async def test_what_runs_by_itself_under_a_grant_waits_for_no_seal(workshop: Workshop) -> None:
    async def proof(index: int) -> str:
        raise StoreFailed()

    _, handle = await workshop.granted()
    ticket, order = await payment(workshop, handle)
    await trusting(workshop, proof).run(ticket.id, order)
    assert len(workshop.bank.payments) == 1


async def test_T42_a_proof_of_another_leaf_is_no_proof(workshop: Workshop) -> None:
    async def proof(index: int) -> str:
        return await workshop.sealer.proof(index - 1)

    assert "not proven to be on the log" in await run(workshop, proof)


async def test_T42_a_log_of_somebody_elses_key_is_no_log(workshop: Workshop) -> None:
    thief = NoteSigner.of(workshop.sealer.key.name, LOG, Ed25519PrivateKey.generate())

    async def proof(index: int) -> str:
        tree = Tree(lambda level, number: [])
        leaves = await workshop.store.leaves()
        tree.append([leaf_hash(leaf.body) for leaf in leaves])
        return write_proof(index, tree.inclusion(index), sign_checkpoint(thief, tree.size, tree.root()))

    assert "not signed by the key of the log" in await run(workshop, proof)


@pytest.mark.parametrize("text", ["", "c2sp.org/tlog-proof@v1\nindex 1\n\n", "x" * 100_000])
async def test_what_is_no_proof_proves_nothing(workshop: Workshop, text: str) -> None:
    async def proof(index: int) -> str:
        return text

    assert "not proven to be on the log" in await run(workshop, proof)


async def test_while_the_log_cannot_be_sealed_nothing_runs_and_nothing_is_lost(workshop: Workshop) -> None:
    async def proof(index: int) -> str:
        raise StoreFailed("The checkpoint cannot be written: No space left on device.")

    ticket, order = await workshop.ordered()
    with pytest.raises(StoreFailed):
        await trusting(workshop, proof).run(ticket.id, order)
    assert workshop.bank.payments == []
    assert (await workshop.now(ticket)).state is State.EXECUTING
    await workshop.executor.run(ticket.id, order)
    assert len(workshop.bank.payments) == 1
