"""Vectors of a roster whose key was replaced, perhaps because it was stolen: where the old key stopped is pinned."""

from __future__ import annotations

from typing import Any

from capabilities.world import Office
from counterfoil.bundle import TrustFile
from counterfoil.roster import record_digest
from vectors.cast import PASSKEYS, ROSTER, SUCCESSOR, ended, office, roster_value, trust_file
from vectors.forgery import Forgery
from vectors.make_bundles import REDEEMED, attested, changed
from vectors.vector import JSONObject, Vector, accepted, refused

AFTER_THREE = "trust-key-replaced.json"
AFTER_AN_END = "trust-key-replaced-later.json"
PEOPLE = ("ann", "fay", "ben")


def replaced_trusts() -> dict[str, TrustFile]:
    """The key stopped after the third record, or after a fourth that was signed when Fay left."""
    return {
        AFTER_THREE: trust_file(version=0, stopped=(3, record_digest(office(*PEOPLE).records[-1]))),
        AFTER_AN_END: trust_file(version=0, stopped=(4, record_digest(fays_end()))),
    }


def fays_end() -> str:
    return ended(office(*PEOPLE), "person", "fay", REDEEMED + 1)


def invited_by(key: Any, *people: str) -> Office:
    """Three people, and one more whom this key invites."""
    made = office(*people)
    made.key = key
    made.enrol(made.invite("nat", roles=["finance"]), "nat", PASSKEYS["nat"])
    return made


def replaced_vectors() -> list[Vector]:
    """Rosters."""

    def vector(name: str, shows: str, made: Office, expected: JSONObject, trust: str = AFTER_THREE) -> Vector:
        return Vector(name, shows, "roster", dict(roster_value(made)), expected, trust=trust)

    def good(*people: str) -> JSONObject:
        keys = sorted(PASSKEYS[name].credential for name in people)
        return accepted(version=len(people), people=sorted(people), ended=[], credentials=keys)

    early = office("ann", "fay")
    early.key = SUCCESSOR
    early.enrol(early.invite("ben", accounts=["A-2"]), "ben", PASSKEYS["ben"])
    return [
        vector("by the key that was replaced, to its last record", "nobody has to enrol again", office(*PEOPLE),
               good(*PEOPLE)),
        vector("and then by its successor", "it goes on", invited_by(SUCCESSOR, *PEOPLE), good(*PEOPLE, "nat")),
        vector("and then by the key that was replaced", "it signs no later record", invited_by(ROSTER, *PEOPLE),
               refused("replaced")),
        vector("and then by the key that was not replaced", "nothing is pinned", invited_by(ROSTER, *PEOPLE),
               good(*PEOPLE, "nat"), "trust.json"),
        vector("another history by the key that was replaced", "its last record is pinned",
               office("fay", "ann", "ben"), refused("replaced")),
        vector("another history, and its successor goes on", "the digest is pinned, not the number alone",
               invited_by(SUCCESSOR, "fay", "ann", "ben"), refused("replaced")),
        vector("another last record by its successor", "the digest is pinned, whoever signed", early,
               refused("replaced")),
        vector("cut before the key was replaced", "the last record was seen", office("ann", "fay"),
               refused("version")),
        vector("nobody, after a key was replaced", "the last record was seen", Office(), refused("version")),
    ]  # fmt: skip


def by_replaced_keys() -> list[Forgery]:
    """Bundles; their rosters hold as a whole or not at all."""

    def bundle(name: str, shows: str, made: Office, *fails: str, more: str = "", trust: str = AFTER_THREE) -> Forgery:
        def change(value: JSONObject) -> None:
            value["roster"] = roster_value(made, ["ann", "fay"])
            value["roster"]["records"] += [more] if more else []

        return Forgery(name, shows, attested(changed("executed", change)), list(fails), list(fails), trust)

    return [
        bundle("after the roster's key was replaced", "an approval keeps its worth", office(*PEOPLE)),
        bundle("a roster that goes on by the next key", "an approval keeps its worth", invited_by(SUCCESSOR, *PEOPLE)),
        bundle("redeemed before the last record of the key", "the roster of then is shorter", office(*PEOPLE),
               more=fays_end(), trust=AFTER_AN_END),
        bundle("a roster that a replaced key goes on with", "it signs no later record", invited_by(ROSTER, *PEOPLE),
               "roster"),
        bundle("a roster that a replaced key made up", "its last record is pinned", office("fay", "ann", "ben"),
               "roster"),
    ]  # fmt: skip
