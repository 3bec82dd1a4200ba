"""Signed checkpoints, cosignatures and proofs as texts; and each way in which one of them is not what it says."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterfoil.checkpoints import (
    LOG,
    WITNESS,
    FormerKey,
    NoteKey,
    NoteSigner,
    check_proof,
    cosign,
    cosigned_at,
    hand_over,
    read_as_of_then,
    read_checkpoint,
    sign_checkpoint,
    write_proof,
)
from counterfoil.errors import KeyFileError, ProofRefused
from counterfoil.tlog import Tree, leaf_hash

SIGNER = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.from_private_bytes(b"l" * 32))
OTHER = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.from_private_bytes(b"o" * 32))
WATCHER = NoteSigner.of("watcher.example", WITNESS, Ed25519PrivateKey.from_private_bytes(b"w" * 32))
BODIES = [f"leaf {number}".encode() for number in range(7)]
TREE = Tree(lambda level, number: [])
TREE.append([leaf_hash(body) for body in BODIES])
NOTE = sign_checkpoint(SIGNER, TREE.size, TREE.root())
PROOF = write_proof(3, TREE.inclusion(3), NOTE)


def test_a_checkpoint_says_whose_log_it_is_how_large_and_with_which_root() -> None:
    found = read_checkpoint(NOTE, SIGNER.key)
    assert (found.origin, found.size, found.root) == ("desk.example/log", 7, TREE.root())
    assert NOTE.startswith(f"desk.example/log\n7\n{base64.b64encode(TREE.root()).decode()}\n\n— desk.example/log ")


def test_a_key_has_one_text() -> None:
    text = SIGNER.key.to_text()
    assert NoteKey.from_text(text) == SIGNER.key
    name, number, key = text.split("+", 2)
    wrong = ["", name, f"{name}+{number}", f"{name}+{number}+{key[:-4]}", f"{name}+00000000+{key}", f"x{text}"]
    for each in [*wrong, f"{name}+{number}+{base64.b64encode(b'9' + b'k' * 32).decode()}", text.replace("+", " ", 1)]:
        with pytest.raises(KeyFileError):
            NoteKey.from_text(each)
    for name in ("", "a b", "a+b", "a\nb"):
        with pytest.raises(ValueError, match="name"):
            NoteSigner.of(name, LOG, SIGNER.private)


def test_a_checkpoint_that_is_handed_over_is_one_of_both_keys() -> None:
    both = hand_over(read_checkpoint(NOTE, SIGNER.key), OTHER)
    assert both.startswith(NOTE)
    assert read_checkpoint(both, SIGNER.key).root == read_checkpoint(both, OTHER.key).root == TREE.root()
    with pytest.raises(ProofRefused):
        read_checkpoint(NOTE, OTHER.key)
    with pytest.raises(ValueError, match="name"):
        hand_over(read_checkpoint(NOTE, SIGNER.key), NoteSigner.of("another/log", LOG, OTHER.private))


def test_a_former_key_counts_up_to_its_size() -> None:
    former = FormerKey(SIGNER.key, 7)
    assert read_as_of_then(NOTE, OTHER.key, [former]).size == 7
    assert check_proof(PROOF, BODIES[3], OTHER.key, [former])[0] == 3
    larger = sign_checkpoint(SIGNER, 8, TREE.root())
    for note, keys in ((NOTE, []), (NOTE, [FormerKey(SIGNER.key, 6)]), (larger, [former]), ("no note", [former])):
        with pytest.raises(ProofRefused):
            read_as_of_then(note, OTHER.key, keys)
    assert read_as_of_then(sign_checkpoint(OTHER, 8, TREE.root()), OTHER.key, [former]).size == 8


@pytest.mark.parametrize("place", range(len(NOTE.encode())))
def test_no_byte_of_a_checkpoint_can_be_changed(place: int) -> None:
    changed = bytearray(NOTE.encode())
    changed[place] ^= 1
    with pytest.raises((ProofRefused, UnicodeDecodeError)):
        read_checkpoint(changed.decode(), SIGNER.key)


@pytest.mark.parametrize("place", range(len(PROOF.encode())))
def test_no_byte_of_a_proof_can_be_changed(place: int) -> None:
    changed = bytearray(PROOF.encode())
    changed[place] ^= 1
    with pytest.raises((ProofRefused, UnicodeDecodeError)):
        check_proof(changed.decode(), BODIES[3], SIGNER.key)


def test_only_the_key_that_is_trusted_counts() -> None:
    with pytest.raises(ProofRefused, match="not signed by the key"):
        read_checkpoint(sign_checkpoint(OTHER, 7, TREE.root()), SIGNER.key)
    elsewhere = NoteSigner.of("other.example/log", LOG, SIGNER.private)
    with pytest.raises(ProofRefused, match=r"not of desk\.example/log"):
        read_checkpoint(sign_checkpoint(elsewhere, 7, TREE.root()), SIGNER.key)
    witness_only = replace(SIGNER.key, kind=WITNESS)
    with pytest.raises(ProofRefused):
        read_checkpoint(NOTE, witness_only)


def test_a_proof_is_of_one_leaf_at_one_place() -> None:
    assert check_proof(PROOF, BODIES[3], SIGNER.key)[0] == 3
    with pytest.raises(ProofRefused, match="does not lead"):
        check_proof(PROOF, BODIES[4], SIGNER.key)
    extra = PROOF.replace("\nindex", "\nextra aGVsbG8=\nindex", 1)
    assert check_proof(extra, BODIES[3], SIGNER.key)[0] == 3
    for wrong in ("", "x", NOTE, PROOF.replace("index 3", "index 03"), PROOF.replace("index 3", "place 3")):
        with pytest.raises(ProofRefused):
            check_proof(wrong, BODIES[3], SIGNER.key)


def test_a_witness_signs_what_it_saw_and_when() -> None:
    seen = read_checkpoint(NOTE, SIGNER.key)
    assert cosigned_at(seen, WATCHER.key) is None
    cosigned = read_checkpoint(NOTE + cosign(WATCHER, seen, 1_800_000_000), SIGNER.key)
    assert cosigned_at(cosigned, WATCHER.key) == 1_800_000_000
    assert cosigned.body == seen.body


def test_a_cosignature_is_of_one_checkpoint_and_one_time() -> None:
    smaller = read_checkpoint(sign_checkpoint(SIGNER, 6, TREE.root(6)), SIGNER.key)
    moved = read_checkpoint(NOTE + cosign(WATCHER, smaller, 1_800_000_000), SIGNER.key)
    with pytest.raises(ProofRefused, match="cosignature of watcher"):
        cosigned_at(moved, WATCHER.key)
    line = cosign(WATCHER, read_checkpoint(NOTE, SIGNER.key), 1_800_000_000)
    content = bytearray(base64.b64decode(line.split(" ")[2]))
    content[11] ^= 1
    later = f"— watcher.example {base64.b64encode(content).decode()}\n"
    with pytest.raises(ProofRefused):
        cosigned_at(read_checkpoint(NOTE + later, SIGNER.key), WATCHER.key)
    with pytest.raises(ProofRefused, match="two signatures"):
        cosigned_at(read_checkpoint(NOTE + line + line, SIGNER.key), WATCHER.key)


def test_signatures_of_others_are_left_unread_and_hide_nothing() -> None:
    seen = read_checkpoint(NOTE, SIGNER.key)
    assert read_checkpoint(NOTE + cosign(WATCHER, seen, 1), SIGNER.key).size == 7
    with pytest.raises(ProofRefused, match="two signatures"):
        read_checkpoint(NOTE + NOTE.partition("\n\n")[2], SIGNER.key)
    for bad in ("— desk.example/log\n", "- a b\n", "— a !!\n", "no line end", "\n"):
        with pytest.raises(ProofRefused):
            read_checkpoint(NOTE + bad, SIGNER.key)
    with pytest.raises(ProofRefused, match="no signed note"):
        read_checkpoint(NOTE + "x" * 70_000 + "\n", SIGNER.key)
