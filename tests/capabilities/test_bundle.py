"""The bundle's file: one spelling, bounded, refused in words; and no byte of it without meaning.

By default every so many bytes are changed; ``COUNTERFOIL_EXPLORE=full`` changes each of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.evidence import LATER, proven_ticket, shop_day
from counterfoil import bundle as format_of
from counterfoil.assertions import RelyingParty
from counterfoil.audit import verify_bundle
from counterfoil.bundle import BUNDLE_TYPE, MAX_BUNDLE, MAX_TRUST, Attestation, Bundle, Trust
from counterfoil.canonical import canonical, parse_strict
from counterfoil.checkpoints import LOG, WITNESS, NoteKey, NoteSigner
from counterfoil.errors import EvidenceRefused
from counterfoil.keys import SigningKey
from counterfoil.tokens import ORDER_TYPE, sign

STEP = 1 if os.environ.get("COUNTERFOIL_EXPLORE") == "full" else 41
"""Every so many bytes; no divisor of anything, so that all kinds of places are met."""
PARTS = 4
NAME = "other"
LOG_SIGNER, WATCHER, UNDER_ANOTHER_NAME = (
    NoteSigner.of(name, kind, Ed25519PrivateKey.from_private_bytes(b"w" * 32))
    for name, kind in (("desk.example/log", LOG), ("watcher.example", WITNESS), ("other.example", WITNESS))
)


def refused(body: bytes) -> bool:
    """Whether an auditor is told no, in one of the two ways."""
    try:
        return not verify_bundle(body, shop_day().sealed_trust).holds
    except EvidenceRefused:
        return True


# One byte -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(PARTS))
def test_no_byte_of_a_bundle_can_be_changed(part: int) -> None:
    body = shop_day().bundles[NAME]
    assert not refused(body)
    for number, place in enumerate(range(part * STEP, len(body), PARTS * STEP)):
        changed = bytearray(body)
        changed[place] ^= 1 << (number % 8)
        assert refused(bytes(changed)), (place, number % 8, body[place - 20 : place + 20])


@pytest.mark.parametrize("part", range(PARTS))
def test_no_byte_of_a_bundle_can_be_left_out_or_doubled(part: int) -> None:
    body = shop_day().bundles[NAME]
    for place in range(part * STEP, len(body), PARTS * STEP):
        assert refused(body[:place] + body[place + 1 :])
        assert refused(body[: place + 1] + body[place:])


def test_a_truncated_bundle_is_refused() -> None:
    body = shop_day().bundles[NAME]
    for length in [*range(0, len(body), 997), len(body) - 1]:
        with pytest.raises(EvidenceRefused):
            Bundle.from_bytes(body[:length])


# A value that the authority signed, whatever it is --------------------------------------------------------------------


JUNK: tuple[Any, ...] = ("", "{}", "[" * 500, '{"v":1}', "\u0000\u202e\u00e9", -1, 2**53 - 1, 0.5, None, [], {"x": "x"})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield (*path, name)
            yield from places(value[name], (*path, name))


def put(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """The value with something else in that place."""
    if not path:
        return junk
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(value[path[0]], path[1:], junk)
    return copied


MAY_BE_LACKING = {("policy",), ("ticket", "displays")}
"""Where there may be nothing: the report says so, and it is no failure."""


@pytest.mark.parametrize("name", ["executed", "settled"])
def test_whatever_stands_in_a_bundle_is_refused_in_words(name: str) -> None:
    day = shop_day()
    contents = day.contents(name).model_dump(mode="json")
    ticket = proven_ticket(day.contents(name).ticket)
    for path in places(contents):
        if path[:2] == ("roster", "records") and path[-1:] not in ((0,), (3,), ("records",)):
            continue  # one record is like another
        before = contents
        for name_or_number in path:
            before = before[name_or_number]
        for junk in JUNK:
            if junk == before or (path in MAY_BE_LACKING and not junk) or (path[-1:] == ("opening",) and junk is None):
                continue
            if path[:2] == ("ticket", "displays") and len(path) == 3:
                continue  # a page less
            assert refused(day.signed_value(put(contents, path, junk), ticket)), (path, junk)


# The form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"null", "no bundle of Counterfoil"),
        (b"[]", "no bundle of Counterfoil"),
        (b'{"format":"counterfoil-trust","v":1}', "no bundle of Counterfoil"),
        (b'{"format":"counterfoil-bundle","v":2}', "another version"),
        (b'{"format":"counterfoil-bundle","v":1}', "not complete"),
        (b'{"format":"counterfoil-bundle","format":"counterfoil-bundle","v":1}', "stands twice"),
        (b'{"format":"counterfoil-bundle","v":1,"x":' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper"),
        (b"[" * 1_000_000, "nested deeper"),
        (b'{"format":"counterfoil-bundle","v":1,"x":NaN}', "NaN"),
        (b'{"format":"counterfoil-bundle","v":1,"x":"\\ud800"}', "surrogate"),
        (b" " * (MAX_BUNDLE + 1), "larger than"),
        (b"-----BEGIN SSH SIGNATURE-----\n", "cannot be read"),
    ],
    ids=str,
)
def test_what_is_no_bundle_is_refused_in_words(body: bytes, why: str) -> None:
    with pytest.raises(EvidenceRefused) as caught:
        Bundle.from_bytes(body)
    assert why in caught.value.happened


def test_a_bundle_has_one_spelling() -> None:
    body = shop_day().bundles[NAME]
    for other in (
        body + b"\n",
        b" " + body,
        body.replace(b'","', b'", "', 1),
        body.replace(b"agent", b"\\u0061gent", 1),
        canonical(dict(reversed(list(parse_strict(body).items())))).replace(b":", b": ", 1),  # type: ignore[union-attr]
    ):
        assert other != body
        with pytest.raises(EvidenceRefused, match="canonical form"):
            Bundle.from_bytes(other)


def test_a_bundle_holds_nothing_but_what_is_known() -> None:
    value: Any = parse_strict(shop_day().bundles[NAME])
    for place in (value, value["contents"], value["contents"]["ticket"], value["contents"]["roster"]):
        place["note"] = "believe me"
        with pytest.raises(EvidenceRefused, match="too much"):
            Bundle.from_bytes(canonical(value))
        del place["note"]
    value["contents"]["ticket"]["statements"] *= 101
    with pytest.raises(EvidenceRefused, match="too much"):
        Bundle.from_bytes(canonical(value))


def test_no_bundle_is_made_that_nobody_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.from_bytes(shop_day().bundles[NAME])
    monkeypatch.setattr(format_of, "MAX_BUNDLE", 1000)
    with pytest.raises(EvidenceRefused, match="would be larger"):
        bundle.to_bytes()


# Whose word it is -----------------------------------------------------------------------------------------------------


def attested(key: SigningKey | None = None, kind: str = BUNDLE_TYPE, **changes: Any) -> bytes:
    day = shop_day()
    contents = day.contents(NAME)
    claims = Attestation(
        iss=day.trust.issuer, ticket=proven_ticket(contents.ticket), bundle=contents.digest, iat=LATER
    )  # fmt: skip
    text = sign(key or day.key, kind, claims.model_dump() | changes)
    return Bundle(contents=contents, attestation=text).to_bytes()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": SigningKey.generate()}, "not by a key of the authority"),
        ({"kind": ORDER_TYPE}, "not by a key of the authority"),
        ({"extra": 1}, "not by a key of the authority"),
        ({"iss": "https://evil.example"}, "by another authority"),
        ({"bundle": "x"}, "over something else"),
    ],
)
def test_without_the_authoritys_signature_nothing_else_is_looked_at(changes: dict[str, Any], why: str) -> None:
    assert verify_bundle(attested(), shop_day().trust).holds
    report = verify_bundle(attested(**changes), shop_day().trust)
    assert why in report.of("fails")[0]
    assert (len(report.of("fails")), report.of("holds")) == (1, [])


def test_a_file_about_another_ticket_is_found() -> None:
    report = verify_bundle(attested(ticket="cf_other"), shop_day().trust)
    assert report.of("fails") == ["The authority signed this file about another ticket."]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": "https://other.example"}, "by another authority"),
        ({"executors": ["executor:bank"]}, "for another executor"),
        ({"minimum_version": 8}, "at least 8 were seen before"),
        ({"party": RelyingParty("evil.example", frozenset({"https://desk.example"}))}, "roster does not hold"),
        ({"party": RelyingParty("desk.example", frozenset({"https://evil.example"}))}, "roster does not hold"),
        ({"keys": {}}, "Record 1 of the roster is not signed"),
        ({"authority_keys": {}}, "not by a key of the authority"),
    ],
    ids=lambda changes: "-".join(changes) if isinstance(changes, dict) else "",
)
def test_what_counts_is_the_auditors_own_trust(changes: dict[str, Any], why: str) -> None:
    trust = shop_day().trust
    own = {name: value for name, value in changes.items() if name in ("issuer", "executors", "authority_keys")}
    of_roster = {name: value for name, value in changes.items() if name not in own}
    report = verify_bundle(
        shop_day().bundles[NAME], replace(trust, roster=replace(trust.roster, **of_roster), **own)
    )  # fmt: skip
    assert not report.holds
    assert why in "\n".join(report.of("fails"))


# The trust file -------------------------------------------------------------------------------------------------------


def test_a_trust_file_may_be_spelled_in_any_way_and_holds_all_that_is_needed() -> None:
    text = shop_day().trust_file
    assert Trust.from_bytes(b" \n" + text.replace(b",", b", ") + b"\n").issuer == "https://desk.example"
    value: Any = parse_strict(text)
    for name in value.keys() - {"witnesses", "quorum"}:
        with pytest.raises(EvidenceRefused):
            Trust.from_bytes(canonical({key: each for key, each in value.items() if key != name}))
    assert Trust.from_bytes(text).roster.minimum_version == 7
    without = {key: each for key, each in value.items() if key not in ("witnesses", "quorum")}
    assert Trust.from_bytes(canonical(without)) == Trust.from_bytes(text)


SEALS = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate()).key.to_text()


def test_a_trust_file_may_name_former_keys_of_the_log() -> None:
    value: Any = parse_strict(shop_day().trust_file)
    assert "former_log_keys" not in value
    assert Trust.from_bytes(canonical(value)).former == ()
    [former] = Trust.from_bytes(canonical(value | {"former_log_keys": [{"key": SEALS, "size": 7}]})).former
    assert (former.key.to_text(), former.size) == (SEALS, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"roster_keys": []},
        {"roster_keys": [{"kty": "oct", "k": "AAAA"}]},
        {"roster_keys": ["x"]},
        {"authority_keys": []},
        {"origins": []},
        {"roster_version": -1},
        {"roster_version": 1.5},
        {"log_key": "desk.example/log+00000000+AAAA"},
        {"witnesses": ["watcher.example+00000000+AAAA"]},
        {"witnesses": [LOG_SIGNER.key.to_text()]},
        {"witnesses": [WATCHER.key.to_text()], "log_key": None},
        {"witnesses": [WATCHER.key.to_text()] * 2, "quorum": 2},
        {"witnesses": [WATCHER.key.to_text(), UNDER_ANOTHER_NAME.key.to_text()], "quorum": 2},
        {"witnesses": [WATCHER.key.to_text()], "quorum": 2},
        {"witnesses": [WATCHER.key.to_text()], "quorum": -1},
        {"quorum": 1},
        {"former_log_keys": [{"key": "desk.example/log+00000000+AAAA", "size": 1}]},
        {"former_log_keys": [{"key": SEALS, "size": -1}]},
        {"former_log_keys": [{"key": SEALS}]},
        {"former_log_keys": [{"key": SEALS, "size": 1}] * 101},
        {"former_log_keys": [{"key": SEALS, "size": 1}, {"key": SEALS, "size": 9}]},
        {"former_log_keys": [{"key": LOG_SIGNER.key.to_text(), "size": 1}], "log_key": LOG_SIGNER.key.to_text()},
        {"former_log_keys": [{"key": WATCHER.key.to_text(), "size": 1}]},
        {"log_key": WATCHER.key.to_text()},
        {
            "log_key": LOG_SIGNER.key.to_text(),
            "witnesses": [NoteKey("self.example", WITNESS, LOG_SIGNER.key.public).to_text()],
            "quorum": 1,
        },
        {"v": True},
        {"v": 2},
        {"more": 1},
    ],
)
def test_a_trust_file_that_trusts_nothing_or_too_much_is_refused(changes: dict[str, Any]) -> None:
    value: Any = parse_strict(shop_day().trust_file)
    with pytest.raises(EvidenceRefused):
        Trust.from_bytes(canonical(value | changes))


def test_a_private_key_is_nothing_to_hand_around() -> None:
    value: Any = parse_strict(shop_day().trust_file)
    private = shop_day().key.public.to_jwk() | {"d": "AAAA"}
    with pytest.raises(EvidenceRefused, match="not a public"):
        Trust.from_bytes(canonical(value | {"authority_keys": [private]}))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'"', b" " * (MAX_TRUST + 1), b"[" * 200_000])
def test_what_is_no_trust_file_is_refused(body: bytes) -> None:
    with pytest.raises(EvidenceRefused):
        Trust.from_bytes(body)


def test_no_member_of_a_trust_file_counts_twice_and_an_older_program_does_not_guess_at_a_newer_one() -> None:
    text = shop_day().trust_file.rstrip()
    for member in (b'"quorum":0', b'"roster_version":0', b'"witnesses":[]', b'"log_key":null', b'"v":1'):
        with pytest.raises(EvidenceRefused, match="twice"):
            Trust.from_bytes(text[:-1] + b"," + member + b"}")
    with pytest.raises(EvidenceRefused, match="another version") as refused:
        Trust.from_bytes(text.replace(b'"v":1', b'"v":2'))
    assert "newer Counterfoil" in refused.value.remedy


def test_where_the_trust_file_asks_for_no_witness_the_report_says_so() -> None:
    value: Any = parse_strict(shop_day().trust_file)
    trust = Trust.from_bytes(canonical(value | {"witnesses": [WATCHER.key.to_text()]}))  # an older file says no quorum
    report = verify_bundle(shop_day().bundles[NAME], trust)
    assert any("by 0 of the 1 witnesses that you trust; you ask for none" in line for line in report.of("holds"))
