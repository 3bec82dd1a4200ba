"""All verbs together, called by name."""

from __future__ import annotations

from typing import Any

from counterfoil.errors import BadArguments
from counterfoil_server.administration.checks import CheckVerbs
from counterfoil_server.administration.evidence import EvidenceVerbs
from counterfoil_server.administration.people import PeopleVerbs
from counterfoil_server.administration.shown import JSONObject
from counterfoil_server.administration.stopping import StoppingVerbs
from counterfoil_server.administration.tickets import TicketVerbs
from counterfoil_server.verb_calls import run

VERBS = frozenset(
    {
        "tickets_list", "tickets_show", "tickets_ask", "revoke", "suspend", "resume", "suspensions", "people_list",
        "roster_head", "roster_append", "delegates_list", "principals_add", "principals_list", "principals_disable",
        "notices_list", "calls_list", "doctor", "keys_list", "keys_log", "keys_rotate", "keys_revoke",
        "openssh_files",
        "evidence_bundle", "evidence_trust",
    }
)  # fmt: skip
"""The verbs that may be called by name."""
FORGET = "forget"
"""The verb that ``retention.py`` answers."""
LOG = "log_"
"""How the names of those begin that ``log_audit.py`` answers."""


class Administration(TicketVerbs, EvidenceVerbs, StoppingVerbs, PeopleVerbs, CheckVerbs):
    """Verbs over one authority; the authority's keys come with stopping."""

    async def call(self, verb: str, arguments: JSONObject) -> Any:
        """Run the verb of that name; raises :class:`BadArguments` for an unknown one or wrong arguments."""
        if verb.startswith(LOG):
            return await self._audit().call(verb, arguments)
        if verb != FORGET and verb not in VERBS:
            raise BadArguments(f"There is no verb {verb[:40]!r}.")
        return await run(verb, self._retention().forget if verb == FORGET else getattr(self, verb), arguments)
