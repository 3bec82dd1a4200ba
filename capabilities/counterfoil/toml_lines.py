"""In which line of a TOML text each key stands, for error messages only.

``tomllib`` reads the values and keeps no positions, so this looks at the text a second time. It is only ever given what
``tomllib`` has accepted, decides nothing, and stops looking where it does not understand: then an error names the line
of the nearest key before it, or the first line.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Key = tuple[str | int, ...]
"""The way to a value, such as ``("case", 0, "facts", "locked")``."""

SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
PART = re.compile(r'[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
DOT = re.compile(r"[ \t]*\.[ \t]*")
TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
PLAIN = re.compile(r"[^,\]}\n#]+")
POSITION = re.compile(r" \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\)$")


@dataclass(frozen=True)
class Lines:
    """The lines of the keys, from 1."""

    found: Mapping[Key, int]

    @classmethod
    def of(cls, text: str) -> Lines:
        """Find every key of a text that ``tomllib`` accepts."""
        scan = _Scan(text)
        with contextlib.suppress(_NotUnderstood):
            scan.document()
        return cls(scan.found)

    def of_key(self, key: Sequence[str | int]) -> int:
        """The line of the key or, where it has none of its own, of the nearest table or list around it."""
        for end in range(len(key), 0, -1):
            if tuple(key[:end]) in self.found:
                return self.found[tuple(key[:end])]
        return 1


def unparsed(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line at which reading the text failed, and why, without a full stop."""
    said = str(error)
    match = POSITION.search(said)
    line = int(match["line"]) if match and match["line"] else len(text.rstrip().splitlines()) or 1
    return line, POSITION.sub("", said)


class _NotUnderstood(Exception):
    """The text is not what was expected here."""


class _Scan:
    """One walk from the first character to the last."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.place = 0
        self.found: dict[Key, int] = {}
        self.tables: dict[Key, int] = {}
        """How often each ``[[table]]`` has begun."""

    def document(self) -> None:
        """Headers and pairs until the end."""
        table: Key = ()
        while self._skip(SPACE) or self.place < len(self.text):
            if self.place >= len(self.text):
                return
            if self._take("[["):
                begin = self.place
                key = self._within((), self._key(), repeated=True)
                self.tables[key] = self.tables.get(key, 0) + 1
                table = (*key, self.tables[key] - 1)
                self._note(table, begin)
                self._expect("]]")
            elif self._take("["):
                begin = self.place
                table = self._within((), self._key())
                self._note(table, begin)
                self._expect("]")
            else:
                self._pair(table)

    def _pair(self, table: Key) -> None:
        begin = self.place
        key = self._within(table, self._key())
        self._note(key, begin)
        self._expect("=")
        self._value(key)

    def _value(self, key: Key) -> None:
        self._skip(SPACE)
        if self._take("["):
            for number in range(len(self.text)):
                self._skip(SPACE)
                if self._take("]"):
                    return
                self._note((*key, number), self.place)
                self._value((*key, number))
                self._skip(SPACE)
                self._take(",")
        elif self._take("{"):
            while True:
                self._skip(SPACE)
                if self._take("}"):
                    return
                self._pair(key)
                self._skip(SPACE)
                self._take(",")
        elif not (self._skip(TEXT) or self._skip(PLAIN)):
            raise _NotUnderstood

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(SPACE)
            match = PART.match(self.text, self.place)
            if match is None:
                raise _NotUnderstood
            self.place = match.end()
            part = match.group()
            parts.append(tomllib.loads(f"key = {part}")["key"] if part[0] in "\"'" else part)
            if not self._skip(DOT):
                return parts

    def _within(self, table: Key, parts: list[str], *, repeated: bool = False) -> Key:
        """The whole key; in a ``[[table]]``, of its latest beginning, except where it begins ``repeated`` itself."""
        key = table
        for place, part in enumerate(parts):
            key = (*key, part)
            last = place == len(parts) - 1
            if key in self.tables and not (last and repeated):
                key = (*key, self.tables[key] - 1)
        return key

    def _note(self, key: Key, place: int) -> None:
        self.found.setdefault(key, self.text.count("\n", 0, place) + 1)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.place)
        if match is None or match.end() == self.place:
            return False
        self.place = match.end()
        return True

    def _take(self, mark: str) -> bool:
        if not self.text.startswith(mark, self.place):
            return False
        self.place += len(mark)
        return True

    def _expect(self, mark: str) -> None:
        self._skip(SPACE)
        if not self._take(mark):
            raise _NotUnderstood
