"""Takes the checks of ``removal_table.py`` away, one row at a time, and runs the tests that have to notice.

``python -m threats.removals [WORDS]`` (``make removals``) works on a copy of the tree; with words, only on the rows
whose names hold one of them. Prints a line for each row and ends with status 1 where a row survives, cannot be
applied, or breaks the tests' own preparation instead of a test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from threats.removal_table import REMOVALS, Removal

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("capabilities", "server", "tests", "examples", "pyproject.toml")
LONGEST = 600
"""Seconds for the tests of one row."""

NO_TESTS = 5
"""pytest's exit code where nothing was selected."""


@dataclass(frozen=True)
class Found:
    """What became of a row. ``noticed``: a test failed; ``said``: how, or why none did."""

    noticed: bool
    said: str


def without(removal: Removal, tree: Path) -> Found:
    """Apply the row to the copy, run its tests, and put everything back."""
    kept: dict[Path, tuple[str, os.stat_result]] = {}
    for edit in removal.edits:
        path = tree / edit.file
        text = path.read_text()
        if text.count(edit.text) != 1:
            return Found(False, f"no longer stands once in {edit.file}: {edit.text.strip()[:60]}")
        kept.setdefault(path, (text, path.stat()))
        path.write_text(text.replace(edit.text, edit.instead))
    try:
        return tests_of(removal.selected, tree)
    finally:
        for path, (text, before) in kept.items():
            path.write_text(text)
            # Its compiled form is still there, and good for this time only.
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def tests_of(selected: str, tree: Path) -> Found:
    """Run them in the copy."""
    command = [
        sys.executable, "-m", "pytest", "tests/threats", "-k", selected, "--tb=line", "-q", "-x",
        "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore", "--show-capture=no",
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(tree / part) for part in ("capabilities", "server")),
    }
    try:
        ran = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return Found(False, f"the tests did not end in {LONGEST} seconds")
    if ran.returncode == 0:
        return Found(False, "survived: no test noticed")
    if ran.returncode == NO_TESTS:
        return Found(False, f"no test is named {selected}")
    outcome = re.search(r"^FAILED (\S+)", ran.stdout, re.MULTILINE)
    if ran.returncode != 1 or outcome is None:
        return Found(False, f"broke the tests themselves: {ran.stdout.strip().splitlines()[-1:] or ran.stderr[-200:]}")
    where = re.search(r"^(?:E  |\S+:\d+:) .*$", ran.stdout, re.MULTILINE)
    return Found(True, f"{outcome[1].partition('::')[2]}: {where[0].rpartition('/')[2] if where else ''}")


def main(words: list[str]) -> int:
    """Every row, or those whose names hold one of the words."""
    rows = [row for row in REMOVALS if not words or any(word in row.name for word in words)]
    missed = []
    with TemporaryDirectory(prefix="removals-") as folder:
        tree = Path(folder)
        for part in COPIED:
            source = ROOT / part
            ignored = shutil.ignore_patterns("__pycache__", "state", "*.pem", ".*cache")
            shutil.copytree(source, tree / part, ignore=ignored) if source.is_dir() else shutil.copy(source, tree)
        selected = " or ".join(dict.fromkeys(row.selected for row in rows))
        if (whole := tests_of(selected, tree)).noticed:
            print(f"The tests fail while every check is there: {whole.said}")
            return 1
        for row in rows:
            found = without(row, tree)
            if not found.noticed:
                missed.append(row.name)
            print(f"{'✓' if found.noticed else '✗'} {row.name:<62} {found.said[:140]}", flush=True)
    print(f"{len(rows) - len(missed)} of {len(rows)} removals were noticed.", *missed, sep="\n✗ ")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
