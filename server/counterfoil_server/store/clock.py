"""The store's clock: the process clock, which never answers less than it ever did (T50).

The highest answer is written along with commits and read again at the start, so that a clock set back, even while the
process was down, revives nothing that had expired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """Unix seconds that never go back. Used by the event loop and by the writer's thread at once."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._highest = 0
        self._lock = threading.Lock()

    def now(self) -> int:
        """Whole Unix seconds, rounded down."""
        with self._lock:
            self._highest = max(self._highest, int(self._source()))
            return self._highest

    def raise_to(self, mark: int) -> None:
        """Never answer less than ``mark`` from now on."""
        with self._lock:
            self._highest = max(self._highest, mark)
