from __future__ import annotations

from pathlib import Path

import pytest

from examples.northlight import Northlight


@pytest.fixture
def northlight(tmp_path: Path) -> Northlight:
    """A shop of the test's own."""
    return Northlight.at(tmp_path / "northlight.db")
