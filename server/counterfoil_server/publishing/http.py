"""One bounded HTTP exchange with a machine that may be slow, gone or hostile."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache

import httpx2

from counterfoil.checkpoints import MAX_NOTE


async def send(
    method: str,
    url: str,
    content: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> tuple[int, bytes]:
    """The answer's status and body; OSError where there is none, or it is larger than a checkpoint can be.

    Redirects are not followed. Whoever calls ends it by a time-out of their own.
    """
    body = b""
    sent = {"accept-encoding": "identity", **(headers or {})}
    try:
        trusted = await asyncio.to_thread(_trusted)  # reading so many certificates would hold everybody else up
        async with (
            httpx2.AsyncClient(transport=transport, timeout=None, verify=trusted) as http,
            http.stream(method, url, content=content, headers=sent) as response,
        ):
            # As it comes: a few packed bytes could become any number of them.
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_NOTE:
                    raise OSError("its answer is too large")
            return response.status_code, body
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise OSError(str(error) or type(error).__name__) from None


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates count."""
    return httpx2.create_ssl_context()
