"""The payments service as a process, with the clock of a test, and an effect that fails as told.

``python -m examples.payments.served CONFIG CLOCK [FAULT]``: CLOCK is a file that holds the time.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any, NoReturn

from payments_service import feed_follower, web
from payments_service.__main__ import main
from payments_service.refunds import Refunds

make = Refunds.refund


def killed_before(*_: Any, **__: Any) -> NoReturn:
    """Begun, and nothing done."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killed_after(self: Refunds, *values: Any, **named: Any) -> NoReturn:
    """Done, and nobody told."""
    make(self, *values, **named)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def unreadable(*_: Any, **__: Any) -> NoReturn:
    """A disk that is broken."""
    raise sqlite3.OperationalError("disk I/O error")


def breaks_after(self: Refunds, *values: Any, **named: Any) -> NoReturn:
    """Done, and then the payments cannot be read any more."""
    make(self, *values, **named)
    Refunds.find = Refunds.find_or_close = unreadable  # type: ignore[method-assign]
    unreadable()


"""``hurried`` besides: it waits a second at the most, for the feed and for clients."""
FAULTS = {"before": killed_before, "after": killed_after, "breaks": breaks_after}

if __name__ == "__main__":
    config, clock, *faults = sys.argv[1:]
    for fault in faults:
        if fault == "hurried":
            feed_follower.ONE_READ, feed_follower.ONE_PAGE, web.REQUEST_TIME = 0.5, 1.0, 0.5
            continue
        Refunds.refund = FAULTS[fault]  # type: ignore[method-assign]
    sys.exit(main(["--config", config], lambda: float(Path(clock).read_text())))
