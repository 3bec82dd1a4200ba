"""The checks of ``doctor`` that look at settings, files and this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import anyio

from counterfoil.desk import Desk
from counterfoil.errors import CounterfoilError
from counterfoil_server import authority_keys, key_files
from counterfoil_server.cli.console import counted
from counterfoil_server.cli.first_start import SAME_USER
from counterfoil_server.config import Configuration
from counterfoil_server.execution.ledger import Ledger
from counterfoil_server.store import StateFolder

T = TypeVar("T")
Status = Literal["ok", "warning", "wrong"]

STAYS_UNKNOWN = "an unknown outcome stays unknown for good"
HOW_TO_SETTLE = "Give the operation a lookup, or name in settled_by the role whose people find out."

LITTLE_SPACE = 500_000_000
"""Bytes: below, a busy desk may fill the disk before somebody looks again."""
NO_SPACE = 20_000_000
"""Bytes: below, SQLite may fail at its next checkpoint."""


@dataclass
class Check:
    """How one check went, and what to do."""

    name: str
    status: Status
    says: str
    remedy: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """The shape of ``--json``."""
        return {"check": self.name, "status": self.status, "says": self.says, "remedy": self.remedy}


def attempt(name: str, work: Callable[[], T], says: str = "fine") -> tuple[T | None, Check]:
    """What ``work`` answers, and the check that it did; a refusal is what the check says."""
    try:
        return work(), Check(name, "ok", says)
    except CounterfoilError as error:
        return None, Check(name, "wrong", error.happened, error.remedy)


def declarations(configuration: Configuration) -> list[Check]:
    """Desk and policy as they are on disk now; a serving process may still run with older ones."""
    desk, checked = attempt("desk", lambda: configuration.desk)
    if desk is None:
        return [checked]
    checked.says = f"{desk.name}: {counted(len(desk.reads), 'read')}, {counted(len(desk.operations), 'operation')}"
    policy = attempt("policy", configuration.load_policy, f"{configuration.settings.policy} fits the desk")[1]
    return [checked, policy, _settling(desk)]


def _settling(desk: Desk) -> Check:
    """Whether an outcome that nobody knows can ever become known."""
    stuck = [name for name in desk.operations if not desk.can_settle(name)]
    if stuck:
        return Check("settling", "warning", f"{STAYS_UNKNOWN}: {', '.join(stuck)}", HOW_TO_SETTLE)
    return Check("settling", "ok", "an unknown outcome can be settled for every operation")


def machine(configuration: Configuration) -> list[Check]:
    """Where keys lie, whether people are told, and what this process model can hold back."""
    return [
        _roster_key(configuration),
        _mail(configuration),
        *_feed(configuration),
        _public(configuration),
        _space(configuration),
        _isolation(),
    ]


def _isolation() -> Check:
    if os.getuid() == 0:
        return Check("isolation", "warning", f"this runs as root. {SAME_USER}", "Do not run it as root.")
    return Check("isolation", "ok", SAME_USER)


def files(configuration: Configuration) -> list[Check]:
    """The state folder, its files, and the keys in it."""
    keys, checked = attempt("keys", lambda: authority_keys.load(configuration, fresh=False))
    if keys is not None:
        checked.says = f"complete; the authority signs with {keys.ring.current.id[:12]}…"
    return [*_modes(configuration.state), checked, _ledger(configuration)]


def has_ledger(configuration: Configuration) -> bool:
    """Whether the executor's own memory is there."""
    from counterfoil_server.opening import LEDGER

    return (configuration.state / LEDGER).exists()


def accept_log(configuration: Configuration) -> None:
    """Forget what the executor knows of the log's head, and seal the log as a new one; raises StateFolderInUse while a
    process serves."""
    from counterfoil_server.opening import LEDGER

    with StateFolder.open(configuration.state):
        anyio.run(_seal_anew, configuration)
        ledger = Ledger(configuration.state / LEDGER)
        try:
            ledger.forget_head()
        finally:
            ledger.close()


