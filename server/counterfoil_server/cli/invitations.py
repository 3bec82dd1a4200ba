"""Signing roster records: the only code that reads the roster's private key.

An invitation names a person and what they may decide, and holds the verification key of a one-time secret. The secret
itself is in the enrolment address only: whoever opens that first enrols a passkey as this person.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterfoil.canonical import b64
from counterfoil.errors import BadArguments, KeyFileError, UnknownName
from counterfoil.keys import SigningKey
from counterfoil.roster import End, Invitation, secret_key_of, sign_record
from counterfoil_server import key_files
from counterfoil_server.config import Configuration
from counterfoil_server.notices.transports import NotDelivered, single_address

DAY = 86400
SUFFIX = "23456789abcdefghjkmnpqrstuvwxyz"
"""No characters that are taken for one another when an id is read out."""

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Runs an administration verb: its name and its arguments."""


@dataclass(frozen=True)
class Invited:
    """Whom to invite. ``person``: their id, or None for a fresh one; ``days``: how long the invitation lives; ``key``:
    the file of a delegate's key that signs it, or None for the roster key."""

    name: str
    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    emails: tuple[str, ...]
    person: str | None = None
    days: int = 7
    key: Path | None = None


@dataclass(frozen=True)
class Enrolment:
    """What came of it. ``url`` is a secret; ``expires_at``: Unix seconds; ``again``: the person was known before."""

    person: str
    name: str
    url: str
    expires_at: int
    again: bool
    passkeys: int


async def invite(call: Call, configuration: Configuration, invited: Invited) -> Enrolment:
    """Sign and append an invitation; raises BadArguments, KeyFileError or RosterRefused."""
    _check(invited, configuration)
    known = {each["person"]: each for each in await call("people_list", {})}
    before = known.get(invited.person) if invited.person is not None else None
    if before is not None and before["disabled"]:
        raise BadArguments(
            f"{invited.person} was disabled, which is for good.", "Leave out --person, and a new id is made."
        )
    _check_addresses(invited, known.values())
    person = invited.person or _fresh_id(invited.name)
    key = read_roster_key(configuration) if invited.key is None else await _delegate_key(call, invited.key)
    head = await call("roster_head", {})
    secret = secrets.token_bytes(key_files.SECRET_LENGTH)
    record = Invitation(
        version=head["version"],
        previous=head["previous"],
        person=person,
        name=invited.name,
        accounts=invited.accounts,
        roles=invited.roles,
        channels=invited.emails,
        secret_key=secret_key_of(secret),
        iat=head["now"],
        exp=head["now"] + invited.days * DAY,
    )
    await call("roster_append", {"record": sign_record(key, record)})
    return Enrolment(
        person,
        invited.name,
        f"{configuration.settings.public_url}/enrol/{b64(secret)}",
        record.exp,
        before is not None,
        before["passkeys"] if before is not None else 0,
    )


async def check_can_be_disabled(call: Call, person: str) -> None:
    """Raise UnknownName for somebody who does not exist, or not any more."""
    known = {each["person"]: each for each in await call("people_list", {"as_recorded": True})}
    if person not in known or known[person]["disabled"]:
        why = "is disabled already" if person in known else "does not exist"
        raise UnknownName(f"The person {person} {why}.", "List them with 'counterfoil people list'.")


async def disable(call: Call, configuration: Configuration, person: str) -> None:
    """Sign and append the end of a person; raises UnknownName, KeyFileError or RosterRefused."""
    await check_can_be_disabled(call, person)
    key = read_roster_key(configuration)
    head = await call("roster_head", {})
    record = End(version=head["version"], previous=head["previous"], what="person", id=person, iat=head["now"])
    await call("roster_append", {"record": sign_record(key, record)})


def read_roster_key(configuration: Configuration) -> SigningKey:
    """The roster's private key; raises :class:`KeyFileError` saying where it is looked for."""
    path = configuration.roster_key
    if not path.exists():
        raise KeyFileError(
            f"The roster's private key is not at {path}.",
            "Bring it from where you keep it; the setting 'roster_key' says where it is looked for.",
        )
    return key_files.read_signing_key(path)


async def _delegate_key(call: Call, path: Path) -> SigningKey:
    """A delegate's private key; raises :class:`KeyFileError` for any other key."""
    key = key_files.read_signing_key(path)
    if key.id not in {each["key"] for each in await call("delegates_list", {})}:
        raise KeyFileError(
            f"{path} is no key of a delegate.",
            "List them with 'counterfoil delegates list'; leave --key out to sign with the roster key.",
        )
    return key


def _check_addresses(invited: Invited, known: Iterable[dict[str, Any]]) -> None:
    """Refuse to make a second person of whoever reads the messages of a first: two seats must be two people (T05)."""
    wanted = {address.casefold(): address for address in invited.emails}
    for person in known:
        for channel in person["channels"] if not person["disabled"] and person["person"] != invited.person else ():
            if channel.casefold() in wanted:
                raise BadArguments(
                    f"{channel} is the address of {person['name']} already, {person['person']}.",
                    f"To change what they hold, or for another passkey, use --person {person['person']};"
                    " for somebody else, give an address of their own.",
                )


def _check(invited: Invited, configuration: Configuration) -> None:
    if not invited.name.strip() or len(invited.name) > 100 or not invited.name.isprintable():
        raise BadArguments("A person's name has 1 to 100 printable characters.", "Write it as they would.")
    if not invited.accounts and not invited.roles:
        raise BadArguments(
            "Without an account or a role, a person has nothing to decide.",
            "Name what they hold with --account, or their role with --role.",
        )
    if invited.person is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", invited.person):
        raise BadArguments(
            f"{invited.person!r} cannot be a person's id.", "Use up to 100 letters, digits and the marks . _ @ -"
        )
    for address in invited.emails:
        try:
            single_address(address)
        except NotDelivered:
            raise BadArguments(
                f"{address!r} is not one e-mail address.", "Write --email as name@example.com."
            ) from None
    if unknown := [role for role in invited.roles if role not in configuration.desk.roles]:
        listed = ", ".join(configuration.desk.roles) or "none"
        raise BadArguments(f"The desk has no role {unknown[0]}.", f"Its roles: {listed}.")


def _fresh_id(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "person"
    return f"{slug}-{''.join(secrets.choice(SUFFIX) for _ in range(4))}"
