"""Vectors of statements and of the roster."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from counterfoil.canonical import b64, digest, unb64
from counterfoil.statements import HOLDER, Statement
from counterfoil.tickets import ACCESS, Envelope
from vectors.cast import (
    PASSKEYS,
    START,
    envelope,
    page,
    signed,
    statement,
)
from vectors.seeded import ORDER, seed
from vectors.vector import JSONObject, Vector, accepted, refused

FINANCE = "staff:finance"


def statement_vectors() -> list[Vector]:
    """Decisions, with the assertion of a passkey over each."""
    request = envelope()
    access = envelope(ticket="cf_a", operation=ACCESS, conversation="chat", arguments='{"account":"A-1"}')

    def vector(
        name: str, shows: str, expected: JSONObject, told: JSONObject, *, about: Envelope = request, seat: str = HOLDER
    ) -> Vector:
        given = {
            "envelope": about.to_bytes().decode(), "display": page(about, seat), "seat": seat, "roster": "people.json",
            **told,
        }  # fmt: skip
        return Vector(name, shows, "statement", given, expected)

    def holds(person: str, seat: str, decision: str = "approve", assurance: str = "passkey") -> JSONObject:
        return accepted(person=person, seat=seat, decision=decision, assurance=assurance)

    def changed(reason: str, name: str, shows: str, about: Envelope = request, **changes: Any) -> Vector:
        return vector(name, shows, refused(reason), signed(statement(about, "ann", **changes)), about=about)

    def misbehaving(reason: str, name: str, shows: str, **misbehaviour: Any) -> Vector:
        return vector(name, shows, refused(reason), signed(statement(request, "ann"), **misbehaviour))

    def by(
        reason: str, name: str, shows: str, person: str, seat: str, about: Envelope = request, **more: Any
    ) -> Vector:
        return vector(
            name, shows, refused(reason), signed(statement(about, person, seat, **more)), about=about, seat=seat
        )

    ann = statement(request, "ann")
    honest = signed(ann)
    decline = ann.changed(decision="decline", code=None)
    bens = envelope(ticket="cf_b", account="A-2")
    extended = signed(ann, flags=0x8D, trailing=b"\xa0")
    return [
        vector("an approval", "the holder approves", holds("ann", HOLDER), honest),
        vector("of finance", "somebody with the role approves", holds("fay", FINANCE),
               signed(statement(request, "fay", FINANCE)), seat=FINANCE),
        vector("a decline", "the holder declines", holds("ann", HOLDER, "decline"), signed(decline)),
        vector("a decline where the holder is not asked", "the holder may always decline",
               holds("ann", HOLDER, "decline"),
               signed(statement(alone := envelope(ticket="cf_s", requirements=(
                   request.requirements[0].changed(holder="none", code=False),)), "ann",
                   decision="decline", code=None)), about=alone),
        vector("a grant", "an access is granted", holds("ann", HOLDER, "grant"),
               signed(statement(access, "ann", decision="grant")), about=access),
        vector("a passkey that cannot be copied", "it is passkey_bound",
               holds("ben", HOLDER, assurance="passkey_bound"), signed(statement(bens, "ben")), about=bens),
        vector("with extension data", "more than 37 bytes are there only with their flag", holds("ann", HOLDER),
               extended),
        vector("with members that are not known", "browsers may add some to the client data", holds("ann", HOLDER),
               signed(ann, client={"other_keys_can_be_added_here": "do not compare against a template"})),
        vector("without crossOrigin", "absent is false", holds("ann", HOLDER),
               signed(ann, client={"crossOrigin": None})),
        vector("with the other s", "both s and n - s are taken", holds("ann", HOLDER), with_other_s(honest)),
        # What was signed
        vector("in another spelling", "a statement is canonical JSON", refused("form"),
               honest | {"statement": honest["statement"].replace(":", ": ", 1)}),
        vector("a member too many", "nobody signs past what is known", refused("form"),
               honest | {"statement": honest["statement"][:-1] + ',"zzz":1}'}),
        changed("envelope", "another issuer", "the issuer is the envelope's", issuer="https://evil.example"),
        vector("of another ticket", "it names the digest of one envelope", refused("envelope"),
               signed(statement(envelope(ticket="cf_2"), "ann"))),
        vector("of a changed envelope", "every byte counts", refused("envelope"), honest,
               about=envelope(note="The lamp arrived.")),
        changed("time", "before the request", "iat is not before requested_at", iat=START - 1, exp=START + 500),
        changed("time", "for too long", "at most 600 seconds", exp=START + 611),
        changed("time", "for no time", "iat is before exp", exp=START + 10),
        changed("decision", "a grant of what is no access", "each decision has its kind of request", decision="grant"),
        changed("decision", "an approval of an access", "an access is granted, not approved", access),
        changed("display", "another page", "what was shown is signed", display=digest("counterfoil-display", b"{}")),
        changed("seat", "a seat that nobody asked for", "seats are those of the requirements", seat="staff:identity"),
        changed("code", "the wrong code", "the code is the one from the chat", code="654321"),
        # Who signed
        changed("credential", "an unknown passkey", "credentials are those of the roster", passkey="stranger"),
        changed("credential", "in another person's name", "a credential has one person", person="ben"),
        changed("credential", "a passkey that has ended", "ends are for good", passkey="lost"),
        vector("the assertion of another credential", "it says which credential made it", refused("credential"),
               signed(ann, credential=PASSKEYS["fay"].credential)),
        by("eligible", "another holder", "the account is not theirs", "ben", HOLDER),
        by("eligible", "without the role", "the seat needs the role", "ben", FINANCE),
        by("eligible", "staff who hold the account", "one cannot approve one's own refund", "fil", FINANCE),
        by("eligible", "staff with the holder's address", "then they count as one (case folded)", "nat", FINANCE),
        by("eligible", "staff behind the request", "the principal's owner is no staff of it", "fay", FINANCE,
           envelope(ticket="cf_o", owner="fay")),
        by("credential", "somebody who left", "a person who ended signs nothing", "lee", FINANCE),
        # The assertion
        vector("signed by another passkey", "the enrolled key counts", refused("signature"), signed(ann, "fay",
               credential=PASSKEYS["ann"].credential)),
        vector("a decline taken for an approval", "each decision has a namespace", refused("challenge"),
               relabelled(decline, ann)),
        vector("an approval taken for a grant", "each decision has a namespace", refused("challenge"),
               relabelled(statement(access, "ann"), statement(access, "ann", decision="grant")), about=access),
        vector("the challenge of another statement", "it is over these very bytes", refused("challenge"),
               relabelled(ann.changed(nonce=b64(seed("another nonce"))), ann)),
        misbehaving("challenge", "a sign-in", "32 random bytes are no statement", client={"challenge": b64(seed("x"))}),
        misbehaving("assertion", "a registration", "type is webauthn.get", client={"type": "webauthn.create"}),
        misbehaving("origin", "another website", "origins are compared as a whole",
                    client={"origin": "https://desk.example.evil.example"}),
        misbehaving("origin", "another port", "origins are compared as a whole",
                    client={"origin": "https://desk.example:8443"}),
        misbehaving("cross_origin", "in a frame", "crossOrigin is false", client={"crossOrigin": True}),
        misbehaving("cross_origin", "under another site", "topOrigin is absent",
                    client={"topOrigin": "https://desk.example"}),
        misbehaving("party", "another relying party", "the hash is of the trusted id", party="evil.example"),
        misbehaving("user_present", "nobody present", "the flag UP", flags=0x0C),
        misbehaving("user_verified", "nobody verified", "the flag UV", flags=0x09),
        misbehaving("backup", "not the kind that was enrolled", "the flag BE", flags=0x05),
        misbehaving("assertion", "too short", "37 bytes at least", length=36),
        misbehaving("assertion", "trailing bytes without the flag", "no more than 37", trailing=b"x"),
        misbehaving("assertion", "a key twice in the client data", "strict JSON",
                    client_data=twice(ann.challenge)),
        misbehaving("assertion", "client data without end", "at most 2048 bytes", client={"padding": "x" * 2048}),
        vector("a signature that is no DER", "WebAuthn has ASN.1", refused("signature"),
               with_signature(honest, raw_signature(honest))),
        vector("a signature with a byte after it", "DER in its only spelling", refused("signature"),
               with_signature(honest, signature_of(honest) + b"\0")),
        vector("a changed signature", "over these bytes", refused("signature"),
               with_signature(honest, signature_of(signed(decline)))),
        vector("base64 with padding", "base64url without", refused("assertion"),
               with_member(honest, "authenticator_data", honest["assertion"]["authenticator_data"] + "=")),
    ]  # fmt: skip


def relabelled(was: Statement, now: Statement) -> JSONObject:
    """One statement's text with the assertion over another."""
    return signed(was) | {"statement": now.to_bytes().decode()}


def twice(challenge: bytes) -> bytes:
    """Client data that names two origins."""
    members = f'"type":"webauthn.get","challenge":"{b64(challenge)}","origin":"https://evil.example"'
    return f'{{{members},"origin":"https://desk.example"}}'.encode()


def with_member(told: JSONObject, name: str, value: str) -> JSONObject:
    return told | {"assertion": told["assertion"] | {name: value}}


def with_signature(told: JSONObject, signature: bytes) -> JSONObject:
    return with_member(told, "signature", b64(signature))


def signature_of(told: JSONObject) -> bytes:
    return unb64(told["assertion"]["signature"])


def raw_signature(told: JSONObject) -> bytes:
    """r and s side by side, as JWS has them."""
    r, s = decode_dss_signature(signature_of(told))
    return r.to_bytes(32) + s.to_bytes(32)


def with_other_s(told: JSONObject) -> JSONObject:
    """The signature with n - s."""
    r, s = decode_dss_signature(signature_of(told))
    return with_signature(told, encode_dss_signature(r, ORDER - s))
