"""What can be proved of one leaf, as named checks in words.

Rules: a check never guesses: it holds, it is broken, or what it needs is gone. And only what is proved is told: the
values of a leaf are those of an opening that matches its digests, in a leaf that follows from the one before it.

The checks are a list, because more can be proved of a leaf than its own bytes say: whoever knows more (the ticket's
record, a tree over the log) adds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from counterfoil.canonical import parse_strict
from counterfoil.errors import BadJSON, TamperDetected
from counterfoil.log import Leaf, check_link, is_filed_as_recorded, opens

CheckState = Literal["holds", "broken", "gone"]


@dataclass(frozen=True)
class LeafCheck:
    """How one check went. ``gone``: what it would look at was deleted, as may be; ``says``: a sentence for people."""

    name: str
    state: CheckState
    says: str

    def to_dict(self) -> dict[str, str]:
        """The shape in which administrators are answered."""
        return {"check": self.name, "state": self.state, "says": self.says}


def held(name: str, says: str) -> LeafCheck:
    """A check that holds."""
    return LeafCheck(name, "holds", says)


def broken(name: str, says: str) -> LeafCheck:
    """A check that somebody's edit broke."""
    return LeafCheck(name, "broken", says)


def check_leaf(leaf: Leaf, previous: bytes | None, key: bytes) -> tuple[LeafCheck, ...]:
    """Whether the leaf follows from the one with the MAC ``previous`` (None: there is none), stands where it says, and
    opens to what was recorded."""
    return (_chain(leaf, previous, key), _place(leaf), _opening(leaf))


def content(leaf: Leaf) -> dict[str, Any]:
    """The leaf's public content, or nothing where its body is not one."""
    try:
        return leaf.values
    except (BadJSON, TamperDetected):
        return {}


def proved_values(leaf: Leaf, checks: tuple[LeafCheck, ...]) -> dict[str, Any] | None:
    """What the opening tells; None where that was deleted, or where any check is broken."""
    if leaf.opening is None or any(check.state == "broken" for check in checks):
        return None
    value = parse_strict(leaf.opening)
    return dict(value["groups"]) if isinstance(value, dict) else None


def _chain(leaf: Leaf, previous: bytes | None, key: bytes) -> LeafCheck:
    if previous is None:
        return broken("chain", f"Leaf {leaf.index - 1}, which it should follow, is missing.")
    try:
        check_link(leaf, previous, key)
    except TamperDetected:
        return broken("chain", "It does not follow from the leaf before it: one of the two was edited.")
    return held("chain", "It follows from the leaf before it." if leaf.index else "It is the first leaf of the log.")


def _place(leaf: Leaf) -> LeafCheck:
    if not is_filed_as_recorded(leaf):
        return broken("place", "It is filed under another number, ticket or event than it was recorded with.")
    return held("place", "It stands where it was recorded.")


def _opening(leaf: Leaf) -> LeafCheck:
    if leaf.opening is None:
        return LeafCheck("opening", "gone", "Its opening was deleted; that something happened still stands.")
    digests = content(leaf).get("groups")
    if not isinstance(digests, dict) or not opens(leaf.opening, digests):
        return broken("opening", "Its opening is not what was recorded, and is not shown.")
    return held("opening", "Its opening matches the digests.")
