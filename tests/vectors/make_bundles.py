"""Vectors of whole bundles, and the files that they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from counterfoil.bundle import BUNDLE_TYPE, BundledLeaf, Contents, PolicyText, RosterRecords, TicketEvidence
from counterfoil.canonical import b64, canonical, digest, parse_strict
from counterfoil.settlement import HAPPENED
from counterfoil.statements import SETTLE_NAMESPACE, Settlement, challenge
from counterfoil.tickets import ACCESS, Envelope, envelope_digest
from counterfoil.tokens import sign
from vectors.anew import tokens
from vectors.cast import (
    ALONE,
    AUTHORITY,
    BOTH,
    ISSUER,
    PASSKEYS,
    POLICY,
    SCHEMA,
    START,
    envelope,
    office,
    page,
    roster_value,
    signed,
    statement,
)
from vectors.make_log import SeededLog
from vectors.seeded import seed
from vectors.vector import JSONObject, Vector

FINANCE = "staff:finance"
REDEEMED = START + 60
PAID = {"receipt": {"reference": "R-1", "summary": "Paid."}}
Change = Callable[[JSONObject], None]


@dataclass(frozen=True)
class Day:
    """Honest contents by name, and the log that they are proven by."""

    log: SeededLog
    contents: dict[str, JSONObject]


def tell(log: SeededLog, request: Envelope, at: int, event: str, **groups: Any) -> BundledLeaf:
    return log.add(event, request.ticket, at, **groups)


def asked(log: SeededLog, request: Envelope) -> list[BundledLeaf]:
    """The leaf of the request."""
    named = envelope_digest(request.to_bytes())
    groups = {"envelope": named, "principal": request.principal, "operation": request.operation}
    return [tell(log, request, request.requested_at, "request", **groups)]


def said(log: SeededLog, request: Envelope, told: list[JSONObject]) -> list[BundledLeaf]:
    """The leaves of what people signed."""
    leaves = []
    for each in told:
        read: Any = parse_strict(each["statement"].encode())
        named = digest("counterfoil-statement", each["statement"].encode())
        groups = {name: read[name] for name in ("seat", "decision", "person")}
        leaves.append(tell(log, request, read["iat"] + 1, "statement", statement=named, **groups))
    return leaves


def ran(log: SeededLog, request: Envelope, at: int, event: str = "report_executed", outcome: Any = PAID) -> Any:
    """The leaves from the approval to what was reported."""
    named = envelope_digest(request.to_bytes())
    jti = f"cap-{request.ticket}"
    return [
        tell(log, request, at, "approve"),
        tell(log, request, at, "mint", capability=jti, key=AUTHORITY.id),
        tell(log, request, at, "redeem", capability=jti, envelope=named),
        tell(log, request, at + 1, event, outcome=outcome),
    ]


def evidence(
    request: Envelope, told: list[JSONObject], leaves: list[BundledLeaf], state: str, **more: Any
) -> JSONObject:
    """One ticket's part of a bundle."""
    read: list[Any] = [parse_strict(each["statement"].encode()) for each in told]
    seats = dict.fromkeys(each["seat"] for each in read)
    return {
        "envelope": request.to_bytes().decode(), "statements": told, "settlement": None,
        "displays": [{"seat": seat, "content": page(request, seat)} for seat in seats],
        **tokens(request, leaves),
        "leaves": [leaf.model_dump() for leaf in leaves], "state": state, "outcome": None,
    } | more  # fmt: skip


@cache
def day() -> Day:
    """What happened that day."""
    log = SeededLog()
    for version in (1, 2, 3):
        log.add("roster", None, START - 1000, version=version)
    parts = {
        "executed": _executed(log), "declined": _declined(log), "pending": _pending(log), "settled": settled(log),
        "access": _access(log), "approved": approved(log),
    }  # fmt: skip
    parts["unattended"] = _unattended(log)
    made = {
        name: contents(log, part, parts["access"] if name == "unattended" else None) for name, part in parts.items()
    }
    return Day(log, made)


def _executed(log: SeededLog) -> JSONObject:
    request = envelope()
    told = [
        signed(statement(request, "ann")),
        signed(statement(request, "fay", FINANCE, iat=START + 20, exp=START + 600)),
    ]
    leaves = asked(log, request) + said(log, request, told) + ran(log, request, REDEEMED)
    return evidence(request, told, leaves, "executed", outcome=canonical(PAID).decode())


