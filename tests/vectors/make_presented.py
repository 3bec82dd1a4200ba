"""Vectors of presented orders: what an executor outside verifies before it runs one."""

from __future__ import annotations

import json
from typing import Any

from counterfoil.canonical import canonical
from counterfoil.leaves import enrolled_before
from counterfoil.roster import enrolment_digest, record_digest
from counterfoil.rungs import Rung
from counterfoil.statements import HOLDER
from counterfoil.tickets import Envelope, envelope_digest
from counterfoil.tokens import ORDER_TYPE, sign
from vectors.cast import AUTHORITY, EXECUTOR, START, STRANGER, approvals, envelope, everybody, page, roster_value
from vectors.make_orders import order_of, reached
from vectors.make_tokens import REDEEMED
from vectors.vector import JSONObject, Vector, accepted, refused

FINANCE = "staff:finance"
NOW = REDEEMED + 1
FLOOR = Rung(holder="passkey", code=True)


def presented(request: Envelope, *, key: Any = AUTHORITY, **changes: Any) -> JSONObject:
    """The order of this request as its desk presents it; ``changes`` replace members."""
    everyone = roster_value(everybody())
    made = {
        "format": "counterfoil-order", "v": 1,
        "order": sign(key, ORDER_TYPE, order_of(request)),
        "envelope": request.to_bytes().decode(),
        "statements": approvals(request, ("ann", HOLDER), ("fay", FINANCE)),
        "displays": [{"seat": seat, "content": page(request, seat)} for seat in (HOLDER, FINANCE)],
        "roster": everyone,
    }  # fmt: skip
    return made | changes


