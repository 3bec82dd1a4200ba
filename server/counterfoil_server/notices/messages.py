"""The words of every notice: what was asked or done, where, when, a link, and how to tell that it is genuine.

Rules: a message holds the organisation, the operation's title, times, a link, and for an objection the code to type.
It never holds an argument, a text of an AI, an account or anything about a person, and it promises only what is true
for whoever receives it. The plain text and the HTML are made of the same parts, so they cannot say different things.
Nothing in a message can start a second header line.
"""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from counterfoil.display import visible
from counterfoil.errors import ASK_AGAIN, DeskError, SettingsError
from counterfoil.recipients import APPROVE, ENROLLED, EXECUTED, NOT_DONE, OBJECT, SETTLE, UNCERTAIN
from counterfoil.rungs import duration

if TYPE_CHECKING:
    from jinja2 import Environment

PAGES = Path(__file__).parent / "pages"
LINE_WIDTH = 72
"""Characters in a line of the plain text; the usual width of mail (RFC 3676, section 4.2 allows up to 78)."""
INDENT = "    "
SIGNATURE = "-- \n"
"""What mail programs know the end of a text by (RFC 3676, section 4.3)."""
LINK_LIFETIME = 600
"""Seconds for which a link works, by default."""
NOT_TRIED_AGAIN = "It is not tried again by itself."


@cache
def templates() -> Environment:
    """The HTML of messages and of the mailbox; the template engine is loaded when the first of them is made."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@dataclass(frozen=True)
class Message:
    """What is sent. ``link`` and ``code`` repeat what the text holds; secrets are kept out of ``repr``."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    link: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Part:
    """A paragraph, the request (``subject``), a link or a code, by ``role``."""

    role: str
    text: str


def compose(
    kind: str,
    *,
    organisation: str,
    title: str,
    at: int,
    link: str | None = None,
    code: str | None = None,
    contact: str | None = None,
    due: int | None = None,
    looked_into: bool = False,
    refused: bool = False,
    link_lifetime: int = LINK_LIFETIME,
) -> Message:
    """The message of one of the kinds of ``recipients.py``.

    ``at`` is when it was requested or done and ``due`` when it will be carried out unless stopped (Unix seconds,
    shown in UTC); ``contact`` says in the organisation's words whom to ask; ``looked_into`` means that somebody is
    named who finds out what nobody knows; ``refused`` that nobody can approve it. Raises DeskError for a name or title
    that a subject cannot carry, SettingsError for a link that is none, ValueError where a kind lacks its link or code.
    """
    organisation, title = one_line(organisation, "organisation's name"), one_line(title, "operation's title")
    contact = one_line(contact, "contact") if contact else f"{organisation} in the way you usually do"
    link = checked_link(link) if link else None
    request = [Part("request", title), Part("when", in_utc(at))]
    if kind == APPROVE:
        subject = f'{organisation}: "{title}" waits for your decision'
        parts = _approve(organisation, request, link, due, refused, link_lifetime)
        code = None
    elif kind == OBJECT:
        subject = f'{organisation}: you can stop "{title}"'
        parts = _object(organisation, request, link, code, contact, due, link_lifetime)
    elif kind == EXECUTED:
        subject = f'{organisation}: "{title}" was carried out'
        told = f"{organisation} has carried out this request:"
        parts = _told(told, request, link, "Nothing more is needed from you.", contact)
        code = None
    elif kind == UNCERTAIN:
        subject = f'{organisation}: "{title}" may have been carried out'
        told = f"{organisation} started to carry out this request, and cannot tell yet whether it took effect:"
        parts = _told(told, request, link, NOT_TRIED_AGAIN + (" It is being looked into." * looked_into), contact)
        code = None
    elif kind == NOT_DONE:
        subject = f'{organisation}: "{title}" was not carried out'
        told = f"{organisation} could not tell whether this request took effect, and found out that nothing was done:"
        parts = _told(told, request, link, f"{NOT_TRIED_AGAIN} {ASK_AGAIN}", contact)
        code = None
    elif kind == SETTLE:
        subject = f'{organisation}: find out whether "{title}" happened'
        parts = _settle(organisation, request, link, link_lifetime)
        code = None
    elif kind == ENROLLED:
        subject = f"{organisation}: a passkey was added for you"
        parts = _enrolled(organisation, request[1], contact)
        link = code = None
    else:
        raise ValueError(f"there is no notice of the kind {kind!r}")
    parts.append(Part("small", f"{organisation} sends this automatically; answers to it are not read."))
    return Message(subject, _text(parts), templates().get_template("message.html").render(parts=parts), link, code)


def one_line(text: str, what: str) -> str:
    """``text`` made visible; raises DeskError where it holds a line break or another control character."""
    if not text.strip() or any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text):
        raise DeskError(
            f"The {what} is empty or holds a line break or control character, which no message can carry.",
            "Write it in one line in the desk.",
        )
    return visible(text)


