"""A file that is there as a whole or not at all.

It is written under another name in the same folder, for this user's eyes only, and gets its own name when all of it is
on the disk: nobody ever finds a part of it, and what stood there before is lost only where that was asked for.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from counterfoil.errors import StoreFailed
from counterfoil_server.cli.exit_codes import AlreadyThere


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise :class:`AlreadyThere` where there is something that may not be replaced: before work is done for it."""
    if path.is_dir():
        raise AlreadyThere(f"{path} is a folder.", "Name a file in it.")
    if os.path.lexists(path) and not force:
        raise _exists(path)


def write_whole(path: Path, content: bytes, *, force: bool) -> None:
    """Write the file; raises :class:`AlreadyThere` where it exists, unless ``force``, and :class:`StoreFailed` where
    it cannot be written; then nothing is left behind."""
    try:
        _write(path, content, force=force)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise StoreFailed(
            f"{path} could not be written: {error.strerror}; nothing was left behind.",
            "Check the folder, its free space, and that this user may write there.",
        ) from None


def _write(path: Path, content: bytes, *, force: bool) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(name, path)
        else:
            os.link(name, path)  # unlike a rename it replaces nothing
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _exists(path: Path) -> AlreadyThere:
    return AlreadyThere(f"{path} is there already; nothing was written.", "Name another file, or add --force.")
