"""What the README says to run, run: both processes from one terminal, and a person invited from another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from examples.payments.bureau import EXAMPLES


def test_both_processes_start_from_one_terminal_and_stop_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "payments_service"
    shutil.copytree(
        EXAMPLES / "payments_service", folder, ignore=shutil.ignore_patterns("state", "__pycache__", "*.pem")
    )
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        desk, payments = one.getsockname()[1], other.getsockname()[1]
    for name in ("payments.toml", "desk/counterfoil.toml"):
        path = folder / name
        path.write_text(path.read_text().replace("8700", str(desk)).replace("8710", str(payments)))
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENTS_")}
    process = subprocess.Popen(
        [sys.executable, str(folder / "together.py")], env=quiet | {"PAYMENTS_URL": f"http://127.0.0.1:{payments}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "The payments service listens on" in line:
                break
        assert f"http://127.0.0.1:{payments}" in said, said
        with urllib.request.urlopen(f"http://127.0.0.1:{payments}/healthz", timeout=30) as answer:
            assert json.load(answer)["runs"] is True
        command = [sys.executable, "-m", "counterfoil_server.cli", "people", "invite", "Ada Byron"]
        invited = subprocess.run(
            [*command, "--email", "ada@example.com", "--account", "A-1"], cwd=folder / "desk", env=quiet, text=True,
            capture_output=True,
        )  # fmt: skip
        assert f"http://localhost:{desk}/enrol/" in invited.stdout, invited.stderr
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert "Traceback" not in said + rest
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
