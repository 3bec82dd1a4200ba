"""Bundles whose history the authority made up: for an auditor who trusts no log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from counterfoil.bundle import BundledLeaf
from counterfoil.canonical import digest
from counterfoil.statements import HOLDER
from counterfoil.tickets import Envelope, envelope_digest
from vectors.anew import tokens
from vectors.cast import START, ended, envelope, office, page, signed, statement
from vectors.forgery import NO_LOG, Forgery
from vectors.make_bundles import FINANCE, REDEEMED, asked, attested, changed, day, ran, said
from vectors.make_log import SeededLog
from vectors.vector import JSONObject


def forged_leaves() -> list[Forgery]:
    """The authority makes up leaves, too: for an auditor who trusts no log."""

    def forged(name: str, shows: str, change: Callable[[JSONObject], None], *fails: str) -> Forgery:
        opens = [] if "history" in fails else ["log"]
        content = attested(changed("executed", change), iat=START + 90_000)
        return Forgery(name, shows, content, list(fails), opens, NO_LOG)

    def retold(
        request: Envelope, told: list[JSONObject], *, at: int = REDEEMED, left: int | None = None
    ) -> Callable[[JSONObject], None]:
        def change(value: JSONObject) -> None:
            log = SeededLog()
            leaves = asked(log, request) + said(log, request, told) + ran(log, request, at)
            ticket = value["ticket"]
            ticket |= {
                "envelope": request.to_bytes().decode(), "statements": told,
                "leaves": [leaf.model_dump() for leaf in leaves], **tokens(request, leaves),
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

    def with_page(**changes: Any) -> Callable[[JSONObject], None]:
        """The page says something else, and whoever saw it signed just that."""
        content = page(request, **changes) if changes else "[]"
        fooled = signed(statement(request, "ann", display=digest("counterfoil-display", content.encode())))

        def change(value: JSONObject) -> None:
            retold(request, [fooled, fay])(value)
            value["ticket"]["displays"][0]["content"] = content

        return change

    def twice(value: JSONObject) -> None:
        log = SeededLog()
        again = asked(log, request) + asked(log, request) + said(log, request, [signed(ann), fay])
        history_of(value, again + ran(log, request, REDEEMED))

    def of_another(value: JSONObject) -> None:
        log = SeededLog()
        other = envelope(note="Something else.")
        history_of(value, asked(log, request) + said(log, request, [signed(ann), fay]) + ran(log, other, REDEEMED))
        value["ticket"]["statements"] = [signed(ann), fay]

    def first_leaves(request_groups: JSONObject, statement_groups: JSONObject, at: int) -> Callable[[JSONObject], None]:
        """The leaves of the request and of Ann's statement have other groups, or that one was recorded then."""

        def change(value: JSONObject) -> None:
            log, told = SeededLog(), [signed(ann), fay]
            retold(request, told)(value)
            groups = {"principal": "agent", "operation": "refund"} | request_groups
            named = envelope_digest(request.to_bytes())
            opened = [log.add("request", "cf_1", START, envelope=named, **groups)]
            text = told[0]["statement"].encode()
            groups = {"seat": HOLDER, "decision": "approve", "person": "ann"} | statement_groups
            opened.append(log.add("statement", "cf_1", at, statement=digest("counterfoil-statement", text), **groups))
            history_of(value, opened + said(log, request, [fay]) + ran(log, request, REDEEMED))

        return change

    request = envelope()
    ann = statement(request, "ann")
    fay = signed(statement(request, "fay", FINANCE))
    decline = signed(ann.changed(decision="decline", code=None))
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
        forged("a page with another note", "every page says alike what the envelope says",
               with_page(said="Nothing."), "page"),
        forged("a page with another amount", "each argument but one text is on the page",
               with_page(arguments=[]), "page"),
        forged("a page that is none", "a page is an object", with_page(), "page"),
        forged("the same history", "what the authority can make up", first_leaves({}, {}, START + 11)),
        forged("requested by another principal", "the leaf tells of this request",
               first_leaves({"principal": "another"}, {}, START + 11), "history"),
        forged("a leaf of another person's statement", "the leaf names who signed",
               first_leaves({}, {"person": "eve"}, START + 11), "statement"),
        forged("recorded before it was made", "a leaf is not before its statement's iat",
               first_leaves({}, {}, START + 9), "statement"),
        forged("requested twice", "there is one request", twice, "history"),
        forged("a redemption of another envelope", "it names the digest", of_another, "history"),
        forged("leaves in another order", "numbers rise", moved, "history", "log"),
        forged("an opening of another leaf", "digests are salted", swapped, "history", "log"),
        forged("a leaf of another ticket", "a ticket's leaves name it", added, "history", "log"),
        forged("a redemption of nothing", "a capability was minted before", unminted, "history", "log"),
        forged("another state", "it is the one that the leaves tell", lambda value: value["ticket"].update(
            state="not_executed"), "history", "log"),
    ]  # fmt: skip


def history_of(value: JSONObject, leaves: list[BundledLeaf]) -> None:
    """Put other leaves in, of which nothing is proven."""
    value["ticket"]["leaves"] = [leaf.model_dump() for leaf in leaves]
    value["proofs"] = []
