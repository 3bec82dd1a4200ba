"""A bundle that was changed, and what fails in it."""

from __future__ import annotations

from dataclasses import dataclass, field

NO_LOG = "trust-no-log.json"


@dataclass(frozen=True)
class Forgery:
    """A file, and what fails in it. A file that is no bundle fails as ``bundle``."""

    name: str
    shows: str
    content: bytes
    fails: list[str]
    open: list[str] = field(default_factory=list)
    trust: str = "trust.json"

    @property
    def file(self) -> str:
        return self.name.replace(" ", "-").replace(",", "").replace("'", "")
