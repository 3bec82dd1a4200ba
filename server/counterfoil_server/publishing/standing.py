"""How it stands with one place that checkpoints are brought to, or with one witness."""

from __future__ import annotations

from dataclasses import dataclass

from counterfoil.audit_words import at


@dataclass
class Standing:
    """Times are Unix seconds; ``not_before`` is of the event loop's clock."""

    name: str
    size: int | None = None
    answered_at: int | None = None
    failing_since: int | None = None
    error: str = ""
    alarm: str = ""
    failures: int = 0
    not_before: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it answered the last time, and fits."""
        return not self.alarm and self.failing_since is None

    def in_words(self) -> str:
        """For people."""
        if self.alarm:
            return self.alarm
        if self.failing_since is not None:
            last = f"; it answered last on {at(self.answered_at)}" if self.answered_at is not None else ""
            return f"{self.name} has not answered since {at(self.failing_since)}{last}: {self.error}."
        return f"{self.name} holds the checkpoint of {self.size} leaves"
