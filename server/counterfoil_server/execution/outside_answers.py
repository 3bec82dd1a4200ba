"""What an executor outside answers over HTTP, read strictly (``docs/spec/outside-executor.md``).

An answer counts only as a whole: status, media type and form have to be those of the protocol, and of one another.
Whatever else comes back (a proxy's page, a redirect, half an answer, words that nobody agreed on) says nothing of what
became of the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from counterfoil.canonical import parse_strict
from counterfoil.errors import BadJSON
from counterfoil.values import Frozen

MAX_ANSWER = 64 * 1024
"""Bytes of an answer; the receipt in it may have a quarter of that as an outcome."""


class Executed(Frozen):
    """It was done, once."""

    state: Literal["executed"]
    receipt: dict[str, Any]


class NotDone(Frozen):
    """Nothing was done for this ticket, and nothing ever will be."""

    state: Literal["not_executed"]
    reason: str = ""


class Undecided(Frozen):
    """It is being carried out, or its end is not known there."""

    state: Literal["unknown"]
    reason: str = ""


class Waiting(Frozen):
    """Nothing was done by this call; the order may be presented again."""

    state: Literal["waiting"]
    reason: str = ""


Answer = Executed | NotDone | Undecided | Waiting

OF_STATUS: Mapping[int, TypeAdapter[Any]] = MappingProxyType(
    {200: TypeAdapter(Executed | NotDone), 409: TypeAdapter(Undecided), 503: TypeAdapter(Waiting)}
)


class ForeignAnswer(Exception):
    """What came back is no answer of the protocol."""


def read_answer(status: int, media_type: str, body: bytes) -> Answer:
    """The answer that came with ``status`` and the header ``Content-Type``; raises :class:`ForeignAnswer`."""
    form = OF_STATUS.get(status)
    if form is None:
        raise ForeignAnswer(f"The status {status} says nothing of the order.")
    if media_type.partition(";")[0].strip().lower() != "application/json":
        raise ForeignAnswer(f"With status {status} came something that is not declared as JSON.")
    try:
        parse_strict(body)
        answer: Answer = form.validate_json(body, strict=True)
    except (BadJSON, ValidationError):
        raise ForeignAnswer(f"With status {status} came JSON that is not an answer of the protocol.") from None
    return answer
