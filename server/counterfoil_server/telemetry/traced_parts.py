"""The authority and the executor, with a span around each verb that moves a ticket. They do nothing else differently.

Each class is made for one tracing by ``under``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from counterfoil.authority import Authority, Requester
from counterfoil.evidence import SignedStatement
from counterfoil.operations import Operation
from counterfoil.tickets import Envelope, Event, Ticket
from counterfoil.values import Facts
from counterfoil_server.execution.executor import Executor
from counterfoil_server.telemetry.tracing import Result, Tracing

RESULTS = {
    Event.REPORT_EXECUTED: Result.DONE,
    Event.FIND_EXECUTED: Result.DONE,
    Event.REPORT_NOT_EXECUTED: Result.REFUSED,
    Event.FIND_NOT_EXECUTED: Result.REFUSED,
    Event.REPORT_UNKNOWN: Result.FAILED,
}


class TracedAuthority(Authority):
    """Layer 3."""

    tracing: ClassVar[Tracing]

    @classmethod
    def under(cls, tracing: Tracing) -> type[Authority]:
        """The class whose authorities are traced by ``tracing``."""
        return type(cls.__name__, (cls,), {"tracing": tracing})

    async def request(
        self, requester: Requester, operation_name: str, argument_bytes: bytes, note: str | None = None
    ) -> Ticket:
        with self.tracing.here("authority.request") as seen:
            ticket = await super().request(requester, operation_name, argument_bytes, note)
            seen.ticket(ticket)
            return ticket

    async def _create(self, envelope: Envelope, operation: Operation[Any, Any], refusal: str | None) -> Ticket:
        ticket = await super()._create(envelope, operation, refusal)
        if ticket.id == envelope.ticket:  # else it is that of an equal request, whose trace has begun
            self.tracing.begin(ticket)
        return ticket

    async def decide(self, ticket_id: str, signed: SignedStatement, *, disown: bool = False) -> Ticket:
        with self.tracing.of_ticket("authority.decide", ticket_id) as seen:
            ticket = await super().decide(ticket_id, signed, disown=disown)
            seen.ticket(ticket)
            return ticket

    async def veto(self, ticket_id: str, *, disown: bool = False) -> Ticket:
        with self.tracing.of_ticket("authority.veto", ticket_id) as seen:
            ticket = await super().veto(ticket_id, disown=disown)
            seen.ticket(ticket)
            return ticket

    async def settle(self, ticket_id: str, signed: SignedStatement) -> Ticket:
        with self.tracing.of_ticket("authority.settle", ticket_id) as seen:
            ticket = await super().settle(ticket_id, signed)
            seen.ticket(ticket)
            return ticket

    async def deliver(self, ticket_id: str) -> tuple[Ticket, str] | None:
        with self.tracing.of_ticket("authority.deliver", ticket_id) as seen:
            delivered = await super().deliver(ticket_id)
            seen.named(ticket_id)
            if delivered is None:
                seen.ended(Result.REFUSED)
            return delivered

    async def mint(self, ticket_id: str) -> str:
        with self.tracing.of_ticket("authority.mint", ticket_id) as seen:
            capability = await super().mint(ticket_id)
            seen.named(ticket_id)
            return capability

    async def redeem(self, ticket_id: str, capability: str, *, presenter: str | None = None) -> tuple[Ticket, str]:
        with self.tracing.of_ticket("authority.redeem", ticket_id) as seen:
            ticket, order = await super().redeem(ticket_id, capability, presenter=presenter)
            seen.ticket(ticket)
            return ticket, order

    async def report(self, ticket_id: str, event: Event, outcome: dict[str, object]) -> Ticket:
        with self.tracing.of_ticket("authority.report", ticket_id) as seen:
            ticket = await super().report(ticket_id, event, outcome)
            seen.ticket(ticket)
            seen.event(event)
            code = outcome.get("code")  # of a refusal by the executor
            seen.ended(RESULTS[event], code if isinstance(code, str) else None)
            return ticket


class TracedExecutor(Executor):
    """Layer 4."""

    tracing: ClassVar[Tracing]

    @classmethod
    def under(cls, tracing: Tracing) -> type[Executor]:
        """The class whose executors are traced by ``tracing``."""
        return type(cls.__name__, (cls,), {"tracing": tracing})

    async def run(self, ticket_id: str, order: str) -> None:
        with self.tracing.of_ticket("executor.run", ticket_id) as seen:
            seen.named(ticket_id)
            await super().run(ticket_id, order)

    async def _call(self, envelope: Envelope, facts: Facts, presented: str | None) -> tuple[Event, dict[str, object]]:
        with self.tracing.of_ticket("connector.call", envelope.ticket) as seen:
            seen.named(envelope.ticket, envelope.operation)
            event, outcome = await super()._call(envelope, facts, presented)
            seen.event(event)
            seen.ended(RESULTS[event])
            return event, outcome
