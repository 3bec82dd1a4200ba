"""Operations as ``request_<operation>`` tools: the AI asks, a ticket answers, nothing happens.

The answer is made of the operation's declaration, the ticket's id, its times, and, for a request that was made
before, its state; of nothing that was found out about the account (T54).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types
from pydantic import Field

from counterfoil.authority import Authority, Requester
from counterfoil.errors import BadArguments
from counterfoil.operations import Operation
from counterfoil.reads import CONVERSATION
from counterfoil.store import Principal
from counterfoil.tickets import ACCESS, Signals, State
from counterfoil.values import Frozen
from counterfoil_server.conversation import wording
from counterfoil_server.conversation.answers import Answer, json_bytes
from counterfoil_server.conversation.taint import Taint
from counterfoil_server.conversation.tickets import is_executed


class Requested(Frozen):
    """What a request is answered with."""

    ticket: str = Field(description="Names the request in ticket_status and cancel_ticket until a day after its end.")
    status: State
    executed: bool | None = Field(description="Whether it was carried out; null while that is not known.")
    waiting_for: tuple[str, ...] = Field(
        description="The least that has to happen outside this chat, as alternatives; more may be asked for."
    )
    match_code: str = Field(description="Six digits to tell the user, who types them on the page behind the link.")
    refusal: str | None = Field(
        None, description="Why nobody can confirm it; told only where the account's holder granted access."
    )
    next: str = Field(description="What to do now.")
    expires_at: str = Field(description="When an unconfirmed request ends by itself (ISO 8601, UTC).")


OUTPUT_SCHEMA = Requested.model_json_schema(mode="serialization")


class RequestTool:
    """One operation, to be requested."""

    def __init__(
        self, operation: Operation[Any, Any], authority: Authority, taint: Taint, wake: Callable[[], None]
    ) -> None:
        self._operation = operation
        self._authority = authority
        self._taint = taint
        self._wake = wake
        self._in_conversation = ACCESS in authority.judge.desk.operations
        ladder = authority.judge.desk.ladder_of(operation)
        self._waiting_for = wording.least(ladder)
        self.definition = types.Tool(
            name=f"request_{operation.name}",
            title=f"Request: {operation.title}",
            description=wording.request_description(operation, ladder),
            input_schema=operation.request_schema(in_conversation=self._in_conversation),
            output_schema=OUTPUT_SCHEMA,
            # It makes a ticket and sends messages, but what it asks for is not done by calling it.
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
            ),
        )

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """Make the ticket, or find the one that an equal request already has."""
        rest = dict(arguments)
        note = rest.pop("note", None)
        if not (note is None or isinstance(note, str)):
            raise BadArguments("The arguments are not accepted: note: input should be a valid string.")
        conversation = rest.pop(CONVERSATION, None) if self._in_conversation else None
        if not (conversation is None or isinstance(conversation, str)):
            raise BadArguments(f"The arguments are not accepted: {CONVERSATION}: input should be a valid string.")
        if conversation is None and self._operation.name == ACCESS:
            raise BadArguments(
                f"The arguments are not accepted: {CONVERSATION}: field required.", "Call start_conversation first."
            )
        requester = Requester(
            principal=principal.id,
            owner=principal.owner,
            conversation=conversation,
            signals=Signals(tainted=await self._taint.is_marked(principal)),
        )
        ticket = await self._authority.request(requester, self._operation.name, json_bytes(rest), note)
        self._wake()
        code = self._authority.match_code(ticket.id)
        refusal = await self._authority.told(ticket)
        said, following = wording.said_of(ticket.state, collected=ticket.delivery == "collected")
        if ticket.state is State.PENDING:
            following = wording.request_next(code) if refusal is None else wording.REFUSED_NEXT
        requested = Requested(
            ticket=ticket.id,
            status=ticket.state,
            executed=is_executed(ticket.state),
            waiting_for=self._waiting_for if ticket.state is State.PENDING else (),
            match_code=code,
            refusal=refusal,
            next=following,
            expires_at=wording.iso(ticket.expires_at),
        )
        waiting = f" At the least, {wording.either(self._waiting_for)}." if requested.waiting_for else ""
        if refusal is not None:
            waiting = f" Nobody can confirm it: {refusal}"
        words = (
            f"Requested: {self._operation.title}. {said}{waiting} {following}\n"
            f"Ticket: {ticket.id}\nMatch code: {code}\nStatus: {ticket.state.value}\nExpires: {requested.expires_at}"
        )
        return Answer(words, requested.model_dump(mode="json"), ticket.id)
