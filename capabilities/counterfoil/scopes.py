"""What can be revoked or suspended, and what covers what.

A scope is written ``kind:name``: ``ticket:…``, ``capability:…``, ``account:…``, ``operation:…``, ``principal:…``,
``conversation:…``, ``person:…``, ``key:…``, the pair ``principal-account:<principal>|<account>`` that "this wasn't me"
suspends, and ``everything``.
"""

from __future__ import annotations

from collections.abc import Iterable

from counterfoil.errors import UnknownName
from counterfoil.tickets import Envelope

EVERYTHING = "everything"

KINDS = frozenset(
    {"ticket", "capability", "account", "operation", "principal", "conversation", "person", "key", "principal-account"}
)

FINAL_KINDS = frozenset({"ticket", "capability", "principal", "conversation", "person", "key"})
"""Revoking one of these bars it for good. Revoking the others ends what is open; suspend them to bar what comes."""


def check_scope(text: str) -> str:
    """The scope in its only spelling (``all`` means everything); raises :class:`UnknownName` for anything else."""
    if text in (EVERYTHING, "all"):
        return EVERYTHING
    kind, colon, name = text.partition(":")
    if not colon or kind not in KINDS or not name or len(text) > 400:
        raise UnknownName(
            f"{text[:80]!r} is not a scope.", f"Write kind:name with a kind of {', '.join(sorted(KINDS))}; or 'all'."
        )
    return text


def is_final(scope: str) -> bool:
    """Whether revoking the scope bars it for good."""
    return scope.partition(":")[0] in FINAL_KINDS


def pair(principal: str, account: str) -> str:
    """One principal acting on one account."""
    return f"principal-account:{principal}|{account}"


def scopes_of(
    envelope: Envelope, *, people: Iterable[str] = (), capability: str | None = None, key: str | None = None
) -> tuple[str, ...]:
    """Every scope that covers a ticket, its people and its capability."""
    found = [
        EVERYTHING,
        f"ticket:{envelope.ticket}",
        f"operation:{envelope.operation}",
        f"principal:{envelope.principal}",
    ]
    if envelope.account is not None:
        found += [f"account:{envelope.account}", pair(envelope.principal, envelope.account)]
    if envelope.actor is not None:
        found += [f"person:{envelope.actor}"]
    if envelope.conversation is not None:
        found.append(f"conversation:{envelope.conversation}")
    if envelope.grant is not None:
        found.append(f"ticket:{envelope.grant}")
    found += [f"person:{person}" for person in people]
    if capability is not None:
        found.append(f"capability:{capability}")
    if key is not None:
        found.append(f"key:{key}")
    return tuple(found)
