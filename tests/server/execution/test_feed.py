"""The feed that executors outside follow: what lags, lies or is cut is refused, and nothing of it is heard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.canonical import b64, canonical
from counterfoil.checkpoints import LOG, NoteSigner, sign_checkpoint
from counterfoil.errors import BadJSON, FeedRefused
from counterfoil.feed import FEED_TYPE, Position, Reading, read_page, state
from counterfoil.keys import SigningKey
from counterfoil.tlog import Tree, leaf_hash
from counterfoil.tokens import ORDER_TYPE, sign
from held_keys import held
from server.execution.outside import Remembered, follow, page_of, trust_of
from server.execution.workshop import Workshop, open_workshop

pytestmark = pytest.mark.anyio

Change = Callable[[dict[str, Any]], object]


@given(st.lists(st.binary(max_size=8), max_size=70), st.integers(0, 70))
def test_a_position_hashes_as_the_tree_does_and_survives_its_keeping(bodies: list[bytes], cut: int) -> None:
    tiles: dict[tuple[int, int], list[bytes]] = {}
    tree = Tree(lambda level, number: tiles[level, number])
    for level, number, content in tree.append([leaf_hash(body) for body in bodies]):
        tiles[level, number] = [content[at : at + 32] for at in range(0, len(content), 32)]
    kept = Position.from_text(Position().after(bodies[:cut]).to_text())
    position = kept.after(bodies[cut:])
    assert (position.size, position.root) == (tree.size, tree.root())


@pytest.mark.parametrize("text", ["[]", "{}", '{"size":3,"peaks":[]}', '{"size":"3"}', '{"size":1,"peaks":["?"]}', "-"])
def test_a_position_that_was_damaged_is_refused(text: str) -> None:
    with pytest.raises(BadJSON):
        Position.from_text(text)


async def read(workshop: Workshop, body: bytes, position: Position | None = None, **own: Any) -> Reading:
    return read_page(body, position=position or Position(), trust=own.pop("trust", trust_of(workshop)), **own)


async def test_a_page_tells_what_was_redeemed_and_barred(workshop: Workshop) -> None:
    ticket = await workshop.carried_out(await workshop.approved())
    await workshop.authority.suspend("account:A-1", "a drill")
    await workshop.authority.resume("account:A-1")
    memory = Remembered()
    await follow(workshop, memory)
    assert memory.redeemed(ticket.id) == (ticket.digest, ticket.redeemed_at)
    assert not memory.stopped(ticket.id)
    told = [(each.event, each.scope) for each in memory.heard if each.scope is not None]
    assert told == [("suspend", "account:A-1"), ("resume", "account:A-1")]
    assert [each.index for each in memory.heard] == list(range(memory.position.size))


async def test_a_log_is_read_in_pages_each_of_which_is_proven(workshop: Workshop) -> None:
    for cents in range(3):
        await workshop.carried_out(await workshop.approved(f"1.0{cents}"))
    await workshop.sealer.seal()
    position, complete, readings = Position(), False, 0
    while not complete:
        reading = await read(workshop, await page_of(workshop, position.size, most=5), position)
        position, complete, readings = reading.position, reading.complete, readings + 1
    assert readings > 3
    assert workshop.sealer.checkpoint is not None
    assert (position.size, position.root) == (workshop.sealer.checkpoint.size, workshop.sealer.checkpoint.root)
    again = await read(workshop, await page_of(workshop, position.size), position)
    assert (again.heard, again.position, again.complete) == ((), position, True)


async def refused(
    workshop: Workshop, page: dict[str, Any], why: str, position: Position | None = None, **own: Any
) -> None:
    with pytest.raises(FeedRefused, match=why):
        await read(workshop, canonical(page), position, **own)


async def restated(workshop: Workshop, page: dict[str, Any], note: str) -> dict[str, Any]:
    """The page over another checkpoint, stated by the authority's own, stolen key."""
    signer, now = workshop.stolen_ring.current, workshop.store.now()
    statement = await state(signer, issuer="https://desk.example", checkpoint=note, now=now)
    return page | {"checkpoint": note, "statement": statement}


async def test_a_feed_that_lies_is_refused(workshop: Workshop) -> None:
    declined = await workshop.requested()
    await workshop.authority.revoke(f"ticket:{declined.id}", "a drill")
    page = json.loads(await page_of(workshop, 0))
    leaves = page["leaves"]
    [place] = [n for n, leaf in enumerate(leaves) if '"event":"revoke_scope"' in leaf["body"]]

    without = leaves[:place] + leaves[place + 1 :]
    await refused(workshop, page | {"leaves": without}, "is not the one that follows|not those under")
    await refused(workshop, page | {"leaves": leaves[:-1]}, "not those under its checkpoint")
    edited = [leaf | {"body": leaf["body"].replace('"revoke"', '"cancel"')} for leaf in leaves]
    assert edited != leaves
    await refused(workshop, page | {"leaves": edited}, "not those under its checkpoint")
    spaced = [leaf | {"body": leaf["body"].replace(",", ", ", 1)} for leaf in leaves]
    await refused(workshop, page | {"leaves": spaced}, "cannot be read")
    closed = [leaf | {"opening": None} for leaf in leaves]
    await refused(workshop, page | {"leaves": closed}, "does not open")
    other = json.loads(leaves[place]["opening"])
    other["groups"]["scope"] = "ticket:another"
    lie = [leaf | {"opening": canonical(other).decode()} if n == place else leaf for n, leaf in enumerate(leaves)]
    await refused(workshop, page | {"leaves": lie}, "does not open")
    await refused(workshop, page | {"leaves": []}, "leaves out what the log has")


