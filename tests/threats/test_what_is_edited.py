"""T40, T49, T50: one table of what is edited where and who notices, played over a whole desk and its log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from server.cli.office import Program
from threats.edit_table import COLUMNS, EDITS, Edit, page
from threats.edited_desk import Desk, looked, prepare

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "what-is-edited.md"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Program.started() as program:
        yield anyio.run(prepare, tmp_path_factory.mktemp("edited") / "desk", program)
    sys.modules.pop("desk", None)


async def test_nobody_notices_anything_where_nothing_was_edited(desk: Desk, tmp_path: Path) -> None:
    said = await looked(desk, lambda _: None, under_way=True, folder=tmp_path)
    assert said == dict.fromkeys(COLUMNS, "")


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.what)
async def test_T40_T49_T50_whoever_notices_an_edit_says_so_in_words(desk: Desk, tmp_path: Path, edit: Edit) -> None:
    said = await looked(desk, edit.make, under_way=edit.under_way, folder=tmp_path)
    for name, words in said.items():
        if words is None:
            assert not edit.is_asked
            assert name not in edit.said
        elif name in edit.said:
            assert edit.said[name] in words, (name, words)
        else:
            assert words == "", (name, words)


def test_every_edit_that_reaches_others_is_noticed_by_somebody_but_one_that_changes_nothing() -> None:
    assert [edit.what for edit in EDITS if not edit.said] == ["the checkpoint is an older one"]


def test_the_page_shows_this_table() -> None:
    shown = PAGE.read_text().partition("<!-- table -->\n")[2].partition("<!-- end -->")[0]
    assert shown.strip() == page().strip()
