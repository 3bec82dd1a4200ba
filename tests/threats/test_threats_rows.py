"""T38, T40 to T43 and T49: other people's text and objects, and whoever writes the database or has a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from story_set import ANNELIES, INES, JONAS, MARIA

from counterfoil.canonical import b64
from counterfoil.errors import CounterfoilError
from counterfoil.keys import SigningKey
from counterfoil.request_verbs import new_ticket_id
from counterfoil.roster import Enrolment, Invitation, SignedEnrolment, sign_record
from counterfoil.statements import Assertion
from counterfoil_server.cli import invitations
from counterfoil_server.testing import PageRefused
from stories.running_desk import MovableClock
from threats.siege import REFUSED, Prepared, Siege, besieged, refused

SET_BACK = "UPDATE ticket SET state = 'approved', effect = 1, redeemed_at = NULL, ended_at = NULL, outcome = NULL"


async def test_T38_a_strangers_text_taints_whoever_read_it_and_stays(prepared: Prepared, tmp_path: Path) -> None:
    clock = MovableClock()
    async with besieged(prepared, tmp_path, clock=clock) as siege:
        clean = await siege.refund("9.00")
        assert "finance" not in str((await siege.desk.ticket(clean["ticket"]))["requirements"])
        assert "Look twice" not in (await siege.opens(MARIA)).text
        assert "SYSTEM" in (await siege.ai.call("customer_letter", number=1)).words
        tainted = await siege.refund("8.00")
        shown = await siege.desk.ticket(tainted["ticket"])
        assert [("1 person with the role finance" in each) for each in shown["requirements"]] == [True]
        page = await siege.opens(MARIA)
        assert "Look twice" in page.text
        assert "text that strangers may have written" in page.text
        await (await siege.browser_of(MARIA)).decide("approve", tainted["match_code"])
        assert await siege.state(tainted) == "pending"
    async with besieged(prepared, tmp_path, clock=clock) as siege:
        await siege.as_requester_of(tainted)
        again = await siege.refund("7.00")
        assert "finance" in str((await siege.desk.ticket(again["ticket"]))["requirements"])
        assert siege.desk.books.unchanged


async def test_T40_an_edited_request_is_shown_to_nobody_and_never_runs(siege: Siege) -> None:
    pending, approved = await siege.credit("5.00"), await siege.voucher("6.00")
    links = {("voucher" in message.text): message.link or "" for message in await siege.posted(MARIA.email)}
    maria = await siege.browser_of(MARIA)
    await maria.open_and_decide(links[True], "approve", approved["match_code"])
    capability = await siege.capability(approved)
    for asked, amount in ((pending, "500.00"), (approved, "600.00")):
        arguments = json.loads((await siege.ticket(asked)).envelope.arguments)
        arguments["amount"]["value"] = amount
        siege.edit_envelope(asked, arguments=json.dumps(arguments, sort_keys=True, separators=(",", ":")))
    with pytest.raises(PageRefused) as refusal:
        await maria.sign_in(links[False])
    assert refusal.value.status == 503
    assert REFUSED in (await siege.redeem(approved, capability)).words
    await siege.stolen_order(approved)
    assert await siege.capability(approved) == ""
    assert siege.vouchers == []
    assert siege.desk.books.unchanged


async def test_T40_evidence_of_one_request_is_none_of_another(siege: Siege) -> None:
    small, large = await siege.voucher("5.00"), await siege.voucher("900.00")
    links = [message.link or "" for message in await siege.posted(MARIA.email)]
    maria = await siege.browser_of(MARIA)
    for link in links:
        await maria.sign_in(link)
        if "5.00 EUR" in (await maria.read()).text:
            await maria.decide("approve", small["match_code"])
    assert await siege.state(small) == "approved"
    copied = "person, seat, credential, decision, statement, assertion, recorded_at"
    siege.edit(
        f"INSERT INTO statement (ticket, {copied})"
        f" SELECT (SELECT number FROM ticket WHERE id = ?), {copied} FROM statement",
        large["ticket"],
    )
    siege.edit("UPDATE ticket SET state = 'approved' WHERE id = ?", large["ticket"])
    assert await siege.capability(large) == ""
    await siege.stolen_order(large)
    assert siege.vouchers == []
    assert await siege.capability(small) != ""


async def test_T40_a_passkey_exchanged_in_the_database_signs_nothing(siege: Siege) -> None:
    asked = await siege.voucher()
    link = await siege.link(MARIA)
    thief = await siege.stranger()
    own = thief.authenticator
    creation = {
        "rp": {"id": "localhost"},
        "pubKeyCredParams": [{"alg": -7}],
        "challenge": "",
        "user": {"id": b64(bytes(32))},
    }
    made = own.create(creation, thief.origin)
    ((number, record),) = [
        (number, record) for number, record in siege.rows("SELECT number, record FROM enrolment") if "maria" in record
    ]
    signed = SignedEnrolment.model_validate_json(record)
    enrolment = Enrolment.model_validate(
        signed.enrolment.model_dump() | {"credential": made["id"], "public_key": spki(own.passkeys[0].key)}
    )
    answer = own.get({"rpId": "localhost", "challenge": b64(enrolment.challenge)}, thief.origin)
    response = answer["response"]
    assertion = Assertion(
        credential=made["id"], authenticator_data=response["authenticatorData"], client_data=response["clientDataJSON"],
        signature=response["signature"],
    )  # fmt: skip
    exchanged = SignedEnrolment(enrolment=enrolment, secret_signature=signed.secret_signature, assertion=assertion)
    siege.edit(
        "UPDATE enrolment SET record = ?, credential = ? WHERE number = ?", exchanged.to_text(), made["id"], number
    )
    with pytest.raises(PageRefused) as refusal:
        await thief.open_and_decide(link, "approve", asked["match_code"])
    assert refusal.value.status == 503
    assert await siege.state(asked) == "pending"


def spki(key: ec.EllipticCurvePrivateKey) -> str:
    return b64(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


async def test_T41_an_order_that_claims_that_nothing_is_required_is_refused(siege: Siege) -> None:
    asked = await siege.voucher()
    await siege.stolen_order(asked)
    siege.edit_envelope(asked, requirements=[])
    await siege.stolen_order(asked)
    lenient = {"holder": "none", "staff": {}, "code": False, "hold": 0}
    siege.edit_envelope(asked, requirements=[lenient])
    await siege.stolen_order(asked)
    assert siege.vouchers == []


async def test_T41_the_executor_asks_its_own_policy(prepared: Prepared, tmp_path: Path) -> None:
    weak = (
        '@id("Nothing above the holder.") permit (principal, action == Action::"goodwill_credit", resource)'
        " when { context.holder_passkey && context.code_typed };"
    )
    clock = MovableClock()
    async with besieged(prepared, tmp_path, clock=clock, policy=weak) as siege:
        asked = await siege.credit("80.00")
        assert await siege.approved(asked)
        siege.edit("UPDATE ticket SET state = 'executing', effect = 2, redeemed_at = approved_at")
    # As after a crash, the order that was redeemed is handed to the executor, whose policy is the proper one.
    async with besieged(prepared, tmp_path, clock=clock) as siege:
        await siege.as_requester_of(asked)
        assert (await siege.ai.outcome(asked["ticket"]))["status"] == "not_executed"
        await siege.stolen_order(asked)
        assert siege.desk.books.unchanged


async def test_T42_a_ticket_that_ran_does_not_run_again_whoever_says_so(siege: Siege) -> None:
    asked = await siege.voucher()
    assert (await siege.redeem(asked, await siege.approved(asked)))["status"] == "executed"
    siege.edit(SET_BACK)
    again = await siege.capability(asked)
    assert again
    await siege.redeem(asked, again)
    siege.edit(SET_BACK)
    await siege.stolen_order(asked)
    # Under a new name, with the genuine evidence of the old one.
    fresh = new_ticket_id()
    columns = "state, principal, account, operation, delivery, requested_at, expires_at, dedupe, request_leaf, effect"
    siege.edit(f"INSERT INTO ticket (id, {columns}) SELECT ?, {columns} FROM ticket", fresh)
    number = "(SELECT max(number) FROM ticket)"
    siege.edit(f"INSERT INTO envelope SELECT {number}, body FROM envelope")
    copied = "person, seat, credential, decision, statement, assertion, recorded_at"
    siege.edit(f"INSERT INTO statement (ticket, {copied}) SELECT {number}, {copied} FROM statement")
    renamed = type(asked)(True, "", {"ticket": fresh})
    siege.edit_envelope(renamed, ticket=fresh)
    await siege.stolen_order(renamed)
    assert siege.vouchers == [asked["ticket"]]


async def test_T43_somebody_elses_object_in_a_request_on_ones_own_account_is_refused(siege: Siege) -> None:
    asked = await siege.refund("39.00", order="NL-26020", account=ANNELIES.email)
    page = (await siege.opens(ANNELIES)).text
    assert "Nobody can approve this request" in page
    for told in ("Lantern", "lantern", "Mastercard", "7731"):
        assert told not in page
    annelies = await siege.browser_of(ANNELIES)
    refusal = await refused(annelies, "approve", asked["match_code"])
    assert refusal.status == 409
    assert [kept for kept in siege.desk.mailbox.messages() if kept.to == INES.email] == []
    assert await siege.state(asked) == "pending"
    await siege.stolen_order(asked)
    assert siege.desk.books.unchanged


@contextmanager
def roster_rows_put_back(siege: Siege) -> Iterator[list[tuple[int, str]]]:
    """The records; whatever the block does to them is undone after it."""
    records = siege.rows("SELECT version, record FROM roster_record ORDER BY version")
    yield [(version, record) for version, record in records]
    siege.edit("DELETE FROM roster_record")
    for row in records:
        siege.edit("INSERT INTO roster_record VALUES (?, ?)", *row)


async def test_T49_a_roster_that_was_changed_in_the_database_is_believed_by_nobody(siege: Siege) -> None:
    admin = siege.desk.parts.administration
    people = {each["name"]: each["person"] for each in await admin.people_list()}
    asked = await siege.voucher()
    await siege.opens(MARIA)
    maria = await siege.browser_of(MARIA)
    pending = await siege.credit("7.00")
    other = await siege.link(MARIA)
    await maria.decide("approve", asked["match_code"])
    await siege.capability(asked)
    # An end that somebody would rather not have.
    await invitations.disable(admin.call, siege.desk.parts.configuration, people[JONAS.name])
    last = len(siege.rows("SELECT 1 FROM roster_record"))
    capability = await siege.capability(asked)

    own = SigningKey.generate()
    eve = Invitation(
        version=last + 1, previous=b64(bytes(32)), person=people[MARIA.name], name="Eve", accounts=("C-1001",),
        roles=(), channels=("eve@evil.example",), secret_key=b64(bytes(32)), iat=0, exp=2**40,
    )  # fmt: skip
    for attack in ("removed", "inserted", "first removed", "swapped", "changed", "repeated"):
        with roster_rows_put_back(siege) as records:
            match attack:
                case "removed":
                    siege.edit("DELETE FROM roster_record WHERE version = ?", last)
                case "first removed":
                    siege.edit("DELETE FROM roster_record WHERE version = 2")
                    siege.edit("UPDATE roster_record SET version = version - 1 WHERE version > 2")
                case "swapped":
                    for to, (_, record) in zip((2, 3), (records[2], records[1]), strict=True):
                        siege.edit("UPDATE roster_record SET record = ? WHERE version = ?", record, to)
                case "changed":
                    header, payload, signature = records[0][1].split(".")
                    siege.edit(
                        "UPDATE roster_record SET record = ? WHERE version = 1",
                        f"{header}.{payload[:-2]}fQ.{signature}",
                    )
                case "inserted":
                    siege.edit("INSERT INTO roster_record VALUES (?, ?)", last + 1, sign_record(own, eve))
                case "repeated":
                    siege.edit("INSERT INTO roster_record VALUES (?, ?)", last + 1, records[4][1])
            assert REFUSED in (await siege.redeem(asked, capability)).words, attack
            assert await siege.capability(asked) == "", attack
            await siege.stolen_order(asked)
            with pytest.raises(PageRefused) as refusal:
                await maria.open_and_decide(other, "approve", pending["match_code"])
            assert refusal.value.status == 503, attack
            with pytest.raises(CounterfoilError):
                await admin.people_list()
            assert siege.vouchers == [], attack
    assert (await siege.redeem(asked, capability))["status"] == "executed"
