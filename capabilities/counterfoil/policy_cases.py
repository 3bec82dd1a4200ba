"""A table of cases that a policy must answer as expected, written in TOML beside it.

Each ``[[case]]`` is one request: an operation with its arguments and facts, what happened before, what people proved,
and what is expected of the policy. ``[defaults.<operation>]`` holds what the cases of an operation have in common. The
rules held here:

* nothing is skipped: an unknown key, a value of a wrong type, an argument or fact that the desk does not declare, a
  case without an expectation or without a name of its own is a mistake, told with its line, its case and its key, and
  then no case runs at all;
* a case is judged as the authority would judge it: the evidence has to reach what the ticket would require, and the
  policy has to allow it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field, ValidationError

from counterfoil.asking import Question
from counterfoil.desk import Desk
from counterfoil.errors import CasesError
from counterfoil.file_mistakes import Mistake, instead, mistakes_in, told
from counterfoil.policy import Policy
from counterfoil.policy_explanation import Explanation, Situation, explain, question_of
from counterfoil.rungs import Rung, WrittenRung
from counterfoil.toml_lines import Key, Lines, unparsed

FILE_NAME = "policy_cases.toml"

TABLES = ("arguments", "facts", "counters")
"""What of the defaults and of a case is put together key by key."""


class Case(Situation):
    """A situation and what is expected of it.

    ``allowed``: whether it would be executed with the evidence; ``requires``: the alternatives that people are asked
    for, none meaning that it is refused; ``unattended``: whether it may run without anybody; ``reason``: a part of one
    of the reasons given.
    """

    name: str = Field(min_length=1)
    allowed: bool | None = None
    requires: list[WrittenRung] | None = None
    unattended: bool | None = None
    reason: str | None = None

    @property
    def required(self) -> list[Rung] | None:
        """The alternatives that are expected, if any are named."""
        return None if self.requires is None else [each.rung for each in self.requires]


@dataclass(frozen=True)
class ReadyCase:
    """A case whose arguments and facts fit the desk."""

    case: Case
    question: Question


@dataclass(frozen=True)
class Judged:
    """What the policy says to a case; ``failures`` are the expectations that it does not meet, a sentence each."""

    case: Case
    explanation: Explanation
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the policy answers as expected."""
        return not self.failures


