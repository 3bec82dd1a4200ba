"""T23 to T30, T32, T34, T35: what was approved is what runs."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from story_set import INES, MARIA, eur

from counterfoil.canonical import b64, canonical, parse_strict, unb64
from counterfoil.errors import RosterRefused
from counterfoil.keys import SigningKey
from counterfoil.roster import Invitation, sign_record
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, sign
from counterfoil_server.bearer import new_token
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.testing import PageRefused, SoftwareAuthenticator
from held_keys import held
from server.conversation.test_intake import ENVELOPE, headers
from stories.running_desk import MovableClock
from threats.siege import REFUSED, Prepared, Siege, besieged, refused

CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256: with s, also this minus s signs the same."""

DAY = 86400


# What comes in --------------------------------------------------------------------------------------------------------


async def post(siege: Siege, tool: str, arguments: str | bytes) -> httpx2.Response:
    """Send a tool call whose arguments are exactly these bytes."""
    name = f"raw-{secrets.token_hex(4)}"
    added = await siege.desk.parts.administration.call("principals_add", {"name": name})
    raw = arguments if isinstance(arguments, bytes) else arguments.encode()
    body = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"%b","arguments":%b,"_meta":%b}}' % (
        tool.encode(), raw, json.dumps(ENVELOPE).encode(),
    )  # fmt: skip
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        sent = headers(authorization=f"Bearer {added['token']}", mcp_name=tool)
        return await http.post(f"{siege.desk.base_url}/mcp", content=body, headers=sent)


CREDIT = '{"account":"C-1001","reason":"A late parcel","amount":{"value":"%s","currency":"EUR"}%s}'
PARCEL = '{"pieces":%s,"weight":%s}'
TWO_READINGS: dict[str, tuple[str, str | bytes]] = {
    "two amounts": ("request_goodwill_credit", CREDIT % ("5.00", ',"amount":{"value":"25.00","currency":"EUR"}')),
    "two values": ("request_goodwill_credit", CREDIT % ('5.00","value":"25.00', "")),
    "two, one escaped": ("request_goodwill_credit", CREDIT % ("5.00", ',"re\\u0061son":"Another reason"')),
    "a lone surrogate": ("request_goodwill_credit", CREDIT % ("5.00", ',"note":"\\ud800"')),
    "no UTF-8": ("request_goodwill_credit", (CREDIT % ("5.00", ',"note":"*"')).encode().replace(b"*", b"\xff")),
    "too deep": ("request_goodwill_credit", CREDIT % ("5.00", ',"note":' + "[" * 33 + "]" * 33)),
    "NaN": ("parcel_price", PARCEL % ("1", "NaN")),
    "Infinity": ("parcel_price", PARCEL % ("1", "-Infinity")),
    "1e400": ("parcel_price", PARCEL % ("1", "1e400")),
    "beyond 2^53": ("parcel_price", PARCEL % (str(2**53 + 1), "1.5")),
    "beyond 2^53 as a float": ("parcel_price", PARCEL % ("1", "9007199254740993.0")),
}


async def test_T23_json_that_can_be_read_in_two_ways_is_refused(siege: Siege) -> None:
    for name, (tool, arguments) in TWO_READINGS.items():
        answer = await post(siege, tool, arguments)
        assert answer.status_code == 400, name
        error = answer.json()["error"]
        assert error["data"]["code"] == "bad_json", name
        assert error["data"]["remedy"], name
    for arguments in (
        PARCEL % ("1.0", "1.5"),
        PARCEL % ("1e0", "1.5"),
        PARCEL % ('"1"', "1.5"),
        PARCEL % ("true", "1.5"),
    ):
        result = (await post(siege, "parcel_price", arguments)).json()["result"]
        assert result["isError"], arguments
        assert "bad_arguments" in result["content"][0]["text"]
    assert "1 of 1.5 kg" in (await post(siege, "parcel_price", PARCEL % ("1", "1.5"))).text
    assert await siege.desk.parts.administration.tickets_list() == []


