"""Vectors of feeds that lie: pages that are signed, by stolen keys where it takes them, and are not what was read, or
are not the log's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from counterfoil.canonical import b64, canonical, parse_strict
from counterfoil.checkpoints import sign_checkpoint
from vectors.cast import LOG_SIGNER, START
from vectors.feed_pages import STATED, followed_log, page, statement
from vectors.make_log import SeededLog, reordered
from vectors.seeded import seed
from vectors.vector import JSONObject, Vector, refused

MakeVector = Callable[..., Vector]


def forged_feed_vectors(vector: MakeVector) -> list[Vector]:
    """``vector`` makes one of a name, what it shows, what is expected, and pages."""

    def bad(reason: str, name: str, shows: str, *pages: JSONObject) -> Vector:
        return vector(name, shows, refused(reason), *pages)

    found = [*_places(), *_bodies(), *_openings(), *_trees()]
    return [bad(*each) for each in found]


Bad = tuple[Any, ...]
"""Reason, name, what it shows, and the pages."""


def _places() -> list[Bad]:
    """Where a page goes on, and what the log has then."""
    log = followed_log()
    first, second = page(log, 0, 4, size=7), page(log, 4, size=7, at=STATED + 1)
    return [
        ("first", "a page is skipped", "leaves are read without a gap", second),
        ("first", "a page twice", "what was read is not read again", first, first),
        ("first", "a page that overlaps", "what was read is not read again", first, page(log, 3, size=7)),
        ("first", "a page beyond the log's end", "leaves are read without a gap", first, page(log, 7, size=7)),
        ("first", "another number for its first leaf", "it is the number of leaves that were read", first,
         second | {"first": 0}),
        ("size", "rolled back", "what was read is never taken back", page(log, size=7),
         page(log, 7, 7, size=6, at=STATED + 1)),
        ("size", "rolled back to nothing", "what was read is never taken back", page(log, size=7),
         page(log, 7, 7, size=0, at=STATED + 1)),
        ("size", "more leaves than the checkpoint has", "they are under it", page(log, 0, 7, size=6)),
        ("size", "one leaf that is not sealed yet", "they are under the checkpoint", page(log, size=7),
         page(log, 7, 8, size=7, at=STATED + 1)),
        ("leaves", "a page without the leaves that there are", "nothing is left out", page(log, 0, 0, size=7)),
        ("leaves", "a later page without the leaves that there are", "nothing is left out", first,
         page(log, 4, 4, size=7)),
    ]  # fmt: skip


def _bodies() -> list[Bad]:
    """Leaves that cannot be read, or stand at another place than they say."""
    log = followed_log()
    small = page(log, size=7)
    leaves = small["leaves"]

    def with_body(reason: str, name: str, shows: str, change: Callable[[str], str], number: int = 2) -> Bad:
        body = change(leaves[number]["body"])
        return (reason, name, shows, small | {"leaves": _replaced(leaves, number, body=body)})

    def saying(**members: Any) -> Callable[[str], str]:
        return lambda body: canonical(_value(body) | members).decode()

    return [
        with_body("form", "a blank in a body", "a body is canonical", lambda body: body.replace(",", ", ", 1)),
        with_body("form", "a body in another order", "a body is canonical", lambda body: reordered(_value(body))),
        with_body("form", "a body that is no JSON", "a body is canonical", lambda _: "{"),
        with_body("form", "a body with a member too many", "closed members", saying(w=1)),
        with_body("form", "a body of another version", "v is 1", saying(v=2)),
        with_body("form", "a body whose time is text", "types are those of a leaf", saying(at="1")),
        with_body("form", "a body whose digest is a number", "types are those of a leaf", saying(groups={"seat": 1})),
        with_body("form", "a body that has lost its ticket", "complete members", lambda body: canonical(
            {name: value for name, value in _value(body).items() if name != "ticket"}).decode()),
        with_body("index", "a body with another number", "n is the place", saying(n=3)),
        ("index", "leaves that changed places", "n is the place", small | {
            "leaves": [leaves[1], leaves[0], *leaves[2:]]}),
        ("index", "a leaf left out", "leaves have no gap", small | {"leaves": leaves[:3] + leaves[4:]}),
        ("index", "a leaf twice", "leaves have no gap", small | {"leaves": [*leaves[:3], *leaves[2:-1]]}),
        ("index", "the leaves of another page", "n is the place", page(log, 0, 3, size=7),
         page(log, 3, size=7, leaves=leaves[:4])),
        with_body("consistency", "another event", "the tree is over these bytes", saying(event="cancel")),
        with_body("consistency", "another ticket", "the tree is over these bytes", saying(ticket="cf_9")),
        with_body("consistency", "another time", "the tree is over these bytes", saying(at=START)),
    ]  # fmt: skip


def _openings() -> list[Bad]:
    """Openings of leaves that have to open."""
    log = followed_log()
    late = page(log, size=16)
    leaves = late["leaves"]
    redeem, suspend, revoke, record = 5, 9, 12, 15
    salt = str(leaves[redeem]["opening"]).rpartition('"salt":"')[2][:43]

    def with_opening(
        reason: str, name: str, shows: str, change: Callable[[str], str | None], number: int = redeem
    ) -> Bad:
        opening = change(leaves[number]["opening"])
        return (reason, name, shows, late | {"leaves": _replaced(leaves, number, opening=opening)})

    def telling(name: str, event: str, **groups: Any) -> Bad:
        told = SeededLog()
        told.add(event, "cf_1" if event == "redeem" else None, START, **groups)
        return ("group", name, "a leaf that is opened says it, as text", page(told))

    return [
        with_opening("opening", "a suspension that does not open", "what bars has to be known", lambda _: None,
                     suspend),
        with_opening("opening", "a revocation that does not open", "what bars has to be known", lambda _: None, revoke),
        with_opening("opening", "the opening of another leaf", "digests are salted",
                     lambda _: str(leaves[suspend]["opening"])),
        with_opening("opening", "another scope", "the digest is of another",
                     lambda text: text.replace("account:A-1", "account:A-2"), suspend),
        with_opening("opening", "another envelope", "the digest is of another",
                     lambda text: text.replace("digest one", "digest two")),
        with_opening("opening", "another record", "the digest is of another",
                     lambda text: text.replace("record two", "record one"), record),
        with_opening("opening", "a group too many", "the opening has the groups of its body",
                     lambda text: text.replace('"groups":{', '"groups":{"account":"A-1",')),
        with_opening("opening", "another salt", "the digest is under another",
                     lambda text: text.replace(salt, b64(seed("another salt")))),
        with_opening("opening", "an empty salt", "the digest is under another", lambda text: text.replace(salt, "")),
        with_opening("base64", "a salt with padding", "base64url has none here",
                     lambda text: text.replace(salt, f"{salt}=")),
        with_opening("form", "an opening with a member too many", "closed members",
                     lambda text: text[:-1] + ',"w":1}'),
        with_opening("form", "an opening with a blank", "an opening is canonical",
                     lambda text: text.replace(":", ": ", 1)),
        with_opening("form", "an opening that is no JSON", "an opening is canonical", lambda text: text[:-1]),
        with_opening("form", "an empty opening", "null where it is deleted", lambda _: "", suspend),
        telling("a redemption of no envelope", "redeem", capability="cap-1"),
        telling("a suspension of a number", "suspend", scope=1),
        telling("a resumption of nothing", "resume", scope=None),
        telling("a revocation without a scope", "revoke_scope", reason="a drill"),
        telling("a record of the roster without its digest", "roster", version=1),
    ]  # fmt: skip


def _trees() -> list[Bad]:
    """Leaves that can all be read, and are not those under the checkpoint, or not those read before."""
    log, other = followed_log(), SeededLog()
    for number in range(21):
        other.add("request", f"cf_{number}", START, envelope="digest", principal="agent", operation="refund")
    first = page(log, 0, 4)
    proof = first["consistency"]

    def under(name: str, shows: str, consistency: list[str], cut: int = 4) -> Bad:
        return ("consistency", name, shows, page(log, 0, cut, consistency=consistency))

    def signed(size: int, root: bytes, begin: int = 7, **changes: Any) -> JSONObject:
        note = sign_checkpoint(LOG_SIGNER, size, root)
        return page(log, begin, size, size=size) | {
            "checkpoint": note, "statement": statement(note), "consistency": [], **changes}  # fmt: skip

    whole = page(log, size=7)
    return [
        ("consistency", "the last leaf cut off", "the tree is over them all", page(log, size=7, leaves=page(
            log, 0, 6)["leaves"])),
        ("consistency", "the leaves of another log", "they are under the checkpoint", page(log, size=7, leaves=page(
            other, 0, 7)["leaves"])),
        ("consistency", "a fork of what was read", "what was read is the beginning of the log", whole,
         page(other, 7, at=STATED + 1)),
        ("consistency", "a fork of what was read, on two pages", "what was read is the beginning of the log", whole,
         page(other, 7, 9, at=STATED + 1)),
        ("consistency", "a fork without a new leaf", "one size has one root", whole,
         page(other, 7, 7, size=7, at=STATED + 1)),
        ("consistency", "another root under a signed size", "the root is over these leaves", signed(
            7, seed("a root"), 0)),
        ("consistency", "another root of a log without leaves", "it is the hash of nothing", signed(
            0, seed("a root"), 0)),
        ("consistency", "a proof after the last leaf", "there is nothing to prove", page(
            log, size=7, consistency=proof)),
        ("consistency", "a proof for a log without leaves", "there is nothing to prove", page(
            log, size=0, consistency=proof[:1])),
        under("without its proof", "the page's tree begins the checkpoint's", []),
        under("without its proof, of no power of two", "the page's tree begins the checkpoint's", [], 5),
        under("a hash too few", "the proof leads to the root", proof[:-1]),
        under("a hash too many", "the proof ends at the root", [*proof, proof[0]]),
        under("many hashes too many", "the proof ends at the root", [*proof, *[proof[0]] * 60]),
        under("hashes in another order", "the proof leads to the root", proof[::-1]),
        under("a hash that was swapped", "the proof leads to the root", [b64(seed("a hash")), *proof[1:]]),
        under("a hash too short", "32 bytes each", [b64(b"short"), *proof[1:]]),
        under("a hash in another base64", "base64url without padding", [f"{proof[0]}=", *proof[1:]]),
        under("the proof of another size", "the page's tree begins the checkpoint's",
              page(log, 0, 5)["consistency"]),
        under("another proof, of no power of two", "the proof leads to the page's own tree too",
              page(log, 0, 6)["consistency"], 5),
    ]  # fmt: skip


def _replaced(leaves: list[JSONObject], number: int, **changes: Any) -> list[JSONObject]:
    return [leaf | changes if place == number else leaf for place, leaf in enumerate(leaves)]


def _value(body: str) -> JSONObject:
    value = parse_strict(body.encode())
    assert isinstance(value, dict)
    return value
