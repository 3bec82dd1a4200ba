"""Code in the documents is code: desks pass the type checker and load, policies load or are refused as said."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from counterfoil_server import config
from docs.snippets import DOCUMENTS, ROOT, blocks, documents_with, files, write

LOAD = """
import sys
from itertools import pairwise
from pathlib import Path
from counterfoil_server import config
configuration = config.load(Path("counterfoil.toml"))
configuration.desk
print(configuration.load_policy().digest)
"""

JUDGE = """
import sys
from itertools import pairwise
from pathlib import Path
from counterfoil.errors import PolicyError
from counterfoil.policy import Policy
from counterfoil_server import config
desk = config.load(Path("counterfoil.toml")).desk
try:
    Policy.load(sys.stdin.read(), desk)
except PolicyError as error:
    print(error.happened, error.remedy, sep="\\n")
"""


def run(code: str, folder: Path, text: str = "", **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, input=text, capture_output=True, text=True, timeout=120,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("document", names(documents_with("desk.py")))
def test_a_documented_desk_loads_with_its_policy_and_settings(document: str, tmp_path: Path) -> None:
    write(ROOT / document, tmp_path)
    (tmp_path / "counterfoil.toml").touch()
    if "counterfoil.toml" not in files(ROOT / document):
        (tmp_path / "counterfoil.toml").write_text('desk = "desk:desk"\npolicy = "policy.cedar"\n')
    if "policy.cedar" not in files(ROOT / document):
        (tmp_path / "policy.cedar").touch()
    assert len(run(LOAD, tmp_path)) > 40


@pytest.mark.parametrize(
    "document", names([path for name in ("desk.py", "agent.py", "signing.py") for path in documents_with(name)])
)
def test_documented_python_passes_the_strict_type_checker(document: str, tmp_path: Path) -> None:
    write(ROOT / document, tmp_path)
    checked = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir",
            str(ROOT / ".mypy_cache" / "strict"), *(name for name in files(ROOT / document) if name.endswith(".py")),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_the_readme_shows_twenty_lines_of_desk_and_a_short_policy() -> None:
    shown = files(ROOT / "README.md")
    assert len([line for line in shown["desk.py"].splitlines() if line.strip()]) <= 26
    assert len([line for line in shown["policy.cedar"].splitlines() if line.strip()]) <= 8


@pytest.mark.parametrize("document", names(documents_with("counterfoil.toml")))
def test_documented_settings_are_accepted(document: str, tmp_path: Path) -> None:
    write(ROOT / document, tmp_path)
    assert config.load(tmp_path / "counterfoil.toml").settings.desk == "desk:desk"


def policies(word: str) -> list[str]:
    return [
        f"{document.relative_to(ROOT)}" for document in DOCUMENTS for block in blocks(document) if word in block.words
    ]


@pytest.mark.parametrize("document", sorted(set(policies("loads"))))
def test_a_policy_said_to_load_loads(document: str, tmp_path: Path) -> None:
    for block in blocks(ROOT / document):
        if "loads" in block.words:
            assert judged(block.body, tmp_path) == "", block.body


@pytest.mark.parametrize("document", sorted(set(policies("refused"))))
def test_a_policy_said_to_be_refused_is_refused_in_the_words_shown(document: str, tmp_path: Path) -> None:
    found = blocks(ROOT / document)
    for block, following in pairwise(found):
        if "refused" in block.words:
            assert following.language == "text"
            assert judged(block.body, tmp_path) == following.body


def test_documented_cases_are_as_the_example_answers_them(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        for block in blocks(document):
            if "cases" in block.words:
                (tmp_path / "cases.toml").write_text(block.body, encoding="utf-8")
                code, said = in_the_example(f"counterfoil policy test {tmp_path / 'cases.toml'}", tmp_path)
                assert code == 0, said


def test_the_examples_policy_answers_its_cases_as_expected(tmp_path: Path) -> None:
    code, said = in_the_example("counterfoil policy test", tmp_path)
    assert code == 0, said


def test_a_documented_command_answers_as_shown(tmp_path: Path) -> None:
    shown = [block for document in DOCUMENTS for block in blocks(document) if block.words == ("example",)]
    assert shown
    for block in shown:
        command, answer = re.split(r"(?<!\\)(?<!,)\n", block.body.removeprefix("$ "), maxsplit=1)
        assert in_the_example(command, tmp_path) == (0, answer)


def in_the_example(command: str, folder: Path) -> tuple[int, str]:
    """Run a command line in the folder of the example desk: its exit code, and what it says."""
    program, *arguments = shlex.split(command.replace("\\\n", " "))
    assert program == "counterfoil"
    done = subprocess.run(
        [sys.executable, "-m", "counterfoil_server.cli", *arguments], cwd=ROOT / "examples" / "support_desk",
        env=os.environ | {"SUPPORT_DESK_DATABASE": str(folder / "shop.db"), "COLUMNS": "120"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def judged(policy: str, folder: Path) -> str:
    """What the example desk says of the policy; nothing where it loads."""
    database = {"SUPPORT_DESK_DATABASE": str(folder / "shop.db")}
    return run(JUDGE, ROOT / "examples" / "support_desk", policy, **database)
