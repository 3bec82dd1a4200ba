"""Settings: ``counterfoil.toml``, found from the working directory, with paths relative to the file.

Every mistake is refused at start with the file, the setting and what to write instead.
"""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from counterfoil.assertions import RelyingParty
from counterfoil.desk import Desk
from counterfoil.errors import CounterfoilError, DeskError, PolicyError, SettingsError
from counterfoil.policy import Policy

FILE_NAME = "counterfoil.toml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SMTPSettings(_Section):
    """How notices are sent. The password comes from the environment variable named in ``password_env``."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    sender: str
    username: str | None = None
    password_env: str = "COUNTERFOIL_SMTP_PASSWORD"
    tls: Literal["none", "starttls", "tls"] = "starttls"

    @property
    def password(self) -> str | None:
        """The password, or None where no user name is set; raises :class:`SettingsError` if it is missing."""
        if self.username is None:
            return None
        found = os.environ.get(self.password_env)
        if not found:
            raise SettingsError(
                f"[smtp] names a user, but the environment variable {self.password_env} is not set.",
                "Set it to the mail account's password.",
            )
        return found


class TimesSettings(_Section):
    """Lifetimes in seconds; the defaults are those of the documentation."""

    link: Annotated[int, Field(ge=60, le=600)] = 600
    ticket: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    capability: Annotated[int, Field(ge=5, le=120)] = 120
    run: Annotated[int, Field(ge=5, le=3600)] = 300


class CapsSettings(_Section):
    """How many tickets may wait for people at once."""

    per_principal: Annotated[int, Field(ge=1)] = 200
    per_account: Annotated[int, Field(ge=1)] = 5
    per_conversation: Annotated[int, Field(ge=1)] = 10


class Settings(_Section):
    """Everything ``counterfoil.toml`` may say."""

    desk: str
    policy: str
    state: str = "state"
    roster_key: str = "roster-key.pem"
    public_url: str = "http://localhost:8700"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    allowed_hosts: list[str] = Field(default_factory=list)
    issuer: str | None = None
    tenant: str = "default"
    executor: str = "embedded"
    story: str | None = None
    smtp: SMTPSettings | None = None
    times: TimesSettings = TimesSettings()
    caps: CapsSettings = CapsSettings()

    @field_validator("public_url")
    @classmethod
    def _usable_for_passkeys(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.hostname == "localhost"
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("write scheme, host and port only, as in https://verify.example.com")
        if parts.scheme == "http" and not local:
            raise ValueError("passkeys need https, or http://localhost (not 127.0.0.1) on one's own machine")
        return value.rstrip("/")


@dataclass(frozen=True)
class Configuration:
    """The settings with the folder they are relative to."""

    settings: Settings
    folder: Path

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / self.settings.state

    @property
    def roster_key(self) -> Path:
        """The roster's private key, for the command line only."""
        return self.folder / self.settings.roster_key

    @property
    def issuer(self) -> str:
        """The authority's name in tokens."""
        return self.settings.issuer or self.settings.public_url

    @property
    def port(self) -> int:
        """Where to listen: the setting, or the port of ``public_url``, or 8700."""
        return self.settings.port if self.settings.port is not None else urlsplit(self.settings.public_url).port or 8700

    @property
    def party(self) -> RelyingParty:
        """Where passkeys are valid."""
        host = urlsplit(self.settings.public_url).hostname or ""
        return RelyingParty(host, frozenset({self.settings.public_url}))

    @cached_property
    def desk(self) -> Desk:
        """The desk, imported and checked."""
        module_name, colon, attribute = self.settings.desk.partition(":")
        if not colon:
            raise SettingsError(f"desk = {self.settings.desk!r} is not 'module:variable'.", 'Write desk = "desk:desk".')
        sys.path.insert(0, str(self.folder))
        try:
            desk = getattr(importlib.import_module(module_name), attribute, None)
        except CounterfoilError:
            raise
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise DeskError(
                    f"The module {module_name} in {self.folder} needs {error.name}, which is not installed.",
                    "Install it where Counterfoil is installed.",
                ) from error
            raise DeskError(
                f"There is no module {module_name} in {self.folder}.",
                "Correct 'desk', or go to the folder that has it.",
            ) from error
        except Exception as error:
            raise DeskError(
                f"The module {module_name} in {self.folder} failed to load: {type(error).__name__}: {error}.",
                "Run it with python to see where.",
            ) from error
        finally:
            sys.path.remove(str(self.folder))
        if not isinstance(desk, Desk):
            raise DeskError(f"{self.settings.desk} is not a Desk.", "Name the variable that holds your Desk.")
        desk.check()
        return desk

    def load_policy(self) -> Policy:
        """The policy, read from its file now."""
        path = self.folder / self.settings.policy
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise PolicyError(f"The policy {path} is not UTF-8 text.", "Save it as UTF-8.") from None
        except OSError as error:
            raise PolicyError(
                f"The policy {path} cannot be read: {error.strerror or error}.", "Name an existing file in 'policy'."
            ) from None
        return Policy.load(text, self.desk, source=self.settings.policy)


def find(start: Path) -> Path:
    """The nearest ``counterfoil.toml`` in ``start`` or a folder above it."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise SettingsError(
        f"There is no {FILE_NAME} in {start} or a folder above it.",
        "Go to your desk's folder, or name the file with --config.",
    )


def load(path: Path) -> Configuration:
    """Read and check the settings; raises :class:`SettingsError` naming file and setting."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror or error}.", "Name your settings file with --config."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}.", "Correct that line.") from None
    try:
        return Configuration(Settings.model_validate(values), path.resolve().parent)
    except ValidationError as error:
        raise SettingsError(f"{path} is not right: {'; '.join(_mistakes(error))}.") from None


def _mistakes(error: ValidationError) -> list[str]:
    """One clause for each wrong setting."""
    clauses = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        setting = ".".join(str(part) for part in item["loc"])
        match item["type"]:
            case "missing":
                clauses.append(f"the setting '{setting}' is missing")
            case "extra_forbidden":
                clauses.append(f"there is no setting '{setting}'")
            case "int_type" | "int_from_float" | "greater_than_equal" | "less_than_equal":
                clauses.append(f"{setting}: write {_whole_number(item['loc'])}")
            case _:
                clauses.append(f"{setting}: {item['msg'].removeprefix('Value error, ')}")
    return clauses


def _whole_number(location: tuple[int | str, ...]) -> str:
    """What a setting that is a whole number may be, from its declaration."""
    whole = Settings.model_json_schema()
    schema: dict[str, Any] = whole
    for part in location:
        schema = schema["properties"][part]
        schema = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    least, most = schema.get("minimum", 0), schema.get("maximum")
    return f"a whole number, {least} or more" if most is None else f"a whole number, {least} to {most}"
