"""``witness``: cosign the checkpoints of other people's logs. It needs no desk and no settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer
import uvicorn

from counterfoil.checkpoints import NoteKey
from counterfoil.errors import KeyFileError, SettingsError
from counterfoil_server.cli import logs as log_lines
from counterfoil_server.cli.serving import stopped_by_signal
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.listening import bound
from counterfoil_server.store import StateFolder
from counterfoil_server.witness import Memory, application

StateOption = Annotated[
    Path,
    typer.Option(
        "--state", metavar="FOLDER", help="Where the witness keeps key and memory; 'witness' if none is named."
    ),
]
FOLDER = Path("witness")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Cosign logs of others: nobody is shown another history.")
    group.command("init")(with_session(init))
    group.command("serve")(with_session(serve))
    app.add_typer(group, name="witness")


def init(
    session: Session,
    name: Annotated[str, typer.Argument(help="The witness's name, as in witness.example/w1.")],
    state: StateOption = FOLDER,
) -> None:
    """Make a witness: its key, and its memory of each log."""
    with StateFolder.open(state):
        memory = Memory.create(state, name)
    key = memory.key.to_text()
    session.output.answer({"witness": name, "key": key, "state": str(state)}, lambda: _made(session, state, key))


def _made(session: Session, state: Path, key: str) -> None:
    session.output.say(("Made ", "heading"), f"a witness in {state}. Its verifier key:")
    session.output.paste(key)
    session.output.hint("Whoever runs the log names it in [log] witnesses. Never restore this folder from a backup.")


def serve(
    session: Session,
    log: Annotated[
        list[str], typer.Option("--log", metavar="KEY", help="The verifier key of a log to watch; may be repeated.")
    ],
    state: StateOption = FOLDER,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", min=0, max=65535)] = 8720,
) -> None:
    """Cosign checkpoints of the logs named, until Ctrl-C.

    It speaks https://c2sp.org/tlog-witness.
    """
    keys = [_key(text) for text in log]
    if not state.is_dir():
        raise SettingsError(f"There is no witness in {state}.", "Make one with 'counterfoil witness init NAME'.")
    log_lines.configure(as_json=session.as_json)
    with StateFolder.open(state):
        memory = Memory.open(state)
        app = application(memory, keys)
        with bound(host, port, "port") as listener, stopped_by_signal() as listens:
            url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

            async def run() -> None:
                config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
                server = uvicorn.Server(config)
                listens()
                session.output.answer(
                    {"serving": url, "key": memory.key.to_text(), "logs": [key.name for key in keys]},
                    lambda: session.output.say(f"Cosigning {', '.join(key.name for key in keys)} at {url}."),
                )
                await server.serve(sockets=[listener])

            anyio.run(run)


def _key(text: str) -> NoteKey:
    try:
        return NoteKey.from_text(text)
    except KeyFileError as error:
        raise SettingsError(f"--log {text[:100]!r}: {error.happened}", error.remedy) from None
