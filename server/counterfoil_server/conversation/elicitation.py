"""Offering the page of a ticket to clients that show addresses to their user (URL elicitation).

It is a convenience on top of the plain answer, for the few clients that declare it. The address is a locator, worth
nothing by itself (T52), and made for every pending ticket alike, whether the account is known or not (T54). Whatever
the user does with it decides nothing: accepted, declined, cancelled or unanswered, the call gets the plain answer.

* Since 2026-07-28: the answer asks for input; the client calls again with it and, as the same request gives the same
  ticket, gets the plain answer. No state travels, so there is none to forge.
* 2025-11-25: the server asks while the call waits, where it can send a request. Over HTTP without sessions it cannot:
  it knows neither what the client declared nor where an answer would go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from counterfoil_server.conversation.answers import Answer
from counterfoil_server.conversation.waiting import told

logger = logging.getLogger(__name__)

Context = ServerRequestContext[dict[str, Any], Any]
Result = types.CallToolResult | types.InputRequiredResult

ASKED_SINCE = "2025-11-25"
"""The first protocol version in which a server may ask a client to show an address."""

KEY = "page"
"""Names our one request among those of an answer that asks for input."""

PATIENCE = 45.0
"""Seconds that a call waits for the user. Clients give calls up after 60 (TypeScript SDK 1.29)."""

WAITING = "Waiting for the user to answer whether to open the page. Nothing has been done yet."


class Elicitation:
    """Offers pages. ``page_of`` answers the address of a ticket's."""

    def __init__(self, page_of: Callable[[str], str]) -> None:
        self._page_of = page_of

    async def around(self, ctx: Context, params: types.CallToolRequestParams, answer: Answer) -> Result:
        """The answer's result, after or as an offer where there is one to make to this client."""
        if answer.offer is None or answer.ticket is None or not _shows_addresses(ctx):
            return answer.to_result()
        url = self._page_of(answer.ticket)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            if params.input_responses is not None:
                return answer.to_result()
            asked = types.ElicitRequest(params=types.ElicitRequestURLParams(message=answer.offer, url=url))
            return types.InputRequiredResult(input_requests={KEY: asked})
        if ctx.protocol_version >= ASKED_SINCE and ctx.session.can_send_request:
            await _ask(ctx, answer.offer, url)
        return answer.to_result()


def _shows_addresses(ctx: Context) -> bool:
    declared = ctx.session.client_capabilities
    return declared is not None and declared.elicitation is not None and declared.elicitation.url is not None


async def _ask(ctx: Context, words: str, url: str) -> None:
    """Ask and wait for a while; what is answered, and whether, changes nothing."""
    name = url.rpartition("/")[2]
    async with told(ctx.session.report_progress, WAITING, PATIENCE):
        with anyio.move_on_after(PATIENCE):
            try:
                await ctx.session.elicit_url(words, url, name, related_request_id=ctx.request_id)
            except Exception as error:  # refused, not understood, or gone: the plain answer follows
                logger.debug("An offer was not answered (%s)", type(error).__name__)
