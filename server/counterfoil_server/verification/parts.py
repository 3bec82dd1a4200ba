"""What the pages share: the authority behind them, and the parts of this layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from counterfoil.assertions import RelyingParty
from counterfoil.authority import Authority
from counterfoil.judgement import Judge
from counterfoil.store import Store
from counterfoil_server.verification.links import Links
from counterfoil_server.verification.locators import Locators
from counterfoil_server.verification.passkeys import Challenges
from counterfoil_server.verification.rendering import Pages
from counterfoil_server.verification.sessions import Sessions


@dataclass(frozen=True)
class Parts:
    """Made once by ``Verification``. ``decided`` is called after every decision and enrolment."""

    authority: Authority
    organisation: str
    pages: Pages
    links: Links
    locators: Locators
    sessions: Sessions
    challenges: Challenges
    decided: Callable[[], None]

    @property
    def judge(self) -> Judge:
        """Who knows the roster and the desk."""
        return self.authority.judge

    @property
    def store(self) -> Store:
        """Where everything durable is."""
        return self.authority.store

    @property
    def party(self) -> RelyingParty:
        """Where passkeys are valid."""
        return self.authority.judge.trust.party
