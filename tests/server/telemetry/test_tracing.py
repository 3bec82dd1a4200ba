"""Traces of real requests, as a collector gets them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind

from counterfoil.testing import OpenDesk, ToolRefused, money, open_desk
from counterfoil_server.app import open_parts
from counterfoil_server.telemetry.tracing import GRACE, Tracing
from server.telemetry.collector import attributes, collecting, dead, silent
from server.telemetry.conftest import Opened
from server.testing.gym import POLICY, Gym, gym_desk

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"

QUICK = 5
"""Seconds that nothing takes on a busy machine; an exporter waits ten for an answer."""

ALLOWED = {"counterfoil.ticket", "counterfoil.operation", "counterfoil.event", "counterfoil.result", "error.type"}


async def call(
    desk: OpenDesk, tool: str, meta: dict[str, Any], headers: dict[str, str] | None = None, **arguments: Any
) -> Any:
    """Call a tool as any program can: with this ``_meta`` and these headers."""
    token = (await desk.administer("principals_add", name=f"raw-{time.monotonic_ns()}", owner=None))["token"]
    version = "2025-11-25"
    message = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": meta},
    }  # fmt: skip
    sent = {
        "authorization": f"Bearer {token}", "mcp-protocol-version": version,
        "accept": "application/json, text/event-stream",
    } | (headers or {})  # fmt: skip
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(f"{desk.url}/mcp", json=message, headers=sent)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["structuredContent"]


Collected = tuple[OpenDesk, InMemorySpanExporter]


@pytest.fixture
async def desk_of_a_host(tmp_path: Path, gym: Gym, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collected]:
    """An untraced desk in a process whose host has set up a tracer for every library."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("mcp.shared._otel._tracer", provider.get_tracer("mcp"))
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY) as desk:
        yield desk, exporter


async def test_a_request_is_followed_through_all_four_layers(traced: Opened) -> None:
    with collecting() as collector:
        async with traced(collector.url) as desk:
            ada = await desk.enrol("Ada", account="M-1")
            meta = {"traceparent": TRACEPARENT}
            amount = {"value": "20.00", "currency": "EUR"}
            asked = await call(desk, "request_credit", meta, account="M-1", amount=amount)
            await ada.approves(await desk.mailbox.newest(ada, "waits for your decision"), code=asked["match_code"])
            assert (await desk.settled(asked["ticket"])).state == "executed"
        request, verb = collector.named("tools/call request_credit"), collector.named("authority.request")
        assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, SPAN)
        assert (verb.trace_id, verb.parent_span_id) == (request.trace_id, request.span_id)
        first = collector.named("ticket")
        assert first.trace_id != request.trace_id
        assert not first.parent_span_id
        assert [(link.trace_id, link.span_id) for link in first.links] == [(verb.trace_id, verb.span_id)]
        later = ["authority.decide", "authority.deliver", "authority.mint", "authority.redeem", "executor.run"]
        later += ["connector.call", "authority.report"]
        for name in later:
            assert collector.named(name).trace_id == first.trace_id, name
        decide, page = collector.named("authority.decide"), collector.named("page.decide")
        assert decide.parent_span_id == first.span_id
        assert [link.span_id for link in decide.links] == [page.span_id]
        assert collector.named("connector.call").parent_span_id == collector.named("executor.run").span_id
        about = {"counterfoil.ticket": asked["ticket"], "counterfoil.operation": "credit"}
        for name in (request.name, "authority.request", "ticket", "page.decide", "authority.decide", "connector.call"):
            assert attributes(collector.named(name)).items() >= about.items(), name
        assert attributes(collector.named("authority.report"))["counterfoil.event"] == "report_executed"
        assert collector.services == {"counterfoil"}


