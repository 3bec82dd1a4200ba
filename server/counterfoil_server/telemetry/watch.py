"""Whether the parts of a desk are watched, as its settings say. By default they are not, and nothing more is loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from counterfoil.authority import Authority
from counterfoil.errors import SettingsError
from counterfoil_server.config import Configuration
from counterfoil_server.conversation.server import Middleware
from counterfoil_server.execution.executor import Executor
from counterfoil_server.listening import serving

if TYPE_CHECKING:
    from counterfoil_server.conversation import Conversation
    from counterfoil_server.publishing.publisher import Publisher
    from counterfoil_server.store import SQLiteStore
    from counterfoil_server.store.sealer import Sealer

INSTALL = 'Run: pip install "counterfoil[server,telemetry]"; or remove the setting.'


def _plain(app: ASGIApp) -> ASGIApp:
    return app


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Watch:
    """What the parts are made of, where it depends on whether somebody watches."""

    authority: type[Authority] = Authority
    executor: type[Executor] = Executor
    calls: Middleware | None = None
    """Made for the tools' names: a middleware of the MCP server."""
    pages: Callable[[ASGIApp], ASGIApp] = _plain
    close: Callable[[], Awaitable[None]] = _nothing


def watching(configuration: Configuration, key: bytes) -> Watch:
    """How the desk is watched; ``key`` (32 bytes) hides which trace is whose ticket's.

    Raises SettingsError where what the settings ask for is not installed, or not set up.
    """
    settings = configuration.settings.telemetry
    if settings.traces == "none":
        return Watch()
    try:
        from counterfoil_server.telemetry.traced_calls import TracedCalls, TracedPages
        from counterfoil_server.telemetry.traced_parts import TracedAuthority, TracedExecutor
        from counterfoil_server.telemetry.tracing import Tracing
    except ModuleNotFoundError as error:
        raise missing(configuration, "traces", error) from None
    try:
        tracing = Tracing(ratio=settings.trace_ratio, key=key)
    except ValueError as error:
        raise SettingsError(
            f"OpenTelemetry does not accept an environment variable of its own: {error}",
            "Correct the variable; its name begins with OTEL_.",
        ) from None
    return Watch(
        TracedAuthority.under(tracing),
        TracedExecutor.under(tracing),
        partial(TracedCalls, tracing),
        partial(TracedPages, tracing),
        tracing.close,
    )


@asynccontextmanager
async def metrics_served(
    configuration: Configuration,
    store: SQLiteStore,
    sealer: Sealer,
    publisher: Publisher | None,
    conversation: Conversation,
) -> AsyncIterator[None]:
    """Serve the metrics until left, where the settings say so. Raises SettingsError where that cannot be."""
    port = configuration.settings.telemetry.metrics_port
    if port is None:
        yield
        return
    try:
        from counterfoil_server.telemetry.metrics import Metrics
        from counterfoil_server.telemetry.metrics_page import metrics_application, metrics_listener, token_of
    except ModuleNotFoundError as error:
        raise missing(configuration, "metrics_port", error) from None
    token = token_of(configuration)
    with metrics_listener(configuration, port) as listener:
        metrics = Metrics(store, sealer, publisher, conversation, configuration.desk.operations)
        async with serving(metrics_application(metrics, configuration, token), listener, lifespan="off"):
            yield


def missing(configuration: Configuration, setting: str, error: ModuleNotFoundError) -> Exception:
    """The refusal where a library of the extra is missing; any other module that is missing is told as it is."""
    if (error.name or "").partition(".")[0] not in ("opentelemetry", "prometheus_client", "requests", "google"):
        return error
    return SettingsError(
        f"{configuration.place('telemetry', setting)}: the extra [telemetry] is not installed.",
        INSTALL,
    )
