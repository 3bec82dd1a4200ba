"""A feed that lags, lies or is cut: the service runs nothing that it has not heard to be still allowed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from counterfoil.checkpoints import sign_checkpoint
from counterfoil.feed import state, write_page
from examples.payments.bureau import Bureau, Service
from examples.payments.feed_server import Page
from examples.payments.test_payments_orders import forged
from held_keys import held
from server.execution.outside import page_of
from server.execution.workshop import Workshop

pytestmark = pytest.mark.anyio


async def waits(bureau: Bureau, service: Service, order: str, why: str) -> None:
    """Nothing was done, and nothing was written."""
    answer = await service.present(order)
    assert answer.state == (503, "waiting"), answer
    assert why in answer.reason
    assert bureau.refunded == []
    assert bureau.ledger() == []


async def runs(bureau: Bureau, service: Service, order: str) -> None:
    assert (await service.present(order)).state == (200, "executed")
    assert bureau.refunded == [4000]
    assert (await service.health()).value["runs"] is True


# It lags --------------------------------------------------------------------------------------------------------------


async def test_while_the_feed_lags_nothing_runs_and_then_it_does(bureau: Bureau, service: Service) -> None:
    await bureau.feed.lag()
    bureau.spend(61)
    _, order = await bureau.ordered()
    await waits(bureau, service, order, "lately was not heard")
    health = await service.health()
    assert (health.status, health.value["runs"]) == (503, False)
    bureau.feed.catch_up()
    await runs(bureau, service, order)


async def test_a_redemption_that_the_feed_does_not_tell_of_yet_waits_for_it(bureau: Bureau, service: Service) -> None:
    """Within the feed's life, too: what was redeemed after it was heard is not refused for good."""
    await bureau.feed.lag()
    bureau.spend(30)
    _, order = await bureau.ordered()
    await waits(bureau, service, order, "does not tell of this redemption yet")
    bureau.feed.catch_up()
    await runs(bureau, service, order)


async def test_an_order_does_not_wait_longer_than_it_may_be_run(bureau: Bureau, service: Service) -> None:
    await bureau.feed.lag()
    bureau.spend(30)
    ticket, order = await bureau.ordered()
    await waits(bureau, service, order, "does not tell of this redemption yet")
    bureau.feed.catch_up()
    bureau.spend(301)
    answer = await service.present(order)
    assert answer.state == (200, "not_executed")
    assert "too late" in answer.reason
    assert (await service.where(ticket)).state == (200, "not_executed")


async def test_a_long_log_is_read_page_by_page(bureau: Bureau, service: Service) -> None:
    bureau.feed.most, before = 4, bureau.feed.asked
    _, order = await bureau.ordered()
    await runs(bureau, service, order)
    assert bureau.feed.asked >= before + 2


# It lies --------------------------------------------------------------------------------------------------------------


def leaf_left_out(page: Page) -> Page:
    return page | {"leaves": page["leaves"][:3] + page["leaves"][4:]}


def last_left_out(page: Page) -> Page:
    return page | {"leaves": page["leaves"][:-1]}


def all_left_out(page: Page) -> Page:
    return page | {"leaves": []}


def leaf_edited(page: Page) -> Page:
    return page | {"leaves": [each | {"body": each["body"].replace("revoke", "cancel")} for each in page["leaves"]]}


def opening_forged(page: Page) -> Page:
    leaves = [
        each | {"opening": each["opening"].replace("ticket:", "ticket:other")} if each["opening"] else each
        for each in page["leaves"]
    ]
    return page | {"leaves": leaves}


def opening_kept_back(page: Page) -> Page:
    return page | {"leaves": [each | {"opening": None} for each in page["leaves"]]}


def statement_forged(page: Page) -> Page:
    return page | {"statement": page["statement"][:-6] + "AAAAAA"}


def no_page(_: Page) -> Page:
    return {"hello": "world"}


LIES = (
    leaf_left_out, last_left_out, all_left_out, leaf_edited, opening_forged, opening_kept_back, statement_forged,
    no_page,
)  # fmt: skip


