"""What is read came in its only spelling, whichever of the two writers says so (T23)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect
from pydantic import ValidationError

from counterfoil.canonical import MAX_INTEGER, canonical
from counterfoil.errors import BadJSON
from counterfoil.rungs import Rung, WrittenRung
from counterfoil.spelling import Spelled, _write
from counterfoil.statements import MAX_REFERENCE, Settlement, Signable, Statement
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
SIGNALS = st.builds(Signals, tainted=st.booleans())
ENVELOPES = st.builds(
    Envelope,
    v=st.just(1), issuer=TEXT, tenant=TEXT, ticket=TEXT, operation=TEXT, arguments=TEXT, account=st.none() | TEXT,
    principal=TEXT, owner=st.none() | TEXT, actor=st.none() | TEXT, conversation=st.none() | TEXT,
    grant=st.none() | TEXT, delivery=st.sampled_from(["direct", "collected"]), executor=TEXT, facts=st.none() | TEXT,
    requirements=st.lists(RUNGS, max_size=3).map(tuple), policy=TEXT, tool=TEXT, code=TEXT,
    signals=SIGNALS, note=st.none() | TEXT, undoes=st.none() | TEXT,
    requested_at=TIMES, expires_at=TIMES, salt=TEXT,
)  # fmt: skip
SIGNED = {
    "v": st.just(1), "issuer": TEXT, "envelope": TEXT, "display": TEXT, "seat": TEXT, "person": TEXT,
    "credential": TEXT, "nonce": TEXT, "iat": TIMES, "exp": TIMES,
}  # fmt: skip
VALUES: st.SearchStrategy[Spelled] = (
    ENVELOPES
    | SIGNALS
    | RUNGS
    | st.builds(Statement, **SIGNED, decision=st.sampled_from(["approve", "decline", "grant"]), code=st.none() | TEXT)
    | st.builds(Settlement, **SIGNED, found=st.sampled_from(["executed", "not_executed"]), reference=TEXT)
    | st.builds(OrderClaims, iss=TEXT, aud=TEXT, jti=TEXT, ticket=TEXT, envelope=TEXT, redeemed_at=TIMES, run_by=TIMES)
    | st.builds(
        CapabilityClaims, iss=TEXT, aud=TEXT, sub=TEXT, jti=TEXT, ticket=TEXT, envelope=TEXT, iat=TIMES, exp=TIMES
    )
)
CLAIMS = OrderClaims(iss="i", aud="a", jti="j", ticket="t", envelope="e", redeemed_at=1, run_by=2)
RUNG = Rung(holder="passkey", staff={"finance": 1}, code=True, hold=3)
ENVELOPE = Envelope(
    issuer="i", tenant="t", ticket="cf_1", operation="o", arguments="{}", account=None, principal="p", owner=None,
    actor=None, conversation=None, grant=None, delivery="direct", executor="e", facts=None, requirements=(RUNG,),
    policy="p", tool="t", code="c", signals=Signals(), note=None, undoes=None, requested_at=1, expires_at=2, salt="s",
)  # fmt: skip
STATEMENT = Statement(
    issuer="i", envelope="e", display="d", seat="holder", person="p", credential="c", nonce="n", iat=1, exp=2,
    decision="approve", code=None,
)  # fmt: skip
SETTLEMENT = Settlement(
    issuer="i", envelope="e", display="d", seat="holder", person="p", credential="c", nonce="n", iat=1, exp=2,
    found="executed", reference="r",
)  # fmt: skip
CAPABILITY = CapabilityClaims(iss="i", aud="a", sub="s", jti="j", ticket="t", envelope="e", iat=1, exp=2)
EXAMPLES: tuple[Spelled, ...] = (ENVELOPE, RUNG, Signals(), STATEMENT, SETTLEMENT, CAPABILITY, CLAIMS)

ESCAPED = [chr(code) for code in (*range(0x20), *map(ord, '"\\'))]
"""What JSON cannot hold as it is (RFC 8259, section 7)."""
LOOKED_AT = ["/", "\x7f", "\x80", "\x9f", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\U0001f600", "\U0010ffff"]
"""What other writers escape; RFC 8785 does not."""


def classes(of: type[Spelled] = Spelled) -> Iterator[type[Spelled]]:
    for each in of.__subclasses__():
        yield each
        yield from classes(each)


SPELLED = [each for each in classes() if each is not Signable]


def kinds(of: Any) -> Iterator[inspect.Type]:
    """A type of msgspec's and all that stand in it."""
    if isinstance(of, tuple):
        for each in of:
            yield from kinds(each)
    elif isinstance(of, inspect.Type | inspect.Field):
        if isinstance(of, inspect.Type):
            yield of
        for name in of.__struct_fields__:
            yield from kinds(getattr(of, name))


