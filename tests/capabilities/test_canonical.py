"""Strict JSON in, one spelling out (T23)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.canonical import (
    MAX_DEPTH,
    MAX_INTEGER,
    b64,
    canonical,
    digest,
    parse_strict,
    pre_auth,
    salted_digest,
    unb64,
)
from counterfoil.errors import BadJSON

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(-MAX_INTEGER, MAX_INTEGER, allow_nan=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a":1,"\\u0061":2}', "twice"),
        (b'{"x":{"b":1,"b":2}}', "twice"),
        (b"NaN", "NaN"),
        (b"Infinity", "Infinity"),
        (b'{"x":-Infinity}', "-Infinity"),
        (b"1e400", "2^53"),
        (b"-1e400", "2^53"),
        (b"1e16", "2^53"),
        (b"9007199254740993.0", "2^53"),
        (b"9007199254740992", "2^53"),
        (b"-9007199254740992", "2^53"),
        (b"1" * 5000, "2^53"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'[["\\ud83d"]]', "surrogate"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'"\xff"', "UTF-8"),
        (b"[" * 33 + b"]" * 33, "deeper"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper"),
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"[01]", "not JSON"),
        (b"[+1]", "not JSON"),
        (b"[.5]", "not JSON"),
        (b"[0x1]", "not JSON"),
        (b'"\x01"', "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b"// a\n1", "not JSON"),
        (b"\xa01", "UTF-8"),
        ("[1\u00a0]".encode(), "not JSON"),
        ("[\u0661]".encode(), "not JSON"),
    ],
)
def test_T23_what_has_two_readings_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(BadJSON) as caught:
        parse_strict(raw)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"9007199254740991", MAX_INTEGER),
        (b"-9007199254740991", -MAX_INTEGER),
        (b"9007199254740991.0", float(MAX_INTEGER)),
        (b" 1.5 ", 1.5),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        (b"[" + b"[]," * 100 + b"1]", [[] for _ in range(100)] + [1]),
    ],
)
def test_what_has_one_reading_is_accepted(raw: bytes, value: Any) -> None:
    assert parse_strict(raw) == value


def test_a_long_key_that_stands_twice_is_not_repeated_in_full() -> None:
    key = "k" * 5000
    with pytest.raises(BadJSON) as caught:
        parse_strict(f'{{"{key}":1,"{key}":2}}'.encode())
    assert len(str(caught.value)) < 300


@given(VALUES)
def test_what_was_written_reads_as_the_same_value(value: Any) -> None:
    assert parse_strict(canonical(value)) == value


@given(VALUES)
def test_every_spelling_that_is_accepted_has_the_same_canonical_form(value: Any) -> None:
    spellings = [
        json.dumps(value),
        json.dumps(value, ensure_ascii=False, indent=3),
        json.dumps(value, separators=(" ,", ": "), sort_keys=True),
    ]
    assert {canonical(parse_strict(text.encode())) for text in spellings} == {canonical(value)}


@given(VALUES)
def test_canonical_bytes_are_those_of_RFC_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES, VALUES)
def test_equal_canonical_bytes_mean_equal_values(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (plain(one) == plain(other))


def plain(value: Any) -> Any:
    """The value such that Python's equality is JSON's: True is not 1, and 1.0 is."""
    if isinstance(value, bool):
        return ("truth", value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=300)
@given(st.binary(max_size=40) | st.text('[]{}":,\\u0123dDeE.-+8 9Nan', max_size=30).map(str.encode))
def test_whatever_is_accepted_can_be_written_and_read_again(raw: bytes) -> None:
    try:
        value = parse_strict(raw)
    except BadJSON:
        return
    assert parse_strict(canonical(value)) == value
    assert canonical(parse_strict(canonical(value))) == canonical(value)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), "\ud800", {"\ud800": 1}, {1: 2}, [b"bytes"], {"a": object()}],
)
def test_a_value_without_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(BadJSON):
        canonical(value)


def test_keys_are_sorted_by_UTF_16_units_as_RFC_8785_says() -> None:
    assert canonical({"\ufb33": 1, "😀": 2, "b": 3, "a": 4}) == '{"a":4,"b":3,"😀":2,"\ufb33":1}'.encode()


@given(st.binary(max_size=70))
def test_base64url_is_read_in_its_only_spelling(data: bytes) -> None:
    text = b64(data)
    assert unb64(text) == data
    assert "=" not in text
    for other in (text + "=", text + "==", text + "\n", " " + text, text + "A=", text.replace("_", "/")):
        if other != text:
            with pytest.raises(BadJSON):
                unb64(other)


@pytest.mark.parametrize(
    "text", ["A", "AB", "AAF", "+A", "/w", "é", "AA==", "A A", "QQ\x00", "QQ=", "QQ!!", "=", None, 5, b"QQ", {"A": 1}]
)
def test_other_spellings_of_base64url_are_refused(text: Any) -> None:
    with pytest.raises(BadJSON):
        unb64(text)


def test_a_digest_names_what_it_is_a_digest_of() -> None:
    assert pre_auth("kind", b"body") == b"DSSEv1 4 kind 4 body"
    assert pre_auth("é", b"") == "DSSEv1 2 é 0 ".encode()
    assert digest("kind", b"body") == b64(hashlib.sha256(b"DSSEv1 4 kind 4 body").digest())
    assert len({digest("a", b"b"), digest("b", b"b"), digest("a", b"a"), digest("", b"1 a 1 b")}) == 4


def test_the_parts_of_what_is_digested_cannot_be_moved() -> None:
    assert pre_auth("a", b"b 1 c") != pre_auth("a 5 b", b"c")
    assert digest("ab", b"c") != digest("a", b"bc")


def test_salted_digests_differ_by_salt_kind_and_body() -> None:
    digests = [
        salted_digest(salt, kind, body)
        for salt in (b"1" * 32, b"2" * 32)
        for kind in ("a", "b")
        for body in (b"x", b"y")
    ]
    assert len(set(digests)) == 8
    assert digest("a", b"x") not in digests
    assert salted_digest(b"1" * 32, "a", b"x") == digests[0]
