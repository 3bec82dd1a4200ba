"""Vectors of the roster."""

from __future__ import annotations

import json
from typing import Any

from capabilities.world import Office, Passkey
from counterfoil.canonical import b64, unb64
from vectors.cast import (
    AUTHORITY,
    PASSKEYS,
    ROSTER,
    START,
    STRANGER,
    everybody,
    office,
    roster_value,
)
from vectors.make_tokens import header_of, other_s, raw_token
from vectors.seeded import SeededPasskey, seed
from vectors.vector import JSONObject, Vector, accepted, refused


def roster_vectors() -> list[Vector]:
    """Rosters, whole."""
    everyone = roster_value(everybody())
    records, enrolments = everyone["records"], everyone["enrolments"]

    def vector(name: str, shows: str, expected: JSONObject, /, trust: str = "trust.json", **changes: Any) -> Vector:
        return Vector(name, shows, "roster", {**everyone, **changes}, expected, trust=trust)

    def enrolled(reason: str, name: str, shows: str, *, as_person: str = "ann", trust: str = "trust.json",
                 **given: Any) -> Vector:  # fmt: skip
        """Three people, and one enrolment of Ann's that is wrong."""
        made = office("ann", "fay", "ben")
        invitation = given.pop("invitation", made.records[0])
        kept = made.enrolments[1:]
        made.enrol(invitation, as_person, PASSKEYS["ann"], **given)
        bad = {"records": made.records, "enrolments": [made.enrolments[-1], *kept]}
        return Vector(name, shows, "roster", bad, refused(reason), trust=trust)

    good = accepted(
        version=9, people=sorted(["ann", "fay", "ben", "fil", "nat", "lee"]), ended=["lee"],
        credentials=sorted(PASSKEYS[name].credential for name in ("ann", "fay", "ben", "fil", "nat")),
    )  # fmt: skip
    moved = office("ann", "fay", "ben")
    moved.enrol(moved.invite("ann", accounts=["A-1", "A-9"]), "ann", PASSKEYS["lost"])
    first = unb64(records[0].split(".")[1]).decode()
    spelled = json.dumps(json.loads(enrolments[0]))
    doubled = enrolments[0].replace('{"assertion"', '{"secret_signature":"","assertion"', 1)
    strange = office("ann", "fay", "ben")
    strange.key = STRANGER
    strange.invite("eve", roles=["finance"])
    served = office("ann", "fay", "ben")
    served.key = AUTHORITY
    served.invite("eve", roles=["finance"])
    gap = office("ann", "fay", "ben")
    gap.invite("eve", version=5)
    other = office("ben", "fay", "ann")
    return [
        vector("honest", "invitations, enrolments and ends", good),
        vector("without enrolments", "an invitation makes a person, an enrolment a passkey",
               accepted(version=9, people=good["facts"]["people"], ended=["lee"], credentials=[]), enrolments=[]),
        vector("nobody", "a roster may be empty where the trust file says so",
               accepted(version=0, people=[], ended=[], credentials=[]), "trust-first-day.json", records=[],
               enrolments=[]),
        vector("a second invitation", "the last one counts, and the first passkey stays",
               accepted(version=4, people=["ann", "ben", "fay"], ended=[], credentials=sorted(
                   PASSKEYS[name].credential for name in ("ann", "fay", "ben", "lost"))),
               records=moved.records, enrolments=moved.enrolments),
        vector("with the other s in a record", "both are taken where nothing follows it",
               accepted(version=3, people=["ann", "ben", "fay"], ended=[], credentials=[]),
               records=[*other.records[:2], other_s(other.records[2])], enrolments=[]),
        vector("older than was seen", "the trust file has the lowest version", refused("version"),
               "trust-later-roster.json"),
        vector("the last records are missing", "then it is older than was seen", refused("version"),
               records=records[:2], enrolments=[]),
        vector("a record is missing", "records are numbered", refused("chain"), records=records[1:]),
        vector("a gap in the middle", "each names the digest of the one before it", refused("chain"),
               records=[*records[:4], *records[5:]]),
        vector("two records changed places", "numbers and digests", refused("chain"),
               records=[records[1], records[0], *records[2:]]),
        vector("a number left out", "version is the place", refused("chain"), records=gap.records),
        vector("a record of another roster", "previous is the digest of the text before it", refused("chain"),
               records=[other.records[0], *records[1:]]),
        vector("a record by another key", "the roster's key signs", refused("key"), records=strange.records),
        vector("a record by the authority", "the authority's key is none of the roster's", refused("key"),
               records=served.records),
        vector("a changed record", "the signature is over these bytes", refused("signature"),
               records=[changed_payload(records[0], '"A-1"', '"A-2"'), *records[1:]]),
        vector("a record that says nothing known", "closed members", refused("payload"),
               records=[raw_token(header_of("cf-roster+jwt", kid=ROSTER.id), '{"type":"invitation"}', ROSTER)]),
        *(vector(f"a record {name}", shows, refused("payload"), records=[
            raw_token(header_of("cf-roster+jwt", kid=ROSTER.id), first.replace(before, after), ROSTER)])
          for name, shows, before, after in (
            ("whose version is true", "v is 1, an integer", '"v":1,', '"v":true,'),
            ("whose version is 1.0", "v is 1, an integer", '"v":1,', '"v":1.0,'),
            ("whose number is 1.0", "a number with a point is none", '"version":1', '"version":1.0'),
            ("without its version", "complete members", '"v":1,', ""))),
        vector("an enrolment without its version", "complete members", refused("form"),
               enrolments=[enrolments[0].replace(',"v":1}', "}"), *enrolments[1:]]),
        vector("a record of another type", "typ is compared", refused("type"),
               records=[raw_token(header_of("cf-cap+jwt", kid=ROSTER.id), "{}", ROSTER)]),
        vector("an enrolment that is no record's", "each names the digest of an invitation", refused("invitation"),
               records=records[:3]),
        vector("an invitation used twice", "each has one enrolment", refused("invitation"),
               enrolments=[*enrolments, enrolments[0]]),
        vector("an enrolment in another spelling", "canonical JSON, in which nothing stands twice", refused("form"),
               enrolments=[spelled, *enrolments[1:]]),
        vector("an enrolment with a member twice", "parsers differ in which of two they keep", refused("form"),
               enrolments=[doubled, *enrolments[1:]]),
        vector("an enrolment with a member too many", "closed members", refused("form"),
               enrolments=[enrolments[0][:-1] + ',"zzz":1}', *enrolments[1:]]),
        enrolled("enrolment", "an enrolment in another name", "it is the invited person's", as_person="fay"),
        enrolled("enrolment", "an enrolment too late", "before the invitation ends", iat=START + 1001),
        enrolled("enrolment", "an enrolment too early", "not before the invitation", iat=START - 1001),
        enrolled("party", "a passkey of another site", "party is the trusted one", party="evil.example"),
        enrolled("secret", "without the secret", "the invitation's secret signs", secret=seed("guessed")),
        enrolled("signature", "signed by another passkey", "the new passkey signs itself", signer=same_id("fay")),
        enrolled("credential", "the assertion of another credential", "it is the new one's", signer=PASSKEYS["fay"]),
        enrolled("backup", "not the kind that it says", "the flag BE", backup_eligible=False),
        enrolled("secret", "the secret of another invitation", "each invitation has its own",
                 secret=_secret_of(office("ann", "fay", "ben"), 1)),
    ]  # fmt: skip


def same_id(name: str) -> Passkey:
    """Somebody's passkey that says it was Ann's."""
    pretending = SeededPasskey(name)
    pretending.credential = PASSKEYS["ann"].credential
    return pretending


def _secret_of(made: Office, place: int) -> bytes:
    return list(made.secrets.values())[place]


def changed_payload(token: str, old: str, new: str) -> str:
    header, payload, signature = token.split(".")
    text = unb64(payload).decode()
    assert old in text
    return f"{header}.{b64(text.replace(old, new).encode())}.{signature}"
