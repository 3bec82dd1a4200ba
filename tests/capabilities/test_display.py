"""What the page must show: all of it, kept apart by who says it, and unable to lie about itself (T15, T20 to T22)."""

from __future__ import annotations

import json
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capabilities.world import Shop, envelope_of, shop_desk
from counterfoil.display import HIDDEN_FACTS, display, display_digest, in_words, mixed_scripts, seat_in_words, visible
from counterfoil.rungs import Rung
from counterfoil.statements import HOLDER
from counterfoil.tickets import Envelope, Signals

DESK = shop_desk(Shop())
STAFF_SEAT = "staff:finance"


def content_of(envelope: Envelope, seat: str = HOLDER) -> dict[str, Any]:
    return display("Acme support", DESK.operations[envelope.operation], envelope, seat)


def gift(text: str, note: str | None = None) -> Envelope:
    arguments = json.dumps({"account": "A-1", "text": text, "count": 1})
    return envelope_of(DESK, operation="send_gift", arguments=arguments, facts='{"owners":["A-1"]}', note=note)


def test_the_page_of_a_refund() -> None:
    assert content_of(envelope_of(DESK, note="He is nice."), STAFF_SEAT) == {
        "v": 1,
        "organisation": "Acme support",
        "operation": "Refund",
        "summary": "Refund part or all of an order.",
        "seat": "staff:finance",
        "account": "A-1",
        "arguments": [
            {
                "label": "Amount",
                "value": "49.00 EUR",
                "known": [{"label": "Left to refund", "before": "1000.00", "after": "less"}],
            },
            {"label": "Order id", "value": "O-1", "known": [{"label": "Order", "value": "O-1, a lamp"}]},
        ],
        "changes": [{"label": "Delivery address", "before": "Old Street 1", "after": "Old Street 2"}],
        "facts": [
            {"label": "Customer since", "value": "2019"},
            {"label": "Locked", "value": "no"},
            {"label": "Fraud score", "value": "3"},
        ],
        "requested_by": "agent",
        "said": "He is nice.",
        "tainted": False,
        "requirements": [
            "the account holder confirms with their passkey and the code from the chat, "
            "and 1 person with the role finance approves"
        ],
        "requested_at": 1_800_000_000,
        "expires_at": 1_800_086_400,
        "waits": 0,
    }


def test_facts_for_staff_are_hidden_from_the_holder() -> None:
    assert "Fraud score" in json.dumps(content_of(envelope_of(DESK), STAFF_SEAT))
    assert "Fraud score" not in json.dumps(content_of(envelope_of(DESK), HOLDER))


def test_T22_every_argument_and_fact_stands_on_the_page() -> None:
    """Also a fact about the account, whose argument has no line of its own."""
    long = "x" * 20_000
    envelope = envelope_of(
        DESK,
        arguments=json.dumps(
            {"account": "A-1", "order_id": long, "amount": {"value": "1234567.00", "currency": "XAU"}}
        ),
    )
    text = json.dumps(content_of(envelope, STAFF_SEAT))
    for value in (long, "1234567.00 XAU", "O-1, a lamp", "1000.00", "less", "2019", "Old Street 1", "Old Street 2"):
        assert value in text
    model = DESK.operations["refund"].facts
    entries = json.dumps(content_of(envelope, STAFF_SEAT)).count('"label"')
    assert entries == len(model.model_fields) - len(HIDDEN_FACTS) + 2


def test_T15_what_an_AI_wrote_is_kept_apart_and_changes_nothing_else() -> None:
    note = 'Approve!</p><script>alert(1)</script> {{ 7*7 }} "summary": "Refund nothing"'
    plain, noted = content_of(envelope_of(DESK)), content_of(envelope_of(DESK, note=note))
    assert noted["said"] == note
    assert plain["said"] is None
    assert {key for key in plain if plain[key] != noted[key]} == {"said"}


def test_T15_arguments_cannot_reach_the_summary() -> None:
    one, other = content_of(gift("Hello")), content_of(gift("Refund part or all of an order."))
    assert {key for key in one if one[key] != other[key]} == {"arguments"}


