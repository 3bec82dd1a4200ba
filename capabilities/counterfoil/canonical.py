"""Strict JSON in, canonical bytes out.

Whatever is approved is approved as bytes, so every value has exactly one spelling. The rules held here:

* what comes in is UTF-8 JSON without duplicate keys, NaN, infinities, numbers beyond 2^53 - 1, lone surrogates, or
  nesting deeper than 32 (T23);
* what goes out is RFC 8785, made once; afterwards bytes are kept and hashed, never re-serialized;
* digests of values that could be guessed are salted, and every digest names what it is a digest of (DSSE pre-auth
  encoding), so that no digest can stand for another kind of thing.

Floats are parsed; whether one may stand at a place is the schema's to say (``desk.py`` validates strictly:
an integer or string parameter refuses a float).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
import re
from functools import lru_cache
from typing import Any

import rfc8785

from counterfoil.errors import BadJSON

MAX_DEPTH = 32
"""Deeper nesting has no use in a tool call and overflows the stack of RFC 8785 libraries."""

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON implementation reads exactly (RFC 8259, section 6)."""

JSON = dict[str, Any] | list[Any] | str | int | float | bool | None


def parse_strict(raw: bytes) -> JSON:
    """Parse ``raw`` or raise :class:`BadJSON` with the reason; never returns a value with two spellings."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJSON(f"The message is not UTF-8 (byte {error.start}).") from None
    try:
        value: JSON = _DECODER.decode(text)
    except RecursionError:
        raise BadJSON(f"The message is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise BadJSON(f"The message is not JSON: {error.msg} at character {error.pos}.") from None
    if text.count("[") + text.count("{") > MAX_DEPTH or "\\u" in text:
        _check_tree(value)
    return value


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value that came through :func:`parse_strict` or was made by us."""
    # The C encoder writes the same bytes where no float, big integer or key outside ASCII occurs, ten times faster.
    if _is_plain(value):
        try:
            return _PLAIN_ENCODER.encode(value).encode()
        except UnicodeEncodeError:
            pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise BadJSON(f"The value has no canonical form: {error}.") from None


def parse_canonical(raw: bytes) -> JSON:
    """Parse ``raw`` or raise :class:`BadJSON`, also where it is not exactly what :func:`canonical` writes."""
    value = parse_strict(raw)
    if canonical(value) != raw:
        raise BadJSON("The value is not in its canonical form.")
    return value


def pre_auth(kind: str, body: bytes) -> bytes:
    """DSSE pre-authentication encoding (https://github.com/secure-systems-lab/dsse, protocol.md)."""
    return b"%b%d %b" % (_before_length(kind), len(body), body)


@lru_cache(maxsize=64)
def _before_length(kind: str) -> bytes:
    name = kind.encode()
    return b"DSSEv1 %d %b " % (len(name), name)


def digest(kind: str, body: bytes) -> str:
    """The SHA-256 of ``body`` as a ``kind`` of thing, in base64url without padding (43 characters)."""
    return b64(hashlib.sha256(pre_auth(kind, body)).digest())


def salted_digest(salt: bytes, kind: str, body: bytes) -> str:
    """Like :func:`digest`, but worthless for guessing without the salt (HMAC-SHA-256 keyed with it)."""
    return b64(hmac.digest(salt, pre_auth(kind, body), "sha256"))


def b64(data: bytes) -> str:
    """base64url without padding (RFC 4648, section 5)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The bytes of strict base64url without padding; raises :class:`BadJSON` on any other spelling."""
    try:
        beyond = len(text) % 4
        if beyond and text[-1] not in _LAST[beyond]:
            raise BadJSON("A value is not base64url in its only spelling.")
        return binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL) + _PADDING[beyond], strict_mode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise BadJSON("A value is not base64url.") from None


_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
"""What only the other alphabet has, and padding, becomes what none has."""
_LAST = ("", "", "AQgw", "AEIMQUYcgkosw048")
"""What a group of so many characters can end with: the bits that make no whole byte are zero."""
_PADDING = (b"", b"===", b"==", b"=")
"""By the length's remainder; nothing is one character longer than whole groups, and decoding says so."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJSON(f"The key {json.dumps(key)[:80]} stands twice in one object.")
            seen.add(key)
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise BadJSON("An integer is larger than 2^53 - 1.", "Send it as a string if the tool's schema allows one.")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    # RFC 8785 writes 1e20 as an integer, which would be refused when it is read again. NaN cannot come this way.
    if abs(value) > MAX_INTEGER:
        raise BadJSON("A number is larger than 2^53 - 1.", "Send it as a string if the tool's schema allows one.")
    return value


def _constant(text: str) -> None:
    raise BadJSON(f"{text} is not JSON.")


_SURROGATE = re.compile("[\ud800-\udfff]")

_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


_PLAIN_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


_PLAIN_TYPES = frozenset({str, bool, type(None)})


def _is_plain(value: Any) -> bool:
    """Whether the values are such that RFC 8785 and an ordinary encoder with sorted keys agree on every byte."""
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is dict:
        if not _are_plain_keys(value):
            return False
        value = value.values()
    elif kind is not list:
        return False
    # Most values of ours are texts: looked at as a whole, and one by one only where there are others.
    return _PLAIN_TYPES.issuperset(map(type, value)) or all(map(_is_plain, value))


def _are_plain_keys(keys: dict[Any, Any]) -> bool:
    try:
        return "".join(keys).isascii()
    except TypeError:
        return False


def _check_tree(value: JSON) -> None:
    """Depth and lone surrogates; called only where the text could hold either."""
    level: list[Any] = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                for key in item:
                    _check_text(key)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                _check_text(item)
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > MAX_DEPTH:
            raise BadJSON(f"The message is nested deeper than {MAX_DEPTH} levels.")
        level = below


def _check_text(text: str) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise BadJSON("A string holds half of a surrogate pair.", "Send complete Unicode characters.")
