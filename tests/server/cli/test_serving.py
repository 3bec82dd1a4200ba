"""The serving process, and commands that reach it over its private socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from counterfoil_server import private_socket
from counterfoil_server.store import StateFolder
from server.cli.office import PROGRAM, Office, Served

FIFTY = {"value": "50.00", "currency": "EUR"}


async def request(url: str, token: str, **arguments: Any) -> dict[str, Any]:
    """Call ``request_pay`` as an AI client does, and answer its structured result."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30.0) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result = await client.call_tool("request_pay", arguments)
        assert not result.is_error, result
        return dict(result.structured_content or {})


def test_serve_says_where_it_listens_and_answers_there(office: Office, served: Served) -> None:
    found = served.ready["serving"]
    assert found["mcp"] == f"{office.public_url}/mcp"
    assert httpx2.get(found["health"], trust_env=False, timeout=60).json() == {"status": "ok"}
    assert httpx2.post(found["mcp"], json={}, trust_env=False, timeout=60).status_code == 401


def test_every_other_address_answers_with_a_page(office: Office, served: Served) -> None:
    base = served.ready["serving"]["listening"]
    home, nowhere = (httpx2.get(base + path, trust_env=False, timeout=60) for path in ("/", "/nothing/here"))
    assert (home.status_code, nowhere.status_code) == (200, 404)
    assert "When an AI asks The office for something that concerns you" in home.text
    assert "This did not work" in nowhere.text
    assert "There is no such page here." in nowhere.text
    assert httpx2.post(f"{base}/nothing", trust_env=False, timeout=60).status_code == 404
    assert all("default-src 'none'" in page.headers["content-security-policy"] for page in (home, nowhere))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_and_gives_the_folder_back(
    office: Office, served: Served, number: signal.Signals
) -> None:
    ended = served.stop(number)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert "ERROR" not in ended.err
    assert (office.state / "lock").read_text() == ""
    assert not (office.state / "admin.sock").exists()


def test_a_second_serve_is_refused_and_disturbs_nothing(office: Office, served: Served) -> None:
    second = office.run("serve", "--no-notices", "--json")
    assert (second.code, second.error["code"]) == (1, "state_folder_in_use")
    assert str(served.process.pid) in second.error["happened"]
    assert httpx2.get(served.ready["serving"]["health"], trust_env=False, timeout=60).status_code == 200


def test_an_address_that_is_taken_is_refused(office: Office) -> None:
    with socket.create_server(("127.0.0.1", office.port)):
        ran = office.run("serve", "--no-notices", "--json")
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert f"127.0.0.1:{office.port}" in ran.error["happened"]


def test_without_mail_settings_serve_is_refused(office: Office) -> None:
    ran = office.run("serve")
    assert ran.code == 2
    assert "no [smtp] settings" in ran.said
    assert "--no-notices" in ran.said
    assert not office.state.exists()


def test_a_missing_mail_password_is_found_at_start(office: Office) -> None:
    office.settings("[smtp]", 'host = "mail.office.example"', 'sender = "desk@office.example"', 'username = "desk"')
    ran = office.run("serve", "--json")
    assert (ran.code, ran.error["code"]) == (2, "settings_error")
    assert "COUNTERFOIL_SMTP_PASSWORD" in ran.error["happened"]


