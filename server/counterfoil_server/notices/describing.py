"""What a message says of the notice it is for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from counterfoil.authority import Authority
from counterfoil.store import Notice
from counterfoil_server.notices.delivery import Described


def describer(authority: Authority, organisation: str) -> Callable[[Notice], Awaitable[Described]]:
    """What a message may say of its notice: organisation, operation title and time; nothing of the request."""

    async def describe(notice: Notice) -> Described:
        ticket = await authority.store.ticket(notice.ticket) if notice.ticket is not None else None
        operation = authority.judge.desk.operations.get(ticket.operation) if ticket is not None else None
        at = notice.created_at if ticket is None else ticket.ended_at or ticket.requested_at
        looked_into = ticket is not None and authority.judge.desk.can_settle(ticket.operation)
        return Described(organisation, operation.title if operation else organisation, at, looked_into=looked_into)

    return describe
