"""Evidence that was made up, with the desk's own authority signing it: each attack fails by what people signed.

The forger of these tests holds the authority's key, the log's key and the database. They hold neither the roster's key
nor anybody's passkey, except where a test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.evidence import Day, ended, leaf, parlour_day, proven_ticket, shop_day, with_ticket
from capabilities.world import PEOPLE, START, Office, Passkey
from counterfoil.audit import verify_bundle
from counterfoil.bundle import Contents, Shown, Signed, TicketEvidence
from counterfoil.canonical import canonical, digest, parse_strict
from counterfoil.checkpoints import LOG, NoteSigner, sign_checkpoint, write_proof
from counterfoil.statements import Statement
from counterfoil.tickets import Envelope, State, envelope_digest
from counterfoil.tlog import Tree, leaf_hash
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, sign

Change = Callable[[Contents], Contents]


def named(part: TicketEvidence, number: int = 0) -> str:
    return digest("counterfoil-statement", part.statements[number].statement.encode())


def fails(day: Day, contents: Contents) -> str:
    report = day.verify(contents)
    assert not report.holds
    return "\n".join(report.of("fails"))


def signed_again(passkey: Passkey, signed: Signed, **changes: Any) -> Signed:
    """A statement that its own signer signs again with changes: somebody with the passkey helps the forger."""
    statement = Statement.from_bytes(signed.statement.encode()).changed(**changes)
    return Signed(statement=statement.to_bytes().decode(), assertion=passkey.sign(statement.challenge))


def history(part: TicketEvidence, *, redeemed_at: int = START) -> tuple[Any, ...]:
    """Leaves that go with the statements of ``part``, to an executed end."""
    ticket, envelope = proven_ticket(part), Envelope.from_bytes(part.envelope.encode())
    named_envelope = envelope_digest(part.envelope.encode())
    read = [Statement.from_bytes(signed.statement.encode()) for signed in part.statements]
    told: list[tuple[str, dict[str, Any]]] = [
        ("request", {"envelope": named_envelope, "principal": envelope.principal, "operation": envelope.operation})
    ]
    told += [
        ("statement", {"statement": named(part, number), "seat": each.seat, "decision": each.decision,
                       "person": each.person})
        for number, each in enumerate(read)
    ]  # fmt: skip
    told += [
        ("approve", {}), ("mint", {"capability": "c", "key": "k"}),
        ("redeem", {"capability": "c", "envelope": named_envelope}),
        ("report_executed", {"outcome": {"receipt": {"reference": "R"}}}),
    ]  # fmt: skip
    late = len(told) - 2
    return tuple(
        leaf(event, ticket, 10 + number, redeemed_at if number >= late else START, **groups)
        for number, (event, groups) in enumerate(told)
    )


def as_executed(contents: Contents, *, redeemed_at: int = START, **changes: Any) -> Contents:
    """The contents with other evidence, and leaves that say that it was executed on the strength of that."""
    contents = with_ticket(contents, **changes).model_copy(update={"proofs": ()})
    capability, order = tokens_of(contents.ticket, redeemed_at)
    return with_ticket(
        contents, leaves=history(contents.ticket, redeemed_at=redeemed_at), state=State.EXECUTED,
        outcome='{"receipt":{"reference":"R"}}', capability=capability, order=order,
    )  # fmt: skip


def tokens_of(part: TicketEvidence, redeemed_at: int = START, /, **changes: Any) -> tuple[str, str]:
    """A capability and an order that go with that history; ``changes`` replace claims in whichever has them."""
    envelope = Envelope.from_bytes(part.envelope.encode())
    shared = {"iss": envelope.issuer, "ticket": envelope.ticket, "envelope": envelope_digest(part.envelope.encode())}
    capability = {"aud": envelope.issuer, "sub": envelope.principal, "jti": "c", "iat": redeemed_at}
    capability |= shared | {"exp": redeemed_at + 120}
    order = {"aud": envelope.executor, "jti": f"order-{envelope.ticket}", "redeemed_at": redeemed_at}
    order |= shared | {"run_by": redeemed_at + 300}
    made = [claims | {name: changes[name] for name in claims.keys() & changes} for claims in (capability, order)]
    key = changes.get("key") or (shop_day() if envelope.grant is None else parlour_day()).key
    return sign(key, CAPABILITY_TYPE, made[0]), sign(key, ORDER_TYPE, made[1])


def test_the_forger_can_make_up_leaves_and_needs_the_signatures_all_the_same() -> None:
    day = shop_day()
    assert day.verify(as_executed(day.contents("executed"))).holds


# Statements -----------------------------------------------------------------------------------------------------------


def test_somebody_elses_statement_proves_nothing() -> None:
    day = shop_day()
    mine, theirs = day.contents("executed"), day.contents("other")
    put_in = (theirs.ticket.statements[0], mine.ticket.statements[1])
    assert "tells of another statement" in fails(day, with_ticket(mine, statements=put_in))
    contents = as_executed(mine, statements=put_in).model_copy(
        update={"roster": mine.roster.model_copy(update={"enrolments": tuple(day.office.enrolments)})}
    )
    assert "statement 1 does not hold. The signature is for another request." in fails(day, contents)


def test_a_decline_is_no_approval() -> None:
    day = shop_day()
    declined = day.contents("declined")
    assert "Somebody declined." in fails(day, as_executed(declined))
    text = declined.ticket.statements[0].statement.replace('"decision":"decline"', '"decision":"approve"')
    relabelled = declined.ticket.statements[0].model_copy(update={"statement": text})
    assert "The passkey signed something else." in fails(day, as_executed(declined, statements=(relabelled,)))
    assert "a ticket that is declined" in fails(day, with_ticket(declined, state=State.EXECUTED))


def test_what_one_person_said_is_not_enough_for_two() -> None:
    day = shop_day()
    mine = day.contents("executed")
    for kept in ((0,), (1,), ()):
        statements = tuple(mine.ticket.statements[number] for number in kept)
        assert "do not meet" in fails(day, as_executed(mine, statements=statements))
    twice = (mine.ticket.statements[0], mine.ticket.statements[1], mine.ticket.statements[1])
    assert "One person cannot fill two seats" in fails(day, as_executed(mine, statements=twice))
    assert "more or fewer statements" in fails(day, with_ticket(mine, statements=twice))


def test_a_signature_without_the_user_verified_or_from_another_site_proves_nothing() -> None:
    day = shop_day()
    mine = day.contents("executed")
    first = mine.ticket.statements[0]
    challenge = Statement.from_bytes(first.statement.encode()).challenge
    ann = day.passkeys["ann"]
    for misbehaviour, why in (
        ({"flags": 0x09}, "did not verify its user"),
        ({"flags": 0x0C}, "Nobody was present"),
        ({"client": {"origin": "https://evil.example"}}, "another site"),
        ({"client": {"crossOrigin": True}}, "frame"),
    ):
        again = first.model_copy(update={"assertion": ann.sign(challenge, **misbehaviour)})
        assert why in fails(day, with_ticket(mine, statements=(again, mine.ticket.statements[1])))


def test_a_signature_made_after_the_fact_proves_nothing() -> None:
    day = shop_day()
    mine = day.contents("executed")
    late = signed_again(day.passkeys["ann"], mine.ticket.statements[0], iat=START + 1, exp=START + 2)
    contents = as_executed(mine, statements=(late, mine.ticket.statements[1]))
    assert "recorded before it was made" in fails(day, contents)
    leaves = list(contents.ticket.leaves)
    told = {"statement": named(contents.ticket), "seat": "holder", "decision": "approve", "person": "ann"}
    order = [leaves[0], leaves[2], *leaves[3:6], leaf("statement", proven_ticket(mine.ticket), 16, START + 1, **told)]
    order.append(
        leaf("report_executed", proven_ticket(mine.ticket), 17, START + 1, outcome={"receipt": {"reference": "R"}})
    )
    statements = (mine.ticket.statements[1], late)
    said = fails(day, with_ticket(contents, statements=statements, leaves=tuple(order)))
    assert "A signature was made after the ticket was redeemed." in said


# The roster -----------------------------------------------------------------------------------------------------------


def with_roster(contents: Contents, **changes: Any) -> Contents:
    return contents.model_copy(update={"roster": contents.roster.model_copy(update=changes)})


def test_a_record_that_was_dropped_is_missed() -> None:
    day = shop_day()
    mine = day.contents("executed")
    records = mine.roster.records
    assert "at least 7 were seen before" in fails(day, with_roster(mine, records=records[:-1]))
    assert "Record 3 of the roster does not follow" in fails(day, with_roster(mine, records=records[:2] + records[3:]))
    assert "not one that this person may sign with" in fails(day, with_roster(mine, enrolments=()))


def test_a_record_by_another_key_is_refused() -> None:
    day, foreign = shop_day(), Office()
    for person in PEOPLE:
        foreign.invite(person, accounts=["A-1"], roles=["finance"])
    forged = with_roster(day.contents("executed"), records=tuple(foreign.records))
    assert "Record 1 of the roster is not signed" in fails(day, forged)


@pytest.mark.parametrize("what", ["person", "credential"])
def test_the_passkey_of_somebody_who_had_left_signs_nothing(what: str) -> None:
    day = shop_day()
    mine = day.contents("executed")
    name = "fay" if what == "person" else day.passkeys["fay"].credential
    for at, holds in ((START, False), (START + 1, True)):
        record = ended(day.office, what, name, at=at)
        report = day.verify(with_roster(mine, records=(*mine.roster.records, record)))
        assert report.holds is holds
        assert ("not one that this person may sign with" in "\n".join(report.of("fails"))) is not holds


# The request and its history ------------------------------------------------------------------------------------------


def test_a_history_of_another_ticket_is_none_of_this_one() -> None:
    day = shop_day()
    mine, theirs = day.contents("executed").ticket, day.contents("other").ticket
    redeemed = next(number for number, each in enumerate(mine.leaves) if '"event":"redeem"' in each.body)
    foreign = next(each for each in theirs.leaves if '"event":"redeem"' in each.body)
    leaves = [*mine.leaves[:redeemed], foreign, *mine.leaves[redeemed + 1 :]]
    contents = day.contents("executed")
    assert "tells of another ticket" in fails(day, with_ticket(contents, leaves=tuple(leaves)))
    assert "tells of another ticket" in fails(day, with_ticket(contents, leaves=theirs.leaves))
    number = int(mine.leaves[redeemed].body.split('"n":')[1].split(",")[0])
    leaves[redeemed] = leaf(
        "redeem", proven_ticket(mine), number, capability="c", envelope=envelope_digest(theirs.envelope.encode())
    )  # fmt: skip
    assert f"Leaf {number} tells of another request" in fails(day, with_ticket(contents, leaves=tuple(leaves)))


def test_the_envelope_of_another_request_is_not_what_people_signed() -> None:
    day = shop_day()
    mine, theirs = day.contents("executed"), day.contents("other")
    assert "tells of another ticket" in fails(day, with_ticket(mine, envelope=theirs.ticket.envelope))
    dearer = mine.ticket.envelope.replace("80.00", "90.00")
    assert dearer != mine.ticket.envelope
    assert "tells of another request" in fails(day, with_ticket(mine, envelope=dearer))
    said = fails(day, as_executed(mine, envelope=dearer))
    assert "The page did not show what was asked for: Amount." in said.replace("Account, ", "")
    assert "statement 1 does not hold. The signature is for another request." in said
    easier = mine.ticket.envelope.replace('"staff":{"finance":1}', '"staff":{}')
    assert easier != mine.ticket.envelope
    assert "for another request" in fails(day, as_executed(mine, envelope=easier))


def test_leaves_in_another_order_tell_no_history() -> None:
    day = shop_day()
    mine = day.contents("executed")
    leaves = mine.ticket.leaves
    assert "does not come after" in fails(day, with_ticket(mine, leaves=(leaves[0], *reversed(leaves[1:]))))
    assert "does not come after" in fails(day, with_ticket(mine, leaves=(leaves[0], *leaves)))
    assert "do not begin with the request" in fails(day, with_ticket(mine, leaves=leaves[1:]))
    assert "do not begin with the request" in fails(day, with_ticket(mine, leaves=()))
    assert "is executing" in fails(day, with_ticket(mine, leaves=leaves[:-1]))
    made_up = history(mine.ticket)
    without_approval = tuple(each for each in made_up if '"event":"approve"' not in each.body)
    assert "no ticket has" in fails(day, with_ticket(mine, leaves=without_approval))
    without_capability = tuple(each for each in made_up if '"event":"mint"' not in each.body)
    assert "never minted" in fails(day, with_ticket(mine, leaves=without_capability))
    backwards = (*made_up[:-1], leaf("report_executed", proven_ticket(mine.ticket), 99, START - 1, outcome={}))
    assert "does not come after" in fails(day, with_ticket(mine, leaves=backwards))


def test_an_opening_opens_its_own_leaf_alone() -> None:
    day = shop_day()
    mine = day.contents("executed")
    leaves = list(mine.ticket.leaves)
    leaves[1] = leaves[1].model_copy(update={"opening": leaves[2].opening})
    assert "belongs to another leaf" in fails(day, with_ticket(mine, leaves=tuple(leaves)))
    text = mine.ticket.leaves[1].opening or ""
    for changed in (text.replace('"ann"', '"ben"'), text.replace('"seat":"holder"', '"seat":"staff:finance"')):
        assert changed != text
        leaves[1] = mine.ticket.leaves[1].model_copy(update={"opening": changed})
        assert "belongs to another leaf" in fails(day, with_ticket(mine, leaves=tuple(leaves)))


def test_a_leaf_of_something_that_no_ticket_does_is_refused() -> None:
    day = shop_day()
    mine = day.contents("executed")
    leaves = (*mine.ticket.leaves, leaf("blessed", proven_ticket(mine.ticket), 99))
    assert "do not do" in fails(day, with_ticket(mine, leaves=leaves))


def test_a_ticket_is_redeemed_within_its_lifetime() -> None:
    day = shop_day()
    mine = day.contents("executed")
    assert day.verify(as_executed(mine, redeemed_at=START + 86399)).holds
    assert "outside its lifetime" in fails(day, as_executed(mine, redeemed_at=START + 86400))


def test_a_hold_is_waited_out_before_anything_runs() -> None:
    day = shop_day()
    held = day.contents("held")
    assert "do not meet" in fails(day, as_executed(held, redeemed_at=START + 3599))
    assert day.verify(as_executed(held, redeemed_at=START + 3600)).holds


def test_what_was_never_approved_by_enough_people_was_not_approved() -> None:
    day = shop_day()
    held = day.contents("held").ticket
    ticket = proven_ticket(held)
    one = held.statements[:1]
    leaves = (*history(held.model_copy(update={"statements": one}))[:2], leaf("approve", ticket, 20))
    forged = with_ticket(day.contents("held"), statements=one, leaves=leaves, state=State.APPROVED)
    assert "do not meet" in fails(day, forged)
    late = signed_again(day.passkeys["ivo"], held.statements[1], iat=START + 1, exp=START + 2)
    told = {"statement": digest("counterfoil-statement", late.statement.encode()), "seat": "staff:identity",
            "decision": "approve", "person": "ivo"}  # fmt: skip
    leaves = (*leaves, leaf("statement", ticket, 21, START + 1, **told))
    forged = with_ticket(forged, statements=(one[0], late), leaves=leaves)
    assert "made after the approval" in fails(day, forged)


# Pages ----------------------------------------------------------------------------------------------------------------


def test_a_page_is_the_one_that_was_signed_and_says_what_the_request_says() -> None:
    day = shop_day()
    mine = day.contents("executed")
    pages = {page.seat: page.content for page in mine.ticket.displays}
    for old, new in (("80.00", "8.00"), ("Acme support", "Another shop")):
        other = pages["holder"].replace(old, new)
        assert other != pages["holder"]
        displays = (Shown(seat="holder", content=other), Shown(seat="staff:finance", content=pages["staff:finance"]))
        assert "something else than was to be shown" in fails(day, with_ticket(mine, displays=displays))
    twice = (*mine.ticket.displays, mine.ticket.displays[0])
    assert "twice" in fails(day, with_ticket(mine, displays=twice))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("80.00 EUR", "8.00 EUR", "did not show what was asked for"),
        ('"requested_by":"agent"', '"requested_by":"Ann herself"', "something else than the request: requested_by"),
        ('"account":"A-1"', '"account":"A-9"', "something else than the request: account"),
        ('"arguments":[', '"arguments":"none","facts_":[', "did not show"),
    ],
)
def test_a_page_that_lied_is_found_also_where_it_was_signed(old: str, new: str, why: str) -> None:
    """The desk shows something else than what it has people sign, and they sign it."""
    day = shop_day()
    mine = day.contents("executed")
    lie = next(page.content for page in mine.ticket.displays if page.seat == "holder").replace(old, new)
    lie = canonical(parse_strict(lie.encode())).decode()
    shown = digest("counterfoil-display", lie.encode())
    first = signed_again(day.passkeys["ann"], mine.ticket.statements[0], display=shown)
    displays = (Shown(seat="holder", content=lie),)
    assert why in fails(day, as_executed(mine, statements=(first, mine.ticket.statements[1]), displays=displays))


# Outcome --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["executed", "declined", "settled", "stopped", "unknown"])
def test_the_outcome_is_the_recorded_one(name: str) -> None:
    day = shop_day()
    for other in (None, '{"receipt":{"reference":"R-2"}}', ""):
        assert "the outcome does not hold" in fails(day, with_ticket(day.contents(name), outcome=other))


def test_what_somebody_established_is_what_they_signed() -> None:
    day = shop_day()
    settled = day.contents("settled")
    signed = settled.ticket.settlement
    assert signed is not None
    assert "is missing" in fails(day, with_ticket(settled, settlement=None))
    other = signed.model_copy(update={"statement": signed.statement.replace('"executed"', '"not_executed"')})
    assert "tells of another statement" in fails(day, with_ticket(settled, settlement=other))
    told = {"statement": digest("counterfoil-settlement", other.statement.encode()), "seat": "staff:finance",
            "found": "not_executed", "person": "fay"}  # fmt: skip
    leaves = (*settled.ticket.leaves[:-1], leaf("find_not_executed", proven_ticket(settled.ticket), 99, **told))
    forged = with_ticket(settled, settlement=other, leaves=leaves, state=State.NOT_EXECUTED)
    assert "The passkey signed something else" in fails(day, forged)
    assert "Nobody could establish" in fails(day, with_ticket(day.contents("executed"), settlement=signed))
    pages = settled.ticket.displays
    assert "twice" in fails(day, with_ticket(settled, displays=(*pages, pages[-1])))
    elsewhere = Shown(seat="settlement", content=pages[-1].content.replace('"started_at":18', '"started_at":17'))
    assert "page told of another ticket" in fails(day, with_ticket(settled, displays=(*pages[:-1], elsewhere)))


# Access ---------------------------------------------------------------------------------------------------------------


def test_T44_what_ran_by_itself_needs_the_access_of_that_account_and_conversation() -> None:
    day = parlour_day()
    pause, theirs = day.contents("pause"), day.contents("ben's pause")
    for other in (theirs.access, None):
        assert "does not hold" in fails(day, pause.model_copy(update={"access": other, "roster": both(day)}))
    unanswered = pause.access.model_copy(update={"statements": ()}) if pause.access else None
    assert "Of the access" in fails(day, pause.model_copy(update={"access": unanswered}))
    late = as_executed(pause, redeemed_at=START + 900)
    assert "had ended" in fails(day, late)
    assert day.verify(as_executed(pause, redeemed_at=START + 899)).holds


def both(day: Day) -> Any:
    roster = day.contents("pause").roster
    return roster.model_copy(update={"enrolments": tuple(day.office.enrolments)})


def test_an_access_that_was_not_carried_out_opens_nothing() -> None:
    day = parlour_day()
    pause = day.contents("pause")
    assert pause.access is not None
    cut = pause.access.model_copy(
        update={"leaves": pause.access.leaves[:-1], "state": State.EXECUTING, "outcome": None}
    )
    assert "ran under an access that is not in the bundle" in fails(day, pause.model_copy(update={"access": cut}))


# Rules, and whose word it is ------------------------------------------------------------------------------------------


def test_other_rules_are_not_those_of_the_request() -> None:
    day = shop_day()
    mine = day.contents("executed")
    assert mine.policy is not None
    for changed in ({"text": "permit(principal, action, resource);"}, {"schema_text": "entity Agent;"}):
        rules = mine.policy.model_copy(update=changed)
        assert "are not those that the request names" in fails(day, mine.model_copy(update={"policy": rules}))


def test_an_enrolment_belongs_to_a_record_of_this_roster() -> None:
    day, other = shop_day(), Office()
    other.enrol(other.invite("ann", accounts=["A-1"]), "ann", day.passkeys["ann"])
    forged = with_roster(day.contents("executed"), enrolments=tuple(other.enrolments))
    assert "no invitation of its own" in fails(day, forged)


# The log --------------------------------------------------------------------------------------------------------------


def unproven(day: Day, contents: Contents) -> str:
    """What fails for an auditor who trusts the log as well, of a forgery that would hold without it."""
    assert day.verify(contents).holds
    return "\n".join(verify_bundle(day.signed(contents), day.sealed_trust).of("fails"))


def test_leaves_that_were_made_up_are_not_on_the_log() -> None:
    day = shop_day()
    mine = day.contents("executed")
    assert "no proof came with it" in unproven(day, mine.model_copy(update={"proofs": mine.proofs[1:]}))
    later = [each.body.replace(f'"at":{START}', f'"at":{START + 9}') for each in mine.ticket.leaves]
    leaves = (*mine.ticket.leaves[:-1], mine.ticket.leaves[-1].model_copy(update={"body": later[-1]}))
    said = unproven(day, with_ticket(mine, leaves=leaves))
    assert "does not lead from the leaf to the root" in said
    last = int(later[-1].split('"n":')[1].split(",")[0])
    moved = mine.ticket.leaves[-1].body.replace(f'"n":{last}', f'"n":{last + 1}')
    proofs = (*mine.proofs[:-1], mine.proofs[-1].model_copy(update={"leaf": last + 1}))
    leaves = (*mine.ticket.leaves[:-1], mine.ticket.leaves[-1].model_copy(update={"body": moved}))
    assert "does not hold" in unproven(day, with_ticket(mine.model_copy(update={"proofs": proofs}), leaves=leaves))


def test_a_proof_is_of_one_place_and_by_the_log_that_is_trusted() -> None:
    day, other = shop_day(), parlour_day()
    mine = day.contents("executed")
    swapped = mine.model_copy(update={"proofs": (mine.proofs[0].model_copy(update={"proof": mine.proofs[1].proof}),)})
    assert "The proof of leaf" in unproven(day, swapped)
    report = verify_bundle(day.bundles["executed"], replace(day.trust, log=other.sealed_trust.log))
    assert "is not signed by the key of the log" in "\n".join(report.of("fails"))
    for proofs in ((*mine.proofs, mine.proofs[0]), (*mine.proofs, mine.proofs[0].model_copy(update={"leaf": 9999}))):
        assert "not in the bundle, or one leaf has two" in fails(day, mine.model_copy(update={"proofs": proofs}))


def test_the_same_leaf_in_another_place_of_the_log_is_another_leaf() -> None:
    """The leaf's own number and its place are compared: a log that holds a copy of it elsewhere proves nothing."""
    day = shop_day()
    mine = day.contents("executed")
    signer = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate())
    tree = Tree(lambda *_: [])
    tree.append([leaf_hash(each.body.encode()) for each in mine.ticket.leaves])
    note = sign_checkpoint(signer, tree.size, tree.root())
    proofs = tuple(
        proof.model_copy(update={"proof": write_proof(place, tree.inclusion(place), note)})
        for place, proof in enumerate(mine.proofs)
    )
    trust = replace(day.trust, log=signer.key)
    report = verify_bundle(day.signed(mine.model_copy(update={"proofs": proofs})), trust)
    assert "It is of another place on the log." in report.of("fails")[0]


