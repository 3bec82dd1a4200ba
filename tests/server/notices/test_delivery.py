"""The outbox is emptied over a real store and a real mail server."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
import pytest

from counterfoil import leaves
from counterfoil.errors import DeskError, StoreFailed
from counterfoil.recipients import APPROVE, ENROLLED, EXECUTED, NOT_DONE, OBJECT, SETTLE, UNCERTAIN
from counterfoil.redemption_verbs import TOLD
from counterfoil.store import Capability, Notice, NoticeDraft, Redeeming, Step
from counterfoil.tickets import Event, Ticket
from counterfoil_server.notices.delivery import Delivery, Described, Pace
from counterfoil_server.notices.messages import Message
from counterfoil_server.notices.smtp import SMTPTransport
from counterfoil_server.notices.transports import Mailbox
from counterfoil_server.store.sqlite import SQLiteStore
from server.notices.mail_server import (
    ACCOUNT,
    NOTE,
    ORDER,
    START,
    LinkMaker,
    MailServer,
    MovableClock,
    TestLink,
    add_ticket,
    describe,
    html_of,
    text_of,
)

ADA = "ada@customer.example"
HOUR = 3600


def to_ada(kind: str, *, capped: bool = True) -> NoticeDraft:
    return NoticeDraft(kind, "person-ada", ADA, "holder", capped)


def delivery(
    store: SQLiteStore, server: MailServer, links: LinkMaker, *, pace: Pace | None = None, jitter: float = 0.0
) -> Delivery:
    transport = SMTPTransport("127.0.0.1", server.port, "Acme support <notices@acme.example>", tls="none")
    return Delivery(store, transport, links, describe, pace=pace, jitter=lambda: jitter)


async def outbox(store: SQLiteStore) -> list[Notice]:
    return list(reversed(await store.notices()))


async def take(store: SQLiteStore, ticket: str, event: Event, **more: object) -> None:
    await store.step(ticket, Step(event, leaves.stepped(event, ticket), **more))  # type: ignore[arg-type]


async def redeem(store: SQLiteStore, ticket: Ticket) -> None:
    await take(store, ticket.id, Event.APPROVE)
    capability = Capability("capability-1", ticket.id, "key", START, START + 120)
    await store.mint(capability, leaves.minted(ticket.id, capability.id, "key"))
    leaf = leaves.stepped(Event.REDEEM, ticket.id)
    await store.redeem(Redeeming(capability.id, ticket, 0, None, None, 0, (), leaf))


async def test_a_notice_is_delivered_with_a_link_made_for_it(
    store: SQLiteStore, server: MailServer, links: LinkMaker
) -> None:
    await add_ticket(store, to_ada(APPROVE))
    assert links.made == []
    assert await delivery(store, server, links).deliver_due() == 1
    [mail], [notice] = server.received, await outbox(store)
    assert mail["To"] == ADA
    assert mail["Subject"] == 'Acme support: "Refund an order" waits for your decision'
    assert "https://acme.example/l/secret-1\n" in text_of(mail)
    assert (notice.state, notice.error, notice.sent_at) == ("sent", None, START)
    assert await delivery(store, server, links).deliver_due() == 0


async def test_no_message_holds_an_argument_a_text_of_an_ai_or_an_account(
    store: SQLiteStore, server: MailServer, links: LinkMaker
) -> None:
    kinds = (APPROVE, OBJECT, EXECUTED, NOT_DONE, ENROLLED)
    ticket = await add_ticket(store, *(to_ada(kind, capped=False) for kind in kinds))
    await delivery(store, server, links).deliver_due()
    await redeem(store, ticket)
    await take(store, ticket.id, Event.REPORT_UNKNOWN, notices=[to_ada(SETTLE), to_ada(UNCERTAIN)])
    await delivery(store, server, links).deliver_due()
    assert len(server.received) == len(kinds) + 2
    for mail in server.received:
        everything = f"{mail.items()} {text_of(mail)} {html_of(mail)}"
        for secret in (NOTE, "IGNORE", ORDER, ACCOUNT, ticket.id, "person-ada"):
            assert secret not in everything
        assert ADA not in text_of(mail) + html_of(mail)


async def test_a_temporary_failure_is_tried_again_later_with_a_new_link(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(APPROVE))
    worker = delivery(store, server, links)
    server.replies.append("451 ada@customer.example: try later")
    await worker.deliver_due()
    [notice] = await outbox(store)
    assert (notice.state, notice.tries, notice.next_try) == ("queued", 1, START + 5)
    assert notice.error is not None
    assert "put the message off (451)" in notice.error
    assert ADA not in notice.error
    assert await worker.deliver_due() == 0
    clock.time += 5
    assert await worker.deliver_due() == 1
    [mail], [notice] = server.received, await outbox(store)
    assert "secret-2" in text_of(mail)
    assert (notice.state, notice.error) == ("sent", None)


async def test_tries_come_less_and_less_often_and_end_with_the_ticket(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(APPROVE), lives=HOUR)
    worker = delivery(store, server, links)
    server.replies.extend(["451 later"] * 50)
    waits: list[int] = []
    while True:
        await worker.deliver_due()
        [notice] = await outbox(store)
        if notice.state != "queued":
            break
        waits.append(notice.next_try - int(clock.time))
        clock.time = notice.next_try
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert notice.state == "failed"
    assert clock.time < START + HOUR
    assert server.received == []


async def test_chance_shortens_a_wait_by_up_to_half(store: SQLiteStore, server: MailServer, links: LinkMaker) -> None:
    await add_ticket(store, to_ada(APPROVE))
    server.replies.append("451 later")
    await delivery(store, server, links, pace=Pace(first_retry=100), jitter=1.0).deliver_due()
    [notice] = await outbox(store)
    assert notice.next_try == START + 50


async def test_what_was_done_is_told_long_after_the_ticket_is_over(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(EXECUTED, capped=False), lives=60)
    clock.time += 2 * 24 * HOUR
    server.replies.append("451 later")
    worker = delivery(store, server, links)
    await worker.deliver_due()
    [notice] = await outbox(store)
    assert notice.state == "queued"
    clock.time = notice.next_try
    await worker.deliver_due()
    assert len(server.received) == 1


async def test_a_permanent_failure_is_visible_and_not_tried_again(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    await add_ticket(store, to_ada(APPROVE))
    server.recipient_replies.append("550 5.1.1 ada@customer.example is unknown, see https://mail.test/?u=ada")
    worker = delivery(store, server, links)
    with caplog.at_level(logging.INFO, "counterfoil"):
        await worker.deliver_due()
    [notice] = await outbox(store)
    assert notice.state == "failed"
    assert notice.error == "The mail server refused the recipient's address for good (550). Correct it."
    said = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("counterfoil"))
    assert "given up" in said
    for secret in (ADA, "secret-1", "mail.test"):
        assert secret not in said
    clock.time += HOUR
    assert await worker.deliver_due() == 0


async def test_a_server_that_comes_back_gets_what_waited(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(APPROVE))
    worker = delivery(store, server, links)
    await server.stop()
    await worker.deliver_due()
    [notice] = await outbox(store)
    assert notice.error is not None
    assert notice.error.startswith("The mail server cannot be reached.")
    await server.start()
    clock.time = notice.next_try
    await worker.deliver_due()
    assert len(server.received) == 1


async def test_the_fourth_message_in_an_hour_waits(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    for _ in range(2):
        await add_ticket(store, to_ada(APPROVE), to_ada(APPROVE))
    bob = NoticeDraft(APPROVE, "person-bob", "bob@customer.example", "staff:finance")
    await add_ticket(store, bob, to_ada(EXECUTED, capped=False))
    worker = delivery(store, server, links)
    while await worker.deliver_due():
        pass
    assert sorted(mail["To"] for mail in server.received) == [ADA] * 4 + ["bob@customer.example"]
    waiting = [notice for notice in await outbox(store) if notice.state == "queued"]
    assert [notice.next_try for notice in waiting] == [START + HOUR]
    clock.time += HOUR - 1
    assert await worker.deliver_due() == 0
    clock.time += 1
    assert await worker.deliver_due() == 1
    assert len(server.received) == 6


async def test_what_a_killed_process_held_is_delivered_by_the_next(
    tmp_path: Path, clock: MovableClock, server: MailServer, links: LinkMaker
) -> None:
    path = tmp_path / "shared.db"
    async with SQLiteStore.open(path, log_key=b"k" * 32, clock=clock) as killed:
        await add_ticket(killed, to_ada(APPROVE))
        assert len(await killed.lease_notices(limit=8, lease=120, cap=3, window=HOUR)) == 1
    async with SQLiteStore.open(path, log_key=b"k" * 32, clock=clock) as reopened:
        worker = delivery(reopened, server, links)
        assert await worker.deliver_due() == 0
        clock.time += 120
        assert await worker.deliver_due() == 1
    assert len(server.received) == 1


async def test_stopping_in_the_middle_of_a_message_loses_nothing(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(APPROVE))
    server.open_gate.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(delivery(store, server, links).run)
        await server.attempted.wait()
        group.cancel_scope.cancel()
    server.open_gate.set()
    [notice] = await outbox(store)
    assert (notice.state, notice.next_try) == ("queued", START + 120)
    clock.time += 120
    server.received.clear()
    await delivery(store, server, links).deliver_due()
    assert len(server.received) == 1


async def test_stopping_before_a_message_left_gives_it_back_at_once(store: SQLiteStore, server: MailServer) -> None:
    await add_ticket(store, to_ada(APPROVE))
    asked = anyio.Event()

    async def never(notice: Notice) -> TestLink:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    transport = SMTPTransport("127.0.0.1", server.port, "notices@acme.example", tls="none")
    async with anyio.create_task_group() as group:
        group.start_soon(Delivery(store, transport, never, describe).run)
        await asked.wait()
        group.cancel_scope.cancel()
    [notice] = await outbox(store)
    assert (notice.state, notice.next_try) == ("queued", START)


@pytest.mark.parametrize("kind", [APPROVE, OBJECT])
@pytest.mark.parametrize("event", [Event.DECLINE, Event.CANCEL, Event.REVOKE])
async def test_nobody_is_asked_about_a_request_that_has_ended(
    store: SQLiteStore, server: MailServer, links: LinkMaker, kind: str, event: Event
) -> None:
    ticket = await add_ticket(store, to_ada(kind))
    await take(store, ticket.id, event)
    await delivery(store, server, links).deliver_due()
    [notice] = await outbox(store)
    assert notice.state == "failed"
    assert notice.error is not None
    assert notice.error.startswith("No longer needed: the request is ")
    assert (links.made, server.attempts) == ([], 0)


async def test_nobody_is_asked_about_a_request_whose_time_is_over(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(APPROVE), lives=60)
    clock.time += 60
    await delivery(store, server, links).deliver_due()
    [notice] = await outbox(store)
    assert notice.error == "No longer needed: the request has expired."
    assert (links.made, server.attempts) == ([], 0)


async def test_a_held_request_is_told_with_the_time_at_which_it_happens(
    store: SQLiteStore, server: MailServer, links: LinkMaker
) -> None:
    ticket = await add_ticket(store)
    await take(store, ticket.id, Event.APPROVE)
    await take(store, ticket.id, Event.HOLD, hold_until=START + HOUR, notices=[to_ada(OBJECT, capped=False)])
    await delivery(store, server, links).deliver_due()
    [mail] = server.received
    assert "It will be carried out on 21 September 2026 at 15:13 UTC." in " ".join(text_of(mail).split())
    assert "7Q2M9XKA" in text_of(mail)


async def test_a_request_that_nobody_can_approve_is_told_as_such(
    store: SQLiteStore, server: MailServer, links: LinkMaker
) -> None:
    await add_ticket(store, to_ada(APPROVE), refusal="The order is locked.")
    await delivery(store, server, links).deliver_due()
    [mail] = server.received
    assert "nobody can approve it" in text_of(mail)
    assert "locked" not in text_of(mail)


@pytest.mark.parametrize(
    ("events", "ending"),
    [
        ([Event.REPORT_EXECUTED], "was carried out"),
        ([Event.REPORT_UNKNOWN], "may have been carried out"),
        ([Event.REPORT_UNKNOWN, Event.FIND_EXECUTED], "was carried out"),
        ([Event.REPORT_UNKNOWN, Event.FIND_NOT_EXECUTED], "was not carried out"),
    ],
)
async def test_an_outcome_is_told_as_it_is_known_when_the_message_leaves(
    store: SQLiteStore, server: MailServer, links: LinkMaker, events: list[Event], ending: str
) -> None:
    ticket = await add_ticket(store)
    await redeem(store, ticket)
    for event in events:
        await take(store, ticket.id, event, notices=[to_ada(TOLD[event], capped=False)])
    await delivery(store, server, links).deliver_due()
    assert [mail["Subject"] for mail in server.received] == [f'Acme support: "Refund an order" {ending}']
    errors = {notice.error for notice in await outbox(store) if notice.state == "failed"}
    assert errors == ({"No longer needed: the outcome is known."} if len(events) > 1 else set())


async def test_who_can_find_out_is_asked_long_after_the_tickets_own_time(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    ticket = await add_ticket(store, lives=60)
    await redeem(store, ticket)
    await take(store, ticket.id, Event.REPORT_UNKNOWN, notices=[to_ada(SETTLE)])
    clock.time += HOUR
    await delivery(store, server, links).deliver_due()
    [mail] = server.received
    assert mail["Subject"] == 'Acme support: find out whether "Refund an order" happened'


@pytest.mark.parametrize("event", [Event.FIND_EXECUTED, Event.FIND_NOT_EXECUTED])
async def test_nobody_is_asked_to_find_out_what_is_known(
    store: SQLiteStore, server: MailServer, links: LinkMaker, event: Event
) -> None:
    ticket = await add_ticket(store)
    await redeem(store, ticket)
    await take(store, ticket.id, Event.REPORT_UNKNOWN, notices=[to_ada(SETTLE)])
    await take(store, ticket.id, event)
    await delivery(store, server, links).deliver_due()
    [notice] = await outbox(store)
    assert notice.error == "No longer needed: the outcome is known."
    assert (links.made, server.attempts) == ([], 0)


async def test_what_cannot_be_written_is_visible_and_stops_nobody_else(
    store: SQLiteStore, server: MailServer, links: LinkMaker
) -> None:
    first = await add_ticket(store, to_ada(APPROVE))
    second = await add_ticket(store, to_ada(APPROVE))
    third = await add_ticket(store, to_ada(APPROVE))

    async def partly(notice: Notice) -> Described:
        if notice.ticket == first.id:
            return Described("Acme support", "Refund\r\nBcc: all@evil.example", START)
        if notice.ticket == second.id:
            raise RuntimeError(f"no words for {notice.address}")
        return await describe(notice)

    transport = SMTPTransport("127.0.0.1", server.port, "notices@acme.example", tls="none")
    assert await Delivery(store, transport, links, partly).deliver_due() == 3
    injected, failed, sent = await outbox(store)
    assert injected.error == DeskError(injected.error).happened
    assert "line break" in (injected.error or "")
    assert failed.error == "It failed with RuntimeError."
    assert (injected.state, failed.state, sent.state) == ("queued", "queued", "sent")
    assert sent.ticket == third.id
    assert len(server.received) == 1


async def test_a_message_that_takes_too_long_ends_before_its_lease(
    store: SQLiteStore, server: MailServer, links: LinkMaker
) -> None:
    await add_ticket(store, to_ada(APPROVE))

    class Stuck:
        async def send(self, message: Message, to: str) -> None:
            await anyio.sleep_forever()

    with anyio.fail_after(60):
        await Delivery(store, Stuck(), links, describe, pace=Pace(lease=0)).deliver_due()
    [notice] = await outbox(store)
    assert notice.error == "Sending took too long."
    assert notice.state == "queued"


async def test_waking_delivers_at_once(store: SQLiteStore, server: MailServer, links: LinkMaker) -> None:
    mailbox = Mailbox()
    worker = Delivery(store, mailbox, links, describe, pace=Pace(poll=3600))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            await add_ticket(store, to_ada(APPROVE))
            worker.wake()
            await mailbox.wait_for(lambda kept: kept.number == 1, timeout=60)
            await add_ticket(store, to_ada(APPROVE))
            worker.wake()
            await mailbox.wait_for(lambda kept: kept.number == 2, timeout=60)
            group.cancel_scope.cancel()


async def test_the_worker_outlives_a_store_that_fails(
    store: SQLiteStore, links: LinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = Mailbox()
    outage = Outage(store)
    worker = Delivery(outage, mailbox, links, describe, pace=Pace(poll=3600))  # type: ignore[arg-type]
    await add_ticket(store, to_ada(APPROVE))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            await outage.met.wait()
            outage.over = True
            worker.wake()
            await mailbox.wait_for(lambda kept: kept.to == ADA, timeout=60)
            group.cancel_scope.cancel()
    assert "The outbox could not be read" in caplog.text


async def test_what_was_sent_but_not_settled_comes_again_when_the_lease_is_over(
    store: SQLiteStore, server: MailServer, links: LinkMaker, clock: MovableClock
) -> None:
    await add_ticket(store, to_ada(APPROVE))
    outage = Outage(store, settling=True)
    worker = delivery(outage, server, links)  # type: ignore[arg-type]
    await worker.deliver_due()
    [notice] = await outbox(store)
    assert (len(server.received), notice.state) == (1, "queued")
    outage.over = True
    clock.time += 120
    await worker.deliver_due()
    [notice] = await outbox(store)
    assert (len(server.received), notice.state) == (2, "sent")


async def test_a_notice_of_no_ticket_is_delivered(store: SQLiteStore, server: MailServer, links: LinkMaker) -> None:
    await store.add_notices(None, [to_ada(ENROLLED, capped=False)])
    await delivery(store, server, links).deliver_due()
    [mail] = server.received
    assert mail["Subject"] == "Acme support: a passkey was added for you"


class Outage:
    """The store, with a connection to it that is down until ``over``: for leasing, or only for settling."""

    def __init__(self, store: SQLiteStore, *, settling: bool = False) -> None:
        self._store = store
        self._settling = settling
        self.over = False
        self.met = anyio.Event()

    def __getattr__(self, verb: str) -> object:
        if not self.over and verb == ("settle_notice" if self._settling else "lease_notices"):
            return self._down
        return getattr(self._store, verb)

    async def _down(self, *arguments: object, **more: object) -> None:
        self.met.set()
        raise StoreFailed()
