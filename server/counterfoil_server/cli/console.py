"""Everything the command line writes goes through here: people's text, programs' JSON, errors and questions.

Rules: with ``--json``, stdout carries one JSON value and nothing else, or one a line where a command answers in
lines. Text of others (an AI's note, a name, a reason)
is made visible before it reaches the terminal, so that it can neither move the cursor nor pretend to be ours; markup is
off. Meaning never hangs on colour alone, nor on a character that the terminal cannot show. Times are local.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from counterfoil.display import visible
from counterfoil.errors import CounterfoilError, StoreFailed
from counterfoil_server.cli.exit_codes import OK, ConfirmationNeeded

THEME = Theme(
    {
        "good": "green",
        "note": "yellow",
        "bad": "bold red",
        "busy": "cyan",
        "untrusted": "magenta",
        "quiet": "dim",
        "heading": "bold",
        "command": "bold",
    }
)

LABEL_WIDTH = 13
"""Columns for the labels of a card; the values of one card start in one line below each other."""

NEW_LINE = Text("\n")

Part = str | tuple[str, str] | Text
"""Anybody's text, alone or with a style of the theme; or text that was made visible before."""


class _Terminal(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        """Like Rich, but a disk without space under our output is a refusal."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if not self.stderr:
                raise _not_written(error) from None

    def on_broken_pipe(self) -> NoReturn:
        """Whoever read our output has enough, as ``head`` does: that is no refusal."""
        _forget_stdout()
        sys.exit(OK)


def _forget_stdout() -> None:
    """Nobody takes what is still to be written; the interpreter flushes once more when it ends, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _not_written(error: OSError) -> StoreFailed:
    _forget_stdout()
    return StoreFailed(
        f"The output could not be written as a whole: {error.strerror}.", "Make room where it goes, and try again."
    )


class Output:
    """Where one command writes to. ``as_json``: a program reads stdout."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = _Terminal(theme=THEME, highlight=False, markup=False, emoji=False)
        self.messages = _Terminal(theme=THEME, highlight=False, markup=False, emoji=False, stderr=True)
        self._unicode = (self.console.encoding or "").lower().startswith("utf")

    # For programs

    def answer(self, value: Any, show: Callable[[], None]) -> None:
        """The command's result: ``value`` as JSON, or what ``show`` writes for people."""
        if self.as_json:
            self.write_json(value)
        else:
            show()

    def write_json(self, value: Any) -> None:
        """One JSON value on stdout. Unix seconds are UTC by definition."""
        self._write(json.dumps(value, ensure_ascii=False, indent=2))

    def write_json_lines(self, values: Iterable[Any]) -> None:
        """One JSON value a line, written at once."""
        lines = [json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values]
        if lines:
            self._write("\n".join(lines))

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(_printable(text) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.console.on_broken_pipe()
        except OSError as error:
            raise _not_written(error) from None

    # For people

    def say(self, *parts: Part) -> None:
        """A paragraph."""
        self._put(self.console, assembled(*parts))

    def gap(self) -> None:
        """An empty line."""
        self.console.print()

    def heading(self, text: str) -> None:
        """What the following lines are about, after an empty line."""
        self.console.print()
        self._put(self.console, Text(visible(text), "heading"))

    def paste(self, text: str, indent: int = 2) -> None:
        """Lines that are copied as they stand: never wrapped, so that a URL or a command stays whole."""
        for line in text.splitlines():
            self.console.print(Text(" " * indent + visible(line), "command"), soft_wrap=True)

    def hint(self, *parts: Part) -> None:
        """What to do next."""
        self._marked(self.console, self.mark("→", "->"), "quiet", *parts)

    def warn(self, *parts: Part) -> None:
        """Something to know before going on, on stderr so that it is seen even where stdout is read by a program."""
        self._marked(self.messages, "!", "note", *parts)

    def checked(self, sign: str, style: str, *parts: Part) -> None:
        """A line that begins with the sign of how a check went."""
        self._marked(self.console, sign, style, *parts)

    def mark(self, sign: str, plain: str) -> str:
        """``sign`` where the terminal can show it, else ``plain``."""
        return sign if self._unicode else plain

    def fields(self, rows: Iterable[tuple[str, Text | str | None]]) -> None:
        """A card's lines: label and value. None leaves a line out."""
        grid = Table.grid(padding=(0, 1), pad_edge=False)
        grid.add_column(min_width=LABEL_WIDTH, max_width=2 * LABEL_WIDTH, style="quiet", overflow="fold")
        grid.add_column(overflow="fold")
        for label, value in rows:
            if value is not None:
                grid.add_row(_cell(label), _cell(value))
        self._put(self.console, Padding(grid, (0, 0, 0, 2)))

    def line(self, *parts: Part) -> None:
        """One line, never wrapped by us, and written at once."""
        self.console.print(assembled(*parts), soft_wrap=True)

    def on_rail(self, sign: str, style: str, head: Text, below: Iterable[Text], *, last: bool) -> None:
        """A point of a timeline: its sign, the head beside it, and below it lines along the rail to the next point."""
        rail = " " if last else self.mark("│", "|")
        width = max(self.console.width - 6, 20)
        lines = [*head.wrap(self.console, width, overflow="fold")]
        for text in below:
            first, *rest = text.wrap(self.console, width - 2, overflow="fold")
            lines += [first, *(Text("  ").append_text(line) for line in rest)]
        for number, line in enumerate(lines):
            edge = Text(f"  {sign} ", style) if number == 0 else Text(f"  {rail} ", "quiet")
            line.rstrip()
            self._put(self.console, edge.append_text(line))
        if not last:
            self._put(self.console, Text(f"  {rail}", "quiet"))

    def items(self, title: str, lines: Iterable[Text | str]) -> None:
        """A list under its title."""
        self._put(self.console, Padding(Text(title), (0, 0, 0, 2)))
        for line in lines:
            grid = Table.grid(padding=(0, 1), pad_edge=False)
            grid.add_row("-", _cell(line))
            self._put(self.console, Padding(grid, (0, 0, 0, 4)))

    def table(
        self, headings: Sequence[str], rows: Iterable[Sequence[Text | str]], *, whole: Sequence[str] = ()
    ) -> None:
        """A listing. Columns named in ``whole`` are copied from, so the others give way before they are folded."""
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="heading")
        for heading in headings:
            table.add_column(heading, overflow="fold", no_wrap=heading in whole and self.console.width >= 80)
        for row in rows:
            table.add_row(*map(_cell, row))
        self._put(self.console, table)

    def error(self, error: CounterfoilError) -> None:
        """What happened and what to do: on stderr for people, on stdout as JSON for programs."""
        if self.as_json:
            self.write_json({"error": error.to_dict()})
            return
        self._marked(self.messages, self.mark("✗", "x"), "bad", error.happened)
        self._marked(self.messages, self.mark("→", "->"), "quiet", error.remedy)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only if somebody says yes; raises :class:`ConfirmationNeeded` otherwise."""
        if yes:
            return
        if self.as_json or not sys.stdin.isatty():
            raise ConfirmationNeeded(f"{question} That needs a confirmation, and nobody is there to be asked.")
        self.messages.print(Text(f"{question} Type yes to go on: "), end="")
        if sys.stdin.readline().strip().lower() not in ("yes", "y"):
            raise ConfirmationNeeded("Not confirmed; nothing was changed.", "Run the command again if you are sure.")

    def _marked(self, console: Console, sign: str, style: str, *parts: Part) -> None:
        """A paragraph behind a sign, its further lines indented to the first."""
        grid = Table.grid(padding=(0, 1), pad_edge=False)
        grid.add_column(width=len(sign), style=style)
        grid.add_column(overflow="fold")
        grid.add_row(sign, assembled(*parts))
        self._put(console, grid)

    @staticmethod
    def _put(console: Console, layout: RenderableType) -> None:
        """Print a layout without the spaces that fill its lines up: output is also copied, and kept in files."""
        for segments in console.render_lines(layout, pad=False):
            line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            line.rstrip()
            console.print(line, soft_wrap=True)


def assembled(*parts: Part) -> Text:
    """One text of several parts, with what may be anybody's made visible."""
    whole = Text()
    for part in parts:
        match part:
            case Text():
                whole.append_text(part)
            case (text, style):
                whole.append(visible(text), style)
            case text:
                whole.append(visible(text))
    return whole


def _cell(value: Text | str) -> Text:
    return value if isinstance(value, Text) else Text(visible(value))


def _printable(text: str) -> str:
    """The same JSON, with escapes for what a terminal might obey or hide; JSON asks only for those below U+0020."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def moment(seconds: int | None) -> str:
    """Unix seconds as local date and time to the minute; a dash for none."""
    if seconds is None:
        return "-"
    when = datetime.fromtimestamp(seconds).astimezone()
    year = "" if when.year == datetime.now().astimezone().year else f" {when.year}"
    return f"{when.day} {when:%b}{year} {when:%H:%M}"


def exact_moment(seconds: int) -> str:
    """Unix seconds as local date and time to the second, with the zone."""
    when = datetime.fromtimestamp(seconds).astimezone()
    return f"{when.day} {when:%B %Y, %H:%M:%S %Z}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 ticket``, ``2 tickets``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
