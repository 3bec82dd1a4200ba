"""Vectors of orders, with all that an executor verifies beside them."""

from __future__ import annotations

from typing import Any

from counterfoil.statements import HOLDER
from counterfoil.tickets import ACCESS, Envelope, envelope_digest
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, sign
from vectors.cast import ALONE, AUTHORITY, EXECUTOR, ISSUER, START, approvals, envelope, page, signed, statement
from vectors.make_tokens import REDEEMED, token_attacks
from vectors.vector import JSONObject, Vector, accepted, refused


def order_of(request: Envelope, **changes: Any) -> dict[str, Any]:
    return {
        "iss": ISSUER, "aud": EXECUTOR, "jti": f"order-{request.ticket}", "ticket": request.ticket,
        "envelope": envelope_digest(request.to_bytes()), "redeemed_at": REDEEMED, "run_by": START + 360,
    } | changes  # fmt: skip


def order_vectors() -> list[Vector]:
    """Orders, with all that an executor verifies beside them."""
    request = envelope()
    both = approvals(request, ("ann", HOLDER), ("fay", "staff:finance"))
    enough = accepted(ticket="cf_1", people=["ann", "fay"], reached=reached("passkey", {"finance": 1}, True, 50))

    def vector(
        name: str, shows: str, expected: JSONObject, *, about: Envelope = request, token: str | None = None,
        statements: list[JSONObject] | None = None, now: int = REDEEMED + 1, text: str | None = None,
        access: JSONObject | None = None, **claims: Any,
    ) -> Vector:  # fmt: skip
        seats = (HOLDER, "staff:finance", "staff:identity")
        given = {
            "order": token or sign(AUTHORITY, ORDER_TYPE, order_of(about, **claims)),
            "envelope": about.to_bytes().decode() if text is None else text,
            "statements": both if statements is None else statements,
            "displays": {seat: page(about, seat) for seat in seats},
            "roster": "people.json",
            "access": access,
            "executor": EXECUTOR,
            "now": now,
        }
        return Vector(name, shows, "order", given, expected)

    attacks = token_attacks(ORDER_TYPE, CAPABILITY_TYPE, order_of(request))
    other = envelope(ticket="cf_2")
    held = envelope(ticket="cf_3", requirements=(ALONE.changed(hold=60),))
    bound = envelope(ticket="cf_4", account="A-2", requirements=(ALONE.changed(holder="passkey_bound"),))
    alone = envelope(ticket="cf_5", requirements=(ALONE,))
    nothing = envelope(ticket="cf_6", requirements=())
    known = envelope(ticket="cf_7", requirements=(ALONE,), actor="ann")
    text = request.to_bytes().decode()
    early = signed(statement(alone, "ann", iat=REDEEMED + 1, exp=REDEEMED + 100))
    return [
        vector("honest", "what an executor accepts", enough),
        vector("at the last second", "run_by is included", enough, now=START + 360),
        vector("as long as any setting allows", "run_by is at most an hour after the redemption", enough,
               run_by=REDEEMED + 3600),
        vector("after its hold", "60 seconds have passed since the last signature",
               accepted(ticket="cf_3", people=["ann"], reached=reached("passkey", {}, True, 60)),
               about=held, statements=approvals(held, ("ann", HOLDER)), redeemed_at=START + 70, now=START + 70),
        vector("with a passkey that cannot be copied", "it counts as passkey_bound",
               accepted(ticket="cf_4", people=["ben"], reached=reached("passkey_bound", {}, True, 50)),
               about=bound, statements=approvals(bound, ("ben", HOLDER))),
        vector("without the code, at the holder's own keyboard", "the actor need not type the code of their chat",
               accepted(ticket="cf_7", people=["ann"], reached=reached("passkey", {}, True, 50)),
               about=known, statements=[signed(statement(known, "ann", code=None))]),
        *(vector(name, shows, refused(reason), token=token) for name, shows, token, reason in attacks
          if name in ORDERS_SHOW),
        vector("another issuer", "iss is the authority", refused("issuer"), iss="https://evil.example"),
        vector("for another executor", "aud is the executor", refused("audience"), aud="executor:bank"),
        vector("for another envelope", "the digest in the order is of other bytes", refused("envelope"),
               text=other.to_bytes().decode()),
        vector("an envelope in another spelling", "its bytes are what was signed", refused("envelope"),
               text=text.replace(":", ": ", 1)),
        vector("an envelope that is not canonical", "the order names its digest all the same", refused("form"),
               text=f"{text} ", envelope=envelope_digest(f"{text} ".encode())),
        vector("an envelope with a member too many", "nobody signs past what is known", refused("form"),
               text=(longer := text[:-1] + ',"zzz":1}'), envelope=envelope_digest(longer.encode())),
        vector("an envelope of another ticket", "order and envelope name the same", refused("ticket"), about=other,
               ticket="cf_1"),
        vector("an envelope for another executor", "the envelope is frozen for one", refused("ticket"),
               about=envelope(executor="executor:bank")),
        vector("redeemed before it was requested", "redeemed_at is within the ticket's lifetime", refused("lifetime"),
               redeemed_at=START - 1, now=START),
        vector("redeemed when it had expired", "expires_at is excluded", refused("lifetime"),
               redeemed_at=START + 86400, run_by=START + 86500, now=START + 86400),
        vector("redeemed in the future", "at no time to come", refused("time"), now=REDEEMED - 1),
        vector("to be run for ever", "no setting allows more than an hour", refused("time"), run_by=REDEEMED + 3601),
        vector("too late", "run_by has passed", refused("late"), now=START + 361),
        vector("nobody signed", "the authority's word is not enough", refused("requirements"), statements=[]),
        vector("finance did not sign", "the requirements are those of the envelope", refused("requirements"),
               statements=both[:1]),
        vector("the holder did not sign", "finance is no holder", refused("requirements"), statements=both[1:]),
        vector("the code was not typed", "the requirement names it", refused("requirements"), about=alone,
               statements=[signed(statement(alone, "ann", code=None))]),
        vector("before its hold", "59 seconds have passed", refused("requirements"), about=held,
               statements=approvals(held, ("ann", HOLDER)), redeemed_at=START + 69, now=START + 69),
        vector("no alternative", "without requirements nobody can approve", refused("requirements"), about=nothing,
               statements=[]),
        vector("signed after the redemption", "nothing that came later counts", refused("time"), about=alone,
               statements=[early], now=REDEEMED + 2),
        vector("one person twice", "one person fills one seat", refused("person"), statements=[*both, both[1]]),
        vector("somebody declined", "one decline ends it", refused("declined"),
               statements=[*both, signed(statement(request, "ann", decision="decline", code=None))]),
        vector("a statement of another ticket", "nothing transfers", refused("envelope"),
               statements=[approvals(other, ("ann", HOLDER))[0], both[1]]),
        *access_vectors(vector),
    ]  # fmt: skip


