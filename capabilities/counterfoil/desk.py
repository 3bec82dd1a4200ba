"""What one organisation offers an AI: reads, and operations that can only be requested.

A desk is declarations and nothing else. It is checked twice: by type checkers (a preview's parameters are its
operation's, through ``ParamSpec``) and by :meth:`Desk.check` at load, which refuses, naming the function:

* an operation without a docstring, without exactly one :data:`Account`, without a typed preview or a receipt;
* a parameter or fact of a type that policy could not see or people could not be shown;
* two tools of one name, or a name that Counterfoil itself uses.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic_core import ErrorDetails

from counterfoil.canonical import canonical, digest
from counterfoil.declared_types import account_parameters, blank_facts, check_arguments, check_facts
from counterfoil.errors import BadArguments, DeskError
from counterfoil.rungs import DEFAULT_LADDER, Rung, default_ladder
from counterfoil.values import PATTERNS_IN_WORDS, Account, Contact, Execution, Facts, Money, Receipt, style_of

P = ParamSpec("P")
R = TypeVar("R", bound=Receipt)
F = TypeVar("F", bound=Facts)
T = TypeVar("T")

Delivery = Literal["direct", "collected"]

RESERVED_PARAMETERS = frozenset({"conversation", "note"})
"""Arguments of every request tool that belong to Counterfoil, not to the operation."""

RESERVED_TOOLS = frozenset({"ticket_status", "cancel_ticket", "redeem_ticket", "explain_requirements"})


class Directory(Protocol):
    """The organisation's own customers. Both answer from its records, never from what an AI claims (T03)."""

    async def find(self, hint: str) -> Account | None:
        """The account that a customer number, e-mail address or name means, or None."""

    async def person(self, account: Account) -> Contact | None:
        """The person who holds the account."""


@dataclass(frozen=True)
class Read:
    """A low-risk tool that the AI may call at once. ``untrusted``: what it returns taints the conversation."""

    name: str
    description: str
    run: Callable[..., Awaitable[Any]]
    arguments: type[BaseModel]
    result: TypeAdapter[Any]
    untrusted: bool = False

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

    def structured(self, value: Any) -> dict[str, Any]:
        """The structured result of ``value``; raises ``ValidationError`` where it does not fit the declared type."""
        plain = self.result.dump_python(self.result.validate_python(value), mode="json")
        return {"result": plain} if self.wraps_result else plain


@dataclass
class Operation(Generic[P, R]):
    """Something that changes the world; an AI can only request it."""

    name: str
    description: str
    run: Callable[Concatenate[Execution, P], Awaitable[R]]
    arguments: type[BaseModel]
    account_parameter: str
    receipt: type[Receipt]
    title: str
    delivery: Delivery
    counts: str | None
    ladder: tuple[Rung, ...]
    time_limit: float
    settled_by: str | None = None
    facts: type[Facts] = Facts
    run_preview: Callable[P, Awaitable[Facts]] | None = None
    run_lookup: Callable[[Execution], Awaitable[R | None]] | None = None
    run_undo: Callable[[Execution, R], Awaitable[Receipt]] | None = None

    def preview(self, function: Callable[P, Awaitable[F]]) -> Callable[P, Awaitable[F]]:
        """Declare the read-only preview; its parameters are the operation's without the execution."""
        _check_async(function, f"The preview of {self.name}")
        parameters = list(inspect.signature(function).parameters)
        if sorted(parameters) != sorted(self.arguments.model_fields):
            raise DeskError(
                f"The preview of {self.name} takes {', '.join(parameters) or 'nothing'}, but the operation's parameters"
                f" are {', '.join(self.arguments.model_fields)}.",
                "Give the preview the operation's parameters, without the execution.",
            )
        facts = get_type_hints(function).get("return")
        if not (isinstance(facts, type) and issubclass(facts, Facts)):
            raise DeskError(f"The preview of {self.name} does not say which Facts it returns.")
        check_facts(f"the preview of {self.name}", facts, set(self.arguments.model_fields))
        self.facts = facts
        self.run_preview = function
        return function

    def lookup(
        self, function: Callable[[Execution], Awaitable[R | None]]
    ) -> Callable[[Execution], Awaitable[R | None]]:
        """Declare how to find out afterwards: a receipt means it happened, None proves that nothing did."""
        _check_async(function, f"The lookup of {self.name}")
        self.run_lookup = function
        return function

    def undo(
        self, function: Callable[[Execution, R], Awaitable[Receipt]]
    ) -> Callable[[Execution, R], Awaitable[Receipt]]:
        """Declare how an executed operation is undone, by a linked ticket of its own."""
        _check_async(function, f"The undo of {self.name}")
        self.run_undo = function
        return function

    @cached_property
    def blank_facts(self) -> Facts:
        """Facts that say nothing, to do the same work with where there are none (T54)."""
        return blank_facts(self.facts)

    @cached_property
    def digest(self) -> str:
        """The digest of everything a person relied on: names, texts, schemas, labels (T26).

        Who may settle an unknown outcome is not among it: no approval rests on that, and a role must be there to be
        named for outcomes that are unknown already.
        """
        definition = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "arguments": self.arguments.model_json_schema(),
            "facts": self.facts.model_json_schema(),
            "account": self.account_parameter,
            "counts": self.counts,
        }
        return digest("counterfoil-operation", canonical(definition))

    @cached_property
    def request_schema(self) -> dict[str, Any]:
        """The input schema of ``request_<operation>``."""
        schema = self.arguments.model_json_schema()
        properties = schema["properties"]
        properties[self.account_parameter].setdefault(
            "description", "Whose account: the customer number or e-mail address, as the customer gave it."
        )
        properties["note"] = {
            "type": "string",
            "maxLength": 500,
            "description": "A sentence for the person who decides. It is shown to them as written by an AI.",
        }
        return schema

    def validated(self, argument_bytes: bytes) -> BaseModel:
        """The typed arguments of canonical bytes; raises :class:`BadArguments` naming each mistake."""
        try:
            return self.arguments.model_validate_json(argument_bytes)
        except ValidationError as error:
            raise BadArguments(explain(error)) from None

    def call_arguments(self, argument_bytes: bytes, account: Account) -> dict[str, Any]:
        """Keyword arguments for connector and preview: the stored bytes, with the account the directory found."""
        arguments = self.validated(argument_bytes)
        values = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        return values | {self.account_parameter: account}

    def counted(self, argument_bytes: bytes) -> Money | None:
        """The money that policy's counters add up, where the operation declares one."""
        value = getattr(self.validated(argument_bytes), self.counts) if self.counts else None
        return value if isinstance(value, Money) else None

    def comparable(self, facts: Facts) -> dict[str, Any]:
        """The facts that must be the same again just before the effect (T27)."""
        dumped = facts.model_dump(mode="json")
        return {name: value for name, value in dumped.items() if style_of(type(facts), name).compared}


