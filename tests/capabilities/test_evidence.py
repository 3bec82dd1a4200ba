"""From signed statements to evidence: what counts, for whom, for what, and until when (T05, T10)."""

from __future__ import annotations

from typing import Any

import pytest

from capabilities.world import (
    PARTY,
    START,
    Office,
    Passkey,
    Shop,
    envelope_of,
    shop_desk,
    signed_by,
    staffed_office,
    statement_of,
)
from counterfoil.canonical import b64
from counterfoil.display import display, display_digest
from counterfoil.errors import StatementRefused
from counterfoil.evidence import (
    STATEMENT_LIFE,
    Evidence,
    SignedStatement,
    check_code,
    check_statement,
    code_digest,
    evidence_of,
    met,
    met_but_for_time,
    with_wait,
)
from counterfoil.roster import Roster
from counterfoil.rungs import Rung
from counterfoil.statements import DECLINE_NAMESPACE, HOLDER, Assertion, challenge
from counterfoil.tickets import Envelope, envelope_digest

DESK = shop_desk(Shop())
OFFICE, PASSKEYS = staffed_office()
ROSTER = OFFICE.roster()
FINANCE = "staff:finance"
ENVELOPE = envelope_of(DESK, requirements=(Rung(holder="passkey", staff={"finance": 2}, code=True),))


def by(person: str, seat: str = HOLDER, envelope: Envelope = ENVELOPE, /, **changes: Any) -> SignedStatement:
    """The person's approval in the seat; ``changes`` replace fields of the statement."""
    return signed_by(PASSKEYS[person], statement_of(DESK, envelope, person, PASSKEYS[person], seat, **changes))


def evidence(*statements: SignedStatement, envelope: Envelope = ENVELOPE, roster: Roster = ROSTER) -> Evidence:
    return evidence_of(
        statements,
        envelope=envelope,
        digest=envelope_digest(envelope.to_bytes()),
        display_of=lambda seat: display_digest(display(DESK.name, DESK.operations[envelope.operation], envelope, seat)),
        roster=roster,
        party=PARTY,
    )


def refuse(*statements: SignedStatement, **changes: Any) -> str:
    with pytest.raises(StatementRefused) as caught:
        evidence(*statements, **changes)
    return str(caught.value)


def test_the_holder_and_two_of_a_role_add_up() -> None:
    found = evidence(by("ann"), by("fay", FINANCE, iat=START + 30), by("fox", FINANCE))
    assert found.reached == Rung(holder="passkey", staff={"finance": 2}, code=True)
    assert found.people == ("ann", "fay", "fox")
    assert found.complete_at == START + 30


def test_no_statements_are_no_evidence() -> None:
    assert evidence() == Evidence(Rung(), (), 0)
    assert evidence().reached.is_empty


def test_a_passkey_that_cannot_be_copied_counts_for_more() -> None:
    envelope = envelope_of(DESK, account="A-2")
    assert evidence(by("ben", HOLDER, envelope), envelope=envelope).reached.holder == "passkey_bound"
    assert evidence(by("ann")).reached.holder == "passkey"


# T05: people and seats ------------------------------------------------------------------------------------------------


def test_T05_two_approvals_need_two_people() -> None:
    assert "two seats" in refuse(by("fay", FINANCE), by("fay", FINANCE, nonce="other"))
    second = Passkey("c2Vjb25k")
    office, passkeys = staffed_office()
    office.enrol(office.invite("fay", roles=["finance"]), "fay", second)
    twice = [signed_by(key, statement_of(DESK, ENVELOPE, "fay", key, FINANCE)) for key in (passkeys["fay"], second)]
    assert "two seats" in refuse(*twice, roster=office.roster())


def test_T05_nobody_fills_two_kinds_of_seats() -> None:
    envelope = envelope_of(DESK, requirements=(Rung(staff={"identity": 1, "finance": 1}),))
    both = (by("ivo", "staff:identity", envelope), by("ivo", FINANCE, envelope))
    assert "two seats" in refuse(*both, envelope=envelope)


