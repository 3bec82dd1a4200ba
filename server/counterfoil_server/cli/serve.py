"""``serve``: run the desk until it is stopped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from counterfoil_server.cli import first_start, logs
from counterfoil_server.cli.serving import UNTOLD, addresses, log_welcome, stopped_by_signal, transport_of
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.config import Configuration

if TYPE_CHECKING:
    from counterfoil_server.app import Parts
    from counterfoil_server.cli.console import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", short_help="Serve the desk to AI clients and people.")(with_session(serve))


def serve(
    session: Session,
    no_notices: Annotated[
        bool, typer.Option("--no-notices", help="Serve without [smtp]: nobody is told of anything.")
    ] = False,
    stdio: Annotated[
        bool,
        typer.Option(
            "--stdio",
            help="Speak MCP on stdin and stdout with the AI client that starts this: attached to the process that "
            "serves the state folder, or serving it while the client stays.",
        ),
    ] = False,
) -> None:
    """Serve the desk: MCP for AI clients, pages for people, and the executor."""
    if stdio:
        from counterfoil_server.cli import stdio as over_stdio

        return over_stdio.run(session, no_notices=no_notices)
    from counterfoil_server import app

    configuration = session.configuration
    transport = transport_of(configuration, no_notices=no_notices)
    fresh = first_start.is_fresh(configuration)
    logs.configure(as_json=session.as_json)

    async def ready(parts: Parts, base_url: str) -> None:
        listens()
        if fresh:
            first_start.explain(configuration, session.output)
        if session.as_json or sys.stdout.isatty():
            session.output.answer(
                {"serving": addresses(configuration, base_url)},
                lambda: _welcome(session.output, configuration, base_url, told=transport is not None),
            )
        else:
            log_welcome(configuration, base_url, told=transport is not None)
        await anyio.sleep_forever()

    async def run() -> None:
        await app.serve(configuration, transport=transport, ready=ready)

    with stopped_by_signal() as listens:
        anyio.run(run)


def _welcome(output: Output, configuration: Configuration, base_url: str, *, told: bool) -> None:
    found = addresses(configuration, base_url)
    smtp = configuration.settings.smtp
    output.say((configuration.desk.name, "heading"), " is being served.")
    output.fields(
        [
            ("MCP", found["mcp"]),
            ("Pages", found["pages"]),
            ("Listening", found["listening"]),
            ("Health", found["health"]),
            ("State", found["state"]),
            ("Notices", f"through {smtp.host}:{smtp.port}" if smtp and told else None),
        ]
    )
    if not told:
        output.warn(UNTOLD)
    output.hint("An AI client needs a token: ", ("counterfoil principals add NAME", "command"))
    output.say("Stop with Ctrl-C.")
