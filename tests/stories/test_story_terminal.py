"""The story as people see it: ``counterfoil demo`` in a terminal, through the command line, to its end.

And what makes its verdict worth something: with one rule of the policy taken out, the story says so and fails.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "support_desk"
SCENES = 22


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "support_desk"
    shutil.copytree(EXAMPLE, copied, ignore=shutil.ignore_patterns("state", "__pycache__", "*.pem"))
    return copied


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "counterfoil_server.cli", "demo", "--config", str(folder / "counterfoil.toml")]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    environment.pop("SUPPORT_DESK_DATABASE", None)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, cwd=folder.parent)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def verdicts(output: str) -> dict[str, str]:
    """Scene → its last line, from the telling (not from the table at the end)."""
    told = output.partition("Summary ─")[0]
    found = re.findall(r"^\d+\. (.+?)\n(?:.+\n)*?(✗ refused|✓ done|✗ FAILED)", told, flags=re.MULTILINE)
    return dict(found)


def test_the_story_ends_by_itself_with_every_attack_refused_and_all_requests_done(folder: Path) -> None:
    before = files(folder)
    played = demo(folder)
    assert (played.returncode, played.stderr) == (0, "")
    told = verdicts(played.stdout)
    assert len(told) == SCENES
    assert [scene for scene, verdict in told.items() if verdict == "✓ done"] == [
        "Maria: refund of 39.00 EUR",
        "Marco: credit of 12.50 EUR",
        "Sabine: account unlocked",
    ]
    assert list(told.values()).count("✗ refused") == SCENES - 3
    assert played.stdout.rstrip().endswith(f"✓ {SCENES - 3} attacks refused, 3 requests done exactly once.")
    assert max(len(line) for line in played.stdout.splitlines()) <= 80
    assert "\x1b" not in played.stdout
    # Everything was thrown away: nothing is left in the desk's own folder.
    assert files(folder) == before


def test_the_story_fails_and_names_the_scene_if_the_policy_stops_counting_a_days_refunds(folder: Path) -> None:
    policy = folder / "policy.cedar"
    rule = ' &&\n  context.counters.total_24h.lessThanOrEqual(decimal("50.00"))'
    text = policy.read_text()
    assert text.count(rule) == 1
    policy.write_text(text.replace(rule, ""))
    played = demo(folder)
    assert played.returncode == 1
    failed = [scene for scene, verdict in verdicts(played.stdout).items() if verdict == "✗ FAILED"]
    assert failed == ["Split a refund into slices"]
    assert f"✗ 1 of {SCENES} scenes did not go as expected:" in played.stdout
    assert "the second slice of a day needs finance" in played.stdout


def test_T38_the_story_fails_and_names_the_scene_if_the_policy_lets_a_tainted_agent_act_alone(folder: Path) -> None:
    policy = folder / "policy.cedar"
    text = policy.read_text()
    assert text.count(" && !context.tainted") == 1
    policy.write_text(text.replace(" && !context.tainted", ""))
    played = demo(folder)
    assert played.returncode == 1
    failed = [scene for scene, verdict in verdicts(played.stdout).items() if verdict == "✗ FAILED"]
    assert failed == ["Start over in a new chat"]
    assert "the new chat is trusted no more than the old one" in played.stdout


def test_the_story_fails_if_the_shop_changes_behind_a_refusal(folder: Path) -> None:
    """A desk whose preview already moves money: every request is an effect, and the books tell on it."""
    business = folder / "business.py"
    text = business.read_text()
    reading = 'row = database.execute("SELECT * FROM customers WHERE number = ?", (number,)).fetchone()\n'
    assert text.count(reading) == 1
    leak = "database.execute(\"UPDATE payments SET version = version + 1 WHERE method = 'TWINT'\")\n            "
    business.write_text(text.replace(reading, leak + reading))
    played = demo(folder)
    assert played.returncode == 1
    assert "nothing changed in the shop" in played.stdout


def test_the_books_are_the_shops_own_database(folder: Path) -> None:
    """What the story reads is what the shop wrote, not what Counterfoil says of it."""
    sys.path.insert(0, str(EXAMPLE))
    import seed
    from business import Business
    from story_books import Books

    database = folder / "shop.db"
    seed.create(database)
    books = Books(database)
    assert (books.unchanged, books.in_words()) == (True, "nothing changed")
    Business(database).refund("t-1", "NL-26017", 3900, "EUR", "1")
    assert (books.unchanged, books.added("t-1"), books.entries_added) == (False, 1, 1)
    assert books.in_words() == "39.00 EUR refunded"
    books.mark()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE payments SET refunded = refunded + 1 WHERE order_number = 'NL-26017'")
    assert books.in_words() == "changed, but not by an operation"
