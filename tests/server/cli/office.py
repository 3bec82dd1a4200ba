"""A small office with one operation, written to a folder, and the real program run in it as its own process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-m", "counterfoil_server.cli")
WARM_START = Path(__file__).with_name("warm_start.py")

DESK = '''
from pathlib import Path

from counterfoil.desk import Desk
from counterfoil.values import Account, Change, Contact, Execution, Facts, Money, Receipt

HOLDERS = {"A-1": "Ana", "A-2": "Bo"}


class Directory:
    async def find(self, hint: str) -> Account | None:
        return Account(hint) if hint in HOLDERS else None

    async def person(self, account: Account) -> Contact | None:
        return Contact(name=HOLDERS[account], email=f"{HOLDERS[account].lower()}@office.example")


desk = Desk("The office", directory=Directory(), roles=["finance"])


class PaymentFacts(Facts):
    balance_after_it: Change


@desk.read
async def hours() -> str:
    """When the office is open."""
    return "9 to 5"


@desk.operation
async def pay(execution: Execution, account: Account, amount: Money) -> Receipt:
    """Pay out some money."""
    with Path(__file__).with_name("paid.txt").open("a") as paid:
        paid.write(f"{account} {amount}\\n")
    return Receipt(reference="P-1", summary=f"{amount} were paid.")


@pay.preview
async def payment_facts(account: Account, amount: Money) -> PaymentFacts:
    return PaymentFacts(owners=(account,), balance_after_it=Change(before="100.00", after="50.00"))
'''

POLICY = """
@id("The account holder confirms with their passkey and the code from the chat.")
permit (principal, action == Action::"pay", resource)
when { context.holder_passkey && context.code_typed };

@id("Never more than 500.")
forbid (principal, action == Action::"pay", resource)
when { resource.arguments.amount.value.greaterThan(decimal("500.00")) };
"""

STORY = """
import json
from pathlib import Path

import httpx2

PEOPLE = [("Ana", ["A-1"], [], "ana@office.example"), ("Fay", [], ["finance"], "fay@office.example")]


def prepare(folder: Path) -> None:
    (folder / "prepared").touch()


async def play(stage) -> int:
    token = await stage.add_principal("actor")
    url = await stage.invite("Ana", accounts=["A-1"], email="ana@office.example")
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        health = await http.get(f"{stage.base_url}/healthz")
        mailbox = await http.get(f"{stage.base_url}/mailbox/messages.json",
                                 headers={"authorization": f"Bearer {stage.operator_code}"})
    prepared = (stage.parts.configuration.state / "prepared").exists()
    seen = {"health": health.status_code, "mailbox": mailbox.status_code, "token": token[:4], "prepared": prepared,
            "invited": url.startswith(stage.base_url + "/enrol/"), "state": str(stage.parts.configuration.state)}
    stage.console.print(json.dumps(seen), soft_wrap=True)
    return 7
"""


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error that ``--json`` answered."""
        found: dict[str, str] = self.json["error"]
        return found

    @property
    def said(self) -> str:
        """Everything on the terminal, as one line: where it was wrapped does not matter."""
        return re.sub(r"\s+", " ", self.out + self.err)


@dataclass(frozen=True)
class Program:
    """The program, ready to run many times (``warm_start.py``)."""

    process: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Program]:
        command = [sys.executable, str(WARM_START)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()

    def run(self, arguments: list[str], folder: Path, environment: dict[str, str], typed: str) -> Ran:
        """Run one command line in the folder to its end."""
        with tempfile.TemporaryDirectory() as temporary:
            streams = [Path(temporary) / name for name in ("in", "out", "err")]
            streams[0].write_text(typed)
            job = {
                "arguments": arguments,
                "folder": str(folder),
                "environment": environment,
                "streams": [str(stream) for stream in streams],
            }
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            code = json.loads(self.process.stdout.readline())["code"]
            return Ran(code, streams[1].read_text(), streams[2].read_text())


@dataclass(frozen=True)
class Served:
    """A serving process; ``ready`` is what it answered on stdout once it listened."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Ran:
        """Tell it to stop, and wait until it has."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return Ran(self.process.returncode, out, err)


@dataclass(frozen=True)
class Office:
    """The folder with settings, desk and policy. ``port``: of public_url, which nobody uses."""

    folder: Path
    port: int
    program: Program

    @classmethod
    def at(cls, folder: Path, program: Program) -> Office:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        office = cls(folder, port, program)
        folder.mkdir()
        office.write("desk.py", DESK)
        office.write("story.py", STORY)
        office.write("policy.cedar", POLICY)
        office.settings('story = "story:play"')
        return office

    @property
    def public_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def settings(self, *more: str) -> None:
        lines = ['desk = "desk:desk"', 'policy = "policy.cedar"', f'public_url = "{self.public_url}"', *more]
        self.write("counterfoil.toml", "\n".join(lines) + "\n")

    def run(self, *arguments: str, width: int = 80, typed: str = "", **environment: str) -> Ran:
        """Run the program to its end."""
        ran = self.program.run(list(arguments), self.folder, _environment(width, environment), typed)
        assert "Traceback" not in ran.err, ran.err
        return ran

    def run_in(self, environment: Mapping[str, str], *arguments: str, width: int = 80) -> Ran:
        """The same with these variables, whatever they are called."""
        return self.run(*arguments, width=width, typed="", **environment)

    def json(self, *arguments: str) -> Any:
        """The answer of a command that must succeed."""
        ran = self.run(*arguments, "--json")
        assert ran.code == 0, ran
        return ran.json

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Served]:
        """The program while it serves."""
        with subprocess.Popen(
            [*PROGRAM, *arguments, "--json"],
            cwd=self.folder,
            env=_environment(80, {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Served(process, _first_json(process))
            finally:
                if process.poll() is None:
                    process.kill()


def _environment(width: int, more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    return kept | {"COLUMNS": str(width), "TZ": "UTC"} | more


def _first_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON that the process writes when it is ready."""
    assert process.stdout is not None
    assert process.stderr is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.rstrip() == "}":
            found: dict[str, Any] = json.loads(text)
            return found
    raise AssertionError(f"it ended before it was ready: {text}{process.stderr.read()}")
