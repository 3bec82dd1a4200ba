"""The authority's first verb: what an AI asks for becomes a frozen ticket.

What the answer shows is the same whether the account exists, the preview fails or policy refuses; those are told on the
holder's page only (T54). Whose account it is, who is told and what it requires come from the organisation's own records
(T03, T43), never from what the AI claims.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from counterfoil import leaves, recipients
from counterfoil.access_verbs import AccessVerbs
from counterfoil.canonical import b64, canonical, parse_strict, salted_digest
from counterfoil.decision_verbs import DecisionVerbs
from counterfoil.door import reason
from counterfoil.errors import (
    AccountBusy,
    BadArguments,
    UnknownTicket,
    UnknownTool,
    WrongState,
)
from counterfoil.evidence import (
    code_digest,
)
from counterfoil.grants import Grant
from counterfoil.operations import Operation
from counterfoil.roster import Roster
from counterfoil.scopes import pair
from counterfoil.store import (
    NewTicket,
    NoticeDraft,
    Step,
)
from counterfoil.tickets import ACCESS, UNDOABLE, Envelope, Event, Signals, State, Ticket
from counterfoil.values import Account

MAX_NOTE = 500
"""Characters of an AI's note."""


@dataclass(frozen=True)
class Requester:
    """Who asks: an agent's credential, the person behind it, and the chat it comes from."""

    principal: str
    owner: str | None = None
    actor: str | None = None
    conversation: str | None = None
    signals: Signals = field(default_factory=Signals)


