"""Killed at the worst moment, or started over files that are older than the truth: nothing is done twice."""

from __future__ import annotations

import shutil

import pytest

from counterfoil.tickets import Event
from examples.payments.bureau import ORDERS_TOKEN, Bureau

pytestmark = pytest.mark.anyio


async def killed(bureau: Bureau, order: str, fault: str) -> None:
    """Present the order to a service that dies of it."""
    async with bureau.serving(fault) as service:
        with pytest.raises((ConnectionError, OSError)):
            await service.present(order)
        assert await service.ended() == -9


async def test_killed_between_its_beginning_and_its_effect_it_is_unknown_and_never_run_again(bureau: Bureau) -> None:
    ticket, order = await bureau.ordered()
    await killed(bureau, order, "before")
    assert bureau.ledger() == [(ticket.id, "begun")]
    async with bureau.serving() as service:
        for _ in range(2):
            assert (await service.present(order)).state == (409, "unknown")
        assert (await service.where(ticket)).state == (200, "unknown")
        public = await service.health()
        assert public.value["without_end"] == 1
        assert ticket.id not in str(public)
        assert ticket.id not in str(await service.call("GET", "/healthz", token=ORDERS_TOKEN + "x"))
        assert (await service.call("GET", "/healthz")).value["tickets_without_end"] == [ticket.id]
        closed = await service.close(ticket)
        assert closed.state == (200, "not_executed")
        assert "its key is closed" in closed.reason
        assert await service.present(order) == closed
    assert bureau.refunded == []
    assert bureau.rows("SELECT key FROM closed") == [(ticket.id,)]


async def test_killed_between_its_effect_and_its_answer_the_payments_own_records_tell(bureau: Bureau) -> None:
    ticket, order = await bureau.ordered()
    await killed(bureau, order, "after")
    assert bureau.ledger() == [(ticket.id, "begun")]
    async with bureau.serving() as service:
        answer = await service.present(order)
        assert answer.state == (200, "executed")
        assert answer.value["receipt"]["reference"] == "R-1"
        assert await service.close(ticket) == await service.where(ticket) == answer
    assert bureau.refunded == [4000]


async def test_while_the_payments_cannot_be_read_it_stays_unknown(bureau: Bureau) -> None:
    ticket, order = await bureau.ordered()
    async with bureau.serving("breaks") as service:
        assert (await service.present(order)).state == (409, "unknown")
        assert (await service.present(order)).state == (409, "unknown")
        assert (await service.close(ticket)).state == (409, "unknown")
        assert (await service.where(ticket)).state == (200, "unknown")
    async with bureau.serving() as service:
        assert (await service.where(ticket)).state == (200, "executed")
    assert bureau.refunded == [4000]


async def test_without_its_ledger_it_does_not_start(bureau: Bureau) -> None:
    _, order = await bureau.ordered()
    async with bureau.serving() as service:
        await service.present(order)
    for left in bureau.folder.glob("state/ledger.db*"):
        left.unlink()
    await refuses_to_start(bureau, "ledger.db is gone")
    assert not (bureau.folder / "state" / "ledger.db").exists()


async def test_with_an_older_copy_of_one_of_its_files_it_does_not_start(bureau: Bureau) -> None:
    _, first = await bureau.ordered(value="10.00")
    async with bureau.serving() as service:
        await service.present(first)
    state, older = bureau.folder / "state", bureau.folder / "older"
    shutil.copytree(state, older)
    async with bureau.serving() as service:
        assert (await service.present((await bureau.ordered("O-1002", "1.00"))[1])).state == (200, "executed")
    newer = bureau.folder / "newer"
    shutil.copytree(state, newer)
    for name in ("ledger.db", "payments.db"):
        shutil.copy(older / name, state / name)
        await refuses_to_start(bureau, f"{name} does not know what was done last")
        shutil.copy(newer / name, state / name)
    (state / "payments.db").unlink()
    await refuses_to_start(bureau, "payments.db does not know what was done last")


async def test_after_both_files_were_rolled_back_the_log_knows_what_was_executed(bureau: Bureau) -> None:
    """It is not told that nothing happened, and it does not happen again."""
    async with bureau.serving():
        pass
    older = bureau.folder / "older"
    shutil.copytree(bureau.folder / "state", older)
    ticket, order = await bureau.ordered()
    async with bureau.serving() as service:
        assert (await service.present(order)).state == (200, "executed")
    await bureau.workshop.authority.report(ticket.id, Event.REPORT_EXECUTED, {"receipt": {"reference": "R-1"}})
    for name in ("ledger.db", "payments.db"):
        shutil.copy(older / name, bureau.folder / "state" / name)
    async with bureau.serving() as service:
        answer = await service.present(order)
        assert answer.state == (409, "unknown")
        assert "The log tells that it was executed" in answer.reason
        assert (await service.close(ticket)).state == (409, "unknown")
    assert bureau.refunded == []
    assert "it is an old copy" in bureau.log


async def test_a_ledger_that_is_damaged_is_said_in_words(bureau: Bureau) -> None:
    async with bureau.serving():
        pass
    (bureau.folder / "state" / "ledger.db").write_bytes(b"no database at all" * 1000)
    await refuses_to_start(bureau, "cannot be opened")


async def test_a_second_process_over_the_same_files_is_refused(bureau: Bureau) -> None:
    async with bureau.serving():
        await refuses_to_start(bureau, "Another process works in")


async def test_the_ledger_of_another_authority_is_refused(bureau: Bureau) -> None:
    async with bureau.serving():
        pass
    bureau.write(issuer="https://other.example")
    await refuses_to_start(bureau, "belongs to another authority")


async def test_an_older_trust_file_than_was_used_before_is_refused(bureau: Bureau) -> None:
    records = len(bureau.workshop.office.records)
    bureau.write(roster=bureau.workshop.office.trust(minimum_version=records))
    async with bureau.serving():
        pass
    bureau.write(roster=bureau.workshop.office.trust(minimum_version=records - 1))
    await refuses_to_start(bureau, f"it pins {records - 1} records of the roster, and that one {records}")
    await refuses_to_start(bureau, "counterfoil prove --trust")
    bureau.write(roster=bureau.workshop.office.trust(minimum_version=records))
    async with bureau.serving() as service:
        assert (await service.present((await bureau.ordered())[1])).state == (200, "executed")


async def test_a_key_that_was_heard_to_be_stopped_stays_so_whatever_trust_file_is_there(bureau: Bureau) -> None:
    """The old file, in which it is trusted, is back; and the feed is signed by the key that came after it."""
    workshop = bureau.workshop
    _, order = await bureau.ordered()
    old = workshop.authority.keys.current.id
    bureau.write()

    async def kept(_: object) -> None:
        pass

    await workshop.authority.rotate_keys(kept)
    await workshop.authority.suspend(f"key:{old}", "stolen")
    async with bureau.serving():
        pass  # it hears of it, and of nothing else later
    bureau.write()
    async with bureau.serving() as service:
        answer = await service.present(order)
        assert answer.state == (200, "not_executed")
        assert "signature or form is not valid" in answer.reason
    assert bureau.refunded == []


async def refuses_to_start(bureau: Bureau, why: str) -> None:
    before = len(bureau.log)
    process = bureau.launched()
    try:
        code = process.wait(60)
    finally:
        process.kill()
        process.communicate()
    assert code == 2
    said = bureau.log[before:]
    assert why in said
    assert "Traceback" not in said
