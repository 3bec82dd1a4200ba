"""The desk's figures as Prometheus reads them (https://prometheus.io/docs/instrumenting/exposition_formats/).

No label holds anything that a caller, a person or an account could choose: operations and tools are those of the desk,
events, states and kinds of scope are ours, and so are error codes; whatever else stands in the store is ``other``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from counterfoil.errors import CounterfoilError
from counterfoil.scopes import KINDS
from counterfoil.tickets import STEPS
from counterfoil_server.conversation import Conversation
from counterfoil_server.publishing.publisher import Publisher
from counterfoil_server.publishing.standing import Standing
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer
from counterfoil_server.store.statistics import BOUNDS, DECISIONS, OUTCOMES, UNDER_WAY, Figures, Spans

OTHER = "other"

EVENTS = frozenset({"request", "statement", "mint"}) | STEPS
"""Events of the log that are about a ticket."""

ENDS = frozenset({"ok", "cancelled"})
"""How a call ends that was not refused."""


PLACES = frozenset({"fits", "silent", "another_history"})
"""How it stands with a place that gets checkpoints: it holds ours, does not answer, or holds what cannot be ours."""


class Metrics:
    """The figures of one desk."""

    def __init__(
        self,
        store: SQLiteStore,
        sealer: Sealer,
        publisher: Publisher | None,
        conversation: Conversation,
        operations: Iterable[str],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._publisher = publisher
        self._recorder = conversation.recorder
        self._operations = frozenset(operations)
        self._tools = frozenset(conversation.tool_names)
        self._statistics = store.statistics(self._tools)
        self._codes = ENDS | frozenset(_codes(CounterfoilError))
        self._one_at_a_time = asyncio.Lock()

    async def text(self) -> bytes:
        """All of them, as text; raises StoreFailed."""
        async with self._one_at_a_time:
            families = list(self._families(await self._statistics.figures()))
        registry = CollectorRegistry()
        registry.register(_Collected(families))
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def _families(self, figures: Figures) -> Iterator[Metric]:
        yield self._by(
            CounterMetricFamily,
            "counterfoil_ticket_events",
            "What happened to tickets, by the events of the log.",
            {"event": EVENTS, "operation": self._operations},
            figures.events.items(),
        )
        states = {(state.value, operation): 0 for state in UNDER_WAY for operation in self._operations}
        yield self._by(
            GaugeMetricFamily,
            "counterfoil_tickets",
            "Tickets that are under way, or whose outcome nobody knows.",
            {"state": frozenset(UNDER_WAY), "operation": self._operations},
            (states | figures.states).items(),
        )
        for name, words, events in (
            ("counterfoil_decision_seconds", "From the request to the approval or decline.", DECISIONS),
            ("counterfoil_outcome_seconds", "From the redemption to what the executor reported.", OUTCOMES),
        ):
            yield self._histogram(name, words, {key: each for key, each in figures.spans.items() if key[0] in events})
        yield self._by(
            CounterMetricFamily,
            "counterfoil_calls",
            "Tool calls of AI clients; the result is ok, cancelled, or the code of the refusal.",
            {"tool": self._tools, "result": self._codes},
            figures.calls.items(),
        )
        yield self._by(
            GaugeMetricFamily,
            "counterfoil_suspensions",
            "What is suspended and can be resumed, by the kind of scope.",
            {"kind": KINDS},
            [((kind,), n) for kind, n in (dict.fromkeys(KINDS, 0) | figures.suspensions).items()],
        )
        yield from self._single(figures)

    def _single(self, figures: Figures) -> Iterator[Metric]:
        checkpoint, since = self._sealer.checkpoint, figures.waiting_since
        age = 0 if since is None else max(0, self._store.now() - since)
        yield _gauge("counterfoil_log_leaves", "Leaves of the log.", figures.leaves)
        yield _gauge(
            "counterfoil_log_sealed_leaves", "Leaves under a signed checkpoint.", checkpoint.size if checkpoint else 0
        )
        yield _gauge(
            "counterfoil_log_whole_timestamp_seconds",
            "When all of the log was last seen under a checkpoint.",
            self._sealer.whole_at,
        )
        standings = self._publisher.standings if self._publisher is not None else []
        places = Counter(map(_standing, standings))
        yield self._by(
            GaugeMetricFamily,
            "counterfoil_log_places",
            "Where checkpoints are published, and witnesses, by how it stands with them.",
            {"standing": PLACES},
            [((name,), places[name]) for name in PLACES],
        )
        yield _gauge("counterfoil_messages_waiting", "Messages that were not sent yet.", figures.waiting)
        yield _gauge("counterfoil_messages_oldest_waiting_seconds", "Since when the oldest of them waits.", age)
        yield _gauge("counterfoil_messages_failed", "Messages that failed, of the newest 10000.", figures.failed)
        yield _counter(
            "counterfoil_calls_unrecorded", "Tool calls whose record was lost, since the start.", self._recorder.lost
        )

    @staticmethod
    def _by(
        kind: Callable[..., CounterMetricFamily | GaugeMetricFamily],
        name: str,
        words: str,
        labels: Mapping[str, frozenset[str]],
        counts: Iterable[tuple[tuple[str, ...], int]],
    ) -> Metric:
        """One family; label values that are not among the known ones are counted as OTHER."""
        known: Counter[tuple[str, ...]] = Counter()
        for values, count in counts:
            known[tuple(v if v in may else OTHER for v, may in zip(values, labels.values(), strict=True))] += count
        family = kind(name, words, labels=list(labels))
        for values, count in sorted(known.items()):
            family.add_metric(list(values), count)
        return family

    def _histogram(self, name: str, words: str, spans: Mapping[tuple[str, str], Spans]) -> Metric:
        family = HistogramMetricFamily(name, words, labels=["event", "operation"])
        known: dict[tuple[str, str], Spans] = {}
        for (event, operation), each in spans.items():
            sums = known.setdefault((event, operation if operation in self._operations else OTHER), Spans())
            sums.within = [mine + its for mine, its in zip(sums.within, each.within, strict=True)]
            sums.seconds += each.seconds
        for labels, sums in sorted(known.items()):
            buckets, below = [], 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), sums.within, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric(list(labels), buckets, sums.seconds)
        return family


class _Collected(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value)


def _codes(kind: type[CounterfoilError]) -> Iterator[str]:
    """The code of every refusal there is."""
    yield kind.code
    for each in kind.__subclasses__():
        yield from _codes(each)


def _standing(place: Standing) -> str:
    if place.alarm:
        return "another_history"
    return "fits" if place.ok else "silent"
