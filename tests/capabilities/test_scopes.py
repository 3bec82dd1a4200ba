"""What can be stopped, and which scopes cover a ticket."""

from __future__ import annotations

import pytest

from capabilities.world import Shop, envelope_of, shop_desk
from counterfoil.errors import UnknownName
from counterfoil.scopes import EVERYTHING, FINAL_KINDS, KINDS, check_scope, pair, scopes_of

DESK = shop_desk(Shop())


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "ticket",
        "ticket:",
        ":cf_1",
        "Ticket:cf_1",
        "tickets:cf_1",
        "ALL",
        "everything:x",
        "account:" + "x" * 400,
    ],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(UnknownName):
        check_scope(text)


def test_a_scope_has_a_greatest_length() -> None:
    longest = "account:" + "x" * 392
    assert check_scope(longest) == longest
    with pytest.raises(UnknownName):
        check_scope(longest + "x")


def test_scopes_have_one_spelling() -> None:
    assert check_scope("all") == check_scope("everything") == EVERYTHING
    for kind in KINDS:
        assert check_scope(f"{kind}:name:with:colons") == f"{kind}:name:with:colons"


def test_every_scope_that_concerns_a_ticket_covers_it() -> None:
    envelope = envelope_of(DESK, actor="ann", conversation="chat")
    covering = scopes_of(envelope, people=["fay", "fox"], capability="C", key="K")
    assert set(covering) == {
        "everything", "ticket:cf_1", "operation:refund", "principal:agent", "account:A-1",
        "principal-account:agent|A-1",
        "person:ann", "conversation:chat", "person:fay", "person:fox", "capability:C", "key:K",
    }  # fmt: skip
    assert {scope.partition(":")[0] for scope in covering} == KINDS | {EVERYTHING}
    assert all(check_scope(scope) == scope for scope in covering)


def test_what_a_ticket_does_not_have_does_not_cover_it() -> None:
    covering = scopes_of(envelope_of(DESK, account=None))
    assert set(covering) == {"everything", "ticket:cf_1", "operation:refund", "principal:agent"}


def test_a_pair_names_one_principal_on_one_account() -> None:
    assert pair("agent", "A-1") == "principal-account:agent|A-1"
    assert pair("agent", "A-1") in scopes_of(envelope_of(DESK))
    assert pair("agent", "A-2") not in scopes_of(envelope_of(DESK))


def test_what_is_revoked_for_good_is_never_a_whole_account_or_operation() -> None:
    assert {"account", "operation", "principal-account"} == KINDS - FINAL_KINDS
