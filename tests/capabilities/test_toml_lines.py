"""Lines of keys in TOML texts: exactly the keys that tomllib finds, each where it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from counterfoil.toml_lines import Key, Lines, unparsed

ROOT = Path(__file__).resolve().parents[2]

TEXT = '''\
# [not.a.table]
desk = "a#[b"            # x = 1
"qu.o\\u0074ed" . 'b c' = 1
a.b.c = [1,
 2, { x = 1 , y = [3] },   # a comment, with a comma
]
s = """
[x]
z = 1 \\""" "
"""
l = \'\'\'a
b = 2\'\'\'
[smtp] # comment
host = 'x'
[[case]]
name = "n"
facts = { locked = true, "deep" = { "z" = 1 } }
[case.more]
at = 1979-05-27 07:32:00Z
[[case]]
name = "2"
[[case.sub]]
q = 1.5
[[case.sub]]
q = -inf
'''

LINES: dict[Key, int] = {
    ("desk",): 2,
    ("qu.oted", "b c"): 3,
    ("a", "b", "c"): 4,
    ("a", "b", "c", 0): 4,
    ("a", "b", "c", 1): 5,
    ("a", "b", "c", 2): 5,
    ("a", "b", "c", 2, "y", 0): 5,
    ("s",): 7,
    ("l",): 11,
    ("smtp",): 13,
    ("smtp", "host"): 14,
    ("case", 0): 15,
    ("case", 0, "name"): 16,
    ("case", 0, "facts", "deep", "z"): 17,
    ("case", 0, "more"): 18,
    ("case", 0, "more", "at"): 19,
    ("case", 1): 20,
    ("case", 1, "name"): 21,
    ("case", 1, "sub", 0, "q"): 23,
    ("case", 1, "sub", 1, "q"): 25,
}


def leaves(value: Any, key: Key = ()) -> Iterator[Key]:
    """The keys of all values that hold no others."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for part, each in inside:
        found = True
        yield from leaves(each, (*key, part))
    if not found:
        yield key


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n")], ids=["LF", "CRLF"])
def test_each_key_has_the_line_in_which_it_is_written(text: str) -> None:
    found = Lines.of(text).found
    assert {key: found.get(key) for key in LINES} == LINES


TEXTS = [TEXT, *(path.read_text() for path in sorted(ROOT.glob("**/*.toml")) if "node_modules" not in path.parts)]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_value_that_tomllib_reads_is_found(text: str) -> None:
    assert set(leaves(tomllib.loads(text))) <= set(Lines.of(text).found)


def test_a_key_that_is_not_written_has_the_line_of_what_is_around_it() -> None:
    lines = Lines.of(TEXT)
    assert lines.of_key(("case", 1, "facts", "locked")) == 20
    assert lines.of_key(("smtp", "sender")) == 13
    assert lines.of_key(("policy",)) == 1


@pytest.mark.parametrize("text", ["a = [1", "= 1", "[", "[[x]\n", 'a = "b', "a = { b", "\x00", "a b = 1"])
def test_a_text_that_is_no_toml_is_left_where_it_is_not_understood(text: str) -> None:
    Lines.of(text)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a = 1\nb = \n", 2, "Invalid value"),
        ("a = 1\n\nb = [1,\n", 3, "Invalid value"),
        ("a = 1\na = 2\n", 2, "Cannot overwrite a value"),
    ],
)
def test_where_reading_stopped(text: str, line: int, why: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as failed:
        tomllib.loads(text)
    assert unparsed(failed.value, text) == (line, why)
