"""What is wrong in a file that people write in TOML: each mistake with its line and what to write instead.

Several mistakes are told at once, in the order of the lines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from counterfoil.toml_lines import Key, Lines

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "string_type": "Write text in quotes.",
        "string_too_short": "Write text that is not empty.",
        "int_type": "Write a whole number without quotes.",
        "float_type": "Write a number without quotes.",
        "bool_type": "Write true or false, without quotes.",
        "list_type": "Write a list in square brackets.",
        "dict_type": "Write a table, as in {{ name = … }}.",
        "model_type": "Write a table, as in {{ name = … }}.",
        "greater_than_equal": "Write a number that is {ge} or more.",
        "less_than_equal": "Write a number that is {le} or less.",
        "literal_error": "Write one of {expected}.",
        "enum": "Write one of {expected}.",
        "string_pattern_mismatch": "Write it in the form {pattern}.",
    }
)
"""What to do, by pydantic's name of the mistake (https://docs.pydantic.dev/latest/errors/validation_errors/)."""


@dataclass(frozen=True)
class Mistake:
    """One mistake: at which key, what is wrong (a clause without a full stop) and what to do (a sentence)."""

    key: Key
    says: str
    remedy: str


def told(source: str, mistakes: Sequence[Mistake], lines: Lines) -> tuple[str, str]:
    """What happened and what to do, of one mistake or of all; ``source`` is the file as the reader knows it."""
    ordered = sorted(((lines.of_key(each.key), each) for each in mistakes), key=lambda pair: pair[0])
    if len(ordered) == 1:
        [(line, each)] = ordered
        return f"{source}, line {line}: {each.says}.", each.remedy
    happened = "; ".join(f"line {line}: {each.says}" for line, each in ordered)
    remedies = dict.fromkeys(f"Line {line}: {each.remedy}" for line, each in ordered)
    return f"{source} has {len(ordered)} mistakes: {happened}.", " ".join(remedies)


def mistakes_in(error: ValidationError, model: type[BaseModel], within: Key = (), what: str = "key") -> list[Mistake]:
    """The mistakes that pydantic found; ``within`` is the key of what it looked at, ``what`` the word for its keys."""
    return [_mistake(item, model, within, what) for item in error.errors(include_url=False, include_input=False)]


def _mistake(item: Any, model: type[BaseModel], within: Key, what: str) -> Mistake:
    place: Key = tuple(item["loc"])
    key, name = (*within, *place), spelled(place)
    context = item.get("ctx", {})
    match item["type"]:
        case "missing":
            return Mistake(key, f"the {what} '{name}' is missing", f"Add {_last(place)} = … there.")
        case "extra_forbidden":
            return Mistake(key, f"there is no {what} '{name}'", instead(_last(place), _names(model, place[:-1])))
        case "value_error":
            says, *remedy = context["error"].args
            return Mistake(key, f"the {what} '{name}' {says}", remedy[0] if remedy else "Correct it.")
    remedy = REMEDIES.get(item["type"], "Correct it.").format(**context)
    return Mistake(key, f"the {what} '{name}' is not right: {_lower(item['msg'])}", remedy)


def instead(wrong: str, known: Iterable[str]) -> str:
    """What could have been meant by a name that does not exist."""
    names = list(known)
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.65)
    if close:
        return f"Write {close[0]}, if that is what you mean."
    return f"Remove it, or use one of: {', '.join(names)}." if names else "Remove it."


def spelled(key: Key) -> str:
    """The key as people write it: ``smtp.port``, ``allowed_hosts[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def _last(key: Key) -> str:
    return str(key[-1]) if key else ""


def _names(model: type[BaseModel], place: Key) -> list[str]:
    """The keys that there are at this place of the model."""
    found: Any = model
    for part in place:
        if isinstance(part, str):
            field = found.model_fields.get(part) if _is_model(found) else None
            found = next(_models(field.annotation), None) if field is not None else None
    return list(found.model_fields) if _is_model(found) else []


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if _is_model(hint):
        yield hint
    for part in get_args(hint):
        yield from _models(part)


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
