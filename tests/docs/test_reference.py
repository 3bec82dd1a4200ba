"""The reference pages say what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCS / "generate_reference.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_generating_the_reference_again_changes_nothing() -> None:
    checked = generate("--check")
    assert checked.returncode == 0, checked.stderr


def test_every_block_of_the_generator_stands_on_a_page() -> None:
    generator = (DOCS / "generate_reference.py").read_text()
    named = set(re.findall(r'^    "([a-z-]+)": [a-z_]+,$', generator, re.MULTILINE))
    assert {"settings", "commands", "errors", "states", "tools", "schema"} <= named
    pages = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    shown = set(re.findall(r"<!-- generated: ([a-z-]+) -->", pages))
    assert named <= shown
    assert len(re.findall(r"<!-- end -->", pages)) == len(re.findall(r"<!-- generated: ", pages))


def test_no_block_is_empty() -> None:
    for page in (DOCS / "reference").glob("*.md"):
        assert not re.search(r"<!-- generated: [a-z-]+ -->\s*<!-- end -->", page.read_text()), page.name