def _declined(log: SeededLog) -> JSONObject:
    request = envelope(ticket="cf_2")
    told = [signed(statement(request, "ann", decision="decline", code=None))]
    leaves = [*asked(log, request), *said(log, request, told)]
    leaves.append(tell(log, request, START + 12, "decline", why="The holder declined."))
    outcome = canonical({"reason": "The holder declined."}).decode()
    return evidence(request, told, leaves, "declined", outcome=outcome)


def approved(log: SeededLog, at: int = REDEEMED, seats: int = 2) -> JSONObject:
    """Approved, and never redeemed."""
    request = envelope(ticket="cf_5")
    told = [signed(statement(request, "ann")), signed(statement(request, "fay", FINANCE))][:seats]
    leaves, too_early = asked(log, request), at < START + 10
    if too_early:
        leaves.append(tell(log, request, at, "approve"))
    leaves += said(log, request, told)
    if not too_early:
        leaves.append(tell(log, request, at, "approve"))
    return evidence(request, told, leaves, "approved")


def _pending(log: SeededLog) -> JSONObject:
    request = envelope(ticket="cf_3")
    return evidence(request, [], asked(log, request), "pending")


def settled(
    log: SeededLog, *, started_at: int = REDEEMED, by: str = "fay", seat: str = FINANCE, at: int = START + 200,
    told_of: JSONObject | None = None, both: bool = False, more: str = "",
) -> JSONObject:  # fmt: skip
    """What nobody knew was settled. ``told_of`` replaces groups of the leaf; ``both``: finance approved it as well;
    ``more``: members that a settlement does not have."""
    request = envelope(ticket="cf_4", requirements=(BOTH if both else ALONE,))
    told = [signed(statement(request, "ann")), *([signed(statement(request, "fay", FINANCE))] if both else [])]
    unknown = {"reason": "The connector hung."}
    leaves = asked(log, request) + said(log, request, told) + ran(log, request, REDEEMED, "report_unknown", unknown)
    shown = {
        "v": 1, "request": parse_strict(page(request, seat).encode()), "ticket": "cf_4", "started_at": started_at,
        "idempotency_key": "cf_4", "reason": "The connector hung.",
    }  # fmt: skip
    content = canonical(shown)
    settlement = Settlement(
        issuer=ISSUER, envelope=envelope_digest(request.to_bytes()),
        display=digest("counterfoil-settlement-display", content), seat=seat, person=by,
        credential=PASSKEYS[by].credential, nonce=b64(seed("nonce of the settlement")), iat=at,
        exp=at + 600, found="executed", reference="RF-7",
    )  # fmt: skip
    text = settlement.to_bytes()[:-1] + more.encode() + b"}"
    assertion = PASSKEYS[by].sign(challenge(SETTLE_NAMESPACE, text)).model_dump(mode="json")
    named = {"statement": digest("counterfoil-settlement", text), "seat": seat, "found": "executed", "person": by}
    named |= told_of or {}
    leaves.append(tell(log, request, START + 201, "find_executed", **named))
    part = evidence(request, told, leaves, "executed")
    part["displays"].append({"seat": "settlement", "content": content.decode()})
    outcome = {"receipt": {"summary": HAPPENED, "reference": "RF-7"}, "settled": True}
    signature = {"statement": text.decode(), "assertion": assertion}
    return part | {"settlement": signature, "outcome": canonical(outcome).decode()}


def _access(log: SeededLog) -> JSONObject:
    request = envelope(
        ticket="cf_a", operation=ACCESS, conversation="chat", requirements=(ALONE,), arguments='{"account":"A-1"}'
    )
    told = [signed(statement(request, "ann", decision="grant"))]
    leaves = asked(log, request) + said(log, request, told) + ran(log, request, START + 20)
    return evidence(request, told, leaves, "executed", outcome=canonical(PAID).decode())


def pause() -> Envelope:
    """What runs under that access."""
    return envelope(
        ticket="cf_p", operation="pause", conversation="chat", grant="cf_a", requirements=(),
        requested_at=START + 100, arguments='{"account":"A-1"}',
    )  # fmt: skip


