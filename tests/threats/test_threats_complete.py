"""Every threat is tested or has a written reason why not yet, and every check that can be removed is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from threats.later import LATER, PARTS
from threats.removal_table import REMOVALS, Removal

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IDS = {f"T{number:02}" for number in range(1, 55)}


def ids_tested() -> set[str]:
    """The ids that name a test in this folder."""
    sources = [path.read_text() for path in HERE.glob("test_threats_*.py")]
    return {name for source in sources for name in re.findall(r"^async def test_(T\d\d)_", source, re.MULTILINE)}


def test_every_threat_is_tested_or_listed_with_a_reason() -> None:
    assert ids_tested() | LATER.keys() == IDS
    assert not ids_tested() & LATER.keys()
    assert PARTS.keys() <= ids_tested()
    assert all(reason.endswith(".") for reason in (*LATER.values(), *PARTS.values()))


def test_every_tested_threat_has_a_check_that_can_be_removed() -> None:
    assert {removal.threat for removal in REMOVALS} == ids_tested()
    assert len({removal.name for removal in REMOVALS}) == len(REMOVALS)


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_what_is_removed_stands_in_the_source_once(removal: Removal) -> None:
    for edit in removal.edits:
        assert (ROOT / edit.file).read_text().count(edit.text) == 1, (edit.file, edit.text)
        assert edit.text != edit.instead