def test_for_people_serve_explains_itself(office: Office) -> None:
    shown, terminal = os.openpty()
    with (
        open(shown, "rb", buffering=0) as screen,
        subprocess.Popen(
            [*PROGRAM, "serve", "--no-notices"],
            cwd=office.folder,
            env={**os.environ, "TERM": "dumb"},
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        os.close(terminal)
        said = ""
        while "Stop with Ctrl-C" not in said:
            said += screen.read(4096).decode()
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "The office is being served" in said
    assert f"{office.public_url}/mcp" in said
    assert "First start" in err
    assert "nobody is told" in " ".join(err.split())


def test_where_nobody_watches_the_log_says_where_it_listens(office: Office) -> None:
    with subprocess.Popen(
        [*PROGRAM, "serve", "--no-notices"],
        cwd=office.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "nobody is told" in line:
                break
        process.terminate()
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert f"The office is being served: mcp {office.public_url}/mcp, " in said
    assert "First start" in said


async def test_a_principal_that_is_added_while_serving_can_call_at_once(office: Office, served: Served) -> None:
    token = office.json("principals", "add", "bot")["token"]
    pending = await request(served.ready["serving"]["mcp"], token, account="A-1", amount=FIFTY)
    assert pending["status"] == "pending"
    [ticket] = office.json("tickets", "list")
    assert (ticket["ticket"], ticket["state"], ticket["principal"]) == (pending["ticket"], "pending", "bot")
    [call] = [call for call in office.json("calls", "list") if call["tool"] == "request_pay"]
    assert call["principal"] == "bot"


async def test_a_ticket_is_revoked_while_serving(office: Office, served: Served) -> None:
    token = office.json("principals", "add", "bot")["token"]
    pending = await request(served.ready["serving"]["mcp"], token, account="A-1", amount=FIFTY)
    answer = office.json("revoke", f"ticket:{pending['ticket']}", "--reason", "not ours")
    assert answer["revoked"] == 1
    shown = office.json("tickets", "show", pending["ticket"])
    assert shown["state"] == "revoked"
    [barred] = office.json("suspensions")
    assert (barred["final"], barred["reason"]) == (True, "not ours")
    assert [leaf["event"] for leaf in shown["log"]] == ["request", "revoke"]


def test_stopping_works_while_desk_and_policy_on_disk_are_broken(office: Office, served: Served) -> None:
    office.write("desk.py", "broken(")
    office.write("policy.cedar", "broken(")
    assert office.json("revoke", "all", "--yes")["scope"] == "everything"
    assert office.json("suspend", "all") == {"scope": "everything", "suspended": True}


async def test_a_disabled_principal_is_refused_from_the_next_call_on(office: Office, served: Served) -> None:
    token = office.json("principals", "add", "bot")["token"]
    url = served.ready["serving"]["mcp"]
    await request(url, token, account="A-1", amount=FIFTY)
    office.json("principals", "disable", "bot")
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx2.post(url, json={}, headers=headers, trust_env=False, timeout=60).status_code == 401


def test_people_are_invited_while_serving(office: Office, served: Served) -> None:
    invited = office.json("people", "invite", "Ana", "--account", "A-1", "--email", "ana@office.example")
    page = httpx2.get(invited["url"], trust_env=False, timeout=60)
    assert page.status_code == 200
    spoiled = httpx2.get(invited["url"][:-2], trust_env=False, timeout=60)
    assert spoiled.status_code != 200
    ended = served.stop()
    assert invited["url"].rsplit("/", 1)[1] not in ended.out + ended.err


def test_refusals_of_the_serving_process_are_the_same(office: Office, served: Served) -> None:
    ran = office.run("tickets", "show", "cf_none", "--json")
    assert (ran.code, ran.error["code"]) == (1, "unknown_name")


def test_a_restored_log_is_not_accepted_while_serving(office: Office, served: Served) -> None:
    ran = office.run("doctor", "--accept-log", "--yes", "--json")
    assert (ran.code, ran.error["code"]) == (1, "state_folder_in_use")


def test_an_owner_that_does_not_answer_is_said_to_be_unreachable(office: Office) -> None:
    office.json("principals", "list")
    with StateFolder.open(office.state):
        ran = office.run("principals", "list", "--json")
    assert (ran.code, ran.error["code"]) == (4, "not_reachable")


def test_what_a_dead_owner_left_behind_blocks_nobody(office: Office, served: Served) -> None:
    served.process.kill()
    served.process.wait()
    assert (office.state / "admin.sock").exists()
    assert office.json("principals", "add", "bot")["principal"] == "bot"


def test_a_command_is_never_sent_twice(office: Office) -> None:
    office.json("principals", "list")
    with StateFolder.open(office.state), dying_owner(office) as heard:
        ran = office.run("principals", "add", "bot", "--json")
    assert (ran.code, ran.error["code"]) == (4, "not_reachable")
    assert "may or may not" in ran.error["happened"]
    assert len(heard) == 1


@contextmanager
def dying_owner(office: Office) -> Iterator[list[bytes]]:
    """An owner that hears commands and dies before it answers."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        with private_socket.path_of(office.state, private_socket.ADMINISTRATION) as path:
            listener.bind(path)
        listener.listen()

        def hear() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(65536))

        thread = threading.Thread(target=hear)
        thread.start()
        try:
            yield heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
