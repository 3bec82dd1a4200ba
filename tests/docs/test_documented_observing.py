"""How to watch a desk, as the page says it: its settings, its commands, and every name that it tells."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from counterfoil_server.telemetry.traced_calls import PAGES
from docs.served import CLI, PATIENCE, free_port, run
from docs.snippets import ROOT, blocks, write
from server.telemetry.collector import collecting

PAGE = ROOT / "docs" / "how-to" / "observe.md"
TOKEN = "a-token-of-the-documents-reader"
MAIL = '[smtp]\nhost = "mail.example.com"\nsender = "notices@example.com"\n'


def commands(beginning: str) -> list[str]:
    """The page's command lines that begin so."""
    lines = [line for block in blocks(PAGE) if block.language == "sh" for line in block.body.splitlines()]
    return [line for line in lines if line.startswith(beginning)]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def folder(tmp_path: Path, port: int) -> Path:
    """The README's desk with the page's settings."""
    write(ROOT / "README.md", tmp_path)
    write(PAGE, tmp_path)
    settings = (tmp_path / "counterfoil.toml").read_text().replace("9464", str(port))
    first = f'public_url = "http://localhost:{free_port()}"\n'
    (tmp_path / "counterfoil.toml").write_text(f"{first}{settings}{MAIL}")
    return tmp_path


@contextmanager
def started(line: str, folder: Path, **environment: str) -> Iterator[str]:
    """What a command line starts, until left; the address where it listens."""
    *variables, program, command = shlex.split(line)
    assert (program, command) == ("counterfoil", "serve")
    said = dict(variable.split("=", 1) for variable in variables)
    assert said.keys() <= environment.keys()
    with subprocess.Popen(
        [*CLI, command], cwd=folder, env=os.environ | environment, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            told = ""
            while "listening" not in told:
                told = server.stderr.readline()
                assert told, "it ended before it listened"
            [address] = re.findall(r"listening (http://\S+?),", told)
            yield address
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE)


def fetched(line: str, port: int) -> httpx2.Response:
    """What a ``curl`` command line of the page fetches."""
    line = line.replace("9464", str(port)).replace("$METRICS_TOKEN", TOKEN)
    program, *options, url = shlex.split(line)
    assert program == "curl"
    assert options[:1] in ([], ["--header"])
    headers = dict(option.split(": ") for option in options[1:])
    return httpx2.get(url, headers=headers, trust_env=False, timeout=60)


def test_the_metrics_of_the_page_are_those_that_are_served(folder: Path, port: int) -> None:
    with (
        collecting() as collector,
        started(commands("counterfoil serve")[0], folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url),
    ):
        answer = fetched(commands("curl")[0], port)
    assert answer.status_code == 200
    named = set(re.findall(r"^\| `(counterfoil_\w+)`", PAGE.read_text(), re.MULTILINE))
    served = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(answer.text)
        if family.name.startswith("counterfoil_")
    }
    assert named == served
    alerts = next(block.body for block in blocks(PAGE) if block.language == "promql")
    assert set(re.findall(r"counterfoil_\w+", alerts)) <= served


def test_with_a_token_only_the_command_with_the_token_reads_them(folder: Path, port: int) -> None:
    settings = (folder / "counterfoil.toml").read_text()
    with_token = settings.replace("[telemetry]\n", '[telemetry]\nmetrics_token_env = "METRICS_TOKEN"\n')
    (folder / "counterfoil.toml").write_text(with_token)
    plain, authorized = commands("curl")
    with started("counterfoil serve", folder, METRICS_TOKEN=TOKEN):
        assert fetched(plain, port).status_code == 401
        assert fetched(authorized, port).status_code == 200


def test_traces_go_where_the_documented_variable_says(folder: Path) -> None:
    [line] = commands("OTEL_EXPORTER_OTLP_ENDPOINT")
    with collecting() as collector:
        with started(line, folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as address:
            token = run(folder, "principals", "add", "bot")["token"]
            asked = {"account": "ada@example.com", "amount": {"value": "1.00", "currency": "EUR"}}
            call = {"name": "request_credit", "arguments": asked}
            answer = httpx2.post(
                f"{address}/mcp",
                json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
                headers={"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"},
                timeout=PATIENCE, trust_env=False,
            )  # fmt: skip
            assert answer.status_code == 200
        assert {"tools/call request_credit", "authority.request", "ticket"} <= {s.name for s in collector.spans}


def test_the_page_names_every_span() -> None:
    source = (ROOT / "server/counterfoil_server/telemetry/traced_parts.py").read_text()
    spans = set(re.findall(r'"((?:authority|executor|connector)\.\w+)"', source)) | set(PAGES.values())
    assert len(spans) > 10
    text = PAGE.read_text()
    missing = [name for name in spans if name not in text and f"`.{name.partition('.')[2]}`" not in text]
    assert not missing
