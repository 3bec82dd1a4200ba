"""Who may read the metrics, and the program with them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from counterfoil.errors import SettingsError
from counterfoil.testing import open_desk
from counterfoil_server.telemetry.metrics import Metrics
from counterfoil_server.telemetry.metrics_page import metrics_application
from docs.served import free_port
from server.cli.office import Office, Program
from server.telemetry.collector import dead
from server.telemetry.conftest import Opened
from server.testing.gym import POLICY, Gym, gym_desk

TOKEN = "a-long-and-random-token"


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program.started() as program:
        yield program


@pytest.fixture
def office(tmp_path: Path, program: Program) -> Office:
    return Office.at(tmp_path / "office", program)


def get(port: int, path: str = "/metrics", **headers: str) -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False, timeout=60)


def test_metrics_are_served_on_a_port_of_their_own(office: Office) -> None:
    port = free_port()
    office.settings("[telemetry]", f"metrics_port = {port}")
    with office.running("serve", "--no-notices") as served:
        answer = get(port)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        names = {family.name for family in text_string_to_metric_families(answer.text)}
        assert {"counterfoil_tickets", "counterfoil_log_leaves", "process_resident_memory_bytes"} <= names
        assert get(port, "/").status_code == 404
        assert httpx2.post(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=60).status_code == 405
        public = served.ready["serving"]["listening"]
        assert httpx2.get(f"{public}/metrics", trust_env=False, timeout=60).status_code == 404
        assert "counterfoil_tickets" not in httpx2.get(f"{public}/metrics", trust_env=False, timeout=60).text
        ended = served.stop()
    assert (ended.code, "Traceback" in ended.err) == (0, False)


def test_a_page_of_another_name_cannot_read_them_through_a_browser(office: Office) -> None:
    port = free_port()
    office.settings("[telemetry]", f"metrics_port = {port}")
    with office.running("serve", "--no-notices"):
        assert get(port, host="rebound.example").status_code == 400
        assert get(port, host=f"localhost:{port}").status_code == 200


def test_where_a_token_is_set_nobody_reads_without_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    office.settings("[telemetry]", f"metrics_port = {port}", 'metrics_host = "0.0.0.0"', 'metrics_token_env = "READ"')
    monkeypatch.setenv("READ", TOKEN)
    with office.running("serve", "--no-notices"):
        refused = [get(port), get(port, authorization="Bearer wrong"), get(port, authorization=f"Basic {TOKEN}")]
        assert [answer.status_code for answer in refused] == [401] * 3
        assert not any("counterfoil_tickets" in answer.text for answer in refused)
        assert get(port, authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (['metrics_host = "0.0.0.0"'], "anybody who reaches 0.0.0.0 could read the metrics"),
        (['metrics_host = "metrics.example"'], "anybody who reaches metrics.example"),
        (['metrics_token_env = "COUNTERFOIL_UNSET"'], "COUNTERFOIL_UNSET holds no token of 16 characters"),
        (['metrics_token_env = "SHORT"'], "SHORT holds no token of 16 characters"),
        (["metrics_port = 0"], "greater than or equal to 1"),
        (["trace_ratio = 1.5"], "less than or equal to 1"),
        (['trace_ratio = "all"'], "valid number"),
        (['traces = "jaeger"'], "'none' or 'otlp'"),
    ],
)
def test_settings_that_would_show_them_to_everybody_are_refused(office: Office, lines: list[str], says: str) -> None:
    port = [] if any("port" in line for line in lines) else [f"metrics_port = {free_port()}"]
    office.settings("[telemetry]", *port, *lines)
    ran = office.run("serve", "--no-notices", "--json", SHORT="short")
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert says in ran.error["happened"]


def test_a_port_that_is_taken_is_refused(office: Office) -> None:
    office.settings("[telemetry]", f"metrics_port = {office.port}")
    ran = office.run("serve", "--no-notices", "--json")
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert "metrics_port" in ran.error["remedy"]


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("opentelemetry.sdk", "prometheus_client"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from counterfoil_server.cli import run
run()
"""


@pytest.mark.parametrize("line", ['traces = "otlp"', "metrics_port = 9464"])
def test_without_the_extra_the_install_line_is_told(office: Office, line: str) -> None:
    office.settings("[telemetry]", line)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "serve", "--no-notices", "--json"],
        cwd=office.folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert 'pip install "counterfoil[server,telemetry]"' in error["remedy"]
    assert "counterfoil.toml, line 5" in error["happened"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("variable", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY"])
def test_a_variable_that_opentelemetry_does_not_accept_is_refused(office: Office, variable: str) -> None:
    office.settings("[telemetry]", 'traces = "otlp"')
    ran = office.run("serve", "--no-notices", "--json", width=80, typed="", **{variable: "-1"})
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert "OTEL_" in ran.error["remedy"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "no address"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "tight"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no header"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
        ("OTEL_SDK_DISABLED", "true"),
    ],
)
async def test_whatever_else_its_variables_say_the_desk_works(
    traced: Opened, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    endpoint = value if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" else dead()
    with contextlib.suppress(SettingsError):
        async with traced(endpoint) as desk:
            assert await desk.ai.read("opening_hours") == "always"


async def test_a_store_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    async with open_desk(gym_desk(Gym()), tmp_path, policy=POLICY) as desk:
        parts = desk.parts
        metrics = Metrics(parts.store, parts.sealer, None, parts.conversation, [])
        with sqlite3.connect(parts.configuration.state / "counterfoil.db") as database:
            database.execute("ALTER TABLE suspension RENAME TO away")
        application = metrics_application(metrics, parts.configuration, None)
        transport = httpx2.ASGITransport(application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.get("/metrics")
            assert answer.status_code == 503
            assert "could not be read" in answer.text
            with sqlite3.connect(parts.configuration.state / "counterfoil.db") as database:
                database.execute("ALTER TABLE away RENAME TO suspension")
            assert (await http.get("/metrics")).status_code == 200


LOADED = """
import sys
import anyio
from pathlib import Path
from counterfoil_server import app, config
from counterfoil_server.cli import serve

async def ready(parts, url):
    print(*(name for name in sys.modules if name.startswith(("opentelemetry", "prometheus", "google.protobuf",
          "requests", "counterfoil_server.telemetry", "counterfoil_server.store.statistics"))))

anyio.run(lambda: app.serve(config.load(Path("counterfoil.toml")), ready=ready))
"""


def test_by_default_a_serving_process_loads_nothing_of_it(office: Office) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=office.folder, capture_output=True, text=True, timeout=120, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("counterfoil_server")}
    assert ours == {"counterfoil_server.telemetry", "counterfoil_server.telemetry.watch"}
    # MCP's library loads the interface, which does nothing by itself.
    assert not {name for name in loaded - ours if not name.startswith("opentelemetry")}
    assert not {name for name in loaded if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))}
