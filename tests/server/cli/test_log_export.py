"""``log export``: every leaf as it is stored, in pages, and verified on the way."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from counterfoil.canonical import unb64
from counterfoil.leaves import administered
from counterfoil.log import GENESIS, Leaf, check_link, opens
from counterfoil_server import config
from counterfoil_server.app import open_parts
from server.cli.lives import edit, paid
from server.cli.office import PROGRAM, Office, Program

MANY = 450
"""Leaves of more than two pages."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def many(office: Office) -> None:
    async with open_parts(config.load(office.folder / "counterfoil.toml")) as parts:
        await asyncio.gather(
            *(parts.store.append_leaf(administered("suspend", scope=f"account:{n}")) for n in range(MANY))
        )


def exported(office: Office, *arguments: str) -> list[dict[str, Any]]:
    ran = office.run("log", "export", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


async def test_what_is_exported_can_be_verified_with_the_key_alone(office: Office) -> None:
    await paid(office)
    edit(office, "UPDATE leaf SET opening = NULL WHERE number = 4")
    rows = exported(office)
    async with open_parts(config.load(office.folder / "counterfoil.toml")) as parts:
        key = parts.authority._secrets.log
    previous = GENESIS
    for number, row in enumerate(rows):
        assert list(row) == ["index", "body", "mac", "opening"]
        leaf = Leaf(row["index"], unb64(row["body"]), unb64(row["mac"]), row["opening"] and unb64(row["opening"]))
        assert leaf.index == number
        check_link(leaf, previous, key)
        assert (leaf.opening is None) == (number == 4)
        assert leaf.opening is None or opens(leaf.opening, leaf.values["groups"])
        previous = leaf.mac
    assert len(rows) == 8


async def test_many_leaves_come_in_pages_each_once_alone_and_served(office: Office) -> None:
    await many(office)
    alone = exported(office)
    assert [row["index"] for row in alone] == list(range(MANY))
    assert [row["index"] for row in exported(office, "--after", "440")] == list(range(441, MANY))
    assert exported(office, "--after", "9999") == exported(office, "--until", "2020-01-01") == []
    assert len(exported(office, "--until", "2099-01-01")) == MANY
    with office.running("serve", "--no-notices"):
        assert exported(office) == alone


EDITS = {
    "an edited body": ("UPDATE leaf SET body = x'7b7d' WHERE number = 300", 450, "Leaf 300 of the log"),
    "a removed leaf": ("DELETE FROM leaf WHERE number = 300", 449, "Leaf 300 of the log is missing."),
    "an edited opening": ("UPDATE leaf SET opening = x'7b7d' WHERE number = 300", 450, "The opening of leaf 300 of"),
}


@pytest.mark.parametrize("change", EDITS, ids=lambda name: name.replace(" ", "-"))
async def test_an_edited_log_is_exported_as_it_is_and_said_to_be_edited(office: Office, change: str) -> None:
    await many(office)
    sql, written, says = EDITS[change]
    assert edit(office, sql) == 1
    ran = office.run("log", "export")
    assert ran.code == 1
    assert len(ran.out.splitlines()) == written
    assert says in ran.err


@pytest.fixture(scope="module")
def office_of_many(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Office:
    """With many leaves, for tests that only read them."""
    office = Office.at(tmp_path_factory.mktemp("many") / "office", program)
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "desk", raising=False)
        asyncio.run(many(office))
    return office


@pytest.mark.parametrize("command", [("export",), ("tail",), ("tail", "--json"), ("search", "--json"), ("search",)])
def test_a_full_disk_under_the_output_is_told_in_words(office_of_many: Office, command: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" > /dev/full', "sh", *PROGRAM, "log", *command],
        cwd=office_of_many.folder, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if "--json" not in command:
        assert "could not be written as a whole: No space left on device." in " ".join(done.stderr.split())


def test_whoever_has_read_enough_may_stop_reading(office_of_many: Office) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1', "sh", *PROGRAM, "log", "export"],
        cwd=office_of_many.folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout)["index"] == 0
    assert done.stderr == ""
