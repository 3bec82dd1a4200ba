"""The roster as it was at a moment: the records and enrolments that were signed by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from counterfoil.roster import Roster, RosterTrust, SignedEnrolment, read_record, verify_roster


class RosterThen:
    """Made of a roster that was verified as a whole; each earlier one is verified again, once."""

    def __init__(self, records: Sequence[str], enrolments: Sequence[str], trust: RosterTrust) -> None:
        self.now = verify_roster(records, enrolments, trust)
        self._records = records
        self._record_times = [int(read_record(text)["iat"]) for text in records]
        self._enrolments = [(SignedEnrolment.model_validate_json(text).enrolment.iat, text) for text in enrolments]
        self._trust = replace(trust, minimum_version=0, replaced={})  # the whole was held against both
        self._known: dict[tuple[int, int], Roster] = {}

    def at(self, moment: int) -> Roster:
        """The roster at ``moment`` (Unix seconds): nothing of it was signed later."""
        count = sum(1 for _ in takewhile(lambda signed_at: signed_at <= moment, self._record_times))
        enrolments = [text for signed_at, text in self._enrolments if signed_at <= moment]
        key = (count, len(enrolments))
        if key not in self._known:
            self._known[key] = verify_roster(self._records[:count], enrolments, self._trust)
        return self._known[key]
