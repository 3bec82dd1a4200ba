"""Closed values whose canonical JSON is made, and seen to be canonical, without walking through them.

A person signs bytes, and bytes that could be spelled otherwise could be read otherwise. So whatever is read is written
again and has to come out the same. These values are msgspec's structs (decision 0050): read into slots and written with
sorted members by one library in C, in a fifth of the time that pydantic and our own writer take. That writer makes the
bytes of RFC 8785 where every integer is one that all implementations read (:data:`SafeInteger`), there is no other
number, and no member's name comes from data. Where data names members, whose order could then be another
(``has_one_order``), our own writer is asked.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from counterfoil.canonical import MAX_INTEGER, canonical
from counterfoil.errors import BadJSON

SafeInteger = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""An integer that every JSON implementation reads exactly."""


def _plain(value: Any) -> str | int:
    """The text or integer of a class of the organisation's own, as its ids may be."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


_write = msgspec.json.Encoder(order="sorted").encode


class Spelled(Struct, frozen=True, forbid_unknown_fields=True):
    """A value with one spelling in canonical JSON. What is read is validated; what is made is mypy's to check."""

    def to_bytes(self) -> bytes:
        """The canonical bytes. Made once and then kept: what was signed is never written anew."""
        return canonical(self.members())

    def members(self) -> dict[str, Any]:
        """The members as JSON values."""
        members: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_plain)
        return members

    def changed(self, **members: Any) -> Self:
        """The same with other members."""
        return msgspec.structs.replace(self, **members)

    def check(self) -> None:
        """Raise :class:`ValueError` unless a reader would accept it: for what others made, who may not have mypy."""
        try:
            same = self.of(self.members()) == self
        except TypeError:
            same = False
        if not same:
            raise ValueError("A member has a type that JSON does not have")

    @property
    def has_one_order(self) -> bool:
        """Whether its members can stand in no other order than the sorted one of the declared, here and in the values
        it holds."""
        return True

    @classmethod
    def of(cls, members: Any) -> Self:
        """The value of these JSON values; raises :class:`ValueError` where they are none."""
        return msgspec.convert(members, cls)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The value of these bytes; raises :class:`ValueError` where they are none, and :class:`BadJSON` where they are
        not exactly what :meth:`to_bytes` writes."""
        value = msgspec.json.decode(body, type=cls)
        if not (_write(value) == body and value.has_one_order) and value.to_bytes() != body:
            raise BadJSON("The value is not in its canonical form.")
        return value