async def test_a_tickets_trace_goes_on_after_a_restart(traced: Opened) -> None:
    with collecting() as collector:
        async with traced(collector.url) as desk:
            asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
            again = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
            assert again.ticket == asked.ticket
        async with open_parts(desk.parts.configuration, clock=desk.clock) as parts:
            await parts.authority.veto(asked.ticket)
        first, veto = collector.named("ticket"), collector.named("authority.veto")
        assert (veto.trace_id, veto.parent_span_id) == (first.trace_id, first.span_id)


async def test_nothing_that_anybody_wrote_is_in_a_trace(traced: Opened, gym: Gym) -> None:
    marked = "marked-zeppelin"
    gym.members["M-1"] = f"{marked}-mail@members.example"
    meta = {
        "traceparent": TRACEPARENT, "tracestate": f"{marked}-state=1", "baggage": f"{marked}=1",
        "progressToken": f"{marked}-progress",
    }  # fmt: skip
    with collecting() as collector:
        async with traced(collector.url) as desk:
            ada = await desk.enrol(f"{marked} Ada", account="M-1")
            asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"), note=f"{marked} note")
            await ada.approves(asked)
            assert (await desk.settled(asked)).state == "executed"
            gym.broken = "silent"
            lost = await desk.ai.request("credit", account="M-1", amount=money("21.00"))
            await ada.approves(lost)
            assert (await desk.settled(lost)).state == "unknown"
            await call(desk, "request_credit", meta, {"tracestate": f"{marked}=2"}, account=f"{marked} hint", amount={
                "value": "1.00", "currency": "EUR"})  # fmt: skip
            for tool, arguments in (
                (f"{marked}-tool", {}),
                ("request_credit", {"account": marked, f"{marked}_argument": marked}),
                ("ticket_status", {"ticket": f"cf_{marked}"}),
                ("redeem_ticket", {"ticket": f"{marked} ticket", "capability": marked}),
            ):
                assert not (await desk.ai.call(tool, **arguments)).ok
        persons, principal = ada.id, "assistant"
        assert len(collector.spans) > 20
        text = collector.text
        for never in (marked, persons, principal, "M-1", "20.00", "no answer", asked.match_code, "cfp_", "eyJ"):
            assert never is not None
            assert never not in text, never
        told = {name for span in collector.spans for name in attributes(span)}
        assert told <= ALLOWED
        assert not any(span.trace_state or span.events or span.status.message for span in collector.spans)


