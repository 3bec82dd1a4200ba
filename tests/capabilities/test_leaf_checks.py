"""What is proved of one leaf: each edit breaks the check that is about it, and nothing unproved is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from counterfoil.leaf_checks import check_leaf, content, proved_values
from counterfoil.log import GENESIS, Leaf, LeafDraft, seal

KEY = b"k" * 32
BEFORE = b"p" * 32


def leaf(index: int = 7, previous: bytes = BEFORE) -> Leaf:
    draft = LeafDraft("request", "cf_1", {"operation": "refund", "principal": "bot"}, salt=b"s" * 32)
    body, mac = seal(draft, index=index, at=1_800_000_000, previous=previous, key=KEY)
    return Leaf(index, body, mac, draft.opening, draft.ticket, draft.event)


def states(leaf: Leaf, previous: bytes | None = BEFORE) -> dict[str, str]:
    return {check.name: check.state for check in check_leaf(leaf, previous, KEY)}


def test_a_leaf_as_it_was_recorded_holds_in_every_respect() -> None:
    found = leaf()
    assert states(found) == {"chain": "holds", "place": "holds", "opening": "holds"}
    assert proved_values(found, check_leaf(found, BEFORE, KEY)) == {"operation": "refund", "principal": "bot"}


def test_the_first_leaf_follows_from_nothing() -> None:
    first = leaf(0, GENESIS)
    assert check_leaf(first, GENESIS, KEY)[0].says == "It is the first leaf of the log."


def test_a_deleted_opening_is_gone_and_breaks_nothing() -> None:
    found = replace(leaf(), opening=None)
    assert states(found) == {"chain": "holds", "place": "holds", "opening": "gone"}
    assert proved_values(found, check_leaf(found, BEFORE, KEY)) is None


EDITS: dict[str, list[dict[str, Any]]] = {
    "chain": [
        {"body": leaf().body.replace(b"1800000000", b"1700000000")},
        {"mac": bytes(32)},
    ],
    "place": [{"index": 8}, {"ticket": "cf_2"}, {"ticket": None}, {"event": "approve"}],
    "opening": [
        {"opening": (leaf().opening or b"").replace(b"refund", b"gift")},
        {"opening": b"{}"},
        {"opening": b"\xff"},
        {"opening": b'{"groups":{"operation":"refund"},"salt":"c3M"}'},
    ],
}


@pytest.mark.parametrize(("name", "edit"), [(name, edit) for name, edits in EDITS.items() for edit in edits])
def test_an_edit_breaks_the_check_that_is_about_it_and_takes_the_words_away(name: str, edit: dict[str, Any]) -> None:
    edited = replace(leaf(), **edit)
    found = states(edited)
    assert found.pop(name) == "broken"
    assert set(found.values()) == {"holds"}
    assert proved_values(edited, check_leaf(edited, BEFORE, KEY)) is None


def test_a_leaf_without_the_one_before_it_names_which_is_missing() -> None:
    assert states(leaf(), None)["chain"] == "broken"
    assert "Leaf 6" in check_leaf(leaf(), None, KEY)[0].says


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"groups":[]}'])
def test_a_body_that_is_none_is_broken_and_not_an_error(body: bytes) -> None:
    edited = replace(leaf(), body=body)
    assert states(edited) == {"chain": "broken", "place": "broken", "opening": "broken"}
    assert content(edited) == {} or body.startswith(b"{")
