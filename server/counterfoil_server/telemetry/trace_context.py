"""What a caller says of the trace that its call belongs to (W3C Trace Context), believed as little as possible.

A caller can name any trace. So only ``traceparent`` is read, only in its exact form, and only for its two ids: whether
a call is recorded is not the caller's to say, and ``tracestate`` and ``baggage``, which are free text, go no further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from opentelemetry.trace import SpanContext

FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
"""https://www.w3.org/TR/trace-context-1/#traceparent-header, version 00."""

NAME = "traceparent"


def read_traceparent(value: object) -> SpanContext | None:
    """The caller's span; None for anything that is not exactly of the form, or names no span."""
    found = FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    span = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True)
    return span if span.is_valid else None


def caller_of(meta: Mapping[str, object] | None, headers: Sequence[str]) -> SpanContext | None:
    """The span that a request names: in its ``_meta``, as MCP has it, or in the one HTTP header of that name."""
    if meta and NAME in meta:
        return read_traceparent(meta[NAME])
    return read_traceparent(headers[0]) if len(headers) == 1 else None
