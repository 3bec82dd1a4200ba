"""Which types a desk's functions may use, and the refusal of others at load.

A parameter or fact must be something that a policy can name and a page can show: text, whole numbers, truth values,
money, accounts, changes, lists of text, and choices; each may be optional. Parameters may also be ``float`` where the
schema then says number.
"""

from __future__ import annotations

import inspect
import types
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from counterfoil.errors import DeskError
from counterfoil.values import Account, Change, Facts, Money, style_of

SIMPLE: tuple[Any, ...] = (str, int, bool, Money, Account)


def bare(hint: Any) -> Any:
    """The type without ``Annotated`` and without ``| None``."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        return bare(rest[0]) if len(rest) == 1 else hint
    return hint


def is_optional(hint: Any) -> bool:
    """Whether None is allowed."""
    if get_origin(hint) is Annotated:
        return is_optional(get_args(hint)[0])
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def is_choice(hint: Any) -> bool:
    """Whether the type is a Literal of texts or an Enum of texts."""
    if get_origin(hint) is Literal:
        return all(isinstance(choice, str) for choice in get_args(hint))
    return isinstance(hint, type) and issubclass(hint, Enum) and issubclass(hint, str)


def is_text_list(hint: Any) -> bool:
    """Whether the type is a list or tuple of texts."""
    return get_origin(hint) in (list, tuple) and bare(get_args(hint)[0]) in (str, Account)


def account_parameters(parameters: list[inspect.Parameter], hints: dict[str, Any]) -> list[str]:
    """The names of the parameters that are an Account."""
    return [parameter.name for parameter in parameters if bare(hints.get(parameter.name)) is Account]


def check_arguments(where: str, hints: dict[str, Any]) -> None:
    """Refuse parameter types that could not be judged or shown."""
    for name, hint in hints.items():
        kind = bare(hint)
        if not (kind in (*SIMPLE, float) or is_choice(kind) or is_text_list(kind)):
            raise DeskError(
                f"The parameter {name} of {where} has the type {kind!r}.",
                "Use str, int, bool, float, Money, Account, a Literal of texts, or a list of texts.",
            )


def check_facts(where: str, model: type[Facts], arguments: set[str]) -> None:
    """Refuse fact types that could not be judged or shown, and facts about an unknown argument."""
    for name, info in model.model_fields.items():
        kind = bare(info.annotation)
        if not (kind in (*SIMPLE, Change) or is_choice(kind) or is_text_list(kind)):
            raise DeskError(
                f"The fact {name} of {where} has the type {kind!r}.",
                "Use str, int, bool, Money, Account, Change, a Literal of texts, or a list of texts.",
            )
        about = style_of(model, name).about
        if about is not None and about not in arguments:
            raise DeskError(
                f"The fact {name} of {where} is about {about}, which is no argument.",
                f"Name one of: {', '.join(sorted(arguments))}.",
            )


def blank_facts(model: type[Facts]) -> Facts:
    """Facts of the model's shape that say nothing. For doing the same work where there are none (T54), never stored."""
    return model.model_construct(None, **{name: _blank(info.annotation) for name, info in model.model_fields.items()})


def _blank(hint: Any) -> Any:
    kind = bare(hint)
    if is_optional(hint):
        return None
    if get_origin(kind) in (list, tuple):
        return ()
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if kind is Money:
        return Money(value="0.00", currency="XXX")
    if kind is Change:
        return Change(before="", after="")
    return {bool: False, int: 0}.get(kind, "")
