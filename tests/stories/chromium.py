"""A person at a real Chromium, with a platform authenticator that the browser simulates (WebAuthn over CDP)."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.async_api import Browser, Page, expect

TIMEOUT = 60_000
"""Milliseconds for what usually takes a few."""


@dataclass
class AtTheBrowser:
    """One person, one browser profile, one authenticator."""

    page: Page

    @classmethod
    async def sits_down(cls, browser: Browser) -> AtTheBrowser:
        """A fresh profile with an authenticator that knows its owner's finger."""
        context = await browser.new_context(locale="en-GB", timezone_id="Europe/Stockholm")
        context.set_default_timeout(TIMEOUT)
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("WebAuthn.enable")
        await session.send(
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
        return cls(page)

    async def enrols(self, url: str) -> None:
        """Follow an invitation and make a passkey."""
        await self.page.goto(url)
        await self.page.get_by_role("button", name="Make my passkey").click()
        await expect(self.page.get_by_role("heading", name="Your passkey is ready")).to_be_visible(timeout=TIMEOUT)

    async def signs_in(self, link: str) -> None:
        """Open a message's link and sign in with the passkey."""
        await self.page.goto(link)
        await self.page.get_by_role("button", name="Sign in with your passkey").click()
        await self.page.wait_for_url("**/decide")

    async def reads(self) -> str:
        """Read the request to its end; answers its words."""
        await self.page.locator("#end").scroll_into_view_if_needed()
        return await self.page.locator("article.request").inner_text()

    async def approves(self, code: str | None = None) -> None:
        """Type the code if the page asks for one, and approve; does not wait for what follows."""
        await self.reads()
        if code is not None:
            await self.page.get_by_label("Code from the chat").fill(code)
        await self.page.get_by_role("button", name="Approve").click()

    async def declines(self) -> None:
        """Decline."""
        await self.page.get_by_role("button", name="Decline").click()

    async def disowns(self) -> None:
        """Say that it was somebody else."""
        await self.page.get_by_role("button", name="This wasn’t me").click()

    async def sees(self, headline: str) -> None:
        """Wait until the page says where the request stands."""
        await self.page.wait_for_url("**/done")
        await expect(self.page.locator("#headline")).to_have_text(headline, timeout=TIMEOUT)