async def test_a_log_that_was_forked_or_rolled_back_is_refused_by_who_read_it(workshop: Workshop) -> None:
    """The thief has the authority's key, and even the log's."""
    memory = Remembered()
    await workshop.requested()
    await follow(workshop, memory)
    older = json.loads(await page_of(workshop, 0))
    await workshop.requested("41.00")
    await follow(workshop, memory)
    await refused(workshop, older | {"leaves": []}, "does not go on where it was read to", memory.position)
    await refused(
        workshop, older | {"first": memory.position.size, "leaves": []}, "cut, or is an older one", memory.position
    )

    forked = sign_checkpoint(workshop.sealer._signer, memory.position.size, b"f" * 32)
    page = json.loads(await page_of(workshop, memory.position.size))
    await refused(workshop, await restated(workshop, page, forked), "not those read before", memory.position)
    longer = sign_checkpoint(workshop.sealer._signer, memory.position.size + 1, b"f" * 32)
    await refused(workshop, await restated(workshop, page, longer), "leaves out", memory.position)


async def test_a_checkpoint_or_a_statement_by_another_key_is_refused(workshop: Workshop) -> None:
    await workshop.requested()
    page = json.loads(await page_of(workshop, 0))
    assert workshop.sealer.checkpoint is not None
    stranger = NoteSigner.of(workshop.sealer.key.name, LOG, Ed25519PrivateKey.generate())
    note = sign_checkpoint(stranger, workshop.sealer.checkpoint.size, workshop.sealer.checkpoint.root)
    await refused(workshop, await restated(workshop, page, note), "checkpoint does not hold")
    await refused(workshop, page | {"checkpoint": note}, "for another checkpoint")
    await refused(workshop, page, "no log", trust=trust_of(workshop, log=None))
    await refused(workshop, page, "that of another authority", trust=trust_of(workshop, issuer="https://evil.example"))
    claims = {"iss": "https://desk.example", "checkpoint": "x", "iat": 1}
    for statement in (
        sign(SigningKey.generate(), FEED_TYPE, claims),
        sign(held(workshop.stolen_ring.current), ORDER_TYPE, claims),
        "a.b.c",
        "",
    ):
        await refused(workshop, page | {"statement": statement}, "not signed by a key of the authority")


async def test_a_feed_does_not_go_back_in_time(workshop: Workshop) -> None:
    """A page that was kept and is shown again says nothing about now."""
    await workshop.requested()
    page = await page_of(workshop, 0)
    at = (await read(workshop, page)).at
    assert at == workshop.store.now()
    assert (await read(workshop, page, not_before=at)).at == at
    with pytest.raises(FeedRefused, match="older than what was heard"):
        await read(workshop, page, not_before=at + 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.pop("first"),
        lambda page: page.pop("format"),
        lambda page: page.pop("v"),
        lambda page: page.update(first=-1),
        lambda page: page.update(first=1.5),
        lambda page: page.update(v=2),
        lambda page: page.update(more=1),
        lambda page: page.update(leaves=[{}]),
        lambda page: page.update(consistency=["?"] * 200),
        lambda page: page.update(format="counterfoil-order"),
    ],
)  # fmt: skip
async def test_what_is_no_page_is_refused_in_words(workshop: Workshop, change: Change) -> None:
    await workshop.requested()
    page = json.loads(await page_of(workshop, 0))
    change(page)
    with pytest.raises(FeedRefused, match="no page of a feed"):
        read_page(json.dumps(page).encode(), position=Position(), trust=trust_of(workshop))


async def test_a_proof_that_cannot_be_read_is_refused(workshop: Workshop) -> None:
    await workshop.requested()
    page = json.loads(await page_of(workshop, 0, most=2))
    for proof in (["?"], [b64(b"short")], [b64(b"x" * 32)] * 100):
        await refused(workshop, page | {"consistency": proof}, "not those under its checkpoint")


async def test_a_page_too_large_is_not_read(workshop: Workshop) -> None:
    with pytest.raises(FeedRefused, match="larger than 4 MiB"):
        read_page(b" " * ((4 << 20) + 1), position=Position(), trust=trust_of(workshop))


async def test_an_opening_deleted_after_its_time_allows_nothing(tmp_path: Path) -> None:
    """Retention deletes openings: of a redemption that means it is not run any more, of a resumption that it is not
    heard; what bars, and who enrolled, has to come open."""
    async with open_workshop(tmp_path) as workshop:
        ticket = await workshop.carried_out(await workshop.approved())
        await workshop.authority.suspend("everything", "a drill")
        await workshop.authority.resume("everything")
        page = json.loads(await page_of(workshop, 0))
        leaves = [
            leaf | {"opening": leaf["opening"] if json.loads(leaf["body"])["event"] in ("suspend", "enrol") else None}
            for leaf in page["leaves"]
        ]
        memory = Remembered()
        memory.keep(await read(workshop, canonical(page | {"leaves": leaves})))
        assert memory.redeemed(ticket.id) is None
        assert memory.barred(["everything"])
