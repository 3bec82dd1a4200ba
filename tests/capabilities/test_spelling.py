"""What is read came in its only spelling, whichever of the two writers says so (T23)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.canonical import MAX_INTEGER, canonical
from counterfoil.errors import BadJSON
from counterfoil.rungs import Rung
from counterfoil.spelling import Spelled
from counterfoil.statements import Settlement, Signable, Statement
from counterfoil.tickets import Envelope, Signals
from counterfoil.tokens import CapabilityClaims, OrderClaims

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TIMES = st.integers(-MAX_INTEGER, MAX_INTEGER)
RUNGS = st.builds(
    Rung,
    holder=st.sampled_from(["none", "link", "passkey", "passkey_bound"]),
    staff=st.dictionaries(TEXT, st.integers(1, MAX_INTEGER), max_size=3),
    code=st.booleans(),
    hold=st.integers(0, MAX_INTEGER),
)
ENVELOPES = st.builds(
    Envelope,
    v=st.just(1), issuer=TEXT, tenant=TEXT, ticket=TEXT, operation=TEXT, arguments=TEXT, account=st.none() | TEXT,
    principal=TEXT, owner=st.none() | TEXT, actor=st.none() | TEXT, conversation=st.none() | TEXT,
    grant=st.none() | TEXT, delivery=st.sampled_from(["direct", "collected"]), executor=TEXT, facts=st.none() | TEXT,
    requirements=st.lists(RUNGS, max_size=3).map(tuple), policy=TEXT, tool=TEXT, code=TEXT,
    signals=st.builds(Signals, tainted=st.booleans()), note=st.none() | TEXT, undoes=st.none() | TEXT,
    requested_at=TIMES, expires_at=TIMES, salt=TEXT,
)  # fmt: skip
SIGNED = {
    "v": st.just(1), "issuer": TEXT, "envelope": TEXT, "display": TEXT, "seat": TEXT, "person": TEXT,
    "credential": TEXT, "nonce": TEXT, "iat": TIMES, "exp": TIMES,
}  # fmt: skip
VALUES: st.SearchStrategy[Spelled] = (
    ENVELOPES
    | RUNGS
    | st.builds(Statement, **SIGNED, decision=st.sampled_from(["approve", "decline", "grant"]), code=st.none() | TEXT)
    | st.builds(Settlement, **SIGNED, found=st.sampled_from(["executed", "not_executed"]), reference=TEXT)
    | st.builds(OrderClaims, iss=TEXT, aud=TEXT, jti=TEXT, ticket=TEXT, envelope=TEXT, redeemed_at=TIMES, run_by=TIMES)
    | st.builds(
        CapabilityClaims, iss=TEXT, aud=TEXT, sub=TEXT, jti=TEXT, ticket=TEXT, envelope=TEXT, iat=TIMES, exp=TIMES
    )
)
CLAIMS = OrderClaims(iss="i", aud="a", jti="j", ticket="t", envelope="e", redeemed_at=1, run_by=2)


def classes(of: type[Spelled] = Spelled) -> Iterator[type[Spelled]]:
    for each in of.__subclasses__():
        yield each
        yield from classes(each)


def kinds(schema: Any) -> Iterator[str]:
    """Every ``type`` in a schema of pydantic's."""
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from kinds(each)
    if isinstance(schema, dict) and isinstance(schema.get("type"), str):
        yield schema["type"]


@given(VALUES)
def test_what_was_written_is_read_and_both_writers_agree(value: Spelled) -> None:
    body = value.to_bytes()
    assert type(value).read(body) == value
    if value.has_one_order:
        assert type(value).__pydantic_serializer__.to_json(value) == body


@given(VALUES, st.randoms())
def test_members_in_any_other_order_are_refused(value: Spelled, chance: Any) -> None:
    body = value.to_bytes()

    def mixed(of: Any) -> Any:
        if isinstance(of, list):
            return [mixed(each) for each in of]
        if not isinstance(of, dict):
            return of
        members = [(name, mixed(each)) for name, each in of.items()]
        chance.shuffle(members)
        return dict(members)

    other = json.dumps(mixed(json.loads(body)), ensure_ascii=False, separators=(",", ":")).encode()
    if other == body:
        assert type(value).read(other) == value
    else:
        with pytest.raises(BadJSON):
            type(value).read(other)


@pytest.mark.parametrize(
    "changed",
    [
        lambda body: b" " + body,
        lambda body: body + b"\n",
        lambda body: body.replace(b":1", b": 1"),
        lambda body: body.replace(b'"i"', b'"\\u0069"'),
        lambda body: body[:-1] + b',"run_by":2}',
        lambda body: b'{"run_by":3,' + body[1:],
        lambda body: body.replace(b":1", b":1.0"),
        lambda body: body.replace(b":1", b":1e0"),
        lambda body: body.replace(b":1", b":true"),
        lambda body: body.replace(b":1", b':"1"'),
        lambda body: body.replace(b":1", b":%d" % (MAX_INTEGER + 1)),
        lambda body: body[:-1] + b',"z":1}',
        lambda body: body.replace(b'"i"', b'"\\ud800"'),
        lambda body: body.replace(b'"i"', b'"\xed\xa0\x80"'),
    ],
)
def test_every_other_spelling_is_refused(changed: Any) -> None:
    body = CLAIMS.to_bytes()
    assert OrderClaims.read(body) == CLAIMS
    assert changed(body) != body
    with pytest.raises((BadJSON, ValueError)):
        OrderClaims.read(changed(body))


@given(st.builds(Statement, **SIGNED, decision=st.just("grant"), code=st.none()), st.sampled_from(["true", "1.0", "2"]))
def test_a_version_is_the_number_and_not_what_is_equal_to_it(statement: Statement, other: str) -> None:
    body = statement.to_bytes()
    assert body.endswith(b'"v":1}')
    with pytest.raises((BadJSON, ValueError)):
        Statement.read(body.removesuffix(b"1}") + other.encode() + b"}")


def test_roles_stand_in_the_order_of_their_utf_16_and_no_other() -> None:
    # By code points the first of the two would be the second.
    staff = {"\U0001f600": 1, "\ufb33": 1}
    rung = Rung(staff=staff)
    body = rung.to_bytes()
    assert body == canonical({"code": False, "hold": 0, "holder": "none", "staff": staff})
    assert Rung.read(body) == rung
    turned = json.dumps(
        json.loads(body) | {"staff": dict(reversed(staff.items()))}, ensure_ascii=False, separators=(",", ":")
    )
    with pytest.raises(BadJSON):
        Rung.read(turned.encode())


@pytest.mark.parametrize("model", [each for each in classes() if each is not Signable])
def test_whatever_names_members_by_data_says_so_and_nothing_has_other_numbers(model: type[Spelled]) -> None:
    found = set(kinds(model.__pydantic_core_schema__))
    assert not found & {"float", "decimal", "any", "json", "bytes"}
    if "dict" in found:
        assert "has_one_order" in vars(model)
