"""``log show --html``: one page that needs nothing else, written as a whole or not at all."""

from __future__ import annotations

import re
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Page

from counterfoil_server.cli.exit_codes import AlreadyThere
from counterfoil_server.cli.whole_file import write_whole
from server.cli.lives import edit, paid
from server.cli.office import PROGRAM, Office
from server.full_disk import full_disk
from server.verification.browser import chromium

WIDTHS = (320, 390, 1280)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Heard:
    """What a window complained of, and the addresses it asked for."""

    complaints: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    @classmethod
    def on(cls, window: Page) -> Heard:
        heard = cls()
        window.on("console", lambda message: heard.complaints.append(message.text))
        window.on("request", lambda request: heard.fetched.append(request.url))
        return heard


async def page_of(office: Office) -> tuple[str, Path]:
    ticket, _ = await paid(office)
    written = office.json("log", "show", ticket, "--html", "life.html")
    assert written == {"ticket": ticket, "file": "life.html", "wrong": []}
    return ticket, office.folder / "life.html"


async def test_the_page_stands_alone_and_escapes_what_others_wrote(office: Office) -> None:
    ticket, page = await page_of(office)
    text = page.read_text()
    assert ticket in text
    assert not re.search(r"<script|<link|<img|<iframe|\b(src|href)=\"(?!#)|url\(|@import|javascript:|\bon[a-z]+=", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert '<span class="hidden-character">\\u{202E}</span>' in text
    assert re.search(r"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;sha256-", text)
    assert "Every proof holds" in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert [path.name for path in office.folder.iterdir() if "life" in path.name] == ["life.html"]


async def test_a_browser_shows_it_on_every_screen_and_to_keyboards(office: Office) -> None:
    _, page = await page_of(office)
    async with chromium() as browser:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                window = await browser.new_page(viewport={"width": width, "height": 800})
                await window.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                heard = Heard.on(window)
                await window.goto(page.as_uri())
                assert await window.evaluate("document.documentElement.scrollWidth") <= width
                ground = await window.evaluate("getComputedStyle(document.body).backgroundColor")
                assert ground == ("rgb(18, 22, 26)" if scheme == "dark" else "rgb(243, 241, 236)")
                assert heard == Heard([], [page.as_uri()])
                await window.close()
        window = await browser.new_page()
        await window.goto(page.as_uri())
        await window.keyboard.press("Tab")
        assert await window.evaluate("document.activeElement.className") == "skip"
        await window.keyboard.press("Enter")
        await window.keyboard.press("Tab")
        assert await window.evaluate("document.activeElement.tagName") == "SUMMARY"
        words = window.get_by_text("It stands where it was recorded.").first
        assert not await words.is_visible()
        await window.keyboard.press("Enter")
        assert await words.is_visible()
        told = await window.locator("body").aria_snapshot()
        assert 'heading "What happened" [level=2]' in told
        assert 'heading "bot asked for pay" [level=3]' in told


async def test_a_page_names_what_was_changed(office: Office) -> None:
    ticket, _ = await paid(office)
    edit(office, "UPDATE leaf SET opening = CAST(replace(opening, 'approve', 'gladly') AS BLOB)")
    ran = office.run("log", "show", ticket, "--html", "life.html")
    assert ran.code == 1
    text = (office.folder / "life.html").read_text()
    assert "Something was changed" in text
    assert "Leaf 3: Its opening is not what was recorded, and is not shown." in text
    assert "Somebody signed a decision (not proved)" in text
    assert "gladly" not in text
    edit(office, "UPDATE leaf SET opening = NULL")
    office.json("log", "show", ticket, "--html", "gone.html")
    assert "Every proof that is left holds" in (office.folder / "gone.html").read_text()


async def test_a_file_is_replaced_only_where_that_was_asked_for(office: Office) -> None:
    ticket, _ = await paid(office)
    office.write("life.html", "mine")
    (office.folder / "elsewhere").symlink_to("nowhere")
    for name in ("life.html", "elsewhere"):
        ran = office.run("log", "show", ticket, "--html", name, "--json")
        assert (ran.code, ran.error["code"]) == (1, "already_there")
        assert "--force" in ran.error["remedy"]
    assert (office.folder / "life.html").read_text() == "mine"
    early = office.run("log", "show", "cf_none", "--html", "life.html", "--json")
    assert early.error["code"] == "already_there", "before anybody is asked about the ticket"
    assert "is a folder" in office.run("log", "show", ticket, "--html", ".", "--force").said
    assert office.run("log", "show", ticket, "--html", "life.html", "--force").code == 0
    assert (office.folder / "life.html").read_text().startswith("<!doctype html>")


async def test_a_page_that_cannot_be_written_leaves_nothing_behind(office: Office) -> None:
    ticket, _ = await paid(office)
    nowhere = office.run("log", "show", ticket, "--html", "nowhere/life.html", "--json")
    assert (nowhere.code, nowhere.error["code"]) == (1, "store_failed")
    office.write("kept.html", "mine")
    before = sorted(office.folder.iterdir())
    with office.running("serve", "--no-notices"):
        for name, force in (("life.html", []), ("kept.html", ["--force"])):
            with full_disk():
                done = subprocess.run(
                    [*PROGRAM, "log", "show", ticket, "--html", name, *force], cwd=office.folder,
                    capture_output=True, text=True, timeout=120,
                )  # fmt: skip
            assert done.returncode == 1
            assert f"{name} could not be written: File too large; nothing was left behind." in done.stderr
            assert "Traceback" not in done.stderr
    assert sorted(office.folder.iterdir()) == before
    assert (office.folder / "kept.html").read_text() == "mine"


def test_a_file_that_came_in_between_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "life.html"
    write_whole(path, b"first", force=False)
    with pytest.raises(AlreadyThere):
        write_whole(path, b"second", force=False)
    assert path.read_bytes() == b"first"
    write_whole(path, b"second", force=True)
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]
