"""The whole way: an AI asks the desk, a person approves on the page, and the payments service runs it, once."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from counterfoil.testing import OpenDesk, Person, open_desk
from examples.payments.bureau import EXAMPLES, ORDERS_TOKEN, Launch, Service
from examples.payments.feed_server import FEED_TOKEN
from payments_service.desk.desk import build

pytestmark = pytest.mark.anyio

FOLDER = EXAMPLES / "payments_service"
AMOUNT = {"value": "40.00", "currency": "EUR"}


@dataclass(frozen=True)
class Together:
    """Desk, service and a customer."""

    desk: OpenDesk
    launch: Launch
    ada: Person

    @asynccontextmanager
    async def serving(self, *fault: str) -> AsyncIterator[Service]:
        async with self.launch.serving(*fault) as service:
            yield service


@pytest.fixture
async def together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Together]:
    monkeypatch.setenv("PAYMENTS_FEED_TOKEN", FEED_TOKEN)
    monkeypatch.setenv("PAYMENTS_ORDERS_TOKEN", ORDERS_TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "desk").mkdir()
    settings = {"feed": {"token_env": "PAYMENTS_FEED_TOKEN"}, "trust_client_isolation": True}
    async with open_desk(
        build(f"http://127.0.0.1:{port}"), tmp_path / "desk", policy=FOLDER / "desk" / "policy.cedar",
        settings=settings,
    ) as desk:  # fmt: skip
        own = tmp_path / "service"
        own.mkdir()
        text = (FOLDER / "payments.toml").read_text()
        text = text.replace("http://localhost:8700", desk.url).replace("port = 8710", f"port = {port}")
        (own / "payments.toml").write_text(text)
        ada = await desk.enrol("Ada Byron", account="A-1")
        (own / "trust.json").write_text(json.dumps(await desk.administer("evidence_trust")))
        (own / "clock").write_text(str(desk.clock()))
        yield Together(desk, Launch(own, {}), ada)


async def test_request_approve_and_the_payments_service_runs_it(together: Together) -> None:
    async with together.serving() as service:
        asked = await together.desk.ai.request("refund", account="A-1", order_id="O-1001", amount=AMOUNT)
        page = await together.ada.reads(asked)
        assert "Visa ending 4242" in page.text
        await together.ada.approves(asked)
        ticket = await together.desk.settled(asked)
        assert ticket.state == "executed"
        assert ticket.receipt is not None
        assert ticket.receipt.reference == "R-1"
        assert (await service.call("GET", "/payments/O-1001")).value["refunded"] == 4000

        undo = await together.desk.ai.request("undo_refund", ticket=asked.ticket)
        await together.ada.approves(undo)
        assert (await together.desk.settled(undo)).state == "executed"
        assert (await service.call("GET", "/payments/O-1001")).value["refunded"] == 0


async def test_what_the_services_own_limits_refuse_the_desk_reports_as_not_executed(together: Together) -> None:
    async with together.serving():
        asked = await together.desk.ai.request("refund", account="A-1", order_id="O-1001", amount=AMOUNT)
        text = (together.launch.folder / "payments.toml").read_text()
    (together.launch.folder / "payments.toml").write_text(text.replace('one = "500.00"', 'one = "39.99"'))
    async with together.serving() as service:
        await together.ada.approves(asked)
        ticket = await together.desk.settled(asked)
        assert ticket.state == "not_executed"
        assert ticket.reason is not None
        assert "more than this service pays back at once" in ticket.reason
        assert (await service.call("GET", "/payments/O-1001")).value["refunded"] == 0


async def test_killed_before_its_effect_the_desk_learns_that_nothing_happened(together: Together) -> None:
    async with together.serving("before") as service:
        asked = await together.desk.ai.request("refund", account="A-1", order_id="O-1001", amount=AMOUNT)
        await together.ada.approves(asked)
        assert (await together.desk.settled(asked)).state == "unknown"
        await service.ended()
    async with together.serving() as service:
        await together.desk.advance(minutes=2)
        (together.launch.folder / "clock").write_text(str(together.desk.clock()))
        assert (await together.desk.settled(asked)).state == "not_executed"
        assert (await service.call("GET", "/payments/O-1001")).value["refunded"] == 0
