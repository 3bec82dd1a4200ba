"""Looking after it: the outbox, recorded calls, and checks of what is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from counterfoil import tokens
from counterfoil.errors import CounterfoilError, TamperDetected, UnknownName
from counterfoil.keys import SigningKey
from counterfoil.store import NO_LONGER_NEEDED
from counterfoil.tickets import State
from counterfoil_server.administration.means import Means
from counterfoil_server.administration.shown import JSONObject, notice

MANY = 1000
"""So many of something are looked at, and no more."""

PROBE = "cf-probe+jwt"
"""The type of what a signer elsewhere is asked to sign, to see whether it does. Nobody takes it for anything."""

ROTATE = "Run 'counterfoil keys rotate'."

EDITED = "Compare with a backup; somebody changed the database outside Counterfoil."

RESTORED = (
    "If you restored the database from a backup, run 'counterfoil doctor --accept-log'; what ran will not run again."
)


class CheckVerbs(Means):
    """The outbox, the calls, and the doctor."""

    async def notices_list(self, *, ticket: str | None = None, limit: int = 50) -> list[JSONObject]:
        """The outbox."""
        return [notice(found) for found in await self._authority.store.notices(ticket, limit)]

    async def calls_list(self, *, limit: int = 50) -> list[JSONObject]:
        """Recorded tool calls, those that wait to be written included."""
        await self._flush_calls()
        return [
            {
                "at": call.at,
                "principal": call.principal,
                "tool": call.tool,
                "ticket": call.ticket,
                "status": call.status,
            }
            for call in await self._authority.store.calls(limit)
        ]

    async def doctor(self) -> list[JSONObject]:
        """Checks of what is stored: each with a name, whether it holds, and what to do if not."""
        checks = [
            await _check("log", self._check_log, EDITED),
            await _check("executor", self._check_executor, RESTORED),
            await _check("signing", self._check_signing),
            await _check("roster", self._check_roster, "Restore the roster from a backup."),
            await _check("outcomes", self._check_outcomes),
            await _check("notices", self._check_notices),
        ]
        if self._publisher is not None:
            checks += await self._publisher.checks()
        return checks

    async def _check_log(self) -> str:
        await self._verify_log()
        return "every leaf follows from the one before it"

    async def _check_executor(self) -> str:
        await self._follow_log()
        return "the log goes on from where the executor has read it"

    async def _check_signing(self) -> str:
        ring = self._authority.keys
        if ring.current.id not in await self._authority.good_keys():
            raise UnknownName(
                "The key that the authority signs with is stopped, so that nothing is carried out.", ROTATE
            )
        if ring.cut_short:
            raise UnknownName("A rotation of the authority's keys was interrupted.", ROTATE)
        if not isinstance(ring.current, SigningKey):
            probe = {"iat": self._authority.store.now()}
            await tokens.issue(ring.current, PROBE, probe, within=self._authority.times.signature)
        return f"signing with {ring.current.id}"

    async def _check_roster(self) -> str:
        verified = await self._authority.judge.roster()
        return f"people: {len(verified.people)}, passkeys: {len(verified.credentials)}, version: {verified.version}"

    async def _check_outcomes(self) -> str:
        unknown = await self._authority.store.tickets(states=(State.UNKNOWN,), limit=MANY)
        if unknown:
            raise UnknownName(
                f"Tickets with an unknown outcome: {len(unknown)}.",
                "Look at each with 'counterfoil tickets show': it says who can settle it.",
            )
        return "every outcome is known"

    async def _check_notices(self) -> str:
        failed = [
            found
            for found in await self._authority.store.notices(limit=MANY)
            if found.state == "failed" and not (found.error or "").startswith(NO_LONGER_NEEDED)
        ]
        if failed:
            raise UnknownName(
                f"Messages that could not be delivered: {len(failed)}.", "Check [smtp] and the addresses."
            )
        return "no failed notices"


async def _check(name: str, run: Callable[[], Awaitable[str]], remedy: str = "") -> JSONObject:
    """One check; ``remedy`` is what to do where somebody tampered, any other refusal has its own."""
    try:
        return {"check": name, "ok": True, "says": await run()}
    except TamperDetected as error:
        return {"check": name, "ok": False, "says": error.happened, "remedy": remedy}
    except CounterfoilError as error:
        return {"check": name, "ok": False, "says": error.happened, "remedy": error.remedy}
