"""What the log hands out is checked by Go's own packages for transparency logs, ``sumdb/note`` and ``sumdb/tlog``."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.world import LOG_KEY
from conformance.golang import environment
from counterfoil.checkpoints import LOG, NoteSigner
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer
from server.store.world import leaf

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("go")]


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    program = folder / "check"
    source = Path(__file__).parent / "go" / "check.go"
    command = ["go", "build", "-o", str(program), str(source)]
    subprocess.run(command, env=environment(folder / "cache"), check=True, timeout=300)
    return program


def check(checker: Path, given: dict[str, Any]) -> tuple[int, str]:
    ran = subprocess.run([checker], input=json.dumps(given), capture_output=True, text=True, timeout=60)
    return ran.returncode, ran.stdout.strip()


async def test_go_finds_every_kind_of_leaf_in_a_log_that_grew(checker: Path, tmp_path: Path) -> None:
    signer = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate())
    async with SQLiteStore.open(tmp_path / "store.db", log_key=LOG_KEY) as store:
        sealer = await Sealer.open(store, signer, tmp_path / "checkpoint")
        for number in range(3):
            await store.append_leaf(leaf(f"event_{'abc'[number]}"))
        await sealer.seal()
        earlier = (tmp_path / "checkpoint").read_text()
        draft = leaf("many")
        for _ in range(300):
            await store.append_leaf(draft)
        await sealer.seal()
        consistency, newest = await sealer.consistency(3)
        assert newest.size == 303
        for index in (0, 2, 3, 255, 256, 302):
            [found] = await store.leaves(after=index - 1, limit=1)
            given = {
                "key": signer.key.to_text(),
                "proof": await sealer.proof(index),
                "body": base64.b64encode(found.body).decode(),
                "earlier": earlier,
                "consistency": [base64.b64encode(each).decode() for each in consistency],
            }
            assert check(checker, given) == (0, f"leaf {index} of 303, after 3")
            edited = given | {"body": base64.b64encode(found.body + b" ").decode()}
            assert check(checker, edited)[0] == 1
        assert check(checker, given | {"consistency": given["consistency"][:-1]})[0] == 1
        stranger = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate())
        assert check(checker, given | {"key": stranger.key.to_text()})[0] == 1