@dataclass
class Desk:
    """An organisation's reads and operations.

    ``roles`` are the staff roles that policy may ask approvals of; ``ladder`` the evidence it is asked with, weakest
    first (default: the holder's passkey, then with one and with two approvals of each role). ``settled_by`` is the
    role whose people may establish what became of an operation of unknown outcome; without one nobody may.
    """

    name: str
    directory: Directory
    roles: Sequence[str] = ()
    ladder: Sequence[Rung] = DEFAULT_LADDER
    settled_by: str | None = None
    reads: dict[str, Read] = field(default_factory=dict, init=False)
    operations: dict[str, Operation[Any, Any]] = field(default_factory=dict, init=False)

    @overload
    def read(self, function: Callable[P, Awaitable[T]], /) -> Callable[P, Awaitable[T]]: ...
    @overload
    def read(
        self, /, *, untrusted: bool = False
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]: ...
    def read(self, function: Any = None, /, *, untrusted: bool = False) -> Any:
        """Declare a low-risk tool under the function's name."""

        def declare(run: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            name, description = _named(run)
            self._claim(name)
            hints = get_type_hints(run, include_extras=True)
            parameters = list(inspect.signature(run).parameters.values())
            if account_parameters(parameters, hints):
                raise DeskError(
                    f"The read {name} takes an Account: personal reads need grants, which this version does not offer.",
                    "Remove the parameter, or make it an operation.",
                )
            if "return" not in hints:
                raise DeskError(f"The read {name} does not say what it returns.", "Annotate its result.")
            self.reads[name] = Read(
                name, description, run, _arguments(name, parameters, hints), TypeAdapter(hints["return"]), untrusted
            )
            return run

        return declare if function is None else declare(function)

    @overload
    def operation(self, function: Callable[Concatenate[Execution, P], Awaitable[R]], /) -> Operation[P, R]: ...
    @overload
    def operation(
        self,
        /,
        *,
        title: str | None = None,
        delivery: Delivery = "direct",
        counts: str | None = None,
        ladder: Sequence[Rung] | None = None,
        time_limit: float = 30.0,
        settled_by: str | None = None,
    ) -> Callable[[Callable[Concatenate[Execution, P], Awaitable[R]]], Operation[P, R]]: ...
    def operation(
        self,
        function: Any = None,
        /,
        *,
        title: str | None = None,
        delivery: Delivery = "direct",
        counts: str | None = None,
        ladder: Sequence[Rung] | None = None,
        time_limit: float = 30.0,
        settled_by: str | None = None,
    ) -> Any:
        """Declare an operation under the function's name.

        ``counts`` names the Money parameter that policy's counters add up; ``time_limit`` (seconds) ends a connector
        that hangs, which leaves the outcome unknown; ``settled_by`` names the role that may then establish it, instead
        of the desk's.
        """

        def declare(run: Callable[Concatenate[Execution, P], Awaitable[R]]) -> Operation[P, R]:
            name, description = _named(run)
            self._claim(f"request_{name}")
            hints = get_type_hints(run, include_extras=True)
            parameters = list(inspect.signature(run).parameters.values())
            if not parameters or hints.get(parameters[0].name) is not Execution:
                raise DeskError(f"The first parameter of {name} is not an Execution.")
            receipt = hints.get("return")
            if not (isinstance(receipt, type) and issubclass(receipt, Receipt)):
                raise DeskError(f"The operation {name} does not return a Receipt.")
            arguments = _arguments(name, parameters[1:], hints)
            accounts = account_parameters(parameters, hints)
            if len(accounts) != 1:
                raise DeskError(f"The operation {name} has {len(accounts)} Account parameters; it needs exactly one.")
            if counts is not None and hints.get(counts) is not Money:
                raise DeskError(f"The operation {name} counts {counts}, which is not a Money parameter of it.")
            operation: Operation[P, R] = Operation(
                name, description, run, arguments, accounts[0], receipt, title or name.replace("_", " ").capitalize(),
                delivery, counts, tuple(ladder) if ladder is not None else (), time_limit, settled_by,
            )  # fmt: skip
            self.operations[name] = operation
            return operation

        return declare if function is None else declare(function)

    def check(self) -> None:
        """Refuse a desk that is not whole; called at load by whatever serves it."""
        for operation in self.operations.values():
            if operation.run_preview is None:
                raise DeskError(
                    f"The operation {operation.name} has no preview.", f"Add one with @{operation.name}.preview."
                )
            for rung in self.ladder_of(operation):
                for role in rung.staff:
                    if role not in self.roles:
                        raise DeskError(
                            f"A rung of {operation.name} names the role {role}, which the desk does not list."
                        )
        for settler in (self.settled_by, *(operation.settled_by for operation in self.operations.values())):
            if settler is not None and settler not in self.roles:
                raise DeskError(
                    f"Unknown outcomes are settled by {settler!r}, which is no role that the desk lists.",
                    "Name one of the desk's roles in settled_by, or add it to them.",
                )

    def ladder_of(self, operation: Operation[Any, Any]) -> tuple[Rung, ...]:
        """The evidence that policy is asked with for this operation, weakest first."""
        if operation.ladder:
            return operation.ladder
        return tuple(self.ladder) if self.ladder is not DEFAULT_LADDER else default_ladder(self.roles)

    def settler_of(self, operation: str) -> str | None:
        """The role that may settle unknown outcomes of the operation of this name, as the desk is now; or None."""
        declared = self.operations.get(operation)
        return (declared.settled_by if declared is not None else None) or self.settled_by

    def can_settle(self, operation: str) -> bool:
        """Whether a lookup or a named role can find out what became of an unknown outcome of this operation."""
        declared = self.operations.get(operation)
        return self.settler_of(operation) is not None or (declared is not None and declared.run_lookup is not None)

    def _claim(self, tool: str) -> None:
        taken = tool in self.reads or (tool.removeprefix("request_") in self.operations and tool.startswith("request_"))
        if taken or tool in RESERVED_TOOLS:
            raise DeskError(f"The tool name {tool} is taken.", "Rename the function.")


def explain(error: ValidationError) -> str:
    """The mistakes in validated input, one clause each, without repeating the input."""
    mistakes = [
        f"{'.'.join(str(part) for part in item['loc']) or 'the arguments'}: {_mistake(item)}"
        for item in error.errors(include_url=False, include_input=False)
    ]
    return f"The arguments are not accepted: {'; '.join(mistakes[:8])}."


def _mistake(item: ErrorDetails) -> str:
    """What to write instead where a pattern of ours says so; else pydantic's words, which may quote a pattern."""
    if item["type"] == "string_pattern_mismatch" and (words := PATTERNS_IN_WORDS.get(item["ctx"]["pattern"])):
        return f"write {words}"
    return item["msg"][:1].lower() + item["msg"][1:]


def _check_async(function: Callable[..., Any], what: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise DeskError(f"{what} is not an async function.", "Write 'async def'.")


def _named(function: Callable[..., Any]) -> tuple[str, str]:
    name = function.__name__
    _check_async(function, f"The function {name}")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise DeskError(f"The function name {name} is not usable as a tool name.", "Use lower case and underscores.")
    description = inspect.getdoc(function) or ""
    if not description:
        raise DeskError(f"The function {name} has no docstring.", "Say in one sentence what it does; the AI reads it.")
    return name, description


def _arguments(name: str, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name in RESERVED_PARAMETERS:
            raise DeskError(f"The parameter {parameter.name} of {name} is a name that Counterfoil uses itself.")
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise DeskError(f"The parameter {parameter.name} of {name} is not an ordinary parameter.")
        if parameter.name not in hints:
            raise DeskError(f"The parameter {parameter.name} of {name} has no type.")
        fields[parameter.name] = (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
    check_arguments(name, {key: value[0] for key, value in fields.items()})
    model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)
    return model
