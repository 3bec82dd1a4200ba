"""The gym's desk, traced by a collector of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from counterfoil.testing import OpenDesk, open_desk
from server.testing.gym import POLICY, Gym, gym_desk

Opened = Callable[..., AbstractAsyncContextManager[OpenDesk]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def gym() -> Gym:
    return Gym()


@pytest.fixture
def traced(tmp_path: Path, gym: Gym, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens the desk with traces for the endpoint; once more over the same state, if asked again."""

    @asynccontextmanager
    async def opened(endpoint: str, ratio: float = 1.0) -> AsyncIterator[OpenDesk]:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        telemetry = {"traces": "otlp", "trace_ratio": ratio}
        settings = {"trust_client_isolation": True, "telemetry": telemetry}
        async with open_desk(gym_desk(gym), tmp_path, policy=POLICY, settings=settings) as desk:
            yield desk

    return opened
