"""Closed values whose canonical JSON is made, and seen to be canonical, without walking through them.

A person signs bytes, and bytes that could be spelled otherwise could be read otherwise. So whatever is read is written
again and has to come out the same. pydantic's own writer does that five times faster than ours, and it writes the bytes
of RFC 8785 where the members stand in their order, every integer is one that all implementations read, and there is no
other number. So the members of a spelled value are sorted, and its integers are :data:`SafeInteger`. Where data names
members, which could then stand in another order (``has_one_order``), our own writer is asked.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from counterfoil.canonical import MAX_INTEGER, canonical
from counterfoil.errors import BadJSON
from counterfoil.values import Frozen

SafeInteger = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""An integer that every JSON implementation reads exactly."""


class Spelled(Frozen):
    """A value with one spelling in canonical JSON."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        members: Any = handler.resolve_ref_schema(schema)
        members = members["schema"]
        members["fields"] = dict(sorted(members["fields"].items()))
        return schema

    def to_bytes(self) -> bytes:
        """The canonical bytes. Made once and then kept: what was signed is never written anew."""
        return canonical(self.model_dump(mode="json"))

    @property
    def has_one_order(self) -> bool:
        """Whether its members can stand in no other order than the sorted one of the declared, here and in the values
        it holds."""
        return True

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The value of these bytes; raises :class:`ValueError` where they are none, and :class:`BadJSON` where they are
        not exactly what :meth:`to_bytes` writes."""
        value = cls.model_validate_json(body)
        if value.has_one_order and cls.__pydantic_serializer__.to_json(value) == body:
            return value
        if value.to_bytes() != body:
            raise BadJSON("The value is not in its canonical form.")
        return value
