"""The witness as it is served: the exchange of https://c2sp.org/tlog-witness, and what it keeps before it answers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from capabilities.test_witness import FORK, SIGNER, TRUE, asked, note_of, tree
from counterfoil.checkpoints import (
    LOG,
    WITNESS,
    NoteKey,
    NoteSigner,
    add_cosignature,
    cosigned_at,
    read_checkpoint,
)
from counterfoil.errors import KeyFileError, SettingsError, StoreFailed, TamperDetected
from counterfoil.tlog import Tree
from counterfoil.witness import MAX_SUBMISSION, Submission, write_submission
from counterfoil_server.witness import Memory, application
from counterfoil_server.witness.memory import KEY, MEMORY

pytestmark = pytest.mark.anyio

AT = 1_800_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Memory.create(tmp_path, "watcher.example/w1")
    return tmp_path


async def send(folder: Path, body: bytes, *logs: NoteKey, clock: Callable[[], float] = lambda: AT) -> httpx2.Response:
    """What a process that was started just now answers."""
    app = application(Memory.open(folder), logs or [SIGNER.key], clock=clock)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://witness.example") as http:
        return await http.post("/add-checkpoint", content=body)


def written(submission: Submission) -> bytes:
    return write_submission(submission.old, submission.proof, submission.note).encode()


async def ask(folder: Path, history: Tree, old: int, size: int) -> httpx2.Response:
    return await send(folder, written(asked(history, old, size)))


async def test_a_checkpoint_that_goes_on_from_the_last_is_cosigned_with_the_time(folder: Path) -> None:
    witness = Memory.open(folder).key
    for old, size in ((0, 4), (4, 9), (9, 9)):
        answered = await ask(folder, TRUE, old, size)
        assert (answered.status_code, answered.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        checkpoint = read_checkpoint(note_of(TRUE, size), SIGNER.key)
        assert cosigned_at(add_cosignature(checkpoint, answered.text, witness), witness) == AT
        assert answered.text.startswith("— watcher.example/w1 ")
        assert answered.text.endswith("\n")


async def test_a_log_that_was_cut_or_set_back_is_told_how_large_it_was(folder: Path) -> None:
    await ask(folder, TRUE, 0, 9)
    for old, size in ((0, 5), (4, 6), (5, 5), (0, 0)):
        answered = await ask(folder, TRUE, old, size)
        assert (answered.status_code, answered.text) == (409, "9\n")
        assert answered.headers["content-type"] == "text/x.tlog.size"
    assert (await ask(folder, TRUE, 9, 9)).status_code == 200


async def test_T40_two_histories_are_never_cosigned_whichever_process_is_asked(folder: Path) -> None:
    assert (await ask(folder, TRUE, 0, 6)).status_code == 200
    assert (await ask(folder, FORK, 6, 6)).status_code == 409
    assert (await ask(folder, FORK, 6, 9)).status_code == 422
    assert (await ask(folder, FORK, 0, 9)).status_code == 409
    assert (await ask(folder, FORK, 4, 9)).status_code == 409
    assert (await ask(folder, TRUE, 6, 9)).status_code == 200
    [kept] = folder.glob("second-history-*")
    assert read_checkpoint(kept.read_text(), SIGNER.key).root == FORK.root(6)


async def test_each_refusal_has_its_number_and_no_traceback(folder: Path) -> None:
    thief = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate())
    stranger = NoteSigner.of("other.example/log", LOG, Ed25519PrivateKey.generate())
    for body, status in (
        (written(asked(TRUE, 0, 6, thief)), 403),
        (written(asked(TRUE, 0, 6, stranger)), 404),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"old 0\n\n" + b"x" * MAX_SUBMISSION, 413),
    ):
        assert (await send(folder, body)).status_code == status
    assert (await send(folder, written(asked(TRUE, 0, 6, stranger)), SIGNER.key, stranger.key)).status_code == 200


async def test_logs_do_not_mix(folder: Path) -> None:
    other = NoteSigner.of("other.example/log", LOG, Ed25519PrivateKey.generate())
    both = (SIGNER.key, other.key)
    assert (await send(folder, written(asked(TRUE, 0, 9)), *both)).status_code == 200
    assert (await send(folder, written(asked(FORK, 0, 6, other)), *both)).status_code == 200
    assert (await send(folder, written(asked(FORK, 6, 9, other)), *both)).status_code == 200
    assert (await send(folder, written(asked(TRUE, 9, 9)), *both)).status_code == 200


async def test_of_two_that_ask_at_once_one_history_is_cosigned(folder: Path) -> None:
    app = application(Memory.open(folder), [SIGNER.key])
    histories = [tree(*(f"{number}/{leaf}" for leaf in range(3))) for number in range(8)]
    answers: list[int] = []
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://witness.example") as http:

        async def submit(history: Tree) -> None:
            answers.append((await http.post("/add-checkpoint", content=written(asked(history, 0, 3)))).status_code)

        async with anyio.create_task_group() as group:
            for history in histories:
                group.start_soon(submit, history)
    assert sorted(answers) == [200] + [409] * 7


async def test_what_cannot_be_kept_is_not_cosigned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        answered = await ask(folder, FORK, 0, 9)
        assert (answered.status_code, "—" in answered.text) == (503, False)
    assert (await ask(folder, TRUE, 0, 9)).status_code == 200


def _dies() -> float:
    """The clock of a witness that dies when it looks at it: its memory is on the disk, and nothing is signed yet."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _killed_before_it_answers(folder: Path, body: bytes) -> None:
    anyio.run(partial(send, folder, body, clock=_dies))


