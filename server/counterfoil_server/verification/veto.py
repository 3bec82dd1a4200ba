"""Stopping a request without a passkey, by the code of a message to the holder's own channel.

Whoever has the message can stop the request it tells of, and do nothing else: a message never approves (T09). The
page shows nothing of the request before the code was typed, five tries are all there are, and a machine that opens
links, runs scripts and presses buttons does not know the code (T07). Plain forms, so that it works in every browser.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from counterfoil import recipients
from counterfoil.errors import CodeRefused, LinkRefused, WrongState
from counterfoil.tickets import STOPPABLE
from counterfoil_server.verification.headers import TOKEN_FIELD
from counterfoil_server.verification.incoming import form_of
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.secrets_kept import STOP_SESSION

WRONG = "That is not the code from the message."
USED_UP = CodeRefused(
    "All five tries for this message are used up.",
    "When its link has expired, after a few minutes, open it once more: its page then sends you a new message.",
)


def wrong_code(left: int) -> CodeRefused:
    """What is said of a wrong code when so many tries are left."""
    if left == 0:
        return USED_UP
    tries = "try is" if left == 1 else "tries are"
    return CodeRefused(WRONG, f"Type the eight characters of the newest message; {left} {tries} left.")


class Veto:
    """The pages below ``/o/``, and ``/stop``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def landing(self, request: Request) -> Response:
        """Asks for the code; changes nothing."""
        link = await self._parts.links.open(request.path_params["secret"], recipients.OBJECT)
        return self._ask(request, "code.html" if link.live else "expired.html", 200 if link.live else 410)

    async def again(self, request: Request) -> Response:
        """The person asks for a new message; the answer is the same whether one is sent."""
        form = await form_of(request)
        self._parts.sessions.check_visit(request, form.get(TOKEN_FIELD, ""))
        await self._parts.links.send_again(request.path_params["secret"], recipients.OBJECT)
        return self._parts.pages.page("sent_again.html")

    async def code(self, request: Request) -> Response:
        """Somebody typed a code; the right one begins a session that can only stop this ticket."""
        form = await form_of(request)
        self._parts.sessions.check_visit(request, form.get(TOKEN_FIELD, ""))
        link = await self._parts.links.live(request.path_params["secret"], recipients.OBJECT)
        if not await self._parts.links.code_is_right(link, form.get("code", "")):
            left = await self._parts.links.tries_left(link)
            return self._ask(request, "code.html", 403, wrong_code(left))
        response = RedirectResponse("/stop", 303)
        await self._parts.sessions.begin(request, response, STOP_SESSION, ticket=link.ticket)
        return response

    async def page(self, request: Request) -> Response:
        """Which kind of request it is, and the two ways to stop it."""
        session = await self._parts.sessions.find(request, STOP_SESSION)
        ticket = await self._parts.store.ticket(session.ticket)
        if ticket is None:
            raise LinkRefused()
        if ticket.state not in STOPPABLE:
            raise WrongState(
                "There is nothing left to stop: the request has ended or is being carried out.",
                f"If you did not expect it, tell {self._parts.organisation} at once.",
            )
        operation = self._parts.judge.desk.operations.get(ticket.operation)
        return self._parts.pages.page(
            "stop.html",
            form_token=session.token,
            title=operation.title if operation else "A request",
            requested_at=ticket.requested_at,
        )

    async def stop(self, request: Request) -> Response:
        """Decline the ticket for good; with "this wasn't me" also bar whoever asked."""
        form = await form_of(request)
        session = await self._parts.sessions.check(request, STOP_SESSION, form.get(TOKEN_FIELD, ""))
        disown = form.get("disown") == "yes"
        try:
            await self._parts.authority.veto(session.ticket, disown=disown)
        except WrongState:
            raise WrongState(
                "It was too late to stop it: the request has ended or is being carried out.",
                f"If you did not expect it, tell {self._parts.organisation} at once.",
            ) from None
        self._parts.decided()
        return self._parts.pages.page("stopped.html", disown=disown)

    def _ask(self, request: Request, template: str, status: int, error: CodeRefused | None = None) -> Response:
        visit = self._parts.sessions.visit(request)
        response = self._parts.pages.page(
            template, status=status, form_token=visit.token, error=error, again=f"{request.url.path}/again"
        )
        self._parts.sessions.keep(response, visit)
        return response
