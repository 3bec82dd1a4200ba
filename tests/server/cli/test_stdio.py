"""``serve --stdio``: the library's own client in every era and raw lines, attached and alone, and every way to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from counterfoil_server.store import StateFolder
from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from server.cli.office import PROGRAM, Office, Ran, Served
from server.cli.test_demo import link_of_newest_request, shown_when_ended
from server.cli.test_serving import FIFTY
from server.conversation.test_pipe import INITIALIZE, message
from server.conversation.world import ERAS, call, connected

ALONE = ("serve", "--stdio", "--no-notices")
ATTACHED = ("serve", "--stdio")
HOURS = message(1, "tools/call", {"name": "hours", "arguments": {}}, modern=True)
SLOW = """

@desk.read
async def slow() -> str:
    \"\"\"Never answers.\"\"\"
    import asyncio

    Path(__file__).with_name("called").touch()
    await asyncio.sleep(29)
    return "late"
"""
LOUD = """
import os, subprocess
print("the desk is loaded")
os.write(1, b"written to descriptor 1")
subprocess.run(["echo", "said by a child"], check=True)
"""


@dataclass(frozen=True)
class Client:
    """A program that speaks raw lines with the process it started."""

    process: subprocess.Popen[bytes]

    def send(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def ended(self) -> Ran:
        """What it wrote after what was read of it, and its exit code; the client's side stays open."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        out, err = self.process.stdout.read(), self.process.stderr.read()
        return Ran(self.process.wait(timeout=60), out.decode(), err.decode())


