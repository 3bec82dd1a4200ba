"""Bundles with another end, a forged settlement, or proofs that do not hold."""

from __future__ import annotations

from typing import Any

from counterfoil.canonical import canonical, digest
from counterfoil.statements import HOLDER
from vectors.anew import tokens
from vectors.cast import START, STRANGE_LOG, office, roster_value
from vectors.forgery import NO_LOG, Forgery
from vectors.make_bundles import (
    PAID,
    REDEEMED,
    approved,
    asked,
    attested,
    changed,
    day,
    numbers,
    pause,
    ran,
    settled,
)
from vectors.make_log import SeededLog
from vectors.vector import JSONObject

LATER = START + 2000


def forged_ends() -> list[Forgery]:
    def forged(name: str, shows: str, change: Any, *fails: str, of: str = "executed") -> Forgery:
        return Forgery(name, shows, attested(changed(of, change)), list(fails))

    def with_proof(place: int, proof: str) -> Any:
        return lambda value: value["proofs"][place].update(proof=proof)

    def late(value: JSONObject) -> None:
        log, request = SeededLog(), pause()
        leaves = asked(log, request) + ran(log, request, START + 910)
        value["ticket"] |= {"leaves": [leaf.model_dump() for leaf in leaves], **tokens(request, leaves)}
        value["proofs"] = []

    def settlement_of(name: str, shows: str, **given: Any) -> Forgery:
        value = contents_of(settled(SeededLog(), **given), "settled")
        return Forgery(name, shows, attested(value), ["settlement", "outcome"], ["log"], NO_LOG)

    def approved_with(name: str, shows: str, **given: int) -> Forgery:
        value = contents_of(approved(SeededLog(), **given), "approved")
        return Forgery(name, shows, attested(value), ["consent"], ["log"], NO_LOG)

    contents, log = day().contents["executed"], day().log
    moved = SeededLog([log.leaves[0], *log.leaves])
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
        settlement_of("settled on the page of another start", "the page is about this redemption",
                      started_at=REDEEMED - 1),
        settlement_of("settled before it was redeemed", "nobody knew its end then", at=REDEEMED - 1),
        settlement_of("a settlement with a member too many", "closed members", more=',"zzz":1'),
        forged("a page of the settlement in other words", "what was shown was signed", other_reason, "settlement",
               "outcome", of="settled"),
        settlement_of("settled by whoever approved it", "somebody else settles", both=True),
        settlement_of("settled by the holder", "a seat of staff settles", by="ann", seat=HOLDER),
        settlement_of("settled by somebody without the role", "the seat needs the role", by="ben"),
        settlement_of("a settlement that its leaf does not tell of", "the leaf names it", told_of={"statement": "x"}),
        forged("a page of the settlement twice", "there is one", lambda value: value["ticket"]["displays"].append(
            value["ticket"]["displays"][-1]), "settlement", "outcome", of="settled"),
        forged("a settlement of what was known", "only an unknown outcome is settled",
               lambda value: value["ticket"].update(settlement=day().contents["settled"]["ticket"]["settlement"]),
               "settlement"),
        forged("a proof of another place", "the index is the leaf's number", with_proof(0, moved.proof(first + 1)),
               "log"),
        approved_with("approved by one of two", "the requirements are those of the envelope", seats=1),
        approved_with("approved before anybody signed", "nothing that came later counts", at=START + 9),
        Forgery("after its access", "an access ends", attested(changed("unattended", late), iat=LATER), ["consent"],
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


def other_reason(value: JSONObject) -> None:
    """The page of the settlement gives another reason."""
    shown = value["ticket"]["displays"][-1]
    shown["content"] = shown["content"].replace("The connector hung.", "It was not sent.")


def contents_of(part: JSONObject, name: str) -> JSONObject:
    """Honest contents with another ticket's part in them, of which nothing is proven; everybody's passkey is there."""
    value = changed(name, lambda made: made.update(ticket=part, proofs=[]))
    value["roster"] = roster_value(office("ann", "fay", "ben"))
    return value
