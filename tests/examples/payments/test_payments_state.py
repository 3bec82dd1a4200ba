"""A state folder that cannot be used: the service says so in one sentence, with what to do, and does not start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.payments.bureau import ORDERS_TOKEN, Bureau
from examples.payments.feed_server import FEED_TOKEN
from payments_service.__main__ import main

pytestmark = pytest.mark.anyio

NOBODY = 65534


def a_file_in_its_place(state: Path) -> None:
    state.write_text("something else")


def no_rights(state: Path) -> None:
    state.mkdir(mode=0)


def read_only(state: Path) -> None:
    state.mkdir(mode=0o555)


def nowhere_to_make_it(state: Path) -> None:
    state.parent.chmod(0o555)


def a_lock_of_somebody_else(state: Path) -> None:
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    (state / "lock").touch(mode=0o400)


def a_ledger_that_is_read_only(state: Path) -> None:
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    (state / "ledger.db").touch(mode=0o444)


def a_folder_in_place_of_the_ledger(state: Path) -> None:
    (state / "ledger.db").mkdir(parents=True)
    state.chmod(0o777)


@pytest.mark.parametrize(
    ("made", "why", "remedy"),
    [
        (a_file_in_its_place, "The state folder state cannot be used: File exists.", "Name another as 'state'"),
        (no_rights, "The state folder state cannot be used: Permission denied.", "let this user write in it"),
        (read_only, "The state folder state cannot be used: Permission denied.", "let this user write in it"),
        (nowhere_to_make_it, "The state folder state cannot be used: Permission denied.", "Name another as 'state'"),
        (a_lock_of_somebody_else, "The state folder state cannot be used: Permission denied.", "let this user write"),
        (a_ledger_that_is_read_only, "state/ledger.db cannot be opened:", "Let this user write in it"),
        (a_folder_in_place_of_the_ledger, "state/ledger.db cannot be opened:", "Let this user write in it"),
    ],
)
async def test_a_state_folder_that_cannot_be_used_is_said_in_one_sentence(
    bureau: Bureau,
    made: Callable[[Path], None],
    why: str,
    remedy: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FEED", FEED_TOKEN)
    monkeypatch.setenv("ORDERS", ORDERS_TOKEN)
    monkeypatch.chdir(bureau.folder)  # nobody else may look into the folders above
    bureau.folder.chmod(0o777)
    for name in ("payments.toml", "trust.json"):
        Path(name).chmod(0o644)
    made(bureau.folder / "state")
    with without_rights():
        code = main(["--config", "payments.toml"])
    bureau.folder.chmod(0o700)
    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith(why)
    assert remedy in said
    assert said.count("\n") == 1


@contextmanager
def without_rights() -> Iterator[None]:
    """Nobody in particular, where the tests run as the one who may do everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