def test_T05_the_holder_never_fills_a_staff_seat() -> None:
    assert "stand behind" in refuse(by("fil", FINANCE))
    elsewhere = envelope_of(DESK, account="A-2")
    assert evidence(by("fil", FINANCE, elsewhere), envelope=elsewhere).reached.staff == {"finance": 1}


@pytest.mark.parametrize("who", ["owner", "actor"])
def test_T05_whoever_stands_behind_the_request_never_fills_a_staff_seat(who: str) -> None:
    envelope = envelope_of(DESK, **{who: "fay"})
    assert "stand behind" in refuse(by("fay", FINANCE, envelope), envelope=envelope)
    assert evidence(by("fox", FINANCE, envelope), envelope=envelope).reached.staff == {"finance": 1}


def test_T05_one_address_is_not_two_people() -> None:
    office, passkeys = staffed_office()
    office.invite("fay", roles=["finance"], channels=["fay@example.com", "Ann@Example.com"])
    signed = signed_by(passkeys["fay"], statement_of(DESK, ENVELOPE, "fay", passkeys["fay"], FINANCE))
    assert "your messages go where those of the account's holder go" in refuse(signed, roster=office.roster())
    elsewhere = envelope_of(DESK, account="A-2")
    assert evidence(by("fay", FINANCE, elsewhere), envelope=elsewhere).reached.staff == {"finance": 1}
    office.end("person", "ann")
    assert [person.id for person in office.roster().holders("A-1")] == ["fil"]


def test_only_the_holder_sits_in_the_holders_seat() -> None:
    assert "holder" in refuse(by("ben"))
    assert "holder" in refuse(by("fay"))
    nobodys = envelope_of(DESK, account=None)
    assert "holder" in refuse(by("ann", HOLDER, nobodys), envelope=nobodys)


def test_only_who_has_the_role_sits_in_its_seat() -> None:
    assert "role finance" in refuse(by("ida", FINANCE))
    assert "role finance" in refuse(by("ben", FINANCE))


def test_a_seat_that_is_not_asked_for_cannot_be_filled() -> None:
    assert "else" in refuse(by("ida", "staff:identity"))
    staff_only = envelope_of(DESK, requirements=(Rung(staff={"finance": 1}),))
    assert "else" in refuse(by("ann", HOLDER, staff_only), envelope=staff_only)
    refused = envelope_of(DESK, requirements=())
    assert "else" in refuse(by("ann", HOLDER, refused), envelope=refused)


def test_the_holder_may_decline_also_where_others_approve() -> None:
    staff_only = envelope_of(DESK, requirements=(Rung(staff={"finance": 1}),))
    declined = by("ann", HOLDER, staff_only, decision="decline", code=None)
    assert "declined" in refuse(declined, envelope=staff_only)
    other_seat = by("ida", "staff:identity", staff_only, decision="decline")
    assert "else" in refuse(other_seat, envelope=staff_only)


def test_invariant_7_one_decline_ends_everything_wherever_it_stands() -> None:
    declined = by("fox", FINANCE, decision="decline")
    for statements in ([declined], [by("ann"), declined], [declined, by("ann"), by("fay", FINANCE)]):
        assert "declined" in refuse(*statements)


# Invariant 4: nothing transfers ---------------------------------------------------------------------------------------

OTHER_TICKET = envelope_of(DESK, ticket="cf_2")


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"envelope": "x"},
        {"display": "x"},
        {"display": statement_of(DESK, ENVELOPE, "fay", PASSKEYS["fay"], FINANCE).display},
        {"seat": FINANCE},
        {"seat": "staff:identity"},
        {"seat": "holder "},
        {"seat": ""},
        {"person": "ben"},
        {"person": "fil"},
        {"person": "nobody"},
        {"credential": PASSKEYS["fil"].credential},
        {"credential": PASSKEYS["ben"].credential},
        {"credential": "dW5rbm93bg"},
        {"code": "654321"},
        {"code": ""},
        {"iat": START - 1},
        {"iat": START + 9, "exp": START + 10 + STATEMENT_LIFE},
        {"exp": START + 11 + STATEMENT_LIFE},
        {"exp": START + 10},
        {"exp": START},
        {"iat": 0, "exp": 600},
    ],
)
def test_invariant_4_a_signed_statement_for_something_else_counts_nothing(changes: dict[str, Any]) -> None:
    refuse(by("ann", **changes))


