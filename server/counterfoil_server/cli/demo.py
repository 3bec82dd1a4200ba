"""``demo``: the desk with a mailbox in place of e-mail, playing the story that the settings name, or left running.

Messages and enrolment addresses are shown in demo only, behind a code printed on this terminal, and only at localhost.
Without ``--stay``, everything happens in a fresh state folder and on a port of its own, and is thrown away.

A story is a module with an async function ``play(stage)`` that answers an exit code or None. It may also have
``PEOPLE``, tuples of name, accounts, roles and e-mail address, for ``--stay``; and ``prepare(folder)``, called with the
state folder before the desk is loaded, for a desk that keeps its own records there.
"""

from __future__ import annotations

import importlib
import logging
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import anyio
import typer
from rich.console import Console

from counterfoil.errors import SettingsError
from counterfoil_server.cli import demo_stay, first_start, invitations, logs
from counterfoil_server.cli.console import Output
from counterfoil_server.cli.exit_codes import INTERRUPTED, OK
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.cli.serving import stopped_by_signal
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.config import Configuration
from counterfoil_server.desk_module import failed_at

if TYPE_CHECKING:
    from counterfoil_server.app import Demo, Parts
    from counterfoil_server.notices.transports import Mailbox


@dataclass(frozen=True)
class Stage:
    """What a story works with: the running server, as an AI client, the people and the operator see it."""

    parts: Parts
    base_url: str
    mcp_url: str
    mailbox: Mailbox
    operator_code: str
    console: Console

    async def invite(self, name: str, *, accounts: Sequence[str] = (), roles: Sequence[str] = (), email: str) -> str:
        """Invite a person and answer their one-time enrolment URL."""
        invited = Invited(name, tuple(accounts), tuple(roles), (email,))
        call = self.parts.administration.call
        return (await invitations.invite(call, self.parts.configuration, invited)).url

    async def add_principal(self, name: str) -> str:
        """Add an agent's credential and answer its bearer token."""
        added = await self.parts.administration.call("principals_add", {"name": name})
        return str(added["token"])


Play = Callable[[Stage], Awaitable[int | None]]


@dataclass(frozen=True)
class Story:
    """A story as its module declares it. ``play`` is None where the settings name no story."""

    play: Play | None
    people: tuple[Invited, ...]
    prepare: Callable[[Path], Any]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", short_help="Try the desk without e-mail: its story, or --stay.")(with_session(demo))


def demo(
    session: Session,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the settings' state folder and leave the desk running until Ctrl-C.")
    ] = False,
) -> int:
    """Try the desk without e-mail: play its story from beginning to end, or leave it running with --stay."""
    configuration = session.configuration
    story = load_story(configuration)
    logs.configure(as_json=session.output.as_json, level=logging.WARNING)
    if stay:
        return _stay(configuration, story, session.output)
    if story.play is None:
        raise SettingsError(
            "The settings name no story to play.",
            "Run 'counterfoil demo --stay' to try the desk itself; a story is named like story = \"story:play\".",
        )
    with tempfile.TemporaryDirectory(prefix="counterfoil-demo-") as folder:
        return _play(throwaway(configuration, Path(folder)), story, story.play, session.output)


def load_story(configuration: Configuration) -> Story:
    """The story of the settings; raises SettingsError where it cannot be loaded."""
    name = configuration.settings.story
    if name is None:
        return Story(None, (), lambda _: None)
    module_name, _, function = name.partition(":")
    sys.path.insert(0, str(configuration.folder))
    try:
        module = importlib.import_module(module_name)
        play = getattr(module, function)
        people = tuple(
            Invited(who, tuple(accounts), tuple(roles), (email,))
            for who, accounts, roles, email in getattr(module, "PEOPLE", ())
        )
    except Exception as error:
        raise SettingsError(
            f"{failed_at(error, configuration.folder, configuration.place('story'))}: the story {name} failed to load: "
            f"{type(error).__name__}: {error}.",
            "Correct the module, or the setting 'story'.",
        ) from error
    return Story(play, people, getattr(module, "prepare", lambda _: None))


def throwaway(configuration: Configuration, folder: Path) -> Configuration:
    """The same desk in a fresh folder, at localhost and a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    changes = {
        "state": str(folder / "state"),
        "roster_key": str(folder / "roster-key.pem"),
        "public_url": f"http://localhost:{port}",
        "host": "127.0.0.1",
        "port": port,
        "issuer": None,
    }
    return replace(configuration, settings=configuration.settings.model_copy(update=changes))


def _play(configuration: Configuration, story: Story, play: Play, output: Output) -> int:
    code = INTERRUPTED
    # People read the story; a program that wants stdout for itself gets the story on stderr.
    console = Console(highlight=False, stderr=output.as_json)

    async def ready(parts: Parts, base_url: str) -> None:
        nonlocal code
        stage = Stage(parts, base_url, f"{base_url}/mcp", made.mailbox, made.operator_code, console)
        code = await play(stage) or OK

    _prepare(configuration, story)
    made = _demo()
    _serve(configuration, made, ready)
    output.answer({"story": configuration.settings.story, "exit_code": code}, lambda: None)
    return code


def _stay(configuration: Configuration, story: Story, output: Output) -> int:
    if urlsplit(configuration.settings.public_url).hostname != "localhost":
        raise SettingsError(
            f"The demo shows messages and enrolment addresses; it does not run at {configuration.settings.public_url}.",
            "Use settings whose public_url is at http://localhost.",
        )
    _prepare(configuration, story)
    fresh = first_start.is_fresh(configuration)
    made = _demo()

    async def ready(parts: Parts, base_url: str) -> None:
        if fresh:
            first_start.explain(configuration, output, demo=True)
        offered = await demo_stay.offer(parts.administration.call, configuration, story.people, made.operator_code)
        output.answer(offered, lambda: demo_stay.show(output, configuration.desk.name, offered))
        await anyio.sleep_forever()

    _serve(configuration, made, ready)
    return OK


def _prepare(configuration: Configuration, story: Story) -> None:
    """Let the story prepare, then load desk and policy; where they are wrong, a state folder made here goes again."""
    made = not configuration.state.exists()
    # The state folder is for this user only, whoever makes it first.
    configuration.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        story.prepare(configuration.state)
        configuration.load_policy()
    except BaseException:
        if made:
            shutil.rmtree(configuration.state, ignore_errors=True)
        raise


def _serve(configuration: Configuration, made: Demo, ready: Callable[[Parts, str], Awaitable[None]]) -> None:
    from counterfoil_server import app

    failures: list[Exception] = []

    async def adopted(parts: Parts, base_url: str) -> None:
        listens()
        try:
            await ready(parts, base_url)
        except Exception as error:
            failures.append(error)  # raised again when everything was closed in its order

    async def run() -> None:
        await app.serve(configuration, demo=made, ready=adopted)

    with stopped_by_signal() as listens:
        anyio.run(run)
    for failure in failures:
        raise failure


def _demo() -> Demo:
    from counterfoil_server.app import Demo
    from counterfoil_server.notices.transports import Mailbox

    return Demo(f"{secrets.randbelow(10**8):08d}", Mailbox())
