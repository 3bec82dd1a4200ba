"""What holds for all tests, wherever they were started."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

MEMORY = "/dev/shm"
ENOUGH = 1 << 30
"""Bytes; the folders of tests that passed are deleted at once, so that a run uses a small part of it."""


def pytest_configure() -> None:
    """Temporary folders are in memory where there is one: stores wait for the disk after each step, and a test could
    not tell whether it was one. Whoever sets ``TMPDIR`` has them there; processes of xdist have it set."""
    if "TMPDIR" not in os.environ and os.path.isdir(MEMORY):
        memory = os.statvfs(MEMORY)
        if memory.f_bavail * memory.f_frsize >= ENOUGH and not memory.f_flag & (os.ST_NOEXEC | os.ST_RDONLY):
            os.environ["TMPDIR"] = tempfile.tempdir = MEMORY


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> Iterator[None]:
    """A shell starts what runs in its background with Ctrl-C ignored, and a process passes that on to all it starts;
    the programs that tests interrupt have to hear it."""
    former = signal.getsignal(signal.SIGINT)
    if former is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)
