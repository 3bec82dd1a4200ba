"""``log tail`` and ``log search``: one line a leaf, page by page, and new ones as they come."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from server.cli.lives import HOSTILE_NOTE, edit, paid
from server.cli.office import PROGRAM, Office, Served


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def lines(office: Office, *arguments: str) -> list[dict[str, object]]:
    ran = office.run("log", "tail", *arguments, "--json")
    assert ran.code == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


async def test_the_newest_are_shown_last_one_line_each(office: Office) -> None:
    ticket, ana = await paid(office)
    told = office.run("log", "tail", width=40).out.splitlines()
    assert [line.split("  ")[1] for line in told] == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert f"{ana} made a passkey" in told[1]
    assert f"bot asked for pay  {ticket} pay A-1" in told[2]
    assert "The executor reported: done" in told[7]
    assert [leaf["index"] for leaf in lines(office, "--limit", "2")] == [6, 7]
    assert lines(office)[3]["ticket"] == ticket
    assert HOSTILE_NOTE not in office.run("log", "tail").out


def test_an_empty_log_says_so(office: Office) -> None:
    office.json("tickets", "list")
    assert "The log is empty." in office.run("log", "tail").said
    assert lines(office) == []
    assert "No leaf of the log fits." in office.run("log", "search").said


@contextmanager
def following(office: Office, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*PROGRAM, "log", "tail", "--follow", *arguments], cwd=office.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_new_leaves_are_shown_as_they_come_and_ctrl_c_is_a_good_end(office: Office, served: Served) -> None:
    office.json("suspend", "operation:pay", "--reason", "first")
    with following(office, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["values"]["reason"] == "first"
        for verb in ("resume", "suspend"):
            office.json(verb, "operation:pay")
            assert json.loads(process.stdout.readline())["event"] == verb
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")


def test_following_goes_on_when_the_server_ends_and_another_starts(office: Office) -> None:
    office.json("suspend", "operation:pay")
    with following(office) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "operation:pay was suspended" in process.stdout.readline()
        assert "No process serves this desk at the moment" in process.stderr.readline()
        office.json("resume", "operation:pay")
        with office.running("serve", "--no-notices"):
            assert "operation:pay was resumed" in process.stdout.readline()
            office.json("suspend", "operation:pay")
            assert "operation:pay was suspended" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0


async def test_a_search_finds_by_what_tickets_and_leaves_tell(office: Office) -> None:
    _, ana = await paid(office)
    office.json("suspend", "account:A-2")

    def found(*arguments: str) -> list[int]:
        return [leaf["index"] for leaf in office.json("log", "search", *arguments)["leaves"]]

    assert found("--person", ana) == [0, 1, 3]
    assert found("--account", "A-1") == found("--principal", "bot") == found("--operation", "pay") == [2, 3, 4, 5, 6, 7]
    assert found("--account", "A-2") == [8]
    assert found("--event", "redeem") == [6]
    assert found("--account", "A-1", "--person", ana) == [3]
    now = datetime.now(UTC)
    assert found("--until", "2026-01-01") == found("--since", f"{now.year + 1}-01-01T00:00:00Z") == []
    assert len(found("--since", "2020-01-01T00:00", "--until", f"{now.year + 1}-01-01")) == 9


async def test_a_search_is_paged(office: Office) -> None:
    await paid(office)
    first = office.json("log", "search", "--account", "A-1", "--limit", "4")
    assert ([leaf["index"] for leaf in first["leaves"]], first["more_after"]) == ([2, 3, 4, 5], 5)
    second = office.json("log", "search", "--account", "A-1", "--limit", "4", "--after", "5")
    assert ([leaf["index"] for leaf in second["leaves"]], second["more_after"]) == ([6, 7], None)
    said = office.run("log", "search", "--limit", "4").said
    assert "There may be more: add --after 3 to go on." in said
    assert "There may be more" not in office.run("log", "search").said


def test_a_mistyped_event_or_time_is_told(office: Office) -> None:
    office.json("tickets", "list")
    said = office.run("log", "search", "--event", "approved").said
    assert "There is no event approved; known are approve, cancel," in said
    for arguments in (("--since", "yesterday"), ("--until", "0001-01-01"), ("--since", "2026-02-30")):
        ran = office.run("log", "search", *arguments, "--json")
        assert (ran.code, ran.error["code"]) == (2, "usage"), arguments
        assert "Write it as 2026-11-26" in ran.error["remedy"]
    swapped = office.run("log", "search", "--since", "2026-02-02", "--until", "2026-02-01")
    assert (swapped.code, "--since is after --until." in swapped.said) == (2, True)


async def test_an_edit_is_named_by_every_list(office: Office) -> None:
    await paid(office)
    edit(office, "DELETE FROM leaf WHERE event = 'statement'")
    searched = office.run("log", "search", "--event", "redeem", width=200)
    assert (searched.code, "Leaf 3 of the log is missing." in searched.err) == (1, True)
    as_json = office.run("log", "search", "--event", "redeem", "--json")
    assert (as_json.code, as_json.json["broken"]) == (1, "Leaf 3 of the log is missing.")
    tailed = office.run("log", "tail", width=200)
    assert tailed.code == 1
    assert "Leaf 4: Leaf 3, which it should follow, is missing." in tailed.said
    assert "✗ Leaf 3, which it should follow, is missing." in tailed.out
    assert office.run("log", "tail", "--limit", "2").code == 1
    assert office.run("log", "tail", "--json").code == 1
