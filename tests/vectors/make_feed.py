"""Vectors of the feed: what an executor outside has heard after so many pages, one after the other."""

from __future__ import annotations

import json
from typing import Any

from counterfoil.canonical import b64, canonical
from counterfoil.checkpoints import cosign, read_checkpoint, sign_checkpoint, to_base64
from counterfoil.feed import FEED_TYPE
from counterfoil.presented import FEED_LIFE
from counterfoil.tlog import EMPTY
from counterfoil.tokens import ORDER_TYPE
from vectors.cast import AUTHORITY, LOG_SIGNER, NEXT_LOG, START, STRANGE_LOG, STRANGER, WITNESSES
from vectors.feed_pages import FOLLOWED, STATED, followed_log, page, statement
from vectors.make_forged_feed import forged_feed_vectors
from vectors.make_log import SeededLog
from vectors.make_tokens import header_of, last_bit_flipped, raw_token
from vectors.vector import JSONObject, Vector, accepted, refused

NOTHING: JSONObject = {
    "stopped": [], "redeemed": {}, "barred": [], "roster_records": 0, "roster_head": "", "enrolled": {},
}  # fmt: skip


def vector(
    name: str, shows: str, expected: JSONObject, *pages: JSONObject | str, now: int = STATED, trust: str = "trust.json"
) -> Vector:
    """One vector; pages that are text stand as they are."""
    texts = [each if isinstance(each, str) else canonical(each).decode() for each in pages]
    return Vector(name, shows, "feed", {"pages": texts, "now": now}, expected, trust=trust)


def feed_vectors() -> list[Vector]:
    """All of them."""
    return [*_honest(), *_half_deleted(), *_no_pages(), *_statements(), *_checkpoints(), *forged_feed_vectors(vector)]


def heard(log: SeededLog, size: int | None = None, *, at: int | None = STATED, **changes: Any) -> JSONObject:
    """What is expected of the whole log, or of its first leaves."""
    whole = len(log.leaves) if size is None else size
    return accepted(heard_at=at, size=whole, root=b64(log.tree(whole).root()), **(FOLLOWED | changes))


def _honest() -> list[Vector]:
    log = followed_log()
    whole = page(log)
    end = len(log.leaves)
    early: JSONObject = {
        "stopped": [], "redeemed": {"cf_1": ["digest one", START + 21]}, "barred": [], "roster_records": 1,
        "roster_head": "record one", "enrolled": {},
    }  # fmt: skip
    cosigned = whole["checkpoint"] + cosign(WITNESSES[0], read_checkpoint(whole["checkpoint"], LOG_SIGNER.key), START)
    # An opening where none has to be.
    chatty = page(log)
    for leaf in chatty["leaves"][1:3]:
        leaf["opening"] = "anything"
    return [
        vector("on one page", "what was redeemed, stopped and barred", heard(log), whole),
        *(
            vector(f"on two pages, the first of {cut} leaves", "trees of every shape",
                   heard(log), page(log, 0, cut), page(log, cut))
            for cut in (1, 2, 4, 7, 16, 20)
        ),
        vector("on four pages", "each goes on where the last one ended", heard(log), page(log, 0, 3),
               page(log, 3, 9), page(log, 9, 12), page(log, 12)),
        vector("the first page of two", "it was not heard to its end", heard(log, 7, at=None, **early),
               page(log, 0, 7)),
        vector("a log that grew", "the earlier checkpoint is the beginning of the later", heard(log, at=STATED + 9),
               page(log, size=7), page(log, 7, at=STATED + 9)),
        vector("a log that grew, and half of that", "the last complete reading counts", heard(
            log, 9, **early | {"stopped": ["cf_2"]}), page(log, size=7), page(log, 7, 9, at=STATED + 9)),
        vector("nothing new", "a page without leaves says that there are none", heard(log, at=STATED + 5), whole,
               page(log, end, at=STATED + 5)),
        vector("nothing new, in the same second", "time does not go back, and may stand", heard(log), whole,
               page(log, end)),
        vector("a log without leaves", "its root is the hash of nothing", accepted(
            heard_at=STATED, size=0, root=b64(EMPTY), **NOTHING), page(log, size=0)),
        vector("a log that was empty", "it begins every log", heard(log), page(log, size=0), whole),
        vector("in another spelling", "a page need not be canonical JSON", heard(log), json.dumps(whole, indent=1)),
        vector("with a cosignature", "others may sign the checkpoint as well", heard(log), page(log, note=cosigned)),
        vector("with openings that nobody asked for", "they are not read", heard(log), chatty),
        vector("a minute ahead", "two clocks are not the same", heard(log), whole, now=STATED - FEED_LIFE),
        vector("long ago", "it is read; no order runs by it", heard(log), whole, now=STATED + 100_000),
        vector("by the log's key of now", "the newest checkpoint is by it", heard(log), page(log, signer=NEXT_LOG),
               trust="trust-log-key-replaced.json"),
    ]  # fmt: skip


