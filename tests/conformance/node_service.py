"""A payments service that decides in JavaScript: what a desk presents, and what its feed tells, goes through
``examples/verify_in_node/judge.mjs``, and through the core beside it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from conformance.node import run_node
from counterfoil.rungs import Rung
from counterfoil.testing import OpenDesk
from vectors.core import agrees, answer
from vectors.vector import Vector, accepted, refused

FEED_TOKEN = "feed-token-0123456789-0123456789"
FLOORS = {"refund": [Rung(holder="passkey", code=True).members()]}
PAYMENT = {
    "account": "A-1", "method": "Visa ending 4242", "currency": "EUR", "captured": 12000, "refunded": 0, "version": 1,
}  # fmt: skip
FACTS = ("ticket", "people", "reached")
DOES_NOT_RUN = 5


async def nothing() -> None:
    """What happens between a redemption and its order, mostly."""


@dataclass
class NodeService:
    """``verifier``: the folder of the JavaScript; ``folder``: its own, with orders and pages. ``meanwhile`` happens
    when an order has come, before the feed is read."""

    verifier: Path
    folder: Path
    desk: OpenDesk | None = None
    pages: list[Path] = field(default_factory=list)
    read: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] = nothing

    @property
    def order(self) -> Path:
        """The order that came last."""
        return self.folder / "order.json"

    def application(self) -> Starlette:
        """What the desk's connector and preview call."""
        return Starlette(
            routes=[
                Route("/payments/O-1001", lambda _: JSONResponse(PAYMENT)),
                Route("/orders", self._presented, methods=["POST"]),
            ]
        )

    async def _presented(self, request: Request) -> JSONResponse:
        self.order.write_bytes(await request.body())
        await self.meanwhile()
        await self.follow()
        said = await self.judge()
        if said["runs"]:
            return JSONResponse({"state": "executed", "receipt": {"reference": "R-1", "summary": "Paid."}})
        return JSONResponse({"state": "not_executed", "reason": said["says"]})

    async def follow(self) -> Path:
        """Read the desk's feed on from where it was read to; answers the page."""
        assert self.desk is not None
        headers = {"authorization": f"Bearer {FEED_TOKEN}"}
        async with httpx2.AsyncClient(base_url=self.desk.url, headers=headers, trust_env=False) as http:
            answered = await http.get("/feed", params={"first": self.read})
        assert answered.status_code == 200, answered.text
        page = self.folder / f"page-{len(self.pages):03}.json"
        page.write_bytes(answered.content)
        self.pages.append(page)
        self.read += len(answered.json()["leaves"])
        return page

    async def judge(self, *pages: Path, ahead: float | None = 0) -> dict[str, Any]:
        """What JavaScript says of the last order by these pages, or by all that were read; the core says the same.
        ``ahead``: how far its clock is before the desk's; None for that of this machine."""
        assert self.desk is not None
        told = pages or self.pages
        now = int(self.desk.clock() + (ahead or 0))
        (self.folder / "floors.json").write_text(json.dumps(FLOORS))
        code, out, errors = await run_node(
            "judge.mjs", self.order, *told, "--trust", self.folder / "trust.json", "--executor", "payments",
            "--floors", self.folder / "floors.json", "--json", *(() if ahead is None else ("--now", str(now))),
            folder=self.verifier,
        )  # fmt: skip
        assert errors == ""
        said: dict[str, Any] = json.loads(out)
        assert code == (0 if said["runs"] else DOES_NOT_RUN)
        if ahead is not None:
            assert self._core_agrees(said, told, now), said
        self.said.append(said)
        return said

    def _core_agrees(self, said: dict[str, Any], pages: Sequence[Path], now: int) -> bool:
        def vector(kind: str, **given: Any) -> Vector:
            return Vector("", "", kind, given | {"now": now}, {})

        feed = vector("feed", pages=[page.read_text() for page in pages])
        verdict = accepted(**{name: said[name] for name in FACTS}) if said["runs"] else refused(said["reason"])
        if agrees(verdict, feed, self.folder):
            return True
        heard = answer(feed, self.folder)
        order = {"presented": self.order.read_text(), "executor": "payments", "floors": FLOORS}
        return agrees(verdict, vector("presented", memory=heard, **order), self.folder)
