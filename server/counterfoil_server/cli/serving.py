"""What every command that serves has in common: how it sends, how it is stopped, and what it says of itself.

Where nobody sits at a terminal, as under a service manager, the log says what a terminal would show.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from counterfoil.errors import SettingsError
from counterfoil_server.config import Configuration

if TYPE_CHECKING:
    from counterfoil_server.notices import Transport

logger = logging.getLogger(__name__)

UNTOLD = "Notices go nowhere: nobody is told that a request waits for them, or that something was done."


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


def log_welcome(configuration: Configuration, base_url: str, *, told: bool) -> None:
    """Say in the log what a terminal would show."""
    found = ", ".join(f"{name} {where}" for name, where in addresses(configuration, base_url).items())
    logger.info("%s is being served: %s", configuration.desk.name, found)
    if not told:
        logger.warning(UNTOLD)
