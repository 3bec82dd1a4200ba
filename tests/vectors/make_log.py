"""Vectors of leaves, and of proofs that they are on the log; and the log that bundles are proven by."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from counterfoil.bundle import BundledLeaf, LeafProof
from counterfoil.canonical import b64, canonical, parse_strict
from counterfoil.checkpoints import WITNESS, NoteSigner, cosign, read_checkpoint, sign_checkpoint, write_proof
from counterfoil.log import GENESIS, LeafDraft, seal
from counterfoil.tlog import Tile, Tree, leaf_hash, read_tile
from vectors.cast import LOG_SIGNER, NEXT_LOG, START, STRANGE_LOG
from vectors.seeded import ed25519, seed
from vectors.vector import JSONObject, Vector, accepted, refused


@dataclass
class SeededLog:
    """A log whose salts are the same each time. Its leaves are those of tickets, and others between them."""

    leaves: list[BundledLeaf] = field(default_factory=list)

    def add(self, event: str, ticket: str | None, at: int, /, **groups: Any) -> BundledLeaf:
        """Record something."""
        number = len(self.leaves)
        draft = LeafDraft(event, ticket, groups, salt=seed(f"salt of leaf {number} {event} {ticket}"))
        body, _ = seal(draft, index=number, at=at, previous=GENESIS, key=seed("chain"))
        self.leaves.append(BundledLeaf(body=body.decode(), opening=draft.opening.decode()))
        return self.leaves[-1]

    def tree(self, size: int | None = None) -> Tree:
        """The tree over the first leaves."""
        tiles: dict[tuple[int, int], Tile] = {}
        tree = Tree(lambda level, place: tiles[level, place])
        for leaf in self.leaves[:size]:
            tiles |= {(level, place): read_tile(full) for level, place, full in tree.append([_hash(leaf)])}
        return tree

    def proof(self, number: int, *, size: int | None = None, signer: NoteSigner = LOG_SIGNER, after: str = "") -> str:
        """The proof of a leaf; ``after`` stands after the checkpoint's own signature."""
        tree = self.tree(size)
        note = sign_checkpoint(signer, tree.size, tree.root())
        return write_proof(number, tree.inclusion(number), note + after)

    def proofs(self, *leaves: BundledLeaf) -> list[LeafProof]:
        """The proof of each of these leaves."""
        places = [self.leaves.index(leaf) for leaf in leaves]
        return [LeafProof(leaf=place, proof=self.proof(place)) for place in places]


def _hash(leaf: BundledLeaf) -> bytes:
    return leaf_hash(leaf.body.encode())


def small_log() -> SeededLog:
    """Seven leaves, no power of two; those at 1, 2 and 4 are of ``cf_1``."""
    log = SeededLog()
    log.add("roster", None, START - 10, version=1)
    log.add("request", "cf_1", START, envelope="digest", principal="agent", operation="refund")
    log.add("statement", "cf_1", START + 10, statement="digest", seat="holder", decision="approve", person="ann")
    log.add("request", "cf_2", START + 11, envelope="digest", principal="agent", operation="refund")
    log.add("report_executed", "cf_1", START + 20, outcome={"receipt": {"reference": "R-1", "amount": 0.5}})
    log.add("approve", "cf_2", START + 30)
    log.add("suspend", None, START + 40, scope="account:A-1")
    return log


