"""Spans, and what they may say.

Every ticket has a trace of its own, whose ids are derived from the ticket's id under a key. So whatever happens to it
hours later, after restarts and through other people, is found in one trace, and nothing has to be kept for that: no
row, no field of an envelope. The first span of that trace links to the request that made the ticket; each later one
links to the call that caused it.

What a span says goes through :class:`Seen`, which has no way to say anything else. No error's words are recorded: they
may hold what somebody wrote.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

import anyio
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from counterfoil.errors import CounterfoilError
from counterfoil.tickets import Event, Ticket

logger = logging.getLogger(__name__)

GRACE = 3.0
"""Seconds that the last spans may take to leave when the server stops."""

SERVICE = "counterfoil"


class Result(StrEnum):
    """How something ended: ``failed`` is what should not happen, or what nobody knows."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Seen:
    """One span, and all that can be said of it. ``caller``: the span of the call that caused it, which is told of the
    ticket as well."""

    def __init__(self, span: Span, caller: Span) -> None:
        self._span = span
        self._caller = caller
        self._said = False

    def ticket(self, ticket: Ticket) -> None:
        """Which ticket it was about, as stored; never an id that only a caller named."""
        for span in (self._span, self._caller):
            span.set_attribute("counterfoil.ticket", ticket.id)
            span.set_attribute("counterfoil.operation", ticket.operation)

    def named(self, ticket: str, operation: str | None = None) -> None:
        """Likewise, where the store's own id is at hand."""
        self._span.set_attribute("counterfoil.ticket", ticket)
        if operation is not None:
            self._span.set_attribute("counterfoil.operation", operation)

    def event(self, event: Event) -> None:
        """What happened to the ticket."""
        self._span.set_attribute("counterfoil.event", event.value)

    def ended(self, result: Result, code: str | None = None) -> None:
        """How it ended; ``code`` is that of one of our errors. What is said first counts."""
        if self._said:
            return
        self._said = True
        self._span.set_attribute("counterfoil.result", result.value)
        if code is not None:
            self._span.set_attribute("error.type", code)
        if result is Result.FAILED:
            self._span.set_status(StatusCode.ERROR)


class Tracing:
    """Makes spans and sends them; ``ratio`` (0 to 1) of traces are recorded. ``key``: 32 bytes, see above.

    Where they go is said by the environment variables of OpenTelemetry. They leave in a thread of their own; while
    nobody takes them a bounded number waits, and the rest is lost.
    """

    def __init__(self, *, ratio: float, key: bytes) -> None:
        self._key = key
        self._ids = _Ids()
        self._sampler = _Fair(ratio)
        self._provider = TracerProvider(
            sampler=self._sampler, resource=_resource(), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        # Not the global one: what libraries trace by themselves holds what callers choose.
        self._tracer = self._provider.get_tracer(SERVICE)

    async def close(self) -> None:
        """Send what waits, for a while."""
        ending = threading.Thread(target=self._provider.shutdown, name="the last spans", daemon=True)
        ending.start()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(ending.join, GRACE)
        if ending.is_alive():
            logger.warning("The last spans were not taken within %g seconds, and are lost.", GRACE)

    @contextmanager
    def call(self, name: str, *, caller: SpanContext | None = None) -> Iterator[Seen]:
        """A call from outside; ``caller`` is the span that it names, of which this one is a child."""
        with self._span(name, kind=SpanKind.SERVER, context=None if caller is None else _below(caller)) as seen:
            yield seen

    @contextmanager
    def here(self, name: str) -> Iterator[Seen]:
        """A step of whatever is under way."""
        with self._span(name) as seen:
            yield seen

    @contextmanager
    def of_ticket(self, name: str, ticket: str) -> Iterator[Seen]:
        """A step in a ticket's life: in the ticket's own trace, with a link to the call that caused it."""
        home, cause = self._home(ticket), get_current_span().get_span_context()
        if cause.trace_id == home.trace_id:
            context, links = None, []
        else:
            context, links = _below(home), [Link(cause)] if cause.is_valid else []
        with self._span(name, context=context, links=links) as seen:
            yield seen

    def begin(self, ticket: Ticket) -> None:
        """Open the trace of a ticket that was made now: its first span, which links to the request."""
        home, cause = self._home(ticket.id), get_current_span()
        request = cause.get_span_context()
        with self._ids.chosen(home):
            span = self._tracer.start_span(
                "ticket", context=Context(), links=[Link(request)] if request.is_valid else []
            )
        Seen(span, cause).ticket(ticket)
        span.end()

    @contextmanager
    def _span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        context: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Iterator[Seen]:
        caller = get_current_span()
        with self._tracer.start_as_current_span(
            name, context=context, kind=kind, links=links, record_exception=False, set_status_on_exception=False
        ) as span:
            seen = Seen(span, caller)
            try:
                yield seen
            except CounterfoilError as error:
                seen.ended(Result.REFUSED, error.code)
                raise
            except Exception:
                seen.ended(Result.FAILED)
                raise
            except BaseException:
                seen.ended(Result.CANCELLED)
                raise
            seen.ended(Result.DONE)

    def _home(self, ticket: str) -> SpanContext:
        """The first span of the ticket's trace. Keyed, so that no caller can name it and add spans of its own."""
        body = hashlib.blake2b(ticket.encode(), key=self._key, digest_size=24, person=b"cf-trace").digest()
        trace_id = int.from_bytes(body[:16], "big")
        flags = TraceFlags(TraceFlags.SAMPLED if self._sampler.takes(trace_id) else TraceFlags.DEFAULT)
        return SpanContext(trace_id, int.from_bytes(body[16:], "big"), is_remote=False, trace_flags=flags)


class _Ids(RandomIdGenerator):
    """Random ids; or, for the span that is started meanwhile, chosen ones."""

    def __init__(self) -> None:
        self._chosen: SpanContext | None = None

    @contextmanager
    def chosen(self, context: SpanContext) -> Iterator[None]:
        self._chosen = context
        try:
            yield
        finally:
            self._chosen = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self._chosen is None else self._chosen.trace_id

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self._chosen is None else self._chosen.span_id


class _Fair(Sampler):
    """Takes a share of traces, whatever callers say: neither their flag counts nor the trace id that they chose."""

    def __init__(self, ratio: float) -> None:
        self._bound = round(ratio * 2**64)
        self._random = RandomIdGenerator()

    def takes(self, trace_id: int) -> bool:
        """Whether a trace with this id is taken, where the id is ours; for one ticket always the same."""
        return trace_id % 2**64 < self._bound

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and parent.is_remote:
            taken = self.takes(self._random.generate_trace_id())
        elif parent.is_valid:
            taken = parent.trace_flags.sampled
        else:
            taken = self.takes(trace_id)
        return SamplingResult(Decision.RECORD_AND_SAMPLE if taken else Decision.DROP)

    def get_description(self) -> str:
        return "counterfoil"


def _below(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _resource() -> Resource:
    """Which process this is, as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say; named after us by default."""
    found = Resource.create()
    unnamed = str(found.attributes.get("service.name", "")).startswith("unknown_service")
    return found.merge(Resource({"service.name": SERVICE})) if unnamed else found
