"""What the verbs of all subjects work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from counterfoil.authority import Authority
from counterfoil.checkpoints import FormerKey, NoteKey
from counterfoil.key_verbs import Keep

if TYPE_CHECKING:
    from counterfoil_server.log_audit import LogAudit
    from counterfoil_server.publishing.publisher import Publisher
    from counterfoil_server.retention import Retention


class Means:
    """One authority, and what it takes besides. ``forget_principals`` drops what the conversation layer remembers of
    tokens; ``keep_ring`` makes a changed ring of the authority's keys durable, and ``change_keys`` says what to do
    where only others can; ``audit`` is who looks through the log, made when somebody asks; ``read_policy`` reads the
    policy's file; ``prove_leaf`` proves that a leaf is on the log, whose key is ``log_key``, after
    ``former_log_keys``; ``retention`` is who deletes, made likewise; ``publisher`` is who brings checkpoints to others,
    if anybody."""

    def __init__(
        self,
        authority: Authority,
        *,
        verify_log: Callable[[], Awaitable[object]],
        follow_log: Callable[[], Awaitable[object]],
        forget_principals: Callable[[], None],
        flush_calls: Callable[[], Awaitable[object]],
        keep_ring: Keep,
        change_keys: str | None = None,
        audit: Callable[[], LogAudit],
        read_policy: Callable[[], str],
        prove_leaf: Callable[[int], Awaitable[str]],
        log_key: NoteKey,
        retention: Callable[[], Retention],
        publisher: Publisher | None = None,
        former_log_keys: Sequence[FormerKey] = (),
    ) -> None:
        self._authority = authority
        self._verify_log = verify_log
        self._follow_log = follow_log
        self._forget_principals = forget_principals
        self._flush_calls = flush_calls
        self._keep_ring = keep_ring
        self._change_keys = change_keys
        self._audit = audit
        self._read_policy = read_policy
        self._prove_leaf = prove_leaf
        self._log_key = log_key
        self._retention = retention
        self._publisher = publisher
        self._former_log_keys = former_log_keys