# What an envelope says of itself --------------------------------------------------------------------------------------


def test_an_envelope_is_the_trusted_authoritys_and_can_be_read() -> None:
    day = shop_day()
    mine = day.contents("executed")
    envelope = Envelope.from_bytes(mine.ticket.envelope.encode())
    for changes, why in (
        ({"issuer": "https://evil.example"}, "made by another authority"),
        ({"executor": "executor:bank"}, "for another executor"),
        ({"arguments": "[]"}, "the request does not hold. It cannot be read"),
        ({"arguments": "{"}, "the request does not hold. It cannot be read"),
    ):
        text = envelope.changed(**changes).to_bytes().decode()
        assert why in fails(day, with_ticket(mine, envelope=text))


@pytest.mark.parametrize("claim", ["principal", "operation", "envelope"])
def test_the_leaf_of_the_request_is_about_this_request(claim: str) -> None:
    day = shop_day()
    mine = day.contents("executed")
    first = mine.ticket.leaves[0]
    groups: dict[str, Any] = parse_strict((first.opening or "").encode())["groups"]  # type: ignore[index, call-overload, assignment]
    number = int(first.body.split('"n":')[1].split(",")[0])
    other = leaf("request", proven_ticket(mine.ticket), number, **(groups | {claim: "another"}))
    said = fails(day, with_ticket(mine, leaves=(other, *mine.ticket.leaves[1:])))
    assert f"Leaf {number} tells of another request." in said