ORDERS_SHOW = {
    "another typ", "alg none", "alg ES384", "a jwk", "a crit", "an unknown kid", "another key under a known kid",
    "a claim twice", "a claim too many", "a whole float for a time", "padding", "a signature in DER",
}  # fmt: skip
"""Of the attacks on tokens, those that are shown again of orders."""


def access_vectors(vector: Any) -> list[Vector]:
    """What runs without anybody's signature, under an access that was granted."""
    access = envelope(
        ticket="cf_a", operation=ACCESS, conversation="chat", requirements=(ALONE,), arguments='{"account":"A-1"}'
    )
    pause = envelope(ticket="cf_p", operation="pause", conversation="chat", grant="cf_a", requirements=(),
                     requested_at=START + 100, arguments='{"account":"A-1"}')  # fmt: skip
    granted = [signed(statement(access, "ann", decision="grant"))]

    def under(
        name: str, shows: str, expected: JSONObject, *, about: Envelope = pause, at: int = START + 120,
        statements: list[JSONObject] | None = None, none: bool = False, opened: Envelope = access,
        opened_at: int = START + 20,
    ) -> Vector:  # fmt: skip
        grant = {
            "envelope": opened.to_bytes().decode(), "statements": granted if statements is None else statements,
            "displays": {HOLDER: page(opened)}, "redeemed_at": opened_at,
        }  # fmt: skip
        made: Vector = vector(
            name, shows, expected, about=about, statements=[], access=None if none else grant, redeemed_at=at,
            run_by=at + 60, now=at,
        )  # fmt: skip
        return made

    holds = accepted(ticket="cf_p", people=["ann"], reached=reached("none", {}, False, 0))
    other = pause.changed(conversation="another chat")
    theirs = pause.changed(account="A-2")
    approval = statement(access, "ann")
    refund = access.changed(operation="refund")
    nowhere = access.changed(conversation=None)
    return [
        under("under an access", "the grant takes the place of requirements", holds),
        under("in the last second of an access", "900 seconds from the last signature", holds, at=START + 909),
        under("after an access", "it ends 900 seconds after the last signature", refused("grant"), at=START + 910),
        under("in another conversation", "a grant is for one", refused("grant"), about=other),
        under("on another account", "a grant is for one", refused("grant"), about=theirs),
        under("under an access that nobody granted", "it is worth what was signed", refused("grant"), statements=[]),
        under("under an access that was approved", "an approval is no grant", refused("decision"),
              statements=[signed(approval)]),
        under("under what is no access", "only an access opens anything", refused("grant"), opened=refund,
              statements=[signed(statement(refund, "ann"))]),
        under("under an access of no conversation", "a grant is for one", refused("grant"), opened=nowhere,
              statements=[signed(statement(nowhere, "ann", decision="grant"))]),
        under("under an access redeemed before it was signed", "nothing that came later counts", refused("grant"),
              opened_at=START + 9),
        under("under no access", "the envelope names one", refused("grant"), none=True),
    ]  # fmt: skip


def reached(holder: str, staff: dict[str, int], code: bool, hold: int) -> JSONObject:
    """The evidence that was reached, as a rung."""
    return {"holder": holder, "staff": staff, "code": code, "hold": hold}
