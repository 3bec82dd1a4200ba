"""Messages leave by SMTP, or into the demo's mailbox."""

from __future__ import annotations

import ssl
from pathlib import Path

import anyio
import pytest

from counterfoil.errors import SettingsError
from counterfoil_server.notices.messages import Message, compose
from counterfoil_server.notices.smtp import Encryption, SMTPTransport
from counterfoil_server.notices.transports import KEPT, Mailbox, NotDelivered
from server.notices.mail_server import MailServer, certificate, html_of, let_in, text_of

MESSAGE = compose(
    "approve", organisation="Acme Ünterstützung", title="Refund", at=1_790_000_000, link="https://acme.example/l/s3"
)
SENDER = "Acme support <notices@acme.example>"
TO = "ada@customer.example"


def transport(server: MailServer, tls: Encryption = "none", **more: object) -> SMTPTransport:
    return SMTPTransport("127.0.0.1", server.port, SENDER, tls=tls, **more)  # type: ignore[arg-type]


async def failure(sender: SMTPTransport, to: str = TO) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        await sender.send(MESSAGE, to)
    return caught.value


async def test_a_message_arrives_as_plain_text_with_an_html_alternative(server: MailServer) -> None:
    await transport(server).send(MESSAGE, TO)
    [mail], [envelope] = server.received, server.envelopes
    assert envelope.mail_from == "notices@acme.example"
    assert envelope.rcpt_tos == [TO]
    assert server.introduced_as == ["acme.example"]
    assert mail["From"] == SENDER
    assert mail["To"] == TO
    assert mail["Subject"] == MESSAGE.subject
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@acme.example>")
    assert mail["Date"].datetime.tzinfo is not None
    assert text_of(mail) == MESSAGE.text
    assert html_of(mail).strip() == MESSAGE.html.strip()


async def test_a_temporary_refusal_may_be_tried_again(server: MailServer) -> None:
    server.replies.append("451 try later, ada@customer.example")
    error = await failure(transport(server))
    assert not error.permanent
    assert "451" in error.happened


async def test_a_refused_recipient_is_permanent_and_the_servers_words_stay_with_it(server: MailServer) -> None:
    server.recipient_replies.append("550 no ada@customer.example here, see https://mail.test/why")
    error = await failure(transport(server))
    assert error.permanent
    assert error.happened == "The mail server refused the recipient's address for good (550)."


async def test_a_refused_message_is_permanent(server: MailServer) -> None:
    server.replies.append("554 smells like spam")
    error = await failure(transport(server))
    assert error.permanent
    assert error.happened == "The mail server refused the message for good (554)."


async def test_a_server_that_is_down_may_be_tried_again(server: MailServer) -> None:
    sender = transport(server)
    await server.stop()
    error = await failure(sender)
    assert not error.permanent
    assert error.happened == "The mail server cannot be reached."
    await server.start()
    await sender.send(MESSAGE, TO)
    assert len(server.received) == 1


async def test_a_server_that_does_not_answer_is_left_after_the_timeout(server: MailServer) -> None:
    server.open_gate.clear()
    error = await failure(transport(server, timeout=0.2))
    server.open_gate.set()
    assert not error.permanent
    assert error.happened == "The mail server did not answer within 0.2 seconds."


@pytest.mark.parametrize(
    "to",
    [
        "", "ada", "ada@", "@customer.example", "Ada <ada@customer.example>", "a@x.example, b@x.example",
        "a@x.example b@x.example", "ada@customer.example\nBcc: all@evil.example", "ada@customer.example\r\nDATA",
        "ada@customer.example>", "ada@customer.example\x00", "ada@customer\u200b.example", '"ada"@customer.example',
        "ada@customer.example (Ada)",
    ],
)  # fmt: skip
async def test_only_exactly_one_address_is_written_to(server: MailServer, to: str) -> None:
    error = await failure(transport(server), to)
    assert error.permanent
    assert "not one e-mail address" in error.happened
    assert server.attempts == 0
    with pytest.raises(NotDelivered):
        await Mailbox().send(MESSAGE, to)


