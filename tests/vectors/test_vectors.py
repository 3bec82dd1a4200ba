"""Every vector through the trusted core: what is good is accepted with its facts, what is bad is refused, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from counterfoil.errors import CounterfoilError, EvidenceRefused
from vectors.core import SENTENCES, answer
from vectors.generate import generate
from vectors.vector import FOLDER, KINDS, Vector, read_all

VECTORS = read_all()
BUNDLES = [vector for vector in VECTORS if vector.kind == "bundle"]
OTHERS = [vector for vector in VECTORS if vector.kind != "bundle"]


@pytest.mark.parametrize("vector", OTHERS, ids=lambda vector: vector.id)
def test_the_core_says_what_the_vector_expects(vector: Vector) -> None:
    if vector.is_good:
        assert answer(vector) == vector.expected["facts"]
        return
    with pytest.raises(CounterfoilError) as refusal:
        answer(vector)
    sentences = SENTENCES[vector.expected["reason"]]
    assert any(sentence in refusal.value.happened for sentence in sentences), refusal.value.happened


@pytest.mark.parametrize("vector", BUNDLES, ids=lambda vector: vector.id)
def test_the_core_finds_in_a_bundle_what_the_vector_expects(vector: Vector) -> None:
    if vector.expected["fails"] == ["bundle"]:
        with pytest.raises(EvidenceRefused):
            answer(vector)
        return
    found = answer(vector)
    assert found["holds"] is vector.is_good

    def steps(status: str) -> list[str]:
        return list(dict.fromkeys(step for each, step in found["findings"] if each == status))

    assert (steps("fails"), steps("open")) == (vector.expected["fails"], vector.expected["open"])


def test_there_are_enough_of_each_kind() -> None:
    good = Counter(vector.kind for vector in VECTORS if vector.is_good)
    bad = Counter(vector.kind for vector in VECTORS if not vector.is_good)
    assert set(good) == set(bad) == set(KINDS)
    assert min(good.values()) >= 5
    assert min(bad.values()) >= 10
    assert sum(bad.values()) >= 200
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)


def test_the_files_are_what_their_generator_writes(tmp_path: Path) -> None:
    """Nothing in them is random, and nothing was edited: the keys, salts and signatures are made from names."""
    (tmp_path / "bundles").mkdir()
    generate(tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.json")}
    assert written == {path.relative_to(FOLDER) for path in FOLDER.rglob("*.json")}
    for path in written:
        assert (tmp_path / path).read_bytes() == (FOLDER / path).read_bytes(), path


def test_every_file_is_named_by_a_vector() -> None:
    named = {vector.trust for vector in VECTORS} | {vector.given["file"] for vector in BUNDLES}
    named |= {vector.given["roster"] for vector in VECTORS if "roster" in vector.given}
    named |= {f"{kind}.json" for kind in KINDS}
    assert named == {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")}
