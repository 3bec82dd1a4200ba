"""The authority's verbs for conversations and for reading one account's records under a grant."""

from __future__ import annotations

import base64
import secrets

from counterfoil import leaves
from counterfoil.door import Door
from counterfoil.errors import NoAccess, NotIsolated, UnknownConversation
from counterfoil.grants import Grant
from counterfoil.store import Conversation

CONVERSATION_LIFE = 86400
"""Seconds. A chat that goes on for longer starts another one; grants end much sooner."""

CONVERSATIONS = 1000
"""How many live ones a principal may have; a table that any caller fills must not grow without an end (T13)."""


class AccessVerbs(Door):
    """Start a conversation, find it again, use its grant."""

    async def start_conversation(self, principal: str) -> Conversation:
        """A new handle for one chat of this principal; raises Suspended or TooManyRequests."""
        await self._refuse_suspended(("everything", f"principal:{principal}"))
        now = self.store.now()
        handle = "cv_" + base64.b32encode(secrets.token_bytes(20)).decode().lower()
        conversation = Conversation(handle, principal, now, now + CONVERSATION_LIFE)
        await self.store.start_conversation(conversation, at_most=CONVERSATIONS)
        return conversation

    async def conversation(self, principal: str, handle: str) -> Conversation:
        """The principal's own conversation; raises UnknownConversation for foreign, expired and unknown ones alike
        (T39)."""
        found = await self.store.conversation(handle)
        if found is None or found.principal != principal:
            raise UnknownConversation()
        return found

    async def access(self, principal: str, handle: str, *, actor: str | None = None) -> Grant:
        """The live grant of the principal's conversation.

        Raises UnknownConversation, NoAccess, Suspended or NotIsolated.
        """
        self.require_isolation(actor)
        await self.conversation(principal, handle)
        grants = await self.judge.grants.live(principal, handle, self.store.now())
        if len({grant.account for grant in grants}) > 1:
            raise NoAccess(
                "The records of more than one account are open to this conversation.",
                "Start a conversation for each person that you talk to.",
            )
        if not grants:
            raise NoAccess()
        return grants[0]

    def require_isolation(self, actor: str | None) -> None:
        """Raise :class:`NotIsolated` where customers could share the credential that calls and nobody vouches that
        the client keeps them apart."""
        if actor is None and not self.client_isolation:
            raise NotIsolated()

    async def record_read(self, grant: Grant, read: str) -> None:
        """Put on the log that the account's records are handed out; returns when that is durable."""
        leaf = leaves.administered(
            "personal_read", read=read, account=grant.account, grant=grant.ticket, conversation=grant.conversation
        )
        await self.store.append_leaf(leaf)
