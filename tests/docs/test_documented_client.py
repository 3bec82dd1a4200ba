"""The documented agent, run as it stands against the served example desk."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs.served import CLI, PATIENCE, environment, run, served
from docs.snippets import ROOT, blocks, files


def test_the_documented_agent_gets_a_ticket_from_the_served_example(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    shutil.copytree(ROOT / "examples" / "support_desk", desk, ignore=shutil.ignore_patterns("state", "__pycache__"))
    settings = desk / "counterfoil.toml"
    settings.write_text("port = 0\n" + settings.read_text())
    agent = desk / "agent.py"
    agent.write_text(files(ROOT / "docs" / "how-to" / "connect-a-client.md")["agent.py"])
    with served(desk, "serve", "--no-notices") as answer:
        token = run(desk, "principals", "add", "agent")["token"]
        address = f"{answer['serving']['listening']}/mcp"
        ran = subprocess.run(
            [sys.executable, agent.name], cwd=desk, capture_output=True, text=True, timeout=PATIENCE,
            env=environment(desk, COUNTERFOIL_URL=address, COUNTERFOIL_TOKEN=token),
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        tools, ticket, status = ran.stdout.splitlines()
        assert run(desk, "tickets", "show", ticket.split()[1])["account"] == "C-1001"
    assert {"request_refund", "explain_requirements"} <= set(tools.removeprefix("Tools: ").split(", "))
    assert re.fullmatch(r"Ticket: cf_[a-z2-7]{32} match code: [0-9]{6}", ticket)
    assert status == "Status: pending"


def test_the_documented_stdio_command_serves_the_example(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    shutil.copytree(ROOT / "examples" / "support_desk", desk, ignore=shutil.ignore_patterns("state", "__pycache__"))
    settings = desk / "counterfoil.toml"
    settings.write_text("port = 0\n" + settings.read_text())
    document = ROOT / "docs" / "how-to" / "connect-a-client.md"
    shown = [json.loads(block.body) for block in blocks(document) if block.language == "json"]
    servers = [each.get("servers", each.get("mcpServers"))["counterfoil"] for each in shown]
    documented = {(each["command"], *each["args"]) for each in servers if "args" in each}
    assert len(documented) == 1
    [(command, *arguments)] = documented
    assert f"claude mcp add counterfoil -- {' '.join((command, *arguments))}" in document.read_text()
    assert arguments[:2] == ["--config", "/opt/desk/counterfoil.toml"]
    arguments[1] = str(settings)
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    typed = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening}) + "\n"
    with served(desk, "serve", "--no-notices"):
        ran = subprocess.run(
            [*CLI, *arguments], cwd=tmp_path, input=typed, capture_output=True, text=True, timeout=PATIENCE,
            env=environment(desk),
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["result"]["serverInfo"]["name"] == "counterfoil"
