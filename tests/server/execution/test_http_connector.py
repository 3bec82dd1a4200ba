"""The connector to an executor outside: it never says what it does not know, whatever comes back over the wire."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from counterfoil import Execution, NotExecuted, Receipt
from counterfoil.errors import DeskError
from counterfoil.tickets import State
from counterfoil_server.connectors import HTTPConnector, OutcomeUnknown
from counterfoil_server.execution.outside_answers import MAX_ANSWER
from server.execution.elsewhere import ANSWERS, BYTES, TOKEN, Elsewhere
from server.execution.outside import PAYMENTS
from server.execution.workshop import Workshop, open_workshop

pytestmark = pytest.mark.anyio

ORDER = Execution(ticket="cf_1", idempotency_key="cf_1", presented='{"format":"counterfoil-order"}')


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Elsewhere]:
    monkeypatch.setenv("A_SERVICE_TOKEN", TOKEN)
    async with Elsewhere.open() as opened:
        yield opened


def connector(service: Elsewhere, **more: Any) -> HTTPConnector:
    how: dict[str, Any] = {"token_env": "A_SERVICE_TOKEN", "pause": 0.001, "patience": 20.0}
    return HTTPConnector(service.url, **how | more)


async def test_an_order_is_handed_on_as_it_is_with_the_ticket_as_key(service: Elsewhere) -> None:
    receipt = await connector(service).execute(ORDER, Receipt)
    assert receipt == Receipt(reference="E-1", summary="paid")
    [(path, headers, body)] = service.calls
    assert (path, body.decode()) == ("/orders", ORDER.presented)
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["idempotency-key"] == "cf_1"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert await connector(service).execute(ORDER, Receipt) == receipt
    assert service.done == {"cf_1": "E-1"}


async def test_a_promise_that_nothing_was_done_is_passed_on(service: Elsewhere) -> None:
    service.wrong = "This executor does not run the operation 'pay'."
    with pytest.raises(NotExecuted, match="does not run the operation"):
        await connector(service).execute(ORDER, Receipt)


@pytest.mark.parametrize("mood", [*BYTES, *(each for each in ANSWERS if each != "has an empty receipt"), "unknown"])
async def test_whatever_is_no_answer_leaves_the_outcome_unknown(service: Elsewhere, mood: str) -> None:
    for then in ("execute", "lookup"):
        service.moods, service.calls = [mood] * 10, []
        with pytest.raises(OutcomeUnknown):
            await getattr(connector(service), then)(ORDER, Receipt)
        # Nothing but what is agreed on is repeated: a lookup while the order is being carried out.
        assert len(service.calls) == (4 if (then, mood) == ("lookup", "unknown") else 1)
        assert not service.done


async def test_an_execution_whose_receipt_has_another_form_is_unknown(service: Elsewhere) -> None:
    class Numbered(Receipt):
        number: int

    service.moods = ["has an empty receipt"]
    with pytest.raises(OutcomeUnknown, match="It was executed, with a receipt"):
        await connector(service).execute(ORDER, Receipt)
    service.done["cf_1"] = "E-1"
    with pytest.raises(OutcomeUnknown, match="It was executed, with a receipt"):
        await connector(service).lookup(ORDER, Numbered)


async def test_an_answer_is_not_kept_beyond_what_an_answer_can_have(service: Elsewhere) -> None:
    assert len(BYTES["never ends"]) > 10 * MAX_ANSWER
    service.moods = ["never ends"]
    with pytest.raises(OutcomeUnknown, match="more than any answer has"):
        await connector(service).execute(ORDER, Receipt)


async def test_a_service_that_hangs_is_not_waited_for(service: Elsewhere) -> None:
    service.moods = ["hangs"]
    with pytest.raises(OutcomeUnknown, match="in time"):
        await connector(service, patience=0.2).execute(ORDER, Receipt)


async def test_an_order_that_has_to_wait_is_presented_again(service: Elsewhere) -> None:
    service.moods = ["waits", "waits", "waits"]
    assert (await connector(service).execute(ORDER, Receipt)).reference == "E-1"
    assert [path for path, _, _ in service.calls] == ["/orders"] * 4


async def test_an_order_that_waits_too_long_is_closed_before_it_is_given_up(service: Elsewhere) -> None:
    """The service has it: until it says that it never will, it could still run it."""
    service.moods = ["waits"]
    with pytest.raises(NotExecuted, match=r"could not run it in time\. The feed is old\."):
        await connector(service, patience=20, pause=20).execute(ORDER, Receipt)
    assert [path for path, _, _ in service.calls] == ["/orders", "/orders/cf_1/close"]
    with pytest.raises(NotExecuted):
        await connector(service).execute(ORDER, Receipt)
    assert not service.done

    service.moods = ["waits", "fails"]
    with pytest.raises(OutcomeUnknown):
        await connector(service, patience=20, pause=20).execute(ORDER, Receipt)


async def test_the_close_of_what_was_done_meanwhile_is_its_receipt(service: Elsewhere) -> None:
    service.done["cf_1"] = "E-7"
    service.moods = ["waits"]
    assert (await connector(service, patience=20, pause=20).execute(ORDER, Receipt)).reference == "E-7"


async def test_a_service_that_is_down_was_sent_nothing(service: Elsewhere) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    down = HTTPConnector(f"http://localhost:{port}", token_env="A_SERVICE_TOKEN", patience=1.0, pause=0.001)
    with pytest.raises(NotExecuted, match="nothing was sent"):
        await down.execute(ORDER, Receipt)
    with pytest.raises(OutcomeUnknown, match="could not be asked"):
        await down.lookup(ORDER, Receipt)


async def test_a_service_that_comes_up_meanwhile_is_found(service: Elsewhere) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    calling = asyncio.create_task(
        HTTPConnector(f"http://localhost:{port}", token_env="A_SERVICE_TOKEN", pause=0.01).execute(ORDER, Receipt)
    )
    late = Elsewhere()
    async with await asyncio.start_server(late._connected, "localhost", port):
        assert (await calling).reference == "E-1"


async def test_a_lookup_closes_what_never_began(service: Elsewhere) -> None:
    assert await connector(service).lookup(ORDER, Receipt) is None
    assert service.closed == {"cf_1"}
    with pytest.raises(NotExecuted):
        await connector(service).execute(ORDER, Receipt)


async def test_a_lookup_finds_what_was_done(service: Elsewhere) -> None:
    service.moods = ["says nothing, having done it"]
    with pytest.raises(OutcomeUnknown):
        await connector(service).execute(ORDER, Receipt)
    service.moods = ["unknown", "unknown"]
    assert await connector(service).lookup(ORDER, Receipt) == Receipt(reference="E-1", summary="paid")


async def test_a_ticket_cannot_reach_another_address(service: Elsewhere) -> None:
    await connector(service).lookup(Execution(ticket="../x?y#z", idempotency_key="k"), Receipt)
    assert service.calls[0][0] == "/orders/..%2Fx%3Fy%23z/close"


@pytest.mark.parametrize("token", ["", "short", "x" * 40 + "\r\nEvil: 1"])
async def test_without_a_token_nothing_is_sent(
    service: Elsewhere, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    monkeypatch.setenv("A_SERVICE_TOKEN", token)
    with pytest.raises(NotExecuted, match="not set up"):
        await connector(service).execute(ORDER, Receipt)
    with pytest.raises(OutcomeUnknown, match="not set up"):
        await connector(service).lookup(ORDER, Receipt)
    assert "A_SERVICE_TOKEN" in caplog.text
    assert not service.calls


async def test_an_operation_that_names_no_executor_hands_nothing_on(service: Elsewhere) -> None:
    with pytest.raises(NotExecuted, match="names no executor"):
        await connector(service).execute(ORDER.model_copy(update={"presented": None}), Receipt)
    assert not service.calls


async def test_no_proxy_of_the_environment_gets_the_order(service: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Elsewhere.open() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await connector(service).execute(ORDER, Receipt)
        assert (len(service.calls), len(proxy.calls)) == (1, 0)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://payments.example.com", "without encryption"), ("http://10.0.0.1:80", "without encryption"),
        ("http://localhost.evil.example", "without encryption"), ("ftp://localhost", "no address"), ("", "no address"),
        ("payments.example.com", "no address"), ("https://", "no address"), ("https://a:b@c.example", "no address"),
        ("https://c.example/?x=1", "no address"), ("https://c.example/#x", "no address"),
        ("https://c.example:0", "no address"), ("https://c.example:x", "no address"), ("https://[::1", "no address"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_trusted_is_refused_when_the_desk_is_loaded(url: str, why: str) -> None:
    with pytest.raises(DeskError, match=why):
        HTTPConnector(url, token_env="X")


@pytest.mark.parametrize("url", ["https://c.example/pay/", "http://localhost:1", "http://[::1]:1", "http://127.0.0.1"])
def test_https_is_fine_and_http_on_this_machine(url: str) -> None:
    HTTPConnector(url, token_env="X")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody knows, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    own, private = folder / "own.pem", folder / "private.pem"
    own.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return own, private


async def test_a_service_whose_certificate_is_not_trusted_is_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SERVICE_TOKEN", TOKEN)
    own, private = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own, private)
    async with Elsewhere.open(context) as service:
        url = service.url.replace("http:", "https:")
        how: dict[str, Any] = {"token_env": "A_SERVICE_TOKEN", "patience": 2.0, "pause": 1.0}
        with pytest.raises(NotExecuted, match="nothing was sent"):
            await HTTPConnector(url, **how).execute(ORDER, Receipt)
        assert not service.calls
        assert (await HTTPConnector(url, certificates=own, **how).execute(ORDER, Receipt)).reference == "E-1"
    with pytest.raises(DeskError, match="cannot be used"):
        HTTPConnector(url, token_env="X", certificates=private)


# Through the executor -------------------------------------------------------------------------------------------------


@pytest.fixture
async def workshop(tmp_path: Path, service: Elsewhere) -> AsyncIterator[Workshop]:
    """A desk whose payments are made elsewhere."""
    async with open_workshop(tmp_path, outside=PAYMENTS) as made:
        paying = connector(service)

        async def look(execution: Execution) -> Receipt | None:
            return await paying.lookup(execution, Receipt)

        async def pay(execution: Execution, **_: object) -> Receipt:
            return await paying.execute(execution, Receipt)

        operations = made.executor.judge.desk.operations
        operations["pay"] = replace(operations["pay"], run=pay, run_lookup=look, time_limit=5.0)
        yield made


async def test_a_payment_is_made_elsewhere_from_the_order_with_its_evidence(
    workshop: Workshop, service: Elsewhere
) -> None:
    ticket = await workshop.carried_out(await workshop.approved())
    assert (ticket.state, service.done) == (State.EXECUTED, {ticket.id: "E-1"})
    presented = json.loads(service.calls[0][2])
    assert presented["envelope"] == ticket.envelope_bytes.decode()
    assert len(presented["statements"]) == 1


async def test_a_connection_lost_after_the_effect_is_looked_up_and_found(
    workshop: Workshop, service: Elsewhere
) -> None:
    service.moods = ["cuts its answer, having done it"]
    ticket = await workshop.carried_out(await workshop.approved())
    assert (ticket.state, service.done) == (State.EXECUTED, {ticket.id: "E-1"})
    assert [path for path, _, _ in service.calls] == ["/orders", f"/orders/{ticket.id}/close"]


async def test_a_connection_lost_before_the_effect_is_looked_up_and_closed(
    workshop: Workshop, service: Elsewhere
) -> None:
    service.moods = ["says nothing"]
    ticket = await workshop.carried_out(await workshop.approved())
    assert (ticket.state, service.done, service.closed) == (State.NOT_EXECUTED, {}, {ticket.id})


async def test_a_service_that_was_down_for_good_was_sent_nothing_and_the_desk_goes_on(
    workshop: Workshop, service: Elsewhere
) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        down = HTTPConnector(
            f"http://localhost:{taken.getsockname()[1]}", token_env="A_SERVICE_TOKEN", patience=1.0, pause=0.001
        )

    async def pay(execution: Execution, **_: object) -> Receipt:
        return await down.execute(execution, Receipt)

    operations = workshop.executor.judge.desk.operations
    operations["pay"] = replace(operations["pay"], run=pay)
    ticket = await workshop.carried_out(await workshop.approved())
    assert ticket.state is State.NOT_EXECUTED
    assert "nothing was sent" in str(ticket.outcome)


async def test_what_nobody_could_say_stays_unknown_until_the_service_can(
    workshop: Workshop, service: Elsewhere
) -> None:
    service.moods = ["fails, having done it", "fails"]
    ticket = await workshop.carried_out(await workshop.approved())
    assert ticket.state is State.UNKNOWN
    service.moods = ["unknown"] * 4
    await workshop.dispatcher.settle()
    assert (await workshop.now(ticket)).state is State.UNKNOWN
    await workshop.dispatcher.settle()
    assert (await workshop.now(ticket)).state is State.EXECUTED
    assert service.done == {ticket.id: "E-1"}


async def test_an_order_that_hangs_is_ended_by_the_operations_limit_and_closed(
    workshop: Workshop, service: Elsewhere
) -> None:
    await workshop.carried_out(await workshop.approved("1.00"))
    service.moods = ["hangs"]
    operations = workshop.executor.judge.desk.operations
    operations["pay"] = replace(operations["pay"], time_limit=1.0)
    ticket = await workshop.carried_out(await workshop.approved())
    assert (ticket.state, service.closed) == (State.NOT_EXECUTED, {ticket.id})


async def test_a_crash_after_the_order_was_handed_on_is_settled_by_the_service(
    workshop: Workshop, service: Elsewhere
) -> None:
    service.moods = ["hangs"]
    ticket, order = await workshop.ordered()
    running = asyncio.create_task(workshop.executor.run(ticket.id, order))
    await service.called.wait()
    running.cancel()
    await asyncio.wait([running])
    again = workshop.new_executor()
    await again.recover(await workshop.now(ticket))
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert (service.done, service.closed) == ({}, {ticket.id})


async def test_nobody_waits_while_the_certificates_are_read(
    service: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, readers = httpx2.create_ssl_context, []

    def watched(**given: Any) -> ssl.SSLContext:
        readers.append(threading.current_thread())
        return real(**given)

    monkeypatch.setattr(httpx2, "create_ssl_context", watched)
    await connector(service).execute(ORDER, Receipt)
    assert len(readers) == 1
    assert readers[0] is not threading.current_thread()
