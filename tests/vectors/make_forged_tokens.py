"""Bundles with a capability or an order that is not the redeemed ticket's, or that could still be used."""

from __future__ import annotations

from typing import Any

from counterfoil.bundle import BundledLeaf
from vectors.anew import tokens
from vectors.cast import START, STRANGER, envelope
from vectors.forgery import Forgery
from vectors.make_bundles import REDEEMED, attested, changed, day
from vectors.vector import JSONObject

NAMES = ("capability", "order")
LAST = REDEEMED + 3600 + 120
"""The last second at which a bundle may lack them."""


def forged_tokens() -> list[Forgery]:
    def forged(name: str, shows: str, change: Any, *fails: str, iat: int = START + 1000, **of: Any) -> Forgery:
        opens = list(of.get("open", ()))
        return Forgery(name, shows, attested(changed(of.get("of", "executed"), change), iat=iat), list(fails), opens)

    def signed(name: str, shows: str, *fails: str, **changes: Any) -> Forgery:
        """Both signed anew with other claims, by another key, or as other types."""
        return forged(name, shows, lambda value: value["ticket"].update(anew(value, **changes)), *fails)

    def swapped(value: JSONObject) -> None:
        ticket = value["ticket"]
        ticket["capability"], ticket["order"] = ticket["order"], ticket["capability"]

    def without(*names: str) -> Any:
        return lambda value: value["ticket"].update(dict.fromkeys(names))

    def with_tokens(value: JSONObject) -> None:
        value["ticket"] |= anew(day().contents["executed"], ticket="cf_5")

    def unopened(value: JSONObject) -> None:
        for leaf in value["ticket"]["leaves"]:
            leaf["opening"] = None if '"redeem"' in leaf["body"] else leaf["opening"]
        value["ticket"]["capability"] = None

    of_another = day().contents["settled"]["ticket"]
    return [
        forged("with the tokens of another ticket", "each names its ticket",
               lambda value: value["ticket"].update({name: of_another[name] for name in NAMES}), *NAMES),
        forged("the order in place of the capability", "types are apart", swapped, *NAMES),
        signed("tokens by another key", "a trusted authority key signs them", *NAMES, key=STRANGER),
        signed("tokens of the bundle's own type", "types are apart", *NAMES, kinds=("cf-bundle+jwt", "cf-bundle+jwt")),
        signed("tokens of another authority", "iss is the trusted one", *NAMES, iss="https://evil.example"),
        signed("tokens of another ticket", "each names its ticket", *NAMES, ticket="cf_9"),
        signed("tokens of another envelope", "each names its digest", *NAMES, envelope="another"),
        signed("a capability for an executor, an order for the desk", "audiences are apart", *NAMES, aud="nobody"),
        signed("a capability for somebody else", "the requester redeems", "capability", sub="another"),
        signed("both of another id", "ids are those of the leaves and the ticket", *NAMES, jti="another"),
        signed("a capability that was over", "it was redeemed before exp", "capability", exp=REDEEMED),
        signed("a capability of later", "it was redeemed after iat", "capability", iat=REDEEMED + 1),
        signed("a capability that was just in time", "exp is excluded, iat is not", iat=REDEEMED, exp=REDEEMED + 1),
        signed("an order of another moment", "redeemed_at is the leaf's", "order", redeemed_at=REDEEMED + 1),
        signed("an order to be run before it was redeemed", "run_by is not before", "order", run_by=REDEEMED - 1),
        signed("an order to be run too late", "an hour is the longest", "order", run_by=REDEEMED + 3601),
        signed("a capability that could still be redeemed", "evidence must be of no use", "capability",
               exp=START + 880),
        signed("an order that could still be run", "evidence must be of no use", "order", run_by=START + 880),
        signed("tokens that are just over", "for two minutes", exp=START + 879, run_by=START + 879),
        forged("without both, at once", "this stays open", without(*NAMES), iat=REDEEMED + 1, open=NAMES),
        forged("without an order, as late as may be", "this stays open", without("order"), iat=LAST, open=["order"]),
        forged("without an order", "its time is over", without("order"), "order", iat=LAST + 1),
        forged("without a capability", "its time is over", without("capability"), "capability", iat=LAST + 1),
        forged("without a capability that anybody could name", "its leaf cannot be read", unopened, iat=LAST + 1,
               open=["history", "capability"]),
        forged("tokens of a ticket that was not redeemed", "there can be none", with_tokens, *NAMES, of="approved"),
    ]  # fmt: skip


def anew(value: JSONObject, **changes: Any) -> JSONObject:
    leaves = [BundledLeaf.model_validate(leaf) for leaf in value["ticket"]["leaves"]]
    return tokens(envelope(), leaves, **changes)
