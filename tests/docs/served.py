"""The command line, as a reader of the documents uses it: a folder of settings, and a process that serves it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CLI = (sys.executable, "-m", "counterfoil_server.cli")
PATIENCE = 60
"""Seconds that one command may take on a busy machine."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a command, with the example's database in its own folder."""
    return os.environ | {"SUPPORT_DESK_DATABASE": str(folder / "shop.db")} | more


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run(folder: Path, *arguments: str) -> Any:
    """What a command answers with ``--json``."""
    done = subprocess.run(
        [*CLI, *arguments, "--json"], cwd=folder, env=environment(folder), capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """A serving command until left; its answer when it is ready."""
    with subprocess.Popen(
        [*CLI, *arguments, "--json"], cwd=folder, env=environment(folder), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            said = ""
            for line in server.stdout:
                said += line
                if line.startswith("}"):
                    break
            if not said:
                server.terminate()
                raise AssertionError(server.communicate()[1])
            yield json.loads(said)
        finally:
            server.terminate()