def read_cases(text: str, desk: Desk, *, source: str = FILE_NAME) -> tuple[ReadyCase, ...]:
    """The cases of a TOML text; raises :class:`CasesError` naming ``source`` and the line, case and key of each
    mistake."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, why = unparsed(error, text)
        raise CasesError(f"{source}, line {line} is not TOML: {why}.", "Correct that line.") from None
    reading = _Reading(values, desk)
    cases = tuple(reading.cases())
    if reading.mistakes:
        raise CasesError(*told(source, reading.mistakes, Lines.of(text)))
    return cases


def judge(policy: Policy, ready: ReadyCase) -> Judged:
    """Ask the policy, and compare."""
    found = explain(policy, ready.question, ready.case.proved)
    return Judged(ready.case, found, tuple(_failures(ready.case, found)))


def _failures(case: Case, found: Explanation) -> Iterator[str]:
    why = " ".join(found.reasons)
    if case.allowed is not None and found.verdict is not None and case.allowed != found.verdict.allowed:
        yield f"It is {'allowed' if found.verdict.allowed else 'refused'}. {why}".rstrip()
    if case.required is not None and not _same(case.required, found.requirements.rungs):
        yield f"It requires: {alternatives(found.requirements.rungs)}. {' '.join(found.requirements.reasons)}".rstrip()
    if case.unattended is not None and case.unattended != found.unattended.allowed:
        yield f"Without anybody's approval it {'may' if found.unattended.allowed else 'may not'} run."
    if case.reason is not None and not any(case.reason in reason for reason in found.reasons):
        yield f"The reason given is: {why or 'none'}"


def alternatives(rungs: Sequence[Rung]) -> str:
    """Requirements in one clause."""
    return "; or ".join(rung.in_words() for rung in rungs) or "nothing that anybody could give"


def _same(expected: Sequence[Rung], found: Sequence[Rung]) -> bool:
    return all(rung in found for rung in expected) and all(rung in expected for rung in found)


class _Reading:
    """One reading of the file's values; gathers mistakes in place of stopping at the first."""

    def __init__(self, values: Mapping[str, Any], desk: Desk) -> None:
        self.desk = desk
        self.mistakes: list[Mistake] = []
        for key in values:
            if key not in ("case", "defaults"):
                self._wrong((key,), f"there is no key '{key}'", instead(key, ("[[case]]", "[defaults.<operation>]")))
        self._values = self._list(values.get("case", []))
        self._defaults = self._tables(values.get("defaults", {}))
        if not self._values and not self.mistakes:
            self._wrong((), "there is no case", 'Add one: [[case]], then name = "…", operation = "…" and so on.')

    def cases(self) -> Iterator[ReadyCase]:
        """Every case that is right; complete only if there were no mistakes."""
        names: set[str] = set()
        for number, value in enumerate(self._values):
            name = value.get("name")
            title = f"the case “{name}”" if isinstance(name, str) and name else f"case {number + 1}, which has no name"
            if isinstance(name, str) and name in names:
                self._wrong(("case", number, "name"), f"{title} is there twice", "Give each a name of its own.")
            names.add(str(name))
            before = len(self.mistakes)
            ready = self._case(number, value)
            self.mistakes[before:] = [replace(each, says=f"in {title}, {each.says}") for each in self.mistakes[before:]]
            if ready is not None:
                yield ready

    def _case(self, number: int, own: Mapping[str, Any]) -> ReadyCase | None:
        operation = own.get("operation")
        usual = self._defaults.get(operation, {}) if isinstance(operation, str) else {}
        merged = {**usual, **own}
        for table in TABLES:
            if isinstance(usual.get(table), dict) and isinstance(own.get(table), dict):
                merged[table] = usual[table] | own[table]
        try:
            case = Case.model_validate(merged)
        except ValidationError as error:
            self._add(number, own, operation, mistakes_in(error, Case))
            return None
        question = question_of(self.desk, case)
        if isinstance(question, list):
            self._add(number, own, operation, question)
            return None
        if lacking := _lacking(case):
            self._add(number, own, operation, [lacking])
            return None
        return ReadyCase(case, question)

    def _add(self, number: int, own: Mapping[str, Any], operation: object, mistakes: list[Mistake]) -> None:
        """Keep the mistakes, each at the place where its key is written: in the case, or in the defaults."""
        for each in mistakes:
            key: Key = ("case", number, *each.key)
            if not _has(own, each.key) and _has(self._defaults.get(str(operation), {}), each.key):
                key = ("defaults", str(operation), *each.key)
            # What is wrong in the defaults is wrong in each case that uses them.
            if key[0] == "case" or all(key != known.key for known in self.mistakes):
                self.mistakes.append(replace(each, key=key))

    def _list(self, value: Any) -> list[dict[str, Any]]:
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return value
        self._wrong(("case",), "'case' is no list of tables", "Begin each case with [[case]].")
        return []

    def _tables(self, value: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(value, dict):
            self._wrong(("defaults",), "'defaults' is no table", "Write [defaults.<operation>].")
            return {}
        found: dict[str, dict[str, Any]] = {}
        usable = [name for name in Situation.model_fields if name != "operation"]
        for operation, table in value.items():
            place: Key = ("defaults", operation)
            if operation not in self.desk.operations:
                what = f"there is no operation '{operation}'"
                self._wrong(place, what, instead(operation, self.desk.operations))
            elif not isinstance(table, dict):
                self._wrong(place, f"'defaults.{operation}' is no table", f"Write [defaults.{operation}].")
            else:
                found[operation] = {key: value for key, value in table.items() if key in usable}
                for key in table:
                    if key not in usable:
                        what = f"there is no key '{key}' in the defaults of {operation}"
                        self._wrong((*place, key), what, instead(key, usable))
        return found

    def _wrong(self, key: Key, says: str, remedy: str) -> None:
        self.mistakes.append(Mistake(key, says, remedy))


def _lacking(case: Case) -> Mistake | None:
    """What a case needs besides right types."""
    if case.allowed is None and case.requires is None and case.unattended is None and case.reason is None:
        return Mistake((), "nothing is expected", "Add allowed = …, requires = […], unattended = … or reason = ….")
    if case.allowed is not None and case.evidence is None:
        return Mistake(
            ("allowed",),
            "'allowed' is expected, but no evidence is given with which it could be",
            "Add evidence = { … }; or write requires = [] for what nobody can approve.",
        )
    return None


def _has(value: Any, key: Key) -> bool:
    for part in key:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True
