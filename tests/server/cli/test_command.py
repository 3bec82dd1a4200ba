"""The console script ``counterfoil``, with and without the extra."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import counterfoil
import counterfoil_server
from counterfoil_server.command import NEEDED

ROOTS = ":".join(str(Path(str(package.__file__)).parents[1]) for package in (counterfoil, counterfoil_server))

RUN = "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from counterfoil_server.command import main; main()"


def test_without_the_extra_it_prints_the_one_install_line(tmp_path: Path) -> None:
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.split(".")[0] not in (*NEEDED, "python_multipart"):
            (tmp_path / entry.name).symlink_to(entry)
    roots = f"{ROOTS}:{tmp_path}"
    done = subprocess.run([sys.executable, "-S", "-c", RUN, roots], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).strip() == 'pip install "counterfoil[server]"'


def test_with_the_extra_it_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-c", RUN, ROOTS, "--version"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stdout.startswith("counterfoil ")
