"""The service's HTTP: who asks without the token, or sends what is no order, gets words; nobody holds it up."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil.bundle import MAX_BUNDLE
from examples.payments.bureau import EXAMPLES, ORDERS_TOKEN, SETTINGS, Bureau, Service
from examples.payments.feed_server import FEED_TOKEN
from payments_service.__main__ import main
from payments_service.database import StartRefused
from payments_service.settings import load

pytestmark = pytest.mark.anyio

CORE = {
    "payments_service", "counterfoil", "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
    "typing_inspection", "cryptography", "rfc8785", "cedarpy", "msgspec",
}  # fmt: skip
"""And what the core's dependencies need."""
REMAINS = (
    "mcp", "starlette", "uvicorn", "httpx2", "jinja2", "typer", "rich", "webauthn", "aiosmtplib", "anyio",
    "counterfoil_server",
)  # fmt: skip


async def test_without_its_token_nothing_is_said(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    mine = f"/orders/{ticket.id}"
    asked = [
        ("GET", "/payments/O-1001"),
        ("GET", "/nothing"),
        ("GET", mine),
        ("POST", f"{mine}/close"),
        ("POST", "/orders"),
    ]
    for token in ("", "x", ORDERS_TOKEN + "x", FEED_TOKEN, "é"):
        for method, path in asked:
            body = order if path == "/orders" else None
            answer = await service.call(method, path, body, {"Idempotency-Key": ticket.id}, token)
            assert (answer.status, list(answer.value)) == (401, ["error"])
    assert bureau.ledger() == []


async def test_what_is_no_order_is_refused_in_words_and_not_written_down(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    value = json.loads(order)
    other = json.loads(value["envelope"]) | {"issuer": "https://evil.example"}
    bodies = [
        "", "{", "[]", "null", '"x"', "{}", "[" * 100_000, '{"a":1,"a":2}', json.dumps(value | {"envelope": "{}"}),
        json.dumps(value | {"more": 1}), json.dumps(value | {"v": 2}), json.dumps(value | {"envelope": "é"}),
        json.dumps(value | {"envelope": json.dumps(other, separators=(",", ":"), sort_keys=True)}),
    ]  # fmt: skip
    for body in bodies:
        answer = await service.present(body, key=ticket.id)
        assert (answer.status, list(answer.value)) == (400, ["error"]), body[:80]
    for key in ("", "cf_other", ticket.id + "x"):
        answer = await service.present(order, key=key)
        assert answer.status == 400
        assert "Idempotency-Key" in answer.value["error"]
    assert bureau.ledger() == []
    assert (await service.present(order)).state == (200, "executed")


BAD = [
    (b"POST /orders HTTP/1.1\r\n{token}Content-Length: -1\r\n\r\n", 400),
    (b"POST /orders HTTP/1.1\r\n{token}Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"POST /orders HTTP/1.1\r\n{token}{token}Content-Length: 1\r\n\r\n", 400),
    (b"POST /orders HTTP/1.1\r\n{token}Content-Length: 99999999999999999999\r\n\r\n", 400),
    (b"POST /orders HTTP/1.1\r\n{token}Content-Length: %d\r\n\r\n" % (MAX_BUNDLE + 1), 413),
    (b"POST /orders HTTP/1.1\r\n{token}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    (b"POST /orders HTTP/1.1\r\n{token}Content-Length: 10\r\n\r\nhalf", 400),
    (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n", 431),
    (b"BREW /orders HTTP/1.1\r\n\r\n", 501),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 505),
    (b"GET /orders/%2e%2e%2f HTTP/1.1\r\n{token}\r\n", 404),
    (b"GET /orders/a HTTP/1.1\r\n{token}{token}\r\n", 400),
    (b"GET /orders/a/close HTTP/1.1\r\n{token}\r\n", 404),
    (b"POST /elsewhere HTTP/1.1\r\n{token}\r\n", 404),
    (b"GET /payments/none HTTP/1.1\r\n{token}\r\n", 404),
]


async def test_bad_requests_are_answered_in_words(service: Service) -> None:
    token = f"Authorization: Bearer {ORDERS_TOKEN}\r\n".encode()
    for sent, status in BAD:
        answer = await asyncio.to_thread(_raw, service.port, sent.replace(b"{token}", token))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 %d " % status), (sent[:80], answer)
        assert list(json.loads(body)) == ["error"]
        if sent.endswith(b"half"):
            assert b"ended before it was whole" in body


async def test_whoever_sends_much_without_the_token_is_answered_all_the_same(service: Service) -> None:
    for _ in range(3):
        assert (await service.call("POST", "/orders", "x" * 8_000_000, token="wrong")).status == 401


def _raw(port: int, sent: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", port), 30)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
        return answer


async def test_slow_clients_do_not_hold_it_up(bureau: Bureau) -> None:
    """More of them than it has places, each of which sends a byte and then nothing."""
    _, order = await bureau.ordered()
    async with bureau.serving("hurried") as service:
        slow = [socket.create_connection(("127.0.0.1", service.port), 30) for _ in range(40)]
        try:
            for each in slow:
                each.sendall(b"P")
            ended = [await asyncio.to_thread(each.recv, 100) for each in slow]
            assert {told[:12] for told in ended} <= {b"HTTP/1.0 400", b"HTTP/1.0 503", b""}
            answer = await service.present(order)
            assert answer.state == (200, "executed")
        finally:
            for each in slow:
                each.close()


async def test_the_state_of_a_payment_is_told_to_the_desk(service: Service) -> None:
    answer = await service.call("GET", "/payments/O-1001")
    assert answer.value == {
        "order_id": "O-1001", "account": "A-1", "method": "Visa ending 4242", "currency": "EUR", "captured": 12000,
        "refunded": 0, "version": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("[limits.EUR]", "[limits.EUR"), "cannot be read as TOML"),
        (('trust = "trust.json"', 'trust = "none.json"'), "counterfoil prove --trust"),
        (('trust = "trust.json"', 'trust = "payments.toml"'), "trust file"),
        (("port = 0", "port = 70000"), "do not fit: port"),
        (("port = 0", "port = 0\nmore = 1"), "do not fit: more"),
        (('holder = "passkey"\ncode = true', ""), "asks for nothing"),
        (('executor = "payments"', 'executor = "others"'), "no executor 'others'"),
        (('"FEED"', '"ABSENT"'), "ABSENT holds no token"),
        (('"ORDERS"', '"ABSENT"'), "ABSENT holds no token"),
        (('authority = "http', 'authority = "ftp'), "address of the desk"),
    ],
)
async def test_settings_that_do_not_fit_are_said_in_words(
    bureau: Bureau,
    change: tuple[str, str],
    why: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FEED", FEED_TOKEN)
    monkeypatch.setenv("ORDERS", ORDERS_TOKEN)
    settings = bureau.folder / "payments.toml"
    assert change[0] in settings.read_text()
    settings.write_text(settings.read_text().replace(*change))
    assert main(["--config", str(settings)]) == 2
    assert why in capsys.readouterr().err


def test_it_loads_nothing_but_the_core_and_its_dependencies() -> None:
    """Of everything that is installed here."""
    code = "import sys, payments_service.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split()) - sys.stdlib_module_names
    foreign = {name for name in loaded if not name.startswith("_")}
    assert {"payments_service", "counterfoil", "pydantic", "cryptography"} <= foreign <= CORE


async def test_it_needs_nothing_but_the_core(bureau: Bureau, tmp_path: Path) -> None:
    """Whatever the server's extras bring cannot be imported; it is started as the README says."""
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text(f"import sys\nsys.modules.update(dict.fromkeys({REMAINS!r}))\n")
    environment = os.environ | {
        "FEED": FEED_TOKEN, "ORDERS": ORDERS_TOKEN, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(tmp_path)]),
    }  # fmt: skip
    blocked = subprocess.run([sys.executable, "-c", "import mcp"], env=environment, capture_output=True, text=True)
    assert "halted; None in sys.modules" in blocked.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "payments_service", "--config", str(bureau.folder / "payments.toml")],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = await asyncio.to_thread(process.stdout.readline)
    try:
        assert "listens on" in line
        service = Service(process, int(line.rsplit(":", 1)[1]))
        _, order = await bureau.ordered()
        assert (await service.present(order)).state == (503, "waiting")
    finally:
        process.terminate()
        _, said = await asyncio.to_thread(process.communicate)
        assert "Traceback" not in said
    assert process.returncode == 0


@pytest.mark.parametrize("address", ["", "desk.example", "ftp://desk.example", "http://", "http://[::1", "http://a:b"])
def test_an_address_that_is_none_is_refused_when_the_settings_are_read(tmp_path: Path, address: str) -> None:
    path = tmp_path / "payments.toml"
    path.write_text(SETTINGS.format(port=1, every=5.0, staff="").replace("http://127.0.0.1:1", address))
    with pytest.raises(StartRefused, match="authority is the address"):
        load(path)
