"""``init``: what it writes works as it is, and nothing that was there is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from counterfoil_server import config
from counterfoil_server.cli.init import FILES
from docs.served import free_port, served
from server.cli.office import Program, Ran

ROOT = Path(__file__).resolve().parents[3]


def run(program: Program, folder: Path, *arguments: str) -> Ran:
    return program.run(list(arguments), folder, {**os.environ, "COLUMNS": "100"}, "")


@pytest.fixture
def starter(program: Program, tmp_path: Path) -> Path:
    """A folder that ``init`` has made."""
    assert run(program, tmp_path, "init", "shop").code == 0
    return tmp_path / "shop"


def test_it_says_what_it_wrote_and_the_next_two_commands(program: Program, tmp_path: Path) -> None:
    ran = run(program, tmp_path, "init", "my shop")
    assert ran.code == 0
    assert {path.name for path in (tmp_path / "my shop").iterdir()} == set(FILES)
    assert all(name in ran.out for name in FILES)
    assert ran.out.endswith("  cd 'my shop' && counterfoil policy test\n  counterfoil demo --stay\n")


def test_without_a_folder_it_writes_here(program: Program, tmp_path: Path) -> None:
    answer = run(program, tmp_path, "init", "--json").json
    assert answer["written"] == list(FILES)
    assert answer["next"] == ["counterfoil policy test", "counterfoil demo --stay"]
    assert (tmp_path / "desk.py").exists()


def test_the_next_commands_work(program: Program, starter: Path) -> None:
    checked = run(program, starter, "policy", "check")
    assert (checked.code, checked.err) == (0, "")
    tested = run(program, starter, "policy", "test", "--json")
    assert tested.code == 0
    assert tested.json["failed"] == 0
    assert tested.json["passed"] >= 8
    origin = f"http://localhost:{free_port()}"
    (starter / "counterfoil.toml").write_text(f'desk = "desk:desk"\npolicy = "policy.cedar"\npublic_url = "{origin}"\n')
    with served(starter, "demo", "--stay") as demo:
        assert demo["mcp"] == f"{origin}/mcp"


def test_its_own_tests_pass(starter: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=starter, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout


def test_it_passes_the_strict_type_checker(starter: Path) -> None:
    cache = ROOT / ".mypy_cache" / "strict"
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(cache),
            "desk.py", "conftest.py", "test_desk.py",
        ],
        cwd=starter, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_each_setting_that_it_shows_is_one_and_has_the_default_shown(starter: Path) -> None:
    path = starter / "counterfoil.toml"
    plain = config.load(path).settings
    lines = [line.removeprefix("# ") for line in path.read_text().splitlines()]
    shown = [line for line in lines if line.startswith("[") or " = " in line.split("#")[0]]
    path.write_text("\n".join(shown))
    full = config.load(path).settings
    assert full.smtp is not None
    assert full.port == config.Configuration(plain, starter).port
    assert full.model_copy(update={"smtp": None, "port": None}) == plain


@pytest.mark.parametrize("name", [name for name in FILES if name != ".gitignore"])
@pytest.mark.parametrize("how", ["file", "folder", "dangling link"])
def test_nothing_is_written_where_one_of_the_files_is_there(
    program: Program, tmp_path: Path, name: str, how: str
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    match how:
        case "file":
            (folder / name).write_text("mine")
        case "folder":
            (folder / name).mkdir()
        case _:
            (folder / name).symlink_to(tmp_path / "elsewhere")
    ran = run(program, tmp_path, "init", "shop", "--json")
    assert (ran.code, ran.error["code"]) == (1, "already_there")
    assert name in ran.error["happened"]
    assert [path.name for path in folder.iterdir()] == [name]
    assert not (tmp_path / "elsewhere").exists()
    if how == "file":
        assert (folder / name).read_text() == "mine"


def test_a_gitignore_is_left_as_it_is_and_what_to_add_is_said(program: Program, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    ran = run(program, tmp_path, "init")
    assert ran.code == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert "state/ and roster-key.pem" in ran.said


def test_a_place_where_nothing_can_be_written_is_told_without_a_traceback(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = run(program, tmp_path, "init", "file/shop", "--json")
    assert ran.code == 1
    assert "Not a directory" in ran.error["happened"]
