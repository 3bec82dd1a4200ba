"""Changes the keys of a folder again and again, and is killed before each file operation of the change in turn.

``python killed_changes.py CHANGE FOLDER COPIES``: leaves in COPIES one copy of the folder for each operation of a
``rotation`` (FOLDER: of the keys) or of a ``replacement`` of the log's key (FOLDER: of the office), as a process left
it that died right before that operation, and prints how many there are. The last one was not killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio

import counterfoil_server.app  # noqa: F401 - once, before the processes part
from counterfoil.keys import SigningKey
from counterfoil_server import config, key_files
from counterfoil_server.cli import log_key

ROTATION, REPLACEMENT = "rotation", "replacement"

Change = Callable[[], object]
Counts = Callable[[str, Path, object], bool]
"""Whether an operation counts, by its audit event, the path, and the mode of an ``open``."""


def rotation(folder: Path) -> tuple[Change, Counts]:
    """A rotation of the ring, which touches files of the folder; reading them counts as well."""
    keys = key_files.load_or_create(folder, roster_key=folder / "roster-key.pem", fresh=False)
    ring = (
        keys.ring.with_next(SigningKey.generate()) if keys.ring.cut_short else keys.ring.rotated(SigningKey.generate())
    )
    return partial(key_files.keep_ring, folder, ring), lambda event, path, mode: str(path).startswith(str(folder))


def replacement(folder: Path) -> tuple[Change, Counts]:
    """A replacement of the log's key, which renames and writes files of the log and its checkpoint."""
    configuration = config.load(folder / "counterfoil.toml")

    def counts(event: str, path: Path, mode: object) -> bool:
        written = event == "os.rename" or (event == "open" and str(mode) not in ("r", "rb"))
        return written and path.name.startswith(("log", "checkpoint"))

    return partial(anyio.run, log_key.replace, configuration, False), counts


CHANGES = {ROTATION: rotation, REPLACEMENT: replacement}


def killed(change: str, folder: Path, copies: Path) -> list[Path]:
    """The copies, by the operation before which the process died; made in a process of their own."""
    command = [sys.executable, __file__, change, str(folder), str(copies)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return [copies / str(number) for number in range(1, int(ran.stdout) + 1)]


def change_and_die(change: str, folder: Path, last: int) -> None:
    """Change the folder's keys, and die before operation number ``last``."""
    work, counts = CHANGES[change](folder)
    done = 0

    def dies(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event in ("open", "os.rename", "os.remove") and counts(event, Path(str(arguments[0])), arguments[1]):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(dies)
    work()


def main(change: str, folder: Path, copies: Path) -> None:
    """One process for each operation."""
    number, status = 0, 1
    while status:
        number += 1
        copy = copies / str(number)
        shutil.copytree(folder, copy)
        if (child := os.fork()) == 0:
            change_and_die(change, copy, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    print(number)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