class RequestVerbs(AccessVerbs, DecisionVerbs):
    """Request, status, cancel."""

    async def request(
        self, requester: Requester, operation_name: str, argument_bytes: bytes, note: str | None = None
    ) -> Ticket:
        """Freeze what is asked for as a ticket; answers the ticket that an equal request already has.

        What the answer shows is the same whether the account exists, the preview fails or policy refuses: those are
        told on the holder's page only (T54). Raises BadJSON, BadArguments, UnknownTool, Suspended or TooManyRequests.
        """
        operation = self.judge.desk.operations.get(operation_name)
        if operation is None:
            raise UnknownTool()
        if note is not None and len(note) > MAX_NOTE:
            raise BadArguments(f"The note is longer than {MAX_NOTE} characters.", "Shorten it.")
        if requester.conversation is not None:
            await self.conversation(requester.principal, requester.conversation)
        if operation.name == ACCESS:
            self.require_isolation(requester.actor)
        parse_strict(argument_bytes)
        undone = None
        if operation.undoes is not None:
            undone, argument_bytes = await self._to_undo(requester, operation.undoes, argument_bytes)
        arguments = canonical(operation.validated(argument_bytes).model_dump(mode="json"))
        counted = operation.counted(arguments)
        if counted is not None and not counted.amount:
            raise BadArguments(f"The arguments are not accepted: {operation.counts}.value: write more than 0.")
        await self._refuse_suspended(
            ["everything", f"operation:{operation.name}", f"principal:{requester.principal}"]
            + ([f"conversation:{requester.conversation}"] if requester.conversation else [])
        )
        now = self.store.now()
        hint = getattr(operation.validated(arguments), operation.account_parameter)
        account = Account(hint) if undone is not None else await self._find(hint)
        previewed = await self.judge.preview(operation, arguments, account)
        envelope = self._draft(requester, operation, arguments, account, note, now, undone)
        refusal = previewed.refusal
        # Asked also where there are no facts, and then thrown away: it must not take less time (T54).
        required = await self.judge.requirements(envelope, previewed.facts or operation.blank_facts, now)
        if previewed.facts is not None:
            envelope = envelope.changed(
                facts=canonical(previewed.facts.model_dump(mode="json")).decode(), requirements=required.rungs
            )
            refusal = None if required.rungs else "; ".join(required.reasons) or "The policy does not allow this."
            grant = await self._unattended(envelope, operation)
            if grant is not None:
                envelope = envelope.changed(grant=grant.ticket, requirements=())
                refusal = None
        try:
            ticket = await self._create(envelope, operation, refusal)
            return await self.advance(ticket.id) if envelope.grant is not None else ticket
        except AccountBusy:
            # To the AI it looks like any other ticket (T54); it names no account, so nobody is told and nobody can
            # approve it (T12).
            nobodys = envelope.changed(account=None, facts=None, requirements=())
            return await self._create(nobodys, operation, "Too many requests were already waiting for this account.")

    async def _to_undo(
        self, requester: Requester, undoes: Operation[Any, Any], argument_bytes: bytes
    ) -> tuple[str, bytes]:
        """The ticket that is to be undone, and the arguments with its account.

        Raises UnknownTicket unless it is the requester's own; WrongState unless it was carried out.
        """
        arguments = parse_strict(argument_bytes)
        named = arguments.get("ticket") if isinstance(arguments, dict) else None
        if not isinstance(named, str) or not isinstance(arguments, dict) or arguments.keys() != {"ticket"}:
            raise BadArguments("The arguments are not accepted: ticket: field required, and nothing else.")
        ticket = await self.status(requester.principal, named)
        if ticket.operation != undoes.name:
            raise BadArguments(f"The ticket is not one of {undoes.name}.", "Name the ticket of what is to be undone.")
        if ticket.state not in UNDOABLE or ticket.account is None:
            raise WrongState("Only what was carried out can be undone.", "Ask for the ticket's status.")
        return ticket.id, canonical({"account": ticket.account, "ticket": ticket.id})

    async def told(self, ticket: Ticket) -> str | None:
        """Why nobody can approve the ticket, where its requester may know that: with a live grant for the account."""
        if ticket.refusal is None or ticket.conversation is None:
            return None
        return ticket.refusal if await self.judge.grants.behind(ticket.envelope, self.store.now()) else None

    async def _unattended(self, envelope: Envelope, operation: Operation[Any, Any]) -> Grant | None:
        """The grant under which the request may run without anybody's signature, if there is one and policy agrees.

        It needs that conversation's live grant for that very account (T44).
        """
        now = self.store.now()
        if not self.judge.policy.may_run_alone(operation.name):
            return None
        grant = await self.judge.grants.behind(envelope, now)
        if grant is None or operation.name == ACCESS:
            return None
        facts = envelope.fact_values or {}
        verdict, _ = await self.judge.allows_unattended(envelope, facts, now, planned=True)
        return grant if verdict.allowed else None

    def match_code(self, ticket: str) -> str:
        """The six digits that the chat shows and the holder types; derived, never stored."""
        mac = hmac.digest(self._secrets.code, ticket.encode(), "sha256")
        return f"{int.from_bytes(mac[:8], 'big') % 1_000_000:06d}"

    async def status(self, principal: str, ticket_id: str) -> Ticket:
        """The principal's own ticket; raises UnknownTicket for foreign and unknown ones alike (T04)."""
        ticket = await self.store.ticket(ticket_id)
        if ticket is None or ticket.principal != principal:
            raise UnknownTicket()
        return await self._expired_if_due(ticket)

    async def cancel(self, principal: str, ticket_id: str) -> Ticket:
        """The requester withdraws it; raises UnknownTicket or WrongState."""
        ticket = await self.status(principal, ticket_id)
        step = Step(
            Event.CANCEL, leaves.stepped(Event.CANCEL, ticket.id), outcome=reason("Cancelled by the requester.")
        )
        return await self.store.step(ticket.id, step)

    def _draft(
        self,
        requester: Requester,
        operation: Operation[Any, Any],
        arguments: bytes,
        account: Account | None,
        note: str | None,
        now: int,
        undone: str | None,
    ) -> Envelope:
        salt, ticket = secrets.token_bytes(32), new_ticket_id()
        # From the declaration, not from what this request requires: the end is told to the AI (T54).
        longest_hold = max((rung.hold for rung in self.judge.desk.ladder_of(operation)), default=0)
        return Envelope(
            issuer=self.issuer,
            tenant=self.tenant,
            ticket=ticket,
            operation=operation.name,
            arguments=arguments.decode(),
            account=account,
            principal=requester.principal,
            owner=requester.owner,
            actor=requester.actor,
            conversation=requester.conversation,
            grant=None,
            delivery=operation.delivery,
            executor=operation.executor or self.executor,
            facts=None,
            requirements=(),
            policy=self.judge.policy.digest,
            tool=operation.digest,
            code=code_digest(salt, self.match_code(ticket)),
            signals=requester.signals,
            note=note,
            undoes=undone,
            requested_at=now,
            expires_at=now + self.times.ticket + longest_hold,
            salt=b64(salt),
        )

    async def _create(self, envelope: Envelope, operation: Operation[Any, Any], refusal: str | None) -> Ticket:
        envelope.check()  # before it is written: nobody could tell one that cannot be read from one that was changed
        body = envelope.to_bytes()
        ticket = Ticket(
            id=envelope.ticket,
            state=State.PENDING,
            envelope_bytes=body,
            principal=envelope.principal,
            account=envelope.account,
            operation=envelope.operation,
            conversation=envelope.conversation,
            delivery=envelope.delivery,
            requested_at=envelope.requested_at,
            expires_at=envelope.expires_at,
            refusal=refusal,
        )
        asked_for = [envelope.principal, envelope.conversation, envelope.operation, envelope.arguments]
        amount = operation.counted(envelope.arguments.encode())
        roster = await self.judge.roster_to_tell()
        created, _ = await self.store.create_ticket(
            NewTicket(
                ticket=ticket,
                dedupe=salted_digest(self._secrets.dedupe, "counterfoil-request", canonical(asked_for)),
                undoes=envelope.undoes,
                currency=amount.currency if amount else None,
                amount=amount.amount if amount else None,
                leaf=leaves.requested(ticket.id, ticket.digest, ticket.principal, ticket.operation),
                notices=await self._asked(envelope, roster),
                caps=self.caps,
            )
        )
        return created

    async def _asked(self, envelope: Envelope, roster: Roster) -> list[NoticeDraft]:
        """Who is asked; nobody while it is silenced, and the answer to the AI stays the same (T54)."""
        if await self._is_silenced(envelope):
            return []
        return await recipients.asked(envelope, roster, self.judge.desk.directory, refused=not envelope.requirements)

    async def _is_silenced(self, envelope: Envelope) -> bool:
        """Whether the account, or this requester on it, is suspended: "this wasn't me" must also end the messages
        (T12)."""
        if envelope.account is None:
            return False
        scopes = [f"account:{envelope.account}", pair(envelope.principal, envelope.account)]
        return bool(await self.store.suspensions(scopes))

    async def _find(self, hint: str) -> Account | None:
        """The account, or None: also where the directory fails, or answers what is no text and could not be signed."""
        try:
            found = await self.judge.desk.directory.find(hint)
            return None if found is None else Account(str.encode(found).decode())
        except Exception:
            return None


def new_ticket_id() -> str:
    """160 random bits (T04), readable aloud: ``cf_`` and base32 in lower case."""
    return "cf_" + base64.b32encode(secrets.token_bytes(20)).decode().lower()
