"""Bundles that were changed: by anybody, or by the authority itself, which then signs what it made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from counterfoil.canonical import canonical, digest, parse_strict
from counterfoil.tickets import Envelope
from vectors.cast import START, STRANGE_LOG, STRANGER, ended, envelope, office, signed, statement
from vectors.make_bundles import FINANCE, PAID, REDEEMED, asked, attested, changed, day, pause, ran, said
from vectors.make_log import SeededLog
from vectors.vector import JSONObject

NO_LOG = "trust-no-log.json"


@dataclass(frozen=True)
class Forgery:
    """A file, and what fails in it. A file that is no bundle fails as ``bundle``."""

    name: str
    shows: str
    content: bytes
    fails: list[str]
    open: list[str] = field(default_factory=list)
    trust: str = "trust.json"

    @property
    def file(self) -> str:
        return self.name.replace(" ", "-").replace(",", "").replace("'", "")


STOPPED = ["attestation"]
"""Nothing else is looked at."""


@cache
def FORGERIES() -> list[Forgery]:
    return [*_by_anybody(), *_by_the_authority(), *_of_the_history(), *_of_the_end()]


def _by_anybody() -> list[Forgery]:
    honest = day().contents["executed"]
    body = attested(honest)
    trimmed = changed("executed", lambda value: value["ticket"]["statements"].pop())
    cut = body.replace(canonical(honest), canonical(trimmed))
    other_amount = body.replace(b"80.00", b"90.00")
    return [
        Forgery("a changed byte", "the authority signed other contents", other_amount, STOPPED, STOPPED),
        Forgery("a trimmed statement", "the authority signed other contents", cut, STOPPED, STOPPED),
        Forgery("attested by another key", "the key is a trusted one", attested(honest, key=STRANGER), STOPPED,
                STOPPED),
        Forgery("attested by another authority", "iss is the trusted one",
                attested(honest, iss="https://evil.example"), STOPPED, STOPPED),
        Forgery("attested with a claim too many", "claims are closed", attested(honest, note="x"), STOPPED, STOPPED),
        Forgery("a line's end after it", "a bundle is canonical JSON and nothing else", body + b"\n", ["bundle"]),
        Forgery("a blank in it", "a bundle is canonical JSON", body.replace(b":", b": ", 1), ["bundle"]),
        Forgery("cut short", "it is no JSON", body[:-1], ["bundle"]),
        Forgery("a member twice", "strict JSON", body.replace(b'"v":1}', b'"v":1,"v":1}'), ["bundle"]),
        Forgery("another version", "v is 1", body.replace(b'"v":1}', b'"v":2}'), ["bundle"]),
        Forgery("no bundle", "a trust file is none", b'{"format":"counterfoil-trust","v":1}', ["bundle"]),
        Forgery("a member too many", "closed members, also where the authority signs them",
                attested(changed("executed", lambda value: value.update(note="x"))), ["bundle"]),
    ]  # fmt: skip


def _by_the_authority() -> list[Forgery]:
    """What people signed has to stop these: the authority's own signature holds."""

    def forged(name: str, shows: str, change: Any, *fails: str, of: str = "executed", open: Any = ()) -> Forgery:
        return Forgery(name, shows, attested(changed(of, change)), list(fails), list(open))

    def without_statement(value: JSONObject) -> None:
        value["ticket"]["statements"].pop()

    def elses(value: JSONObject) -> None:
        value["ticket"]["statements"][0] = day().contents["settled"]["ticket"]["statements"][0]

    def with_page(value: JSONObject) -> None:
        shown = value["ticket"]["displays"][0]
        shown["content"] = shown["content"].replace("80.00", "8.00")

    def with_rules(value: JSONObject) -> None:
        value["policy"]["text"] = "permit (principal, action, resource);"

    def gap(value: JSONObject) -> None:
        value["roster"]["records"].pop(1)

    def no_enrolment(value: JSONObject) -> None:
        value["roster"]["enrolments"].pop(0)

    def elsewhere(value: JSONObject) -> None:
        text: Any = parse_strict(value["ticket"]["envelope"].encode())
        value["ticket"]["envelope"] = canonical(text | {"issuer": "https://evil.example"}).decode()

    return [
        forged("a statement left out", "the leaves tell of two", without_statement, "history", "log"),
        forged("a statement of another ticket", "nothing transfers", elses, "statement"),
        forged("another page", "what was shown was signed", with_page, "page", "statement"),
        forged("a page twice", "no seat has two", lambda value: value["ticket"]["displays"].append(
            value["ticket"]["displays"][0]), "page"),
        forged("other rules", "the envelope has the digest of the rules", with_rules, "rules"),
        forged("a record of the roster left out", "records are numbered", gap, "roster", open=["roster"]),
        forged("an enrolment left out", "then the passkey is nobody's", no_enrolment, "statement"),
        forged("a request of another authority", "the issuer is the trusted one", elsewhere, "request", "log"),
        Forgery("attested as another ticket", "it is about the ticket in it",
                attested(day().contents["executed"], "cf_9"), ["attestation"]),
        forged("without its rules", "this stays open", lambda value: value.update(policy=None), open=["rules"]),
        forged("without its pages", "this stays open", lambda value: value["ticket"].update(displays=[]),
               open=["page"]),
        forged("with openings deleted", "this stays open", unopened, open=["history"]),
        forged("without its access", "the envelope names one", lambda value: (
            value.update(access=None, proofs=[each for each in value["proofs"] if each["leaf"] in numbers(value)])),
            "consent", of="unattended"),
    ]  # fmt: skip


