"""The page about keeping and deleting: its commands do what it says, at a desk where something was said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterfoil import redaction
from counterfoil_server.conversation.turns import LIMITS
from docs.snippets import ROOT, blocks
from docs.steps import steps
from server.cli.lives import edit, talked
from server.cli.office import Office, Program

PAGE = "how-to/keep-and-delete.md"
DAY = 86400


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.delitem(sys.modules, "desk", raising=False)
    with Program.started() as program:
        yield Office.at(tmp_path / "office", program)


async def test_the_commands_show_and_delete_as_the_page_says(office: Office) -> None:
    ticket, conversation = await talked(office, ("user", "Hello"), ("assistant", "Good day"), ago=1000 * DAY)
    edit(office, "UPDATE notice SET state = 'sent'")
    names = {"TICKET": ticket, "CONVERSATION": conversation, "PRINCIPAL": "bot", "ACCOUNT": "A-1"}
    shown = [office.run(*arguments, width=200) for arguments in steps(PAGE, "See it", **names)]
    assert [ran.code for ran in shown] == [0] * len(shown), shown
    assert ["Hello" in ran.out for ran in shown] == [True, False, True, False, True]
    dry, some, rest = (office.run(*arguments) for arguments in steps(PAGE, "Delete what is old", **names))
    assert dry.said.startswith("Would delete 2 texts of conversations")
    assert some.said.startswith("Deleted 2 texts of conversations")
    assert "There is nothing to delete." in rest.said
    for arguments in steps(PAGE, "Delete what is about one account", **names):
        assert office.run(*arguments).code == 0
    [settings] = [block.body for block in blocks(ROOT / "docs" / PAGE) if block.language == "toml"]
    office.settings(*settings.splitlines())
    checks = office.run("doctor", "--json").json
    assert {check["status"] for check in checks if check["check"] in ("settings", "log", "executor")} == {"ok"}
    assert "text deleted by retention on" in office.run("log", "show", ticket, width=200).said


def test_the_page_names_the_limits_and_marks_that_there_are() -> None:
    text = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    assert redaction.CARD in text
    for number in (LIMITS.text, LIMITS.per_call, LIMITS.per_conversation, LIMITS.characters, LIMITS.per_hour):
        assert f"{number:,}" in text
    body = next(line for line in text.splitlines() if line.startswith('{"turns"'))
    assert json.loads(body)["turns"][0]["id"] == "m-17"
