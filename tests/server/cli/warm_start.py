"""Runs the program over and over without importing it each time: the process forks for each command line.

Each command is a process of its own with its own folder, environment, standard streams and exit code. Jobs are JSON
lines on stdin; each is answered with the exit code on stdout.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from typing import Any, NoReturn

import anyio

LIMIT = 120
"""Seconds after which a command is killed."""


def main() -> None:
    """Answer jobs until stdin ends."""
    import counterfoil_server.app
    import counterfoil_server.log_audit
    import counterfoil_server.log_opening
    import counterfoil_server.log_turns  # noqa: F401
    from counterfoil_server.cli.main import Commands

    list(Commands().values())  # imports each
    anyio.run(anyio.sleep, 0)  # imports the backend
    gc.freeze()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _run(json.loads(line))
        _, status = os.waitpid(process, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


def _run(job: dict[str, Any]) -> NoReturn:
    from counterfoil_server.cli.main import execute

    signal.alarm(LIMIT)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    time.tzset()
    for number, (name, flags) in enumerate(
        zip(job["streams"], (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT), strict=True)
    ):
        os.dup2(os.open(name, flags, 0o600), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    code = 1
    try:
        code = execute(job["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
