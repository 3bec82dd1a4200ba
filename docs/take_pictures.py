"""Take the documentation's pictures: the real pages of the example desk in a real Chromium, phone and desktop, light
and dark. Run from a checkout: ``.venv/bin/python docs/take_pictures.py [FOLDER]``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples" / "support_desk")]

from playwright.async_api import async_playwright  # noqa: E402

from counterfoil.testing import OpenDesk, money  # noqa: E402
from northlight_served import open_northlight, open_shop  # noqa: E402
from stories.chromium import AtTheBrowser  # noqa: E402

MARIA = "maria.lindqvist@post.example"
DESKTOP = {"width": 1100, "height": 900}
PHONE = {"width": 390, "height": 844}
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
NOTE = "Maria wrote that the lampshade arrived with a dent and she would like part of the price back."


async def main(folder: Path) -> None:
    """Play a request and an access, and stop at every page."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        shop = open_shop(Path(state))
        async with async_playwright() as playwright, open_northlight(Path(state), shop) as desk:
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-background-networking"]
            )
            maria = await AtTheBrowser.sits_down(browser)
            await play_refund(desk, maria, folder)
            await play_access(desk, maria, folder)
            await browser.close()


async def play_refund(desk: OpenDesk, maria: AtTheBrowser, folder: Path) -> None:
    """Enrolment, landing, decision, outcome."""
    url = (await desk.invite("Maria Lindqvist", account="C-1001", email=MARIA)).url
    await maria.page.goto(url)
    await picture(maria, folder / "enrol")
    await maria.enrols(url)
    asked = await desk.ai.request("refund", account=MARIA, order_id="NL-26017", amount=money("39.00"), note=NOTE)
    message = await desk.mailbox.newest(MARIA, "waits for your decision")
    assert message.link is not None
    await maria.page.goto(message.link)
    await picture(maria, folder / "open")
    await maria.signs_in(message.link)
    await maria.reads()
    await maria.page.get_by_label("Code from the chat").fill(asked.match_code)
    await picture(maria, folder / "decide")
    await maria.approves(asked.match_code)
    await maria.sees("Done")
    await picture(maria, folder / "done")


async def play_access(desk: OpenDesk, maria: AtTheBrowser, folder: Path) -> None:
    """Maria opens her records to one chat: decision, outcome, and the end of it."""
    chat = await desk.ai.start_conversation()
    asked = await chat.request("access", account=MARIA)
    message = await desk.mailbox.newest(MARIA, "waits for your decision")
    assert message.link is not None
    await maria.signs_in(message.link)
    await maria.reads()
    await maria.page.get_by_label("Code from the chat").fill(asked.match_code)
    await picture(maria, folder / "access")
    await maria.approves(asked.match_code)
    await maria.sees("Done")
    await picture(maria, folder / "access-done")
    await maria.page.get_by_role("button", name="End the access now").click()
    await maria.page.get_by_role("heading", name="The access has ended").wait_for()
    await picture(maria, folder / "access-ended")


async def picture(person: AtTheBrowser, path: Path) -> None:
    """The whole page as it stands: desktop light, phone light and phone dark."""
    for name, size, scheme in (
        ("desktop", DESKTOP, "light"),
        ("desktop-dark", DESKTOP, "dark"),
        ("phone", PHONE, "light"),
        ("phone-dark", PHONE, "dark"),
    ):
        await person.page.set_viewport_size({"width": size["width"], "height": size["height"]})
        await person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await person.page.evaluate(PAINTED)
        file = path.with_name(f"{path.name}-{name}.png")
        await person.page.screenshot(path=file, full_page=True, animations="disabled")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"))
