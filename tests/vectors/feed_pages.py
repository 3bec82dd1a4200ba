"""Pages of the feed, honest or not, over a log that is the same each time."""

from __future__ import annotations

from functools import cache
from typing import Any

from counterfoil.bundle import BundledLeaf
from counterfoil.canonical import b64, digest
from counterfoil.checkpoints import NoteSigner, sign_checkpoint
from counterfoil.feed import FEED_TYPE
from counterfoil.feed_leaves import OPENED
from counterfoil.tokens import sign
from vectors.cast import AUTHORITY, ISSUER, LOG_SIGNER, START
from vectors.make_log import SeededLog
from vectors.vector import JSONObject

STATED = START + 500
"""When the pages are stated to be the newest, unless they say otherwise."""


def followed_log() -> SeededLog:
    """What an executor outside hears: two records of the roster and enrolments, tickets that were redeemed and
    stopped, scopes that were barred, and leaves that tell it nothing. 24 leaves, no power of two."""
    return SeededLog([*_followed().leaves])


@cache
def _followed() -> SeededLog:
    log = SeededLog()
    log.add("roster", None, START - 20, record="record one", version=1)
    log.add("request", "cf_1", START, envelope="digest one", principal="agent", operation="refund")
    log.add("statement", "cf_1", START + 10, statement="digest", seat="holder", decision="approve", person="ann")
    log.add("approve", "cf_1", START + 20)
    log.add("mint", "cf_1", START + 20, capability="cap-1", key="key")
    log.add("redeem", "cf_1", START + 21, capability="cap-1", envelope="digest one")
    log.add("report_executed", "cf_1", START + 22, outcome={"receipt": {"reference": "R-1"}})
    log.add("request", "cf_2", START + 30, envelope="digest two", principal="agent", operation="refund")
    log.add("decline", "cf_2", START + 31, why="The holder declined.")
    log.add("suspend", None, START + 40, scope="account:A-1", reason="a drill")
    log.add("suspend", None, START + 41, scope="operation:refund", reason="a drill")
    log.add("resume", None, START + 50, scope="account:A-1")
    log.add("revoke_scope", None, START + 60, scope="person:eve", reason="gone")
    log.add("revoke_scope", None, START + 61, scope="account:A-2", reason="closed")
    log.add("revoke", "cf_3", START + 61, reason="closed")
    log.add("roster", None, START + 70, record="record two", version=2)
    log.add("redeem", "cf_4", START + 80, capability="cap-4", envelope="digest four")
    log.add("report_not_executed", "cf_4", START + 81, outcome={"reason": "It was full."})
    log.add("cancel", "cf_5", START + 90)
    log.add("expire", "cf_6", START + 91)
    log.add("find_not_executed", "cf_7", START + 92, outcome={"reason": "Nothing came."})
    log.add("enrol", None, START + 93, person="ann", credential="a", invitation="invitation one", enrolment="enrolment")
    log.add("enrol", None, START + 94, person="ann", credential="b", invitation="invitation one", enrolment="another")
    log.add("enrol", None, START + 95, person="fay", credential="c")
    return log


FOLLOWED: JSONObject = {
    "stopped": ["cf_2", "cf_3", "cf_4", "cf_5", "cf_6", "cf_7"],
    "redeemed": {"cf_1": ["digest one", START + 21], "cf_4": ["digest four", START + 80]},
    "barred": ["operation:refund", "person:eve"],
    "roster_records": 2,
    "roster_head": "record two",
    "enrolled": {"invitation one": "enrolment", "credential:c": ""},
}
"""What was heard, when all of it was."""


def has_to_open(leaf: BundledLeaf) -> bool:
    """Whether a leaf is of an event whose opening stands on a page."""
    return any(f'"event":"{event}",' in leaf.body for event in OPENED)


def statement(checkpoint: str, /, *, key: Any = AUTHORITY, kind: str = FEED_TYPE, **claims: Any) -> str:
    """The authority's word on a checkpoint; ``claims`` replace or add some."""
    named = digest("counterfoil-feed-checkpoint", checkpoint.encode())
    return sign(key, kind, {"iss": ISSUER, "checkpoint": named, "iat": STATED} | claims)


def page(
    log: SeededLog, first: int = 0, end: int | None = None, /, *, size: int | None = None, at: int = STATED,
    signer: NoteSigner = LOG_SIGNER, note: str | None = None, **changes: Any,
) -> JSONObject:  # fmt: skip
    """The page of the leaves from ``first`` to ``end``, under the checkpoint of ``size`` leaves, or under ``note``.
    ``changes`` replace members of it, whatever was stated."""
    whole = len(log.leaves) if size is None else size
    stop = whole if end is None else end
    tree = log.tree(whole)
    checkpoint = sign_checkpoint(signer, whole, tree.root()) if note is None else note
    leaves = [
        {"body": leaf.body, "opening": leaf.opening if has_to_open(leaf) else None} for leaf in log.leaves[first:stop]
    ]
    made = {
        "format": "counterfoil-feed", "v": 1, "first": first, "leaves": leaves,
        "consistency": [b64(each) for each in tree.consistency(stop)] if 0 < stop < whole else [],
        "checkpoint": checkpoint, "statement": statement(checkpoint, iat=at),
    }  # fmt: skip
    return made | changes