async def test_a_header_cannot_be_added_even_by_a_subject_that_was_not_checked(server: MailServer) -> None:
    with pytest.raises((ValueError, NotDelivered)):
        await transport(server).send(Message("Hello\r\nBcc: all@evil.example", "text", "<p>text</p>"), TO)
    assert server.attempts == 0


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_is_encrypted_and_the_server_recognised(tls: Encryption, tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path)
    server = await _encrypted(tls, context).start()
    await transport(server, tls, certificates=trusted).send(MESSAGE, TO)
    assert server.encrypted == [True]
    error = await failure(transport(server, tls))
    assert error.happened == "The mail server's certificate is not trusted."
    assert not error.permanent
    assert len(server.received) == 1
    await server.stop()


async def test_a_login_is_made_over_an_encrypted_connection(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path)
    server = _encrypted("starttls", context)
    server.options |= {"auth_required": True, "authenticator": let_in}
    await server.start()
    await transport(server, "starttls", certificates=trusted, username="mailer", password="correct horse").send(
        MESSAGE, TO
    )
    assert len(server.received) == 1
    wrong = await failure(transport(server, "starttls", certificates=trusted, username="mailer", password="wrong"))
    assert wrong.happened == "The mail server refused the login (535)."
    nobody = await failure(transport(server, "starttls", certificates=trusted))
    assert nobody.happened == "The mail server wants a login or encryption (530)."
    assert not wrong.permanent
    assert not nobody.permanent
    await server.stop()


async def test_starttls_that_is_not_offered_is_never_skipped(server: MailServer) -> None:
    error = await failure(transport(server, "starttls"))
    assert error.happened == "The mail server does not offer STARTTLS."
    assert server.attempts == 0


async def test_tls_with_a_server_that_speaks_none_is_explained(server: MailServer) -> None:
    error = await failure(transport(server, "tls", timeout=5))
    assert error.happened == "The mail server does not speak TLS on this port."
    assert "starttls" in error.remedy
    assert server.attempts == 0


async def test_a_login_that_the_server_does_not_offer_is_explained(server: MailServer) -> None:
    error = await failure(transport(server, username="mailer", password="correct horse"))
    assert error.happened == "The mail server offers no login that can be used."


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tls": "ssl"}, "tls is unknown"),
        ({"username": "mailer"}, "only half of a login"),
        ({"tls": "none", "username": "mailer", "password": "x"}, "password without encryption"),
        ({"host": ""}, "name no server"),
        ({"port": 0}, "name no server"),
        ({"sender": "Acme support"}, "sender is no address"),
        ({"sender": "Acme <a@acme.example>\nBcc: x@evil.example"}, "sender is no address"),
        ({"certificates": Path("missing.pem")}, "cannot be read"),
        ({"certificates": Path(__file__)}, "cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_clear_words(settings: dict[str, object], words: str) -> None:
    values = {"host": "mail.acme.example", "port": 587, "sender": SENDER, **settings}
    with pytest.raises(SettingsError, match=words):
        SMTPTransport(**values)  # type: ignore[arg-type]


async def test_the_mailbox_keeps_the_newest_messages() -> None:
    mailbox = Mailbox(lambda: 1_790_000_000.9)
    for _ in range(KEPT + 5):
        await mailbox.send(MESSAGE, TO)
    kept = mailbox.messages()
    assert [kept[0].number, kept[-1].number, len(kept)] == [KEPT + 5, 6, KEPT]
    assert kept[0].at == 1_790_000_000
    assert kept[0].to == TO


async def test_waiting_for_a_message_ends_when_it_arrives() -> None:
    mailbox = Mailbox()
    found: list[int] = []

    async def wait() -> None:
        kept = await mailbox.wait_for(lambda kept: kept.to == "bob@customer.example", timeout=60)
        found.append(kept.number)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await mailbox.send(MESSAGE, TO)
        await anyio.wait_all_tasks_blocked()
        assert found == []
        await mailbox.send(MESSAGE, "bob@customer.example")
    assert found == [2]
    assert (await mailbox.wait_for(lambda kept: kept.to == TO, timeout=60)).number == 1
    with pytest.raises(TimeoutError):
        await mailbox.wait_for(lambda kept: kept.number == 3, timeout=0)


def _encrypted(tls: str, context: ssl.SSLContext) -> MailServer:
    if tls == "tls":
        return MailServer(implicit_tls=context)
    return MailServer(options={"tls_context": context, "require_starttls": True})
