"""The settings: one TOML file, whose paths are relative to it, and two secrets that only the environment holds."""

from __future__ import annotations

import json
import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from counterfoil.bundle import Trust
from counterfoil.errors import CounterfoilError
from counterfoil.rungs import Rung, WrittenRung
from counterfoil.values import DecimalText, Frozen
from payments_service.database import StartRefused
from payments_service.refunds import Limit

SHORTEST_SECRET = 32
"""Characters of a bearer token."""


class Limits(Frozen):
    """The most that is paid back in a currency: ``one`` refund, and one ``day`` and account."""

    one: DecimalText
    day: DecimalText

    @property
    def cents(self) -> Limit:
        """The same in cents."""
        return Limit(int(Decimal(self.one) * 100), int(Decimal(self.day) * 100))


class Settings(Frozen):
    """What ``payments.toml`` says; the comments there say what it means."""

    authority: str
    trust: str
    executor: str
    state: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]
    feed_life: Annotated[int, Field(ge=5, le=3600)] = 60
    feed_every: Annotated[float, Field(gt=0, le=3600)] = 5.0
    feed_token: str
    orders_token: str
    floor: Annotated[dict[str, tuple[WrittenRung, ...]], Field(min_length=1)]
    limits: dict[str, Limits]

    @property
    def floors(self) -> dict[str, tuple[Rung, ...]]:
        """The floor of each operation."""
        return {operation: tuple(each.rung for each in floor) for operation, floor in self.floor.items()}


def load(path: Path) -> Settings:
    """Read the file; raises :class:`StartRefused`."""
    try:
        values = tomllib.loads(path.read_text())
        settings = Settings.model_validate_json(json.dumps(values, default=str))
    except OSError as error:
        raise StartRefused(f"The settings {path} cannot be read: {error.strerror}. Name them with --config.") from None
    except (UnicodeError, tomllib.TOMLDecodeError) as error:
        raise StartRefused(f"The settings {path} cannot be read as TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StartRefused(f"The settings {path} do not fit: {place}: {first['msg']}.") from None
    if not _is_address(settings.authority):
        raise StartRefused("authority is the address of the desk, as in https://desk.example.")
    for operation, floor in settings.floor.items():
        if not floor or any(each.rung.is_empty for each in floor):
            raise StartRefused(f"The floor of {operation} asks for nothing. Say at least whose approval it takes.")
    return settings


def _is_address(text: str) -> bool:
    try:
        where = urlsplit(text)
        return where.scheme in ("http", "https") and bool(where.hostname) and where.port != 0
    except ValueError:
        return False


def trust_of(settings: Settings, folder: Path) -> Trust:
    """The pinned trust file; raises :class:`StartRefused`."""
    path = folder / settings.trust
    try:
        trust = Trust.from_bytes(path.read_bytes())
    except OSError:
        raise StartRefused(
            f"There is no trust file {path}. On the desk, run 'counterfoil prove --trust', and bring what it writes."
        ) from None
    except CounterfoilError as error:
        raise StartRefused(f"{path}: {error}") from None
    if trust.log is None or settings.executor not in trust.executors:
        raise StartRefused(f"{path} names no log, or no executor {settings.executor!r}: make it again on the desk.")
    return trust


def secret(name: str) -> str:
    """The bearer token in this environment variable; raises :class:`StartRefused`."""
    found = os.environ.get(name, "")
    if len(found) < SHORTEST_SECRET or not found.isascii() or not found.isprintable() or " " in found:
        raise StartRefused(
            f"The environment variable {name} holds no token of at least {SHORTEST_SECRET} characters."
            " 'openssl rand -hex 32' makes one; the other side has the same."
        )
    return found