def numbers(value: JSONObject) -> list[int]:
    """The numbers of the ticket's own leaves."""
    bodies: list[Any] = [parse_strict(leaf["body"].encode()) for leaf in value["ticket"]["leaves"]]
    return [body["n"] for body in bodies]


def unopened(value: JSONObject) -> None:
    """The openings were deleted, as may be; nobody can read the outcome from a leaf then."""
    for leaf in value["ticket"]["leaves"]:
        leaf["opening"] = None


def _of_the_history() -> list[Forgery]:
    """The authority makes up leaves, too: for an auditor who trusts no log."""

    def forged(name: str, shows: str, change: Callable[[JSONObject], None], *fails: str) -> Forgery:
        opens = [] if "history" in fails else ["log"]
        return Forgery(name, shows, attested(changed("executed", change)), list(fails), opens, NO_LOG)

    def retold(
        request: Envelope, told: list[JSONObject], *, at: int = REDEEMED, left: int | None = None
    ) -> Callable[[JSONObject], None]:
        def change(value: JSONObject) -> None:
            log = SeededLog()
            leaves = asked(log, request) + said(log, request, told) + ran(log, request, at)
            ticket = value["ticket"]
            ticket |= {
                "envelope": request.to_bytes().decode(), "statements": told,
                "leaves": [leaf.model_dump() for leaf in leaves],
            }  # fmt: skip
            value["proofs"] = []
            if left is not None:
                made = office("ann", "fay", "ben")
                value["roster"]["records"].append(ended(made, "person", "fay", left))

        return change

    def moved(value: JSONObject) -> None:
        leaves = value["ticket"]["leaves"]
        leaves[1], leaves[2] = leaves[2], leaves[1]

    def swapped(value: JSONObject) -> None:
        leaves = value["ticket"]["leaves"]
        leaves[1]["opening"], leaves[2]["opening"] = leaves[2]["opening"], leaves[1]["opening"]

    def added(value: JSONObject) -> None:
        value["ticket"]["leaves"].append(day().contents["pending"]["ticket"]["leaves"][0])

    def unminted(value: JSONObject) -> None:
        value["ticket"]["leaves"] = [leaf for leaf in value["ticket"]["leaves"] if '"mint"' not in leaf["body"]]

    request = envelope()
    ann = statement(request, "ann")
    fay = signed(statement(request, "fay", FINANCE))
    decline = signed(ann.model_copy(update={"decision": "decline", "code": None}))
    relabelled = decline | {"statement": ann.to_bytes().decode()}
    unverified = signed(ann, flags=0x09)
    late = signed(statement(request, "fay", FINANCE, iat=REDEEMED + 1, exp=REDEEMED + 2))
    return [
        forged("one of two signed", "the requirements are those of the envelope", retold(request, [signed(ann)]),
               "consent"),
        forged("a decline relabelled", "each decision has a namespace", retold(request, [relabelled, fay]),
               "statement"),
        forged("a decline among approvals", "one decline ends it", retold(request, [decline, fay]), "consent"),
        forged("signed without verification", "the flag UV", retold(request, [unverified, fay]), "statement"),
        forged("signed after it was redeemed", "leaves never go back", retold(request, [signed(ann), late]), "history"),
        forged("redeemed after it had expired", "the envelope has the time",
               retold(request, [signed(ann), fay], at=START + 86400), "consent"),
        forged("a signer who had left", "by the roster of the moment", retold(request, [signed(ann), fay],
               left=REDEEMED - 1), "statement"),
        forged("a signer who left afterwards", "an approval keeps its worth", retold(request, [signed(ann), fay],
               left=REDEEMED + 1)),
        forged("leaves in another order", "numbers rise", moved, "history", "log"),
        forged("an opening of another leaf", "digests are salted", swapped, "history", "log"),
        forged("a leaf of another ticket", "a ticket's leaves name it", added, "history", "log"),
        forged("a redemption of nothing", "a capability was minted before", unminted, "history", "log"),
        forged("another state", "it is the one that the leaves tell", lambda value: value["ticket"].update(
            state="not_executed"), "history", "log"),
    ]  # fmt: skip


