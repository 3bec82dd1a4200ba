"""A ticket's life as one page that needs nothing else: to keep, to send, to print.

Rules: everything is escaped; the page runs no script and fetches nothing, and its own policy forbids both, its one
stylesheet excepted, by its digest. Times are UTC, because nobody knows where it will be read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from counterfoil_server.cli.log_life import CHECK_SIGNS, life_of
from counterfoil_server.cli.log_words import Hearer
from counterfoil_server.verification.rendering import spelled

PACKAGE = "counterfoil_server.cli"
FOLDER = "pages"


def render(answer: Mapping[str, Any]) -> str:
    """The page of what ``log_show`` answered."""
    style = (resources.files(PACKAGE) / FOLDER / "log_life.css").read_text(encoding="utf-8")
    templates = Environment(
        loader=PackageLoader(PACKAGE, FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    templates.filters |= {"spelled": spelled, "moment": moment, "sign": sign}
    life = life_of(answer, Hearer(answer["people"], in_utc))
    return templates.get_template("log_life.html").render(
        life=life, style=Markup(style), policy=content_security_policy(style)  # noqa: S704 - our own file
    )  # fmt: skip


def content_security_policy(style: str) -> str:
    """What a browser lets the page do: nothing, but look as its own stylesheet says."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def sign(state: str) -> str:
    """Of a check's state."""
    return CHECK_SIGNS[state][0]


def in_utc(seconds: int) -> str:
    """A point in time, for people."""
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when.day} {when:%B %Y, %H:%M:%S} UTC"


def moment(seconds: int) -> Markup:
    """The same for machines too."""
    when = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(when.strftime("%Y-%m-%dT%H:%M:%SZ"), in_utc(seconds))