async def test_the_library_tells_no_tracer_of_its_own_what_callers_choose(desk_of_a_host: Collected) -> None:
    desk, told = desk_of_a_host
    await desk.ai.call("marked_zeppelin")
    names = [span.name for span in told.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert names == []


async def test_refusals_and_failures_have_their_class_and_code(traced: Opened, gym: Gym) -> None:
    with collecting() as collector:
        async with traced(collector.url) as desk:
            with pytest.raises(ToolRefused):
                await desk.ai.request("credit", account="M-1", amount=money("0.00"))
            await desk.ai.call("no_such_tool")
            gym.broken = "silent"
            ada = await desk.enrol("Ada", account="M-1")
            asked = await desk.ai.request("credit", account="M-1", amount=money("21.00"))
            await ada.approves(asked)
            assert (await desk.settled(asked)).state == "unknown"
        refused = {"counterfoil.result": "refused", "error.type": "bad_arguments"}
        [first, *_] = [span for span in collector.spans if span.name == "tools/call request_credit"]
        assert attributes(first) == refused
        assert attributes(collector.named("tools/call")) == refused | {"error.type": "unknown_tool"}
        called = collector.named("connector.call")
        assert attributes(called)["counterfoil.event"] == "report_unknown"
        assert attributes(called)["counterfoil.result"] == "failed"
        assert called.status.code == called.status.STATUS_CODE_ERROR


class LockedLater(set[str]):
    """Accounts that are all locked once they were looked at so often."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __contains__(self, account: object) -> bool:
        self.looks -= 1
        return self.looks < 0


async def test_a_refusal_by_the_executor_has_its_code(traced: Opened, gym: Gym) -> None:
    with collecting() as collector:
        async with traced(collector.url) as desk:
            ada = await desk.enrol("Ada", account="M-1")
            for looks in range(2, 9):  # the last one before the effect is the executor's own
                gym.locked = LockedLater(looks)
                asked = await desk.ai.request("credit", account="M-1", amount=money(f"{looks}.00"))
                await ada.approves(asked)
                if (await desk.settled(asked)).state == "not_executed":
                    break
                await desk.advance(hours=1)
        [report] = [span for span in collector.spans if span.name == "authority.report"]
        assert attributes(report) == {
            "counterfoil.ticket": asked.ticket, "counterfoil.operation": "credit",
            "counterfoil.event": "report_not_executed", "counterfoil.result": "refused", "error.type": "order_refused",
        }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{SPAN}-01 ", f"00-{TRACE.upper()}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-x",
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}", "", "x" * 100_000, 7, None,
        [TRACEPARENT], {"a": 1}, f"00-{TRACE}-{SPAN}-01\n", f"00-{'٣' * 32}-{SPAN}-01",
    ],
)  # fmt: skip
async def test_what_is_no_traceparent_begins_a_trace_of_its_own(traced: Opened, value: object) -> None:
    with collecting() as collector:
        async with traced(collector.url) as desk:
            assert await call(desk, "opening_hours", {"traceparent": value}) == {"result": "always"}
        span = collector.named("tools/call opening_hours")
        assert span.trace_id.hex() != TRACE
        assert not span.parent_span_id


async def test_the_http_header_counts_where_the_message_says_nothing(traced: Opened) -> None:
    with collecting() as collector:
        async with traced(collector.url) as desk:
            await call(desk, "opening_hours", {}, {"traceparent": TRACEPARENT})
        span = collector.named("tools/call opening_hours")
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
@pytest.mark.parametrize(("ratio", "recorded"), [(0.0, 0), (1.0, 1)])
async def test_a_caller_does_not_say_whether_it_is_recorded(
    traced: Opened, flags: str, ratio: float, recorded: int
) -> None:
    with collecting() as collector:
        async with traced(collector.url, ratio) as desk:
            # The id that a sampler by trace id would take at any ratio.
            await call(desk, "opening_hours", {"traceparent": f"00-{'0' * 31}1-{SPAN}-{flags}"})
        assert len(collector.spans) == recorded


def test_a_share_is_recorded_of_calls_that_all_name_the_same_trace() -> None:
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracing = Tracing(ratio=0.25, key=b"k" * 32)
        for _ in range(2000):
            with tracing.call("tools/call", caller=SpanContext(1, 1, is_remote=True)):
                pass
        tracing._provider.shutdown()
        assert 350 < len(collector.spans) < 650


async def works(desk: OpenDesk) -> float:
    """A whole request, and the seconds of the slowest answer."""
    ada = await desk.enrol("Ada", account="M-1")
    slowest = 0.0
    for cents in range(3):
        began = time.monotonic()
        asked = await desk.ai.request("credit", account="M-1", amount=money(f"1.{cents:02}"))
        slowest = max(slowest, time.monotonic() - began)
        await ada.approves(asked)
        assert (await desk.settled(asked)).state == "executed"
    return slowest


async def test_a_dead_collector_changes_nothing(traced: Opened) -> None:
    async with traced(dead()) as desk:
        assert await works(desk) < QUICK
        ended = time.monotonic()
    assert time.monotonic() - ended < QUICK + GRACE


async def test_a_collector_that_never_answers_changes_nothing(traced: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with silent() as endpoint:
        async with traced(endpoint) as desk:
            assert await works(desk) < QUICK
            ended = time.monotonic()
        assert time.monotonic() - ended < QUICK + GRACE


def test_what_waits_for_a_collector_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")
    with silent() as endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        tracing = Tracing(ratio=1.0, key=b"k" * 32)
        began = time.monotonic()
        for _ in range(1000):
            with tracing.here("a step"):
                pass
        assert time.monotonic() - began < QUICK
        assert "Queue full, dropping Span" in caplog.text
