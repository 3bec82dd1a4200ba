"""What a tool answers, in the one shape that every client of every protocol version accepts.

An answer is an object (``structuredContent``, described by the tool's output schema) and the same in words for the
model. A refusal has words and ``isError`` only: clients in the field check any structured content against the output
schema, refusals too (TypeScript SDK 1.29), so its fields travel in ``_meta`` under :data:`ERROR_META`, and the code
also ends the words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import mcp_types as types
from pydantic import BaseModel, ValidationError

from counterfoil.errors import BadArguments, CounterfoilError
from counterfoil.operations import explain
from counterfoil.store import Principal

ERROR_META = "counterfoil/error"
"""The key of a result's ``_meta`` that holds a refusal's code, what happened and what to do."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)

Arguments = TypeVar("Arguments", bound=BaseModel)


@dataclass(frozen=True)
class Answer:
    """A tool's answer.

    ``ticket``: the ticket it was about. ``offer``: with which words its page may be offered to the client's user; None
    where there is nothing to decide.
    """

    words: str
    structured: dict[str, Any]
    ticket: str | None = None
    offer: str | None = None

    def to_result(self) -> types.CallToolResult:
        """The result on the wire."""
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=self.words)], structured_content=self.structured
        )


class OfferedTool(Protocol):
    """A tool as the catalogue holds it."""

    @property
    def definition(self) -> types.Tool:
        """What ``tools/list`` shows; never changes while the server runs."""

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """Answer one call; raises a refusal."""


def refused(error: CounterfoilError) -> types.CallToolResult:
    """The result that tells a refusal."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=f"{error.happened} {error.remedy} ({error.code})")],
        is_error=True,
        _meta={ERROR_META: error.to_dict()},
    )


def json_bytes(arguments: Mapping[str, Any]) -> bytes:
    """The arguments as JSON in which a float is still one (``1.0``), so that strict validation sees it (T23)."""
    return _ENCODER.encode(arguments).encode()


def validated(model: type[Arguments], arguments: Mapping[str, Any]) -> Arguments:
    """The typed arguments; raises :class:`BadArguments` naming each mistake."""
    try:
        return model.model_validate_json(json_bytes(arguments))
    except ValidationError as error:
        raise BadArguments(explain(error)) from None
