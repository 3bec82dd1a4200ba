"""The words of the notices."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from counterfoil.errors import DeskError, SettingsError
from counterfoil.recipients import APPROVE, ENROLLED, EXECUTED, NOT_DONE, OBJECT, SETTLE, UNCERTAIN
from counterfoil_server.notices.messages import Message, compose

KINDS = [APPROVE, OBJECT, EXECUTED, UNCERTAIN, NOT_DONE, SETTLE, ENROLLED]
AT = 1_790_000_000
LINK = "https://acme.example/l/Yx3_secret"


def message(kind: str, **more: Any) -> Message:
    link = LINK if kind in (APPROVE, OBJECT, SETTLE) else None
    code = "7Q2M9XKA" if kind == OBJECT else None
    values: dict[str, Any] = {
        "organisation": "Acme support",
        "title": "Refund an order",
        "at": AT,
        "link": link,
        "code": code,
    }
    return compose(kind, **(values | more))


class Words(HTMLParser):
    """The text of a page, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", list[str](), list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text += " " + data


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_asking_for_a_decision_says_who_what_when_and_where() -> None:
    asked = message(APPROVE)
    assert asked.subject == 'Acme support: "Refund an order" waits for your decision'
    words = squeezed(asked.text)
    for expected in (
        "Acme support received a request",
        "Refund an order",
        "21 September 2026 at 14:13 UTC",
        LINK,
        "The link works for 10 minutes. After that you can ask for a new one.",
        "Nothing happens in your name without your passkey.",
        "We never ask for a password",
        "Was it not you",
        "This wasn't me",
    ):
        assert expected in words
    assert asked.link == LINK
    assert asked.code is None


def test_an_objection_carries_the_code_and_says_that_it_can_only_stop() -> None:
    objection = message(OBJECT)
    words = squeezed(objection.text)
    assert "type the code" in words
    assert "7Q2M9XKA" in words
    assert "it cannot approve anything" in words
    assert "It has not been carried out." in words
    assert objection.code == "7Q2M9XKA"


@pytest.mark.parametrize("kind", [APPROVE, OBJECT])
def test_a_held_request_names_the_time_at_which_it_will_be_carried_out(kind: str) -> None:
    assert "It will be carried out on 21 September 2026 at 15:13 UTC" in squeezed(message(kind, due=AT + 3600).text)


def test_a_request_that_nobody_can_approve_is_not_presented_as_one_to_approve() -> None:
    words = squeezed(message(APPROVE, refused=True).text)
    assert "nobody can approve it" in words
    assert "approve or decline it" not in words


def test_an_execution_is_told_with_whom_to_contact() -> None:
    done = message(EXECUTED, contact="Acme at +49 30 1234")
    assert done.subject == 'Acme support: "Refund an order" was carried out'
    assert "Contact Acme at +49 30 1234" in squeezed(done.text)
    assert "Contact Acme support in the way you usually do" in squeezed(message(EXECUTED).text)


def test_an_unknown_outcome_is_never_told_as_done() -> None:
    unknown = message(UNCERTAIN)
    assert unknown.subject == 'Acme support: "Refund an order" may have been carried out'
    assert "has carried out" not in squeezed(unknown.text)
    assert "cannot tell yet whether it took effect" in squeezed(unknown.text)


def test_that_it_is_looked_into_is_said_only_where_somebody_is_named() -> None:
    assert "It is not tried again by itself. Was it not you" in squeezed(message(UNCERTAIN).text)
    assert "It is being looked into." in squeezed(message(UNCERTAIN, looked_into=True).text)
    assert "staff" not in message(UNCERTAIN, looked_into=True).text


def test_what_was_uncertain_and_did_not_happen_is_told_with_when_it_can_be_asked_for_again() -> None:
    told = message(NOT_DONE)
    assert told.subject == 'Acme support: "Refund an order" was not carried out'
    assert "found out that nothing was done" in squeezed(told.text)
    assert "24 hours after it was first asked for" in squeezed(told.text)


def test_whoever_can_find_out_is_asked_and_told_that_opening_the_link_changes_nothing() -> None:
    asked = message(SETTLE, code="7Q2M9XKA")
    assert asked.subject == 'Acme support: find out whether "Refund an order" happened'
    words = squeezed(asked.text)
    for expected in (
        "Acme support started to carry out this request, and cannot tell whether it took effect",
        "Refund an order",
        LINK,
        "The link works for 10 minutes. After that you can ask for a new one.",
        "Opening the link changes nothing",
        "We never ask for a password",
    ):
        assert expected in words
    assert (asked.link, asked.code) == (LINK, None)


def test_a_new_passkey_is_told_with_what_to_do_if_it_was_somebody_else() -> None:
    added = message(ENROLLED)
    assert added.subject == "Acme support: a passkey was added for you"
    assert "Was it not you? At once contact Acme support" in squeezed(added.text)
    assert added.link is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_html_says_the_same_as_the_plain_text(kind: str) -> None:
    composed = message(kind)
    page = Words(composed.html)
    assert squeezed(page.text) == squeezed("Notice " + composed.text.replace("-- \n", ""))
    assert page.links == ([LINK] if composed.link else [])
    assert not {"script", "img", "form", "style", "iframe"} & set(page.tags)


@pytest.mark.parametrize("kind", KINDS)
def test_lines_of_the_plain_text_fit_into_a_mail(kind: str) -> None:
    assert max(map(len, message(kind, title="Refund " * 30).text.splitlines())) <= 78


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x0b", "\x85", "\x00"])
@pytest.mark.parametrize("place", ["organisation", "title", "contact"])
def test_a_line_break_in_what_becomes_a_header_is_refused(place: str, end: str) -> None:
    with pytest.raises(DeskError, match="line break"):
        message(EXECUTED, **{place: f"Refund{end}Bcc: everybody@evil.example"})


def test_characters_that_reorder_text_are_spelled_out() -> None:
    assert "\\u{202E}" in message(APPROVE, title="Refund \u202egnihton").subject


def test_markup_in_a_title_is_shown_and_not_obeyed() -> None:
    page = Words(message(APPROVE, title="<img src=x onerror=alert(1)>").html)
    assert "img" not in page.tags
    assert "<img src=x onerror=alert(1)>" in page.text


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "javascript://acme.example/%0aalert(1)",
        "ftp://acme.example/l",
        "/l/secret",
        "https:///l",
        "https://a.example/\n\nBcc: x",
        "https://a.example/\nBcc:x",
        "https://a.example/\x7f",
        'https://a.example/"x',
        "a b",
    ],
)
def test_what_is_no_web_address_is_not_sent_as_a_link(link: str) -> None:
    with pytest.raises(SettingsError, match="no web address"):
        message(APPROVE, link=link)


@pytest.mark.parametrize(
    ("kind", "more"),
    [(APPROVE, {"link": None}), (OBJECT, {"link": None}), (OBJECT, {"code": None}), (SETTLE, {"link": None})],
)
def test_a_message_without_what_it_is_for_is_not_made(kind: str, more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needs a link"):
        message(kind, **more)


def test_an_unknown_kind_is_not_made() -> None:
    with pytest.raises(ValueError, match="no notice of the kind"):
        message("advertisement")


def test_secrets_stay_out_of_what_a_log_would_print() -> None:
    assert "secret" not in repr(message(APPROVE))
    assert "7Q2M9XKA" not in repr(message(OBJECT))
