"""Rungs: the evidence that a policy is asked with, and what a ticket requires.

A rung is a least amount of evidence. Rungs are ordered by *covers*: one that asks for more of something and for no
less of anything else covers the other. Requirements are the minimal rungs with which policy allows execution.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, field
from pydantic import BeforeValidator, Field

from counterfoil.canonical import MAX_INTEGER
from counterfoil.spelling import Spelled
from counterfoil.values import ASSURANCES, Assurance, Frozen

_SURENESS = {assurance: place for place, assurance in enumerate(ASSURANCES)}


POSSIBLE = (
    f"A rung's holder is one of: {', '.join(ASSURANCES)}; its staff, how many people of each role, from 1;"
    " its code, True or False; its hold, seconds from 0."
)
"""What to do about a rung that is not possible."""


class Rung(Spelled, frozen=True, kw_only=True):
    """A least amount of evidence. ``staff``: role → distinct eligible approvals; ``hold``: seconds to wait."""

    holder: Assurance = "none"
    staff: dict[str, Annotated[int, Meta(ge=1, le=MAX_INTEGER)]] = field(default_factory=dict)
    code: bool = False
    hold: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = 0

    @property
    def has_one_order(self) -> bool:
        """Whether it does not name several roles, which could stand in any order."""
        return len(self.staff) < 2

    def covers(self, other: Rung) -> bool:
        """Whether this asks for at least what ``other`` asks for."""
        return (
            _SURENESS[self.holder] >= _SURENESS[other.holder]
            and self.code >= other.code
            and self.hold >= other.hold
            and all([self.staff.get(role, 0) >= count for role, count in other.staff.items()])
        )

    def beyond(self, reached: Rung) -> Rung:
        """What this asks of people beyond what was ``reached``."""
        recognised = _SURENESS[reached.holder] >= _SURENESS[self.holder]
        lacking = {role: count - reached.staff.get(role, 0) for role, count in self.staff.items()}
        return Rung(
            holder="none" if recognised else self.holder,
            staff={role: count for role, count in lacking.items() if count > 0},
            hold=self.hold,
        )

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing; policy is never asked to execute with it."""
        return self.holder == "none" and not (self.staff or self.code or self.hold)

    def in_words(self) -> str:
        """One clause for people and models."""
        parts: list[str] = []
        if self.holder == "link":
            parts.append("the account holder confirms with a code sent to them")
        elif self.holder != "none":
            parts.append(f"the account holder confirms with their passkey{' and the code from the chat' * self.code}")
        for role, count in sorted(self.staff.items()):
            parts.append(
                f"{count} {'person' if count == 1 else 'people'} with the role {role} approve{'s' * (count == 1)}"
            )
        if self.hold:
            parts.append(f"a waiting time of {duration(self.hold)} passes without objection")
        return ", and ".join(parts)


def duration(seconds: int) -> str:
    """Seconds in the largest unit that divides them."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{seconds} second{'s' * (seconds != 1)}"


UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def seconds(text: str) -> int:
    """The seconds of a duration as people write it: ``1 day``, ``36hours``, ``90``; ``ValueError`` for others."""
    match = re.fullmatch(r"(\d{1,9})\s*([a-z]*)", text.strip())
    unit = None if match is None else UNITS.get(match[2].removesuffix("s") or "second")
    if match is None or unit is None:
        raise ValueError(f"{text!r}")
    return int(match[1]) * unit


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return seconds(value)
    except ValueError as error:
        raise ValueError(f"is no duration: {error}", "Write it as in 1 day or 36 hours.") from None


class WrittenRung(Frozen):
    """A rung as people write it in files, whose mistakes are told by their place; ``hold`` may be text: ``1 day``."""

    holder: Assurance = "none"
    staff: dict[str, Annotated[int, Field(ge=1, le=MAX_INTEGER)]] = Field(default_factory=dict)
    code: bool = False
    hold: Annotated[int, Field(ge=0, le=MAX_INTEGER), BeforeValidator(_duration)] = 0

    @property
    def rung(self) -> Rung:
        """The rung that was meant."""
        return Rung(holder=self.holder, staff=self.staff, code=self.code, hold=self.hold)


DEFAULT_LADDER: Sequence[Rung] = ()
"""Stands for :func:`default_ladder` over the desk's own roles."""


def default_ladder(roles: Iterable[str]) -> tuple[Rung, ...]:
    """The holder's passkey with the match code; with one approval of a role; with two."""
    base = Rung(holder="passkey", code=True)
    return (base, *(base.changed(staff={role: count}) for count in (1, 2) for role in roles))


@dataclass(frozen=True)
class Ladder:
    """Distinct rungs, and by their places which one covers which other."""

    rungs: tuple[Rung, ...]
    covers: frozenset[tuple[int, int]]

    @staticmethod
    def of(rungs: Iterable[Rung]) -> Ladder:
        """The ladder of those rungs that ask for something, compared once."""
        found: list[Rung] = []
        for rung in rungs:
            if not rung.is_empty and rung not in found:
                found.append(rung)
        places = range(len(found))
        pairs = {(i, j) for i in places for j in places if i != j and found[i].covers(found[j])}
        return Ladder(tuple(found), frozenset(pairs))

    def strongest(self) -> list[int]:
        """The places of those that no other one covers."""
        covered = {weaker for _, weaker in self.covers}
        return [place for place in range(len(self.rungs)) if place not in covered]

    def minimal(self, allowed: Set[int]) -> list[int]:
        """The places of those allowed that cover no other allowed one."""
        return [place for place in sorted(allowed) if not any((place, other) in self.covers for other in allowed)]

    def least(self) -> tuple[Rung, ...]:
        """The minimal rungs of the whole ladder."""
        return tuple(self.rungs[place] for place in self.minimal(set(range(len(self.rungs)))))

    def is_upward(self, allowed: Set[int]) -> bool:
        """Whether everything that asks for more than an allowed one is allowed too."""
        return all(stronger in allowed for stronger, weaker in self.covers if weaker in allowed)
