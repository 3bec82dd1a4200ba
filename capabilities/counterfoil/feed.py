"""The feed: the log itself, as executors outside follow it, so that no database and no key alone can hide a refusal.

An executor in a process of its own cannot ask the authority's database whether a ticket was declined or revoked
meanwhile, and need not: every such thing is a leaf of the log. A *page* of the feed holds the bodies of the leaves that
follow those already read, the openings of those whose event does not say enough (``feed_leaves.py``), and the log's
checkpoint. Rules for whoever reads one:

* leaves are numbered without a gap, and hash to a tree that begins the one under the checkpoint; so nothing is left
  out, changed, or told twice in two ways, unless the key of the log lies to everybody, which witnesses see;
* what was read is never taken back: an older checkpoint, or one that is not consistent, is refused;
* the checkpoint itself bears no time. The authority signs at what time it was the newest (``typ`` ``cf-feed+jwt``): a
  page that is old shows nothing about now, and an executor that hears nothing new runs nothing.

A page's *version* is the size of the log under it. This module knows no clock and no network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field, ValidationError

from counterfoil import tokens
from counterfoil.bundle import BundledLeaf, Trust
from counterfoil.canonical import b64, canonical, digest, parse_strict, unb64
from counterfoil.checkpoints import read_checkpoint
from counterfoil.errors import BadJSON, FeedRefused, ProofRefused
from counterfoil.feed_leaves import Heard, hear
from counterfoil.keys import Signer
from counterfoil.signing import SIGNING_TIME
from counterfoil.tlog import EMPTY, check_consistency, leaf_hash, node_hash
from counterfoil.values import Frozen, Version

FEED_TYPE = "cf-feed+jwt"

LEAVES_A_PAGE = 1000
"""Leaves of one page at most; the next page goes on."""
MAX_PAGE = 4 << 20
"""Bytes of a page that is read."""


class FeedPage(Frozen):
    """A page. ``first``: the number of its first leaf; ``consistency``: from the tree at its end to the checkpoint's,
    empty where it ends with it; ``statement``: when the checkpoint was the newest."""

    format: Literal["counterfoil-feed"] = "counterfoil-feed"
    v: Version = 1
    first: Annotated[int, Field(ge=0)]
    leaves: Annotated[tuple[BundledLeaf, ...], Field(max_length=LEAVES_A_PAGE)]
    consistency: Annotated[tuple[str, ...], Field(max_length=128)]
    checkpoint: str
    statement: str


class FeedStatement(Frozen):
    """What the authority says of a checkpoint: at ``iat`` (Unix seconds) it was the log's newest."""

    iss: str
    checkpoint: str
    iat: int


@dataclass(frozen=True)
class Position:
    """How far the log was read: how many leaves, and the roots of the complete subtrees over them, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def after(self, bodies: Iterable[bytes]) -> Position:
        """The position behind these leaves as well."""
        size, peaks = self.size, list(self.peaks)
        for body in bodies:
            peaks.append(leaf_hash(body))
            size += 1
            for _ in range((size & -size).bit_length() - 1):
                right = peaks.pop()
                peaks.append(node_hash(peaks.pop(), right))
        return Position(size, tuple(peaks))

    @property
    def root(self) -> bytes:
        """The root over all leaves read (RFC 6962)."""
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_text(self) -> str:
        """To keep it: canonical JSON."""
        return canonical({"size": self.size, "peaks": [b64(peak) for peak in self.peaks]}).decode()

    @staticmethod
    def from_text(text: str) -> Position:
        """Read one that was kept; raises :class:`BadJSON`."""
        value = parse_strict(text.encode())
        if not isinstance(value, dict) or not isinstance(value.get("size"), int):
            raise BadJSON("This is no position.")
        peaks = tuple(unb64(str(peak)) for peak in value.get("peaks", []))
        if len(peaks) != value["size"].bit_count():
            raise BadJSON("This is no position.")
        return Position(value["size"], peaks)


@dataclass(frozen=True)
class Reading:
    """What a page brought: to be kept as a whole or not at all. ``at``: when its checkpoint was the newest;
    ``complete``: whether nothing of the log is left to be read."""

    heard: tuple[Heard, ...]
    position: Position
    at: int
    complete: bool


class Memory(Protocol):
    """What an executor outside has kept of its readings."""

    def heard_at(self) -> int | None:
        """``at`` of the newest complete reading (Unix seconds); None before the first."""

    def stopped(self, ticket: str) -> bool:
        """Whether one of ``tickets.NOTHING_HAPPENS`` was ever heard of the ticket."""

    def redeemed(self, ticket: str) -> tuple[str, int] | None:
        """The digest of the request that was redeemed as this ticket, and ``at`` of its leaf, if it was."""

    def barred(self, scopes: Collection[str]) -> bool:
        """Whether one of the scopes is barred now."""

    def roster_records(self) -> int:
        """How many leaves of a roster's record were heard."""

    def roster_head(self) -> str:
        """``record`` of the last of them; empty where it did not say, or before the first."""

    def enrolled(self, invitation: str) -> str | None:
        """The enrolment that was heard of first for the invitation; None where none was. Both as ``Heard.enrolled`` has
        them: digests, or what stands for them in leaves of earlier versions."""