def test_T20_markup_is_data() -> None:
    text = "<img src=x onerror=alert(1)>"
    assert content_of(gift(text))["arguments"][0]["value"] == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay\u202e001 EUR", "pay\\u{202E}001 EUR"),
        ("\u2066isolate\u2069", "\\u{2066}isolate\\u{2069}"),
        ("zero\u200bwidth\u200d\ufeff", "zero\\u{200B}width\\u{200D}\\u{FEFF}"),
        ("soft\u00adhyphen", "soft\\u{AD}hyphen"),
        ("line\nfeed\r\ttab", "line\\u{A}feed\\u{D}\\u{9}tab"),
        ("line\u2028\u2029", "line\\u{2028}\\u{2029}"),
        ("nul\x00\x7f\x85\x1b[31m", "nul\\u{0}\\u{7F}\\u{85}\\u{1B}[31m"),
        ("private\ue000", "private\\u{E000}"),
        ("unassigned\u0378\U000e0080", "unassigned\\u{378}\\u{E0080}"),
        ("tag\U000e0041", "tag\\u{E0041}"),
        ("filler\u3164\u115f\uffa0\u2800", "filler\\u{3164}\\u{115F}\\u{FFA0}\\u{2800}"),
        ("joiner\u034f variation\ufe0f", "joiner\\u{34F} variation\\u{FE0F}"),
        ("arabic\u061cmark", "arabic\\u{61C}mark"),
        ("e\u0301", "é"),
        ("Größe 日本語 😀", "Größe 日本語 😀"),
    ],
)
def test_T21_characters_that_hide_or_reorder_are_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert content_of(gift(text, note=text))["arguments"][0]["value"] == shown
    assert content_of(gift("", note=text))["said"] == shown
    named = content_of(envelope_of(DESK, account=text, principal=text))
    assert (named["account"], named["requested_by"]) == (shown, shown)


@given(st.text())
def test_T21_nothing_invisible_is_left_whatever_comes(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") for c in shown)
    assert visible(shown) == shown


def test_T21_marks_piled_up_on_a_letter_are_spelled_out() -> None:
    assert visible("e\u0301\u0323\u0336") == unicodedata.normalize("NFC", "e\u0301\u0323\u0336")
    assert visible("x" + "\u0336" * 6) == "x" + "\u0336" * 4 + "\\u{336}" * 2


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("p\u0430ypal.com", True),
        ("\u0410nn", True),
        ("\u03bfnline", True),
        ("\uff21nn", True),
        ("ann@ex\u0430mple.com", True),
        ("ann@\u0430\u0440\u0440\u04cf\u0435.com", True),
        ("\uff41\uff50\uff50.com", True),
        ("иван@яндекс.рф", False),
        ("東京.com", False),
        ("Анна Müller", False),
        ("Ann", False),
        ("Größe-42", False),
        ("ラーメン屋と東京々", False),
        ("123 456", False),
        ("", False),
    ],
)
def test_T21_a_word_of_several_alphabets_carries_a_warning(text: str, mixed: bool) -> None:
    assert mixed_scripts(text) is mixed
    assert ("warning" in content_of(gift(text))["arguments"][0]) is mixed


@pytest.mark.parametrize("piece", ["x", "x-", "a.", "a@b ", "é", "я.a"])
def test_looking_for_it_takes_time_in_proportion_to_the_text(piece: str) -> None:
    """Eight times the text takes far less than the 64 times of a pattern that looks at everything from everywhere."""

    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        taken = []
        for _ in range(3):
            began = time.thread_time()
            mixed_scripts(text)
            taken.append(time.thread_time() - began)
        return min(taken)

    assert seconds(8_000) < 24 * seconds(1_000) + 0.05


def test_what_changes_is_shown_before_and_after() -> None:
    facts = json.loads(envelope_of(DESK).facts or "") | {"address": {"before": "a\u202eb", "after": "c\u202ed"}}
    changed = content_of(envelope_of(DESK, facts=json.dumps(facts)))
    assert changed["changes"] == [{"label": "Delivery address", "before": "a\\u{202E}b", "after": "c\\u{202E}d"}]


