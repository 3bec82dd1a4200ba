"""Whether what a page showed is about the request: what of it can be said without the desk's own declarations."""

from __future__ import annotations

from typing import Any

from counterfoil.canonical import canonical, parse_canonical
from counterfoil.display import about_request, argument_entry
from counterfoil.errors import BadJSON, EvidenceRefused
from counterfoil.tickets import Envelope


def read_display(content: str) -> dict[str, Any]:
    """The content of a page; raises :class:`EvidenceRefused` unless it is canonical JSON of an object."""
    try:
        value = parse_canonical(content.encode())
    except BadJSON:
        value = None
    if not isinstance(value, dict):
        raise EvidenceRefused("It cannot be read.")
    return value


def check_display(content: dict[str, Any], envelope: Envelope, seat: str) -> None:
    """Raise :class:`EvidenceRefused` where a page said something else of the request than its envelope.

    Compared is everything that is said of every request alike, and each argument but one text: the account has a line
    of its own instead, and which argument names it is the desk's word, like labels, summary and facts.
    """
    about = about_request(envelope, seat)
    if canonical({name: content[name] for name in about if name in content}) != canonical(about):
        other = next(
            name for name in about if name not in content or canonical(content[name]) != canonical(about[name])
        )
        raise EvidenceRefused(f"The page said something else than the request: {other}.")
    shown = content.get("arguments")
    lines = [entry for entry in shown if isinstance(entry, dict)] if isinstance(shown, list) else []
    told = {(str(entry.get("label")), str(entry.get("value"))) for entry in lines}
    missing: dict[str, Any] = {}
    for name, value in envelope.argument_values.items():
        entry = argument_entry(name, value, [])
        if (entry["label"], entry["value"]) not in told:
            missing[entry["label"]] = value
    if len(missing) > 1 or not all(isinstance(value, str) for value in missing.values()):
        raise EvidenceRefused(f"The page did not show what was asked for: {', '.join(missing)}.")
