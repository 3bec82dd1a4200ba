"""Evidence: what somebody takes along who believes nobody here."""

from __future__ import annotations

from counterfoil.errors import CounterfoilError
from counterfoil_server.administration.means import Means
from counterfoil_server.administration.shown import JSONObject


class EvidenceVerbs(Means):
    """Bundles, signatures as files, and the trust file."""

    async def openssh_files(self, *, ticket: str) -> JSONObject:
        """What was signed about a ticket, as files that ssh-keygen verifies."""
        from counterfoil_server import proving  # a server that serves has no use for it

        return await proving.openssh_files(self._authority, ticket)

    async def evidence_bundle(self, *, ticket: str) -> str:
        """The evidence bundle of a ticket, as the text of its file."""
        from counterfoil_server import proving

        try:
            rules: str | None = self._read_policy()
        except CounterfoilError:  # evidence of what was decided by earlier rules is evidence as well
            rules = None
        return await proving.bundle(self._authority, ticket, rules, self._prove_leaf)

    async def evidence_trust(self) -> JSONObject:
        """What an auditor of this desk has to bring."""
        from counterfoil_server import proving

        publisher, former = self._publisher, self._former_log_keys
        if publisher is None:
            return await proving.trust(self._authority, self._log_key, former=former)
        return await proving.trust(self._authority, self._log_key, publisher.witnesses, publisher.quorum, former=former)
