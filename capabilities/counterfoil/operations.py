"""An operation: something that changes the world, and that an AI can only request.

What it declares, what people rely on of it (its digest), and how the stored bytes of a request become the arguments
of its preview and its connector.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from counterfoil.canonical import canonical, digest
from counterfoil.declared_places import names_its_place
from counterfoil.declared_types import blank_facts, check_facts
from counterfoil.errors import BadArguments, DeskError
from counterfoil.reads import CONVERSATION, CONVERSATION_SCHEMA
from counterfoil.rungs import Rung
from counterfoil.tickets import ACCESS
from counterfoil.values import PATTERNS_IN_WORDS, Account, Execution, Facts, Money, Receipt, style_of

P = ParamSpec("P")
R = TypeVar("R", bound=Receipt)
F = TypeVar("F", bound=Facts)

Delivery = Literal["direct", "collected"]

RECEIPT = "receipt"
"""Under which name the executor reports what a connector returned, and an undo takes it."""


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
    executor: str | None = None
    """Who runs it, where that is not the executor of this process."""
    register: Callable[[Operation[Any, Any]], None] | None = None

    @names_its_place
    def preview(self, function: Callable[P, Awaitable[F]]) -> Callable[P, Awaitable[F]]:
        """Declare the read-only preview; its parameters are the operation's without the execution."""
        check_async(function, f"The preview of {self.name}")
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
            raise DeskError(
                f"The preview of {self.name} does not say which Facts it returns.",
                "Annotate its result with Facts, or with a class of yours derived from it.",
            )
        check_facts(f"the preview of {self.name}", facts, set(self.arguments.model_fields))
        self.facts = facts
        self.run_preview = function
        return function

    @names_its_place
    def lookup(
        self, function: Callable[[Execution], Awaitable[R | None]]
    ) -> Callable[[Execution], Awaitable[R | None]]:
        """Declare how to find out afterwards: a receipt means it happened, None proves that nothing did."""
        check_async(function, f"The lookup of {self.name}")
        self.run_lookup = function
        return function

    @names_its_place
    def undo(self, function: Callable[[Execution, R], Awaitable[Receipt]]) -> Operation[[Account, R], Receipt]:
        """Declare how what was carried out is undone: by an operation of its own, ``undo_<operation>``.

        It is requested with the ticket that was carried out, once at most, judged by policy and signed like any other,
        and needs a preview of the account and the receipt. Answers that operation.
        """
        check_async(function, f"The undo of {self.name}")
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
            executor=self.executor,
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


def check_async(function: Callable[..., Any], what: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise DeskError(f"{what} is not an async function.", "Write 'async def'.")
