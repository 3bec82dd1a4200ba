"""The page on which a person says what became of a request whose outcome nobody knows, and signs it.

It shows all of the core's settlement display and nothing else, so that what is shown is what the signature's digest
says was shown; what changed since the page was made is not signed (T22). As with a decision, the person's choice makes
a statement that is kept here, its challenge goes to exactly their passkey, and the passkey's answer completes it:
nothing that the browser sends can change a statement between the two, it is good once, and a session alone settles
nothing (T08).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from counterfoil.authority import SettlementView
from counterfoil.errors import CounterfoilError, StatementRefused
from counterfoil.evidence import SignedStatement
from counterfoil.settlement import STILL_COUNTED, settlement_display_digest
from counterfoil.statements import MAX_REFERENCE, Found
from counterfoil.store import Secret
from counterfoil.tickets import State
from counterfoil_server.verification.headers import check_shown
from counterfoil_server.verification.incoming import json_of
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.passkeys import AssertionAnswer, challenge_of, request_options
from counterfoil_server.verification.refusals import for_people, status_of
from counterfoil_server.verification.secrets_kept import SETTLE_SESSION, SETTLEMENT, secret_digest
from counterfoil_server.verification.sessions import Session

HEADLINES = {State.EXECUTED: "It happened", State.NOT_EXECUTED: "It did not happen"}
STILL_OPEN = "It is not known yet"


class Finding(BaseModel):
    """What the person found, and the reference they typed (may be empty)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    found: Found
    # Twice as long as may be signed: what is refused for its length is then refused in words about its length.
    reference: Annotated[str, Field(max_length=2 * MAX_REFERENCE)] = ""


class Settle:
    """The pages ``/settle``, ``/settle/later`` and ``/settled``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def page(self, request: Request) -> Response:
        """What was asked, what is known, and the two findings; or how it ended, once it is known."""
        session = await self._parts.sessions.find(request, SETTLE_SESSION)
        view = await self._view(session)
        if not view.can_settle:
            return RedirectResponse("/settled", 303)
        return self._parts.pages.page(
            "settle.html",
            form_token=session.token,
            shown=settlement_display_digest(view.content),
            content=view.content["request"],
            known=view.content,
            max_reference=MAX_REFERENCE,
        )

    async def later(self, request: Request) -> Response:
        """The person does not know yet; nothing is changed."""
        await self._view(await self._parts.sessions.find(request, SETTLE_SESSION))
        return self._parts.pages.page("left.html")

    async def statement(self, request: Request) -> Response:
        """Make the statement of what the person found, and answer what their passkey shall sign."""
        session = await self._parts.sessions.check(request, SETTLE_SESSION)
        finding = await json_of(request, Finding)
        try:
            offer = await self._parts.authority.prepare_settlement(
                session.ticket, session.person, session.credential, finding.found, finding.reference
            )
        except CounterfoilError as error:
            return await self._refused(session, error)
        check_shown(request, offer.settlement.display)
        data = {"statement": offer.statement_bytes.decode()}
        known = secret_digest(SETTLEMENT, offer.challenge)
        await self._parts.store.put_secret(Secret(SETTLEMENT, known, session.digest, data, offer.settlement.exp))
        return JSONResponse(request_options(self._parts.party, offer.challenge, session.credential))

    async def signature(self, request: Request) -> Response:
        """Complete the statement with the passkey's answer: the one step that settles."""
        session = await self._parts.sessions.check(request, SETTLE_SESSION)
        assertion = (await json_of(request, AssertionAnswer)).to_assertion()
        known = secret_digest(SETTLEMENT, challenge_of(assertion.client_data))
        offer = await self._parts.store.take_secret(SETTLEMENT, known)
        if offer is None or offer.subject != session.digest:
            raise StatementRefused("The signature came too late, or was used before.", "Sign once more.")
        try:
            signed = SignedStatement(str(offer.data["statement"]).encode(), assertion)
            await self._parts.authority.settle(session.ticket, signed)
        except CounterfoilError as error:
            return await self._refused(session, error)
        finally:
            self._parts.decided()
        return JSONResponse({"location": "/settled"})

    async def settled(self, request: Request) -> Response:
        """What is known now, and whether this person's own signature made it so."""
        session = await self._parts.sessions.find(request, SETTLE_SESSION)
        view = await self._view(session)
        if view.can_settle:
            return RedirectResponse("/settle", 303)
        return self._parts.pages.page(
            "settled.html",
            operation=view.content["request"]["operation"],
            headline=HEADLINES.get(view.ticket.state, STILL_OPEN),
            state=view.ticket.state.value,
            still_counted=STILL_COUNTED,
            own=view.settled is not None and view.settled.person == session.person,
            by_person=view.settled is not None,
            reference=view.settled.reference if view.settled is not None else "",
        )

    async def _view(self, session: Session) -> SettlementView:
        return await self._parts.authority.settlement_view(session.ticket, session.person)

    async def _refused(self, session: Session, error: CounterfoilError) -> Response:
        """The refusal; where it is settled meanwhile, with the page that says so."""
        answer = for_people(error).to_dict()
        if not (await self._view(session)).can_settle:
            answer["location"] = "/settled"
        return JSONResponse(answer, status_code=status_of(error))
