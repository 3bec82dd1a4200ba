"""An executor outside in JavaScript: a desk presents it real orders, and it reads the desk's real feed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.node import VERIFIER, run_node
from conformance.node_service import DOES_NOT_RUN, FEED_TOKEN, NodeService
from counterfoil.feed import MAX_PAGE
from counterfoil.testing import OpenDesk, Person, open_desk
from counterfoil_server.listening import serving
from counterfoil_server.testing.clock import Clock
from payments_service.desk.desk import build

pytestmark = pytest.mark.anyio

POLICY = VERIFIER.parent / "payments_service" / "desk" / "policy.cedar"
AMOUNT = {"value": "40.00", "currency": "EUR"}
AN_HOUR_AGO = 3600


@dataclass(frozen=True)
class Together:
    """Desk, service and a customer."""

    desk: OpenDesk
    service: NodeService
    ada: Person

    async def approved(self) -> str:
        """A refund that an AI asked for and Ada approved, at its end; answers the ticket's id."""
        asked = await self.desk.ai.request("refund", account="A-1", order_id="O-1001", amount=AMOUNT)
        await self.ada.approves(asked)
        return str((await self.desk.settled(asked)).id)


@pytest.fixture
async def together(tmp_path: Path, verifier: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Together]:
    monkeypatch.setenv("PAYMENTS_FEED_TOKEN", FEED_TOKEN)
    monkeypatch.setenv("PAYMENTS_ORDERS_TOKEN", "orders-token-0123456789-0123456789")
    for name in ("desk", "service"):
        (tmp_path / name).mkdir()
    service = NodeService(verifier, tmp_path / "service")
    listener = socket.create_server(("127.0.0.1", 0))
    settings = {"feed": {"token_env": "PAYMENTS_FEED_TOKEN"}, "trust_client_isolation": True}
    async with (
        serving(service.application(), listener),
        open_desk(
            build(f"http://127.0.0.1:{listener.getsockname()[1]}"), tmp_path / "desk", policy=POLICY,
            settings=settings, clock=Clock(time.time() - AN_HOUR_AGO),
        ) as desk,
    ):  # fmt: skip
        service.desk = desk
        ada = await desk.enrol("Ada Byron", account="A-1")
        (service.folder / "trust.json").write_text(json.dumps(await desk.administer("evidence_trust")))
        yield Together(desk, service, ada)


async def test_javascript_runs_what_people_signed_until_it_hears_otherwise(together: Together) -> None:
    desk, service = together.desk, together.service
    before = await service.follow()
    ticket = await together.approved()
    assert (await desk.ticket(ticket)).state == "executed"
    [said] = service.said
    assert (said["runs"], said["ticket"], said["people"]) == (True, ticket, [together.ada.id])

    async def refused(*pages: Path, ahead: float | None = 0) -> str:
        said = await service.judge(*pages, ahead=ahead)
        assert not said["runs"]
        return str(said["reason"])

    assert await refused(ahead=61) == "feed"
    assert await refused(ahead=None) == "feed", "by its own clock the feed is an hour old"
    assert await refused(before) == "redemption", "the log told of none then"
    assert await refused(service.pages[1]) == "first", "what comes before was not read"

    await desk.suspend("account:A-1")
    await service.follow()
    assert await refused() == "barred"
    await desk.resume("account:A-1")
    await service.follow()
    assert (await service.judge())["runs"]
    await desk.revoke(together.ada)
    await service.follow()
    assert await refused() == "barred"
    lie = json.loads(service.pages[-1].read_text())
    lie["leaves"] = []
    service.pages[-1].write_text(json.dumps(lie))
    assert await refused() == "leaves", "a revocation is not left out"


async def test_what_is_revoked_while_its_order_is_on_its_way_is_not_run(together: Together) -> None:
    desk, service = together.desk, together.service

    async def stop() -> None:
        await desk.suspend("operation:refund")

    service.meanwhile = stop
    ticket = await desk.ticket(await together.approved())
    assert ticket.state == "not_executed"
    assert ticket.reason is not None
    assert "suspended or revoked" in ticket.reason
    assert [said["reason"] for said in service.said] == ["barred"]


async def test_the_command_says_what_is_wrong_with_what_it_was_given(together: Together, verifier: Path) -> None:
    service = together.service
    await together.approved()
    [page] = service.pages
    folder, now = service.folder, str(int(together.desk.clock()))
    rest = ("--executor", "payments", "--now", now)
    good = ("--trust", folder / "trust.json", "--floors", folder / "floors.json", *rest)

    code, out, errors = await run_node("judge.mjs", service.order, page, *good, folder=verifier)
    assert (code, errors) == (0, "")
    assert f"✓ The order of {(await together.desk.tickets())[0].id}, refund, holds." in out
    code, out, errors = await run_node("judge.mjs", page, page, *good, folder=verifier)
    assert (code, out) == (DOES_NOT_RUN, "")
    assert "✗ This is no order with its evidence." in errors
    huge = folder / "huge.json"
    huge.write_bytes(page.read_bytes().ljust(MAX_PAGE + 1))
    code, out, errors = await run_node("judge.mjs", service.order, huge, *good, folder=verifier)
    assert (code, out) == (DOES_NOT_RUN, "")
    assert "✗ This is no page of a feed." in errors
    own = ("--trust", folder / "trust.json")
    unusable = [
        (service.order, *good), (service.order, page, *good, "--now", "soon"),
        (service.order, page, "--trust", page, "--floors", folder / "floors.json", *rest),
        (service.order, page, *own, "--floors", folder / "trust.json", *rest),
    ]  # fmt: skip
    for arguments in unusable:
        code, out, errors = await run_node("judge.mjs", *arguments, folder=verifier)
        assert (code, out, errors[0]) == (2, "", "✗")
        assert "    at " not in errors