async def _seal_anew(configuration: Configuration) -> None:
    from counterfoil_server import log_publishing
    from counterfoil_server.opening import DATABASE, log_signer
    from counterfoil_server.store import SQLiteStore
    from counterfoil_server.store.sealer import Sealer

    state = configuration.state
    keys = authority_keys.load(configuration, fresh=False)
    async with SQLiteStore.open(state / DATABASE, log_key=keys.secrets.log) as store:
        signer = await log_signer(store, keys, configuration)
        log_publishing.set_aside(configuration, store.now())
        await Sealer.start_anew(store, signer, state / key_files.CHECKPOINT)


def _modes(state: Path) -> Iterator[Check]:
    """The folder keeps others out; whatever in it they could read all the same is named."""
    if state.stat().st_mode & 0o077:
        yield Check("state folder", "wrong", f"{state} is open to other users", f"Run: chmod 700 {state}")
    else:
        yield Check("state folder", "ok", f"{state}, for this user only")
    foreign = [path for path in state.rglob("*") if path.lstat().st_uid != os.getuid()]
    if foreign:
        yield Check(
            "owners", "wrong", f"{foreign[0]} belongs to another user", "Run Counterfoil always as the same user."
        )


def _ledger(configuration: Configuration) -> Check:
    if has_ledger(configuration):
        return Check("ledger", "ok", "the executor's own memory is there")
    return Check(
        "ledger",
        "wrong",
        f"the executor's own memory in {configuration.state} is missing, so it cannot know what ran already",
        "Restore it from a backup made after the last execution; never start with an empty one.",
    )


def _roster_key(configuration: Configuration) -> Check:
    path = configuration.roster_key
    if not path.exists():
        return Check("roster key", "ok", "not on this machine, where it belongs only while you invite or disable")
    _, checked = attempt("roster key", lambda: key_files.read_signing_key(path))
    if checked.status == "ok":
        checked.status = "warning"
        checked.says = f"it lies on this machine: whoever takes {path} decides who may approve"
        checked.remedy = "Move it off this machine, and bring it back only to invite or disable people."
    return checked


def _mail(configuration: Configuration) -> Check:
    from counterfoil_server.app import smtp_transport

    transport, checked = attempt("mail", lambda: smtp_transport(configuration))
    if checked.status == "ok" and transport is None:
        return Check(
            "mail",
            "warning",
            "no [smtp] settings: nobody is told that a request waits",
            "Add [smtp] with host and sender to counterfoil.toml.",
        )
    smtp = configuration.settings.smtp
    if checked.status == "ok" and smtp is not None:
        checked.says = f"sent through {smtp.host}:{smtp.port}"
    return checked


def _feed(configuration: Configuration) -> Iterator[Check]:
    """Whether the server would start with the feed, where the settings ask for one."""
    feed = configuration.settings.feed
    if feed is not None:
        yield attempt("feed", lambda: feed.tokens, "executors outside may follow the log, each by a token")[1]


def _public(configuration: Configuration) -> Check:
    parts = urlsplit(configuration.settings.public_url)
    if parts.hostname == "localhost":
        return Check(
            "public_url", "warning", "it is localhost: people can decide on this machine only",
            "Set public_url to the https address that people reach, before you invite them: passkeys are bound to it.",
        )  # fmt: skip
    return Check("public_url", "ok", f"passkeys are bound to {parts.hostname}")


def _space(configuration: Configuration) -> Check:
    folder = configuration.state if configuration.state.exists() else configuration.folder
    free = shutil.disk_usage(folder).free
    says = f"{free / 1e9:.1f} GB free"
    if free < NO_SPACE:
        return Check("disk", "wrong", says, "Make room: nothing is accepted that cannot be written down.")
    if free < LITTLE_SPACE:
        return Check("disk", "warning", says, "Make room soon.")
    return Check("disk", "ok", says)
