"""Vectors of rosters in which a delegate invites people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capabilities.world import Office
from counterfoil.delegates import Delegation
from counterfoil.roster import End, sign_record
from vectors.cast import PASSKEYS, ROSTER, SERVICE, START, STRANGER, office
from vectors.seeded import SeededKey
from vectors.vector import JSONObject, Vector, accepted, refused


def delegation(made: Office, signer: SeededKey = ROSTER, key: SeededKey = SERVICE, **changes: Any) -> None:
    """The next record names a delegate, which may give the role ``member``."""
    jwk = key.public.to_jwk()
    values = {"version": len(made.records) + 1, "previous": made.head, "name": "the sign-in service", "x": jwk["x"],
              "y": jwk["y"], "roles": ("member",), "iat": START - 1000, "exp": START + 1000}  # fmt: skip
    record = Delegation.model_validate(values | changes)
    made.records.append(sign_record(signer, record))


def by_service(made: Office, person: str = "cyd", **invitation: Any) -> str:
    """The delegate invites somebody."""
    made.key = SERVICE
    text = made.invite(person, **invitation)
    made.key = ROSTER
    return text


def delegate_vectors() -> list[Vector]:
    """What a delegate may sign, and what it may not."""

    def roster(*steps: Callable[[Office], Any], named: bool = True) -> JSONObject:
        made = office("ann", "fay", "ben")
        if named:
            delegation(made)
        for step in steps:
            step(made)
        return {"records": made.records, "enrolments": made.enrolments}

    def good(name: str, shows: str, *steps: Callable[[Office], Any], version: int = 5, cyd: bool = True) -> Vector:
        names = ["ann", "ben", "fay", *(["cyd"] if cyd else [])]
        credentials = sorted(PASSKEYS[each].credential for each in names)
        facts = accepted(version=version, people=sorted(names), ended=[], credentials=credentials)
        return Vector(name, shows, "roster", roster(*steps), facts)

    def bad(
        name: str, shows: str, *steps: Callable[[Office], Any], reason: str = "delegate", named: bool = True
    ) -> Vector:
        return Vector(name, shows, "roster", roster(*steps, named=named), refused(reason))

    def joins(made: Office, **invitation: Any) -> None:
        made.enrol(by_service(made, accounts=["A-9"], roles=["member"], **invitation), "cyd", PASSKEYS["cyd"])

    def invites(**invitation: Any) -> Callable[[Office], Any]:
        return lambda made: by_service(made, **invitation)

    def ends(what: str, name: str, key: SeededKey = ROSTER) -> Callable[[Office], Any]:
        def step(made: Office) -> None:
            values = {"version": len(made.records) + 1, "previous": made.head, "what": what, "id": name, "iat": START}
            made.records.append(sign_record(key, End.model_validate(values)))

        return step

    return [
        good("a delegate invites", "somebody new, with a role that it may give", joins),
        good("a delegate invites again", "somebody whom it invited itself", joins,
             invites(accounts=["A-9"]), version=6),
        good("a delegate that ended afterwards", "what it signed before stays", joins, ends("delegate", SERVICE.id),
             version=6),
        good("the roster key invites to an account of a delegate", "it may do everything", joins,
             lambda made: made.invite("ann", accounts=["A-1", "A-9"]), version=6),
        bad("a role that it may not give", "roles are those of the delegation", invites(roles=["finance"])),
        bad("somebody whom the roster key invited", "it cannot become them", invites(person="fay")),
        bad("an account whose holder the roster key invited", "it cannot sit down beside them",
            invites(accounts=["A-1"])),
        bad("somebody whom another delegate invited", "each has its own",
            lambda made: delegation(made, key=STRANGER), joins, other_delegate),
        bad("an end by a delegate", "it may only invite", ends("person", "ann", SERVICE)),
        bad("a delegation by a delegate", "it may only invite",
            lambda made: delegation(made, signer=SERVICE, key=STRANGER)),
        bad("after its time", "exp is the last second", invites(iat=START + 1001, exp=START + 2000)),
        bad("before the record that precedes it", "it cannot be dated back", invites(iat=START - 1001)),
        bad("by a delegate that was ended", "ends are for good", ends("delegate", SERVICE.id), invites(iat=START)),
        bad("by a delegate that was not named yet", "its key is unknown before", invites(), delegation, reason="key",
            named=False),
        bad("a delegate named twice", "its limits are those of one record", delegation, reason="delegation"),
        bad("a delegate without a key", "x and y are a point of the curve",
            lambda made: delegation(made, key=STRANGER, y=SERVICE.public.to_jwk()["x"]), reason="delegation"),
    ]  # fmt: skip


def other_delegate(made: Office) -> None:
    """Another delegate invites Cyd."""
    made.key = STRANGER
    made.invite("cyd", roles=["member"])
    made.key = ROSTER
