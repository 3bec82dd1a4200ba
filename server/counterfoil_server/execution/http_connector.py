"""The connector of operations that an executor outside carries out: it hands orders on over HTTP and decides nothing.

Rules (``docs/spec/outside-executor.md`` has the protocol):

* the ticket is the idempotency key, so whatever arrives twice is done once;
* *not executed* is said only where it is proven: the service promised it, or no byte ever left. For that each call has
  a connection of its own, without proxies and redirects: if none could be made, nothing was sent;
* what is not an answer of the protocol, or does not come, leaves the outcome unknown;
* :meth:`HTTPConnector.lookup` closes the ticket: what never began there now never will, so that *nothing happened* is
  still true when an order arrives late.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from counterfoil.canonical import canonical
from counterfoil.errors import DeskError
from counterfoil.values import Execution, NotExecuted, Receipt
from counterfoil_server.execution.outside_answers import (
    MAX_ANSWER,
    Answer,
    Executed,
    ForeignAnswer,
    NotDone,
    Undecided,
    read_answer,
)

logger = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds in which an order is presented again where it has to wait; within the default time limit of operations."""
CONNECT = 5.0
"""Seconds to make a connection, or a quarter of the patience: a call that cannot connect has to end before the rest."""
CLOSE = 5.0
"""Seconds for an answer to the closing of a ticket."""
PAUSE, LONGEST_PAUSE = 0.25, 4.0
"""Seconds before an order is presented again: twice as many each time, up to the longest."""
LOOKS = 4
"""How often a lookup asks where the order is still being carried out."""

LOCAL = ("localhost", "127.0.0.1", "::1")
TOKEN = re.compile(r"[!-~]{32,1024}")
"""A token that a header can carry and nobody guesses."""

R = TypeVar("R", bound=Receipt)


class OutcomeUnknown(Exception):
    """What became of the order is not known from what the executor outside answered, if it did."""


class _Unsent(Exception):
    """No connection could be made: nothing was sent."""


