"""Follows the authority's feed: when an order arrives, and every few seconds besides.

What is heard between orders is remembered, so a refusal counts here even if it is erased there later. A feed that is
*cut* (nothing comes, or half of it) is merely not heard, and what was heard goes stale; a feed that *lies* (it cannot
be what the log holds) stops every order until an honest one is read. Neither is believed in the least: every page is
verified against the log as it was read before.
"""

from __future__ import annotations

import http.client
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from counterfoil.bundle import Trust
from counterfoil.errors import FeedRefused
from counterfoil.feed import MAX_PAGE, read_page
from payments_service.heard import FeedMemory

logger = logging.getLogger("payments_service.feed")

ONE_READ = 5.0
"""Seconds for a connection, and for each piece of an answer."""
ONE_PAGE = 10.0
"""Seconds for a whole page, however slowly it trickles."""
MOST_PAGES = 10_000


class Cut(Exception):
    """No page came, or not a whole one. The text says what happened."""


@dataclass(frozen=True)
class Trouble:
    """Why the feed was not heard: it was ``cut``, or it ``lies``."""

    kind: Literal["cut", "lies"]
    words: str


class FeedFollower:
    """Reads the feed at ``authority`` (``http://host:port`` or https, with a path or none) into ``memory``."""

    def __init__(
        self,
        *,
        authority: str,
        token: str,
        trust: Trust,
        memory: FeedMemory,
        feed_life: int,
        clock: Callable[[], float],
    ) -> None:
        self._where = urlsplit(authority)
        self._token = token
        self._trust = trust
        self._memory = memory
        self._feed_life = feed_life
        self._clock = clock
        self._reading = threading.Lock()
        self._began = float("-inf")
        """When (monotonic) the last reading that ended, well or badly, began."""
        self.trouble: Trouble | None = Trouble("cut", "The feed was not read yet.")

    def hear(self) -> Trouble | None:
        """Read all there is, from a moment that is not before this call; answers what was wrong.

        Who calls while another reads waits for one reading more, together with all others who wait.
        """
        asked = time.monotonic()
        with self._reading:
            if self._began < asked:
                self._began = time.monotonic()
                self._note(self._read())
            return self.trouble

    def follow(self, stop: threading.Event, every: float) -> None:
        """Read every ``every`` seconds until stopped; raises nothing."""
        while not stop.wait(every):
            self.hear()

    def _read(self) -> Trouble | None:
        try:
            self._read_to_the_end()
        except Cut as error:
            return Trouble("cut", str(error))
        except FeedRefused as error:
            return Trouble("lies", error.happened)
        except sqlite3.Error as error:
            return Trouble("cut", f"What was heard could not be kept: {error}.")
        except Exception as error:
            logger.exception("Reading the feed failed")
            return Trouble("lies", f"Reading the feed failed: {type(error).__name__}.")
        return None

    def _read_to_the_end(self) -> None:
        at = self._memory.heard_at() or 0
        for _ in range(MOST_PAGES):
            position = self._memory.position()
            page = self._page(position.size)
            latest = int(self._clock()) + self._feed_life
            reading = read_page(page, position=position, trust=self._trust, not_before=at, not_after=latest)
            self._memory.keep(reading)
            at = reading.at
            if reading.complete:
                return
        raise Cut("The feed does not end.")

    def _page(self, first: int) -> bytes:
        secure, host = self._where.scheme == "https", self._where.hostname or ""
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(host, self._where.port, timeout=ONE_READ)
        deadline: threading.Timer | None = None
        try:
            connection.connect()
            # Of the socket itself: where the authority means to close it, the connection lets go of it before the body.
            deadline = threading.Timer(ONE_PAGE, _hang_up, [connection.sock])
            deadline.daemon = True
            deadline.start()
            path = f"{self._where.path.rstrip('/')}/feed?first={first}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            return _body(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Cut(f"The feed could not be read: {type(error).__name__}.") from None
        finally:
            if deadline is not None:
                deadline.cancel()
            connection.close()

    def _note(self, trouble: Trouble | None) -> None:
        """Say in the log what changed."""
        if trouble is not None and trouble != self.trouble:
            logger.error("The authority's feed %s: %s", "is cut" if trouble.kind == "cut" else "lies", trouble.words)
        elif trouble is None and self.trouble is not None:
            logger.info("The authority's feed is heard again.")
        self.trouble = trouble


def _body(response: http.client.HTTPResponse) -> bytes:
    if response.status == 400:
        raise FeedRefused("The authority says that its log is shorter than what was read of it.")
    if response.status != 200:
        raise Cut(f"The authority answered {response.status} in place of its feed.")
    body = b""
    while len(body) <= MAX_PAGE and (piece := response.read1(1 << 16)):
        body += piece
    if response.length and len(body) <= MAX_PAGE:
        raise Cut("Only a part of a page came.")
    return body


def _hang_up(connected: socket.socket) -> None:
    """Whoever waits for the rest of an answer waits no longer."""
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
