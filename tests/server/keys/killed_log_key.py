"""Replaces the log's key of an office again and again, and is killed before each file operation of it in turn.

``python killed_log_key.py FOLDER COPIES``: leaves in COPIES one copy of the office for each operation, as a process
left it that died right before that operation, and prints how many there are. The last one was not killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import anyio

import counterfoil_server.app  # noqa: F401 - once, before the processes part
from counterfoil_server import config
from counterfoil_server.cli import log_key

OPERATIONS = frozenset({"open", "os.rename"})
FILES = ("log", "checkpoint")
"""How the names of the files begin that a replacement touches."""


def replace(folder: Path, last: int) -> None:
    """Replace the key, and die before operation number ``last``."""
    configuration, done = config.load(folder / "counterfoil.toml"), 0

    def dies(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        written = event == "os.rename" or (event == "open" and str(arguments[1]) not in ("r", "rb"))
        if event in OPERATIONS and written and Path(str(arguments[0])).name.startswith(FILES):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(dies)
    anyio.run(log_key.replace, configuration, False)


def main(folder: Path, copies: Path) -> None:
    """One process for each operation."""
    number, status = 0, 1
    while status:
        number += 1
        copy = copies / str(number)
        shutil.copytree(folder, copy)
        if (child := os.fork()) == 0:
            replace(copy, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    print(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