def checked_link(link: str) -> str:
    """The link; raises SettingsError unless it is one http or https address without spaces or control characters."""
    address = urlsplit(link)
    if address.scheme not in ("http", "https") or not address.netloc or not link.isascii() or not link.isprintable():
        link = ""
    if not link or any(c in link for c in " \"<>\\'"):
        raise SettingsError("The link for a message is no web address.", "Correct public_url in counterfoil.toml.")
    return link


def in_utc(at: int) -> str:
    """Unix seconds as a date and time that nobody can misread."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%B %Y at %H:%M} UTC"


def _approve(
    organisation: str, request: list[Part], link: str | None, due: int | None, refused: bool, lifetime: int
) -> list[Part]:
    if link is None:
        raise ValueError(f"a notice of the kind {APPROVE!r} needs a link")
    now_what = "Read the whole request here, and approve or decline it:"
    if refused:
        now_what = "As it stands nobody can approve it. Read here why, and decline it if you did not expect it:"
    elif due is not None:
        now_what = f"It will be carried out on {in_utc(due)} unless it is stopped. Read it, or decline it, here:"
    return [
        Part("text", f"{organisation} received a request that waits for your decision:"),
        *request,
        Part("text", now_what),
        Part("link", link),
        *_about_link(lifetime),
        Part(
            "text",
            "Opening the link changes nothing. Nothing happens in your name without your passkey. We never ask for a "
            "password, neither in messages nor on that page.",
        ),
        Part(
            "text",
            "Was it not you, or did you not expect it? Open the link and decline; where it is about your own account, "
            'choose "This wasn\'t me", which also stops whoever asked. Do not pass this message on.',
        ),
    ]


def _object(
    organisation: str,
    request: list[Part],
    link: str | None,
    code: str | None,
    contact: str,
    due: int | None,
    lifetime: int,
) -> list[Part]:
    if link is None or code is None:
        raise ValueError(f"a notice of the kind {OBJECT!r} needs a link and a code")
    one_line(code, "code")
    standing = "It has not been carried out." if due is None else f"It will be carried out on {in_utc(due)}."
    return [
        Part("text", f"{organisation} received a request about your account:"),
        *request,
        Part("text", f"{standing} If you know of it, you need not do anything."),
        Part("text", "To stop it, open this page and type the code:"),
        Part("link", link),
        Part("code", code),
        *_about_link(lifetime),
        Part(
            "text",
            "Opening the link changes nothing. The code can only stop this one request; it cannot approve anything, "
            "and approving always takes a passkey. We never ask for a password, neither in messages nor on that page.",
        ),
        Part(
            "text",
            'Was it not you? Stop it and choose "This wasn\'t me" on the page, or contact '
            f"{contact}. Do not pass this message on.",
        ),
    ]


def _told(told: str, request: list[Part], link: str | None, after: str, contact: str) -> list[Part]:
    see = [Part("text", "You can read it here:"), Part("link", link)] if link else []
    return [
        Part("text", told),
        *request,
        *see,
        Part("text", after),
        Part("text", f"Was it not you, or is something wrong? Contact {contact}, not by answering this message."),
        Part("text", "We never ask for a password, neither in messages nor on our pages."),
    ]


def _settle(organisation: str, request: list[Part], link: str | None, lifetime: int) -> list[Part]:
    if link is None:
        raise ValueError(f"a notice of the kind {SETTLE!r} needs a link")
    return [
        Part("text", f"{organisation} started to carry out this request, and cannot tell whether it took effect:"),
        *request,
        Part(
            "text",
            "You are one of those who can find out. Read here what is known and where to look, and sign what you "
            "found:",
        ),
        Part("link", link),
        *_about_link(lifetime),
        Part(
            "text",
            "Opening the link changes nothing, and it is not tried again by itself. We never ask for a password, "
            "neither in messages nor on that page. Do not pass this message on.",
        ),
    ]


def _enrolled(organisation: str, when: Part, contact: str) -> list[Part]:
    return [
        Part("text", f"A passkey was added for you at {organisation}:"),
        when,
        Part("text", "With it you can approve or decline requests. If you added it, nothing more is needed from you."),
        Part("text", f"Was it not you? At once contact {contact}, not by answering this message."),
        Part("text", "We never ask for a password, neither in messages nor on our pages."),
    ]


def _about_link(lifetime: int) -> list[Part]:
    return [Part("text", f"The link works for {duration(lifetime)}. After that you can ask for a new one.")]


def _text(parts: list[Part]) -> str:
    """The plain text: paragraphs, a blank line between them; what stands for itself is indented."""
    text, before = "", ""
    for part in parts:
        separator = "\n" if (before, part.role) == ("request", "when") else "\n\n"
        if part.role in ("request", "when"):
            block = textwrap.fill(part.text, LINE_WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
        elif part.role in ("link", "code"):
            block = INDENT + part.text  # never broken: it must stay one address
        else:
            block = textwrap.fill(part.text, LINE_WIDTH, break_on_hyphens=False)
        text += (separator if text else "") + (SIGNATURE if part.role == "small" else "") + block
        before = part.role
    return text + "\n"
