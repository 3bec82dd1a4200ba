"""Checkpoints reach files, git, HTTP targets and witnesses, beside the work; nobody who fails keeps anybody waiting."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from counterfoil.checkpoints import check_proof, cosigned_at
from counterfoil.errors import TamperDetected
from counterfoil_server.publishing.http import send
from counterfoil_server.publishing.targets import FileTarget, GitTarget, URLTarget
from server.publishing.world import AT, Shelf, Watcher, forked, git, git_folder, opened, read

pytestmark = pytest.mark.anyio

URL = "http://shelf.example/log"


@contextmanager
def held_open(pipe: Path) -> Iterator[int]:
    """The reading end of a named pipe. It is at its end when the last process that wrote to it has ended."""
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield reading
    finally:
        os.close(reading)


async def test_one_note_with_its_cosignatures_is_in_every_place(tmp_path: Path) -> None:
    shelf, watchers = Shelf(), [Watcher(tmp_path / "w1"), Watcher(tmp_path / "w2")]
    witnesses = [each.at() for each in watchers]
    targets = [
        FileTarget(tmp_path / "published"),
        GitTarget(git_folder(tmp_path / "git")),
        URLTarget(URL, "secret", shelf.transport),
    ]
    async with opened(tmp_path / "log") as log:
        publisher = log.publisher(targets=targets, witnesses=witnesses, quorum=2)
        for size in (3, 3, 70):
            await log.grow(size - (log.sealer.checkpoint.size if log.sealer.checkpoint else 0))
            await publisher.round()
            assert all(each.ok for each in publisher.standings), publisher.standings
            note = (tmp_path / "published").read_text()
            assert read(note).size == size
            assert [cosigned_at(read(note), each.key) for each in witnesses] == [AT, AT]
            assert (tmp_path / "git" / "checkpoint").read_text() == note
            assert shelf.held == note.encode()
            assert note.startswith("desk.example/log\n")
            assert note.count("\n\n") == 1
    assert git(tmp_path / "git", "log", "--format=%s") == "70 leaves\n3 leaves"
    assert git(tmp_path / "git", "status", "--porcelain") == ""
    assert set(shelf.tokens) == {"Bearer secret"}


async def test_a_hanging_witness_delays_neither_sealing_nor_proofs_nor_the_other_places(tmp_path: Path) -> None:
    hanging, well = Watcher(tmp_path / "w1", hangs=True), Watcher(tmp_path / "w2")
    witness = well.at()
    async with opened(tmp_path / "log") as log, anyio.create_task_group() as group:
        publisher = log.publisher(
            targets=[FileTarget(tmp_path / "published")], witnesses=[hanging.at(), witness], patience=600
        )
        group.start_soon(publisher.run)
        await hanging.asked.wait()
        with anyio.fail_after(60):
            await log.grow(5)
            assert check_proof(await log.sealer.proof(4), (await log.store.leaves())[4].body, log.sealer.key)[0] == 4
        group.cancel_scope.cancel()
    async with opened(tmp_path / "log") as log:
        publisher = log.publisher(
            targets=[FileTarget(tmp_path / "published")], witnesses=[hanging.at(), witness], patience=2
        )
        await publisher.round()
        assert read((tmp_path / "published").read_text()).size == 5
        assert cosigned_at(read((tmp_path / "published").read_text()), witness.key) == AT
        [slow, _, _] = publisher.standings
        assert "The witness watcher.example/w1 has not answered since 2027-01-15 08:00:00 UTC" in slow.in_words()
        assert "no answer within 2 seconds" in slow.in_words()


async def test_whoever_was_away_gets_the_newest_checkpoint_and_the_log_says_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shelf, watcher = Shelf(status=503), Watcher(tmp_path / "w1", gone=True)
    async with opened(tmp_path / "log") as log:
        publisher = log.publisher(targets=[URLTarget(URL, None, shelf.transport)], witnesses=[watcher.at()], quorum=1)
        for _ in range(3):
            await log.grow()
            await publisher.round(everybody=True)
        said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(said) == 2
        assert any("has not answered since" in each and "502: down" in each for each in said)
        assert any("503 to GET" in each for each in said)
        shelf.status, watcher.gone = 200, False
        checks = await publisher.checks()
        assert [each["ok"] for each in checks] == [True, True]
        assert checks[0]["says"] == "The witness watcher.example/w1 holds the checkpoint of 3 leaves"
        assert read((shelf.held or b"").decode()).size == 3


async def test_who_failed_just_now_is_not_asked_at_once_again(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path / "w1", gone=True)
    async with opened(tmp_path / "log") as log:
        publisher = log.publisher(witnesses=[watcher.at()])
        await publisher.round()
        watcher.asked = anyio.Event()
        await publisher.round()
        assert not watcher.asked.is_set()
        await publisher.round(everybody=True)
        assert watcher.asked.is_set()


async def test_T50_a_log_that_was_set_back_is_told_by_all_who_saw_more_and_overwrites_nothing(tmp_path: Path) -> None:
    shelf, watcher = Shelf(), Watcher(tmp_path / "w1")
    folder = git_folder(tmp_path / "git")
    targets = [FileTarget(tmp_path / "published"), GitTarget(folder), URLTarget(URL, None, shelf.transport)]
    async with opened(tmp_path / "log") as log:
        await log.grow(4)
    await forked(tmp_path / "log", tmp_path / "back", 0)
    async with opened(tmp_path / "log") as log:
        await log.grow(3)
        await log.publisher(targets=targets, witnesses=[watcher.at()]).round()
    before = (tmp_path / "published").read_bytes()
    async with opened(tmp_path / "back") as log:
        publisher = log.publisher(targets=targets, witnesses=[watcher.at()])
        checks = await publisher.checks()
        assert [each["ok"] for each in checks] == [False] * 4
        for each, size in zip(checks, ("has seen 7 leaves", *["checkpoint of 7 leaves"] * 3), strict=True):
            assert size in each["says"]
            assert "it was cut, or is an older copy" in each["says"]
            assert "--accept-log" in each["remedy"]
        assert (tmp_path / "published").read_bytes() == (folder / "checkpoint").read_bytes() == shelf.held == before


async def test_T40_a_second_history_is_told_by_all_who_saw_the_first_and_overwrites_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf, watcher = Shelf(), Watcher(tmp_path / "w1")
    targets = [FileTarget(tmp_path / "published"), URLTarget(URL, None, shelf.transport)]
    async with opened(tmp_path / "log") as log:
        await log.grow(4)
    await forked(tmp_path / "log", tmp_path / "same", 3)
    await forked(tmp_path / "log", tmp_path / "longer", 5)
    async with opened(tmp_path / "log") as log:
        await log.grow(3)
        await log.publisher(targets=targets, witnesses=[watcher.at()]).round()
    before = shelf.held
    for name in ("same", "longer"):
        async with opened(tmp_path / name) as log:
            publisher = log.publisher(targets=targets, witnesses=[watcher.at()])
            await publisher.round()
            for each in publisher.standings:
                assert "7 leaves that are not those of this log: there are two histories" in each.in_words()
            assert before == shelf.held == (tmp_path / "published").read_bytes()
            assert not (log.folder / "checkpoint.cosigned").exists()
    assert sum(record.levelno == logging.CRITICAL for record in caplog.records) == 6


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (b"my shopping list", "no checkpoint"),
        (b"\xff\xfe", "no checkpoint"),
        (b"", "no checkpoint"),
        (b"x" * 100_000, "no checkpoint"),
        ("other", "another log"),
        ("forged", "did not sign"),
    ],
)
async def test_what_is_something_else_is_not_overwritten(tmp_path: Path, held: bytes | str, words: str) -> None:
    file = tmp_path / "published"
    async with opened(tmp_path / "log") as log:
        await log.grow(2)
        note = (log.folder / "checkpoint").read_text()
        if held == "other":
            held = note.replace("desk.example", "other.example").encode()
        elif held == "forged":
            held = note.replace("\n2\n", "\n1\n").encode()
        assert isinstance(held, bytes)
        file.write_bytes(held)
        publisher = log.publisher(targets=[FileTarget(file)])
        await publisher.round()
        assert words in publisher.standings[0].alarm
        assert file.read_bytes() == held


async def test_an_answer_that_is_none_is_a_failure_and_no_more(tmp_path: Path) -> None:
    shelf, watcher, other = Shelf(held=b"x" * 100_000), Watcher(tmp_path / "w1"), Watcher(tmp_path / "w2")
    answering = watcher.at()
    answering.key = other.at().key
    async with opened(tmp_path / "log") as log:
        await log.grow(2)
        publisher = log.publisher(
            targets=[URLTarget(URL, None, shelf.transport), URLTarget("http://:0/\x00", None), FileTarget(tmp_path)],
            witnesses=[answering],
        )
        await publisher.round()
        words = [each.in_words() for each in publisher.standings]
        assert "no cosignature of watcher.example/w2" in words[0]
        assert "too large" in words[1]
        assert "directory" in words[3]
        assert all("has not answered since" in each for each in words)


async def test_a_git_that_fails_is_told_in_its_own_words_and_a_hook_that_hangs_is_ended(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    hooked = git_folder(tmp_path / "hooked")
    hook = hooked / ".git" / "hooks" / "post-commit"
    hook.write_text(f"#!/bin/sh\nexec 3> {tmp_path / 'held'}\necho started >&3\nexec sleep 600\n")
    hook.chmod(0o755)
    with held_open(tmp_path / "held") as held:
        async with opened(tmp_path / "log") as log:
            await log.grow(2)
            publisher = log.publisher(targets=[GitTarget(plain), GitTarget(hooked)], patience=5)
            await publisher.round()
            assert "not a git repository" in publisher.standings[0].in_words()
            assert "no answer within 5 seconds" in publisher.standings[1].in_words()
            assert os.read(held, 100) == b"started\n"
            with anyio.fail_after(60):
                await anyio.wait_readable(held)
            assert os.read(held, 100) == b""
            assert not (hooked / ".git" / "index.lock").exists()
            hook.unlink()
            publisher = log.publisher(targets=[GitTarget(hooked)], patience=60)
            await publisher.round()
            assert publisher.standings[0].ok
    assert git(hooked, "log", "--format=%s") == "2 leaves"


async def test_a_proof_is_under_a_checkpoint_that_enough_witnesses_cosigned(tmp_path: Path) -> None:
    watchers = [Watcher(tmp_path / f"w{number}") for number in (1, 2)]
    witnesses = [each.at() for each in watchers]
    async with opened(tmp_path / "log") as log:
        publisher = log.publisher(witnesses=witnesses, quorum=2)
        await log.grow(3)

        async def proven(index: int) -> tuple[int, list[int | None]]:
            body = (await log.store.leaves())[index].body
            found, checkpoint = check_proof(await publisher.proof(index), body, log.sealer.key)
            assert found == index
            return checkpoint.size, [cosigned_at(checkpoint, each.key) for each in witnesses]

        assert await proven(1) == (3, [AT, AT])
        watchers[1].gone = True
        await log.grow(2)
        await publisher.round(everybody=True)
        assert await proven(2) == (3, [AT, AT])
        assert await proven(4) == (5, [None, None])
        watchers[1].gone = False
        await publisher.round(everybody=True)
        assert await proven(4) == (5, [AT, AT])
    async with opened(tmp_path / "log") as log:
        publisher = log.publisher(witnesses=witnesses, quorum=2)
        watchers[0].gone = watchers[1].gone = True
        await publisher.load()
        assert await proven(4) == (5, [AT, AT])


async def test_a_kept_checkpoint_that_does_not_fit_is_not_believed(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path / "w1")
    witness = watcher.at()
    async with opened(tmp_path / "log") as log:
        await log.grow(4)
        await log.publisher(witnesses=[witness], quorum=1).round()
        kept = log.folder / "checkpoint.cosigned"
        note = kept.read_text()
        await log.grow(1)
        kept.write_text(note.replace("— watcher.example/w1 ", "— watcher.example/w1  "))
        with pytest.raises(TamperDetected, match="no checkpoint"):
            await log.publisher(witnesses=[witness]).load()
        signature = note.rpartition(" ")[2].strip()
        kept.write_text(note.replace(signature, signature[:-4] + ("AAA=" if signature.endswith("=") else "AAAA")))
        with pytest.raises(TamperDetected, match="does not hold"):
            await log.publisher(witnesses=[witness]).load()


async def test_a_witness_that_others_have_told_is_followed(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path / "w1")
    async with opened(tmp_path / "log") as log:
        await log.grow(4)
        await log.publisher(witnesses=[watcher.at()]).round()
        await log.grow(2)
        again = log.publisher(witnesses=[watcher.at()])
        await again.round()
        assert again.standings[0].size == 6


class _Broken:
    """A place whose code has a mistake."""

    name = "The broken place"

    async def read(self) -> str | None:
        raise RuntimeError

    async def write(self, note: str, size: int) -> None:
        raise RuntimeError


async def test_a_place_with_a_mistake_in_its_code_keeps_nothing_from_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path / "log") as log:
        await log.grow(2)
        publisher = log.publisher(targets=[_Broken(), FileTarget(tmp_path / "published")])
        await publisher.round()
        broken, file = publisher.standings
        assert "RuntimeError" in broken.in_words()
        assert file.ok
    assert "The broken place failed" in caplog.text


async def test_what_comes_packed_is_not_unpacked() -> None:
    """A kilobyte can become a gigabyte."""
    packed, asked = gzip.compress(b" " * 10_000_000), []

    async def answer(request: Request) -> Response:
        asked.append(request.headers["accept-encoding"])
        return Response(packed, headers={"content-encoding": "gzip"})

    transport = httpx2.ASGITransport(Starlette(routes=[Route("/", answer)]))
    assert await send("GET", "http://target.example/", transport=transport) == (200, packed)
    assert asked == ["identity"]
