"""A browser's steps through the real pages over HTTP.

The client reads every form token and cookie from the pages it was given, as a browser does.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2

from counterfoil_server.testing.authenticator import SoftwareAuthenticator
from counterfoil_server.verification.headers import SHOWN_HEADER, TOKEN_FIELD, TOKEN_HEADER

INLINE = frozenset({"a", "span", "strong", "time"})
"""Elements that do not separate words."""

LAPSED = 410
"""The status with which a link answers whose ten minutes are over."""


class PageRefused(Exception):
    """The server refused. ``status``: HTTP; ``answer``: the JSON, or the text of the page."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__(f"{status}: {answer}")
        self.status = status
        self.answer = answer

    @property
    def lapsed(self) -> bool:
        """Whether a link was opened whose time is over, and whose page offers a new one."""
        return self.status == LAPSED


class Page(HTMLParser):
    """What a person, a script and a form find on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.html = text
        self.token = ""
        self.shown = ""
        self.ids: dict[str, dict[str, str | None]] = {}
        self.form: dict[str, str] = {}
        self._words: list[str] = []
        self.feed(text)

    @property
    def text(self) -> str:
        """The words of the page, spaces collapsed."""
        return " ".join("".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects ids, the form token and hidden fields."""
        values = dict(attrs)
        self._separate(tag)
        if tag == "body":
            self.token = values.get("data-form-token") or ""
            self.shown = values.get("data-shown") or ""
        if (name := values.get("id")) is not None:
            self.ids[name] = values
        if tag == "input" and values.get("type") == "hidden":
            self.form[values.get("name") or ""] = values.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """Separates words."""
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        """Collects words."""
        self._words.append(data)

    def _separate(self, tag: str) -> None:
        if tag not in INLINE:
            self._words.append(" ")


class PageClient:
    """One person's browser: cookies, an authenticator, and the steps that the pages' scripts take.

    ``base_url`` is the server's public origin. ``transport`` reaches an application without a socket.
    """

    def __init__(
        self, base_url: str, authenticator: SoftwareAuthenticator, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.origin = base_url.rstrip("/")
        self.authenticator = authenticator
        self.http = httpx2.AsyncClient(base_url=self.origin, transport=transport, trust_env=False)
        self.page = Page("")

    async def __aenter__(self) -> PageClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    # Whole journeys

    async def enrol(self, url: str) -> None:
        """Make a passkey with an invitation and sign its enrolment; raises PageRefused or PasskeyRefused."""
        path = await self.open(url)
        made = self.authenticator.create(await self.post(f"{path}/options"), self.origin)
        asked = await self.post(f"{path}/passkey", made)
        await self.post(f"{path}/signature", self.authenticator.get(asked, self.origin))

    async def open_and_decide(
        self, url: str, decision: str, code: str | None = None, *, disown: bool = False
    ) -> dict[str, Any]:
        """Open a link, sign in, read the request and decide it; answers where it stands then (``headline``, …)."""
        await self.sign_in(url)
        await self.read()
        await self.decide(decision, code, disown=disown)
        return await self.status()

    async def stop(self, url: str, code: str, *, disown: bool = False) -> Page:
        """Open a link to object, type the message's code and stop the request; answers the last page."""
        path = await self.open(url)
        self.page = await self.submit(path, {**self.page.form, "code": code})
        return await self.submit("/stop", {**self.page.form, **({"disown": "yes"} if disown else {})})

    async def ask_again(self, url: str) -> Page:
        """On the page of a link that has lapsed, ask for a new one; answers the page that follows."""
        path = urlsplit(url).path
        try:
            await self.open(url)
        except PageRefused as error:
            if not error.lapsed:
                raise
        return await self.submit(f"{path}/again", self.page.form)

    # Single steps

    async def open(self, url: str) -> str:
        """Load a page as one does from a message; answers its path."""
        path = urlsplit(url).path
        response = await self.http.get(path, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
        self._page(response)
        return path

    async def sign_in(self, url: str) -> None:
        """Open a link and sign in; raises PageRefused or PasskeyRefused."""
        path = await self.open(url)
        options = await self.post(f"{path}/challenge")
        await self.post(f"{path}/sign-in", self.authenticator.get(options, self.origin))

    async def read(self, path: str = "/decide") -> Page:
        """The page of the decision, or another that a session leads to."""
        return self._page(await self.http.get(path))

    async def decide(self, decision: str, code: str | None = None, *, disown: bool = False) -> None:
        """Choose on the page just read, and sign."""
        asked = await self.post("/decide/statement", {"decision": decision, "code": code, "disown": disown})
        await self.post("/decide/signature", self.authenticator.get(asked, self.origin))

    async def open_and_settle(self, url: str, found: str, reference: str = "") -> Page:
        """Open a link about an unknown outcome, sign in, read, and sign what was found; answers the last page."""
        await self.sign_in(url)
        await self.read("/settle")
        await self.settle(found, reference)
        return await self.read("/settled")

    async def settle(self, found: str, reference: str = "") -> None:
        """Say on the page just read what was found, and sign."""
        asked = await self.post("/settle/statement", {"found": found, "reference": reference})
        await self.post("/settle/signature", self.authenticator.get(asked, self.origin))

    async def status(self) -> dict[str, Any]:
        """Where the request stands."""
        return self._json(await self.http.get("/done/status"))

    async def post(self, path: str, value: Any = None) -> dict[str, Any]:
        """What a script of the current page sends."""
        return self._json(await self.http.post(path, content=json.dumps(value or {}), headers=self.script_headers))

    async def submit(self, path: str, fields: dict[str, str]) -> Page:
        """Send a form of the current page, and follow where it leads. Such forms come with ``Origin: null``."""
        headers = {"origin": "null", "sec-fetch-site": "same-origin"}
        fields = {TOKEN_FIELD: self.page.token, **fields}
        return self._page(await self.http.post(path, data=fields, headers=headers, follow_redirects=True))

    @property
    def script_headers(self) -> dict[str, str]:
        """What a browser and our scripts send along."""
        return {
            "origin": self.origin,
            "sec-fetch-site": "same-origin",
            "content-type": "application/json",
            TOKEN_HEADER: self.page.token,
            SHOWN_HEADER: self.page.shown,
        }

    def _page(self, response: httpx2.Response) -> Page:
        self.page = Page(response.text)
        if (elsewhere := response.headers.get("location")) is not None:
            words = f"there is nothing to decide here at present; the page leads on to {elsewhere}"
            raise PageRefused(response.status_code, words)
        if response.status_code != 200:
            raise PageRefused(response.status_code, self.page.text)
        return self.page

    @staticmethod
    def _json(response: httpx2.Response) -> dict[str, Any]:
        if response.headers.get("content-type") != "application/json":
            raise PageRefused(response.status_code, Page(response.text).text)
        answer: dict[str, Any] = response.json()
        if response.status_code != 200:
            raise PageRefused(response.status_code, answer)
        return answer
