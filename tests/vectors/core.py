"""What the trusted core says of a vector, through the functions that the desk itself calls."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterfoil import bundle
from counterfoil.audit import verify_bundle
from counterfoil.audit_leaves import read_leaf
from counterfoil.audit_words import Finding
from counterfoil.canonical import b64, canonical, digest, parse_strict, unb64
from counterfoil.checkpoints import check_proof
from counterfoil.errors import CounterfoilError, NoAccess, ProofRefused
from counterfoil.evidence import Evidence, SignedStatement, check_statement, evidence_of
from counterfoil.grants import Grant, grant_of
from counterfoil.presented import OrderVerifier
from counterfoil.proof import verify_envelope, verify_evidence
from counterfoil.roster import Roster, verify_roster
from counterfoil.rungs import Rung
from counterfoil.statements import Assertion
from counterfoil.tickets import Envelope, envelope_digest
from counterfoil.tlog import leaf_hash
from counterfoil.tokens import read_capability
from vectors.followed import follow
from vectors.vector import FOLDER, JSONObject, Vector, accepted


def answer(vector: Vector, folder: Path = FOLDER) -> JSONObject:
    """The facts of what holds; raises a refusal for what does not. Bundles are answered by their findings."""
    trust = bundle.Trust.from_bytes((folder / vector.trust).read_bytes())
    found: JSONObject = globals()[f"_{vector.kind}"](vector.given, trust, folder)
    return found


def agrees(said: JSONObject, vector: Vector, folder: Path = FOLDER) -> bool:
    """Whether the core finds of the vector what somebody else ``said``: the same facts, or the same reason."""
    try:
        facts = answer(vector, folder)
    except CounterfoilError as refusal:
        sentences = SENTENCES.get(said.get("reason", ""), ())
        return said["verdict"] == "refused" and any(sentence in refusal.happened for sentence in sentences)
    return said == accepted(**facts)


def _json(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    return {"canonical": canonical(parse_strict(unb64(given["bytes"]))).decode()}


def _capability(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    claims, _ = read_capability(given["token"], trust.authority_keys, issuer=trust.issuer, now=given["now"])
    return {name: getattr(claims, name) for name in ("jti", "ticket", "sub", "envelope")}


def _order(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    body = given["envelope"].encode()
    claims, envelope = verify_envelope(
        given["order"], body, issuer=trust.issuer, executor=given["executor"], keys=trust.authority_keys,
        now=given["now"],
    )  # fmt: skip
    roster = _roster_of(given, trust, folder)
    displays = _displays(given)
    proven = verify_evidence(
        claims, envelope, [_signed(each) for each in given["statements"]], roster=roster,
        party=trust.roster.party, display_of=lambda seat: displays.get(seat, ""),
        grant=_grant(given["access"], claims.redeemed_at, roster, trust),
    )  # fmt: skip
    return {
        "ticket": claims.ticket,
        "people": list(proven.evidence.people),
        "reached": proven.reached.members(),
    }


@dataclass(frozen=True)
class Remembered:
    """What was heard of the feed, as plain data."""

    told: JSONObject

    def heard_at(self) -> int | None:
        at: int | None = self.told["heard_at"]
        return at

    def stopped(self, ticket: str) -> bool:
        return ticket in self.told["stopped"]

    def redeemed(self, ticket: str) -> tuple[str, int] | None:
        found = self.told["redeemed"].get(ticket)
        return (found[0], found[1]) if found else None

    def barred(self, scopes: Collection[str]) -> bool:
        return any(scope in self.told["barred"] for scope in scopes)

    def roster_records(self) -> int:
        return int(self.told["roster_records"])

    def roster_head(self) -> str:
        return str(self.told["roster_head"])

    def enrolled(self, invitation: str) -> str | None:
        found: str | None = self.told["enrolled"].get(invitation)
        return found


def _presented(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    floors = {name: [Rung(**rung) for rung in rungs] for name, rungs in given["floors"].items()}
    verifier = OrderVerifier(trust=trust, executor=given["executor"], floors=floors, memory=Remembered(given["memory"]))
    proven = verifier.verify(given["presented"].encode(), now=given["now"])
    return {
        "ticket": proven.claims.ticket,
        "people": list(proven.evidence.people),
        "reached": proven.reached.members(),
    }


def _feed(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    return follow(given["pages"], trust, given["now"])


def _grant(access: JSONObject | None, at: int, roster: Roster, trust: bundle.Trust) -> Grant | None:
    """The grant that an access is at that moment, as an executor verifies it."""
    if access is None:
        return None
    envelope = Envelope.from_bytes(access["envelope"].encode())
    displays = _displays(access)
    evidence: Evidence = evidence_of(
        [_signed(each) for each in access["statements"]], envelope=envelope,
        digest=envelope_digest(access["envelope"].encode()), display_of=lambda seat: displays.get(seat, ""),
        roster=roster, party=trust.roster.party,
    )  # fmt: skip
    grant = grant_of(envelope, evidence, redeemed_at=access["redeemed_at"])
    if not grant.holds(at):
        raise NoAccess()
    return grant


def _statement(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    body = given["envelope"].encode()
    displays = {given["seat"]: digest("counterfoil-display", given["display"].encode())}
    statement, person, assurance = check_statement(
        _signed(given), envelope=Envelope.from_bytes(body), digest=envelope_digest(body),
        display_of=lambda seat: displays.get(seat, ""), roster=_roster_of(given, trust, folder),
        party=trust.roster.party,
    )  # fmt: skip
    return {"person": person.id, "seat": statement.seat, "decision": statement.decision, "assurance": assurance}


def _roster(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    roster = verify_roster(given["records"], given["enrolments"], trust.roster)
    return {
        "version": roster.version,
        "people": sorted(roster.people),
        "ended": sorted(person.id for person in roster.people.values() if person.ended),
        "credentials": sorted(known.id for known in roster.credentials.values() if roster.signer(known.id) is not None),
    }


def _leaf(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    leaf = read_leaf(bundle.BundledLeaf(body=given["body"], opening=given["opening"]), given["ticket"])
    return {"n": leaf.index, "event": leaf.event, "values": leaf.values, "hash": b64(leaf_hash(leaf.body.encode()))}


def _proof(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    if trust.log is None:
        raise ProofRefused()
    index, checkpoint = check_proof(given["proof"], given["body"].encode(), trust.log, trust.former)
    return {"index": index, "size": checkpoint.size}


def _bundle(given: JSONObject, trust: bundle.Trust, folder: Path) -> JSONObject:
    report = verify_bundle((folder / given["file"]).read_bytes(), trust)
    return {"holds": report.holds, "findings": [[each.status, step_of(each)] for each in report.findings]}


STEPS = {
    "attestation": ("The authority", "Nothing else was looked at"),
    "roster": ("The roster", "Without the roster"),
    "request": ("the request is", "the request does"),
    "history": ("the history", "leaves "),
    "page": ("what the page showed",),
    "statement": ("statement ",),
    "consent": ("the consent", "that was enough", "it was not redeemed", "it ran by itself"),
    "capability": ("the capability",),
    "order": ("the order",),
    "settlement": ("what was established afterwards",),
    "outcome": ("the outcome", "it ended as"),
    "rules": ("The rules",),
    "log": ("Leaf ", "Leaves ", "The proof of leaf", "There is a proof"),
    "witnesses": ("The checkpoint of", "The cosignature of", "The note has two signatures of"),
}
"""How the lines of each step of docs/spec/bundle.md begin."""


def step_of(finding: Finding) -> str:
    """The step that a line of the report is about."""
    says = finding.says.removeprefix("Of the access: ")
    found = [step for step, begins in STEPS.items() if says.startswith(begins)]
    if found:
        return found[0]
    return "settlement" if " established " in says else "statement"


def _displays(given: JSONObject) -> dict[str, str]:
    return {seat: digest("counterfoil-display", text.encode()) for seat, text in given["displays"].items()}


def _signed(value: JSONObject) -> SignedStatement:
    return SignedStatement(value["statement"].encode(), Assertion.model_validate(value["assertion"]))


def _roster_of(given: JSONObject, trust: bundle.Trust, folder: Path) -> Roster:
    value: dict[str, Any] = json.loads((folder / given["roster"]).read_text())
    return verify_roster(value["records"], value["enrolments"], trust.roster)


TOKEN = (
    "does not redeem this ticket",
    "signature or form is not valid",
    "is not signed by the roster key",
    "not by a key of the authority",
    "not signed by a key of the authority",
)
SENTENCES: dict[str, tuple[str, ...]] = {
    "json": ("", ),
    "base64": (*TOKEN, "cannot be read"),
    "token": TOKEN, "header": TOKEN, "algorithm": TOKEN, "type": TOKEN, "key": TOKEN, "payload": TOKEN,
    "signature": (*TOKEN, "signature is not valid", "is not properly signed", "is not signed by the key of the log",
                  "has two signatures"),
    "issuer": ("does not redeem", "from another authority", "that of another authority"),
    "audience": ("does not redeem", "for another executor"),
    "ticket": ("name different tickets", "tells of another ticket"),
    "event": ("or of something that tickets do not do",),
    "lifetime": ("outside its lifetime",),
    "late": ("too late to be run",),
    "time": ("does not redeem", "times are not possible", "after the ticket was redeemed"),
    "feed": ("was not heard",),
    "stopped": ("The ticket was stopped",),
    "redemption": ("does not tell of this redemption", "tells of this redemption at another time"),
    "page": ("What was shown does not fit",),
    "barred": ("is suspended or revoked",),
    "floor": ("does not run the operation", "This executor runs refund only if"),
    "requirements": ("do not meet what the request requires",),
    "grant": ("Nobody has granted access", "is not for it", "Nobody signed for this request itself"),
    "declined": ("Somebody declined",),
    "person": ("One person cannot fill two seats",),
    "envelope": ("is not the one that the order is for", "is for another request"),
    "form": ("changed outside Counterfoil", "cannot be read", "canonical form", "no proof of inclusion",
             "no checkpoint", "no signed note", "no order of Counterfoil", "no page of a feed"),
    "decision": ("for another kind of request",),
    "seat": ("than was to be shown",),
    "display": ("than was to be shown",),
    "code": ("not the one from the chat",),
    "credential": ("not one that this person may sign with", "is not properly signed"),
    "eligible": ("Only ", "Somebody else has to decide"),
    "assertion": ("answer is not an assertion", "answer cannot be read", "has a wrong length"),
    "challenge": ("signed something else",),
    "origin": ("used on another site",),
    "cross_origin": ("inside another site's frame",),
    "party": ("belongs to another site", "but this desk is"),
    "user_present": ("Nobody was present",),
    "user_verified": ("did not verify its user",),
    "backup": ("not of the kind that was enrolled", "is not properly signed"),
    "enrolled": ("enrolled first with its invitation", "The log does not tell that the passkey"),
    "version": ("records; at least", "lacks records that the log tells of", "not the one that the log tells of"),
    "replaced": ("by a roster key that was replaced", "not the one at which a roster key was replaced"),
    "chain": ("does not follow the one before it",),
    "delegation": ("names a key that cannot be one", "names a delegate that was named before"),
    "delegate": ("is by a delegate", "is dated before", "gives a role that its delegate", "about somebody whom",
                 "gives an account whose holder"),
    "invitation": ("has no invitation of its own",),
    "enrolment": ("does not fit its invitation",),
    "secret": ("is not properly signed",),
    "opening": (
        "belongs to another leaf", "bars something, but does not open", "tells of an enrolment, but does not open",
    ),
    "index": ("names no leaf of its tree", "is not the one that follows"),
    "path": ("does not lead from the leaf", "longer than its tree"),
    "log": ("is of the log", "names no log"),
    "checkpoint": ("for another checkpoint",),
    "older": ("older than what was heard",),
    "ahead": ("still to come",),
    "first": ("does not go on where it was read to",),
    "size": ("of fewer leaves than were read",),
    "leaves": ("leaves out what the log has",),
    "group": ("does not say its",),
    "consistency": ("not those under its checkpoint, or not those read before",),
    "bundle": ("The bundle", "no bundle"),
}  # fmt: skip
"""What the core says where docs/spec names this reason; some of its sentences stand for several reasons."""
