"""Reads of one person's records, and the handle of the chat in which their holder opens them.

The model names a conversation, never an account: whose records are read comes from the grant that the holder gave to
this very conversation. What is handed out is on the log before it leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import mcp_types as types
from pydantic import ConfigDict, Field

from counterfoil.authority import Authority
from counterfoil.errors import BadArguments, NotTheirs
from counterfoil.reads import CONVERSATION, Read
from counterfoil.store import Principal
from counterfoil.values import Frozen
from counterfoil_server.conversation import wording
from counterfoil_server.conversation.answers import Answer, validated
from counterfoil_server.conversation.reads import (
    MAX_RESULT,
    READ_TIME_LIMIT,
    UNTRUSTED,
    ReadFailed,
    ResultTooLarge,
    in_words,
    read_definition,
)
from counterfoil_server.conversation.taint import Taint

logger = logging.getLogger(__name__)

GRANTED = (
    "It answers only after the account's holder granted access to this conversation (request_access), and only from "
    "that account. Whose account it is cannot be chosen."
)


class NoArguments(Frozen):
    """Nothing."""


class Started(Frozen):
    """A new conversation."""

    model_config = ConfigDict(title="Conversation")

    conversation: str = Field(description="Names this chat in request tools and reads. It gives no power by itself.")
    expires_at: str = Field(description="When the handle ends (ISO 8601, UTC).")
    next: str = Field(description="What to do now.")


class StartTool:
    """``start_conversation``."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.definition = types.Tool(
            name="start_conversation",
            title="Start a conversation",
            description=(
                "Call this once for each chat with one person, and pass the conversation it returns with what you "
                "request and read for them. It lasts for a day, belongs to you alone, and opens nothing by itself: "
                "with request_access the person can open their own records to it."
            ),
            input_schema=NoArguments.model_json_schema(),
            output_schema=Started.model_json_schema(mode="serialization"),
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
            ),
        )

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """A fresh handle."""
        validated(NoArguments, arguments)
        conversation = await self._authority.start_conversation(principal.id)
        started = Started(
            conversation=conversation.id,
            expires_at=wording.iso(conversation.expires_at),
            next="Pass it along with what you request and read for this person. Use another one for anybody else.",
        )
        words = f"Conversation: {started.conversation}\nExpires: {started.expires_at}\n{started.next}"
        return Answer(words, started.model_dump(mode="json"))


class PersonalReadTool:
    """One personal read."""

    def __init__(self, read: Read, authority: Authority, taint: Taint) -> None:
        assert read.account_parameter is not None  # noqa: S101 - the catalogue chooses the tool by it
        self._read = read
        self._account_parameter = read.account_parameter
        self._authority = authority
        self._taint = taint
        self._fields = tuple(read.arguments.model_fields)
        self.definition = read_definition(read, f"{GRANTED} {UNTRUSTED}" if read.untrusted else GRANTED)

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """Read for the account of the conversation's grant; raises NoAccess or UnknownConversation."""
        rest = dict(arguments)
        conversation = rest.pop(CONVERSATION, None)
        if not isinstance(conversation, str):
            raise BadArguments(f"The arguments are not accepted: {CONVERSATION}: field required.")
        typed = validated(self._read.arguments, rest)
        grant = await self._authority.access(principal.id, conversation)
        if self._read.untrusted:
            await self._taint.mark(principal)
        values = {name: getattr(typed, name) for name in self._fields}
        try:
            async with asyncio.timeout(READ_TIME_LIMIT):
                value = await self._read.run(**values, **{self._account_parameter: grant.account})
            structured = self._read.granted(value, grant.account, grant.assurance)
            words = in_words(self._read, structured)
            length = len(words.encode())
        except NotTheirs:
            logger.error("The read %s returned a record that is not of account %s", self._read.name, grant.account)
            raise
        except Exception:
            logger.exception("The read %s failed", self._read.name)
            raise ReadFailed() from None
        if length > MAX_RESULT:
            raise ResultTooLarge()
        await self._authority.record_read(grant, self._read.name)
        return Answer(words, structured)
