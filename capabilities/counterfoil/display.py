"""What the page must show of a ticket before anyone may sign, as data; its digest is in every statement.

The content is a function of the envelope, the seat, and the operation's own declaration: the page renders all of it,
and an executor that knows the same desk makes it again and compares the digest. Three kinds of text are kept apart:
what the organisation's own systems say, what the request asks for, and what an AI wrote (T15).

Text is shown so that it cannot lie about itself (T21): control, format, private, unassigned and bidirectional
characters are spelled out as ``\\u{202E}``, so are marks piled up on one letter, and a word or address that mixes
scripts carries a warning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from counterfoil.canonical import canonical, digest
from counterfoil.declared_types import bare
from counterfoil.operations import Operation
from counterfoil.rungs import duration
from counterfoil.statements import HOLDER, role_of
from counterfoil.tickets import ACCESS, GRANT_LIFE, Envelope
from counterfoil.values import Change, style_of

HIDDEN_FACTS = frozenset({"owners", "guard"})
"""For machines: owners are checked against the account, the guard is the connector's."""


EAST_ASIAN = frozenset(
    {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "HANGUL", "BOPOMOFO"}
)  # fmt: skip
"""Scripts that ordinary words mix."""

INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""Letters, marks and symbols that show as nothing (Default_Ignorable_Code_Point outside the categories above,
https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt; and the blank pattern of Braille)."""


MARKS = 4
"""Marks on one letter; further ones would be drawn over the lines around it (UTS #39, section 5.4)."""

ADDRESS = re.compile(r"(?<![\w-])[\w-]++(?:[.@][\w-]++)+")
"""Words joined as in an e-mail address or a domain, which people take for one name. It begins where a word begins, so
that a long word is read once, not from each of its letters."""


class Entry(dict[str, Any]):
    """One line of the page: ``label``, ``value``; where it applies ``before``, ``after``, ``known``, ``warning``."""


def display(organisation: str, operation: Operation[Any, Any], envelope: Envelope, seat: str) -> dict[str, Any]:
    """Everything that the person in ``seat`` must be shown, as a JSON value."""
    facts = list(_facts(operation, envelope.fact_values or {}, seat))
    arguments = [
        argument_entry(name, value, [entry for about, entry in facts if about == name])
        for name, value in envelope.argument_values.items()
        if name != operation.account_parameter
    ]
    arguments += _opened(organisation, operation)
    # The account has a line of its own, so what is known about it stands among the facts.
    own = [entry for about, entry in facts if about in (None, operation.account_parameter)]
    return {
        "v": 1,
        "organisation": organisation,
        "operation": operation.title,
        "summary": operation.description.splitlines()[0],
        "arguments": arguments,
        "changes": [entry for entry in own if "before" in entry],
        "facts": [entry for entry in own if "before" not in entry],
        **about_request(envelope, seat),
    }


def _opened(organisation: str, operation: Operation[Any, Any]) -> list[Entry]:
    """What an access opens, for how long, and that more than reading may follow from it: a grant is also what an
    operation may run under by itself where policy says so."""
    if operation.name != ACCESS:
        return []
    reads = ", ".join(_label(read) for read in operation.opens) or "Nothing"
    life = f"Until {duration(GRANT_LIFE)} after you confirm, in this one conversation"
    alone = f"Only what the rules of {organisation} leave to the AI; you are told of each time"
    opened = {"May be read": reads, "May be done without asking you again": alone, "How long": life}
    return [Entry(label=label, value=value, known=[]) for label, value in opened.items()]


def about_request(envelope: Envelope, seat: str) -> dict[str, Any]:
    """What is said of every request alike."""
    return {
        "seat": seat,
        "account": visible(envelope.account or "unknown"),
        "requested_by": visible(envelope.principal),
        "said": visible(envelope.note) if envelope.note else None,
        "tainted": envelope.signals.tainted,
        "requirements": [rung.in_words() for rung in envelope.requirements],
        "requested_at": envelope.requested_at,
        "expires_at": envelope.expires_at,
        "waits": max((rung.hold for rung in envelope.requirements), default=0),
    }


def display_as_recorded(organisation: str, envelope: Envelope, seat: str) -> dict[str, Any]:
    """The same, for staff, of a request whose operation the desk no longer declares as it was: every recorded fact
    under its own name, because nobody knows any more which of them was a label, a change or of no interest."""
    recorded = [
        Entry(label=_label(name), before=visible(str(value["before"])), after=visible(str(value["after"])))
        if isinstance(value, dict) and value.keys() == {"before", "after"}
        else Entry(label=_label(name), value=in_words(value))
        for name, value in (envelope.fact_values or {}).items()
        if name not in HIDDEN_FACTS
    ]
    return {
        "v": 1,
        "organisation": organisation,
        "operation": _label(envelope.operation),
        "summary": "The desk declares this operation differently now; below is what was recorded of the request.",
        "arguments": [argument_entry(name, value, []) for name, value in envelope.argument_values.items()],
        "changes": [entry for entry in recorded if "before" in entry],
        "facts": [entry for entry in recorded if "before" not in entry],
        **about_request(envelope, seat),
    }


def display_digest(content: Mapping[str, Any]) -> str:
    """The digest of what was shown."""
    return digest("counterfoil-display", canonical(content))


def visible(text: str) -> str:
    """``text`` with every character that could hide or reorder others spelled out; newlines become ``\\u{A}``."""
    shown: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        hides = marks > MARKS or _hides(character)
        shown.append(f"\\u{{{ord(character):X}}}" if hides else character)
    return "".join(shown)


def mixed_scripts(text: str) -> bool:
    """Whether some word or address in ``text`` mixes letters of several scripts, as look-alike addresses do."""
    if any(len(_scripts(word)) > 1 for word in re.split(r"[^\w]+", text)):
        return True
    return any(len(_scripts(address) - {"CJK"}) > 1 for address in ADDRESS.findall(text))


def argument_entry(name: str, value: Any, known: list[Entry]) -> Entry:
    text = in_words(value)
    entry = Entry(label=_label(name), value=text, known=known)
    if mixed_scripts(text):
        entry["warning"] = "This text mixes letters of different alphabets that can look alike."
    return entry


def _facts(operation: Operation[Any, Any], values: Mapping[str, Any], seat: str) -> Iterator[tuple[str | None, Entry]]:
    for name, info in operation.facts.model_fields.items():
        style = style_of(operation.facts, name)
        if name in HIDDEN_FACTS or values.get(name) is None or (style.to == "staff" and role_of(seat) is None):
            continue
        entry = Entry(label=style.label or _label(name))
        if bare(info.annotation) is Change:
            entry |= {"before": visible(values[name]["before"]), "after": visible(values[name]["after"])}
        else:
            entry["value"] = in_words(values[name])
        yield style.about, entry


def in_words(value: Any) -> str:
    """A JSON value of a declared type as a person reads it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "not given"
        case {"value": str(amount), "currency": str(currency)}:
            return f"{amount} {currency}"
        case list():
            return ", ".join(_item(in_words(item)) for item in value) or "none"
        case _:
            return visible(str(value))


def _item(text: str) -> str:
    """An item of a list, in quotes where it could be taken for several, for none, or for quotes of ours."""
    if text.strip() and text != "none" and not any(mark in text for mark in ",“”"):
        return text
    quoted = text.replace("“", "\\u{201C}").replace("”", "\\u{201D}")
    return f"“{quoted}”"


def seat_in_words(seat: str) -> str:
    """What a person decides as."""
    return "as the holder of the account" if seat == HOLDER else f"with the role {role_of(seat)}"


def waiting_in_words(seconds: int) -> str:
    """A hold, for the page."""
    return duration(seconds)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _hides(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") or character in INVISIBLE


def _scripts(text: str) -> set[str]:
    return {_script(character) for character in text if character.isalpha()}


def _script(letter: str) -> str:
    """The script by the first word of the character's name: enough to tell LATIN from CYRILLIC and GREEK."""
    name = unicodedata.name(letter, "")
    first = name.split(" ")[0]
    return "CJK" if first in EAST_ASIAN else first