def dumped(value: Any) -> bytes:
    """JSON with the members as they stand in ``value``, otherwise as canonical JSON has it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def in_order(value: Any) -> Any:
    """The members by their names; ours are all ASCII."""
    if isinstance(value, list):
        return [in_order(each) for each in value]
    return {name: in_order(value[name]) for name in sorted(value)} if isinstance(value, dict) else value


def required(rung: Any) -> bytes:
    """The envelope with this JSON value as its requirement, everything else in the only spelling."""
    return dumped(in_order(ENVELOPE.members()) | {"requirements": [in_order(rung)]})


@given(VALUES)
def test_what_was_written_is_read_and_both_writers_agree(value: Spelled) -> None:
    body = value.to_bytes()
    assert body == canonical(value.members())
    assert type(value).read(body) == value
    if value.has_one_order:
        assert _write(value) == body


@given(ENVELOPES, RUNGS)
def test_both_writers_agree_on_an_envelope_whenever_no_requirement_names_several_roles(
    envelope: Envelope, rung: Rung
) -> None:
    one = rung.staff and dict([next(iter(rung.staff.items()))])
    single = envelope.changed(requirements=(Rung(holder=rung.holder, staff=one, code=rung.code, hold=rung.hold),) * 2)
    assert single.has_one_order
    assert _write(single) == canonical(single.members()) == single.to_bytes()
    assert Envelope.read(_write(single)) == single


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: type(each).__name__)
def test_all_kinds_of_value_are_among_those_that_are_tried(example: Spelled) -> None:
    assert {type(each) for each in EXAMPLES} == set(SPELLED)
    assert type(example).read(example.to_bytes()) == example == type(example).of(example.members())
    assert _write(example) == example.to_bytes() == dumped(in_order(json.loads(example.to_bytes())))


@pytest.mark.parametrize("character", [*ESCAPED, *LOOKED_AT], ids=lambda each: f"U+{ord(each):04X}")
def test_both_writers_escape_the_same_characters_in_the_same_way(character: str) -> None:
    for text in (character, f"a{character}b", character * 9, f"\u00e9{character}"):
        claims = CLAIMS.changed(iss=text)
        rung = Rung(staff={text: 1})
        envelope = ENVELOPE.changed(note=text, requirements=(rung,))
        for value in (claims, envelope):
            assert value.has_one_order
            assert _write(value) == canonical(value.members()) == value.to_bytes()
            assert type(value).read(value.to_bytes()) == value


def test_both_writers_agree_on_every_character_there_is() -> None:
    everything = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(everything), 0x1000):
        claims = CLAIMS.changed(iss="".join(everything[start : start + 0x1000]))
        body = claims.to_bytes()
        assert _write(claims) == canonical(claims.members()) == body
        assert OrderClaims.read(body) == claims


@pytest.mark.parametrize("character", [*ESCAPED, *LOOKED_AT, "i"], ids=lambda each: f"U+{ord(each):04X}")
def test_an_escape_has_one_spelling(character: str) -> None:
    body = CLAIMS.changed(iss=character).to_bytes()
    own = canonical(character)
    units = [int.from_bytes(unit) for unit in _pairs(character.encode("utf-16-be"))]
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "/": "\\/", '"': '\\"', "\\": "\\\\"}
    spellings = {
        "".join(f"\\u{unit:04x}" for unit in units),
        "".join(f"\\u{unit:04X}" for unit in units),
        short.get(character, "\\u0021"),
        character,
    }
    for spelling in spellings:
        other = body.replace(b'"iss":' + own, b'"iss":"' + spelling.encode() + b'"')
        if other == body:
            assert OrderClaims.read(other).iss == character
        else:
            with pytest.raises((BadJSON, ValueError)):
                OrderClaims.read(other)


def _pairs(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 2):
        yield data[at : at + 2]


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

    other = dumped(mixed(json.loads(body)))
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
        lambda body: body + b"\0",
        lambda body: body + b"}",
        lambda body: body + body,
        lambda body: body + b"null",
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.decode().encode("utf-16"),
        lambda body: body.replace(b":1", b": 1"),
        lambda body: body.replace(b'"i"', b'"\\u0069"'),
        lambda body: body.replace(b'"iss"', b'"\\u0069ss"'),
        lambda body: body[:-1] + b',"run_by":2}',
        lambda body: b'{"run_by":3,' + body[1:],
        lambda body: body.replace(b'"run_by":2', b'"run_by":3,"run_by":2'),
        lambda body: body.replace(b'"iss":"i"', b'"iss":"i","iss":"i"'),
        lambda body: body.replace(b'"iss":"i"', b'"iss":"x","iss":"i"'),
        lambda body: body.replace(b":1", b":1.0"),
        lambda body: body.replace(b":1", b":1e0"),
        lambda body: body.replace(b":1", b":1E0"),
        lambda body: body.replace(b":1", b":10e-1"),
        lambda body: body.replace(b":1", b":0.1e1"),
        lambda body: body.replace(b":1", b":01"),
        lambda body: body.replace(b":1", b":+1"),
        lambda body: body.replace(b":1", b":-0"),
        lambda body: body.replace(b":1", b":-0.0"),
        lambda body: body.replace(b":1", b":true"),
        lambda body: body.replace(b":1", b":null"),
        lambda body: body.replace(b":1", b':"1"'),
        lambda body: body.replace(b":1", b":[1]"),
        lambda body: body.replace(b":1", b":NaN"),
        lambda body: body.replace(b":1", b":%d" % (MAX_INTEGER + 1)),
        lambda body: body.replace(b":1", b":%d" % (-MAX_INTEGER - 1)),
        lambda body: body.replace(b":1", b":%d" % 2**64),
        lambda body: body.replace(b":1", b":" + b"9" * 400),
        lambda body: body.replace(b":1", b":" + b"9" * 5000),
        lambda body: body[:-1] + b',"z":1}',
        lambda body: body.replace(b'"iss"', b'"Iss"'),
        lambda body: body.replace(b'"i"', b"null"),
        lambda body: body.replace(b'"i"', b"1"),
        lambda body: body.replace(b'"i"', b'"\\ud800"'),
        lambda body: body.replace(b'"i"', b'"\\udc00"'),
        lambda body: body.replace(b'"i"', b'"\\udc00\\ud800"'),
        lambda body: body.replace(b'"i"', b'"\xed\xa0\x80"'),
        lambda body: body.replace(b'"i"', b'"\xc1\xa9"'),
        lambda body: body.replace(b'"i"', b'"\xff"'),
        lambda body: body.replace(b'"i"', b'"\n"'),
        lambda body: body.replace(b'"i"', b"'i'"),
        lambda body: body.replace(b'"iss":"i",', b""),
        lambda body: body.replace(b',"run_by":2', b""),
        lambda body: body.replace(b"}", b",}"),
        lambda body: b"[" + body + b"]",
        lambda body: b"[" * 100_000,
        lambda body: body[:-1] + b',"z":' + b"[" * 100_000,
        lambda body: body[:-1],
        lambda body: b"",
        lambda body: b"{}",
        lambda body: b"null",
        lambda body: dumped(list(json.loads(body).values())),
        lambda body: dumped(body.decode()),
    ],
)
def test_every_other_spelling_is_refused(changed: Any) -> None:
    body = CLAIMS.to_bytes()
    assert OrderClaims.read(body) == CLAIMS
    assert changed(body) != body
    with pytest.raises((BadJSON, ValueError)):
        OrderClaims.read(changed(body))


def test_minus_nought_is_no_spelling_of_nought() -> None:
    body = CLAIMS.changed(run_by=0).to_bytes()
    assert OrderClaims.read(body).run_by == 0
    with pytest.raises(BadJSON):
        OrderClaims.read(body.replace(b'"run_by":0', b'"run_by":-0'))


@pytest.mark.parametrize(
    ("example", "name"),
    [(each, name) for each in EXAMPLES for name in each.__struct_fields__],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_a_member_is_there_once_and_of_its_type(example: Spelled, name: str) -> None:
    """None may be left out, also where the declaration has a default; null is no text, number, list or object."""
    members = in_order(json.loads(example.to_bytes()))
    own = dumped({name: members[name]})[1:-1]
    without = dumped({each: members[each] for each in members if each != name})
    twice = example.to_bytes().replace(own, own + b"," + own, 1)
    fits = {"tainted": True, "code": True, "staff": {"z": 1}} if isinstance(example, Signals | Rung) else {}
    wrong = [other for other in (1.5, True, [None], {"z": 1}, 2**53) if fits.get(name) != other]
    others = [without, twice, *(dumped(members | {name: other}) for other in wrong)]
    if members[name] is not None:
        others.append(dumped(members | {name: None}))
    for body in others:
        assert body != example.to_bytes()
        with pytest.raises((BadJSON, ValueError)):
            type(example).read(body)


def test_the_reference_of_a_settlement_has_an_end() -> None:
    longest = SETTLEMENT.changed(reference="\U0001f600" * MAX_REFERENCE)
    assert Settlement.read(longest.to_bytes()) == longest
    with pytest.raises(ValueError, match="reference"):
        Settlement.read(SETTLEMENT.changed(reference="x" * (MAX_REFERENCE + 1)).to_bytes())


@given(st.builds(Statement, **SIGNED, decision=st.just("grant"), code=st.none()), st.sampled_from(["true", "1.0", "2"]))
def test_a_version_is_the_number_and_not_what_is_equal_to_it(statement: Statement, other: str) -> None:
    body = statement.to_bytes()
    assert body.endswith(b'"v":1}')
    with pytest.raises((BadJSON, ValueError)):
        Statement.read(body.removesuffix(b"1}") + other.encode() + b"}")


@pytest.mark.parametrize("signals", [b'{"tainted":false,"z":1}', b'{"tainted":false,"tainted":false}', b"{}", b"null"])
def test_signals_are_exactly_those_that_are_declared(signals: bytes) -> None:
    body = ENVELOPE.to_bytes()
    assert Envelope.read(body) == ENVELOPE
    other = body.replace(b'{"tainted":false}', signals)
    assert other != body
    with pytest.raises((BadJSON, ValueError)):
        Envelope.read(other)


# What an envelope requires --------------------------------------------------------------------------------------------

MEMBERS = RUNG.members()


def test_a_requirement_is_spelled_as_the_others_are() -> None:
    assert required(MEMBERS) == ENVELOPE.to_bytes() == _write(ENVELOPE)


def test_an_unknown_member_of_a_requirement_is_refused() -> None:
    for name in ("z", "a", "__class__", "has_one_order"):
        with pytest.raises(ValueError, match="unknown field"):
            Envelope.read(required(MEMBERS | {name: 1}))


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_requirement_without_one_of_its_members_is_refused(name: str) -> None:
    """Each has a default, which is no other spelling of it."""
    body = required({each: MEMBERS[each] for each in MEMBERS if each != name})
    with pytest.raises((BadJSON, ValueError)):
        Envelope.read(body)


def test_a_requirement_that_says_nothing_is_refused() -> None:
    for requirements in (b"[{}]", b"[null]", b"[[]]", b"null", b"{}"):
        body = ENVELOPE.changed(requirements=()).to_bytes()
        assert Envelope.read(body).requirements == ()
        with pytest.raises((BadJSON, ValueError)):
            Envelope.read(body.replace(b'"requirements":[]', b'"requirements":' + requirements))


@pytest.mark.parametrize(
    "changes",
    [
        {"holder": "x"},
        {"holder": None},
        {"staff": {"x": 0}},
        {"staff": {"x": -1}},
        {"staff": {"x": True}},
        {"staff": {"x": 1.0}},
        {"staff": {"x": "1"}},
        {"staff": {"x": None}},
        {"staff": {"x": MAX_INTEGER + 1}},
        {"staff": []},
        {"staff": None},
        {"code": 0},
        {"code": None},
        {"hold": -1},
        {"hold": False},
        {"hold": 1.0},
        {"hold": MAX_INTEGER + 1},
        {"hold": None},
    ],
    ids=str,
)
def test_a_requirement_that_cannot_be_made_cannot_be_read(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Expected|Invalid"):
        Rung.of(MEMBERS | changes)
    with pytest.raises(ValidationError):
        WrittenRung(**MEMBERS | changes)
    with pytest.raises((BadJSON, ValueError)):
        Envelope.read(required(MEMBERS | changes))


@pytest.mark.parametrize(
    "changed",
    [
        lambda body: body.replace(b'"hold":3', b'"hold":3,"hold":3'),
        lambda body: body.replace(b'"hold":3', b'"hold":4,"hold":3'),
        lambda body: body.replace(b'"finance":1', b'"finance":1,"finance":1'),
        lambda body: body.replace(b'"finance":1', b'"finance":2,"finance":1'),
        lambda body: body.replace(b'"finance"', b'"\\u0066inance"'),
        lambda body: body.replace(b'"hold":3', b'"hold":3.0'),
        lambda body: body.replace(b'"hold":3', b'"hold":-0'),
        lambda body: body.replace(b'"hold":3', b'"hold": 3'),
        lambda body: body.replace(b'"code":true,"hold":3', b'"hold":3,"code":true'),
        lambda body: body.replace(b'{"code":true', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"code":true'),
        lambda body: body.replace(b'{"code":true', b'{"a":' + b"[" * 100_000),
    ],
)
def test_every_other_spelling_of_a_requirement_is_refused(changed: Callable[[bytes], bytes]) -> None:
    body = ENVELOPE.to_bytes()
    assert changed(body) != body
    with pytest.raises((BadJSON, ValueError)):
        Envelope.read(changed(body))


def test_text_and_integers_of_other_classes_are_written_as_what_they_are() -> None:
    class Role(str):
        """Text."""

    class Count(int):
        """An integer."""

    rung = Rung(staff={Role("finance"): Count(2)})
    rung.check()
    assert Rung.read(rung.to_bytes()) == Rung(staff={"finance": 2})
    assert [(type(role), type(count)) for role, count in rung.members()["staff"].items()] == [(str, int)]


def test_roles_stand_in_the_order_of_their_utf_16_and_no_other() -> None:
    # By code points the first of the two would be the second.
    staff = {"\U0001f600": 1, "\ufb33": 1}
    rung = Rung(staff=staff)
    envelope = ENVELOPE.changed(requirements=(RUNG, rung))
    assert not rung.has_one_order
    assert not envelope.has_one_order
    body = envelope.to_bytes()
    spelled = dumped({"code": False, "hold": 0, "holder": "none", "staff": staff})
    assert spelled in body
    assert body == canonical(envelope.members())
    assert Envelope.read(body) == envelope
    turned = dumped({"code": False, "hold": 0, "holder": "none", "staff": dict(reversed(staff.items()))})
    other = body.replace(spelled, turned)
    # It is the one that msgspec would write.
    assert other == _write(envelope) != body
    assert msgspec.json.decode(other, type=Envelope) == envelope
    with pytest.raises(BadJSON):
        Envelope.read(other)


@pytest.mark.parametrize("model", SPELLED, ids=lambda model: model.__name__)
def test_whatever_names_members_by_data_says_so_and_nothing_has_other_numbers(model: type[Spelled]) -> None:
    found = list(kinds(inspect.type_info(model)))
    known = (
        inspect.StructType | inspect.VarTupleType | inspect.DictType | inspect.UnionType
        | inspect.LiteralType | inspect.NoneType | inspect.StrType | inspect.IntType | inspect.BoolType
    )  # fmt: skip
    assert all(isinstance(each, known) for each in found)
    for each in found:
        if isinstance(each, inspect.IntType):
            assert each.ge is not None
            assert each.le is not None
            assert -MAX_INTEGER <= each.ge <= each.le <= MAX_INTEGER
        if isinstance(each, inspect.LiteralType):
            assert all(type(value) is str for value in each.values)
        if isinstance(each, inspect.DictType):
            assert isinstance(each.key_type, inspect.StrType)
        if isinstance(each, inspect.StructType):
            assert each.forbid_unknown_fields
            assert not each.array_like
            assert each.tag is None
            assert all(field.name == field.encode_name for field in each.fields)
    if any(isinstance(each, inspect.DictType) for each in found):
        assert "has_one_order" in vars(model)


def test_no_declared_member_could_stand_in_another_order() -> None:
    """Their names are ASCII, so that those who sort by code point, UTF-8 or UTF-16 agree."""
    for model in SPELLED:
        for each in kinds(inspect.type_info(model)):
            if isinstance(each, inspect.StructType):
                assert all(field.encode_name.isascii() for field in each.fields)