async def test_T24_money_is_a_decimal_text_with_a_currency(siege: Siege) -> None:
    values: list[Any] = [
        1, 1.5, "1", "1.5", "-1.00", "+1.00", "01.00", "1,00", "1.00000", "1e2", " 1.00", "1.00\n", "٥.٠٠", "", None,
    ]  # fmt: skip
    amounts: list[Any] = [{"value": value, "currency": "EUR"} for value in values]
    amounts += [{"value": "1.00", "currency": currency} for currency in ("eur", "EURO", "€", "", None, 978)]
    amounts += [{"value": "1.00"}, {"currency": "EUR"}, eur("1.00") | {"unit": "cents"}, "1.00 EUR", 1, "1.00", None]
    for amount in amounts:
        for tool, more in (("refund", {"order_id": "NL-26017"}), ("goodwill_credit", {"reason": "Late"})):
            answer = await siege.ai.call(f"request_{tool}", account="C-1001", amount=amount, **more)
            assert not answer.ok, amount
            assert "bad_arguments" in answer.words
    assert await siege.desk.parts.administration.tickets_list() == []
    await siege.credit("1.00")
    assert "Amount 1.00 EUR" in (await siege.opens(MARIA)).text


# What runs ------------------------------------------------------------------------------------------------------------


async def test_T25_what_is_sent_again_is_not_what_runs(siege: Siege) -> None:
    small = await siege.credit("5.00")
    capability = await siege.approved(small)
    large = await siege.credit("12.00")
    await siege.approved(large)
    assert REFUSED in (await siege.redeem(large, capability)).words
    for more in ({"amount": eur("25.00")}, {"arguments": {"amount": eur("25.00")}}, {"account": "C-1007"}):
        answer = await siege.ai.call("redeem_ticket", ticket=small["ticket"], capability=capability, **more)
        assert not answer.ok
    assert siege.desk.books.unchanged
    assert (await siege.redeem(small, capability))["status"] == "executed"
    assert [row[2] for row in siege.desk.books.read().journals["credit_entries"] if row[0] == small["ticket"]] == [500]
    assert siege.desk.books.entries_added == 1


async def test_T26_other_arguments_are_another_ticket_and_a_changed_tool_or_policy_voids_approvals(
    prepared: Prepared, tmp_path: Path
) -> None:
    clock = MovableClock()
    async with besieged(prepared, tmp_path, clock=clock) as siege:
        first, second = await siege.voucher("5.00"), await siege.credit("6.00", account=INES.email)
        await siege.approved(first)
        await siege.approved(second, INES)
        for other in (await siege.voucher("5.01"), await siege.voucher("5.00", account=INES.email)):
            assert other["ticket"] not in (first["ticket"], second["ticket"])
            assert (await siege.desk.ticket(other["ticket"]))["statements"] == []
    # The tool says something else now, where no page shows it; and the policy asks for a colleague.
    alter = 'desk.operations["send_voucher"].description += "\\n\\nIt also closes the account."'
    stricter = (
        '@id("Credit needs finance.") forbid (principal, action == Action::"goodwill_credit", resource)'
        " when { true } unless { context.staff.finance >= 1 };"
    )
    async with besieged(prepared, tmp_path, clock=clock, alter=alter, policy=stricter) as siege:
        for asked in (first, second):
            await siege.as_requester_of(asked)
            assert await siege.capability(asked) == ""
            await siege.stolen_order(asked)
        # What the policy refuses now is declined; the other waits for whoever puts the tool back.
        assert [await siege.state(asked) for asked in (first, second)] == ["approved", "declined"]
        assert siege.desk.books.unchanged
        assert siege.vouchers == []


async def test_T27_what_changed_since_it_was_shown_does_not_run(siege: Siege) -> None:
    def at_the_counter(statement: str) -> None:
        with closing(sqlite3.connect(siege.folder / "shop.db", timeout=60)) as shop, shop:
            shop.execute(statement)
        siege.desk.books.mark()

    # Before she signs.
    asked = await siege.refund("10.00")
    await siege.opens(MARIA)
    at_the_counter("UPDATE payments SET refunded = refunded + 100 WHERE order_number = 'NL-26017'")
    await (await siege.browser_of(MARIA)).decide("approve", asked["match_code"])
    assert (await siege.ai.outcome(asked["ticket"]))["status"] == "declined"
    assert siege.desk.books.unchanged
    # Between her signature and the effect.
    asked = await siege.credit()
    capability = await siege.approved(asked)
    at_the_counter("UPDATE customers SET fraud_score = 79 WHERE number = 'C-1001'")  # shown and judged, not compared
    at_the_counter("INSERT INTO credit_balances (customer, cents, version) VALUES ('C-1001', 700, 9)")
    answer = await siege.redeem(asked, capability)
    assert (answer["status"], answer.values["executed"]) == ("not_executed", False)
    assert siege.desk.books.unchanged