def _unattended(log: SeededLog, at: int = START + 120) -> JSONObject:
    request = pause()
    leaves = asked(log, request) + ran(log, request, at)
    return evidence(request, [], leaves, "executed", outcome=canonical(PAID).decode())


def contents(log: SeededLog, ticket: JSONObject, access: JSONObject | None) -> JSONObject:
    """The contents of a bundle, in the form that the core writes."""
    parts = [TicketEvidence.model_validate_json(canonical(each)) for each in (ticket, access) if each is not None]
    people = {str(person) for part in parts for person in _signers(part)}
    roster = roster_value(office("ann", "fay", "ben"), people)
    made = Contents(
        ticket=parts[0],
        access=parts[1] if len(parts) > 1 else None,
        roster=RosterRecords(records=tuple(roster["records"]), enrolments=tuple(roster["enrolments"])),
        policy=PolicyText(text=POLICY, schema_text=SCHEMA),
        proofs=tuple(proof for part in parts for proof in log.proofs(*part.leaves)),
    )
    value = parse_strict(canonical(made.model_dump(mode="json")))
    assert isinstance(value, dict)
    return value


def _signers(part: TicketEvidence) -> list[Any]:
    told = [*part.statements, *([part.settlement] if part.settlement else [])]
    return [parse_strict(each.statement.encode())["person"] for each in told]  # type: ignore[index, call-overload]


# Files ----------------------------------------------------------------------------------------------------------------


def attested(value: JSONObject, ticket: str | None = None, key: Any = AUTHORITY, **changes: Any) -> bytes:
    """The bundle that an authority makes of these contents, whatever they are."""
    named = ticket or json.loads(value["ticket"]["envelope"])["ticket"]
    claims = {
        "iss": ISSUER, "ticket": named,
        "bundle": digest("counterfoil-bundle", canonical(value)), "iat": START + 1000,
    } | changes  # fmt: skip
    token = sign(key, BUNDLE_TYPE, claims)
    return canonical({"format": "counterfoil-bundle", "v": 1, "contents": value, "attestation": token})


def changed(name: str, *changes: Change) -> JSONObject:
    """A copy of honest contents, with changes."""
    value = parse_strict(canonical(day().contents[name]))
    assert isinstance(value, dict)
    for change in changes:
        change(value)
    return value


def numbers(value: JSONObject) -> list[int]:
    """The numbers of the ticket's own leaves."""
    bodies: list[Any] = [parse_strict(leaf["body"].encode()) for leaf in value["ticket"]["leaves"]]
    return [body["n"] for body in bodies]


def bundle_files() -> dict[str, bytes]:
    """Every file by its name."""
    from vectors.make_forgeries import FORGERIES

    honest = {f"bundles/{name}.json": attested(value) for name, value in day().contents.items()}
    return honest | {f"bundles/{forgery.file}.json": forgery.content for forgery in FORGERIES()}


def bundle_vectors() -> list[Vector]:
    """Bundles: what fails in each, and what stays open."""
    from vectors.make_forgeries import FORGERIES

    def vector(name: str, shows: str, file: str, fails: list[str], stays: list[str], trust: str) -> Vector:
        expected = {"verdict": "refused" if fails else "accepted", "fails": fails, "open": stays}
        return Vector(name, shows, "bundle", {"file": f"bundles/{file}.json"}, expected, trust=trust)

    honest = [
        ("executed", "the holder and finance approved, and it was executed"),
        ("declined", "a refusal is evidence of a refusal"),
        ("pending", "nobody signed anything yet"),
        ("approved", "it was never redeemed"),
        ("settled", "a person established an outcome that nobody knew"),
        ("access", "the holder granted an access"),
        ("unattended", "it ran by itself under an access"),
    ]
    return [
        *(vector(name, shows, name, [], [], "trust.json") for name, shows in honest),
        vector("executed, without trust in a log", "leaves are the desk's word then", "executed", [], ["log"],
               "trust-no-log.json"),
        vector("of a roster older than was seen", "the trust file has the lowest version", "executed", ["roster"],
               ["roster"], "trust-later-roster.json"),
        *(vector(each.name, each.shows, each.file, each.fails, each.open, each.trust) for each in FORGERIES()),
    ]  # fmt: skip
