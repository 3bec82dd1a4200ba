"""The clock of a desk in a test: it stands still until the test moves it on."""

from __future__ import annotations

import time


class Clock:
    """Unix seconds. Begins at ``start``, or at this moment."""

    def __init__(self, start: float | None = None) -> None:
        self._seconds = float(int(time.time() if start is None else start))

    def __call__(self) -> float:
        return self._seconds

    def move(self, seconds: float) -> None:
        """Let this much time pass at once; raises ValueError for less than nothing.

        The desk's workers are not told: :meth:`OpenDesk.advance` moves the clock and lets them look at it.
        """
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._seconds += seconds