def test_invariant_4_a_statement_counts_for_one_envelope() -> None:
    assert "another request" in refuse(by("ann"), envelope=OTHER_TICKET)
    assert "another request" in refuse(by("ann", HOLDER, OTHER_TICKET))
    resalted = envelope_of(DESK, salt=b64(b"t" * 32), code=code_digest(b"t" * 32, "123456"))
    assert "another request" in refuse(by("ann"), envelope=resalted)


def test_the_signature_is_over_these_bytes() -> None:
    ann = PASSKEYS["ann"]
    statement = statement_of(DESK, ENVELOPE, "ann", ann)
    other = statement_of(DESK, ENVELOPE, "ann", ann, nonce="other")
    assert "something else" in refuse(SignedStatement(other.to_bytes(), ann.sign(statement.challenge)))
    as_decline = ann.sign(challenge(DECLINE_NAMESPACE, statement.to_bytes()))
    assert "something else" in refuse(SignedStatement(statement.to_bytes(), as_decline))
    spaced = statement.to_bytes() + b" "
    assert "canonical" in refuse(SignedStatement(spaced, ann.sign(statement.challenge)))


def test_the_assertion_is_by_the_credential_and_key_that_the_statement_names() -> None:
    ann, fil = PASSKEYS["ann"], PASSKEYS["fil"]
    statement = statement_of(DESK, ENVELOPE, "ann", ann)
    foreign = fil.sign(statement.challenge)
    assert "person" in refuse(SignedStatement(statement.to_bytes(), foreign))
    renamed = foreign.model_copy(update={"credential": ann.credential})
    assert "signature" in refuse(SignedStatement(statement.to_bytes(), renamed))
    borrowed = statement_of(DESK, ENVELOPE, "ann", fil)
    assert "person" in refuse(signed_by(fil, borrowed))


@pytest.mark.parametrize(
    "misbehaviour", [{"flags": 0x09}, {"party": "evil.example"}, {"client": {"crossOrigin": True}}]
)
def test_what_the_verifier_of_passkeys_refuses_is_no_evidence(misbehaviour: dict[str, Any]) -> None:
    statement = statement_of(DESK, ENVELOPE, "ann", PASSKEYS["ann"])
    refuse(signed_by(PASSKEYS["ann"], statement, **misbehaviour))


def test_one_statement_that_does_not_hold_spoils_all() -> None:
    refuse(by("ann"), by("fay", FINANCE, display="x"))
    nothing = Assertion(credential="", authenticator_data="", client_data="", signature="")
    refuse(by("ann"), SignedStatement(b"", nothing))


@pytest.mark.parametrize(
    "times", [{"iat": START, "exp": START + 1}, {"iat": START + 100, "exp": START + 100 + STATEMENT_LIFE}]
)
def test_statements_within_their_times_count(times: dict[str, Any]) -> None:
    assert evidence(by("ann", **times)).people == ("ann",)


# Ends -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "name"), [("person", "ann"), ("credential", PASSKEYS["ann"].credential)])
def test_what_an_ended_person_or_credential_signed_counts_no_more(what: str, name: str) -> None:
    office = Office()
    office.key, office.records, office.enrolments = OFFICE.key, [*OFFICE.records], [*OFFICE.enrolments]
    office.end(what, name)
    assert "may sign" in refuse(by("ann"), roster=office.roster())


def test_who_lost_the_account_or_role_after_signing_counts_no_more() -> None:
    office = Office()
    office.key, office.records, office.enrolments = OFFICE.key, [*OFFICE.records], [*OFFICE.enrolments]
    office.invite("ann")
    office.invite("fay")
    assert "holder" in refuse(by("ann"), roster=office.roster())
    assert "role" in refuse(by("fay", FINANCE), roster=office.roster())