def presented_vectors() -> list[Vector]:
    """Presented orders, with what their executor had heard."""
    request = envelope()
    named = envelope_digest(request.to_bytes())
    honest = presented(request)
    records = honest["roster"]["records"]
    texts = honest["roster"]["enrolments"]
    invited = [json.loads(text)["enrolment"]["invitation"] for text in texts]
    enrolled = dict(zip(invited, map(enrolment_digest, texts), strict=True))
    alone = {enrolled_before(json.loads(text)["enrolment"]["credential"]): "" for text in texts}
    heard = {
        "heard_at": NOW, "stopped": [], "redeemed": {"cf_1": [named, REDEEMED]}, "barred": [],
        "roster_records": len(records), "roster_head": record_digest(records[-1]), "enrolled": enrolled,
    }  # fmt: skip
    enough = accepted(ticket="cf_1", people=["ann", "fay"], reached=reached("passkey", {"finance": 1}, True, 50))

    def vector(
        name: str, shows: str, expected: JSONObject, value: Any = honest, *, text: str | None = None, now: int = NOW,
        floor: tuple[Rung, ...] = (FLOOR,), operation: str = "refund", executor: str = EXECUTOR,
        trust: str = "trust.json", **memory: Any,
    ) -> Vector:  # fmt: skip
        given = {
            "presented": canonical(value).decode() if text is None else text,
            "executor": executor,
            "floors": {operation: [dict(sorted(rung.members().items())) for rung in floor]},
            "memory": heard | memory,
            "now": now,
        }
        return Vector(name, shows, "presented", given, expected, trust=trust)

    def barring(scope: str) -> Vector:
        return vector(f"barred: {scope}", "nothing that it depends on is barred", refused("barred"), barred=[scope])

    def of(about: Envelope, **changes: Any) -> JSONObject:
        return {"value": presented(about, **changes),
                "redeemed": {about.ticket: [envelope_digest(about.to_bytes()), REDEEMED]}}  # fmt: skip

    chat = envelope(conversation="chat", actor="ann")
    other = presented(envelope(ticket="cf_2"))
    under = envelope(grant="cf_a", conversation="chat", requirements=())
    lie = json.loads(page(request))
    lie["arguments"][0]["value"] = "8.00 EUR"
    text = canonical(honest).decode()
    two, bound, waited = (
        FLOOR.changed(**more) for more in ({"staff": {"finance": 2}}, {"holder": "passkey_bound"}, {"hold": 50})
    )
    retold = [
        {"seat": each["seat"], "content": each["content"].replace("A request.", "Nothing.")}
        for each in honest["displays"]
    ]
    clock = "the executor's clock and the authority's are not the same"
    return [
        vector("honest", "what an executor outside runs", enough),
        vector("in another spelling", "it need not be canonical JSON", enough, text=json.dumps(honest, indent=1)),
        vector("heard a minute ago", "that is as old as it may be", enough, heard_at=NOW - 60),
        vector("heard a minute ahead", clock, enough, now=REDEEMED - 59, heard_at=NOW),
        vector("by one of two floors", "they are alternatives", enough, floor=(two, FLOOR)),
        vector("by a floor with a waiting time", "it is counted to the redemption", enough, floor=(waited,)),
        vector("with others barred", "what it does not depend on", enough,
               barred=["account:A-2", "person:ben", "ticket:cf_2", "conversation:chat", f"key:{STRANGER.id}"]),
        vector("with others stopped", "what it is not", enough, stopped=["cf_2"]),
        vector("nothing was heard yet", "the feed was heard lately", refused("feed"), heard_at=None),
        vector("heard too long ago", "the feed was heard lately", refused("feed"), heard_at=NOW - 61),
        vector("heard too far ahead", clock, refused("feed"), heard_at=NOW + 61),
        vector("too late by the authority's clock", "the later of both counts", refused("late"), now=START + 320,
               heard_at=START + 361),
        vector("too late by its own clock", "the later of both counts", refused("late"), now=START + 361,
               heard_at=START + 320),
        vector("not redeemed, as far as the log tells", "a stolen key alone runs nothing", refused("redemption"),
               redeemed={}),
        vector("redeemed as another request", "the log has the envelope's digest", refused("redemption"),
               redeemed={"cf_1": ["another", REDEEMED]}),
        vector("redeemed at another time", "an old order is not made good again", refused("redemption"),
               redeemed={"cf_1": [named, REDEEMED - 1]}),
        vector("a record that was exchanged", "the log tells which records there are", refused("version"),
               roster_head=record_digest(records[0])),
        vector("an enrolment in the place of the first", "the log tells which was the first", refused("enrolled"),
               enrolled=enrolled | {invited[0]: enrolment_digest("{}")}),
        vector("an enrolment that the log does not tell of", "each has a leaf", refused("enrolled"),
               enrolled={name: told for name, told in enrolled.items() if name != invited[0]}),
        vector("enrolments of an earlier version", "their leaves name the passkey alone", enough, enrolled=alone),
        vector("an enrolment in the place of the first, whose passkey was told of alone", "the invitation counts",
               refused("enrolled"), enrolled=alone | {invited[0]: enrolment_digest("{}")}),
        vector("stopped", "the log tells of a refusal, or that nothing was done", refused("stopped"), stopped=["cf_1"]),
        vector("by a key that is barred", "a key that was stolen is revoked", refused("key"),
               barred=[f"key:{AUTHORITY.id}"]),
        vector("by another key", "the key is a trusted one", refused("key"), presented(request, key=STRANGER)),
        vector("for another executor", "aud is this one", refused("audience"), executor="books"),
        vector("the envelope of another order", "the order names its digest", refused("envelope"),
               honest | {"envelope": other["envelope"]}),
        *(barring(scope) for scope in (
            "everything", "ticket:cf_1", "operation:refund", "principal:agent", "account:A-1",
            "principal-account:agent|A-1", "person:ann", "person:fay")),
        vector("barred: the conversation", "nothing that it depends on is barred", refused("barred"),
               barred=["conversation:chat"], **of(chat)),
        vector("barred: who asked, and did not sign", "nothing that it depends on is barred", refused("barred"),
               barred=["person:cyd"], **of(envelope(actor="cyd"))),
        vector("under a grant", "nobody signed for it", refused("grant"), **of(under, statements=[])),
        vector("a roster that lacks what was heard", "each record has a leaf", refused("version"),
               roster_records=len(records) + 1),
        vector("a roster older than the trust file", "it has the lowest version", refused("version"),
               trust="trust-later-roster.json"),
        vector("a roster with a gap", "records are chained", refused("chain"),
               honest | {"roster": honest["roster"] | {"records": records[1:]}}),
        vector("signatures of another request", "nothing transfers", refused("envelope"),
               honest | {"statements": other["statements"]}),
        vector("without a signature", "the requirements are those of the envelope", refused("requirements"),
               honest | {"statements": honest["statements"][:1]}),
        vector("a page that lies", "it says what the envelope says", refused("page"),
               honest | {"displays": [{"seat": HOLDER, "content": canonical(lie).decode()}]}),
        vector("the page of another request", "what was shown was signed", refused("display"),
               honest | {"displays": retold}),
        vector("without a page", "each seat that signed has one", refused("display"), honest | {"displays": []}),
        vector("an operation without a floor", "it is not run here", refused("floor"), operation="pay"),
        vector("an operation whose floor is empty", "it is not run here", refused("floor"), floor=()),
        vector("a floor that asks for nothing", "that is none", refused("floor"), floor=(Rung(),)),
        vector("a floor that asks for more people", "whatever the authority's policy says", refused("floor"),
               floor=(two,)),
        vector("a floor that asks for another passkey", "whatever the authority's policy says", refused("floor"),
               floor=(bound,)),
        *(vector(f"arguments that are none: {each.arguments}", "they are an object", refused("form"),
                 honest | {"order": sign(AUTHORITY, ORDER_TYPE, order_of(each)), "envelope": each.to_bytes().decode()},
                 redeemed={"cf_1": [envelope_digest(each.to_bytes()), REDEEMED]})
          for each in (envelope(arguments="[]"), envelope(arguments="{"))),
        vector("no order at all", "a bundle is none", refused("form"), text='{"format":"counterfoil-bundle","v":1}'),
        vector("a member too many", "closed members", refused("form"), honest | {"note": "x"}),
        vector("without its format", "complete members", refused("form"),
               {name: value for name, value in honest.items() if name != "format"}),
        vector("a member twice", "strict JSON", refused("form"), text=text[:-1] + ',"v":1}'),
        vector("cut short", "strict JSON", refused("form"), text=text[:-1]),
        vector("another version", "v is 1", refused("form"), honest | {"v": 2}),
        vector("a version that is true", "v is 1, an integer", refused("form"), honest | {"v": True}),
        vector("a version that is 1.0", "v is 1, an integer", refused("form"), text=text[:-1] + ".0}"),
    ]  # fmt: skip
