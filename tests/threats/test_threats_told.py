"""T51 to T54: what a signature means, and what is told to whom."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from hashlib import sha256, sha512
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from story_set import MARIA

from capabilities.test_statements import number, text
from counterfoil.canonical import b64, unb64
from counterfoil.statements import APPROVE_NAMESPACE, DECLINE_NAMESPACE
from counterfoil.testing import Answer
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.testing import PageRefused, SoftwarePasskey
from threats.siege import Siege


async def test_T51_a_signature_means_one_thing(siege: Siege, tmp_path: Path) -> None:
    asked = await siege.credit()
    maria = await siege.browser_of(MARIA)
    path = await maria.open(await siege.link(MARIA))
    challenge = await maria.post(f"{path}/challenge")
    assert len(unb64(challenge["challenge"])) == 32
    signed_in = maria.authenticator.get(challenge, maria.origin)
    await maria.post(f"{path}/sign-in", signed_in)
    await maria.read()
    approve = await maria.post("/decide/statement", {"decision": "approve", "code": asked["match_code"]})
    decline = await maria.post("/decide/statement", {"decision": "decline"})
    for taken in (signed_in, maria.authenticator.get(decline, maria.origin)):
        relabelled = maria.authenticator.get(approve, maria.origin)
        for part in ("signature", "authenticatorData"):
            relabelled["response"][part] = taken["response"][part]
        with pytest.raises(PageRefused):
            await maria.post("/decide/signature", relabelled)
        approve = await maria.post("/decide/statement", {"decision": "approve", "code": asked["match_code"]})
    assert await siege.state(asked) == "pending"

    # Of what her passkey signed, OpenSSH takes each for what it is and for nothing else.
    statements = {
        json.loads(data)["statement"] for (data,) in siege.rows("SELECT data FROM secret WHERE kind = 'offer'")
    }
    passkey = siege.prepared.passkeys[MARIA.name][0]
    for offer, own in ((approve, APPROVE_NAMESPACE), (decline, DECLINE_NAMESPACE)):
        response = maria.authenticator.get(offer, maria.origin)["response"]
        blob = unb64(offer["challenge"])
        (statement,) = [each for each in statements if sha512(each.encode()).digest() == blob[-64:]]
        for namespace in (APPROVE_NAMESPACE, DECLINE_NAMESPACE, "git", "file"):
            good = ssh_takes(tmp_path, statement.encode(), response, passkey, namespace)
            assert good == (namespace == own), (namespace, own)


def ssh_takes(
    folder: Path, statement: bytes, response: dict[str, str], passkey: SoftwarePasskey, namespace: str
) -> bool:
    """Whether ``ssh-keygen`` takes the assertion for a signature over the statement in this namespace."""
    numbers = passkey.key.public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
    key = text(b"sk-ecdsa-sha2-nistp256@openssh.com") + text(b"nistp256") + text(point) + text(passkey.party.encode())
    data, client = unb64(response["authenticatorData"]), unb64(response["clientDataJSON"])
    r, s = decode_dss_signature(unb64(response["signature"]))
    signature = (
        text(b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com") + text(number(r) + number(s)) + data[32:37]
        + text(json.loads(client)["origin"].encode()) + text(client) + text(b"")
    )  # fmt: skip
    blob = (
        b"SSHSIG"
        + (1).to_bytes(4)
        + text(key)
        + text(namespace.encode())
        + text(b"")
        + text(b"sha512")
        + text(signature)
    )
    lines = ["-----BEGIN SSH SIGNATURE-----", *wrapped(blob), "-----END SSH SIGNATURE-----", ""]
    (folder / "signature").write_text("\n".join(lines))
    ran = subprocess.run(
        ["ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", "signature"],
        input=statement, cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return ran.returncode == 0


def wrapped(blob: bytes) -> list[str]:
    encoded = b64encode(blob).decode()
    return [encoded[at : at + 70] for at in range(0, len(encoded), 70)]


async def test_T52_the_ai_sees_no_link_and_cannot_make_one(siege: Siege) -> None:
    answers = [await siege.credit(), await siege.refund()]
    credit = answers[0]
    links = [message.link or "" for message in await siege.posted(MARIA.email)]
    assert len(links) == 2
    answers += [await siege.credit(), await siege.ai.call("ticket_status", ticket=credit["ticket"])]
    answers.append(await siege.ai.call("explain_requirements", operation="refund"))
    for link in links:
        await (await siege.browser_of(MARIA)).open(link)
    answers += [
        await siege.ai.call("cancel_ticket", ticket=credit["ticket"]),
        await siege.ai.call("ticket_status", ticket="x"),
    ]
    calls = siege.rows("SELECT * FROM call")
    seen = json.dumps([[answer.words, answer.values] for answer in answers] + [list(map(str, row)) for row in calls])
    seen += str(await siege.ai.tools())
    for link in links:
        assert link.rpartition("/")[2] not in seen
    for locator in ("/l/", "/o/", "/u/", "/enrol/", "http:"):
        assert locator not in seen
    # What it knows is worth nothing as a locator.
    stranger = await siege.stranger()
    known = {credit["ticket"], credit["ticket"].removeprefix("cf_"), credit["match_code"]}
    for value in known:
        for guess in (value, b64(value.encode()), b64(sha256(value.encode()).digest())):
            for kind in ("l", "o", "u", "enrol"):
                assert (await stranger.http.get(f"/{kind}/{guess}")).status_code == 404


async def test_T53_the_holder_is_told_of_an_execution_on_the_old_and_the_new_channel(siege: Siege) -> None:
    admin, configuration = siege.desk.parts.administration, siege.desk.parts.configuration
    (maria,) = [each for each in await admin.people_list() if each["name"] == MARIA.name]

    async def moves_to(address: str) -> None:
        moved = Invited(MARIA.name, ("C-1001",), (), (address,), person=maria["person"])
        await invitations.invite(admin.call, configuration, moved)

    await moves_to("maria@second.example")
    asked = await siege.refund()
    link = (await siege.desk.message("maria@second.example", "waits for your decision")).link
    await moves_to("maria@third.example")
    await (await siege.browser_of(MARIA)).open_and_decide(link or "", "approve", asked["match_code"])
    await siege.desk.state_becomes(asked["ticket"], "executed")
    for address in (MARIA.email, "maria@second.example", "maria@third.example"):
        told = [message for message in await siege.posted(address) if "was carried out" in message.subject]
        assert len(told) == 1, address
        assert "39.00" not in told[0].text


async def test_T54_what_the_ai_is_answered_tells_nothing_of_accounts_objects_or_limits(siege: Siege) -> None:
    explained = await siege.ai.call("explain_requirements", operation="refund")
    answers: set[str] = set()
    for account in ("C-1001", MARIA.email, "C-1005", "C-9999", "Erik Johansson", "", "' OR 1=1 --"):
        for order in ("NL-26017", "NL-26020", "NL-99999"):
            asked = await siege.refund("39.00", order=order, account=account)
            answers.add(anonymous(asked))
            await siege.ai.call("cancel_ticket", ticket=asked["ticket"])
    assert len(answers) == 1
    assert await siege.ai.call("explain_requirements", operation="refund") == explained
    # Over the account's limit of waiting requests, and over what was paid.
    later = [await siege.refund(f"100000.0{number}", account="C-1001") for number in range(7)]
    assert {anonymous(asked) for asked in later} == answers
    # Nor in the time it takes: the records are asked as often for an account that is not there.
    for account in (MARIA.email, "C-9999"):
        before = siege.records_read
        await siege.voucher(account=account)
        assert siege.records_read == before + 1


def anonymous(asked: Answer) -> str:
    """An answer without what is random in it."""
    said = f"{asked.ok} {asked.words} {sorted(asked.values.items())}"
    for name in ("ticket", "match_code", "expires_at"):
        said = said.replace(str(asked.values.get(name, name)), f"<{name}>")
    return said
