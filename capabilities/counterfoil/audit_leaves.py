"""The leaves of one ticket, as an auditor reads them: without the key of the chain, from bodies and openings alone.

Each leaf must be in the one spelling that the log writes; an opening must open exactly the groups that its leaf has
digests of; the leaves must be of this ticket, in the log's order, and tell steps that a ticket can take. That they are
*on* the log is shown by proofs alone, and that there are no further ones by nothing that a bundle can hold.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from counterfoil.bundle import BundledLeaf
from counterfoil.canonical import canonical, parse_canonical, salted_digest, unb64
from counterfoil.errors import BadJSON, EvidenceRefused, WrongState
from counterfoil.leaves import STATEMENT
from counterfoil.log import GROUP, group_salt
from counterfoil.tickets import STEPS, Event, State, state_told
from counterfoil.values import Frozen, Version

REQUEST = "request"
MINT = "mint"
EVENTS = STEPS | {REQUEST, STATEMENT, MINT}
"""Everything that the log tells of a ticket."""


class LeafBody(Frozen):
    """The public content of a leaf."""

    v: Version
    n: int
    at: int
    event: str
    ticket: str | None
    groups: dict[str, str]


class LeafOpening(Frozen):
    """The values that a leaf's digests are of, and the salt."""

    groups: dict[str, Any]
    salt: str


@dataclass(frozen=True)
class ReadLeaf:
    """A leaf that was read. ``values``: what was opened, None where the opening was deleted; ``at``: Unix seconds."""

    index: int
    at: int
    event: str
    values: dict[str, Any] | None
    body: str

    def says(self, **values: Any) -> bool:
        """Whether it was opened, and holds these values among others."""
        opened = self.values
        return opened is not None and all(name in opened and opened[name] == value for name, value in values.items())


def read_leaf(leaf: BundledLeaf, ticket: str) -> ReadLeaf:
    """One leaf of the ticket; raises :class:`EvidenceRefused`."""
    try:
        parse_canonical(leaf.body.encode())
        body = LeafBody.model_validate_json(leaf.body)
    except (BadJSON, ValueError):
        raise EvidenceRefused("A leaf cannot be read.") from None
    if body.ticket != ticket or body.event not in EVENTS:
        raise EvidenceRefused(f"Leaf {body.n} tells of another ticket, or of something that tickets do not do.")
    opened = None if leaf.opening is None else open_leaf(body, leaf.opening)
    return ReadLeaf(body.n, body.at, body.event, opened, leaf.body)


def open_leaf(body: LeafBody, text: str) -> dict[str, Any]:
    """The values of a leaf, by group; raises :class:`EvidenceRefused` for what is not its opening."""
    try:
        parse_canonical(text.encode())
        opening = LeafOpening.model_validate_json(text)
        salt = unb64(opening.salt)
        digests = {
            name: salted_digest(group_salt(salt, name), GROUP, canonical(value))
            for name, value in opening.groups.items()
        }
    except (BadJSON, ValueError):
        raise EvidenceRefused(f"The opening of leaf {body.n} cannot be read.") from None
    same = digests.keys() == body.groups.keys() and all(
        hmac.compare_digest(digest.encode(), body.groups[name].encode()) for name, digest in digests.items()
    )
    if not same:
        raise EvidenceRefused(f"The opening of leaf {body.n} belongs to another leaf.")
    return opening.groups


@dataclass(frozen=True)
class Told:
    """What the leaves of one ticket tell together."""

    leaves: tuple[ReadLeaf, ...]
    state: State

    def all(self, event: str) -> tuple[ReadLeaf, ...]:
        """The leaves of this event."""
        return tuple(leaf for leaf in self.leaves if leaf.event == event)

    def last(self, *events: str) -> ReadLeaf | None:
        """The last leaf of one of these events."""
        return next((leaf for leaf in reversed(self.leaves) if leaf.event in events), None)

    @property
    def redeemed(self) -> ReadLeaf | None:
        """The leaf of the redemption, after which the effect could begin."""
        return self.last(Event.REDEEM.value)

    @property
    def approved(self) -> ReadLeaf | None:
        """The leaf of the approval."""
        return self.last(Event.APPROVE.value)

    @property
    def unopened(self) -> int:
        """How many openings were deleted."""
        return sum(leaf.values is None for leaf in self.leaves)


def read_leaves(leaves: Sequence[BundledLeaf], ticket: str, envelope_digest: str) -> Told:
    """The leaves of the ticket; raises :class:`EvidenceRefused` unless they are a history that a ticket can have."""
    read = tuple(read_leaf(leaf, ticket) for leaf in leaves)
    for before, after in pairwise(read):
        if not before.index < after.index or before.at > after.at:
            raise EvidenceRefused(f"Leaf {after.index} does not come after leaf {before.index}.")
    if [leaf.event for leaf in read].count(REQUEST) != 1 or read[0].event != REQUEST:
        raise EvidenceRefused("The leaves do not begin with the request.")
    try:
        told = Told(read, state_told(leaf.event for leaf in read))
    except WrongState:
        raise EvidenceRefused("The leaves tell a history that no ticket has.") from None
    redeemed = told.redeemed
    for leaf in (read[0], *([redeemed] if redeemed else [])):
        if leaf.values is not None and not leaf.says(envelope=envelope_digest):
            raise EvidenceRefused(f"Leaf {leaf.index} tells of another request.")
    if redeemed is not None and redeemed.values is not None:
        capability = redeemed.values.get("capability")
        minted = [leaf for leaf in told.all(MINT) if leaf.values is None or leaf.says(capability=capability)]
        if not any(leaf.index < redeemed.index for leaf in minted):
            raise EvidenceRefused("The capability that was redeemed was never minted.")
    return told
