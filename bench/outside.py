"""How long from a revocation's answer until an executor outside refuses the order, in milliseconds.

The executor is ``examples/payments_service`` in a process of its own, over HTTP. Between the two it reads the
authority's feed (the real address, with its rests), verifies the page and the order, and writes the refusal down.
Every sample is an order that would have run, and each must be refused because it was revoked.
"""

from __future__ import annotations

import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from starlette.applications import Starlette

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from counterfoil_server import feed_endpoint  # noqa: E402
from counterfoil_server.listening import serving  # noqa: E402
from examples.payments.bureau import open_bureau  # noqa: E402
from examples.payments.feed_server import FEED_TOKEN  # noqa: E402

SAMPLES = 100
WARM_UP = 3
"""Not counted: the first reading is of the whole log."""
REFUSED = "Something that the request depends on is suspended or revoked."


async def measure(samples: int = SAMPLES) -> tuple[float, float]:
    """p50 and p99."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        async with open_bureau(Path(name)) as bureau:
            workshop = bureau.workshop
            listener = socket.create_server(("127.0.0.1", 0))
            bureau.feed.port = listener.getsockname()[1]
            bureau.write()
            route = feed_endpoint.route(workshop.authority, workshop.store, workshop.sealer, [FEED_TOKEN])
            async with serving(Starlette(routes=[route]), listener), bureau.serving() as service:
                for number in range(-WARM_UP, samples):
                    ticket, order = await bureau.ordered("O-1003", f"{2 + number // 100}.{number % 100:02d}")
                    await workshop.authority.revoke(f"ticket:{ticket.id}", "measured")
                    begun = time.perf_counter()
                    answer = await service.present(order)
                    if number >= 0:
                        times.append(time.perf_counter() - begun)
                    assert (answer.value["state"], answer.reason) == ("not_executed", REFUSED), answer
                assert bureau.refunded == []
    return statistics.median(times) * 1000, statistics.quantiles(times, n=100)[98] * 1000
