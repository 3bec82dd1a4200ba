"""The Cedar schema of a desk: every word that a policy may use.

The schema is generated, so that a policy is checked against what the desk really declares. The rules held here:

* each operation is an entity type of its own (``refund`` → ``Refund``) with the ``arguments`` of the AI and the
  ``facts`` of the preview as records, and two actions: ``refund`` executes with evidence, ``refund/unattended``
  without;
* evidence stands in the context of the executing action only, so no unattended policy can speak of it;
* what policy cannot compare exactly, floats, it does not see;
* the account that a tool call names is an untrusted text; the one that the directory found is ``resource.account``.

Syntax: https://docs.cedarpolicy.com/schema/human-readable-schema.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from counterfoil.declared_places import declared_at
from counterfoil.declared_types import bare, is_choice, is_optional, is_text_list
from counterfoil.desk import Desk
from counterfoil.errors import DeskError
from counterfoil.operations import Operation
from counterfoil.values import Account, Change, Money

PRINCIPAL_TYPE = "Agent"
ACCOUNT_TYPE = "Account"

RESERVED_TYPES = frozenset(
    {PRINCIPAL_TYPE, ACCOUNT_TYPE, "Action", "Money", "Change"}
    | {"Bool", "Boolean", "Long", "String", "Set", "Record", "Entity", "Extension"}
)
"""Entity type names that the schema or Cedar itself uses."""

RESERVED_WORDS = frozenset({"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"})
"""Attribute names that must stand in quotes."""

HEAD = f"""\
type Money = {{ value: decimal, currency: String }};
type Change = {{ before: String, after: String }};
entity {PRINCIPAL_TYPE};
entity {ACCOUNT_TYPE};
"""

UNCOUNTED_CONTEXT = "tainted: Bool, unguarded: Bool, counters: { count_24h: Long }"
"""Where nothing is counted there is no sum: a rule that limits one by it is refused, not void."""
COUNTED_CONTEXT = "tainted: Bool, unguarded: Bool, counters: { count_24h: Long, total_24h: decimal }"


MEMBERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"Money": ("value", "currency"), "Change": ("before", "after")}
)
"""What is always in a value of each record type."""


def _plain(kind: type) -> Callable[[Any], Any]:
    def encode(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"not a {kind.__name__}")
        return value

    return encode


_text, _truth = _plain(str), _plain(bool)


def _long(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError("not a whole number of 64 bits")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError("not a list")
    return [_text(item) for item in value]


def _money(value: Any) -> dict[str, Any]:
    amount, currency = _two(value, *MEMBERS["Money"])
    return {"value": {"__extn": {"fn": "decimal", "arg": amount}}, "currency": currency}


def _change(value: Any) -> dict[str, Any]:
    before, after = _two(value, *MEMBERS["Change"])
    return {"before": before, "after": after}


def _two(value: Any, first: str, second: str) -> tuple[str, str]:
    if not isinstance(value, dict) or value.keys() != {first, second}:
        raise ValueError(f"not an object of {first} and {second}")
    return _text(value[first]), _text(value[second])


ENCODINGS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"String": _text, "Long": _long, "Bool": _truth, "Set<String>": _texts, "Money": _money, "Change": _change}
)
"""For each type that an attribute can have, how a JSON value of it is spelled for Cedar; ``ValueError`` for others."""


@dataclass(frozen=True)
class Attribute:
    """One argument or fact that policy sees. ``default`` (JSON) stands in where a tool call left it out."""

    name: str
    cedar_type: str
    optional: bool
    default: Any = None


@dataclass(frozen=True)
class Shape:
    """The arguments or the facts of an operation, as policy sees them."""

    attributes: tuple[Attribute, ...]

    def declaration(self) -> str:
        """The record type in schema syntax."""
        parts = [f"{_name(each.name)}{'?' * each.optional}: {each.cedar_type}" for each in self.attributes]
        return f"{{ {', '.join(parts)} }}" if parts else "{}"

    def record(self, values: Mapping[str, Any], wanted: Container[str]) -> dict[str, Any]:
        """The ``wanted`` attributes of JSON ``values`` as Cedar's JSON, None left out.

        Raises ``ValueError`` where any declared attribute is missing, or is not of its type: Cedar itself would only
        find the values unequal to what a rule compares them with.
        """
        found: dict[str, Any] = {}
        for each in self.attributes:
            value = values.get(each.name, each.default)
            if value is None and each.optional:
                continue
            encoded = ENCODINGS[each.cedar_type](value)
            if each.name in wanted:
                found[each.name] = encoded
        return found


@dataclass(frozen=True)
class Resource:
    """How one operation appears to policy."""

    operation: str
    entity_type: str
    arguments: Shape
    facts: Shape
    counts: bool
    """Whether amounts are added up, so that ``context.counters`` has a sum."""

    @property
    def context(self) -> str:
        """The context without evidence, in schema syntax."""
        return COUNTED_CONTEXT if self.counts else UNCOUNTED_CONTEXT

    @property
    def execute(self) -> str:
        """The id of the action that executes with evidence."""
        return self.operation

    @property
    def unattended(self) -> str:
        """The id of the action that executes without anybody."""
        return f"{self.operation}/unattended"


def resources(desk: Desk) -> dict[str, Resource]:
    """What policy sees of each operation, by the operation's name.

    Raises :class:`DeskError` when two operations would get one entity type.
    """
    found: dict[str, Resource] = {}
    for operation in desk.operations.values():
        entity_type = resource_type(operation.name)
        for other in found.values():
            if other.entity_type == entity_type:
                with declared_at(operation.run):
                    raise DeskError(
                        f"The operations {other.operation} and {operation.name} are both {entity_type} to a policy.",
                        "Rename one of the two functions.",
                    )
        found[operation.name] = _resource(operation, entity_type)
    return found


def resource_type(operation: str) -> str:
    """The entity type of an operation's name: ``adjust_invoice`` → ``AdjustInvoice``, ``set`` → ``SetOperation``."""
    name = "".join(part.capitalize() for part in operation.split("_"))
    return f"{name}Operation" if name in RESERVED_TYPES else name