async def test_a_feed_that_lies_stops_everything_until_it_is_honest(bureau: Bureau, service: Service) -> None:
    known = (await service.health()).value["leaves"]
    other = await bureau.approved("O-1002", "1.00")
    await bureau.workshop.authority.revoke(f"ticket:{other.id}", "a drill")
    _, order = await bureau.ordered()
    for lie in LIES:
        bureau.feed.lie = lie
        await waits(bureau, service, order, "cannot be believed")
        health = await service.health()
        assert (health.status, health.value["runs"], health.value["leaves"]) == (503, False, known)
        assert "feed lies: " + health.value["feed"] in bureau.log
    bureau.feed.catch_up()
    await runs(bureau, service, order)


async def forked(workshop: Workshop, size: int) -> Page:
    """A page over another log of this size, by a thief of the authority's key and the log's."""
    note = sign_checkpoint(workshop.sealer._signer, size, b"f" * 32)
    signer, now = workshop.stolen_ring.current, workshop.store.now()
    statement = await state(signer, issuer="https://desk.example", checkpoint=note, now=now)
    found: Page = json.loads(write_page(statement, first=0, leaves=[], consistency=[], checkpoint=note))
    return found


async def not_believed(bureau: Bureau, service: Service, order: str, page: Page, why: str) -> None:
    """Told this page, the service runs nothing, and has heard nothing."""
    known = (await service.health()).value["leaves"]
    bureau.feed.lie = lambda _: page
    answer = await service.present(order)
    assert answer.state == (503, "waiting")
    assert "cannot be believed" in answer.reason
    assert why in answer.reason
    health = (await service.health()).value
    assert (health["runs"], health["leaves"]) == (False, known)
    bureau.feed.catch_up()


async def test_a_log_that_was_forked_or_rolled_back_stops_everything(bureau: Bureau, service: Service) -> None:
    """The thief has the authority's key, and even the log's."""
    workshop = bureau.workshop
    older: Page = json.loads(await page_of(workshop, 0))
    other = await bureau.requested("O-1002")
    await workshop.authority.cancel("agent", other.id)
    _, first = await bureau.ordered("O-1002", "49.01")
    assert (await service.present(first)).state == (200, "not_executed")
    known = (await service.health()).value["leaves"]
    assert known > len(older["leaves"])
    _, order = await bureau.ordered()
    page: Page = json.loads(await page_of(workshop, known))
    for size, leaves, why in (
        (known, [], "not those read before"),
        (known + 1, [], "leaves out"),
        (known + len(page["leaves"]), page["leaves"], "not those under its checkpoint"),
    ):
        fork = await forked(workshop, size)
        await not_believed(bureau, service, order, fork | {"first": known, "leaves": leaves}, why)
    await not_believed(bureau, service, order, older | {"first": known, "leaves": []}, "cut, or is an older one")
    bureau.feed.how = "shorter"
    await not_believed(bureau, service, order, page, "shorter than what was read")
    await runs(bureau, service, order)


async def test_a_page_that_is_shown_again_says_nothing_about_now(bureau: Bureau, service: Service) -> None:
    """Whoever keeps a page of a calm day and shows it again is not heard."""
    _, order = await bureau.ordered()
    calm: Page = json.loads(await page_of(bureau.workshop, 0))
    bureau.spend(30)
    _, first = await bureau.ordered("O-1002", "49.01")
    assert (await service.present(first)).state == (200, "not_executed")
    await not_believed(bureau, service, order, calm, "older than what was heard")
    await runs(bureau, service, order)


async def test_a_resumption_that_does_not_say_of_what_resumes_nothing(bureau: Bureau, service: Service) -> None:
    """Their openings are deleted after their time."""
    ticket, order = await bureau.ordered()
    await bureau.workshop.authority.suspend("account:A-1", "a drill")
    await bureau.workshop.authority.resume("account:A-1")
    bureau.feed.lie = lambda page: (
        page | {"leaves": [each | {"opening": None} if '"resume"' in each["body"] else each for each in page["leaves"]]}
    )
    answer = await service.present(order)
    assert answer.state == (200, "not_executed")
    assert "suspended or revoked" in answer.reason
    assert (await service.where(ticket)) == answer
    assert (await service.health()).value["runs"] is True


