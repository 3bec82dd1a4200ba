"""The code blocks of a document.

A block whose info string says ``file=NAME`` belongs to a complete example: all such blocks of one document are files of
one folder. ``cedar loads`` is a policy that fits the example desk; ``cedar refused`` is one that does not, and the
``text`` block after it is the refusal. ``toml cases`` are cases that its own policy passes; ``console example`` is a
command in its folder and what it answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(?P<info>[a-z]+[^\n]*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One code block: its language, the words after it, and its lines."""

    language: str
    words: tuple[str, ...]
    body: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if it is one."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)


def blocks(document: Path) -> list[Block]:
    """All of them, in order."""
    found = BLOCK.finditer(document.read_text(encoding="utf-8"))
    return [Block(match["info"].split()[0], tuple(match["info"].split()[1:]), match["body"]) for match in found]


def files(document: Path) -> dict[str, str]:
    """The files of its complete example."""
    return {block.file: block.body for block in blocks(document) if block.file}


def write(document: Path, folder: Path) -> None:
    """Put the example into ``folder``."""
    for name, body in files(document).items():
        (folder / name).write_text(body, encoding="utf-8")


def documents_with(name: str) -> list[Path]:
    """The documents whose example has a file of that name."""
    return [document for document in DOCUMENTS if name in files(document)]
