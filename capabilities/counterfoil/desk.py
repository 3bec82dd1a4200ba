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
from typing import (
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeVar,
    get_args,
    get_type_hints,
    overload,
)

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from counterfoil.declared_places import declared_at, names_its_place
from counterfoil.declared_types import account_parameters, check_arguments, is_optional
from counterfoil.errors import DeskError
from counterfoil.operations import Delivery, Operation, check_async
from counterfoil.reads import CONVERSATION, Read, names_its_owner
from counterfoil.rungs import DEFAULT_LADDER, POSSIBLE, Rung, default_ladder
from counterfoil.tickets import ACCESS, GRANT_LIFE
from counterfoil.values import Account, Contact, Execution, Facts, Money, Receipt, assurance_for

P = ParamSpec("P")
R = TypeVar("R", bound=Receipt)
F = TypeVar("F", bound=Facts)
T = TypeVar("T")

RESERVED_PARAMETERS = frozenset({CONVERSATION, "note"})
"""Arguments of every request tool that belong to Counterfoil, not to the operation."""

RESERVED_TOOLS = frozenset(
    {"ticket_status", "cancel_ticket", "redeem_ticket", "explain_requirements", "start_conversation"}
)

ACCESS_TITLE = "Let the AI read your records"
ACCESS_DESCRIPTION = "Let the AI read what the organisation holds about this account, in one conversation, for a while."
ACCESS_LADDER = (Rung(holder="passkey", code=True),)
GRANTED = "For {minutes} minutes from the confirmation, the AI may read this account’s records in this conversation."


class Directory(Protocol):
    """The organisation's own customers. Both answer from its records, never from what an AI claims (T03)."""

    async def find(self, hint: str) -> Account | None:
        """The account, as text, that a customer number, e-mail address or name means, or None."""

    async def person(self, account: Account) -> Contact | None:
        """The person who holds the account."""


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

        @names_its_place
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
        executor: str | None = None,
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
        executor: str | None = None,
    ) -> Any:
        """Declare an operation under the function's name.

        ``counts`` names the Money parameter that policy's counters add up; ``time_limit`` (seconds) ends a connector
        that hangs, which leaves the outcome unknown; ``settled_by`` names the role that may then establish it, instead
        of the desk's; ``executor`` names an executor outside, to which its orders are addressed: the connector hands
        it ``execution.presented``, and it verifies everything once more by itself.
        """

        @names_its_place
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
                raise DeskError(
                    f"The first parameter of {name} is not an Execution.", "Write execution: Execution as the first."
                )
            receipt = hints.get("return")
            if not (isinstance(receipt, type) and issubclass(receipt, Receipt)):
                raise DeskError(f"The operation {name} does not return a Receipt.", "Annotate its result: -> Receipt.")
            arguments = _arguments(name, parameters[1:], hints)
            accounts = account_parameters(parameters, hints)
            if len(accounts) != 1:
                raise DeskError(
                    f"The operation {name} has {len(accounts)} Account parameters; it needs exactly one.",
                    "Declare the account whose holder decides; another one is an ordinary str.",
                )
            if counts is not None and hints.get(counts) is not Money:
                raise DeskError(
                    f"The operation {name} counts {counts}, which is not a Money parameter of it.",
                    "Name one of type Money, or leave counts out.",
                )
            operation: Operation[P, R] = Operation(
                name, description, run, arguments, accounts[0], receipt, title or name.replace("_", " ").capitalize(),
                delivery, counts, tuple(ladder) if ladder is not None else (), time_limit, settled_by,
                executor=executor,
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

        @names_its_place
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
        if isinstance(self.roles, str):
            raise DeskError(f"The desk's roles are one text, {self.roles!r}.", f'Write roles=["{self.roles}"].')
        if self._opened and ACCESS not in self.operations:
            raise DeskError(
                f"The read {self._opened[0]} needs a grant, but nobody can ask for one.",
                "Declare the access to an account with @desk.access.",
            )
        for operation in self.operations.values():
            with declared_at(operation.run):
                self._check_operation(operation)
                self._check_settler(operation.settled_by)
        self._check_settler(self.settled_by)

    def _check_operation(self, operation: Operation[Any, Any]) -> None:
        if operation.delivery not in get_args(Delivery):
            raise DeskError(
                f"The operation {operation.name} has the delivery {operation.delivery!r}.",
                f"Use one of: {', '.join(get_args(Delivery))}.",
            )
        if operation.time_limit <= 0:
            raise DeskError(
                f"The operation {operation.name} has a time limit of {operation.time_limit} seconds.",
                "Give it as many seconds as the connector may take.",
            )
        if operation.run_preview is None:
            raise DeskError(
                f"The operation {operation.name} has no preview.", f"Add one with @{operation.name}.preview."
            )
        for rung in self.ladder_of(operation):
            try:
                rung.check()
            except ValueError as error:
                raise DeskError(f"A rung of {operation.name} is not right: {error}.", POSSIBLE) from None
            for role in rung.staff:
                if role not in self.roles:
                    raise DeskError(
                        f"A rung of {operation.name} names the role {role}, which the desk does not list.",
                        "Add it to the desk's roles, or correct the rung.",
                    )

    def _check_settler(self, settler: str | None) -> None:
        if settler is not None and settler not in self.roles:
            raise DeskError(
                f"Unknown outcomes are settled by {settler!r}, which is no role that the desk lists.",
                "Name one of the desk's roles in settled_by, or add it to them.",
            )

    @property
    def executors(self) -> frozenset[str]:
        """The names of the executors outside that operations are addressed to."""
        return frozenset(each.executor for each in self.operations.values() if each.executor is not None)

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

    def can_settle(self, operation: str) -> bool:
        """Whether a lookup or a named role can find out what became of an unknown outcome of this operation."""
        declared = self.operations.get(operation)
        return self.settler_of(operation) is not None or (declared is not None and declared.run_lookup is not None)

    def _claim(self, tool: str) -> None:
        taken = tool in self.reads or (tool.removeprefix("request_") in self.operations and tool.startswith("request_"))
        if taken or tool in RESERVED_TOOLS:
            raise DeskError(f"The tool name {tool} is taken.", "Rename the function.")


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
    check_async(function, f"The function {name}")
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
            raise DeskError(
                f"The parameter {parameter.name} of {name} is a name that Counterfoil uses itself.", "Rename it."
            )
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise DeskError(
                f"The parameter {parameter.name} of {name} is not an ordinary parameter.",
                "Declare each by its own name, without / and stars before it.",
            )
        if parameter.name not in hints:
            raise DeskError(f"The parameter {parameter.name} of {name} has no type.", "Annotate it.")
        fields[parameter.name] = (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
    check_arguments(name, {key: value[0] for key, value in fields.items()})
    model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)
    return model
