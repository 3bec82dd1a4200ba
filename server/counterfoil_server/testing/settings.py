"""The settings with which a desk runs in a test: its own, except for where it keeps its state and where it listens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from counterfoil.desk import Desk
from counterfoil.errors import SettingsError
from counterfoil_server import config
from counterfoil_server.config import Configuration, Settings

OWN = ("desk", "policy", "state", "roster_key", "public_url", "host", "port", "allowed_hosts", "issuer", "smtp", "keys")
"""What a test cannot set: it follows from what is opened, or is the harness's own."""


@dataclass(frozen=True, kw_only=True)
class DeskInHand(Configuration):
    """Settings of a desk that needs no import."""

    given: Desk

    @cached_property
    def desk(self) -> Desk:
        """The desk, checked."""
        self.given.check()
        return self.given


def configured(
    desk: Desk | str | os.PathLike[str], folder: Path, policy: str | Path | None, changes: Mapping[str, object]
) -> Configuration:
    """Settings for a desk, or those of its ``counterfoil.toml``, with a state of their own in ``folder``.

    ``policy``: a policy's text, or the path of its file; needed for a desk, and instead of the file's for settings.
    Raises SettingsError, and ``ValidationError`` for changes that no setting accepts.
    """
    if refused := [name for name in OWN if name in changes]:
        raise SettingsError(f"A test cannot set {', '.join(refused)}.", "Leave it out; the harness sets it itself.")
    own: dict[str, object] = {
        "state": str(folder / "state"), "roster_key": str(folder / "roster-key.pem"), "host": "127.0.0.1", "port": 0,
        "public_url": "http://localhost", "allowed_hosts": [], "issuer": None, "smtp": None,
        "keys": {},
    }  # fmt: skip
    if policy is not None:
        own["policy"] = str(_policy_file(policy, folder))
    if isinstance(desk, Desk):
        if policy is None:
            raise SettingsError("A desk alone has no policy.", "Give its text or its file as 'policy'.")
        return DeskInHand(Settings.model_validate({**changes, "desk": "test:desk", **own}), folder, given=desk)
    found = config.load(Path(desk))
    values = found.settings.model_dump(exclude_unset=True) | {"feed": None}  # its token is not in a test's environment
    return replace(found, settings=Settings.model_validate({**values, **changes, **own}))


def listening_at(configuration: Configuration, port: int) -> Configuration:
    """The same where people's browsers, and the AI, find it on this port of this machine."""
    settings = configuration.settings.model_copy(update={"public_url": f"http://localhost:{port}", "port": port})
    return replace(configuration, settings=settings)


def _policy_file(policy: str | Path, folder: Path) -> Path:
    if isinstance(policy, Path):
        return policy.resolve()
    file = folder / "policy.cedar"
    file.write_text(policy, encoding="utf-8")
    return file