ARGUMENTS = {"account": "A-1", "order_id": "O-1", "amount": {"value": "49.00", "currency": "EUR"}}
FACTS = json.loads(envelope_of(DESK).facts or "")


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": json.dumps(ARGUMENTS | {"order_id": "O-2"})},
        {"arguments": json.dumps(ARGUMENTS | {"amount": {"value": "49.01", "currency": "EUR"}})},
        {"arguments": json.dumps(ARGUMENTS | {"amount": {"value": "49.00", "currency": "USD"}})},
        {"facts": json.dumps(FACTS | {"locked": True})},
        {"facts": json.dumps(FACTS | {"order": "another"})},
        {"facts": json.dumps(FACTS | {"account_age": "2026"})},
        {"facts": json.dumps(FACTS | {"refundable": {"before": "1.00", "after": "less"}})},
        {"facts": json.dumps(FACTS | {"address": {"before": "Old Street 1", "after": "New Street"}})},
        {"account": "A-2"},
        {"account": None},
        {"principal": "another agent"},
        {"note": "hello"},
        {"signals": Signals(tainted=True)},
        {"requirements": (Rung(holder="passkey"),)},
        {"requirements": (Rung(holder="passkey", staff={"finance": 1}, code=True, hold=60),)},
        {"requested_at": 1},
        {"expires_at": 2},
    ],
)
def test_every_visible_change_changes_the_digest(change: dict[str, Any]) -> None:
    before = content_of(envelope_of(DESK))
    after = content_of(envelope_of(DESK, **change))
    assert display_digest(after) != display_digest(before)
    assert display_digest(content_of(envelope_of(DESK))) == display_digest(before)


def test_each_seat_signs_what_it_was_shown() -> None:
    seats = [HOLDER, "staff:finance", "staff:identity"]
    assert len({display_digest(content_of(envelope_of(DESK), seat)) for seat in seats}) == 3


def test_a_renamed_organisation_or_operation_changes_the_digest() -> None:
    envelope, operation = envelope_of(DESK), DESK.operations["refund"]
    other = shop_desk(Shop()).operations["refund"]
    other.title = "Give away"
    assert (
        len(
            {
                display_digest(display(name, declared, envelope, HOLDER))
                for name, declared in (("Acme support", operation), ("Acme", operation), ("Acme support", other))
            }
        )
        == 3
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1, "1"),
        (None, "not given"),
        ("", ""),
        ([], "none"),
        (["a\u202e", "b"], "a\\u{202E}, b"),
        (["a, b"], "“a, b”"),
        (["a, b", "c"], "“a, b”, c"),
        (["a”, “b"], "“a\\u{201D}, \\u{201C}b”"),
        (["none"], "“none”"),
        ([""], "“”"),
        ({"value": "1.00", "currency": "EUR"}, "1.00 EUR"),
    ],
)
def test_values_are_shown_as_people_read_them(value: Any, words: str) -> None:
    assert in_words(value) == words


def test_people_are_told_as_what_they_decide() -> None:
    assert seat_in_words(HOLDER) == "as the holder of the account"
    assert seat_in_words(STAFF_SEAT) == "with the role finance"


def test_a_ticket_without_facts_shows_what_was_asked_for_and_no_more() -> None:
    content = content_of(envelope_of(DESK, facts=None, requirements=()))
    assert (content["facts"], content["changes"], content["requirements"], content["waits"]) == ([], [], [], 0)
    assert [argument["value"] for argument in content["arguments"]] == ["49.00 EUR", "O-1"]


def test_a_fact_that_was_not_found_has_no_line() -> None:
    content = content_of(envelope_of(DESK, facts=json.dumps(FACTS | {"account_age": None})))
    assert [entry["label"] for entry in content["facts"]] == ["Locked"]


def test_the_longest_wait_is_shown() -> None:
    rungs = (Rung(holder="passkey", hold=60), Rung(staff={"finance": 1}, hold=3600), Rung(holder="link"))
    assert content_of(envelope_of(DESK, requirements=rungs))["waits"] == 3600
