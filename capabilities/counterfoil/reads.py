"""What an AI may read at once: everybody's records, and one account's where its holder granted that.

A personal read never says whose records it wants: the account comes from a grant. What it returns is checked once more
before it leaves: every record names its owner, who must be that account (T43), and what is declared to need a stronger
assurance than the holder's is left out. Fields that are not declared never leave, whatever the function returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from counterfoil.declared_types import bare
from counterfoil.errors import NotTheirs
from counterfoil.values import ASSURANCES, Account, Assurance, Owned, assurance_for

CONVERSATION = "conversation"
"""The argument by which a personal read, or a request, names the conversation that it belongs to."""

CONVERSATION_SCHEMA = {
    "type": "string",
    "description": "The conversation that start_conversation returned for this chat.",
}


@dataclass(frozen=True)
class Read:
    """A low-risk tool that the AI may call at once.

    ``untrusted``: what it returns taints the conversation. ``account_parameter``: where the granted account goes in,
    for a personal read; None for one that touches nobody's data.
    """

    name: str
    description: str
    run: Callable[..., Awaitable[Any]]
    arguments: type[BaseModel]
    result: TypeAdapter[Any]
    untrusted: bool = False
    account_parameter: str | None = None

    @cached_property
    def wraps_result(self) -> bool:
        """Whether the result is no JSON object and so travels as ``{"result": …}``."""
        schema = self.result.json_schema(mode="serialization")
        # The schema of a type that holds itself is a reference into its own definitions.
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        return bool(schema.get("$defs", {}).get(name, schema).get("type") != "object")

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the structured result."""
        schema = self.result.json_schema(mode="serialization")
        if not self.wraps_result:
            return {"type": "object"} | schema
        definitions = schema.pop("$defs", None)
        wrapped = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
        return wrapped | ({"$defs": definitions} if definitions else {})

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments; a personal read is given the conversation and never the account."""
        schema = self.arguments.model_json_schema()
        if self.account_parameter is not None:
            schema["properties"] = {CONVERSATION: CONVERSATION_SCHEMA, **schema.get("properties", {})}
            schema["required"] = [CONVERSATION, *schema.get("required", [])]
        return schema

    def structured(self, value: Any) -> dict[str, Any]:
        """The structured result of ``value``; raises ``ValidationError`` where it does not fit the declared type."""
        return self._plain(self.result.validate_python(value))

    def granted(self, value: Any, account: Account, assurance: Assurance) -> dict[str, Any]:
        """The structured result of a personal read for the account's holder, recognised as surely as ``assurance``.

        Raises :class:`NotTheirs` where a record has another owner; ``ValidationError`` like :meth:`structured`.
        """
        checked = self.result.validate_python(value)
        if any(record.owner != account for record in _owned(checked)):
            raise NotTheirs()
        return self._plain(_minimised(checked, assurance))

    def _plain(self, checked: Any) -> dict[str, Any]:
        plain = self.result.dump_python(checked, mode="json")
        return {"result": plain} if self.wraps_result else plain


def names_its_owner(hint: Any) -> bool:
    """Whether every value of the type is an :class:`Owned` record, a list of them, or None."""
    kind = bare(hint)
    if get_origin(kind) in (list, tuple):
        return names_its_owner(get_args(kind)[0])
    return isinstance(kind, type) and issubclass(kind, Owned)


def _owned(value: Any) -> Iterator[Owned]:
    """Every record with an owner, however deep."""
    if isinstance(value, Owned):
        yield value
    for part in _parts(value):
        yield from _owned(part)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, BaseModel):
        yield from (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value


def _minimised(value: Any, assurance: Assurance) -> Any:
    """The value without what needs more than ``assurance``."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        reached = ASSURANCES.index(assurance)
        kept = {
            name: None
            if ASSURANCES.index(assurance_for(info)) > reached
            else _minimised(getattr(value, name), assurance)
            for name, info in fields.items()
        }
        return value.model_copy(update=kept)
    if isinstance(value, dict):
        return {key: _minimised(part, assurance) for key, part in value.items()}
    if isinstance(value, list):
        return [_minimised(part, assurance) for part in value]
    if isinstance(value, tuple):
        return tuple(_minimised(part, assurance) for part in value)
    return value
