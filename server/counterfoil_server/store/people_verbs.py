"""Who calls and who decides: principals, roster records, enrolments.

The store keeps records in order and once; whether one is signed rightly is the authority's to verify.
"""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.errors import LinkRefused, RosterRefused, TooManyRequests, UnknownName
from counterfoil.log import LeafDraft
from counterfoil.store import Conversation, NoticeDraft, Principal
from counterfoil_server.store.outbox_verbs import insert_notices
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction


def add_principal(transaction: Transaction, principal: Principal, token_digest: str, leaf: LeafDraft) -> None:
    """Insert a principal under a name nobody has."""
    inserted = transaction.change(
        "INSERT INTO principal (id, owner, created_at, disabled_at, token_digest) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (principal.id, principal.owner, principal.created_at, principal.disabled_at, token_digest),
    )
    if not inserted:
        raise UnknownName(f"The principal {principal.id} exists already.", "Choose another name.")
    transaction.write_leaf(leaf)


def disable_principal(transaction: Transaction, principal: str, leaf: LeafDraft) -> None:
    """End a principal's token. A second time changes nothing."""
    row = transaction.row("SELECT disabled_at FROM principal WHERE id = ?", (principal,))
    if row is None:
        raise UnknownName(f"There is no principal {principal[:80]}.", "List them with 'counterfoil principals list'.")
    if row[0] is None:
        transaction.change("UPDATE principal SET disabled_at = ? WHERE id = ?", (transaction.now, principal))
        transaction.write_leaf(leaf)


def add_roster_record(transaction: Transaction, record: str, version: int, leaf: LeafDraft) -> None:
    """Append the record if it is the next one; the first has version 1."""
    rows = transaction.rows("SELECT coalesce(max(version), 0) + 1 FROM roster_record")
    if rows[0][0] != version:
        raise RosterRefused(
            f"The roster's next version is {rows[0][0]}, not {version}.", "Read the roster again and repeat the change."
        )
    transaction.insert("INSERT INTO roster_record (version, record) VALUES (?, ?)", (version, record))
    transaction.write_leaf(leaf)


def add_enrolment(
    transaction: Transaction,
    record: str,
    invitation: str,
    credential: str,
    leaf: LeafDraft,
    notices: Sequence[NoticeDraft],
    asked: Sequence[tuple[str, NoticeDraft]],
) -> None:
    """Append the record, what tells of it and what it makes possible to ask; an invitation and a credential serve
    once."""
    inserted = transaction.change(
        "INSERT INTO enrolment (credential, invitation, record) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (credential, invitation, record),
    )
    if not inserted:
        raise LinkRefused()
    transaction.change("DELETE FROM secret WHERE kind = 'invitation' AND digest = ?", (invitation,))
    transaction.write_leaf(leaf)
    insert_notices(transaction, None, notices)
    for ticket, draft in asked:
        insert_notices(transaction, ticket, [draft])


READ_AT_ONCE = 200
"""Records and enrolments that are read quicker than a thread is woken."""

ROSTER = "SELECT 0, version, record FROM roster_record UNION ALL SELECT 1, number, record FROM enrolment ORDER BY 1, 2"
ROSTER_SIZE = "SELECT (SELECT max(version) FROM roster_record), (SELECT max(number) FROM enrolment)"


def start_conversation(transaction: Transaction, conversation: Conversation, at_most: int) -> None:
    """Insert a conversation; those that have expired make room."""
    owner = conversation.principal
    transaction.change("DELETE FROM conversation WHERE principal = ? AND expires_at <= ?", (owner, transaction.now))
    live = transaction.rows("SELECT count(*) FROM conversation WHERE principal = ?", (owner,))[0][0]
    if live >= at_most:
        raise TooManyRequests(
            "Too many conversations are open.", "Go on in one that was started before, or try again tomorrow."
        )
    transaction.change(
        "INSERT INTO conversation (id, principal, created_at, expires_at) VALUES (?, ?, ?, ?)",
        (conversation.id, owner, conversation.created_at, conversation.expires_at),
    )


class PeopleVerbs(Verbs):
    """Principals and the roster."""

    async def add_principal(self, principal: Principal, token_digest: str, leaf: LeafDraft) -> None:
        """Raises UnknownName when the name is taken."""
        await self._write(lambda transaction: add_principal(transaction, principal, token_digest, leaf))

    async def principal_by_token(self, token_digest: str) -> Principal | None:
        """The enabled principal with this token, or None."""
        rows = self._readers.lookup(
            "SELECT id, owner, created_at, disabled_at FROM principal WHERE token_digest = ? AND disabled_at IS NULL",
            (token_digest,),
        )
        return Principal(*rows[0]) if rows else None

    async def principals(self) -> list[Principal]:
        """All, by name."""
        rows = await self._readers.query("SELECT id, owner, created_at, disabled_at FROM principal ORDER BY id")
        return [Principal(*row) for row in rows]

    async def disable_principal(self, principal: str, leaf: LeafDraft) -> None:
        """Raises UnknownName."""
        await self._write(lambda transaction: disable_principal(transaction, principal, leaf))

    async def add_roster_record(self, record: str, *, version: int, leaf: LeafDraft) -> None:
        """Append the record with exactly the next version (from 1); raises RosterRefused when another came first."""
        await self._write(lambda transaction: add_roster_record(transaction, record, version, leaf))

    async def roster(self) -> tuple[list[str], list[str]]:
        """Roster records and enrolments, each in order. A large roster is read in the reader's thread."""
        rows = self._readers.lookup(f"{ROSTER} LIMIT {READ_AT_ONCE + 1}")
        if len(rows) > READ_AT_ONCE:
            rows = await self._readers.query(ROSTER)
        return [text for enrolled, _, text in rows if not enrolled], [text for enrolled, _, text in rows if enrolled]

    async def roster_size(self) -> tuple[int, int]:
        """Of records and enrolments."""
        records, enrolments = self._readers.lookup(ROSTER_SIZE, ())[0]
        return int(records or 0), int(enrolments or 0)

    async def add_enrolment(
        self,
        record: str,
        *,
        invitation: str,
        credential: str,
        leaf: LeafDraft,
        notices: Sequence[NoticeDraft] = (),
        asked: Sequence[tuple[str, NoticeDraft]] = (),
    ) -> None:
        """Append an enrolment and spend the invitation; raises LinkRefused when that or the credential was used."""
        await self._write(
            lambda transaction: add_enrolment(transaction, record, invitation, credential, leaf, notices, asked)
        )

    async def start_conversation(self, conversation: Conversation, *, at_most: int) -> None:
        """Remember it; raises TooManyRequests where the principal has ``at_most`` that have not expired."""
        await self._write(lambda transaction: start_conversation(transaction, conversation, at_most))

    async def conversation(self, conversation: str) -> Conversation | None:
        """The conversation, unless it is unknown or has expired."""
        rows = self._readers.lookup(
            "SELECT id, principal, created_at, expires_at FROM conversation WHERE id = ? AND expires_at > ?",
            (conversation, self.now()),
        )
        return Conversation(*rows[0]) if rows else None
