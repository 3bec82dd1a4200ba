"""Where the commands are, and that none is loaded before it is wanted."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import typer
import typer.main

from counterfoil_server.cli.main import MODULES, Commands

UNUSED = (
    "rich",
    "jinja2",
    "aiosmtplib",
    "webauthn",
    "counterfoil_server.cli.demo",
    "counterfoil_server.cli.tickets",
    "counterfoil_server.log_audit",
    "counterfoil_server.retention",
    "counterfoil_server.store.forgetting",
    "counterfoil_server.conversation.turns",
    "counterfoil.turns",
    "counterfoil.redaction",
    "counterfoil_server.store.log_reader",
    "counterfoil.leaf_checks",
    "counterfoil_server.proving",
    "counterfoil.bundle",
    "counterfoil.audit",
    "counterfoil.feed",
    "counterfoil.feed_leaves",
    "counterfoil_server.feed_endpoint",
    "counterfoil_server.execution.http_connector",
)
"""What a server needs for mail, pages, terminals, evidence, executors outside and other commands only."""

SERVING = """
import sys
from counterfoil_server.cli.main import Commands
Commands()["serve"]
import counterfoil_server.app
print(*sys.modules)
"""


@pytest.mark.parametrize("module", sorted(set(MODULES.values())))
def test_every_command_of_a_module_is_known_by_its_name(module: str) -> None:
    registered = typer.Typer()
    import_module(f"counterfoil_server.cli.{module}").register(registered)
    assert list(typer.main.get_group(registered).commands) == [name for name in MODULES if MODULES[name] == module]


def test_there_is_no_command_of_another_name() -> None:
    assert Commands().get("srve") is None


def test_a_server_loads_nothing_that_it_does_not_use() -> None:
    done = subprocess.run([sys.executable, "-c", SERVING], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "counterfoil_server.cli.serve" in loaded
    assert not loaded.intersection(UNUSED)
