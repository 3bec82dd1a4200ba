"""What is cut out of a chat before it is kept, what stays, and that it takes time in proportion to the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.canonical import b64
from counterfoil.keys import SigningKey
from counterfoil.redaction import CARD, CODE, IBAN, LINK, MARKS, PASSWORD, SECRET, TOKEN, redact, removed
from counterfoil.tokens import sign

KEY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
REMOVED = {
    "a card": ("My card is 4111 1111 1111 1111, expires 12/28", f"My card is {CARD}, expires 12/28"),
    "a card without gaps": ("4111111111111111", CARD),
    "a card with dashes": ("5500-0000-0000-0004!", f"{CARD}!"),
    "a card of another length": ("3782 822463 10005", CARD),
    "a card digit by digit": ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", CARD),
    "a card in other digits": ("４１１１１１１１１１１１１１１１", CARD),
    "two cards": ("4111 1111 1111 1111 5500 0000 0000 0004", f"{CARD} {CARD}"),
    "a card after an order": ("order 77: 4111.1111.1111.1111", f"order 77: {CARD}"),
    "an IBAN": ("to DE89 3704 0044 0532 0130 00 please", f"to {IBAN} please"),
    "an IBAN without gaps": ("to GB82WEST12345698765432.", f"to {IBAN}."),
    "a short IBAN in small letters": ("no93 8601 1117 947", IBAN),
    "a match code": ("The code is 123456.", f"The code is {CODE}."),
    "a match code with a gap": ("it is 123 456", f"it is {CODE}"),
    "a password": ("password: correct horse battery\nNext line", f"password: {PASSWORD}\nNext line"),
    "a password in a sentence": ("My password is hunter2 and more", f"My password is {PASSWORD} and more"),
    "a password in JSON": ('{"password": "hunter \\" 2", "order": 17}', f'{{"password": {PASSWORD}, "order": 17}}'),
    "a password in an address": ("?user=a&password=hunter2&x=1", f"?user=a&password={PASSWORD}&x=1"),
    "a password of a login": ("https://maria:hunter2@shop.example/", f"https://{PASSWORD}@shop.example/"),
    "a PIN": ("PIN: 1234", f"PIN: {PASSWORD}"),
    "an API key": ("api_key = abc", f"api_key = {PASSWORD}"),
    "our bearer token": (f"use cfp_{'aB3-' * 10}abc now", f"use {TOKEN} now"),
    "our bearer token inside a word": (f"xcfp_{'a' * 43}", f"x{TOKEN}"),
    "a header": ("Authorization: Bearer abcdef1234567890", f"Authorization: Bearer {TOKEN}"),
    "a JWS": ("here eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln-_ it is", f"here {TOKEN} it is"),
    "a service's key": ("sk-live_abcdefghijklmnop1234", TOKEN),
    "an approval link": ("https://v.example/l/AbCdEfGh1234?x", f"https://v.example/l/{LINK}?x"),
    "an objection link": ("/o/AbCdEfGh1234", f"/o/{LINK}"),
    "an invitation": ("/enrol/AbCdEfGh1234", f"/enrol/{LINK}"),
    "a long hex number": (f"sha {'ab12' * 16}", f"sha {SECRET}"),
    "hex in capitals": ("AB12" * 8, SECRET),
    "base64": ("key AbCd1234+/AbCd1234+/AbCd1234+/AbCd12==", f"key {SECRET}"),
    "a seed in base32": ("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", SECRET),
    "a private key": (f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\nbye", f"{SECRET}\nbye"),
    "a private key cut short": (f"a -----BEGIN EC PRIVATE KEY-----\n{KEY}", f"a {SECRET}"),
}  # fmt: skip

STAYS = [
    "",
    "I want my money back for order 1234567, please.",
    "Order A-12345-B of 2026-11-26 costs 123456.50 EUR, or 1,234,567.89",
    "My password does not work, and I forgot my PIN",
    "the bearer certificates of 1920",
    "Ticket cf_abcdefghijklmnopqrstuvwxyz234567 in cv_abcdefghijklmnopqrstuvwxyz234567",
    "123e4567-e89b-12d3-a456-426614174000",
    "https://shop.example/orders/2026/11/26/some-long-title-of-many-things-to-read",
    "Call +49 170 1234567 or write to maria@boats.example",
    "DE00 3704 0044 0532 0130 00 is no IBAN, 4111 1111 1111 1112 is no card",
    "internationalizationandlocalizationareverylongwords",
    "\x1b[2J \u202e ‮ stays for whoever shows it",
]


@pytest.mark.parametrize("case", REMOVED, ids=lambda name: name.replace(" ", "-"))
def test_what_must_not_be_kept_is_removed(case: str) -> None:
    text, expected = REMOVED[case]
    assert redact(text) == expected
    assert removed(expected) >= 1


@pytest.mark.parametrize("text", STAYS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_capabilities_and_orders_are_removed() -> None:
    for kind in ("cf-cap+jwt", "cf-exec+jwt"):
        token = sign(SigningKey.generate(), kind, {"ticket": "cf_1", "jti": "a"})
        assert redact(f"Its capability is {token}, redeem it") == f"Its capability is {TOKEN}, redeem it"


@given(st.text() | st.text(alphabet=" -.:/=\"'aAeyJcfp_0123456789DE\n"))
def test_it_is_deterministic_and_a_second_run_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(text) == once
    assert redact(once) == once


@given(st.text(max_size=40), st.text(max_size=40), st.binary(min_size=32, max_size=32))
def test_a_bearer_token_never_survives_wherever_it_stands(before: str, after: str, secret: bytes) -> None:
    token = b64(secret)
    assert token not in redact(f"{before}cfp_{token}{after}")


SLOW = [
    "1 ", "12 ", "4", "eyJ", "eyJa.", "cfp_", "DE89 ", "ab12 ", "password: ", "password is ", 'password:"\\', "a/", "://a:",
    "Bearer ", "-----BEGIN PRIVATE KEY-----", "a", "Aa1", "'", "sk-", "\n", "/l/", "aB3-", "  ", "pass", "=", MARKS[0],
]  # fmt: skip


@pytest.mark.parametrize("piece", SLOW)
def test_it_takes_time_in_proportion_to_the_text(piece: str) -> None:
    """Eight times the text takes far less than the 64 times of a pattern that looks at everything from everywhere."""

    def seconds(length: int) -> float:
        """Of this thread on the processor: what else the machine does is not counted."""
        text = (piece * length)[:length]
        taken = []
        for _ in range(3):
            began = time.thread_time()
            redact(text)
            taken.append(time.thread_time() - began)
        return min(taken)

    short = seconds(4_000)
    assert seconds(32_000) < 24 * short + 0.05
