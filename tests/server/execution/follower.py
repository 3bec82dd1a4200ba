"""An executor outside that follows a served desk's feed over HTTP, with the trust file that the desk handed out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import httpx2

from counterfoil.bundle import Trust
from counterfoil.feed import Reading, read_page
from server.execution.outside import Remembered

TOKEN = "f0e1d2c3b4a5968778695a4b3c2d1e0f0123456789abcdef"


@dataclass
class Follower:
    """``url``: where the desk listens."""

    url: str
    trust: Trust
    memory: Remembered = field(default_factory=Remembered)

    @classmethod
    def of(cls, url: str, trust_file: object) -> Follower:
        return cls(url, Trust.from_bytes(json.dumps(trust_file).encode()))

    async def ask(self, query: str | None = None, *, method: str = "GET", **headers: str) -> httpx2.Response:
        """One page, as it was answered."""
        query = f"first={self.memory.position.size}" if query is None else query
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            sent = {"authorization": f"Bearer {TOKEN}"} | headers
            return await http.request(method, f"{self.url}/feed?{query}", headers=sent)

    async def read(self) -> Reading:
        """The next page, verified and kept."""
        answer = await self.ask()
        assert answer.status_code == 200, answer.text
        memory = self.memory
        reading = read_page(
            answer.content, position=memory.position, trust=self.trust, not_before=memory.heard_at() or 0
        )
        memory.keep(reading)
        return reading

    async def read_all(self) -> int:
        """Everything there is; answers how many pages it took."""
        pages = 1
        while not (await self.read()).complete:
            pages += 1
        return pages
