"""The documented tests of a desk, run by pytest as they stand, over the README's desk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.snippets import ROOT, files, write

DOCUMENT = ROOT / "docs" / "how-to" / "test-a-desk.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(ROOT / "README.md", tmp_path)
    write(DOCUMENT, tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_documented_tests_pass_and_leave_nothing_behind(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    ran = run(folder, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = files(DOCUMENT)["test_desk.py"]
    assert f"{shown.count('async def test_')} passed" in ran.stdout
    assert {path.name for path in folder.iterdir()} - before <= {"__pycache__"}


def test_the_documented_tests_notice_a_policy_that_lost_its_limit(folder: Path) -> None:
    policy = folder / "policy.cedar"
    limit = ' &&\n  context.counters.total_24h.lessThanOrEqual(decimal("50.00"))'
    assert policy.read_text().count(limit) == 1
    policy.write_text(policy.read_text().replace(limit, ""))
    ran = run(folder, "pytest", "-q", "-p", "no:cacheprovider")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "FAILED test_desk.py::test_no_more_than_50_eur_a_day" in ran.stdout
    assert "1 failed" in ran.stdout


def test_the_documented_tests_pass_the_strict_type_checker(folder: Path) -> None:
    cache = str(ROOT / ".mypy_cache" / "strict")
    checked = run(
        folder, "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", cache, "test_desk.py", "conftest.py"
    )
    assert checked.returncode == 0, checked.stdout