# T10: the code --------------------------------------------------------------------------------------------------------


def test_T10_an_approval_without_the_code_is_one_without_the_code() -> None:
    found = evidence(by("ann", code=None), by("fay", FINANCE), by("fox", FINANCE))
    assert found.reached == Rung(holder="passkey", staff={"finance": 2})
    assert met(ENVELOPE.requirements, found.reached) is None


def test_T10_the_code_is_the_one_of_this_ticket() -> None:
    check_code(ENVELOPE, "123456")
    for wrong in ("", "123457", "12345", "123456 ", "１２３４５６"):
        with pytest.raises(StatementRefused, match="code"):
            check_code(ENVELOPE, wrong)
    with pytest.raises(StatementRefused):
        check_code(envelope_of(DESK, salt=b64(b"t" * 32)), "123456")


def test_a_code_that_staff_typed_is_not_the_holders() -> None:
    assert evidence(by("fay", FINANCE, code="123456")).reached.code is False
    assert evidence(by("ann"), by("fay", FINANCE)).reached.code is True
    assert evidence(by("fay", FINANCE), by("ann")).reached.code is True


def test_the_holder_who_sits_in_the_chat_need_not_type_its_code() -> None:
    envelope = envelope_of(DESK, actor="ann")
    assert evidence(by("ann", HOLDER, envelope, code=None), envelope=envelope).reached.code is True
    others = envelope_of(DESK, actor="fil")
    assert evidence(by("ann", HOLDER, others, code=None), envelope=others).reached.code is False


# Enough? --------------------------------------------------------------------------------------------------------------

REACHED = Rung(holder="passkey", staff={"finance": 1}, code=True)


def test_waiting_counts_from_the_last_signature() -> None:
    found = evidence(by("ann"), by("fay", FINANCE, iat=START + 100))
    assert with_wait(found, START + 160).hold == 60
    assert with_wait(found, START).hold == 0
    assert with_wait(Evidence(Rung(), (), 0), START).hold == 0


def test_requirements_are_met_by_at_least_what_they_ask() -> None:
    held = Rung(holder="link", hold=60)
    assert met([held, Rung(holder="passkey", code=True)], REACHED) == Rung(holder="passkey", code=True)
    assert met([Rung(holder="passkey_bound")], REACHED) is None
    assert met([Rung(staff={"finance": 2})], REACHED) is None
    assert met([Rung(staff={"identity": 1})], REACHED) is None
    assert met([held], REACHED) is None
    assert met([held], REACHED.changed(hold=59)) is None
    assert met([held], REACHED.changed(hold=60)) == held
    assert met([], REACHED) is None


def test_asking_for_nothing_is_never_an_alternative() -> None:
    for reached in (Rung(), REACHED):
        assert met([Rung()], reached) is None
        assert met_but_for_time([Rung()], reached) is None


def test_the_shortest_wait_is_chosen_among_what_is_ready() -> None:
    long, short = Rung(holder="link", hold=600), Rung(holder="passkey", hold=60)
    assert met_but_for_time([long, short], REACHED) == short
    assert met_but_for_time([long, Rung(holder="passkey_bound", hold=60)], REACHED) == long
    assert met_but_for_time([long, Rung(code=True)], REACHED) == Rung(code=True)
    assert met_but_for_time([Rung(holder="passkey_bound", hold=60)], REACHED) is None


def test_a_checked_statement_says_who_decided_what_and_how_surely() -> None:
    statement, person, assurance = check_statement(
        by("ann"),
        envelope=ENVELOPE,
        digest=envelope_digest(ENVELOPE.to_bytes()),
        display_of=lambda seat: display_digest(display(DESK.name, DESK.operations["refund"], ENVELOPE, seat)),
        roster=ROSTER,
        party=PARTY,
    )
    assert (statement.decision, person.id, assurance) == ("approve", "ann", "passkey")
