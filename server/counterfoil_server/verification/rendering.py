"""Pages from templates: everything escaped (T20), nothing cut, one file of style and a few of script.

Text that others chose is shown with its hidden characters spelled out (T21); the core does so for what it displays,
and the filter ``plain`` for what reaches a page another way.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from datetime import UTC, datetime
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from counterfoil.display import seat_in_words, visible, waiting_in_words
from counterfoil.errors import CounterfoilError, LinkRefused
from counterfoil_server.verification.refusals import status_of

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGE = "counterfoil_server.verification"
ASSETS_PATH = "/assets"

_SPELLED_OUT = re.compile(r"\\u\{[0-9A-F]{1,6}\}")


class Pages:
    """Renders the templates for one organisation."""

    def __init__(self, organisation: str) -> None:
        self._organisation = organisation
        self._assets = Assets()

    @cached_property
    def _templates(self) -> Environment:
        # The template engine takes memory that a desk whose people are not asked for anything need not spend.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        templates = Environment(
            loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        templates.filters |= {
            "plain": plain,
            "spelled": spelled,
            "moment": moment,
            "duration": waiting_in_words,
            "seat": seat_in_words,
        }
        templates.globals |= {"organisation": self._organisation, "assets": f"{ASSETS_PATH}/{self._assets.version}"}
        return templates

    def page(
        self, template: str, *, status: int = 200, form_token: str = "", shown: str = "", **values: Any
    ) -> HTMLResponse:
        """A page. ``form_token`` is what its scripts and forms send back; so is ``shown``, the digest of what it shows,
        where that is signed."""
        text = self._templates.get_template(template).render(form_token=form_token, shown=shown, **values)
        return HTMLResponse(text, status_code=status)

    def refusal(self, error: CounterfoilError, status: int | None = None) -> HTMLResponse:
        """The page for a refusal: what happened and what to do."""
        return self.page("refusal.html", status=status or status_of(error), error=error)

    def asset(self, version: str, name: str) -> Response:
        """A stylesheet, script or picture; raises :class:`LinkRefused` for any other name."""
        return self._assets.response(version, name)


class Assets:
    """The static files of the package, read once. Their address holds their digest, so they may be kept for good."""

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Name → content."""
        folder = resources.files(PACKAGE) / "assets"
        return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}

    @cached_property
    def version(self) -> str:
        """Changes whenever a file does."""
        content = b"".join(name.encode() + b"\0" + self.files[name] for name in sorted(self.files))
        return hashlib.sha256(content).hexdigest()[:16]

    def response(self, version: str, name: str) -> Response:
        """The file, if it is one."""
        content = self.files.get(name)
        if content is None or version != self.version:
            raise LinkRefused("There is no such file.", "Reload the page.")
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        return Response(content, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})


def plain(text: object) -> str:
    """Text from elsewhere, with what could hide spelled out."""
    return visible(str(text))


def spelled(text: object) -> Markup:
    """Escaped text in which spelled-out characters stand out from typed ones."""
    marked = _SPELLED_OUT.sub(lambda found: f'<span class="hidden-character">{found[0]}</span>', str(escape(text)))
    return Markup(marked)  # noqa: S704 - every part of it was escaped above


def moment(seconds: int) -> Markup:
    """A point in time in UTC, which a script turns into the reader's own time zone."""
    when = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{when.day} {when:%B %Y, %H:%M} UTC"
    )