async def test_a_witness_killed_before_its_answer_remembers_what_it_would_have_cosigned(folder: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_killed_before_it_answers, args=(folder, written(asked(TRUE, 0, 6)))
    )
    process.start()
    await anyio.to_thread.run_sync(process.join)
    assert process.exitcode == -signal.SIGKILL
    assert (await ask(folder, FORK, 0, 6)).text == "6\n"
    assert (await ask(folder, FORK, 6, 9)).status_code == 422
    assert (await ask(folder, TRUE, 6, 6)).status_code == 200


def _edited(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        value = json.loads((folder / MEMORY).read_text())
        change(value)
        (folder / MEMORY).write_text(json.dumps(value))

    return edit


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": lambda folder: (folder / MEMORY).unlink(),
    "empty": lambda folder: (folder / MEMORY).write_bytes(b""),
    "cut": lambda folder: (folder / MEMORY).write_bytes((folder / MEMORY).read_bytes()[:-9]),
    "no text": lambda folder: (folder / MEMORY).write_bytes(b"\xff\xff"),
    "deep": lambda folder: (folder / MEMORY).write_text("[" * 100_000),
    "a list": lambda folder: (folder / MEMORY).write_text("[]"),
    "a log forgotten": _edited(lambda value: value["memory"]["logs"].clear()),  # type: ignore[index]
    "a size": _edited(lambda value: value["memory"]["logs"]["desk.example/log"].update(size=3)),  # type: ignore[index]
    "the name": _edited(lambda value: value["memory"].update(name="w2")),  # type: ignore[attr-defined]
    "unsigned": _edited(lambda value: value.pop("signature")),
    "of another witness": lambda folder: (folder / MEMORY).write_bytes(_of_another(folder)),
}


def _of_another(folder: Path) -> bytes:
    other = folder / "other"
    other.mkdir()
    Memory.create(other, "watcher.example/w1")
    return (other / MEMORY).read_bytes()


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_witness_that_cannot_trust_its_memory_does_not_start(folder: Path, damage: str) -> None:
    await ask(folder, TRUE, 0, 6)
    DAMAGE[damage](folder)
    with pytest.raises(TamperDetected, match=r"missing|damaged") as refused:
        Memory.open(folder)
    assert "new key" in refused.value.remedy


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff"])
async def test_a_witness_without_its_key_does_not_start(folder: Path, content: bytes) -> None:
    (folder / KEY).write_bytes(content)
    with pytest.raises(KeyFileError):
        Memory.open(folder)
    (folder / KEY).unlink()
    with pytest.raises(KeyFileError, match="missing"):
        Memory.open(folder)


async def test_a_witness_is_made_once_and_under_a_name_that_can_be_one(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="already"):
        Memory.create(folder, "watcher.example/w1")
    for name in ("", "a b", "a+b", "x" * 300):
        with pytest.raises(KeyFileError, match="no name"):
            Memory.create(tmp_path / "elsewhere", name)


def test_it_watches_logs_by_keys_that_sign_logs_and_each_once(folder: Path) -> None:
    memory = Memory.open(folder)
    witness = NoteSigner.of("w", WITNESS, Ed25519PrivateKey.generate())
    other = NoteSigner.of(SIGNER.key.name, LOG, Ed25519PrivateKey.generate())
    for logs in ([], [witness.key], [SIGNER.key, other.key]):
        with pytest.raises(SettingsError):
            application(memory, logs)


async def test_a_witness_whose_key_is_under_a_passphrase_does_not_start(folder: Path) -> None:
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a passphrase")
    )
    (folder / KEY).write_bytes(locked)
    with pytest.raises(KeyFileError, match="damaged"):
        Memory.open(folder)


async def test_a_memory_that_cannot_be_read_is_no_empty_one(folder: Path) -> None:
    (folder / MEMORY).unlink()
    (folder / MEMORY).mkdir()
    with pytest.raises(StoreFailed, match="cannot be read"):
        Memory.open(folder)
