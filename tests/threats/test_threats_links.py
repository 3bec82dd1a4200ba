"""T01 to T10: whoever opens the link."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from story_cast import Role
from story_set import AMELIE, INES, JONAS, MARIA, PRIYA, TOMASZ, eur

from counterfoil.canonical import b64
from counterfoil.request_verbs import new_ticket_id
from counterfoil_server.testing import PageRefused, SoftwareAuthenticator
from threats.siege import ASKED, Siege, invitation, refused

JONATHAN = "j.okafor@mail.example"
"""Holds an account, and no passkey: messages to him can stop a request."""

EVE = "eve@evil.example"


async def test_T01_a_link_opened_by_another_person_is_refused_and_shows_nothing(siege: Siege) -> None:
    await siege.refund()
    link = await siege.link(MARIA)
    ines = await siege.browser_of(INES)
    with pytest.raises(PageRefused, match="not valid, or not for you") as refusal:
        await ines.sign_in(link)
    seen = f"{refusal.value.answer} {ines.page.html}"
    for path in ("/decide", "/done", "/done/status"):
        answer = await ines.http.get(path)
        assert answer.status_code == 404
        seen += answer.text
    for told in ("39.00", "NL-26017", "C-1001", "Maria", "Lampshade", "efund"):
        assert told not in seen


async def test_T02_a_link_signs_nobody_in_and_tells_nothing(siege: Siege) -> None:
    asked = await siege.refund(note="The customer is angry")
    message = await siege.desk.message(MARIA.email, ASKED)
    assert message.link is not None
    address = urlsplit(message.link)
    assert re.fullmatch(r"/l/[A-Za-z0-9_-]{43}", address.path)
    assert (address.query, address.fragment) == ("", "")
    stranger = await siege.stranger()
    await stranger.open(message.link)
    told = ("39.00", "NL-26017", "C-1001", "Maria", "maria", "ai-", "angry", asked["ticket"], asked["match_code"])
    for secret in told:
        assert secret not in stranger.page.html + message.subject + message.text
    assert set(stranger.http.cookies) == {"counterfoil-visit"}
    for path in ("/decide", "/done", "/settle", "/stop"):
        assert (await stranger.http.get(path)).status_code == 404


async def test_T03_nothing_that_the_ai_names_says_who_is_asked(siege: Siege) -> None:
    note = f"The holder is {EVE}; write to {EVE}"
    asked = await siege.ai.call("request_recover_account", account=MARIA.email, new_email=EVE, note=note)
    await siege.ai.call("request_recover_account", account=EVE, new_email=EVE)
    await siege.credit(reason=f"To {EVE}", account=f"Maria Lindqvist <{EVE}>")
    assert await siege.posted(EVE) == []
    assert {kept.to for kept in siege.desk.mailbox.messages()} == {MARIA.email, PRIYA.email}
    assert f"Afterwards {EVE}" in (await siege.opens(MARIA)).text
    people = await siege.desk.parts.administration.people_list()
    concerned = {each["person"] for each in people if each["accounts"] == ["C-1001"] or "identity" in each["roles"]}
    assert {sent["recipient"] for sent in (await siege.desk.ticket(asked["ticket"]))["notices"]} == concerned


async def test_T04_ticket_ids_cannot_be_guessed_and_mean_nothing_to_another_agent(siege: Siege) -> None:
    mine = [await siege.credit()]
    capability = await siege.approved(mine[0])
    mine += [await siege.credit(reason=f"Reason {number}") for number in range(3)]
    for asked in mine:
        body = re.fullmatch(r"cf_([a-z2-7]+)", asked["ticket"])
        assert body is not None
        assert len(body[1]) * 5 >= 128
    assert len({asked["ticket"][:12] for asked in mine}) == len(mine)

    thief = await siege.desk.assistant(name="thief")
    unknown = new_ticket_id()
    for tool in ("ticket_status", "cancel_ticket", "redeem_ticket"):
        more = {"capability": capability} if tool == "redeem_ticket" else {}
        answers = [await thief.call(tool, ticket=ticket, **more) for ticket in (mine[0]["ticket"], unknown)]
        assert not answers[0].ok
        assert answers[0] == answers[1]
    assert await siege.state(mine[0]) == "approved"
    assert siege.desk.books.unchanged


async def test_T05_one_person_fills_one_seat_and_nobody_one_for_their_own_agent(siege: Siege) -> None:
    ask = {"account": MARIA.email, "order_id": "NL-26027", "amount": eur("5500.00")}
    asked = await siege.ai.call("request_refund", **ask)
    await siege.approves(MARIA, asked["match_code"])
    await siege.approves(AMELIE)
    amelie = await siege.browser_of(AMELIE)
    assert (await amelie.status())["headline"] == "Your approval is recorded"
    with pytest.raises(PageRefused, match="already decided"):
        await amelie.decide("approve")
    assert await siege.state(asked) == "pending"

    # Of the finance staff, one holds the account, and one is behind the agent.
    both = Role("Maria at work", ("C-1001",), ("finance",), "maria@northlight.example")
    await (await siege.browser_of(both)).enrol(await invitation(siege.desk, both))
    (jonas,) = [each for each in await siege.desk.parts.administration.people_list() if each["name"] == JONAS.name]
    added = await siege.desk.parts.administration.call("principals_add", {"name": "his", "owner": jonas["person"]})
    client = type(siege.ai).connected(f"{siege.desk.base_url}/mcp", added["token"])
    his = await siege.desk.stack.enter_async_context(client)
    before = {kept.number for kept in siege.desk.mailbox.messages()}
    second = await his.call("request_refund", **ask | {"amount": eur("5500.01")})
    await siege.approves(MARIA, second["match_code"])
    await siege.approves(AMELIE)
    reached = [
        (JONAS if kept.to == JONAS.email else both, kept.message.link or "")
        for kept in siege.desk.mailbox.messages()
        if kept.number not in before and kept.to in (JONAS.email, both.email) and ASKED in kept.message.subject
    ]
    for person, link in reached:
        with suppress(PageRefused):
            await (await siege.browser_of(person)).open_and_decide(link, "approve", second["match_code"])
    assert {person.name for person, _ in reached} <= {both.name}
    assert await siege.state(second) == "pending"
    assert siege.desk.books.unchanged


async def test_T06_a_hundred_visits_to_every_link_change_nothing(siege: Siege) -> None:
    asked = await siege.refund()
    stoppable = await siege.ai.call("request_recover_account", account=JONATHAN, new_email="jo@evil.example")
    to_priya, to_jonathan = await siege.link(PRIYA), await siege.desk.message(JONATHAN, "you can stop")
    links = [await siege.link(MARIA), to_priya, to_jonathan.link or "", await invitation(siege.desk, TOMASZ)]
    await siege.desk.parts.conversation.recorder.flush()  # the calls just made are recorded a moment later
    before = siege.dump()
    scanner = await siege.stranger()
    for _ in range(25):
        for link in links:
            for method in ("GET", "HEAD"):
                for purpose in ({"sec-purpose": "prefetch"}, {"user-agent": "SafeLinks"}):
                    assert (await scanner.http.request(method, link, headers=purpose)).status_code == 200
            scanner.http.cookies.clear()
    assert siege.dump() == before
    assert {await siege.state(asked), await siege.state(stoppable)} == {"pending"}
    await siege.desk.parts.store.verify_log()
    await (await siege.browser_of(MARIA)).open_and_decide(links[0], "approve", asked["match_code"])
    await siege.desk.state_becomes(asked["ticket"], "executed")


async def test_T07_a_scanner_that_runs_scripts_and_presses_every_button_changes_nothing(siege: Siege) -> None:
    asked = await siege.refund()
    stoppable = await siege.ai.call("request_recover_account", account=JONATHAN, new_email="jo@evil.example")
    link, stop = await siege.link(MARIA), (await siege.desk.message(JONATHAN, "you can stop")).link or ""
    scanner = await siege.stranger()
    path = await scanner.open(link)
    options = await scanner.post(f"{path}/challenge")
    # A passkey of its own, with which it answers whatever it is asked.
    creation = {"rp": {"id": "localhost"}, "pubKeyCredParams": [{"alg": -7}], "challenge": options["challenge"]}
    scanner.authenticator.create(creation | {"user": {"id": b64(bytes(32))}}, scanner.origin)
    answer = scanner.authenticator.get(options, scanner.origin)
    for address, value in (
        (f"{path}/sign-in", answer),
        ("/decide/statement", {"decision": "approve", "code": asked["match_code"]}),
        ("/decide/statement", {"decision": "decline"}),
        ("/decide/signature", answer),
        ("/settle/statement", {"found": "executed", "reference": ""}),
        (f"{path}/again", {}),
    ):
        with pytest.raises(PageRefused):
            await scanner.post(address, value)
    path = await scanner.open(stop)
    for fields in (scanner.page.form, {"code": ""}, {"code": "AAAAAAAA"}, {"code": asked["match_code"]}):
        with pytest.raises(PageRefused):
            await scanner.submit(path, fields)
        with pytest.raises(PageRefused):
            await scanner.submit("/stop", {"disown": "yes"})
    for ticket in (asked, stoppable):
        shown = await siege.desk.ticket(ticket["ticket"])
        assert (shown["state"], shown["statements"]) == ("pending", [])
    assert await siege.desk.parts.administration.suspensions() == []


async def test_T08_a_session_without_a_fresh_verified_gesture_decides_nothing(siege: Siege) -> None:
    asked = await siege.refund()
    code = asked["match_code"]
    maria = await siege.browser_of(MARIA)
    path = await maria.open(await siege.link(MARIA))
    signed_in = maria.authenticator.get(await maria.post(f"{path}/challenge"), maria.origin)
    await maria.post(f"{path}/sign-in", signed_in)
    await maria.read()
    # From here on a thief has her session, and her passkey's answer to the sign-in.
    with pytest.raises(PageRefused, match="too late, or was used before"):
        await maria.post("/decide/signature", signed_in)
    for choice in ({"decision": "approve", "code": code}, {"decision": "decline", "disown": True}):
        offered = await maria.post("/decide/statement", choice)
        for thief in (
            replace(maria.authenticator, user_verified=False),
            replace(maria.authenticator, user_present=False),
            replace(maria.authenticator, sign_with=siege.prepared.passkeys[INES.name][0].key),
            replace(maria.authenticator, origin="https://evil.example"),
        ):
            with pytest.raises(PageRefused):
                await maria.post("/decide/signature", thief.get(offered, maria.origin))
            offered = await maria.post("/decide/statement", choice)
        relabelled = maria.authenticator.get(offered, maria.origin)
        relabelled["response"]["signature"] = signed_in["response"]["signature"]
        with pytest.raises(PageRefused):
            await maria.post("/decide/signature", relabelled)
    assert (await siege.desk.ticket(asked["ticket"]))["statements"] == []
    assert await siege.state(asked) == "pending"
    await maria.decide("approve", code)
    await siege.desk.state_becomes(asked["ticket"], "executed")


async def test_T09_whoever_has_the_mailbox_approves_nothing(siege: Siege) -> None:
    asked = await siege.ai.call("request_recover_account", account=JONATHAN, new_email="jo@evil.example")
    message = await siege.desk.message(JONATHAN, "you can stop")
    assert message.link is not None
    assert message.code is not None
    thief = await siege.stranger(SoftwareAuthenticator())
    path = await thief.open(message.link)
    await thief.submit(path, {"code": message.code})
    # The session that the code began is tried in the place of every other.
    for name in ("counterfoil", "counterfoil-settle"):
        thief.http.cookies.set(name, thief.http.cookies["counterfoil-stop"])
    for choice in ("approve", "decline"):
        with pytest.raises(PageRefused):
            await thief.post("/decide/statement", {"decision": choice, "code": asked["match_code"]})
    await thief.submit("/stop", {"decision": "approve"})
    assert await siege.state(asked) == "declined"
    siege.desk.pass_time(2 * 86400)
    await siege.desk.parts.dispatcher.look()
    assert siege.desk.books.unchanged


async def test_T10_the_match_code_is_typed_across_and_never_shown(siege: Siege) -> None:
    asked = await siege.refund()
    code = asked["match_code"]
    page = await siege.opens(MARIA)
    maria = await siege.browser_of(MARIA)
    assert code not in page.html
    assert "Code from the chat" in page.text
    assert (await refused(maria, "approve")).answer["code"] == "code_refused"
    wrong = f"{(int(code) + 1 + secrets.randbelow(999_998)) % 1_000_000:06d}"
    for tries in range(2):
        refusal = await refused(maria, "approve", wrong)
        assert code not in str(refusal.answer)
        assert await siege.state(asked) == ("pending" if tries == 0 else "declined")
    assert siege.desk.books.unchanged
