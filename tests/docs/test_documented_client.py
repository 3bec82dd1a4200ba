"""The documented agent, run as it stands against the served example desk."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.snippets import ROOT, files

CLI = [sys.executable, "-m", "counterfoil_server.cli"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return os.environ | {"SUPPORT_DESK_DATABASE": str(folder / "shop.db")} | more


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A copy of the example's folder that listens on a free port."""
    folder = tmp_path / "desk"
    shutil.copytree(ROOT / "examples" / "support_desk", folder, ignore=shutil.ignore_patterns("state", "__pycache__"))
    settings = folder / "counterfoil.toml"
    settings.write_text("port = 0\n" + settings.read_text())
    return folder


@pytest.fixture
def address(desk: Path) -> Iterator[str]:
    """Where it is served, from the answer that ``serve --json`` gives when it is ready."""
    command = [*CLI, "serve", "--no-notices", "--json"]
    with subprocess.Popen(
        command, cwd=desk, env=environment(desk), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            said = ""
            for line in server.stdout:
                said += line
                if line.startswith("}"):
                    break
            if not said:
                server.terminate()
                pytest.fail(server.communicate()[1])
            yield f"{json.loads(said)['serving']['listening']}/mcp"
        finally:
            server.terminate()


def test_the_documented_agent_gets_a_ticket_from_the_served_example(desk: Path, address: str) -> None:
    added = subprocess.run(
        [*CLI, "principals", "add", "agent", "--json"], cwd=desk, env=environment(desk), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    agent = desk / "agent.py"
    agent.write_text(files(ROOT / "docs" / "how-to" / "connect-a-client.md")["agent.py"])
    variables = environment(desk, COUNTERFOIL_URL=address, COUNTERFOIL_TOKEN=json.loads(added.stdout)["token"])
    ran = subprocess.run(
        [sys.executable, agent.name], cwd=desk, env=variables, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    tools, ticket, status = ran.stdout.splitlines()
    assert {"request_refund", "explain_requirements"} <= set(tools.removeprefix("Tools: ").split(", "))
    assert re.fullmatch(r"Ticket: cf_[a-z2-7]{32} match code: [0-9]{6}", ticket)
    assert status == "Status: pending"
