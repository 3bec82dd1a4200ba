"""Layer 2: recognising people. Where each page is, and the only class that the rest of the server sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from counterfoil import recipients
from counterfoil.authority import Authority
from counterfoil.canonical import b64
from counterfoil.errors import LinkRefused, SettingsError
from counterfoil.store import Notice
from counterfoil_server.verification.decision import Decide
from counterfoil_server.verification.endpoints import Endpoint, Handler
from counterfoil_server.verification.enrolment import Enrol
from counterfoil_server.verification.links import DeliveredLink, Links
from counterfoil_server.verification.locators import PATH as LOCATOR_PATH
from counterfoil_server.verification.locators import Locators
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.passkeys import Challenges
from counterfoil_server.verification.rendering import ASSETS_PATH, Pages
from counterfoil_server.verification.secrets_kept import new_secret
from counterfoil_server.verification.sessions import Sessions
from counterfoil_server.verification.settling import Settle
from counterfoil_server.verification.sign_in import LinkSignIn, SignIn, by_locator, to_decide, to_settle
from counterfoil_server.verification.veto import Veto


@dataclass(frozen=True)
class Lifetimes:
    """In seconds (T11)."""

    link: int = 600
    session: int = 600
    challenge: int = 300


class Verification:
    """The pages on which people are recognised, judge a request, and decide it.

    ``public_url`` is the origin that people's browsers see; passkeys are bound to its host. ``on_decided`` is called
    after each decision, so that whatever carries out approved tickets need not wait for its next look. ``locator_key``
    (32 bytes) seals the addresses that AI clients may show; without one, they end with this process. Raises
    SettingsError unless ``public_url`` is an origin that the authority's relying party accepts.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        public_url: str,
        organisation: str,
        lifetimes: Lifetimes | None = None,
        on_decided: Callable[[], None] | None = None,
        locator_key: bytes | None = None,
    ) -> None:
        self._public_url = checked_origin(authority, public_url)
        self._secure = self._public_url.startswith("https:")
        self._lifetimes = lifetimes or Lifetimes()
        store = authority.store
        self._parts = Parts(
            authority=authority,
            organisation=organisation,
            pages=Pages(organisation),
            links=Links(store, self._public_url, self._lifetimes.link),
            locators=Locators(locator_key or new_secret(), self._public_url),
            sessions=Sessions(
                store, authority.judge.trust.party.origins, secure=self._secure, life=self._lifetimes.session
            ),
            challenges=Challenges(store, self._lifetimes.challenge),
            decided=on_decided or _nothing,
        )

    async def make_link(self, notice: Notice) -> DeliveredLink:
        """The link of a message that is being delivered now, and the code that its page asks for.

        Only its digest is kept. Messages that ask for nothing have neither. Raises UnknownTicket.
        """
        return await self._parts.links.make(notice)

    def locator_url(self, ticket: str) -> str:
        """The address of a ticket's page that its requester may be given. It is worth nothing by itself (T52)."""
        return self._parts.locators.url(ticket)

    def enrolment_url(self, secret: bytes) -> str:
        """The address of an invitation, from its one-time secret of 32 bytes."""
        return f"{self._public_url}/enrol/{b64(secret)}"

    def routes(self) -> list[Route]:
        """Every address of this layer."""
        sign_in = LinkSignIn(self._parts, to_decide(self._parts), recipients.APPROVE)
        settler = LinkSignIn(self._parts, to_settle(self._parts), recipients.SETTLE)
        guest = SignIn(self._parts, by_locator(self._parts))
        decide, settle = Decide(self._parts), Settle(self._parts)
        veto = Veto(self._parts)
        enrol = Enrol(self._parts, self._lifetimes.challenge)
        return [
            self._page("/l/{secret}", get=sign_in.landing),
            self._page("/l/{secret}/again", post=sign_in.again),
            self._script("/l/{secret}/challenge", post=sign_in.challenge),
            self._script("/l/{secret}/sign-in", post=sign_in.sign_in),
            self._page(LOCATOR_PATH + "{secret}", get=guest.landing),
            self._script(LOCATOR_PATH + "{secret}/challenge", post=guest.challenge),
            self._script(LOCATOR_PATH + "{secret}/sign-in", post=guest.sign_in),
            self._page("/decide", get=decide.page),
            self._script("/decide/statement", post=decide.statement),
            self._script("/decide/signature", post=decide.signature),
            self._page("/done", get=decide.done),
            self._script("/done/status", get=decide.status),
            self._page("/done/end", post=decide.end),
            self._page("/u/{secret}", get=settler.landing),
            self._page("/u/{secret}/again", post=settler.again),
            self._script("/u/{secret}/challenge", post=settler.challenge),
            self._script("/u/{secret}/sign-in", post=settler.sign_in),
            self._page("/settle", get=settle.page),
            self._page("/settle/later", get=settle.later),
            self._script("/settle/statement", post=settle.statement),
            self._script("/settle/signature", post=settle.signature),
            self._page("/settled", get=settle.settled),
            self._page("/o/{secret}", get=veto.landing, post=veto.code),
            self._page("/o/{secret}/again", post=veto.again),
            self._page("/stop", get=veto.page, post=veto.stop),
            self._page("/enrol/{secret}", get=enrol.landing),
            self._script("/enrol/{secret}/options", post=enrol.options),
            self._script("/enrol/{secret}/passkey", post=enrol.passkey),
            self._script("/enrol/{secret}/signature", post=enrol.signature),
            self._page("/enrolled", get=enrol.done),
            self._page(ASSETS_PATH + "/{version}/{name}", get=self._asset),
        ]

    def other_routes(self) -> list[Route]:
        """What this host is, for whoever opens it without a link, and every address that is none. They come last."""
        return [
            self._page("/", get=self._home),
            self._page("/{path:path}", get=self._nowhere, post=self._nowhere),
        ]

    def _page(self, path: str, *, get: Handler | None = None, post: Handler | None = None) -> Route:
        return Route(path, Endpoint(self._parts.pages, self._secure, _handlers(get, post)))

    def _script(self, path: str, *, get: Handler | None = None, post: Handler | None = None) -> Route:
        return Route(path, Endpoint(self._parts.pages, self._secure, _handlers(get, post), speaks_json=True))

    async def _home(self, request: Request) -> Response:
        return self._parts.pages.page("home.html")

    async def _nowhere(self, request: Request) -> Response:
        raise LinkRefused("There is no such page here.")

    async def _asset(self, request: Request) -> Response:
        return self._parts.pages.asset(request.path_params["version"], request.path_params["name"])


def checked_origin(authority: Authority, public_url: str) -> str:
    """``public_url`` as an origin; raises SettingsError where passkeys could not work there."""
    address = urlsplit(public_url)
    origin = f"{address.scheme}://{address.netloc}"
    party = authority.judge.trust.party
    if address.path not in ("", "/") or address.query or address.fragment:
        raise SettingsError("public_url holds more than a scheme, a host and a port.", "Remove the path from it.")
    if origin not in party.origins or address.hostname != party.id:
        raise SettingsError("public_url is not where passkeys are valid.", "Restore the public_url of the first start.")
    if address.scheme != "https" and address.hostname != "localhost":
        raise SettingsError(
            "Browsers allow passkeys only on https, or on http://localhost.", "Use https in public_url."
        )
    return origin


def _handlers(get: Handler | None, post: Handler | None) -> dict[str, Handler]:
    return {method: handler for method, handler in (("GET", get), ("POST", post)) if handler is not None}


def _nothing() -> None:
    pass