async def test_T28_whatever_stops_a_ticket_is_looked_at_when_it_is_redeemed(siege: Siege) -> None:
    admin = siege.desk.parts.administration
    asked = await siege.voucher()
    capability = await siege.approved(asked)
    ticket = await siege.ticket(asked)
    (signer,) = await siege.desk.parts.store.statements(ticket.id)
    for scope in (
        "everything", "account:C-1001", "operation:send_voucher", f"principal:{ticket.principal}",
        f"person:{signer.person}", f"ticket:{ticket.id}", f"principal-account:{ticket.principal}|C-1001",
        f"key:{siege.desk.parts.authority.keys.current.id}",
    ):  # fmt: skip
        await admin.suspend(scope=scope)
        assert not (await siege.redeem(asked, capability)).ok, scope
        await admin.resume(scope=scope)
    answers = await asyncio.gather(*(siege.redeem(asked, capability) for _ in range(10)))
    assert [answer.ok for answer in answers].count(True) == 1
    assert siege.vouchers == [asked["ticket"]]


async def test_T28_what_was_revoked_is_not_redeemed(siege: Siege) -> None:
    asked = await siege.voucher()
    capability = await siege.approved(asked)
    await siege.desk.parts.administration.revoke(scope=f"ticket:{asked['ticket']}")
    assert REFUSED in (await siege.redeem(asked, capability)).words
    await siege.stolen_order(asked)
    assert await siege.state(asked) == "revoked"
    assert siege.vouchers == []


async def test_T28_a_ticket_that_expired_is_not_redeemed_with_a_live_capability(siege: Siege) -> None:
    late = await siege.voucher("7.00")
    link = await siege.link(MARIA)
    maria = await siege.browser_of(MARIA)
    await maria.open(link)
    siege.desk.clock.move(DAY - 60)
    await maria.submit(f"{link.removeprefix(siege.desk.base_url)}/again", {})
    siege.desk.pass_time(0)
    capability = await siege.approved(late)
    assert capability
    siege.desk.clock.move(62)
    assert REFUSED in (await siege.redeem(late, capability)).words
    assert siege.vouchers == []


async def test_T29_a_spent_capability_is_spent_in_every_spelling(siege: Siege) -> None:
    asked = await siege.voucher()
    capability = await siege.approved(asked)
    header, payload, signature = capability.split(".")
    raw = unb64(signature)
    other_s = CURVE_ORDER - int.from_bytes(raw[32:])
    malleated = f"{header}.{payload}.{b64(raw[:32] + other_s.to_bytes(32))}"
    spaced = base64.urlsafe_b64encode(json.dumps(parse_strict(unb64(payload))).encode()).decode().rstrip("=")
    spellings = [
        capability, malleated, f"{capability}=", f"{capability}==", f" {capability}", f"{capability}\n",
        f"{capability}.",
        f"{header}=.{payload}.{signature}", f"{header}.{payload}=.{signature}", f"{header}.{spaced}.{signature}",
        capability[:-1] + chr(ord(capability[-1]) + 1), capability.replace("-", "+").replace("_", "/"),
    ]  # fmt: skip
    assert (await siege.redeem(asked, malleated))["status"] == "executed"
    for spelling in spellings:
        assert REFUSED in (await siege.redeem(asked, spelling)).words, spelling
    assert siege.vouchers == [asked["ticket"]]


