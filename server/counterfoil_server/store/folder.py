"""The state folder, which one process owns at a time (T48).

Ownership is an exclusive ``flock`` on the file ``lock``: the operating system gives it back when the process dies, so
a stale file blocks nobody. The file's first line is the owner's process id; further text is what the owner announces
(where it listens, for whoever wants to attach).
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from counterfoil.errors import SettingsError, StateFolderInUse


@dataclass(frozen=True)
class Occupant:
    """The process that owns a state folder, and what it announced (empty until then)."""

    process: int
    announcement: str


class StateFolder:
    """A state folder owned by this process until :meth:`close`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def open(cls, path: Path) -> StateFolder:
        """Create the folder (readable by this user only) where it is missing, and take it.

        Raises StateFolderInUse naming the process that owns it, or SettingsError where it cannot be used.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"The state folder {path} cannot be used: {error.strerror}.",
                "Choose a folder that this user may write in.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _read(descriptor)
            os.close(descriptor)
            process = f"Process {owner.process}" if owner else "Another process"
            raise StateFolderInUse(f"{process} uses the state folder {path}.") from None
        folder = cls(path, descriptor)
        folder.announce("")
        return folder

    @staticmethod
    def occupant(path: Path) -> Occupant | None:
        """What the lock file says of the owner, for a process that :meth:`open` has refused. It takes no lock itself,
        so that asking never keeps anyone out; after a crash it still names the dead process until the next start."""
        try:
            descriptor = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _read(descriptor)
        finally:
            os.close(descriptor)

    def announce(self, text: str) -> None:
        """Write where this process can be reached into the lock file."""
        if self._descriptor is None:
            raise ValueError("the state folder was given back")
        content = f"{os.getpid()}\n{text}".encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def close(self) -> None:
        """Give the folder back. A second call does nothing."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> StateFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(descriptor: int) -> Occupant | None:
    process, _, announcement = os.pread(descriptor, 4096, 0).decode(errors="replace").partition("\n")
    return Occupant(int(process), announcement) if process.isdecimal() else None
