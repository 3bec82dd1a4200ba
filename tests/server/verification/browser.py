"""Real Chromium with a virtual authenticator (W3C WebAuthn, section 11; Chrome DevTools Protocol, WebAuthn)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, CDPSession, Page, ViewportSize, async_playwright, expect

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}

TIMEOUT = 60_000
"""Milliseconds for what usually takes a few; five seconds, the default, are short on a busy machine."""
QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser of the system."""
    expect.set_options(timeout=TIMEOUT)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(QUIET))
        yield browser
        await browser.close()


class Person:
    """Somebody's browser window with an authenticator that confirms at once."""

    def __init__(self, context: BrowserContext, page: Page, cdp: CDPSession, authenticator: str) -> None:
        self.context = context
        self.page = page
        self.cdp = cdp
        self.authenticator = authenticator
        self.complaints: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))

    @staticmethod
    async def sits_down(browser: Browser, viewport: ViewportSize = DESKTOP, *, dark: bool = False) -> Person:
        """A fresh window."""
        context = await browser.new_context(
            viewport=viewport, color_scheme="dark" if dark else "light", locale="en-GB", timezone_id="Europe/Stockholm"
        )
        context.set_default_timeout(TIMEOUT)
        page = await context.new_page()
        cdp = await context.new_cdp_session(page)
        await cdp.send("WebAuthn.enable")
        made = await cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        return Person(context, page, cdp, made["authenticatorId"])

    async def verifies(self, verified: bool) -> None:
        """Whether finger, face or PIN are right from now on."""
        await self.cdp.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": verified}
        )

    async def enrols(self, url: str) -> None:
        """Make and sign a passkey."""
        await self.page.goto(url)
        await self.page.get_by_role("button", name="Make my passkey").click()
        await self.page.get_by_role("heading", name="Your passkey is ready").wait_for()

    async def reads(self, url: str) -> None:
        """Open a link and sign in."""
        await self.page.goto(url)
        await self.page.get_by_role("button", name="Sign in with your passkey").click()
        await self.page.get_by_role("heading", name="Your decision").wait_for()

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)
