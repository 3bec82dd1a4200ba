"""Metrics of a desk at work, read with the parser of Prometheus' own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from counterfoil.store import NO_LONGER_NEEDED, Call, NoticeDraft
from counterfoil.testing import OpenDesk, money, open_desk
from counterfoil_server.app import Parts, open_parts
from counterfoil_server.store import statistics
from counterfoil_server.telemetry.metrics import Metrics
from server.testing.gym import POLICY, Gym, gym_desk

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def desk(tmp_path: Path, gym: Gym) -> AsyncIterator[OpenDesk]:
    settings = {"trust_client_isolation": True, "caps": {"per_principal": 5000, "per_account": 5000}}
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY, settings=settings) as opened:
        yield opened


def metrics_of(parts: Parts) -> Metrics:
    return Metrics(parts.store, parts.sealer, parts.publisher, parts.conversation, parts.configuration.desk.operations)


async def read(metrics: Metrics) -> Samples:
    text = (await metrics.text()).decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def of(samples: Samples, name: str, **labels: str) -> float:
    """The value of one series; 0 where there is none."""
    return samples.get((f"counterfoil_{name}", frozenset(labels.items())), 0)


def labels_of(samples: Samples, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for series, labels in samples if series == f"counterfoil_{name}"}


async def test_what_happens_to_tickets_is_counted_and_timed(desk: OpenDesk, gym: Gym) -> None:
    metrics = metrics_of(desk.parts)
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await desk.ai.request("credit", account="M-2", amount=money("20.00"))
    waiting = await read(metrics)
    assert of(waiting, "tickets", state="pending", operation="credit") == 2
    assert of(waiting, "tickets", state="unknown", operation="credit") == 0
    await desk.advance(minutes=4)
    await ada.approves(await desk.mailbox.newest(ada, "waits for your decision"), code=asked.match_code)
    assert (await desk.settled(asked)).state == "executed"
    gym.broken = "silent"
    lost = await desk.ai.request("credit", account="M-1", amount=money("21.00"))
    await ada.approves(lost)
    assert (await desk.settled(lost)).state == "unknown"
    declined = await desk.ai.request("credit", account="M-1", amount=money("22.00"))
    await ada.declines(declined)
    await desk.advance(hours=30)
    await desk.suspend("account:M-3")
    await desk.parts.sealer.seal()
    found = await read(metrics)
    counted = {"request": 4, "approve": 2, "redeem": 2, "report_executed": 1, "report_unknown": 1, "decline": 1}
    for event, count in (counted | {"expire": 1, "revoke": 0}).items():
        assert of(found, "ticket_events_total", event=event, operation="credit") == count, event
    assert of(found, "tickets", state="pending", operation="credit") == 0
    assert of(found, "tickets", state="unknown", operation="credit") == 1
    approved = {"event": "approve", "operation": "credit"}
    assert of(found, "decision_seconds_sum", **approved) == 240
    assert of(found, "decision_seconds_count", **approved) == 2
    assert of(found, "decision_seconds_bucket", **approved, le="60") == 1
    assert of(found, "decision_seconds_bucket", **approved, le="300") == 2
    assert of(found, "decision_seconds_bucket", **approved, le="+Inf") == 2
    assert of(found, "outcome_seconds_count", event="report_unknown", operation="credit") == 1
    assert of(found, "suspensions", kind="account") == 1
    assert of(found, "log_leaves") == of(found, "log_sealed_leaves") > 10
    assert of(found, "log_whole_timestamp_seconds") == desk.parts.store.now()


async def test_counts_are_the_same_after_a_restart(tmp_path: Path, gym: Gym) -> None:
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY) as desk:
        ada = await desk.enrol("Ada", account="M-1")
        asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
        await ada.approves(asked)
        await desk.settled(asked)
        await desk.ai.call("ticket_status", ticket="cf_none")
        await desk.parts.conversation.recorder.flush()
        metrics = metrics_of(desk.parts)
        before = durable(await read(metrics))
        assert durable(await read(metrics)) == before
    async with open_parts(desk.parts.configuration, clock=desk.clock) as parts:
        assert durable(await read(metrics_of(parts))) == before
    assert of(before, "ticket_events_total", event="report_executed", operation="credit") == 1
    assert of(before, "calls_total", tool="ticket_status", result="unknown_ticket") == 1


def durable(samples: Samples) -> Samples:
    """Those that are made of what is stored."""
    return {key: value for key, value in samples.items() if key[0].startswith("counterfoil_") and "_log_" not in key[0]}


async def test_a_long_log_is_counted_in_chunks(desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(10):
        await desk.ai.call("request_credit", account="M-2", amount=money("0.00"))
    await desk.settled(await desk.ai.request("credit", account="M-1", amount=money("20.00")))
    await desk.parts.conversation.recorder.flush()
    whole = await read(metrics_of(desk.parts))
    monkeypatch.setattr(statistics, "COUNTED_AT_ONCE", 3)
    parts = await read(metrics_of(desk.parts))
    assert durable(parts) == durable(whole)
    assert of(parts, "calls_total", tool="request_credit", result="bad_arguments") == 10


@pytest.fixture
async def closed(tmp_path: Path, gym: Gym) -> AsyncIterator[Parts]:
    """The parts of a desk that nobody serves: nothing is sealed, sent or expired by itself."""
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY) as desk:
        pass
    async with open_parts(desk.parts.configuration, clock=desk.clock) as parts:
        yield parts


async def test_what_was_not_sealed_yet_is_seen(closed: Parts) -> None:
    metrics = metrics_of(closed)
    sealed = of(await read(metrics), "log_leaves")
    for number in range(3):
        await closed.authority.suspend(f"person:nobody-{number}", "a leaf")
    found = await read(metrics)
    assert (of(found, "log_sealed_leaves"), of(found, "log_leaves")) == (sealed, sealed + 3)
    await closed.sealer.seal()
    assert of(await read(metrics), "log_sealed_leaves") == sealed + 3


async def test_messages_that_wait_or_failed_are_counted(closed: Parts) -> None:
    drafts = [NoticeDraft("approve", f"person-{number}", "ann@members.example") for number in range(4)]
    await closed.store.add_notices(None, drafts)
    leased = await closed.store.lease_notices(limit=3, lease=30, cap=9, window=3600)
    for notice, error in zip(leased, ("no such mailbox", f"{NO_LONGER_NEEDED}: it ended", None), strict=True):
        await closed.store.settle_notice(notice.id, sent=error is None, error=error, next_try=None)
    found = await read(metrics_of(closed))
    assert of(found, "messages_waiting") == 1
    assert of(found, "messages_oldest_waiting_seconds") == 0
    assert of(found, "messages_failed") == 1


async def test_refusals_are_counted_by_their_code(desk: OpenDesk) -> None:
    for _ in range(3):
        await desk.ai.call("request_credit", account="M-1", amount=money("0.00"))
    await desk.ai.call("ticket_status", ticket="cf_none")
    await desk.ai.call("opening_hours")
    await desk.parts.conversation.recorder.flush()
    found = await read(metrics_of(desk.parts))
    assert of(found, "calls_total", tool="request_credit", result="bad_arguments") == 3
    assert of(found, "calls_total", tool="ticket_status", result="unknown_ticket") == 1
    assert of(found, "calls_total", tool="opening_hours", result="ok") == 1
    assert of(found, "calls_unrecorded_total") == 0


async def test_thousands_of_callers_and_names_make_no_labels(desk: OpenDesk) -> None:
    before = await read(metrics_of(desk.parts))
    for start in range(0, 1000, 50):
        await asyncio.gather(*(desk.ai.call(f'tool_{start + n}\n{{evil="x"}}') for n in range(50)))
    rows = [
        Call(1, f"principal-{number}", f"tool-{number}", None, f"status-{number}", "digest") for number in range(1000)
    ]
    await desk.parts.store.record_calls(rows)
    for number in range(100):
        await desk.parts.authority.suspend(f"principal:agent-{number}", "one of many")
    await desk.parts.conversation.recorder.flush()
    found = await read(metrics_of(desk.parts))
    assert len(found) - len(before) < 10
    assert of(found, "calls_total", tool="other", result="unknown_tool") == 1000
    assert of(found, "calls_total", tool="other", result="other") == 1000
    assert of(found, "suspensions", kind="principal") == 100
    kept = await desk.parts.store.statistics(frozenset({"opening_hours"})).figures()
    assert {tool for tool, _ in kept.calls} <= {"", "opening_hours"}
    assert "principal" not in {label for _, labels in found for label, _ in labels}


async def test_the_places_that_get_checkpoints_are_counted_by_how_it_stands_with_them(tmp_path: Path, gym: Gym) -> None:
    (tmp_path / "state").mkdir()
    log = {"publish_file": str(tmp_path / "checkpoint"), "publish_git": str(tmp_path / "no-repository")}
    async with open_desk(gym_desk(gym), tmp_path / "state", policy=POLICY, settings={"log": log}) as opened:
        publisher = opened.parts.publisher
        assert publisher is not None
        await opened.ai.request("credit", account="M-1", amount=money("20.00"))
        await opened.parts.sealer.seal()
        await publisher.round(everybody=True)
        samples = await read(metrics_of(opened.parts))
        assert {name: of(samples, "log_places", standing=name) for name in ("fits", "silent", "another_history")} == {
            "fits": 1, "silent": 1, "another_history": 0,
        }  # fmt: skip
        (tmp_path / "checkpoint").write_text("something else\n")
        await publisher.round(everybody=True)
        assert of(await read(metrics_of(opened.parts)), "log_places", standing="another_history") == 1
