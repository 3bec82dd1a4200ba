"""Which enrolment the log told of first, of each invitation: what is stored in its place later counts for nothing.

Enrolment and leaf are written in one transaction, so whoever reads the roster and then the log finds a leaf for each.
Leaves that somebody hid are not missed here, but by executors, which follow the log and remember, and when the whole
log is verified.
"""

from __future__ import annotations

from counterfoil.errors import TamperDetected
from counterfoil.leaves import ENROL, enrolment_told
from counterfoil.log import check_link
from counterfoil.roster import Roster
from counterfoil.store import Store


class EnrolmentsTold:
    """Reads leaves of enrolments, each once, and remembers them."""

    def __init__(self, store: Store, log_key: bytes) -> None:
        self._store = store
        self._log_key = log_key
        self._last = -1
        self._first: dict[str, str] = {}

    async def told(self) -> dict[str, str]:
        """The digest of the enrolment that was told of first, by the invitation's (``leaves.enrolment_told``); raises
        :class:`TamperDetected`."""
        for leaf, previous in await self._store.enrolment_leaves(after=self._last):
            check_link(leaf, previous, self._log_key)
            values = leaf.values
            if values["event"] != ENROL or values["n"] != leaf.index:
                raise TamperDetected(f"Leaf {leaf.index} of the log is filed as another.")
            found = enrolment_told(values["groups"], leaf.opening)
            if found is not None:
                self._first.setdefault(*found)
            self._last = max(self._last, leaf.index)
        return self._first

    def remember(self, roster: Roster) -> None:
        """With which invitations the passkeys of a verified roster were enrolled of which the log does not say it."""
        self._first |= roster.told_alone(self._first.get)
