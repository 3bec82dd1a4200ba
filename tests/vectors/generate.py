"""Write every vector: ``cd tests && python -m vectors.generate``. The same each time; a test compares the files."""

from __future__ import annotations

import json
from pathlib import Path

from counterfoil.canonical import canonical
from vectors.cast import everybody, roster_value, trust_file
from vectors.make_bundles import bundle_files, bundle_vectors
from vectors.make_delegates import delegate_vectors
from vectors.make_feed import feed_vectors
from vectors.make_log import leaf_vectors, proof_vectors
from vectors.make_orders import order_vectors
from vectors.make_presented import presented_vectors
from vectors.make_replaced import replaced_trusts, replaced_vectors
from vectors.make_roster import roster_vectors
from vectors.make_statements import statement_vectors
from vectors.make_tokens import capability_vectors, json_vectors
from vectors.vector import FOLDER, write

TRUSTS = {
    "trust.json": trust_file(),
    "trust-no-log.json": trust_file(log=False),
    "trust-later-roster.json": trust_file(version=10),
    "trust-first-day.json": trust_file(version=0),
    "trust-two-witnesses.json": trust_file(quorum=2),
    "trust-quorum-of-none.json": trust_file(quorum=0),
    "trust-log-key-replaced.json": trust_file(former=6),
    **replaced_trusts(),
}


def generate(folder: Path) -> None:
    """Write trust files, the roster, bundles and vectors into the folder."""
    for name, trust in TRUSTS.items():
        (folder / name).write_text(json.dumps(trust.model_dump(mode="json"), indent=2) + "\n")
    (folder / "people.json").write_text(json.dumps(roster_value(everybody()), indent=1) + "\n")
    write(folder, "json", json_vectors())
    write(folder, "capability", capability_vectors())
    write(folder, "order", order_vectors())
    write(folder, "presented", presented_vectors())
    write(folder, "feed", feed_vectors())
    write(folder, "statement", statement_vectors())
    write(folder, "roster", roster_vectors() + delegate_vectors() + replaced_vectors())
    write(folder, "leaf", leaf_vectors())
    write(folder, "proof", proof_vectors())
    write(folder, "bundle", bundle_vectors())
    (folder / "bundles").mkdir(exist_ok=True)
    for name, content in bundle_files().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    generate(FOLDER)
    print(canonical({"written": str(FOLDER)}).decode())
