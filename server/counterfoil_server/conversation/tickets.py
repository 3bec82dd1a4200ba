"""The tools about tickets: what became of one, withdrawing it, and redeeming it where that is the AI's to do.

A ticket's id is a name, not authority: each call is checked against the principal that requested it, and another
principal's ticket answers exactly like one that never was (T04). Why people declined or stopped something is between
people; the AI is told only that they did.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import mcp_types as types
from pydantic import Field

from counterfoil import tokens
from counterfoil.authority import Authority
from counterfoil.canonical import parse_strict
from counterfoil.errors import CapabilityRefused, CounterfoilError, SignerFailed, StoreFailed, WrongState
from counterfoil.store import Principal
from counterfoil.tickets import State, Ticket
from counterfoil.values import Frozen
from counterfoil_server.conversation import wording
from counterfoil_server.conversation.answers import Answer, validated
from counterfoil_server.conversation.waiting import Tell, silent, told

logger = logging.getLogger(__name__)

RUN_WAIT = 10.0
"""Seconds that redeem_ticket waits for the operation's end before it answers that it is still under way."""

RunOrder = Callable[[Ticket, str], Awaitable[None]]
"""Runs the order of a redeemed ticket to its end."""

TICKET_ID = Field(description="The ticket id exactly as the request tool returned it.")


class TicketArguments(Frozen):
    """Which ticket."""

    ticket: str = TICKET_ID


class RedeemArguments(Frozen):
    """Which ticket, and the capability for it."""

    ticket: str = TICKET_ID
    capability: str = Field(description="The capability that ticket_status returned for this ticket.")


class Outcome(Frozen):
    """How it ended: ``reference`` and ``summary`` of what was done, or the ``reason`` why it was not."""

    reference: str | None = None
    summary: str | None = None
    reason: str | None = None


class TicketStatus(Frozen):
    """Where a ticket stands."""

    ticket: str
    operation: str
    status: State
    executed: bool | None = Field(description="Whether it was carried out; null while that is not known.")
    next: str = Field(description="What to do now.")
    requested_at: str
    expires_at: str
    waiting_for: tuple[str, ...] | None = Field(
        None, description="While pending: the least that has to happen outside this chat, as alternatives."
    )
    held_until: str | None = Field(None, description="While held: when the waiting time ends.")
    outcome: Outcome | None = None
    capability: str | None = Field(None, description="Once confirmed, where you carry it out: for redeem_ticket, once.")
    capability_expires_at: str | None = None


OUTPUT_SCHEMA = TicketStatus.model_json_schema(mode="serialization")


def is_executed(state: State) -> bool | None:
    """Whether a ticket in this state was carried out; None where nobody knows."""
    return None if state in (State.EXECUTING, State.UNKNOWN) else state is State.EXECUTED


class StatusTool:
    """``ticket_status``."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.definition = types.Tool(
            name="ticket_status",
            title="Ticket status",
            description=(
                "What became of a request: whether it is still waiting for people, was carried out, or never will be. "
                "Only 'executed' means that it is done. Ask when the user wants to know, not in a loop."
            ),
            input_schema=TicketArguments.model_json_schema(),
            output_schema=OUTPUT_SCHEMA,
            annotations=types.ToolAnnotations(
                read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
            ),
        )

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """Tell the status; hand out the capability where this principal is to redeem the ticket."""
        ticket = await self._authority.status(principal.id, validated(TicketArguments, arguments).ticket)
        return status_answer(self._authority, ticket, await self._capability(ticket))

    async def _capability(self, ticket: Ticket) -> str | None:
        redeemable = ticket.state in (State.APPROVED, State.HELD)
        if ticket.delivery != "collected" or not redeemable or (ticket.hold_until or 0) > self._authority.store.now():
            return None
        with suppress(CounterfoilError):
            return await self._authority.mint(ticket.id)
        return None


class CancelTool:
    """``cancel_ticket``."""

    def __init__(self, authority: Authority, wake: Callable[[], None]) -> None:
        self._authority = authority
        self._wake = wake
        self.definition = types.Tool(
            name="cancel_ticket",
            title="Cancel a ticket",
            description=(
                "Withdraw a request that was not carried out yet, when the user no longer wants it. "
                "It cannot undo what is done."
            ),
            input_schema=TicketArguments.model_json_schema(),
            output_schema=OUTPUT_SCHEMA,
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
            ),
        )

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """Cancel it, or say why that is too late."""
        ticket_id = validated(TicketArguments, arguments).ticket
        try:
            ticket = await self._authority.cancel(principal.id, ticket_id)
            self._wake()
        except WrongState:
            ticket = await self._authority.status(principal.id, ticket_id)
            if ticket.state is not State.CANCELLED:
                said, following = said_of(self._authority, ticket)
                raise WrongState(f"It cannot be cancelled any more. {said}", following) from None
        return status_answer(self._authority, ticket)


class RedeemTool:
    """``redeem_ticket``, for operations of collected delivery."""

    def __init__(self, authority: Authority, run_order: RunOrder) -> None:
        self._authority = authority
        self._run_order = run_order
        self._running: set[asyncio.Task[None]] = set()
        self.definition = types.Tool(
            name="redeem_ticket",
            title="Redeem a ticket",
            description=(
                "Carry out a request that people have confirmed, with the capability that ticket_status returned for "
                "it. A capability works once, for its own ticket, within two minutes. The answer says whether it is "
                "done; if it is still under way, ask ticket_status."
            ),
            input_schema=RedeemArguments.model_json_schema(),
            output_schema=OUTPUT_SCHEMA,
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
            ),
        )

    async def call(self, principal: Principal, arguments: Mapping[str, Any], tell: Tell = silent) -> Answer:
        """Redeem it and wait a while for the end. Every refusal reads the same, whatever its cause."""
        given = validated(RedeemArguments, arguments)
        # A task of its own: a caller who hangs up between redemption and effect must not leave the ticket in between.
        task = asyncio.create_task(self._redeem(principal, given), name=f"redemption of {given.ticket[:50]}")
        self._running.add(task)
        task.add_done_callback(self._forget)
        async with told(tell, wording.STILL_UNDER_WAY, RUN_WAIT):
            done, _ = await asyncio.wait({task}, timeout=RUN_WAIT)
        if done:
            task.result()
        return status_answer(self._authority, await self._authority.status(principal.id, given.ticket))

    async def settle(self) -> None:
        """Wait until no redemption is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _redeem(self, principal: Principal, given: RedeemArguments) -> None:
        try:
            ticket, order = await self._authority.redeem(given.ticket, given.capability, presenter=principal.id)
        except StoreFailed:
            raise
        except SignerFailed as error:
            # The ticket is claimed; the execution layer asks for its order again.
            logger.error("The order of %s could not be signed yet: %s", given.ticket, error)
            return
        except CounterfoilError:
            raise CapabilityRefused() from None
        try:
            await self._run_order(ticket, order)
        except Exception:
            # The ticket stays claimed; the execution layer settles it, and its status says what is known.
            logger.exception("The order of %s failed", ticket.id)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()