def _half_deleted() -> list[Vector]:
    """Openings that are deleted after their time, and what stays of what they told."""
    log = followed_log()

    def closed(*numbers: int) -> JSONObject:
        made = page(log)
        for number in numbers:
            made["leaves"][number]["opening"] = None
        return made

    ever = SeededLog()
    ever.add("revoke_scope", None, START, scope="principal:agent")
    ever.add("resume", None, START + 1, scope="principal:agent")
    ever.add("suspend", None, START + 2, scope="operation:pay")
    ever.add("suspend", None, START + 3, scope="operation:pay")
    ever.add("resume", None, START + 4, scope="operation:pay")
    for kind in ("ticket", "capability", "conversation", "key", "operation", "principal-account"):
        ever.add("revoke_scope", None, START + 5, scope=f"{kind}:x")
    ever.add("revoke_scope", None, START + 5, scope="everything")
    for_good = ["capability:x", "conversation:x", "key:x", "principal:agent", "ticket:x"]
    mute, old = SeededLog(), SeededLog()
    mute.add("enrol", None, START, person="ann", credential="a", enrolment="enrolment")
    old.add("enrol", None, START, person="ann")
    twice = SeededLog()
    twice.add("redeem", "cf_1", START, capability="one", envelope="digest")
    twice.add("redeem", "cf_1", START + 1, capability="two", envelope="another")
    twice.add("redeem", None, START + 2, capability="three", envelope="another")
    twice.add("revoke", None, START + 3)
    return [
        vector("a redemption whose opening is deleted", "it counts as none", heard(log, redeemed={
            "cf_4": ["digest four", START + 80]}), closed(5)),
        vector("a resumption whose opening is deleted", "what it opened stays barred", heard(log, barred=[
            "account:A-1", "operation:refund", "person:eve"]), closed(11)),
        vector("a record whose opening is deleted", "the last one says nothing", heard(log, roster_head=""),
               closed(15)),
        vector("an enrolment whose opening is deleted", "another could pass for the first", refused("opening"),
               closed(21)),
        vector("an enrolment of an earlier version whose opening is deleted", "it tells nothing", heard(log, enrolled={
            "invitation one": "enrolment"}), closed(23)),
        vector("an enrolment that does not say its invitation", "the log's key lies", refused("group"), page(mute)),
        vector("enrolments of an earlier version that name no passkey", "they tell nothing", heard(old, **NOTHING),
               page(old)),
        vector("an earlier record whose opening is deleted", "the last one counts", heard(log), closed(0)),
        vector("revoked for good, and resumed", "no later leaf opens it", heard(ever, **NOTHING | {
            "barred": for_good}), page(ever)),
        vector("redeemed twice, or as no ticket", "the first counts", heard(twice, **NOTHING | {
            "redeemed": {"cf_1": ["digest", START]}}), page(twice)),
    ]  # fmt: skip


