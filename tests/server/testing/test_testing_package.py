"""``counterfoil.testing`` with and without the extra that its parts come with."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import counterfoil
import counterfoil.testing
import counterfoil_server
import counterfoil_server.testing

ROOTS = [str(Path(str(package.__file__)).parents[1]) for package in (counterfoil, counterfoil_server)]


def run(code: str, *paths: str) -> str:
    """What the program says, with nothing installed but what these folders hold."""
    program = f"import sys; sys.path[:0] = {[*ROOTS, *paths]!r}\n{code}"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, timeout=120)
    return (done.stdout + done.stderr).strip()


def test_it_offers_what_the_harness_offers() -> None:
    assert counterfoil.testing.__all__ == counterfoil_server.testing.__all__
    for name in counterfoil.testing.__all__:
        assert getattr(counterfoil.testing, name) is getattr(counterfoil_server.testing, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = counterfoil.testing.nonsense


def test_importing_the_core_loads_no_server() -> None:
    code = "import counterfoil, counterfoil.testing; print([name for name in sys.modules if '_server' in name])"
    assert run(code, sysconfig.get_path("purelib")) == "[]"


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path) -> None:
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("mcp", "cbor2", "_cbor2")):
            (tmp_path / entry.name).symlink_to(entry)
    said = run("from counterfoil.testing import open_desk", str(tmp_path))
    assert said.splitlines()[-1] == (
        "ImportError: counterfoil.testing runs the server's parts, which need mcp. "
        'Install them: pip install "counterfoil[server]"'
    )
