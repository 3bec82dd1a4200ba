"""The verifier in JavaScript (``examples/verify_in_node``), which shares no line with ours, finds what ours finds."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conformance.node import answers, run_node
from conformance.random_changes import changed_at_random
from counterfoil.audit import verify_bundle
from counterfoil.bundle import MAX_BUNDLE, Trust
from counterfoil.checkpoints import LOG, NoteKey, NoteSigner
from counterfoil.checkpoints import WITNESS as COSIGNS
from counterfoil.errors import EvidenceRefused
from counterfoil.keys import VerificationKey
from server.cli.office import Office, Program
from server.cli.signing import ANA, browser, enrolled, opened, payment
from vectors.core import answer
from vectors.make_bundles import attested, day
from vectors.vector import FOLDER, Vector, read_all, write

pytestmark = pytest.mark.anyio

DOES_NOT_HOLD = 5
CHANGES = 150


async def test_javascript_says_of_each_vector_what_the_core_says(verifier: Path) -> None:
    """``tests/vectors/test_vectors.py`` runs the same files through the core."""
    found = await answers(verifier, FOLDER)
    vectors = read_all()
    differ = [each.id for each in vectors if found[each.kind][each.name] != each.expected]
    assert differ == []
    assert sum(len(each) for each in found.values()) == len(vectors)


# Bundles of a real desk -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program.started() as started:
        yield started


@pytest.fixture
def office(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.delitem(sys.modules, "desk", raising=False)
    return Office.at(tmp_path / "office", program)


async def test_javascript_verifies_what_a_desk_has_just_written(verifier: Path, office: Office, tmp_path: Path) -> None:
    async with opened(office) as parts, browser(parts, office) as ana:
        await enrolled(parts, ana, ANA)
        paid, declined = await payment(parts, ana), await payment(parts, ana, "decline", amount="30.00")
    trust = tmp_path / "trust.json"
    trust.write_text(office.run("prove", "--trust").out)
    for number, ticket in enumerate((paid, declined)):
        bundle = tmp_path / f"bundle{number}.json"
        bundle.write_bytes(office.run("prove", ticket).out.encode())
        code, out, errors = await run_node("verify.mjs", bundle, "--trust", trust, "--json", folder=verifier)
        assert (code, errors) == (0, "")
        ours = verify_bundle(bundle.read_bytes(), Trust.from_bytes(trust.read_bytes()))
        told = [(each["status"], each["says"]) for each in json.loads(out)["findings"]]
        assert told == [(each.status, each.says) for each in ours.findings]
    code, out, _ = await run_node("verify.mjs", bundle, "--trust", trust, folder=verifier)
    assert "✓ Ana" in out
    assert "Everything that was looked at holds." in out

    body, huge = bundle.read_bytes(), b" " * (MAX_BUNDLE + 1)
    for changed in (
        huge,
        body.replace(b"30.00", b"99.00"),
        body + b"\n",
        body[:-1],
        b"",
        b"[" * 100_000,
        trust.read_bytes(),
    ):
        bundle.write_bytes(changed)
        code, out, errors = await run_node("verify.mjs", bundle, "--trust", trust, folder=verifier)
        assert code == DOES_NOT_HOLD
        assert "✗ " in out + errors
        assert "    at " not in errors
        assert ("too large" in errors) is (changed is huge)
    bundle.write_bytes(body)
    for arguments in ((bundle,), (bundle, "--trust", bundle), (bundle, "--trust", tmp_path / "none"), ()):
        code, _, errors = await run_node("verify.mjs", *arguments, folder=verifier)
        assert (code, errors[0]) == (2, "✗")


@pytest.mark.parametrize(
    ("name", "trust"),
    [
        ("executed", "trust"), ("unattended", "trust"), ("settled", "trust-no-log"), ("without-both-at-once", "trust"),
        ("cosigned-by-both-witnesses", "trust-two-witnesses"), ("cosigned-in-a-far-time", "trust-two-witnesses"),
        ("cosigned-by-one-of-two", "trust-two-witnesses"), ("cosigned-by-nobody", "trust-quorum-of-none"),
    ],
)  # fmt: skip
async def test_both_say_it_in_the_same_words(verifier: Path, name: str, trust: str) -> None:
    bundle, file = FOLDER / "bundles" / f"{name}.json", FOLDER / f"{trust}.json"
    _, out, errors = await run_node("verify.mjs", bundle, "--trust", file, "--json", folder=verifier)
    assert errors == ""
    ours = verify_bundle(bundle.read_bytes(), Trust.from_bytes(file.read_bytes())).findings
    fails = "does not hold. "  # why it does not may be said otherwise
    told = [(each["status"], each["says"].split(fails)[0]) for each in json.loads(out)["findings"]]
    assert told == [(each.status, each.says.split(fails)[0]) for each in ours]


TRUST = json.loads((FOLDER / "trust.json").read_bytes())
KEY = TRUST["roster_keys"][0]
LAST = {"version": 3, "digest": "x"}
KEY_ID = VerificationKey.from_jwk(KEY).id
WITNESS = json.loads((FOLDER / "trust-two-witnesses.json").read_bytes())["witnesses"][0]
FORMER = {"key": NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate()).key.to_text(), "size": 1}
LOG_AS_WITNESS = NoteKey("self.example", COSIGNS, NoteKey.from_text(TRUST["log_key"]).public).to_text()


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"v": True}, {"v": 1.0}, {"format": "counterfoil-bundle"}, {"more": 1}, {"executors": []},
        {"origins": []},
        {"roster_version": -1}, {"roster_version": "3"}, {"authority_keys": []},
        {"log_key": "desk.example/log+00000000+AA=="},
        {"witnesses": [WITNESS], "log_key": None}, {"witnesses": [WITNESS, WITNESS]}, {"quorum": 1}, {"quorum": -1},
        {"witnesses": [TRUST["log_key"]]}, {"witnesses": [WITNESS[:-1]]}, {"witnesses": [WITNESS], "quorum": 2},
        {"former_log_keys": [{"key": TRUST["log_key"], "size": -1}]}, {"former_log_keys": [{"key": TRUST["log_key"]}]},
        {"log_key": WITNESS}, {"former_log_keys": [{"key": WITNESS, "size": 1}]},
        {"former_log_keys": [{"key": TRUST["log_key"], "size": 1}]},
        {"former_log_keys": [FORMER, FORMER | {"size": 9}]}, {"witnesses": [LOG_AS_WITNESS], "quorum": 1},
        {"former_log_keys": [{"key": "x", "size": 1}]}, {"former_log_keys": None},
        {"replaced": {"another": LAST}}, {"replaced": {KEY_ID: LAST | {"version": -1}}}, {"replaced": None},
        {"replaced": {KEY_ID: LAST | {"more": 1}}}, {"replaced": {KEY_ID: {"version": 1}}}, {"replaced": []},
        {"witnesses": [WITNESS], "quorum": None}, {"witnesses": None}, {"witnesses": [WITNESS], "quorum": True},
        {"roster_keys": [KEY | {"d": KEY["x"]}]}, {"roster_keys": [KEY | {"y": KEY["x"]}]},
        {"roster_keys": [KEY | {"crv": "P-384"}]}, {"roster_keys": [KEY | {"x": f"{KEY['x']}="}]},
    ],
)  # fmt: skip
async def test_both_refuse_a_trust_file_that_cannot_be_used(verifier: Path, tmp_path: Path, changes: Any) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(TRUST | changes))
    with pytest.raises(EvidenceRefused):
        Trust.from_bytes(trust.read_bytes())
    bundle = FOLDER / "bundles" / "executed.json"
    code, _, errors = await run_node("verify.mjs", bundle, "--trust", trust, folder=verifier)
    assert (code, errors[0]) == (2, "✗")
    assert "    at " not in errors


# Bundles that were changed at random, and attested --------------------------------------------------------------------


async def test_both_find_the_same_in_bundles_that_were_changed_at_random(verifier: Path, tmp_path: Path) -> None:
    """The authority itself attests each, so that everything behind its signature is looked at; neither ever crashes."""
    chance = random.Random(39)  # noqa: S311 - the same each time
    (tmp_path / "bundles").mkdir()
    for name in ("trust.json", "trust-no-log.json"):
        shutil.copy(FOLDER / name, tmp_path / name)
    vectors = []
    names = sorted(day().contents)
    for number in range(CHANGES):
        value = changed_at_random(day().contents[chance.choice(names)], chance)
        file = f"bundles/{number}.json"
        (tmp_path / file).write_bytes(attested(value, "cf_1"))
        trust = chance.choice(("trust.json", "trust-no-log.json"))
        vectors.append(Vector(str(number), "", "bundle", {"file": file}, {}, trust=trust))
    write(tmp_path, "bundle", vectors)
    theirs = (await answers(verifier, tmp_path))["bundle"]
    ours = {vector.name: ours_of(vector, tmp_path) for vector in vectors}
    assert theirs == ours
    assert len({json.dumps(each) for each in ours.values()}) > 10, "they fail in many ways"


def ours_of(vector: Vector, folder: Path) -> dict[str, Any]:
    try:
        findings = answer(vector, folder)["findings"]
    except EvidenceRefused:
        return {"verdict": "refused", "fails": ["bundle"], "open": []}
    fails, stays = (
        list(dict.fromkeys(step for each, step in findings if each == status)) for status in ("fails", "open")
    )
    return {"verdict": "refused" if fails else "accepted", "fails": fails, "open": stays}