def _no_pages() -> list[Vector]:
    """What is no page at all."""
    log = followed_log()
    small = page(log, size=3)
    text = canonical(small).decode()

    def bad(name: str, shows: str, value: JSONObject | str) -> Vector:
        return vector(name, shows, refused("form"), value)

    def without(name: str) -> JSONObject:
        return {key: value for key, value in small.items() if key != name}

    first = small["leaves"][0]
    return [
        *(bad(f"without {name}", "complete members", without(name)) for name in small),
        bad("a member too many", "closed members", small | {"more": 1}),
        bad("a member twice", "strict JSON", text[:-1] + ',"first":0}'),
        bad("another version", "v is 1", small | {"v": 2}),
        bad("a version that is true", "v is 1, an integer", small | {"v": True}),
        bad("a version that is 1.0", "v is 1, an integer", text.replace('"v":1}', '"v":1.0}')),
        bad("another format", "an order is none", small | {"format": "counterfoil-order"}),
        bad("a first leaf below zero", "leaves are numbered from 0", small | {"first": -1}),
        bad("a whole float for the first leaf", "0.0 is no integer", text.replace('"first":0', '"first":0.0')),
        bad("a first leaf that is false", "nor is false", small | {"first": False}),
        bad("leaves that are no list", "types are those of the page", small | {"leaves": {}}),
        bad("a leaf with a member too many", "closed members", small | {"leaves": [first | {"n": 0}]}),
        bad("a leaf without its opening", "null where there is none", small | {"leaves": [{"body": first["body"]}]}),
        bad("an opening that is no text", "null or text", small | {"leaves": [first | {"opening": {}}]}),
        bad("more leaves than a page has", "1000 leaves at most",
            small | {"leaves": [{"body": "", "opening": None}] * 1001}),
        bad("more hashes than a proof has", "128 hashes at most", small | {"consistency": [""] * 129}),
        bad("cut short", "strict JSON", text[:-1]),
        bad("with something after it", "strict JSON", text + "{}"),
        bad("a list", "a page is an object", f"[{text}]"),
        bad("nothing", "strict JSON", ""),
        vector("where no log is trusted", "there is none to follow", refused("log"), small, trust="trust-no-log.json"),
    ]  # fmt: skip


def _statements() -> list[Vector]:
    """The authority's word on a checkpoint."""
    log = followed_log()
    small = page(log, size=3)
    note, honest = small["checkpoint"], small["statement"]

    def bad(name: str, shows: str, reason: str, token: str) -> Vector:
        return vector(name, shows, refused(reason), small | {"statement": token})

    def claiming(name: str, shows: str, reason: str, **claims: Any) -> Vector:
        return bad(name, shows, reason, statement(note, **claims))

    changed = honest[:-8] + ("A" if honest[-8] != "A" else "B") + honest[-7:]
    later = page(log, 3, size=7, at=STATED - 1)
    return [
        bad("no statement", "a compact JWS", "token", ""),
        bad("a statement with padding", "base64url has none here", "base64", f"{honest}=="),
        bad("a statement in other bits at the end", "base64url in its only spelling", "base64",
            last_bit_flipped(honest)),
        bad("an unsigned statement", "alg is ES256", "algorithm",
            raw_token(header_of(FEED_TYPE, alg="none"), "{}", signature=b"")),
        bad("a statement with a jku", "no key is ever fetched", "header",
            raw_token(header_of(FEED_TYPE, jku="https://evil.example/"), "{}")),
        bad("a changed signature", "it is the authority's", "signature", changed),
        bad("a statement with a claim twice", "strict JSON", "json",
            raw_token(header_of(FEED_TYPE), '{"iss":"","iss":""}')),
        claiming("a statement of another type", "types are apart", "type", kind=ORDER_TYPE),
        claiming("a statement by another key", "it is one of the authority's", "key", key=STRANGER),
        claiming("a statement with a claim too many", "claims are closed", "payload", exp=STATED + 60),
        bad("a statement without a time", "claims are complete", "payload",
            raw_token(header_of(FEED_TYPE), canonical({"iss": "", "checkpoint": ""}).decode())),
        claiming("a statement of a time that is no integer", "types are those of the claims", "payload", iat="now"),
        claiming("a statement of another authority", "iss is the trusted one", "issuer", iss="https://evil.example"),
        bad("a statement of another checkpoint", "it names its digest", "checkpoint",
            page(log, size=7)["statement"]),
        claiming("a statement of a digest of another kind", "it names its digest", "checkpoint", checkpoint=b64(
            bytes(32))),
        vector("older than the page before", "a feed does not go back in time", refused("older"),
               page(log, size=3), later),
        vector("older than a page that was not the last", "every page that was heard counts", refused("older"),
               page(log, 0, 3, size=7), later),
        vector("shown again, a second older", "an old page says nothing about now", refused("older"), small,
               page(log, 3, size=3, at=STATED - 1)),
        vector("too far ahead", "kept, it would make every honest page look old", refused("ahead"), small,
               now=STATED - FEED_LIFE - 1),
        vector("the second too far ahead", "each page is compared", refused("ahead"), page(log, 0, 3),
               page(log, 3, at=STATED + FEED_LIFE + 1)),
    ]  # fmt: skip


