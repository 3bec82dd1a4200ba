"""Settings: ``counterfoil.toml``, found from the working directory, with paths relative to the file.

Every mistake is refused at start with the file, the line and what to write instead, all mistakes at once.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from counterfoil.assertions import RelyingParty
from counterfoil.checkpoints import WITNESS, NoteKey
from counterfoil.desk import Desk
from counterfoil.errors import KeyFileError, PolicyError, SettingsError
from counterfoil.file_mistakes import mistakes_in, told
from counterfoil.policy import Policy
from counterfoil.toml_lines import Lines, unparsed
from counterfoil_server.desk_module import load_desk

FILE_NAME = "counterfoil.toml"

Name = Annotated[str, Field(min_length=1)]
VARIABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""``module:variable``."""
TOKEN = re.compile(r"[!-~]{32,1024}")
"""A token that a header can carry and nobody guesses."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SMTPSettings(_Section):
    """How notices are sent. The password comes from the environment variable named in ``password_env``."""

    host: Name
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    sender: Name
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


class FeedSettings(_Section):
    """That executors outside may follow the log: each of ``executors`` by the token from its environment variable; and
    where there are none, or it is named, whoever has that from ``token_env``."""

    token_env: str = "COUNTERFOIL_FEED_TOKEN"
    executors: dict[Name, Name] = Field(default_factory=dict)

    @property
    def tokens(self) -> list[str]:
        """The tokens; raises :class:`SettingsError` if one is missing, can be guessed or cannot be sent, or if two are
        the same."""
        shared = [self.token_env] if not self.executors or "token_env" in self.model_fields_set else []
        found: dict[str, str] = {}
        for variable in (*shared, *self.executors.values()):
            token = _feed_token(variable)
            if token in found:
                raise SettingsError(
                    f"[feed] has the same token in {found[token]} and in {variable}.",
                    "Give each executor one of its own: who has the same also has the same places to wait in.",
                )
            found[token] = variable
        return list(found)


def _feed_token(variable: str) -> str:
    found = os.environ.get(variable, "")
    if TOKEN.fullmatch(found):
        return found
    wrong = "is not set" if not found else "holds no token of 32 letters, digits and signs or more"
    raise SettingsError(
        f"[feed] lets executors outside follow the log, but the environment variable {variable} {wrong}.",
        "Set it to 32 random bytes in hexadecimal, for one, and give the executor the same; or remove [feed].",
    )


class TimesSettings(_Section):
    """Lifetimes in seconds; the defaults are those of the documentation."""

    link: Annotated[int, Field(ge=60, le=600)] = 600
    ticket: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    capability: Annotated[int, Field(ge=5, le=120)] = 120
    run: Annotated[int, Field(ge=5, le=3600)] = 300
    signature: Annotated[int, Field(ge=1, le=60)] = 5


class CapsSettings(_Section):
    """How many tickets may wait for people at once."""

    per_principal: Annotated[int, Field(ge=1)] = 200
    per_account: Annotated[int, Field(ge=1)] = 5
    per_conversation: Annotated[int, Field(ge=1)] = 10


class RetentionSettings(_Section):
    """After how many days a serving process deletes what is personal and no longer needed; never, where nothing is
    said. Leaves, signatures and what open tickets need stay."""

    turns_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    openings_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    notices_days: Annotated[int, Field(ge=1, le=36500)] | None = None


class WitnessSettings(_Section):
    """A witness: where it is asked, and its verifier key."""

    url: str
    key: str

    @property
    def verifier(self) -> NoteKey:
        """The key, read."""
        return NoteKey.from_text(self.key)

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        return _web_address(value)

    @field_validator("key")
    @classmethod
    def _of_a_witness(cls, value: str) -> str:
        try:
            usable = NoteKey.from_text(value).kind == WITNESS
        except KeyFileError:
            usable = False
        if not usable:
            raise ValueError(
                "is no verifier key of a witness", "Write it as 'counterfoil witness init' printed it: name+id+key."
            )
        return value


class LogSettings(_Section):
    """Where the log's checkpoints are published, and who cosigns them."""

    publish_file: Name | None = None
    publish_git: Name | None = None
    publish_url: str | None = None
    publish_token_env: str = "COUNTERFOIL_LOG_TOKEN"
    witnesses: Annotated[list[WitnessSettings], Field(max_length=16)] = Field(default_factory=list)
    quorum: Annotated[int, Field(ge=1, le=16)] | None = None
    every: Annotated[int, Field(ge=1, le=3600)] = 10

    @property
    def wanted(self) -> bool:
        """Whether anything is published or cosigned."""
        return bool(self.publish_file or self.publish_git or self.publish_url or self.witnesses)

    @property
    def enough(self) -> int:
        """How many cosignatures are enough: the quorum, or more than half of the witnesses."""
        if not self.witnesses:
            return 0
        return self.quorum if self.quorum is not None else len(self.witnesses) // 2 + 1

    @field_validator("publish_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        return value if value is None else _web_address(value)

    @field_validator("witnesses")
    @classmethod
    def _each_once(cls, value: list[WitnessSettings]) -> list[WitnessSettings]:
        if len({each.verifier.public for each in value}) != len(value):
            raise ValueError("name one witness twice", "Name each witness once: two names of one key are one witness.")
        return value

    @field_validator("quorum")
    @classmethod
    def _reachable(cls, value: int | None, info: ValidationInfo) -> int | None:
        known = info.data.get("witnesses")
        if value is not None and known is not None and value > len(known):
            raise ValueError("asks for more witnesses than there are", f"Write at most {len(known)}, or no quorum.")
        return value


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.fragment or parts.username is not None:
        raise ValueError("is no web address", "Write it as in https://witness.example.com, without a password.")
    return value


class TelemetrySettings(_Section):
    """What operators may see: traces and metrics. Both need the extra ``[telemetry]``."""

    traces: Literal["none", "otlp"] = "none"
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    metrics_host: Name = "127.0.0.1"
    metrics_token_env: Name | None = None


class KeysSettings(_Section):
    """Where the authority's keys are (``authority_keys.py``). With ``environment``, ``authority_env`` names the
    variable of the current key; those of the others have ``_NEXT`` and ``_PREVIOUS`` behind it."""

    authority: str = "files"
    authority_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "COUNTERFOIL_AUTHORITY_KEY"

    @field_validator("authority")
    @classmethod
    def _a_known_place(cls, value: str) -> str:
        if value not in ("files", "environment") and not VARIABLE.fullmatch(value):
            raise ValueError(
                f"is {value!r}, which is no place for keys",
                'Write "files", "environment", or module:variable for signers of your own, as in "signing:ring".',
            )
        return value


class Settings(_Section):
    """Everything ``counterfoil.toml`` may say."""

    desk: str
    policy: Name
    state: Name = "state"
    roster_key: Name = "roster-key.pem"
    public_url: str = "http://localhost:8700"
    host: Name = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    allowed_hosts: list[str] = Field(default_factory=list)
    issuer: str | None = None
    tenant: Name = "default"
    executor: Name = "embedded"
    story: str | None = None
    trust_client_isolation: bool = False
    smtp: SMTPSettings | None = None
    feed: FeedSettings | None = None
    keys: KeysSettings = KeysSettings()
    times: TimesSettings = TimesSettings()
    caps: CapsSettings = CapsSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @field_validator("desk", "story")
    @classmethod
    def _a_variable_of_a_module(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not VARIABLE.fullmatch(value):
            what, example = ("variable", "desk:desk") if info.field_name == "desk" else ("function", "story:play")
            raise ValueError(f"is {value!r}, not 'module:{what}'", f'Write {info.field_name} = "{example}".')
        return value

    @field_validator("public_url")
    @classmethod
    def _usable_for_passkeys(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
            raise ValueError(
                "is not the origin that people's browsers see",
                "Write scheme, host and port only, as in https://verify.example.com.",
            )
        if parts.scheme == "http" and parts.hostname != "localhost":
            raise ValueError(
                "is no place for passkeys: passkeys need https, or http://localhost",
                "Write https, or on one's own machine http://localhost (not 127.0.0.1).",
            )
        return value.rstrip("/")


@dataclass(frozen=True)
class Configuration:
    """The settings with the folder they are relative to."""

    settings: Settings
    folder: Path
    file: Path | None = None
    """Where the settings were read from; None is ``counterfoil.toml`` in the folder."""

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
        """The desk, imported and checked; raises :class:`DeskError` where it cannot be."""
        return load_desk(self.settings.desk, self.folder, self.place("desk"))

    def load_policy(self) -> Policy:
        """The policy, read from its file now."""
        return Policy.load(self.read_policy(), self.desk, source=self.settings.policy)

    def read_policy(self) -> str:
        """The text of the policy's file; raises :class:`PolicyError`."""
        path = self.folder / self.settings.policy
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise PolicyError(f"The policy {path} is not UTF-8 text.", "Save it as UTF-8.") from None
        except OSError as error:
            raise PolicyError(
                f"{self.place('policy')}: the policy {path} cannot be read: {error.strerror or error}.",
                "Name an existing file in 'policy'.",
            ) from None

    @property
    def path(self) -> Path:
        """The settings file, as a whole path."""
        return (self.folder / FILE_NAME if self.file is None else self.file).resolve()

    def place(self, *key: str) -> str:
        """Where the setting stands, for error messages."""
        file = self.folder / FILE_NAME if self.file is None else self.file
        try:
            line = Lines.of(file.read_text(encoding="utf-8")).of_key(key)
        except (OSError, UnicodeDecodeError):
            return str(file)
        return f"{file}, line {line}"


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
    """Read and check the settings; raises :class:`SettingsError` naming file, line and setting of every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror or error}.", "Name your settings file with --config."
        ) from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, why = unparsed(error, text)
        raise SettingsError(f"{path}, line {line} is not TOML: {why}.", "Correct that line.") from None
    try:
        return Configuration(Settings.model_validate(values), path.resolve().parent, path)
    except ValidationError as error:
        raise SettingsError(*told(str(path), mistakes_in(error, Settings, what="setting"), Lines.of(text))) from None