async def test_T30_a_capability_is_checked_in_every_claim_and_header(siege: Siege) -> None:
    asked = await siege.voucher()
    genuine = await siege.approved(asked)
    claims = parse_strict(unb64(genuine.split(".")[1]))
    assert isinstance(claims, dict)
    key, own = held(siege.desk.parts.authority.keys.current), SigningKey.generate()
    now = siege.desk.parts.store.now()
    # Signed with the authority's own key, as if another use of it had been abused.
    forged = [
        sign(key, CAPABILITY_TYPE, claims | changed)
        for changed in (
            {"iss": "https://evil.example"}, {"aud": "embedded"}, {"aud": "https://evil.example"}, {"sub": "thief"},
            {"exp": now - 1}, {"iat": now + 60, "exp": now + 120}, {"ticket": "cf_" + "a" * 32},
            {"envelope": b64(bytes(32))},
            {"jti": b64(bytes(16))}, {"scope": "everything"}, {"exp": "9999999999"},
        )
    ]  # fmt: skip
    forged += [sign(key, kind, claims) for kind in (ORDER_TYPE, "cf-roster+jwt", "JWT", "")]
    forged.append(sign(own, CAPABILITY_TYPE, claims))
    genuine_header = parse_strict(unb64(genuine.split(".")[0]))
    assert isinstance(genuine_header, dict)
    for signer in (key, own):
        for more in (
            {"jwk": own.public.to_jwk()}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/x5u"},
            {"kid": own.id, "jwk": own.public.to_jwk()}, {"crit": ["exp"]}, {"alg": "none"}, {"alg": "HS256"},
            {"alg": "ES384"}, {"b64": False}, {"kid": None}, {"kid": ["x"]},
        ):  # fmt: skip
            forged.append(signed_with(signer, genuine_header | more, claims))
    header, payload, _ = genuine.split(".")
    forged += [
        f"{header}.{payload}.",
        f"{b64(b'{}')}.{payload}.",
        f"{b64(canonical(genuine_header | {'alg': 'none'}))}.{payload}.",
    ]
    for token in forged:
        assert REFUSED in (await siege.redeem(asked, token)).words, token
    assert siege.vouchers == []
    assert (await siege.redeem(asked, genuine))["status"] == "executed"


