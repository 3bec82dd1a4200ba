"""What one organisation offers an AI: reads, and operations that can only be requested.

A desk is declarations and nothing else. It is checked twice: by type checkers (a preview's parameters are its
operation's, through ``ParamSpec``) and by :meth:`Desk.check` at load, which refuses, naming the function:

* an operation without a docstring, without exactly one :data:`Account`, without a typed preview or a receipt;
* a parameter or fact of a type that policy could not see or people could not be shown;
* two tools of one name, or a name that Counterfoil itself uses;
* a read of somebody's records that does not say whose they are, or that nobody can grant.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
    overload,
)

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from counterfoil.canonical import canonical, digest
from counterfoil.declared_types import account_parameters, blank_facts, check_arguments, check_facts, is_optional
from counterfoil.errors import BadArguments, DeskError
from counterfoil.reads import CONVERSATION, CONVERSATION_SCHEMA, Read, names_its_owner
from counterfoil.rungs import DEFAULT_LADDER, Rung, default_ladder
from counterfoil.tickets import ACCESS, GRANT_LIFE
from counterfoil.values import Account, Contact, Execution, Facts, Money, Receipt, assurance_for, style_of

P = ParamSpec("P")
R = TypeVar("R", bound=Receipt)
F = TypeVar("F", bound=Facts)
T = TypeVar("T")

Delivery = Literal["direct", "collected"]

RECEIPT = "receipt"
"""Under which name the executor reports what a connector returned, and an undo takes it."""

RESERVED_PARAMETERS = frozenset({CONVERSATION, "note"})
"""Arguments of every request tool that belong to Counterfoil, not to the operation."""

RESERVED_TOOLS = frozenset(
    {"ticket_status", "cancel_ticket", "redeem_ticket", "explain_requirements", "start_conversation"}
)

ACCESS_TITLE = "Let the AI read your records"
ACCESS_DESCRIPTION = "Let the AI read what the organisation holds about this account, in one conversation, for a while."
ACCESS_LADDER = (Rung(holder="passkey", code=True),)
GRANTED = "The AI may read this account’s records in this conversation until {minutes} minutes after it was confirmed."


class Directory(Protocol):
    """The organisation's own customers. Both answer from its records, never from what an AI claims (T03)."""

    async def find(self, hint: str) -> Account | None:
        """The account that a customer number, e-mail address or name means, or None."""

    async def person(self, account: Account) -> Contact | None:
        """The person who holds the account."""


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
    opens: Sequence[str] = ()
    """Which reads it opens, where it is the access to an account."""
    facts: type[Facts] = Facts
    run_preview: Callable[P, Awaitable[Facts]] | None = None
    run_lookup: Callable[[Execution], Awaitable[R | None]] | None = None
    undoes: Operation[Any, Any] | None = None
    """What an undo undoes; its arguments are the account and the ticket that was carried out."""
    register: Callable[[Operation[Any, Any]], None] | None = None

    def preview(self, function: Callable[P, Awaitable[F]]) -> Callable[P, Awaitable[F]]:
        """Declare the read-only preview; its parameters are the operation's without the execution."""
        _check_async(function, f"The preview of {self.name}")
        parameters = list(inspect.signature(function).parameters)
        expected = list(self.arguments.model_fields) if self.undoes is None else [self.account_parameter, RECEIPT]
        if sorted(parameters) != sorted(expected):
            raise DeskError(
                f"The preview of {self.name} takes {', '.join(parameters) or 'nothing'}, but the operation's parameters"
                f" are {', '.join(expected)}.",
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

    def undo(self, function: Callable[[Execution, R], Awaitable[Receipt]]) -> Operation[[Account, R], Receipt]:
        """Declare how what was carried out is undone: by an operation of its own, ``undo_<operation>``.

        It is requested with the ticket that was carried out, once at most, judged by policy and signed like any other,
        and needs a preview of the account and the receipt. Answers that operation.
        """
        _check_async(function, f"The undo of {self.name}")
        description = inspect.getdoc(function)
        if not description:
            raise DeskError(
                f"The undo of {self.name} has no docstring.", "Say in one sentence what it does; people are shown it."
            )

        async def run(execution: Execution, account: Account, receipt: R) -> Receipt:
            return await function(execution, receipt)

        arguments = create_model(
            f"undo_{self.name}", __config__=ConfigDict(extra="forbid", strict=True), account=(Account, ...),
            ticket=(str, Field(description="The ticket that was carried out and is to be undone.")),
        )  # fmt: skip
        undoing: Operation[[Account, R], Receipt] = Operation(
            f"undo_{self.name}", description, run, arguments, "account", Receipt, f"Undo: {self.title}", self.delivery,
            None, self.ladder, self.time_limit, self.settled_by, undoes=self,
        )  # fmt: skip
        if self.register is not None:
            self.register(undoing)
        return undoing

    def receipt_of(self, outcome: object) -> R:
        """The receipt in what the executor reported of this operation; raises ``ValueError`` where there is none."""
        receipt = outcome.get(RECEIPT) if isinstance(outcome, dict) else None
        return cast(R, self.receipt.model_validate(receipt))

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
            "opens": list(self.opens),
        }
        return digest("counterfoil-operation", canonical(definition))

    def request_schema(self, *, in_conversation: bool) -> dict[str, Any]:
        """The input schema of ``request_<operation>``; ``in_conversation``: whether it may name one."""
        schema = self.arguments.model_json_schema()
        properties = schema["properties"]
        if self.undoes is not None:
            # The account is that of the ticket; nobody has to name it.
            del properties[self.account_parameter]
            schema["required"].remove(self.account_parameter)
        else:
            properties[self.account_parameter].setdefault(
                "description", "Whose account: the customer number or e-mail address, as the customer gave it."
            )
        if in_conversation:
            properties[CONVERSATION] = dict(CONVERSATION_SCHEMA)
            if self.name == ACCESS:
                schema["required"] = [*schema.get("required", []), CONVERSATION]
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
    _opened: list[str] = field(default_factory=list, init=False)

    @overload
    def read(self, function: Callable[P, Awaitable[T]], /) -> Callable[P, Awaitable[T]]: ...
    @overload
    def read(
        self, /, *, untrusted: bool = False
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]: ...
    def read(self, function: Any = None, /, *, untrusted: bool = False) -> Any:
        """Declare a low-risk tool under the function's name.

        One that takes an Account is personal: it needs a grant (:meth:`access`), which also says whose account it is.
        """

        def declare(run: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            name, description = _named(run)
            self._claim(name)
            hints = get_type_hints(run, include_extras=True)
            parameters = list(inspect.signature(run).parameters.values())
            if "return" not in hints:
                raise DeskError(f"The read {name} does not say what it returns.", "Annotate its result.")
            accounts = account_parameters(parameters, hints)
            if len(accounts) > 1:
                raise DeskError(f"The read {name} has {len(accounts)} Account parameters; it can have one at most.")
            if accounts:
                _check_owned(name, hints["return"])
                parameters = [each for each in parameters if each.name != accounts[0]]
                self._opened.append(name)
            self.reads[name] = Read(
                name, description, run, _arguments(name, parameters, hints), TypeAdapter(hints["return"]), untrusted,
                accounts[0] if accounts else None,
            )  # fmt: skip
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
            if name == ACCESS:
                raise DeskError(
                    f"The name {ACCESS} is that of the access to an account.", "Declare it with @desk.access."
                )
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
            self._register(operation)
            return operation

        return declare if function is None else declare(function)

    @overload
    def access(self, function: Callable[[Account], Awaitable[F]], /) -> Callable[[Account], Awaitable[F]]: ...
    @overload
    def access(
        self, /, *, ladder: Sequence[Rung] | None = None, settled_by: str | None = None
    ) -> Callable[[Callable[[Account], Awaitable[F]]], Callable[[Account], Awaitable[F]]]: ...
    def access(
        self, function: Any = None, /, *, ladder: Sequence[Rung] | None = None, settled_by: str | None = None
    ) -> Any:
        """Declare what is looked at before the holder may open an account's records to one conversation.

        The function is the preview of the operation ``access``, which policy judges and people sign like any other.
        Carrying it out does nothing in the organisation's systems: the executed ticket itself is the grant.
        """

        def declare(preview: Callable[[Account], Awaitable[F]]) -> Callable[[Account], Awaitable[F]]:
            async def access(execution: Execution, account: Account) -> Receipt:
                return Receipt(reference=execution.ticket, summary=GRANTED.format(minutes=GRANT_LIFE // 60))

            async def look_up(execution: Execution) -> Receipt:
                return await access(execution, Account(""))

            self._claim(f"request_{ACCESS}")
            hints = get_type_hints(preview, include_extras=True)
            parameters = list(inspect.signature(preview).parameters.values())
            accounts = account_parameters(parameters, hints)
            if len(parameters) != 1 or not accounts:
                raise DeskError("The preview of the access takes something else than one Account.")
            operation: Operation[[Account], Receipt] = Operation(
                ACCESS, ACCESS_DESCRIPTION, access, _arguments(ACCESS, parameters, hints), accounts[0], Receipt,
                ACCESS_TITLE, "direct", None, tuple(ladder) if ladder is not None else ACCESS_LADDER, 30.0, settled_by,
                self._opened,
            )  # fmt: skip
            operation.preview(preview)
            operation.lookup(look_up)
            self.operations[ACCESS] = operation
            return preview

        return declare if function is None else declare(function)

    def check(self) -> None:
        """Refuse a desk that is not whole; called at load by whatever serves it."""
        if self._opened and ACCESS not in self.operations:
            raise DeskError(
                f"The read {self._opened[0]} needs a grant, but nobody can ask for one.",
                "Declare the access to an account with @desk.access.",
            )
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

    def _register(self, operation: Operation[Any, Any]) -> None:
        if operation.undoes is not None:
            self._claim(f"request_{operation.name}")
        operation.register = self._register
        self.operations[operation.name] = operation

    def _claim(self, tool: str) -> None:
        taken = tool in self.reads or (tool.removeprefix("request_") in self.operations and tool.startswith("request_"))
        if taken or tool in RESERVED_TOOLS:
            raise DeskError(f"The tool name {tool} is taken.", "Rename the function.")


def explain(error: ValidationError) -> str:
    """The mistakes in validated input, one clause each, without repeating the input."""
    mistakes = [
        f"{'.'.join(str(part) for part in item['loc']) or 'the arguments'}: {item['msg'].lower()}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return f"The arguments are not accepted: {'; '.join(mistakes[:8])}."


def _check_async(function: Callable[..., Any], what: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise DeskError(f"{what} is not an async function.", "Write 'async def'.")


def _check_owned(name: str, hint: Any) -> None:
    if not names_its_owner(hint):
        raise DeskError(
            f"The read {name} takes an Account, but its result does not say whose records it holds.",
            "Return a class that derives from Owned, or a list of them.",
        )
    for model in _models(hint):
        for field_name, info in model.model_fields.items():
            if assurance_for(info) != "none" and not is_optional(info.annotation):
                raise DeskError(
                    f"The field {field_name} of {model.__name__} may be left out, but cannot be None.",
                    "Declare it as 'T | None'.",
                )


def _models(hint: Any) -> set[type[BaseModel]]:
    """Every model that a value of the type may hold."""
    found: set[type[BaseModel]] = set()
    waiting = [hint]
    while waiting:
        kind = waiting.pop()
        waiting.extend(get_args(kind))
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
            found.add(kind)
            waiting.extend(info.annotation for info in kind.model_fields.values())
    return found


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
