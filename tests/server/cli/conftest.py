"""An office for one test, and its server where the test asks for one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli.office import Office, Program, Served


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def own_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each office loads its own module ``desk``, not one that another test of this process has loaded."""
    monkeypatch.delitem(sys.modules, "desk", raising=False)


@pytest.fixture(scope="session")
def program() -> Iterator[Program]:
    with Program.started() as started:
        yield started


@pytest.fixture
def office(tmp_path: Path, program: Program) -> Office:
    return Office.at(tmp_path / "office", program)


@pytest.fixture
def served(office: Office) -> Iterator[Served]:
    with office.running("serve", "--no-notices") as running:
        yield running
