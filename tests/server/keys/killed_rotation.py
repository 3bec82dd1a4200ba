"""Rotates the keys of a folder again and again, and is killed before each file operation in turn.

``python killed_rotation.py FOLDER COPIES``: leaves in COPIES one copy of the folder for each operation of a rotation,
as a process left it that died right before that operation, and prints how many there are. The last one was not killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from counterfoil.keys import SigningKey
from counterfoil_server import key_files

OPERATIONS = frozenset({"open", "os.rename", "os.remove"})


def rotate(folder: Path, last: int) -> None:
    """Rotate, and die before operation number ``last``."""
    keys = key_files.load_or_create(folder, roster_key=folder / "roster-key.pem", fresh=False)
    ring = (
        keys.ring.with_next(SigningKey.generate()) if keys.ring.cut_short else keys.ring.rotated(SigningKey.generate())
    )
    done = 0

    def dies(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event in OPERATIONS and str(arguments[0]).startswith(str(folder)):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(dies)
    key_files.keep_ring(folder, ring)


def main(folder: Path, copies: Path) -> None:
    """One process for each operation."""
    number, status = 0, 1
    while status:
        number += 1
        copy = copies / str(number)
        shutil.copytree(folder, copy)
        if (child := os.fork()) == 0:
            rotate(copy, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    print(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