@contextmanager
def started(office: Office, *arguments: str) -> Iterator[Client]:
    with subprocess.Popen(
        [*PROGRAM, *arguments], cwd=office.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield Client(process)
        finally:
            if process.poll() is None:
                process.kill()


@asynccontextmanager
async def session(office: Office, era: str, *arguments: str) -> AsyncIterator[ClientSession]:
    """The library's client, which starts the program itself."""
    command, *first = PROGRAM
    parameters = StdioServerParameters(command=command, args=[*first, *arguments], cwd=office.folder)
    with (office.folder / "client.log").open("a") as log:
        async with connected(stdio_client(parameters, log), era) as client:
            yield client


def answers(ran: Ran) -> dict[Any, dict[str, Any]]:
    """Every line of stdout, all of which are JSON-RPC, by id."""
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert all(each["jsonrpc"] == "2.0" for each in found)
    return {each["id"]: each for each in found}


# Clients --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_of_every_era_is_served_by_the_running_server(office: Office, served: Served, era: str) -> None:
    async with session(office, era, *ATTACHED) as client:
        tools = await client.list_tools()
        pending = await call(client, "request_pay", account="A-1", amount=FIFTY)
    assert "request_pay" in {tool.name for tool in tools.tools}
    assert pending.structured_content is not None
    assert pending.structured_content["status"] == "pending"
    [ticket] = office.json("tickets", "list")
    assert ticket["principal"].startswith("local:")
    [principal] = office.json("principals", "list")
    assert (principal["principal"], principal["owner"]) == (ticket["principal"], None)
    assert ticket["principal"].endswith(f":{os.geteuid()}")


@pytest.mark.parametrize("era", ERAS)
async def test_where_nobody_serves_it_serves_itself_with_pages_and_gives_the_folder_back(
    office: Office, era: str
) -> None:
    async with session(office, era, *ALONE) as client:
        assert (await call(client, "hours")).structured_content == {"result": "9 to 5"}
        assert httpx2.get(f"{office.public_url}/healthz", trust_env=False, timeout=60).status_code == 200
        assert office.json("people", "list") == []
    assert (office.state / "lock").read_text() == ""
    assert not (office.state / "mcp.sock").exists()
    said = (office.folder / "client.log").read_text()
    assert f"pages {office.public_url}" in said
    assert "nobody is told" in said
    assert "ERROR" not in said
    assert "Traceback" not in said


async def test_attached_to_a_demo_people_are_told_and_decide(office: Office) -> None:
    with office.running("demo", "--stay") as stays:
        ana = next(person for person in stays.ready["people"] if person["name"] == "Ana")
        async with PageClient(office.public_url, SoftwareAuthenticator()) as browser:
            await browser.enrol(ana["url"])
            async with session(office, ERAS[0], *ATTACHED) as client:
                pending = (await call(client, "request_pay", account="A-1", amount=FIFTY)).structured_content
            assert pending is not None
            link = await link_of_newest_request(office, stays)
            await browser.open_and_decide(link, "approve", pending["match_code"])
        assert (await shown_when_ended(office, pending["ticket"]))["state"] == "executed"


async def test_a_second_client_attaches_to_the_first_ones_server(office: Office) -> None:
    async with session(office, ERAS[0], *ALONE) as first, session(office, ERAS[1], *ALONE) as second:
        ticket = (await call(first, "request_pay", account="A-1", amount=FIFTY)).structured_content
        assert ticket is not None
        status = await call(second, "ticket_status", ticket=ticket["ticket"])
        assert not status.is_error


def test_claude_codes_opening_works(office: Office, served: Served) -> None:
    with started(office, *ATTACHED) as client:
        client.send(message(0, "server/discover", modern=True))
        assert client.answer()["result"]["supportedVersions"] == ["2026-07-28"]
        client.send(message(1, "initialize", INITIALIZE))
        assert client.answer()["result"]["protocolVersion"] == "2025-11-25"
        client.send('{"jsonrpc":"2.0","method":"notifications/initialized"}', message(2, "tools/list"))
        assert "request_pay" in {tool["name"] for tool in client.answer()["result"]["tools"]}


# Stdout carries protocol and nothing else -----------------------------------------------------------------------------


def test_what_a_desk_and_its_children_print_goes_to_stderr(office: Office) -> None:
    office.write("desk.py", LOUD + (office.folder / "desk.py").read_text())
    ran = office.run(*ALONE, typed=HOURS + "\n")
    assert ran.code == 0
    assert list(answers(ran)) == [1]
    for words in ("the desk is loaded", "written to descriptor 1", "said by a child"):
        assert words in ran.err


def test_lines_with_two_meanings_or_too_long_are_refused_by_id_before_and_after_attaching(
    office: Office, served: Served
) -> None:
    twice = HOURS.replace('"id":1', '"id":2').replace('"arguments":{}', '"arguments":{"a":1,"a":2}')
    nan = HOURS.replace('"id":1', '"id":3').replace('"arguments":{}', '"arguments":{"a":NaN}')
    long = HOURS.replace('"id":1', '"id":4').replace('"arguments":{}', '"arguments":{"a":"' + "x" * 300_000 + '"}')
    ran = office.run(*ATTACHED, typed="\n".join([twice, nan, long, "[]", HOURS]) + "\n")
    found = answers(ran)
    assert ran.code == 0
    assert found[1]["result"]["structuredContent"] == {"result": "9 to 5"}
    assert [found[to]["error"]["code"] for to in (2, 3, 4, None)] == [-32700, -32700, -32600, -32600]
    [recorded] = office.json("calls", "list")
    assert recorded["tool"] == "hours"


# Who calls ------------------------------------------------------------------------------------------------------------


def test_the_local_principal_is_suspended_resumed_revoked_and_disabled_like_any_other(
    office: Office, served: Served
) -> None:
    with started(office, *ATTACHED) as client:

        def asked(amount: str) -> dict[str, Any]:
            money = {"value": amount, "currency": "EUR"}
            arguments = {"account": "A-1", "amount": money}
            client.send(message(1, "tools/call", {"name": "request_pay", "arguments": arguments}, modern=True))
            return client.answer()

        assert asked("1.00")["result"]["structuredContent"]["status"] == "pending"
        [principal] = office.json("principals", "list")
        name = principal["principal"]
        office.json("suspend", f"principal:{name}")
        assert code_of(asked("2.00")) == "suspended"
        office.json("resume", f"principal:{name}")
        assert asked("3.00")["result"]["structuredContent"]["status"] == "pending"
        assert office.json("revoke", f"principal:{name}", "--yes")["revoked"] == 2
        assert code_of(asked("4.00")) == "suspended"
        office.json("principals", "disable", name)
        refused = asked("5.00")
        assert refused["error"]["data"]["code"] == "unauthenticated"
        assert name in refused["error"]["message"]


def code_of(answer: dict[str, Any]) -> str:
    """Of a tool's refusal."""
    return str(answer["result"]["_meta"]["counterfoil/error"]["code"])


# Ends -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", [ALONE, ATTACHED])
def test_a_signal_ends_it_quietly(
    office: Office, request: pytest.FixtureRequest, number: signal.Signals, arguments: tuple[str, ...]
) -> None:
    if arguments == ATTACHED:
        request.getfixturevalue("served")
    with started(office, *arguments) as client:
        client.send(HOURS)
        client.answer()
        client.process.send_signal(number)
        ran = client.ended()
    assert (ran.code, ran.out) == (0, "")
    assert "Traceback" not in ran.err
    assert "ERROR" not in ran.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_owner_stops_what_waits_is_answered_and_the_exit_code_says_so(
    office: Office, number: signal.Signals
) -> None:
    office.write("desk.py", (office.folder / "desk.py").read_text() + SLOW)
    with office.running("serve", "--no-notices") as owner, started(office, *ATTACHED) as client:
        cancelled = message(6, "tools/call", {"name": "hours", "arguments": {}}, modern=True)
        client.send(cancelled, '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}')
        client.send(HOURS, message("slow", "tools/call", {"name": "slow", "arguments": {}}, modern=True))
        while client.answer()["id"] != 1:
            pass
        wait_for(office.folder / "called")
        owner.process.send_signal(number)
        ran = client.ended()
        owner.process.wait(timeout=60)
    assert ran.code == 4
    [(to, answer)] = answers(ran).items()
    assert to == "slow"
    assert answer["error"]["code"] == -32000
    assert answer["error"]["data"]["code"] == "owner_stopped"
    assert "has stopped" in ran.said


def test_when_the_owner_stops_while_nothing_waits_only_the_exit_code_says_so(office: Office, served: Served) -> None:
    with started(office, *ATTACHED) as client:
        client.send(HOURS)
        client.answer()
        assert served.stop().code == 0
        ran = client.ended()
    assert (ran.code, ran.out) == (4, "")


@pytest.mark.parametrize("reads", [True, False])
def test_a_client_that_vanishes_at_any_point_ends_it_and_not_the_owner(
    office: Office, served: Served, reads: bool
) -> None:
    for sent in ("", HOURS[:20], HOURS + "\n" + HOURS[:20], (HOURS + "\n") * 200):
        with started(office, *ATTACHED) as client:
            assert client.process.stdin is not None
            assert client.process.stdout is not None
            if not reads:
                client.process.stdout.close()
            client.process.stdin.write(sent.encode())
            client.process.stdin.close()
            if reads:
                client.process.stdout.read()
            assert client.process.wait(timeout=60) == 0
    ended = served.stop()
    assert "Traceback" not in ended.err
    assert "ERROR" not in ended.err


def test_killed_it_leaves_the_owner_undisturbed(office: Office, served: Served) -> None:
    with started(office, *ATTACHED) as client:
        client.send(HOURS)
        client.answer()
        client.process.kill()
    assert answers(office.run(*ATTACHED, typed=HOURS + "\n"))[1]["result"]


def test_the_lines_that_a_demo_shows_for_claude_desktop_attach_to_it(office: Office) -> None:
    with office.running("demo", "--stay") as stays:
        starts = stays.ready["stdio"]
        command = [starts["command"], *starts["args"]]
        ran = subprocess.run(command, input=f"{HOURS}\n", cwd="/", capture_output=True, text=True, timeout=60)
        assert json.loads(ran.stdout)["result"], ran.stderr


# Starting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [HOURS, message(1, "initialize", INITIALIZE)])
def test_without_mail_settings_and_without_an_owner_the_client_is_told_what_to_do(office: Office, opening: str) -> None:
    ran = office.run(*ATTACHED, typed=opening + "\n")
    assert ran.code == 2
    [answer] = answers(ran).values()
    assert answer["error"]["data"]["code"] == "settings_error"
    assert "demo --stay" in answer["error"]["message"]
    assert "demo --stay" in ran.said
    assert not office.state.exists()


def test_any_refusal_to_start_answers_the_client(office: Office) -> None:
    office.write("policy.cedar", "broken(")
    ran = office.run(*ALONE, "--json", typed="\n" + message("first", "initialize", INITIALIZE) + "\n")
    assert ran.code == 2
    assert answers(ran)["first"]["error"]["data"]["code"] == "policy_error"


def test_a_refusal_does_not_wait_for_a_client_that_says_nothing(office: Office) -> None:
    with started(office, *ATTACHED) as client:
        assert client.process.wait(timeout=60) == 2
        assert client.ended().out == ""


def test_an_owner_that_is_starting_is_waited_for(office: Office) -> None:
    office.json("principals", "list")
    with StateFolder.open(office.state) as folder, started(office, *ATTACHED) as client:
        client.send(HOURS)
        with pytest.raises(subprocess.TimeoutExpired):
            client.process.wait(timeout=3)
        folder.close()
        with office.running("serve", "--no-notices"):
            answered = client.answer()
            # It attached, or found the folder free in between and said why it cannot serve it.
            assert answered["id"] == 1


def test_on_a_terminal_it_says_who_is_to_start_it(office: Office) -> None:
    controller, terminal = os.openpty()
    with subprocess.Popen(
        [*PROGRAM, *ALONE], cwd=office.folder, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(terminal)
        assert process.stderr is not None
        said = ""
        while "nobody is told" not in said:
            said += process.stderr.readline()
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "an AI client is to start it" in said
    os.close(controller)


def wait_for(path: Path) -> None:
    """Until the file is there."""
    code = "import sys, time\nfrom pathlib import Path\nwhile not Path(sys.argv[1]).exists(): time.sleep(0.01)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