def said_of(authority: Authority, ticket: Ticket) -> tuple[str, str]:
    """What is and is not done of this ticket, and what to do next."""
    looked_into = authority.judge.desk.can_settle(ticket.operation)
    return wording.said_of(ticket.state, collected=ticket.delivery == "collected", looked_into=looked_into)


def status_answer(authority: Authority, ticket: Ticket, capability: str | None = None) -> Answer:
    """The answer of every tool that tells where a ticket stands."""
    operation = authority.judge.desk.operations.get(ticket.operation)
    said, following = said_of(authority, ticket)
    waiting = None
    if ticket.state is State.PENDING and operation is not None:
        waiting = wording.least(authority.judge.desk.ladder_of(operation))
    outcome = _outcome(ticket)
    status = TicketStatus(
        ticket=ticket.id,
        operation=ticket.operation,
        status=ticket.state,
        executed=is_executed(ticket.state),
        next=following,
        requested_at=wording.iso(ticket.requested_at),
        expires_at=wording.iso(ticket.expires_at),
        waiting_for=waiting,
        held_until=wording.iso(ticket.hold_until) if ticket.state is State.HELD and ticket.hold_until else None,
        outcome=outcome,
        capability=capability,
        capability_expires_at=_ends(authority, capability),
    )
    shown = status.model_dump(mode="json", exclude_none=True) | {"executed": status.executed}
    return Answer(_words(operation.title if operation else ticket.operation, said, status), shown, ticket.id)


def _words(title: str, said: str, status: TicketStatus) -> str:
    lines = [f"{title}: {said} {status.next}", f"Ticket: {status.ticket}", f"Status: {status.status.value}"]
    if status.waiting_for:
        lines.append(f"Waiting for: {wording.either(status.waiting_for)}")
    if status.held_until:
        lines.append(f"Held until: {status.held_until}")
    if status.outcome:
        lines += [f"{name.capitalize()}: {value}" for name, value in status.outcome.model_dump().items() if value]
    if status.capability:
        lines.append(f"Capability (until {status.capability_expires_at}): {status.capability}")
    if status.waiting_for:
        lines.append(f"Expires: {status.expires_at}")
    return "\n".join(lines)


def _outcome(ticket: Ticket) -> Outcome | None:
    """What the AI may know of the end: the receipt, or the connector's own reason; not the executor's, nor people's."""
    value = parse_strict(ticket.outcome.encode()) if ticket.outcome else None
    if not isinstance(value, dict):
        return None
    if ticket.state is State.EXECUTED:
        receipt = value.get("receipt")
        found = receipt if isinstance(receipt, dict) else {}
        return Outcome(reference=_text(found, "reference"), summary=_text(found, "summary"))
    if ticket.state is State.NOT_EXECUTED:
        refused = "code" in value
        return Outcome(reason="It was refused just before it was carried out." if refused else _text(value, "reason"))
    return None


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) and found else None


def _ends(authority: Authority, capability: str | None) -> str | None:
    if capability is None:
        return None
    claims, _ = tokens.read_capability(
        capability, authority.keys.verification_keys, issuer=authority.issuer, now=authority.store.now()
    )
    return wording.iso(claims.exp)