def cedar_schema(desk: Desk) -> str:
    """The schema in Cedar's human-readable syntax; raises :class:`DeskError` like :func:`resources`."""
    evidence = _evidence(desk)
    parts = [HEAD]
    for resource in resources(desk).values():
        parts.append(
            f"entity {resource.entity_type} = {{\n"
            f"  account: {ACCOUNT_TYPE},\n"
            f"  arguments: {resource.arguments.declaration()},\n"
            f"  facts: {resource.facts.declaration()}\n"
            f"}};\n"
        )
        executing = f"{evidence}, {resource.context}"
        for action, context in ((resource.execute, executing), (resource.unattended, resource.context)):
            parts.append(
                f"action {_quoted(action)} appliesTo {{\n"
                f"  principal: [{PRINCIPAL_TYPE}],\n"
                f"  resource: [{resource.entity_type}],\n"
                f"  context: {{ {context} }}\n"
                f"}};\n"
            )
    return "\n".join(parts)


def _evidence(desk: Desk) -> str:
    roles = ", ".join(f"{_name(role)}: Long" for role in dict.fromkeys(desk.roles))
    holder = "holder_link: Bool, holder_passkey: Bool, holder_passkey_bound: Bool"
    return f"{holder}, staff: {{{f' {roles} ' if roles else ''}}}, code_typed: Bool, waited: Long"


def _resource(operation: Operation[Any, Any], entity_type: str) -> Resource:
    arguments = _shape(operation.arguments, defaults=True)
    facts = _shape(operation.facts, defaults=False)
    return Resource(operation.name, entity_type, arguments, facts, operation.counts is not None)


def _shape(model: type[BaseModel], *, defaults: bool) -> Shape:
    attributes: list[Attribute] = []
    for name, field in model.model_fields.items():
        kind = _cedar_type(bare(field.annotation))
        if kind is not None:
            default = None if field.is_required() or not defaults else field.get_default(call_default_factory=True)
            attributes.append(Attribute(name, kind, is_optional(field.annotation), to_jsonable_python(default)))
    return Shape(tuple(attributes))


def _cedar_type(kind: Any) -> str | None:
    """The Cedar type of a declared type, or None for what policy does not see."""
    plain = {str: "String", Account: "String", int: "Long", bool: "Bool", Money: "Money", Change: "Change"}
    if get_origin(kind) is None and kind in plain:
        return plain[kind]
    if is_choice(kind):
        return "String"
    return "Set<String>" if is_text_list(kind) else None


def _name(name: str) -> str:
    """An attribute name, in quotes where Cedar needs them."""
    simple = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name not in RESERVED_WORDS
    return name if simple else _quoted(name)


def _quoted(text: str) -> str:
    """A Cedar string literal; everything outside printable ASCII is escaped."""
    plain = {character: f"\\{character}" for character in '"\\'}
    return '"' + "".join(
        plain.get(each, each) if " " <= each <= "~" else f"\\u{{{ord(each):x}}}" for each in text
    ) + '"'  # fmt: skip
