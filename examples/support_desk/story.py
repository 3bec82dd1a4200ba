"""The story that ``counterfoil demo`` plays: a hostile model against the running desk, then the honest way.

Everything is real: the MCP client of the official SDK over HTTP, the pages, passkeys in software, the mailbox, and the
shop's database, in which each scene looks up what truly happened.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import seed
import story_attacks
import story_capabilities
import story_honest
import story_people
from story_books import Books
from story_cast import Cast
from story_set import AMELIE, JONAS, MARIA, PRIYA, TOMASZ, Play
from story_telling import Telling

from counterfoil.testing import Assistant

if TYPE_CHECKING:
    from counterfoil_server.cli.demo import Stage

PEOPLE = (MARIA, AMELIE, JONAS, PRIYA, TOMASZ)
"""Whom ``counterfoil demo --stay`` invites."""

ASSISTANT = "assistant"
DATABASE = "shop.db"


def prepare(state: Path) -> None:
    """Give the desk a shop of its own in the state folder; called before the desk is loaded."""
    seed.create(state / DATABASE)
    os.environ["SUPPORT_DESK_DATABASE"] = str(state / DATABASE)


async def play(stage: Stage) -> int:
    """Play all scenes; answers 0 if every expectation held, else 1."""
    telling = Telling(stage.console)
    async with AsyncExitStack() as stack:
        token, other = await stage.add_principal(ASSISTANT), await stage.add_principal("another-assistant")
        assistant = await stack.enter_async_context(Assistant.connected(stage.mcp_url, token))
        stranger = await stack.enter_async_context(Assistant.connected(stage.mcp_url, other))
        books = Books(stage.parts.configuration.state / DATABASE)
        the = Play(stage, telling, ASSISTANT, assistant, stranger, Cast(stage, stack), books)
        telling.chapter(
            "A hostile model",
            f"It speaks MCP {assistant.protocol} over HTTP and does whatever it likes. Nobody has to notice.",
        )
        await story_capabilities.direct_call(the)
        await story_capabilities.capabilities(the)
        await story_attacks.swapped_arguments(the)
        await story_attacks.other_customers_things(the)
        await story_attacks.split_refund(the)
        await story_attacks.looped_downgrades(the)
        await story_attacks.laundered_taint(the)
        await story_people.account_takeover(the)
        await story_people.password_reset(the)
        await story_people.staff_permission(the)
        await story_attacks.oracle(the)
        telling.chapter("The honest way", "Request, notice, page, signature, execution: once, and with a receipt.")
        await story_honest.direct(the)
        await story_honest.collected(the)
        await story_honest.unlocked(the)
    return telling.summary()
