"""Pages of the feed that were changed by chance: JavaScript and the core hear the same of them, or refuse them alike.

``COUNTERFOIL_EXPLORE=full`` tries a hundred times as many.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from conformance.node import answers
from conformance.random_feeds import RandomFeeds
from vectors.core import agrees
from vectors.vector import FOLDER, write

pytestmark = pytest.mark.anyio

ROUNDS = 100 if os.environ.get("COUNTERFOIL_EXPLORE") == "full" else 1
A_ROUND = 150


async def test_both_hear_the_same_of_pages_that_were_changed_at_random(verifier: Path, tmp_path: Path) -> None:
    """Neither ever crashes."""
    for name in ("trust.json", "trust-no-log.json", "trust-log-key-replaced.json"):
        shutil.copy(FOLDER / name, tmp_path / name)
    found: Counter[str] = Counter()
    for round_ in range(ROUNDS):
        feeds = RandomFeeds(random.Random(43 + round_))  # noqa: S311 - the same each time
        vectors = [feeds.vector(str(number)) for number in range(A_ROUND)]
        write(tmp_path, "feed", vectors)
        said = (await answers(verifier, tmp_path))["feed"]
        differ = [(each.name, said[each.name]) for each in vectors if not agrees(said[each.name], each, tmp_path)]
        assert differ == [], round_
        found.update(each.get("reason", "accepted") for each in said.values())
    assert found["accepted"] > ROUNDS * A_ROUND // 20
    assert len(found) > 15, found