def signed_with(key: SigningKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A compact JWS with any header, signed by ES256 whatever it says."""
    text = f"{b64(json.dumps(header).encode())}.{b64(canonical(claims))}"
    private = load_pem_private_key(key.to_pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


# Secrets, errors, enrolment -------------------------------------------------------------------------------------------


async def test_T32_secrets_are_stored_by_their_digests_and_wrong_ones_are_answered_alike(siege: Siege) -> None:
    admin = siege.desk.parts.administration
    token = (await admin.call("principals_add", {"name": "leaver"}))["token"]
    stop = await siege.ai.call("request_recover_account", account="j.okafor@mail.example", new_email="j@new.example")
    objection = await siege.desk.message("j.okafor@mail.example", "you can stop")
    assert stop.ok
    asked = await siege.credit()
    link, invited = await siege.link(MARIA), await siege.desk.invite("Tomasz", "tomasz@x.example", roles=["identity"])
    maria = await siege.browser_of(MARIA)
    await maria.open(link)
    visit = maria.http.cookies["counterfoil-visit"]
    await maria.sign_in(link)
    await maria.read()
    session = maria.http.cookies["counterfoil"]
    await maria.decide("approve", asked["match_code"])
    capability = await siege.capability(asked)
    stored = siege.dump() + (siege.database.parent / "counterfoil.db-wal").read_bytes().decode("latin-1")
    assert asked["ticket"] in stored
    for secret in (
        token, token.removeprefix("cfp_"), link.rpartition("/")[2], (objection.link or "").rpartition("/")[2],
        objection.code or "", invited.rpartition("/")[2], visit, session, capability, capability.rpartition(".")[2],
    ):  # fmt: skip
        assert len(secret) >= 8
        assert secret not in stored

    async def bearer(presented: str) -> tuple[int, str]:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            sent = headers(authorization=f"Bearer {presented}")
            answer = await http.post(f"{siege.desk.base_url}/mcp", content="{}", headers=sent)
        return answer.status_code, answer.text

    await admin.call("principals_disable", {"name": "leaver"})
    assert {await bearer(each) for each in (token, new_token(), "x", token[:-1])} == {await bearer(new_token())}

    await (await siege.stranger()).enrol(invited)
    siege.desk.clock.move(8 * DAY)
    expired = await siege.desk.invite("Tomasz", "tomasz.again@x.example", roles=["identity"])
    siege.desk.clock.move(8 * DAY)
    stranger = await siege.stranger()
    answers = set()
    for secret in (
        invited.rpartition("/")[2],
        expired.rpartition("/")[2],
        link.rpartition("/")[2],
        b64(bytes(32)),
        "x",
    ):
        for method in ("GET", "POST"):
            path = f"/enrol/{secret}" if method == "GET" else f"/enrol/{secret}/options"
            answer = await stranger.http.request(method, path)
            answers.add((method, answer.status_code, answer.text))
    assert len(answers) == 2
    answers = set()
    for secret in (link.rpartition("/")[2], invited.rpartition("/")[2], b64(bytes(32)), "x"):
        answer = await stranger.http.get(f"/l/{secret}")
        answers.add(("GET", answer.status_code, answer.text))
    assert len(answers) == 1
    assert {(await siege.redeem(asked, each)).words for each in (capability, "x", capability[:-2])} == {
        (await siege.redeem({"ticket": "cf_x"}, capability)).words  # type: ignore[arg-type]
    }


async def test_T34_an_error_in_the_policy_means_no(prepared: Prepared, tmp_path: Path) -> None:
    failing = (
        '@id("Fails.") forbid (principal, action == Action::"goodwill_credit", resource)'
        " when { context.counters.count_24h + 9223372036854775807 < 0 };"
    )
    async with besieged(prepared, tmp_path, policy=failing) as siege:
        await nobody_can_approve(siege)


async def test_T34_an_error_in_a_fraud_signal_means_no(siege: Siege) -> None:
    with closing(sqlite3.connect(siege.folder / "shop.db", timeout=60)) as shop, shop:
        shop.execute("ALTER TABLE customers RENAME COLUMN fraud_score TO moved_elsewhere")
    siege.desk.books.mark()
    await nobody_can_approve(siege)


async def nobody_can_approve(siege: Siege) -> None:
    asked = await siege.credit()
    assert "Nobody can approve this request" in (await siege.opens(MARIA)).text
    await refused(await siege.browser_of(MARIA), "approve", asked["match_code"])
    assert await siege.capability(asked) == ""
    assert await siege.state(asked) == "pending"
    assert siege.desk.books.unchanged


async def test_T34_what_cannot_be_written_to_the_log_does_not_happen(siege: Siege) -> None:
    asked = await siege.credit()
    await siege.opens(MARIA)
    maria = await siege.browser_of(MARIA)
    siege.edit("CREATE TRIGGER full BEFORE INSERT ON leaf BEGIN SELECT raise(ABORT, 'no more'); END")
    assert (await refused(maria, "approve", asked["match_code"])).status == 503
    assert not (await siege.credit("6.00")).ok
    assert await siege.state(asked) == "pending"
    assert (await siege.desk.ticket(asked["ticket"]))["statements"] == []
    assert len(await siege.desk.parts.administration.tickets_list()) == 1
    siege.edit("DROP TRIGGER full")
    await maria.read()
    await maria.decide("approve", asked["match_code"])
    capability = await siege.capability(asked)
    siege.edit("CREATE TRIGGER full BEFORE INSERT ON leaf BEGIN SELECT raise(ABORT, 'no more'); END")
    assert not (await siege.redeem(asked, capability)).ok
    assert siege.desk.books.unchanged


async def test_T35_passkeys_are_added_by_invitation_only_and_every_address_is_told(siege: Siege) -> None:
    admin = siege.desk.parts.administration
    maria = next(each for each in await admin.people_list() if each["name"] == MARIA.name)
    moved = Invited(MARIA.name, ("C-1001",), (), ("maria@new.example",), person=maria["person"])
    url = (await invitations.invite(admin.call, siege.desk.parts.configuration, moved)).url
    careless = await siege.stranger(SoftwareAuthenticator(user_verified=False))
    with pytest.raises(PageRefused):
        await careless.enrol(url)
    await (await siege.stranger()).enrol(url)
    for address in (MARIA.email, "maria@new.example"):
        assert ["a passkey was added" in message.subject for message in await siege.posted(address)] == [True]
    thief = await siege.stranger()
    with pytest.raises(PageRefused, match="not valid, or not any more"):
        await thief.enrol(url)

    late = await siege.desk.invite("Tomasz", "tomasz@x.example", roles=["identity"])
    path = await thief.open(late)
    siege.desk.clock.move(8 * DAY)
    with pytest.raises(PageRefused):
        await thief.post(f"{path}/options")
    with pytest.raises(PageRefused):
        await thief.enrol(late)
    assert [each["passkeys"] for each in await admin.people_list() if each["name"] in (MARIA.name, "Tomasz")] == [2, 0]

    # A record that the roster's key did not sign is not taken, whoever brings it.
    head = await admin.roster_head()
    record = Invitation(
        version=head["version"], previous=head["previous"], person=maria["person"], name="Eve", accounts=("C-1001",),
        roles=("finance",), channels=(), secret_key=b64(bytes(32)), iat=head["now"], exp=head["now"] + DAY,
    )  # fmt: skip
    for key in (SigningKey.generate(), held(siege.desk.parts.authority.keys.current)):
        with pytest.raises(RosterRefused):
            await admin.roster_append(record=sign_record(key, record))
