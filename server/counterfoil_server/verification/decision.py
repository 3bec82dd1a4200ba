"""The page on which a person judges one request, and the signature that decides it.

The page shows all of the core's display and nothing else about the request, so that what is shown is what the
statement's digest says was shown; what changed since the page was made is not signed (T22). A decision is two steps:
the person's choice makes a statement, which is kept here and whose challenge goes to exactly their passkey; the
passkey's answer completes it. Nothing that the browser sends can change a statement between the two, a statement is
good once, and a session alone decides nothing (T08).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from counterfoil.authority import View
from counterfoil.display import display_digest
from counterfoil.errors import BadArguments, CounterfoilError, StatementRefused
from counterfoil.evidence import SignedStatement
from counterfoil.statements import HOLDER, Choice
from counterfoil.store import Secret
from counterfoil.tickets import ACCESS
from counterfoil_server.verification.headers import TOKEN_FIELD, check_shown
from counterfoil_server.verification.incoming import form_of, json_of
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.passkeys import AssertionAnswer, challenge_of, request_options
from counterfoil_server.verification.progress import progress_of
from counterfoil_server.verification.refusals import for_people, status_of
from counterfoil_server.verification.secrets_kept import OFFER, SESSION, secret_digest
from counterfoil_server.verification.sessions import Session


class Chosen(BaseModel):
    """What the person chose. ``code``: the six digits from the chat; ``disown``: "this wasn't me"."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    decision: Choice
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    disown: bool = False


class Decide:
    """The pages ``/decide`` and ``/done``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def page(self, request: Request) -> Response:
        """Everything there is to judge; or where the request stands, once there is nothing to decide."""
        session = await self._parts.sessions.find(request, SESSION)
        view = await self._view(session)
        if not view.can_decline:
            return RedirectResponse("/done", 303)
        return self._parts.pages.page(
            "decide.html",
            form_token=session.token,
            shown=display_digest(view.content),
            content=view.content,
            can_approve=view.can_approve,
            needs_code=view.needs_code,
            can_disown=view.seat == HOLDER,
            refusal=view.ticket.refusal if not view.envelope.requirements else None,
            state=view.ticket.state.value,
        )

    async def statement(self, request: Request) -> Response:
        """Make the statement for the person's choice, and answer what their passkey shall sign."""
        session = await self._parts.sessions.check(request, SESSION)
        choice = await json_of(request, Chosen)
        if choice.disown and (choice.decision != "decline" or (await self._view(session)).seat != HOLDER):
            raise BadArguments("Only the account's holder can say that it was not them, by declining.")
        try:
            offer = await self._parts.authority.prepare(
                session.ticket, session.person, session.credential, choice.decision, choice.code
            )
        except CounterfoilError as error:
            return await self._refused(session, error)
        check_shown(request, offer.statement.display)
        data = {"statement": offer.statement_bytes.decode(), "disown": choice.disown}
        kept = Secret(OFFER, secret_digest(OFFER, offer.challenge), session.digest, data, offer.statement.exp)
        await self._parts.store.put_secret(kept)
        return JSONResponse(request_options(self._parts.party, offer.challenge, session.credential))

    async def signature(self, request: Request) -> Response:
        """Complete the statement with the passkey's answer: the one step that decides."""
        session = await self._parts.sessions.check(request, SESSION)
        assertion = (await json_of(request, AssertionAnswer)).to_assertion()
        known = secret_digest(OFFER, challenge_of(assertion.client_data))
        offer = await self._parts.store.take_secret(OFFER, known)
        if offer is None or offer.subject != session.digest:
            raise StatementRefused("The signature came too late, or was used before.", "Decide once more.")
        signed = SignedStatement(str(offer.data["statement"]).encode(), assertion)
        try:
            await self._parts.authority.decide(session.ticket, signed, disown=bool(offer.data["disown"]))
        except CounterfoilError as error:
            return await self._refused(session, error)
        finally:
            self._parts.decided()
        return JSONResponse({"location": "/done"})

    async def done(self, request: Request) -> Response:
        """Where the request stands now."""
        session = await self._parts.sessions.find(request, SESSION)
        view = await self._view(session)
        progress = await progress_of(self._parts.authority, view)
        return self._parts.pages.page(
            "done.html",
            form_token=session.token,
            progress=progress,
            content=view.content,
            can_decline=view.can_decline,
            is_access=view.envelope.operation == ACCESS and view.seat == HOLDER,
        )

    async def end(self, request: Request) -> Response:
        """The holder ends the access that they gave."""
        form = await form_of(request)
        session = await self._parts.sessions.check(request, SESSION, form.get(TOKEN_FIELD, ""))
        await self._parts.authority.end_access(session.ticket, session.person)
        return self._parts.pages.page("access_ended.html")

    async def status(self, request: Request) -> Response:
        """The same for the page's script, which asks again until it is final."""
        session = await self._parts.sessions.find(request, SESSION)
        progress = await progress_of(self._parts.authority, await self._view(session))
        return JSONResponse(progress.to_dict())

    async def _view(self, session: Session) -> View:
        return await self._parts.authority.view(session.ticket, session.person)

    async def _refused(self, session: Session, error: CounterfoilError) -> Response:
        """The refusal; where it also ended what there was to decide, with the page that says so."""
        answer = for_people(error).to_dict()
        if not (await self._view(session)).can_decline:
            answer["location"] = "/done"
        return JSONResponse(answer, status_code=status_of(error))
