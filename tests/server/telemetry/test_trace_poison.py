"""What a caller says of traces when it means harm: nothing of it is told on, kept or logged; nothing grows."""

from __future__ import annotations

import gc
import json
import logging
import secrets
import tracemalloc
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterfoil.testing import OpenDesk
from counterfoil_server.telemetry.metrics import Metrics
from counterfoil_server.telemetry.trace_context import caller_of
from counterfoil_server.telemetry.tracing import Tracing
from server.telemetry.collector import attributes, collecting, dead
from server.telemetry.conftest import Opened
from server.telemetry.test_tracing import ALLOWED, TRACE, TRACEPARENT

pytestmark = pytest.mark.anyio

MARK = "marked-zeppelin"
LONG = f"{MARK}-" + "x" * 60_000

METAS: list[Any] = [
    {"traceparent": LONG},
    {"traceparent": f"{TRACEPARENT}\r\n{MARK}: 1"},
    {"traceparent": f"\x00\x1b[31m{MARK}\x07\u202e\u2028"},
    {"traceparent": f"00-{MARK}"},
    {"traceparent": [TRACEPARENT, MARK]},
    {"traceparent": {MARK: TRACEPARENT}},
    {"traceparent": TRACEPARENT, "tracestate": LONG, "baggage": LONG},
    {"traceparent": TRACEPARENT, "tracestate": f"a=\x00{MARK}\n", "baggage": [MARK]},
    {f"{MARK}-{number}": number for number in range(1000)},
    {"progressToken": LONG, "io.modelcontextprotocol/related-task": {"taskId": MARK}},
    {f"{MARK}/" + "y" * 20_000: {"deep": [[[[MARK]]]]}},
    MARK,
    [MARK],
    {"counterfoil/error": {"code": MARK, "happened": MARK}},
]
HEADERS: list[dict[str, str]] = [
    {"traceparent": f"00-{MARK}"},
    {"traceparent": TRACEPARENT, "tracestate": f"{MARK}=1," * 400},
    {"baggage": f"{MARK}=1;" * 400, "traceresponse": MARK, "b3": MARK, "uber-trace-id": MARK, "x-request-id": MARK},
    {"traceparent": f"{TRACEPARENT},{TRACEPARENT}-{MARK}"},
]


async def send(desk: OpenDesk, meta: Any, headers: dict[str, str], tool: str, token: str) -> int:
    """One message, as any program can send it."""
    params = {"name": tool, "arguments": {}, "_meta": meta}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    sent = {
        "authorization": f"Bearer {token}", "mcp-protocol-version": "2025-11-25", "content-type": "application/json",
        "accept": "application/json, text/event-stream",
    } | headers  # fmt: skip
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(f"{desk.url}/mcp", content=message, headers=sent)
    assert "Traceback" not in answer.text
    return answer.status_code


async def test_nothing_of_it_is_told_kept_or_logged(
    traced: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for noisy in ("httpcore", "httpcore2", "httpx", "httpx2"):  # the test's own client
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with collecting() as collector:
        async with traced(collector.url) as desk:
            token = (await desk.administer("principals_add", name="raw", owner=None))["token"]
            for tool in ("opening_hours", "request_credit", "no_such_tool"):
                for meta in METAS:
                    assert await send(desk, meta, {}, tool, token) < 500
                for headers in HEADERS:
                    assert await send(desk, {}, headers, tool, token) < 500
            parts = desk.parts
            await parts.conversation.recorder.flush()
            metrics = Metrics(
                parts.store, parts.sealer, parts.publisher, parts.conversation, parts.configuration.desk.operations
            )
            assert MARK.encode() not in await metrics.text()
            assert await desk.ai.call("opening_hours")
        assert MARK not in collector.text
        assert all(attributes(span).keys() <= ALLOWED for span in collector.spans)
        assert all(len(span.name) < 100 and not span.trace_state for span in collector.spans)
        # The two ids that a caller may name are there where it named nothing worse.
        assert any(span.trace_id.hex() == TRACE for span in collector.spans)
    assert MARK not in caplog.text
    assert [path for path in tmp_path.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()] == []


async def test_thousands_who_each_name_another_trace_make_nothing_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody takes the spans, either: what waits for that is bounded."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead())
    tracing = Tracing(ratio=1.0, key=b"k" * 32)

    def calls(count: int) -> None:
        for _ in range(count):
            meta = {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01", "tracestate": LONG}
            with tracing.call("tools/call", caller=caller_of(meta, [])):
                pass

    try:
        calls(2_500)  # more than may wait
        gc.collect()
        tracemalloc.start()
        calls(4_000)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await tracing.close()
    # What is new replaced what was there before tracing of memory began: two thousand spans, a few MB.
    assert grown < 10_000_000
