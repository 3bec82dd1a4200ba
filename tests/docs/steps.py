"""The commands of a how-to page, as they stand there, for tests that do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def steps(page: str, heading: str, **names: str) -> list[list[str]]:
    """The arguments of each ``counterfoil`` command below a heading; ``names`` stand for what the page leaves open."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    [body] = [part for part in section if part.startswith(f"{heading}\n")]
    lines = [line.strip() for block in re.findall(r"```sh\n(.*?)```", body, re.DOTALL) for line in block.splitlines()]
    commands = [line.removeprefix("counterfoil ") for line in lines if line.startswith("counterfoil ")]
    assert commands, f"{page} has no command below {heading}"
    return [shlex.split(re.sub(r"\b[A-Z]+\b", lambda found: names.get(found[0], found[0]), line)) for line in commands]
