"""Where the authority's keys are, as the setting ``[keys] authority`` says, and how they get here.

``files``: in the state folder, where rotations are written. ``environment``: as PEM in variables, for platforms that
hand secrets out that way. ``module:variable``: a :class:`KeyRing` of signers of one's own, imported like the desk, for
keys that never leave a service. Only files are changed from here; of a ring from elsewhere that has changed since the
last start, a leaf tells before it signs.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING

from counterfoil import leaves
from counterfoil.canonical import canonical
from counterfoil.errors import DeskError, KeyFileError, SettingsError
from counterfoil.keys import KeyRing, SigningKey, VerificationKey
from counterfoil_server import key_files
from counterfoil_server.desk_module import load_variable

if TYPE_CHECKING:
    from counterfoil_server.config import Configuration
    from counterfoil_server.store import SQLiteStore

FILES = "files"
ENVIRONMENT = "environment"

RECORDED = "authority_keys"
"""The database's setting with the newest ring from elsewhere that a leaf tells of."""

MAKE_ONE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"

STOP = "'counterfoil suspend key:ID' stops one at once, and 'keys revoke' for good what signs no more."


def load(configuration: Configuration, *, fresh: bool) -> key_files.Keys:
    """Everything that a serving process holds; raises :class:`KeyFileError` or :class:`SettingsError`."""
    return key_files.load_or_create(
        configuration.state / "keys", roster_key=configuration.roster_key, fresh=fresh, ring=_ring(configuration)
    )


def how_to_change(configuration: Configuration) -> str | None:
    """What an administrator does instead of a rotation from here; None where the keys are files."""
    source, variables = configuration.settings.keys.authority, _variables(configuration)
    if source == FILES:
        return None
    if source == ENVIRONMENT:
        current, following, previous = variables
        return (
            f"Give {previous} what {current} holds, {current} what {following} holds, and {following} a fresh key "
            f"({MAKE_ONE}); then start the server again. {STOP}"
        )
    return f"Change the ring in {source} and start the server again. {STOP}"


async def record(store: SQLiteStore, ring: KeyRing) -> None:
    """Put a ring from elsewhere on the log, if it is another one than at the last start."""
    names = {place: key.id for place, key in ring.places.items()}
    text = canonical(names).decode()
    if await store.setting(RECORDED) != text:
        await store.append_leaf(leaves.administered(leaves.KEYS, **names))
        await store.put_setting(RECORDED, text)


def _variables(configuration: Configuration) -> tuple[str, str, str]:
    name = configuration.settings.keys.authority_env
    return name, f"{name}_NEXT", f"{name}_PREVIOUS"


def _ring(configuration: Configuration) -> KeyRing | None:
    source = configuration.settings.keys.authority
    if source == FILES:
        return None
    if source == ENVIRONMENT:
        current, following, previous = _variables(configuration)
        return KeyRing(
            current=_from_environment(current),
            next=_from_environment(following),
            previous=_from_environment(previous) if os.environ.get(previous) else None,
        )
    return _declared(configuration, source)


def _from_environment(name: str) -> SigningKey:
    """The key in a variable; a PEM's line ends may be the two characters that many platforms make of them."""
    text = os.environ.get(name)
    if not text:
        raise SettingsError(
            f"The authority's keys are in the environment, but the variable {name} is not set.",
            f"Set it to the PEM of a P-256 key of its own; this makes one: {MAKE_ONE}",
        )
    try:
        return SigningKey.from_pem(text.replace("\\n", "\n").encode())
    except KeyFileError as error:
        raise KeyFileError(
            f"{error.happened[:-1]}: the variable {name}.", "Set it to the PEM of a P-256 key, with its line ends."
        ) from None


def _declared(configuration: Configuration, source: str) -> KeyRing:
    """The ring of the organisation's own, each signer looked at before it is ever asked."""
    place = configuration.place("keys", "authority")
    try:
        found = load_variable(source, configuration.folder, place, setting="[keys] authority")
    except DeskError as error:
        raise SettingsError(error.happened, error.remedy) from error
    if not isinstance(found, KeyRing):
        raise SettingsError(f"{place}: {source} is not a KeyRing but {type(found).__name__}.", "Name one.")
    for where, signer in found.places.items():
        public = getattr(signer, "public", None)
        if not isinstance(public, VerificationKey) or VerificationKey.of(public.public).id != signer.id:
            raise SettingsError(
                f"{place}: the {where} key of {source} has no public key of its id.",
                "Give the signer 'public' by VerificationKey.from_pem(...), and 'id' as public.id.",
            )
        if not inspect.iscoroutinefunction(getattr(signer, "sign", None)):
            raise SettingsError(
                f"{place}: the {where} key of {source} has no 'async def sign(self, digest)'.",
                "Write one that answers the ECDSA signature of the digest as DER.",
            )
    return found