# It is cut ------------------------------------------------------------------------------------------------------------


async def test_while_the_feed_is_cut_nothing_runs_for_long(bureau: Bureau) -> None:
    async with bureau.serving("hurried") as service:
        _, order = await bureau.ordered()
        bureau.spend(61)
        for how in ("closes", "half", "huge", "hangs", "trickles", "refuses", "redirects", "busy"):
            bureau.feed.how = how
            await waits(bureau, service, order, "not heard" if how != "huge" else "larger than")
            assert (await service.health()).value["runs"] is False
        bureau.feed.catch_up()
        await runs(bureau, service, order)


async def test_a_feed_that_cannot_be_reached_is_cut(bureau: Bureau) -> None:
    port = bureau.feed.port
    bureau.feed.port = 1
    bureau.write()
    _, order = await bureau.ordered()
    async with bureau.serving() as service:
        await waits(bureau, service, order, "lately was not heard")
        assert "feed is cut: The feed could not be read: ConnectionRefusedError." in bureau.log
    bureau.feed.port = port
    bureau.write()
    async with bureau.serving() as service:
        await runs(bureau, service, order)


# It is remembered -----------------------------------------------------------------------------------------------------


async def test_a_refusal_that_was_heard_outlives_its_erasure(bureau: Bureau) -> None:
    """No order was presented when it was heard; then somebody with the authority's database and key takes it back."""
    bureau.every = 0.05
    bureau.write()
    _, genuine = await bureau.ordered("O-1002", "1.00")
    ticket = await bureau.approved()
    async with bureau.serving() as service:
        await bureau.workshop.authority.cancel("agent", ticket.id)
        await bureau.feed.asked_again(3)
        with closing(sqlite3.connect(bureau.workshop.folder / "counterfoil.db")) as database, database:
            database.execute("UPDATE ticket SET state = 'approved' WHERE id = ?", (ticket.id,))
        bureau.spend(20)
        order = await forged(bureau.workshop, ticket, genuine, held(bureau.workshop.stolen_ring.current))
        answer = await service.present(order)
        assert answer.state == (200, "not_executed")
        assert "was stopped" in answer.reason
        assert bureau.refunded == []


async def test_what_was_heard_survives_kill_9(bureau: Bureau) -> None:
    """Each reading is there as a whole, or not at all."""
    ticket, order = await bureau.ordered()
    await bureau.workshop.authority.revoke(f"ticket:{ticket.id}", "a drill")
    bureau.every = 0.05
    bureau.feed.most = 3
    bureau.write()
    async with bureau.serving() as service:
        await bureau.feed.asked_again(4)
        service.process.kill()
        await service.ended()
    leaves = bureau.ledger("SELECT position, roster_records FROM log")
    assert json.loads(leaves[0][0])["size"] >= 9
    assert leaves[0][1] == len(bureau.workshop.office.records)
    bureau.every = 3600
    bureau.write()
    async with bureau.serving() as service:
        answer = await service.present(order)
        assert "suspended or revoked" in answer.reason


# The time -------------------------------------------------------------------------------------------------------------


async def test_while_its_clock_is_wrong_it_runs_nothing(bureau: Bureau, service: Service) -> None:
    _, order = await bureau.ordered()
    for ahead in (3600, -3600, 61, -61):
        bureau.set_clock(ahead)
        await waits(bureau, service, order, "")
    bureau.set_clock()
    await runs(bureau, service, order)


async def test_an_authority_whose_clock_was_wrong_for_a_while_is_heard_afterwards(
    bureau: Bureau, service: Service
) -> None:
    _, order = await bureau.ordered()
    heard = (await service.health()).value["leaves"]
    page = json.loads(await page_of(bureau.workshop, heard, now=bureau.workshop.store.now() + 7200))
    bureau.feed.lie = lambda _: page
    await waits(bureau, service, order, "still to come")
    bureau.feed.catch_up()
    await runs(bureau, service, order)
