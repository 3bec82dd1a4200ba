"""How the story is told: scenes in the terminal, what each expected, and the table at the end.

It reads at 80 columns and without colour. An expectation that does not hold is shown where it broke, and makes the
whole story fail.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

WHO = 11
"""Width of the column that says who speaks."""


@dataclass
class Scene:
    """One attempt and what came of it."""

    title: str
    console: Console
    refused: bool
    """Whether the end that is expected is a refusal."""
    why: str = ""
    in_the_shop: str = ""
    broken: list[str] = field(default_factory=list)

    def model(self, text: str) -> None:
        """What the AI says or calls."""
        self._line("The model", text, "bold")

    def server(self, text: str) -> None:
        """What the server answered, in its own words."""
        self._line("The server", text, "")

    def person(self, name: str, text: str) -> None:
        """What a person reads or does."""
        self._line(name, text, "")

    def shop(self, text: str) -> None:
        """What the shop's own database says; also a column of the table."""
        self.in_the_shop = text
        self._line("The shop", text, "")

    def expect(self, holds: bool, sentence: str) -> bool:
        """Note it if ``sentence`` is not so."""
        if not holds:
            self.broken.append(sentence)
            self._line("BROKEN", f"expected: {sentence}", "bold red")
        return holds

    def _line(self, who: str, text: str, style: str) -> None:
        width = max(self.console.width - WHO - 1, 20)
        lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for margin, line in zip([who, *[""] * len(lines)], lines, strict=False):
            self.console.print(Text.assemble((f"{margin:<{WHO}} ", "dim"), (line, style)), soft_wrap=True)

    @property
    def result(self) -> Text:
        """The verdict."""
        if self.broken:
            return Text("✗ FAILED", "bold red")
        return Text("✗ refused", "red") if self.refused else Text("✓ done", "green")


class Telling:
    """The whole story on one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.scenes: list[Scene] = []

    def chapter(self, title: str, text: str) -> None:
        """A heading, and a sentence or two."""
        self.console.print()
        self.console.rule(Text(title, "bold"), align="left", characters="─")
        self.console.print(Text(text, "dim"))

    @contextmanager
    def scene(self, title: str, *, refused: bool) -> Iterator[Scene]:
        """Tell one attempt; its last line is the verdict. Whatever goes wrong inside counts as broken."""
        scene = Scene(title, self.console, refused)
        self.scenes.append(scene)
        self.console.print()
        self.console.print(Text(f"{len(self.scenes)}. {title}", "bold"))
        try:
            yield scene
        except Exception as error:
            scene.expect(False, f"no surprise, but {type(error).__name__}: {error}")
        verdict = scene.result
        self.console.print(Text.assemble(verdict, Text(f": {scene.why}" if scene.why else "")))

    def summary(self) -> int:
        """The table and the verdict over all; answers the exit code."""
        self.chapter("Summary", "What was tried, what came of it, and what the shop's own database says.")
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", expand=False)
        for heading, width in (("Attempt", 28), ("Result", 9), ("Why", 24), ("In the shop", 16)):
            table.add_column(heading, width=width, overflow="fold")
        for number, scene in enumerate(self.scenes, start=1):
            table.add_row(f"{number}. {scene.title}", scene.result, scene.why, scene.in_the_shop)
        self.console.print(table)
        self.console.print()
        broken = [scene for scene in self.scenes if scene.broken]
        if broken:
            self.console.print(
                Text(f"✗ {len(broken)} of {len(self.scenes)} scenes did not go as expected:", "bold red")
            )
            for scene in broken:
                for sentence in scene.broken:
                    self.console.print(Text(f"  {scene.title}: {sentence}"))
            return 1
        refused = sum(scene.refused for scene in self.scenes)
        done = len(self.scenes) - refused
        self.console.print(Text(f"✓ {refused} attacks refused, {done} requests done exactly once.", "bold green"))
        return 0