class HTTPConnector:
    """Presents orders to the service at ``url``, such as ``https://payments.example.com``.

    ``token_env`` names the environment variable with the service's bearer token, at least 32 characters. ``patience``:
    seconds for presenting an order; keep it some ten below the operation's time limit. ``certificates``: a file of
    authorities (PEM) to trust instead of the system's. ``pause``: seconds before the first repetition. Raises
    :class:`DeskError`.
    """

    def __init__(
        self,
        url: str,
        *,
        token_env: str,
        patience: float = PATIENCE,
        certificates: Path | None = None,
        pause: float = PAUSE,
    ) -> None:
        self._url = _checked(url)
        self._token_env = token_env
        self._patience = patience
        self._connect = min(CONNECT, patience / 4)
        self._pause = pause
        self._context = _trusting(certificates) if certificates is not None else None

    async def execute(self, execution: Execution, receipt: type[R]) -> R:
        """Have the order carried out; call it from an operation that names its ``executor``.

        Raises :class:`NotExecuted` where nothing was done and nothing will be; :class:`OutcomeUnknown` otherwise.
        """
        if execution.presented is None:
            raise NotExecuted("The operation names no executor outside, so there is no order to hand on.")
        headers = await self._headers()
        if headers is None:
            raise NotExecuted("The way to the executor outside is not set up.")
        headers |= {"idempotency-key": execution.idempotency_key, "content-type": "application/json"}
        clock = asyncio.get_running_loop().time
        deadline, pause, answered = clock() + self._patience, self._pause, False
        while True:
            try:
                answer = await self._ask("/orders", deadline, headers, execution.presented.encode())
            except _Unsent as error:
                why = str(error)
            else:
                answered = True
                if isinstance(answer, Executed):
                    return _receipt(answer, receipt)
                if isinstance(answer, NotDone):
                    raise NotExecuted(answer.reason or "The executor outside refused it.")
                why = answer.reason
                if isinstance(answer, Undecided):
                    raise OutcomeUnknown(f"The executor outside does not know the end of it: {why}")
            if clock() + pause + self._connect >= deadline:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        logger.error("The executor at %s runs nothing: %s", self._url, why)
        if not answered:
            raise NotExecuted("The executor outside could not be reached, and nothing was sent to it.")
        # It has the order, and could still run it; so it is asked to say that it never will.
        closed = await self.lookup(execution, receipt)
        if closed is None:
            raise NotExecuted(f"The executor outside could not run it in time. {why}".strip())
        return closed

    async def lookup(self, execution: Execution, receipt: type[R]) -> R | None:
        """What became of an order: its receipt, or None where nothing was done and, from now on, nothing will be.

        Call it from the operation's lookup. Raises :class:`OutcomeUnknown`.
        """
        headers = await self._headers()
        if headers is None:
            raise OutcomeUnknown("The way to the executor outside is not set up.")
        pause, why = self._pause, ""
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(pause)
                pause *= 2
            deadline = asyncio.get_running_loop().time() + CLOSE
            try:
                answer = await self._ask(f"/orders/{quote(execution.ticket, safe='')}/close", deadline, headers)
            except _Unsent as error:
                raise OutcomeUnknown(f"The executor outside could not be asked. {error}") from None
            if isinstance(answer, Executed):
                return _receipt(answer, receipt)
            if isinstance(answer, NotDone):
                return None
            why = answer.reason
        raise OutcomeUnknown(f"The executor outside does not know the end of it: {why}")

    async def _headers(self) -> dict[str, str] | None:
        """What goes along with each call, once all that a call needs is loaded; None, said to the operator, where the
        token is missing."""
        token = os.environ.get(self._token_env, "")
        if not TOKEN.fullmatch(token):
            logger.error(
                "Nothing can be handed on to %s: the environment variable %s holds no token of 32 characters or more.",
                self._url,
                self._token_env,
            )
            return None
        if self._context is None:
            # Reading so many certificates would hold everybody else up.
            self._context = await asyncio.to_thread(_trusting_usual)
        return {"authorization": f"Bearer {token}", "accept": "application/json", "accept-encoding": "identity"}

    async def _ask(self, path: str, deadline: float, headers: dict[str, str], content: bytes = b"") -> Answer:
        """POST, and the answer by ``deadline`` (the event loop's clock); raises :class:`_Unsent` only where no
        connection was made."""
        import httpx2

        assert self._context is not None  # noqa: S101 - made with the headers
        body = bytearray()
        try:
            async with (
                asyncio.timeout_at(deadline),
                httpx2.AsyncClient(
                    verify=self._context, trust_env=False, timeout=httpx2.Timeout(None, connect=self._connect)
                ) as http,
                http.stream("POST", self._url + path, content=content, headers=headers) as answer,
            ):
                # As it comes: nothing is unpacked, and no more is kept than an answer can have.
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise OutcomeUnknown("The executor outside answered more than any answer has.")
            return read_answer(answer.status_code, answer.headers.get("content-type", ""), bytes(body))
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise _Unsent(f"No connection could be made: {type(error).__name__}.") from error
        except TimeoutError:
            raise OutcomeUnknown("The executor outside did not answer in time.") from None
        except httpx2.HTTPError as error:
            raise OutcomeUnknown(f"The connection to the executor outside broke: {type(error).__name__}.") from error
        except ForeignAnswer as error:
            raise OutcomeUnknown(f"The executor outside did not answer as agreed. {error}") from None


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise DeskError(
            f"{url!r} is no address of an executor outside.", "Write it as in https://payments.example.com."
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise DeskError(
            f"An executor outside is not called without encryption: {url!r}.",
            "Write https; http is for one on this machine, at localhost.",
        )
    return url.rstrip("/")


def _trusting(certificates: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificates)
    except (OSError, ssl.SSLError) as error:
        raise DeskError(
            f"The certificates in {certificates} cannot be used: {error}.", "Name a PEM file of authorities."
        ) from None


def _trusting_usual() -> ssl.SSLContext:
    import httpx2  # a server whose desk never calls out does without

    return httpx2.create_ssl_context(trust_env=False)


def _receipt(answer: Executed, receipt: type[R]) -> R:
    try:
        return receipt.model_validate_json(canonical(answer.receipt))
    except ValidationError:
        raise OutcomeUnknown("It was executed, with a receipt that is not of its declared form.") from None
