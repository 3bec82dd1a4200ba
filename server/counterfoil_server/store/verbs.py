"""What every group of verbs stands on: the writer, the readers and the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from counterfoil_server.store.clock import Clock
from counterfoil_server.store.connections import Readers
from counterfoil_server.store.writer import Transaction, Writer

T = TypeVar("T")


class Verbs:
    """The parts of an open store. The groups of verbs derive from it; ``sqlite.py`` joins them."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock) -> None:
        self._writer = writer
        self._readers = readers
        self._clock = clock

    def now(self) -> int:
        """Unix seconds; never earlier than any time answered before."""
        return self._clock.now()

    def _write(self, work: Callable[[Transaction], T]) -> Awaitable[T]:
        return self._writer.submit(work)
