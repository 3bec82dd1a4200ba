"""``make bench``: print every figure with its goal and write ``bench/results.json``.

Ratios, measured within this run; goals are what we hold ourselves to, and no test asserts them. How long a revocation
takes to be refused is given in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Goal:
    """A figure's goal; ``at_most`` says on which side of it we want to be."""

    value: float
    at_most: bool
    unit: str
    words: str


GOALS = {
    "read_ratio": Goal(1.10, True, "x of a bare server's call", "a plain read, p50"),
    "request_ratio": Goal(1.8, True, "x of a bare server's call", "a request, p50"),
    "personal_read_ratio": Goal(1.0, True, "x of a bare call and two commits", "a read of one person's records, p50"),
    "request_commits": Goal(1, True, "durable commits", "a request"),
    "rss_ratio": Goal(1.35, True, "x of a bare server", "resident memory"),
    "start_ratio": Goal(1.8, True, "x of a bare server", "start to first answer"),
    "store_redeem_ratio": Goal(0.7, False, "x of raw updates", "the store's redeem verb, 64 at once"),
    "redeem_overhead": Goal(1.5, True, "x of its own parts", "authority.redeem"),
    "seal_ratio": Goal(0.15, False, "x of hashing leaves alone", "sealing the log"),
    "proof_ratio": Goal(
        1.5, True, "x of its raw signature checks", "an executor's check of an order with two passkeys"
    ),
    "log_overhead": Goal(1.1, True, "x of the same without the log", "a request and its redemption"),
    "growth_ratio": Goal(1.25, True, "x of a thousand tickets", "request, redemption and status at a million tickets"),
    "proof_growth": Goal(2.0, True, "x of one out of ten thousand", "the proof of a leaf out of ten million"),
}


def main() -> None:
    """Measure everything and write it down."""
    from bench import growth, logged, outside, personal, proving, redemption, revoking, sealing, serving

    console = Console()
    console.print("In process ...")
    figures = asyncio.run(redemption.measure())
    figures |= asyncio.run(personal.measure())
    figures |= asyncio.run(proving.measure())
    figures |= asyncio.run(logged.measure())
    figures |= asyncio.run(sealing.measure())
    console.print("A million tickets ...")
    figures |= asyncio.run(growth.measure())
    console.print("Whole servers ...")
    figures |= asyncio.run(serving.measure())
    latencies = asyncio.run(revoking.measure())
    latencies["at an executor outside"] = asyncio.run(outside.measure())
    table = Table("figure", "what", "value", "goal", "")
    for name, goal in GOALS.items():
        reached = figures[name] <= goal.value if goal.at_most else figures[name] >= goal.value
        sign = "≤" if goal.at_most else "≥"
        table.add_row(
            name, goal.words, f"{figures[name]:.2f}", f"{sign} {goal.value}", "reached" if reached else "missed"
        )
    console.print(table)
    console.print("From revoking to the refusal, milliseconds (of this machine and its disk; no goal):")
    for where, (middle, worst) in latencies.items():
        console.print(f"  {where}: p50 {middle:.1f}, p99 {worst:.1f}")
    content: dict[str, dict[str, object]] = {
        name: {"value": round(figures[name], 3), "goal": goal.value, "unit": goal.unit} for name, goal in GOALS.items()
    }
    for where, (middle, worst) in latencies.items():
        content[f"revoked to refused, {where}"] = {"p50": round(middle, 1), "p99": round(worst, 1), "unit": "ms"}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