def _of_the_end() -> list[Forgery]:
    def forged(name: str, shows: str, change: Any, *fails: str, of: str = "executed") -> Forgery:
        return Forgery(name, shows, attested(changed(of, change)), list(fails))

    def with_proof(place: int, proof: str) -> Any:
        return lambda value: value["proofs"][place].update(proof=proof)

    def late(value: JSONObject) -> None:
        log, request = SeededLog(), pause()
        leaves = asked(log, request) + ran(log, request, START + 910)
        value["ticket"]["leaves"] = [leaf.model_dump() for leaf in leaves]
        value["proofs"] = []

    contents, log = day().contents["executed"], day().log
    first = numbers(contents)[0]
    settlement = day().contents["settled"]["ticket"]["settlement"]["statement"]
    other = settlement.replace('"executed"', '"not_executed"')
    assert digest("counterfoil-settlement", other.encode()) != digest("counterfoil-settlement", settlement.encode())
    return [
        forged("another outcome", "it is the one on the leaf", lambda value: value["ticket"].update(
            outcome=canonical({"receipt": PAID["receipt"] | {"summary": "Nothing."}}).decode()), "outcome"),
        forged("without its settlement", "the leaf names it", lambda value: value["ticket"].update(settlement=None),
               "outcome", of="settled"),
        forged("another finding", "it was signed", lambda value: value["ticket"]["settlement"].update(statement=other),
               "settlement", "outcome", of="settled"),
        forged("another page of the settlement", "it was signed", other_start, "settlement", "outcome", of="settled"),
        Forgery("after its access", "an access ends", attested(changed("unattended", late)), ["consent"],
                ["log"], NO_LOG),
        forged("without a proof", "each leaf has one", lambda value: value["proofs"].pop(), "log"),
        forged("a proof of another leaf", "the path is from these bytes", with_proof(0, log.proof(first + 1)), "log"),
        forged("a proof under another key", "the checkpoint is the trusted log's",
               with_proof(0, log.proof(first, signer=STRANGE_LOG)), "log"),
        forged("a proof too many", "only of leaves in the bundle", lambda value: value["proofs"].append(
            {"leaf": 0, "proof": log.proof(0)}), "log"),
        forged("a proof twice", "one of each leaf", lambda value: value["proofs"].append(value["proofs"][0]), "log"),
    ]  # fmt: skip


def other_start(value: JSONObject) -> None:
    """The page of the settlement tells of another start."""
    shown = value["ticket"]["displays"][-1]
    shown["content"] = shown["content"].replace(f'"started_at":{REDEEMED}', f'"started_at":{REDEEMED - 1}')