def read_page(
    body: bytes, *, position: Position, trust: Trust, not_before: int = 0, not_after: int | None = None
) -> Reading:
    """Verify a page that follows ``position``; raises :class:`FeedRefused`, and then nothing of it was heard.

    ``not_before``: ``at`` of the reading before (Unix seconds); a feed does not go back in time. ``not_after``: the
    latest time that the reader's own clock lets it believe; kept, a later one would make every honest page look old.
    """
    page = _parsed(body)
    if trust.log is None:
        raise FeedRefused("The trust file names no log, so there is none to follow.")
    at = _stated(page, trust)
    if at < not_before:
        raise FeedRefused("The feed is older than what was heard of it before.")
    if not_after is not None and at > not_after:
        raise FeedRefused("The feed's time is still to come: one of the two clocks is wrong.")
    try:
        checkpoint = read_checkpoint(page.checkpoint, trust.log)
    except ProofRefused as error:
        raise FeedRefused(f"The feed's checkpoint does not hold. {error.happened}") from None
    if page.first != position.size:
        raise FeedRefused("The feed does not go on where it was read to.")
    if checkpoint.size < position.size + len(page.leaves):
        raise FeedRefused("The feed's checkpoint is of fewer leaves than were read: it was cut, or is an older one.")
    if not page.leaves and checkpoint.size > position.size:
        raise FeedRefused("The feed leaves out what the log has.")
    heard = tuple(hear(leaf, page.first + place) for place, leaf in enumerate(page.leaves))
    after = position.after(leaf.body.encode() for leaf in page.leaves)
    try:
        proof = [unb64(each) for each in page.consistency]
        check_consistency(after.size, after.root, checkpoint.size, checkpoint.root, proof)
    except (ProofRefused, BadJSON):
        raise FeedRefused("The feed's leaves are not those under its checkpoint, or not those read before.") from None
    return Reading(heard, after, at, after.size == checkpoint.size)


async def state(signer: Signer, *, issuer: str, checkpoint: str, now: int, within: float = SIGNING_TIME) -> str:
    """The authority's statement that this is the log's newest checkpoint; raises :class:`SignerFailed`."""
    claims = FeedStatement(iss=issuer, checkpoint=_digest(checkpoint), iat=now)
    return await tokens.issue(signer, FEED_TYPE, claims.model_dump(), within=within)


def write_page(
    statement: str, *, first: int, leaves: Sequence[BundledLeaf], consistency: Sequence[bytes], checkpoint: str
) -> bytes:
    """A page, as the authority hands it out with its ``statement``. ``leaves`` bring their openings where they are
    ``OPENED``."""
    page = FeedPage(
        first=first,
        leaves=tuple(leaves),
        consistency=tuple(map(b64, consistency)),
        checkpoint=checkpoint,
        statement=statement,
    )
    return canonical(page.model_dump(mode="json"))


def _digest(checkpoint: str) -> str:
    return digest("counterfoil-feed-checkpoint", checkpoint.encode())


def _parsed(body: bytes) -> FeedPage:
    if len(body) > MAX_PAGE:
        raise FeedRefused(f"A page of the feed is larger than {MAX_PAGE >> 20} MiB.")
    try:
        value = parse_strict(body)
        if not isinstance(value, dict) or value.keys() != FeedPage.model_fields.keys():
            raise BadJSON
        return FeedPage.model_validate_json(body)
    except (BadJSON, ValidationError):
        raise FeedRefused("This is no page of a feed.") from None


def _stated(page: FeedPage, trust: Trust) -> int:
    """When the page's checkpoint was the newest, by the authority's word."""
    try:
        payload, _ = tokens.verify(page.statement, FEED_TYPE, trust.authority_keys)
        stated = FeedStatement.model_validate(payload)
    except (BadJSON, ValueError):
        raise FeedRefused("The feed is not signed by a key of the authority that is trusted here.") from None
    if stated.iss != trust.issuer:
        raise FeedRefused("The feed is that of another authority.")
    if stated.checkpoint != _digest(page.checkpoint):
        raise FeedRefused("The feed's signature is for another checkpoint.")
    return stated.iat
