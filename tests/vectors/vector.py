"""What a vector is, as it stands in the files: docs/spec/vectors.md says it in words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KINDS = ("json", "capability", "order", "presented", "feed", "statement", "roster", "leaf", "proof", "bundle")
TRUST = "trust.json"

JSONObject = dict[str, Any]


@dataclass(frozen=True)
class Vector:
    """One vector. ``trust`` names a trust file beside it; ``expected`` has ``verdict`` and what goes with that."""

    name: str
    shows: str
    kind: str
    given: JSONObject
    expected: JSONObject
    trust: str = field(default=TRUST, kw_only=True)

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.name}"

    @property
    def is_good(self) -> bool:
        return bool(self.expected["verdict"] == "accepted")


def accepted(**facts: Any) -> JSONObject:
    """What a verifier answers of something that holds."""
    return {"verdict": "accepted", "facts": facts}


def refused(reason: str) -> JSONObject:
    """What a verifier answers of something that does not."""
    return {"verdict": "refused", "reason": reason}


def write(folder: Path, kind: str, vectors: list[Vector]) -> None:
    """One file of vectors, one member in a line."""
    values = [asdict(vector) for vector in vectors]
    text = json.dumps({"format": "counterfoil-vectors", "v": 1, "kind": kind, "vectors": values}, indent=1)
    (folder / f"{kind}.json").write_text(text + "\n")


def read(kind: str, folder: Path = FOLDER) -> list[Vector]:
    """The vectors of a kind."""
    return [Vector(**value) for value in json.loads((folder / f"{kind}.json").read_text())["vectors"]]


def read_all(folder: Path = FOLDER) -> list[Vector]:
    """Every vector."""
    return [vector for kind in KINDS for vector in read(kind, folder)]