def leaf_vectors() -> list[Vector]:
    """One leaf each, with its opening."""
    log = small_log()
    request, signed, reported = log.leaves[1], log.leaves[2], log.leaves[4]

    def vector(
        name: str, shows: str, expected: JSONObject, leaf: BundledLeaf = signed, *, ticket: str = "cf_1", **changes: Any
    ) -> Vector:
        given = leaf.model_dump() | {"ticket": ticket} | changes
        return Vector(name, shows, "leaf", given, expected)

    def facts(leaf: BundledLeaf, number: int, event: str, opened: bool = True) -> JSONObject:
        opening = parse_strict((leaf.opening or "").encode())
        assert isinstance(opening, dict)
        values = opening["groups"] if opened else None
        return accepted(n=number, event=event, values=values, hash=b64(leaf_hash(leaf.body.encode())))

    body, opening = signed.body, signed.opening or ""
    salt = opening.rpartition('"salt":"')[2][:43]
    parsed = parse_strict(body.encode())
    assert isinstance(parsed, dict)
    groups = parsed["groups"]
    swapped = parsed | {"groups": groups | {"seat": groups["person"], "person": groups["seat"]}}
    fewer = parsed | {"groups": {name: value for name, value in groups.items() if name != "person"}}
    return [
        vector("honest", "body and opening", facts(signed, 2, "statement")),
        vector("of a request", "the first leaf of a ticket", facts(request, 1, "request"), request),
        vector("with values of every kind", "groups may be any JSON", facts(reported, 4, "report_executed"), reported),
        vector("without groups", "nothing to open", facts(log.leaves[5], 5, "approve"), log.leaves[5], ticket="cf_2"),
        vector("with its opening deleted", "the leaf stays", facts(signed, 2, "statement", False), opening=None),
        vector("the opening of another leaf", "digests are salted", refused("opening"), opening=request.opening),
        vector("a changed value", "the digest is of another", refused("opening"),
               opening=opening.replace("ann", "eve")),
        vector("another salt", "the digest is under another", refused("opening"),
               opening=opening.replace(salt, b64(seed("another salt")))),
        vector("digests that changed places", "each group has a salt of its own", refused("opening"),
               body=canonical(swapped).decode()),
        vector("a digest removed", "the opening has the groups of its body", refused("opening"),
               body=canonical(fewer).decode()),
        vector("a group more in the opening", "the opening has the groups of its body", refused("opening"),
               opening=opening.replace('"groups":{', '"groups":{"account":"A-1",')),
        vector("groups in another order", "a body is canonical JSON", refused("form"), body=reordered(parsed)),
        vector("a blank in the body", "a body is canonical JSON", refused("form"), body=body.replace(":", ": ", 1)),
        vector("a blank in the opening", "an opening is canonical JSON", refused("form"),
               opening=opening.replace(":", ": ", 1)),
        vector("a number in another spelling", "an opening is canonical JSON", refused("form"), reported,
               opening=(reported.opening or "").replace("0.5", "0.50")),
        vector("a number that no reader holds", "an opening is strict JSON", refused("form"), reported,
               opening=(reported.opening or "").replace("0.5", "1e+300")),
        vector("nested too deeply", "an opening is strict JSON", refused("form"), reported,
               opening=(reported.opening or "").replace("0.5", "[" * 33 + "]" * 33)),
        vector("a member too many in the opening", "closed members", refused("form"),
               opening=opening[:-1] + ',"w":1}'),
        vector("a member too many", "closed members", refused("form"), body=body[:-1] + ',"w":1}'),
        vector("another version", "v is 1", refused("form"), body=body.replace('"v":1', '"v":2')),
        vector("a version that is true", "v is 1, an integer", refused("form"), body=body.replace('"v":1', '"v":true')),
        vector("a line's end", "nothing follows", refused("form"), body=f"{body}\n"),
        vector("of another ticket", "a leaf is of one ticket", refused("ticket"), ticket="cf_2"),
        vector("of no ticket's life", "events are those of tickets", refused("event"),
               body=body.replace('"statement","groups"', '"suspend","groups"')),
    ]  # fmt: skip


def reordered(body: dict[str, Any]) -> str:
    """The body with its groups from last to first."""
    groups = ",".join(f'"{name}":"{body["groups"][name]}"' for name in sorted(body["groups"], reverse=True))
    plain = canonical(body | {"groups": {}}).decode()
    return plain.replace('"groups":{}', f'"groups":{{{groups}}}')


