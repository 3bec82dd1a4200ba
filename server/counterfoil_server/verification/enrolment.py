"""Enrolment: a person adds a passkey to the roster with a one-time invitation (T35).

The address holds the invitation's secret, which is stored nowhere: the roster holds its verification key. Two
gestures: the first makes the passkey, with the second it signs its own enrolment, as the invitation's secret does.
Unknown, spent and expired invitations look alike (T32). Every channel that the person was ever invited with is told.
With a first passkey the person is also asked about what waits for them already.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterfoil import leaves, recipients
from counterfoil.errors import LinkRefused, RosterRefused, StatementRefused
from counterfoil.roster import (
    Enrolment,
    Invitation,
    Roster,
    SignedEnrolment,
    enrolment_digest,
    secret_key_of,
    sign_with_secret,
    verify_enrolment,
)
from counterfoil.store import NoticeDraft, Secret
from counterfoil_server.verification.incoming import json_of
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.passkeys import (
    AssertionAnswer,
    RegistrationAnswer,
    challenge_of,
    request_options,
)
from counterfoil_server.verification.secrets_kept import ENROLMENT, read_secret, secret_digest

PURPOSE = "enrol"

NOT_ENROLLED = StatementRefused("The new passkey did not sign properly.", "Try again, or with another passkey.")


@dataclass(frozen=True)
class Invited:
    """A good invitation and the secret that opened it."""

    secret: bytes
    digest: str
    invitation: Invitation
    roster: Roster


def registration() -> ModuleType:
    """The module that registers passkeys, loaded when the first person enrols: it brings a library of 5 MB."""
    return importlib.import_module("counterfoil_server.verification.registration")


class Enrol:
    """The pages below ``/enrol/``."""

    def __init__(self, parts: Parts, life: int) -> None:
        self._parts = parts
        self._life = life

    async def landing(self, request: Request) -> Response:
        """Somebody opened an invitation. Nothing is changed, and nobody is named."""
        await self._invited(request)
        visit = self._parts.sessions.visit(request)
        response = self._parts.pages.page("enrol.html", form_token=visit.token)
        self._parts.sessions.keep(response, visit)
        return response

    async def options(self, request: Request) -> Response:
        """What the browser asks an authenticator to make."""
        visit = self._parts.sessions.check_visit(request)
        invited = await self._invited(request)
        challenge = await self._parts.challenges.make(PURPOSE, f"{invited.digest}:{visit.digest}")
        person = invited.invitation.person
        return JSONResponse(
            registration().creation_options(
                self._parts.party,
                self._parts.organisation,
                person=person,
                name=invited.roster.people[person].name,
                held=invited.roster.credentials_of(person),
                challenge=challenge,
            )
        )

    async def passkey(self, request: Request) -> Response:
        """Check the new passkey, and answer the enrolment that it shall sign."""
        visit = self._parts.sessions.check_visit(request)
        answer = await json_of(request, RegistrationAnswer)
        invited = await self._invited(request)
        challenge = await self._parts.challenges.spend(
            answer.response.client_data, PURPOSE, f"{invited.digest}:{visit.digest}"
        )
        made = registration().verify_registration(answer, challenge, self._parts.party)
        if made.id in invited.roster.credentials:
            raise StatementRefused("This passkey is enrolled already.", "Use another passkey.")
        now = self._parts.store.now()
        enrolment = Enrolment(
            invitation=invited.digest,
            person=invited.invitation.person,
            credential=made.id,
            public_key=made.public_key,
            backup_eligible=made.backup_eligible,
            party=self._parts.party.id,
            iat=now,
        )
        known = secret_digest(ENROLMENT, enrolment.challenge)
        data = {"enrolment": enrolment.to_bytes().decode()}
        await self._parts.store.put_secret(Secret(ENROLMENT, known, invited.digest, data, now + self._life))
        return JSONResponse(request_options(self._parts.party, enrolment.challenge, made.id))

    async def signature(self, request: Request) -> Response:
        """Both signatures are there: the passkey joins the roster, and the person is told."""
        self._parts.sessions.check_visit(request)
        assertion = (await json_of(request, AssertionAnswer)).to_assertion()
        invited = await self._invited(request)
        known = secret_digest(ENROLMENT, challenge_of(assertion.client_data))
        kept = await self._parts.store.take_secret(ENROLMENT, known)
        if kept is None or kept.subject != invited.digest:
            raise StatementRefused("The answer came too late, or was used before.", "Begin again.")
        enrolment = Enrolment.model_validate_json(str(kept.data["enrolment"]))
        signed = SignedEnrolment(
            enrolment=enrolment,
            secret_signature=sign_with_secret(invited.secret, enrolment),
            assertion=assertion,
        )
        try:
            verify_enrolment(signed, invited.invitation, self._parts.judge.trust)
        except RosterRefused:
            raise NOT_ENROLLED from None
        await self._parts.store.add_enrolment(
            signed.to_text(),
            invitation=invited.digest,
            credential=enrolment.credential,
            leaf=leaves.enrolled(
                person=enrolment.person,
                credential=enrolment.credential,
                invitation=invited.digest,
                enrolment=enrolment_digest(signed.to_text()),
            ),
            notices=told_of(invited),
            asked=await self._asked(invited),
        )
        self._parts.decided()
        return JSONResponse({"location": "/enrolled"})

    async def done(self, request: Request) -> Response:
        """What the person can do now; says nothing about anyone, so it needs no session."""
        return self._parts.pages.page("enrolled.html")

    async def _asked(self, invited: Invited) -> list[tuple[str, NoticeDraft]]:
        """What waits for somebody who could not decide before: the messages of that time were of no use to them."""
        person, roster = invited.roster.people[invited.invitation.person], invited.roster
        return [] if roster.credentials_of(person.id) else await self._parts.authority.waiting_for(person, roster)

    async def _invited(self, request: Request) -> Invited:
        """The invitation that the address opens; raises :class:`LinkRefused` for every other address alike."""
        secret = read_secret(request.path_params["secret"]) or bytes(32)
        opened = secret_key_of(secret)
        roster = await self._parts.judge.roster()
        _, enrolments = await self._parts.store.roster()
        spent = {SignedEnrolment.model_validate_json(text).enrolment.invitation for text in enrolments}
        for known, invitation in roster.invitations.items():
            if invitation.secret_key != opened or known in spent or await self._parts.judge.is_spent(known):
                continue
            if self._parts.store.now() <= invitation.exp and not roster.people[invitation.person].ended:
                return Invited(secret, known, invitation, roster)
        raise LinkRefused("This invitation is not valid, or not any more.", "Ask for a new invitation.")


def told_of(invited: Invited) -> list[NoticeDraft]:
    """Every channel the person was ever invited with learns of the new passkey, the former ones too (T53)."""
    person = invited.invitation.person
    channels = dict.fromkeys(
        channel
        for invitation in invited.roster.invitations.values()
        if invitation.person == person
        for channel in invitation.channels
    )
    return [NoticeDraft(recipients.ENROLLED, person, channel, capped=False) for channel in channels]
