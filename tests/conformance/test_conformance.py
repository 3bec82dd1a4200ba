"""The official conformance suite, every scenario it has for servers, against a Counterfoil server over HTTP.

Nothing is left out silently: each scenario of a revision stands in exactly one of the three tables below, and the
tables are compared with the suite's own list and with what it found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from conformance.node import run_node
from server.conversation.world import World

PASSED: Mapping[str, frozenset[str]] = {
    "2026-07-28": frozenset(
        {
            "tools-list", "tools-call-simple-text", "tools-call-error", "server-sse-multiple-streams",
            "dns-rebinding-protection", "http-header-validation", "http-custom-header-server-validation",
            "input-required-result-unsupported-methods", "input-required-result-validate-input",
        }
    ),
    "2025-11-25": frozenset(
        {
            "server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-error",
            "dns-rebinding-protection",
        }
    ),
}  # fmt: skip
"""Scenarios in which every check succeeds."""

NO_PROMPTS = "a desk has no prompts"
NO_RESOURCES = "a desk has no resources"
NO_ASKING_BACK = "no tool asks the client for input: people answer on their own page, never through the AI"
NO_TASKS = "the Tasks extension is not offered: ticket_status is polled"
TEXT_ONLY = "a desk's reads return values, not images, audio or embedded resources"
NO_PROGRESS = "a read answers once, without progress"
NO_LOGGING = "the server sends no log messages to clients"
NO_SUBSCRIPTIONS = "nothing changes while the server runs, so there is nothing to subscribe to"
NO_SESSIONS = "no sessions and no streams are kept"

PARTLY: Mapping[str, Mapping[str, str]] = {
    "server-stateless": {
        "sep-2575-server-rejects-undeclared-capability": NO_ASKING_BACK,
        "sep-2575-missing-capability-http-400": NO_ASKING_BACK,
        "sep-2575-http-server-no-independent-requests-on-stream": NO_ASKING_BACK,
        "sep-2575-server-no-log-without-loglevel": NO_LOGGING,
        "sep-2575-server-sends-subscription-ack": NO_SUBSCRIPTIONS,
        "sep-2575-server-tags-subscription-id": NO_SUBSCRIPTIONS,
        "sep-2575-server-honors-notification-filter": NO_SUBSCRIPTIONS,
        "sep-2575-server-sends-prompts-list-changed-on-subscription": NO_PROMPTS,
        "sep-2575-server-sends-tools-list-changed-on-subscription": NO_SUBSCRIPTIONS,
    },
    "caching": {
        "sep-2549-prompts-list-caching-hints": NO_PROMPTS,
        "sep-2549-resources-list-caching-hints": NO_RESOURCES,
        "sep-2549-resources-templates-list-caching-hints": NO_RESOURCES,
        "sep-2549-resources-read-caching-hints": NO_RESOURCES,
    },
}
"""Scenarios of which exactly these checks do not apply, each with the reason; all others succeed."""

NOT_OFFERED: Mapping[str, str] = {
    "completion-complete": "a desk has no completions",
    "tools-call-image": TEXT_ONLY,
    "tools-call-audio": TEXT_ONLY,
    "tools-call-embedded-resource": TEXT_ONLY,
    "tools-call-mixed-content": TEXT_ONLY,
    "tools-call-with-progress": NO_PROGRESS,
    "tools-call-with-logging": NO_LOGGING,
    "logging-set-level": NO_LOGGING,
    "tools-call-sampling": NO_ASKING_BACK,
    "tools-call-elicitation": NO_ASKING_BACK,
    "elicitation-sep1034-defaults": NO_ASKING_BACK,
    "elicitation-sep1330-enums": NO_ASKING_BACK,
    "resources-list": NO_RESOURCES,
    "resources-read-text": NO_RESOURCES,
    "resources-read-binary": NO_RESOURCES,
    "resources-templates-read": NO_RESOURCES,
    "resources-subscribe": NO_RESOURCES,
    "resources-unsubscribe": NO_RESOURCES,
    "sep-2164-resource-not-found": NO_RESOURCES,
    "prompts-list": NO_PROMPTS,
    "prompts-get-simple": NO_PROMPTS,
    "prompts-get-with-args": NO_PROMPTS,
    "prompts-get-embedded-resource": NO_PROMPTS,
    "prompts-get-with-image": NO_PROMPTS,
    "input-required-result-basic-elicitation": NO_ASKING_BACK,
    "input-required-result-basic-sampling": NO_ASKING_BACK,
    "input-required-result-basic-list-roots": NO_ASKING_BACK,
    "input-required-result-request-state": NO_ASKING_BACK,
    "input-required-result-multiple-input-requests": NO_ASKING_BACK,
    "input-required-result-multi-round": NO_ASKING_BACK,
    "input-required-result-missing-input-response": NO_ASKING_BACK,
    "input-required-result-non-tool-request": NO_ASKING_BACK,
    "input-required-result-result-type": NO_ASKING_BACK,
    "input-required-result-tampered-state": NO_ASKING_BACK,
    "input-required-result-capability-check": NO_ASKING_BACK,
    "input-required-result-ignore-extra-params": NO_ASKING_BACK,
    "tasks-lifecycle": NO_TASKS,
    "tasks-capability-negotiation": NO_TASKS,
    "tasks-wire-fields": NO_TASKS,
    "tasks-request-state-removal": NO_TASKS,
    "tasks-mrtr-input": NO_TASKS,
    "tasks-request-headers": NO_TASKS,
    "tasks-dispatch-and-envelope": NO_TASKS,
    "tasks-status-notifications": NO_TASKS,
    "tasks-required-task-error": NO_TASKS,
    "tasks-mrtr-composition": NO_TASKS,
    "json-schema-2020-12": "its fixture is one fixed schema; a desk's schemas are made from Python types",
    "server-session-lifecycle": NO_SESSIONS,
    "server-sse-polling": NO_SESSIONS,
}
"""Scenarios about what Counterfoil does not offer, with the reason. They are run, and must not pass by accident."""

NOT_OFFERED_IN: Mapping[str, Mapping[str, str]] = {
    "2026-07-28": NOT_OFFERED,
    "2025-11-25": {**NOT_OFFERED, "server-sse-multiple-streams": NO_SESSIONS},
}

SUITE = Path("@modelcontextprotocol/conformance/dist/index.js")


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
async def test_the_conformance_suite_finds_what_the_tables_say(
    open_server: World, modules: Path, tmp_path: Path, revision: str
) -> None:
    found = await run_suite(open_server.url, modules, tmp_path, revision)
    listed = await listed_by_the_suite(modules, revision)
    partly = {name for name in PARTLY if name in listed}
    not_offered = {name for name in NOT_OFFERED_IN[revision] if name in listed}
    assert set(found) == listed
    assert sorted([*PASSED[revision], *partly, *not_offered]) == sorted(listed)
    assert {name for name, checks in found.items() if is_green(checks)} == PASSED[revision]
    for name in partly:
        assert not_green(found[name]) == PARTLY[name].keys()


async def listed_by_the_suite(modules: Path, revision: str) -> set[str]:
    """The server scenarios that the suite runs for a revision, scored or not."""
    code, output, errors = await run_node(modules / SUITE, "list", "--server", "--requirements", revision)
    assert code == 0, errors
    scored, _, rest = output.partition("Client scenarios")
    return set(re.findall(r"^ +- (\S+)$", scored, re.MULTILINE)) | set(
        re.findall(r"^ +- (\S+) \[server\]$", rest, re.MULTILINE)
    )


async def run_suite(url: str, modules: Path, folder: Path, revision: str) -> dict[str, dict[str, str]]:
    """Scenario to check to status; the worst one where a check is made several times."""
    results = folder / "results"
    await run_node(modules / SUITE, "server", "--url", url, "--requirements", revision, "-o", str(results))
    found: dict[str, dict[str, str]] = {}
    for file in sorted(results.glob("server-*/checks.json")):
        name = re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT[0-9-]+Z$", r"\1", file.parent.name)
        checks = found.setdefault(name, {})
        for check in json.loads(file.read_text()):
            if checks.get(check["id"], "SUCCESS") in ("SUCCESS", "INFO"):
                checks[check["id"]] = check["status"]
    return found


def is_green(checks: Mapping[str, str]) -> bool:
    """Whether something was checked and nothing found."""
    return "SUCCESS" in checks.values() and not not_green(checks)


def not_green(checks: Mapping[str, str]) -> set[str]:
    """The checks that failed, warned or were skipped."""
    return {name for name, status in checks.items() if status not in ("SUCCESS", "INFO")}
