"""Leaves: chained, opened one group at a time, and of a format that is final."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.canonical import b64, canonical, parse_strict, salted_digest, unb64
from counterfoil.errors import TamperDetected
from counterfoil.leaves import administered, decided, minted, requested, stepped
from counterfoil.log import GENESIS, Leaf, LeafDraft, chain_mac, check_link, group_salt
from counterfoil.log import seal as sealed
from counterfoil.tickets import Event

KEY = b"k" * 32


def seal(draft: LeafDraft, *, index: int, at: int, previous: bytes, key: bytes) -> Leaf:
    """A leaf as it is stored."""
    body, mac = sealed(draft, index=index, at=at, previous=previous, key=key)
    return Leaf(index, body, mac, draft.opening, draft.ticket, draft.event)


def chain(count: int) -> list[Leaf]:
    leaves: list[Leaf] = []
    for index in range(count):
        draft = LeafDraft("approve", f"cf_{index}", {"a": index, "b": [index]}, salt=bytes([index]) * 32)
        previous = leaves[-1].mac if leaves else GENESIS
        leaves.append(seal(draft, index=index, at=1000 + index, previous=previous, key=KEY))
    return leaves


def check(leaves: list[Leaf]) -> None:
    previous = GENESIS
    for leaf in leaves:
        check_link(leaf, previous, KEY)
        previous = leaf.mac


def test_the_format_of_version_1_is_final() -> None:
    draft = LeafDraft("request", "cf_1", {"envelope": "digest", "operation": "refund"}, salt=b"s" * 32)
    leaf = seal(draft, index=7, at=1_800_000_000, previous=b"p" * 32, key=KEY)
    assert leaf.body == (
        b'{"at":1800000000,"event":"request","groups":{'
        b'"envelope":"M-u4ZWIQ5cmesjLKbAykdRaaob4uYL3Vrt9zsMRA9VI",'
        b'"operation":"f0BbKX66x-KQ4MK260fmC8URbr7y34LvEez-tjBNlC8"},'
        b'"n":7,"ticket":"cf_1","v":1}'
    )
    assert leaf.opening == (
        b'{"groups":{"envelope":"digest","operation":"refund"},"salt":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}'
    )
    assert b64(leaf.mac) == "xA_xOpZPotL4Of-QGHg26vx51l7J_pQ4-e_W3DIX5YA"
    assert bytes(32) == GENESIS


def test_the_format_can_be_made_with_the_standard_library_alone() -> None:
    draft = LeafDraft("request", None, {"x": {"b": 1, "a": None}}, salt=b"s" * 32)
    leaf = seal(draft, index=0, at=5, previous=GENESIS, key=KEY)
    salt = hmac.new(b"s" * 32, b"x", hashlib.sha256).digest()
    value = b'{"a":null,"b":1}'
    message = b"DSSEv1 22 counterfoil-leaf-group %d %s" % (len(value), value)
    group = b64(hmac.new(salt, message, hashlib.sha256).digest())
    body = json.dumps(
        {"at": 5, "event": "request", "groups": {"x": group}, "n": 0, "ticket": None, "v": 1}, separators=(",", ":")
    ).encode()
    linked = bytes(32) + body
    mac = hmac.new(KEY, b"DSSEv1 16 counterfoil-leaf %d %s" % (len(linked), linked), hashlib.sha256).digest()
    assert (leaf.body, leaf.mac) == (body, mac)


NAMES = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
GROUPS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(NAMES, st.none() | TEXTS, st.dictionaries(NAMES, GROUPS, max_size=4))
def test_every_leaf_and_opening_is_canonical_JSON(event: str, ticket: str | None, groups: dict[str, object]) -> None:
    leaf = seal(LeafDraft(event, ticket, groups, salt=b"s" * 32), index=3, at=5, previous=GENESIS, key=KEY)
    body, opening = parse_strict(leaf.body), parse_strict(leaf.opening or b"")
    assert (canonical(body), canonical(opening)) == (leaf.body, leaf.opening)
    assert isinstance(body, dict)
    digests = body.pop("groups")
    assert body == {"v": 1, "n": 3, "at": 5, "event": event, "ticket": ticket}
    assert set(digests) == set(groups)
    assert opening == {"salt": b64(b"s" * 32), "groups": groups}


@pytest.mark.parametrize("name", ["", "Event", "a b", 'a"', "a\n", "1a", "é", "a" * 42])
def test_events_and_groups_are_plain_words(name: str) -> None:
    with pytest.raises(ValueError, match="lower case"):
        LeafDraft(name, None, {})
    with pytest.raises(ValueError, match="lower case"):
        LeafDraft("event", None, {name: 1})


def test_two_equal_drafts_have_salts_of_their_own_in_parts_and_opening() -> None:
    first, second = (stepped(Event.CANCEL, "cf_1", why="moved away") for _ in range(2))
    assert first == second
    assert first.salt != second.salt
    assert first.parts != second.parts
    assert first.opening != second.opening
    again = LeafDraft(first.event, first.ticket, first.groups, salt=first.salt)
    assert (again.parts, again.opening) == (first.parts, first.opening)


def test_an_untouched_chain_verifies() -> None:
    check(chain(5))


@pytest.mark.parametrize("position", range(5))
def test_every_edited_byte_is_noticed(position: int) -> None:
    leaves = chain(5)
    leaf = leaves[position]
    for at in range(len(leaf.body)):
        body = leaf.body[:at] + bytes([leaf.body[at] ^ 1]) + leaf.body[at + 1 :]
        with pytest.raises(TamperDetected, match=f"Leaf {position} "):
            check([*leaves[:position], Leaf(position, body, leaf.mac, leaf.opening), *leaves[position + 1 :]])
    for at in range(len(leaf.mac)):
        mac = leaf.mac[:at] + bytes([leaf.mac[at] ^ 1]) + leaf.mac[at + 1 :]
        with pytest.raises(TamperDetected):
            check([*leaves[:position], Leaf(position, leaf.body, mac, leaf.opening), *leaves[position + 1 :]])


@pytest.mark.parametrize("position", range(4))
def test_a_missing_moved_or_repeated_leaf_is_noticed(position: int) -> None:
    leaves = chain(5)
    without = leaves[:position] + leaves[position + 1 :]
    swapped = [*leaves[:position], leaves[position + 1], leaves[position], *leaves[position + 2 :]]
    repeated = [*leaves[: position + 1], *leaves[position:]]
    for attacked in (without, swapped, repeated):
        with pytest.raises(TamperDetected):
            check(attacked)


def test_nobody_without_the_key_can_go_on() -> None:
    leaves = chain(2)
    forged = seal(LeafDraft("approve", "cf_2", {}), index=2, at=1, previous=leaves[-1].mac, key=b"?" * 32)
    with pytest.raises(TamperDetected):
        check([*leaves, forged])


def test_what_precedes_a_leaf_cannot_be_moved_into_its_body() -> None:
    for previous in (b"", bytes(31), bytes(33)):
        with pytest.raises(TamperDetected):
            chain_mac(KEY, previous, b"body")
    assert chain_mac(KEY, b"a" * 32, b"body") != chain_mac(KEY, b"b" * 32, b"body")


def test_an_opening_proves_its_groups_and_reveals_one_without_the_others() -> None:
    leaf = seal(
        LeafDraft("statement", "cf_1", {"person": "ann", "seat": "holder"}),
        index=0, at=1, previous=GENESIS, key=KEY,
    )  # fmt: skip
    opening = parse_strict(leaf.opening or b"")
    assert isinstance(opening, dict)
    salt = unb64(opening["salt"])
    groups = leaf.values["groups"]

    def opened(group: str, value: object) -> str:
        return salted_digest(group_salt(salt, group), "counterfoil-leaf-group", canonical(value))

    assert groups == {"person": opened("person", "ann"), "seat": opened("seat", "holder")}
    assert group_salt(salt, "person") != group_salt(salt, "seat")
    # Whoever was given the salt of one group cannot test guesses about another with it.
    assert salted_digest(group_salt(salt, "seat"), "counterfoil-leaf-group", canonical("ann")) != groups["person"]


def test_the_same_value_looks_different_in_every_leaf_and_group() -> None:
    first, second = (
        seal(LeafDraft("x", None, {"a": "ann", "b": "ann"}, salt=salt), index=0, at=1, previous=GENESIS, key=KEY)
        for salt in (b"1" * 32, b"2" * 32)
    )
    digests = [*first.values["groups"].values(), *second.values["groups"].values()]
    assert len(set(digests)) == 4


@pytest.mark.parametrize(
    "draft",
    [
        requested("cf_1", "E-DIGEST", "agent smith", "refund"),
        decided("cf_1", "S-DIGEST", "holder", "approve", "ann"),
        stepped(Event.DECLINE, "cf_1", why="Ann did not want it"),
        minted("cf_1", "C-ID", "K-ID"),
        administered("suspend", scope="account:A-1", reason="a secret reason"),
    ],
)
def test_a_leaf_says_nothing_in_the_clear_but_event_and_ticket(draft: LeafDraft) -> None:
    leaf = seal(draft, index=0, at=1, previous=GENESIS, key=KEY)
    assert set(leaf.values) == {"v", "n", "at", "event", "ticket", "groups"}
    assert leaf.values["event"] == draft.event
    assert draft.groups
    for value in draft.groups.values():
        assert canonical(value) not in leaf.body
        assert canonical(value) in (leaf.opening or b"")


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(TamperDetected):
        _ = Leaf(0, b"[]", b"", None).values