def _checkpoints() -> list[Vector]:
    """The log's own signature."""
    log = followed_log()
    root = log.tree(3).root()

    def bad(name: str, shows: str, reason: str, note: str, trust: str = "trust.json") -> Vector:
        return vector(name, shows, refused(reason), page(log, size=3, note=note), trust=trust)

    honest = page(log, size=3)["checkpoint"]
    body, _, line = honest.rpartition("\n\n")
    cosigned = cosign(WITNESSES[0], read_checkpoint(honest, LOG_SIGNER.key), START)
    far = f"{LOG_SIGNER.key.name}\n03\n{to_base64(root)}\n"
    signature = to_base64(LOG_SIGNER.key.id + LOG_SIGNER.private.sign(far.encode()))
    return [
        bad("no checkpoint", "a signed note", "form", ""),
        bad("a checkpoint without a signature", "a signed note", "form", f"{body}\n\n"),
        bad("a checkpoint without its last line's end", "a note ends with one", "form", honest[:-1]),
        bad("a size with a zero before it", "numbers in their only spelling", "form",
            f"{far}\n— {LOG_SIGNER.key.name} {signature}\n"),
        bad("a checkpoint by another key of that name", "the key is the trusted one", "signature",
            sign_checkpoint(STRANGE_LOG, 3, root)),
        bad("a checkpoint of another size than was signed", "it is signed", "signature",
            honest.replace("\n3\n", "\n4\n")),
        bad("a checkpoint that is only cosigned", "a witness is not the log", "signature", f"{body}\n\n{cosigned}"),
        bad("a checkpoint signed twice", "a second signature by one key makes a note worthless", "signature",
            honest + line),
        bad("a checkpoint of another log", "the origin is the key's name", "log",
            sign_checkpoint(WITNESSES[1], 3, root)),
        bad("a checkpoint by the log's key of then", "what is the newest is signed by the key of now", "signature",
            honest, "trust-log-key-replaced.json"),
        vector("the second checkpoint by another key", "each page is verified", refused("signature"),
               page(log, 0, 3), page(log, 3, signer=STRANGE_LOG)),
        vector("a statement by another key, over it all", "nothing else makes up for it", refused("key"),
               page(log, size=3, statement=statement(honest, key=STRANGER))),
        vector("by a key of the authority, over a log of its own", "one key alone does not make a log",
               refused("signature"), page(log, signer=STRANGE_LOG, statement=statement(
                   sign_checkpoint(STRANGE_LOG, len(log.leaves), log.tree().root()), key=AUTHORITY))),
    ]  # fmt: skip
