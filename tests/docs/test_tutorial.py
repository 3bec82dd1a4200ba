"""The tutorial, followed to the letter in a fresh folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "your-own-desk.md"
PROGRAM = [sys.executable, "-m", "counterfoil_server.cli"]
BLOCK = re.compile(r"^```\w+ (append|file)=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=180, env=os.environ | {"COLUMNS": "100"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_whoever_follows_the_tutorial_ends_with_an_operation_of_their_own_that_is_tested(tmp_path: Path) -> None:
    run(tmp_path, *PROGRAM, "init", "myshop")
    folder = tmp_path / "myshop"
    before = run(folder, *PROGRAM, "policy", "check")
    for how, name, text in BLOCK.findall(TUTORIAL.read_text()):
        if how == "append":
            (folder / name).write_text(f"{(folder / name).read_text()}\n\n{text}")
        else:
            (folder / name).write_text(text)
    after = run(folder, *PROGRAM, "policy", "check")
    assert "Keep a parcel" not in before
    assert "Keep a parcel (keep_parcel)" in after
    assert "A month is nobody's to approve" in run(folder, *PROGRAM, "policy", "test")
    assert re.search(r"\b18 passed", run(folder, sys.executable, "-m", "pytest", "-p", "no:cacheprovider"))
