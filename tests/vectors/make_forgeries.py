"""Bundles that were changed: by anybody, or by the authority itself, which then signs what it made up."""

from __future__ import annotations

from functools import cache
from typing import Any

from counterfoil.canonical import canonical, parse_strict
from vectors.cast import STRANGER
from vectors.forgery import Forgery
from vectors.make_bundles import attested, changed, day, numbers
from vectors.make_forged_ends import forged_ends
from vectors.make_forged_leaves import forged_leaves
from vectors.make_forged_tokens import forged_tokens
from vectors.make_replaced import by_replaced_keys
from vectors.make_witnessed import witnessed
from vectors.vector import JSONObject

STOPPED = ["attestation"]
"""Nothing else is looked at."""


@cache
def FORGERIES() -> list[Forgery]:
    return [
        *_by_anybody(),
        *_by_the_authority(),
        *forged_leaves(),
        *forged_ends(),
        *forged_tokens(),
        *witnessed(),
        *by_replaced_keys(),
    ]


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

    def for_another(value: JSONObject) -> None:
        text: Any = parse_strict(value["ticket"]["envelope"].encode())
        value["ticket"]["envelope"] = canonical(text | {"executor": "executor:bank"}).decode()

    def without_arguments(value: JSONObject) -> None:
        text: Any = parse_strict(value["ticket"]["envelope"].encode())
        value["ticket"]["envelope"] = canonical(text | {"arguments": "[]"}).decode()

    return [
        forged("a request for another executor", "the executor is a trusted one", for_another, "request", "log"),
        forged("a request with arguments that are none", "they are an object", without_arguments, "request", "log"),
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


def unopened(value: JSONObject) -> None:
    """The openings were deleted, as may be; nobody can read the outcome from a leaf then."""
    for leaf in value["ticket"]["leaves"]:
        leaf["opening"] = None
