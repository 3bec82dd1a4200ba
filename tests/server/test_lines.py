"""Lines cut from a stream, whole or by their ends, however the stream was chopped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from counterfoil_server.lines import EDGE, Line, LineSplitter, Overlong

LIMIT = 2 * EDGE


def split(*chunks: bytes, limit: int | None = LIMIT) -> list[Line]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + list(splitter.end())


@given(st.lists(st.binary(max_size=40)), st.data())
def test_lines_do_not_depend_on_how_they_were_chopped(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(lines)
    at = data.draw(st.integers(0, len(whole)))
    expected = [line for line in whole.split(b"\n") if line.strip()]
    assert split(whole[:at], whole[at:]) == expected
    assert split(*(bytes([byte]) for byte in whole)) == expected


def test_of_a_line_that_is_too_long_both_ends_are_kept_and_the_next_one_is_whole() -> None:
    long = b"head" + b"x" * LIMIT + b"tail"
    for chunks in (
        [long + b"\nnext\n"],
        [long[:100], long[100:], b"\n", b"next\n"],
        [long[:-1], long[-1:] + b"\nnext"],
    ):
        found, after = split(*chunks)
        assert isinstance(found, Overlong)
        assert found.head == long[:EDGE]
        assert found.tail == long[-EDGE:]
        assert after == b"next"


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    assert split(b"x" * LIMIT + b"\n") == [b"x" * LIMIT]


def test_without_a_limit_every_line_is_whole() -> None:
    assert split(b"x" * 10 * LIMIT, b"y\n", limit=None) == [b"x" * 10 * LIMIT + b"y"]


def test_what_is_kept_of_an_endless_line_is_bounded() -> None:
    splitter = LineSplitter(LIMIT)
    for _ in range(100):
        assert list(splitter.feed(b"x" * LIMIT)) == []
        assert len(splitter._kept) <= LIMIT
