"""``serve``: run the desk until it is stopped.

Where nobody sits at a terminal, as under a service manager, the log says what a terminal would show.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from counterfoil.errors import SettingsError
from counterfoil_server.cli import first_start, logs
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.config import Configuration

if TYPE_CHECKING:
    from counterfoil_server.app import Parts
    from counterfoil_server.cli.console import Output
    from counterfoil_server.notices import Transport

logger = logging.getLogger(__name__)

UNTOLD = "Notices go nowhere: nobody is told that a request waits for them, or that something was done."


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


def transport_of(configuration: Configuration, *, no_notices: bool) -> Transport | None:
    """How notices are sent; None where nobody wants them to be. Raises SettingsError where nothing says how."""
    from counterfoil_server import app

    if no_notices:
        return None
    if configuration.settings.smtp is None:
        raise SettingsError(
            "There are no [smtp] settings, so nobody who has to decide would be told.",
            "Add [smtp] with host and sender to counterfoil.toml; or try it with 'counterfoil demo', or --no-notices.",
        )
    return app.smtp_transport(configuration)


@contextlib.contextmanager
def stopped_by_signal() -> Iterator[Callable[[], None]]:
    """Being told to stop is a good end. Gives what to call once the server listens.

    From then on the server itself hears Ctrl-C and SIGTERM, ends what is under way, and repeats the signal when it is
    done; nothing is left to interrupt then.
    """
    listening = False

    def stop(_: int, __: object) -> None:
        if not listening:
            raise KeyboardInterrupt

    def listens() -> None:
        nonlocal listening
        listening = True

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield listens
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def addresses(configuration: Configuration, base_url: str) -> dict[str, str]:
    """Where the desk is reached: publicly, and on this machine."""
    public = configuration.settings.public_url
    return {
        "mcp": f"{public}/mcp",
        "pages": public,
        "listening": base_url,
        "health": f"{base_url}/healthz",
        "state": str(configuration.state),
    }


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


def log_welcome(configuration: Configuration, base_url: str, *, told: bool) -> None:
    """Say in the log what a terminal would show."""
    found = ", ".join(f"{name} {where}" for name, where in addresses(configuration, base_url).items())
    logger.info("%s is being served: %s", configuration.desk.name, found)
    if not told:
        logger.warning(UNTOLD)
