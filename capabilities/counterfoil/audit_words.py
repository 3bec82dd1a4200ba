"""The lines of an audit: what holds, what does not, and what stays open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar

from counterfoil.errors import CounterfoilError

Status = Literal["holds", "fails", "open"]
T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One line."""

    status: Status
    says: str


@dataclass
class Report:
    """What was found, in the order in which it was looked at."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing that was looked at fails."""
        return not any(finding.status == "fails" for finding in self.findings)

    def of(self, status: Status) -> list[str]:
        """The lines of this kind."""
        return [finding.says for finding in self.findings if finding.status == status]

    def hold(self, says: str) -> None:
        """It holds."""
        self.findings.append(Finding("holds", says))

    def fail(self, says: str) -> None:
        """It does not."""
        self.findings.append(Finding("fails", says))

    def leave_open(self, says: str) -> None:
        """The bundle does not say."""
        self.findings.append(Finding("open", says))

    def check(self, what: str, work: Callable[[], T]) -> T | None:
        """What ``work`` answers; or None, and a line that ``what`` does not hold and why."""
        try:
            return work()
        except CounterfoilError as error:
            self.fail(f"{what} does not hold. {error.happened}")
            return None


def at(seconds: int) -> str:
    """Unix seconds as date and time in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"second {seconds}"