def proof_vectors() -> list[Vector]:
    """Proofs that a leaf is on the log."""
    log = small_log()

    def vector(
        name: str, shows: str, expected: JSONObject, proof: str, number: int = 2, *, trust: str = "trust.json"
    ) -> Vector:
        return Vector(name, shows, "proof", {"body": log.leaves[number].body, "proof": proof}, expected, trust=trust)

    def after(name: str, shows: str, expected: JSONObject, size: int, *signers: NoteSigner) -> Vector:
        """Of a log whose key was replaced after six leaves."""
        first, *others = signers
        proof = log.proof(2, size=size, signer=first)
        for other in others:
            proof += log.proof(2, size=size, signer=other).rpartition("\n\n")[2]
        return vector(name, shows, expected, proof, trust="trust-log-key-replaced.json")

    honest = log.proof(2)
    lines = honest.split("\n")
    witness = NoteSigner.of("witness.example", WITNESS, ed25519("witness"))
    note = honest.partition("\n\n")[2]
    cosigned = cosign(witness, read_checkpoint(note, LOG_SIGNER.key), START)
    stranger = f"— somebody.example {base64.b64encode(bytes(68)).decode()}\n"
    own = note.rpartition("\n\n")[2]
    body = f"{note.partition(chr(10) * 2)[0]}\n".replace("\n7\n", "\n07\n")
    raw = LOG_SIGNER.key.id + LOG_SIGNER.private.sign(body.encode())
    zero = f"{body}\n— {LOG_SIGNER.key.name} {base64.b64encode(raw).decode()}\n"
    first = base64.b64encode(leaf_hash(log.leaves[0].body.encode())).decode()
    return [
        *(
            vector(f"of leaf {number} of {size}", "trees of every shape", accepted(index=number, size=size),
                   log.proof(number, size=size), number)
            for number, size in ((0, 1), (1, 2), (2, 3), (2, 7), (4, 5), (4, 7), (6, 7))
        ),
        vector("with an extra line", "which has no meaning here", accepted(index=2, size=7),
               honest.replace("\nindex", "\nextra YQ==\nindex")),
        vector("with a cosignature", "others may sign as well", accepted(index=2, size=7),
               log.proof(2, after=cosigned)),
        vector("with a signature of somebody unknown", "it is left unread", accepted(index=2, size=7),
               log.proof(2, after=stranger)),
        after("by the key that the log has now", "it is the trusted one", accepted(index=2, size=7), 7, NEXT_LOG),
        after("by the key of then, as far as it counts", "proofs from before hold", accepted(index=2, size=6), 6,
              LOG_SIGNER),
        after("by the key of then, of a smaller log", "proofs from before hold", accepted(index=2, size=3), 3,
              LOG_SIGNER),
        after("by both", "the last checkpoint of one is the first of the other", accepted(index=2, size=6), 6,
              LOG_SIGNER, NEXT_LOG),
        after("by the key of then, of a larger log", "a stolen key signs what its thief likes", refused("signature"), 7,
              LOG_SIGNER),
        after("by a key that the log never had", "the keys are the trusted ones", refused("signature"), 6, STRANGE_LOG),
        vector("of another leaf", "the path is from these bytes", refused("path"), honest, 4),
        vector("a swapped hash", "the path leads elsewhere", refused("path"), honest.replace(lines[2], first)),
        vector("hashes in another order", "the path leads elsewhere", refused("path"),
               honest.replace(f"{lines[2]}\n{lines[3]}", f"{lines[3]}\n{lines[2]}")),
        vector("a hash too few", "the path ends before the root", refused("path"), honest.replace(f"{lines[2]}\n", "")),
        vector("a hash too many", "the path is longer than the tree is high", refused("path"),
               honest.replace("\n\n", f"\n{first}\n\n", 1)),
        vector("another index", "the path is from a place", refused("path"), honest.replace("index 2", "index 3")),
        vector("an index beyond the tree", "it names no leaf", refused("index"), honest.replace("index 2", "index 7")),
        vector("a hash that is none", "32 bytes each", refused("index"), honest.replace(lines[2], "YQ==")),
        vector("an index with a zero before it", "numbers in their only spelling", refused("form"),
               honest.replace("index 2", "index 02")),
        vector("no proof", "the first line says what it is", refused("form"), honest.replace("@v1", "@v2")),
        vector("without a checkpoint", "a proof ends in one", refused("form"), honest.partition("\n\n")[0] + "\n"),
        vector("another size", "the checkpoint is signed", refused("signature"), honest.replace("\n7\n", "\n8\n")),
        vector("under the root of another tree", "the path leads elsewhere", refused("path"),
               honest.partition("\n\n")[0] + "\n\n" + log.proof(2, size=6).partition("\n\n")[2]),
        vector("by another key of that name", "the key is the trusted one", refused("signature"),
               log.proof(2, signer=STRANGE_LOG)),
        vector("of another log", "the origin is the key's name", refused("log"),
               log.proof(2, signer=NoteSigner.of("other.example/log", 1, ed25519("log")))),
        vector("signed twice", "a second signature by one key makes a note worthless", refused("signature"),
               log.proof(2, after=own)),
        vector("not signed", "a note has a signature", refused("form"), honest.replace(own, "")),
        vector("a signature line that is none", "a note's lines can all be read", refused("form"),
               log.proof(2, after=stranger.replace("—", "-"))),
        vector("a size with a zero before it", "numbers in their only spelling", refused("form"),
               honest.partition("\n\n")[0] + "\n\n" + zero),
        vector("without its last line's end", "a note ends with one", refused("form"), honest[:-1]),
    ]  # fmt: skip
