"""The parts of a rule's conditions, as they stand in its text: what has to hold all at once for the rule to apply.

``when { a && (b || c) } unless { d }`` has three parts: ``a``, ``(b || c)``, and that ``d`` does not hold. Where a
clause is no plain conjunction it is one part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|&&|\|\||\w+|\S', re.DOTALL)
"""Enough of Cedar's grammar to find where a condition ends: comments, strings, operators, words, brackets."""

BEFORE = re.compile(r"(?:\s|//[^\n]*)*")
"""What may stand before a condition."""

OPENING, CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class Condition:
    """One part. ``line`` is the one in which it begins; ``excluded`` parts must not hold (``unless``)."""

    text: str
    line: int
    excluded: bool = False

    def as_policy(self) -> str:
        """A policy that applies exactly where this part lets the rule apply."""
        return f"permit (principal, action, resource) {'unless' if self.excluded else 'when'} {{\n{self.text}\n}};"

    def in_words(self) -> str:
        """On one line, as policies write it."""
        bare = TOKEN.sub(lambda match: "" if match.group().startswith("//") else match.group(), self.text)
        plain = " ".join(bare.split())
        return f"unless {{ {plain} }}" if self.excluded else plain


def conditions(text: str, line: int) -> tuple[Condition, ...]:
    """The parts of one policy's text, which begins in ``line``."""
    return tuple(_conditions(text, line))


def _conditions(text: str, first_line: int) -> Iterator[Condition]:
    kind = ""
    depth = 0
    cuts: list[int] = []
    whole = False
    for match in TOKEN.finditer(text):
        token = match.group()
        if depth == 0 and token in ("when", "unless"):
            kind = token
        elif token in OPENING:
            depth += 1
            if kind and depth == 1:
                cuts, whole = [match.end()], kind == "unless"
        elif token in CLOSING:
            depth -= 1
            if kind and depth == 0:
                ends = [cuts[0], match.start()] if whole else [*cuts, match.start()]
                for begin, end in pairwise(ends):
                    yield _part(text, begin, end, first_line, kind == "unless")
                kind = ""
        elif kind and depth == 1 and token == "&&":
            cuts.append(match.end())
        elif kind and depth == 1 and token in ("||", "if"):
            whole = True


def _part(text: str, begin: int, end: int, first_line: int, excluded: bool) -> Condition:
    match = BEFORE.match(text, begin)
    start = match.end() if match else begin
    inside = text[start:end].rstrip().removesuffix("&&").rstrip()
    return Condition(inside, first_line + text.count("\n", 0, start), excluded)
