"""What an administrator sees of a ticket, in a shape that tests compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from counterfoil.canonical import parse_strict
from counterfoil.values import Receipt


@dataclass(frozen=True)
class Ticket:
    """``state``: one of those of the reference, such as ``executed``. ``waiting_for``: while it is pending, what is
    enough, as alternatives. ``refusal``: why nobody can approve it. ``reason``: why it ended without an effect, or
    why nobody knows. ``values``: everything else, as ``counterfoil tickets show --json`` has it."""

    id: str
    state: str
    operation: str
    account: str | None
    principal: str
    waiting_for: tuple[str, ...]
    refusal: str | None
    receipt: Receipt | None
    reason: str | None
    values: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Ticket:
        """From the administration's JSON."""
        outcome = parse_strict(values["outcome"].encode()) if values["outcome"] else {}
        ended: dict[str, Any] = outcome if isinstance(outcome, dict) else {}
        return cls(
            id=values["ticket"],
            state=values["state"],
            operation=values["operation"],
            account=values["account"],
            principal=values["principal"],
            waiting_for=tuple(values["waiting_for"]),
            refusal=values["refusal"],
            receipt=Receipt.model_validate(ended["receipt"]) if "receipt" in ended else None,
            reason=ended.get("reason"),
            values=values,
        )
