"""``forget``: what is deleted is gone from the files; everything that was provable still is, or is said to be open."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil_server import config
from counterfoil_server.app import open_parts
from counterfoil_server.notices.transports import Mailbox
from server.cli.lives import asked, edit, paid, talked
from server.cli.office import Office

DAY = 86400
OLD = 100 * DAY
SECRETLY = "My aunt Wilhelmina lives in Zwettl"
TALK = (("user", SECRETLY), ("assistant", "Good to know."))
FORGET = ("forget", "--older-than", "0d", "--yes")


def files(office: Office) -> bytes:
    """Every byte that the state folder holds."""
    return b"".join(path.read_bytes() for path in office.state.rglob("*") if path.is_file())


def healthy(office: Office) -> None:
    """Nothing that doctor checks of what is stored is wrong."""
    checks = office.run("doctor", "--json").json
    wrong = {check["check"] for check in checks if check["status"] == "wrong"}
    assert not wrong & {"log", "executor", "signing", "roster", "outcomes", "notices"}, checks


def newest(office: Office) -> list[Any]:
    """The last leaves."""
    ran = office.run("log", "tail", "--json")
    assert ran.code == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


async def test_deleted_words_are_in_no_byte_of_the_files_and_said_to_be_deleted(office: Office) -> None:
    ticket, conversation = await talked(office, *TALK, ago=OLD)
    assert SECRETLY.encode() in files(office)
    dry = office.json("forget", "--older-than", "90d", "--only", "turns", "--dry-run")
    assert (dry["counts"], dry["overwritten"]) == ({"turns": 2}, None)
    assert SECRETLY.encode() in files(office)
    done = office.json("forget", "--older-than", "90d", "--only", "turns", "--yes")
    assert (done["counts"], done["overwritten"]) == ({"turns": 2}, True)
    assert SECRETLY.encode() not in files(office)
    shown = office.run("log", "show", ticket, width=200)
    assert shown.code == 0
    assert shown.said.count("[text deleted by retention on ") == 2
    office.json("log", "show", ticket, "--html", "life.html")
    assert "[text deleted by retention on " in (office.folder / "life.html").read_text()
    steps = office.json("log", "conversation", conversation)["steps"]
    assert [turn["text"] for step in steps for turn in step["turns"]] == [None, None]
    assert {check["state"] for step in steps for check in step["checks"] if check["check"] == "record"} == {"gone"}
    healthy(office)


async def test_after_everything_went_proofs_hold_and_bundles_say_what_is_open(office: Office) -> None:
    ticket, _ = await talked(office, *TALK, ago=OLD)
    assert edit(office, "UPDATE notice SET state = 'sent'") > 0  # nobody delivers here
    before = office.json("log", "show", ticket)
    counts = office.json(*FORGET)["counts"]
    assert counts["turns"] == 2
    assert counts["openings"] > 8
    assert counts["notices"] >= 1
    content = files(office)
    assert SECRETLY.encode() not in content
    healthy(office)
    shown = office.json("log", "show", ticket)
    assert [step["event"] for step in shown["steps"]] == [step["event"] for step in before["steps"]]
    states = {check["check"]: check["state"] for step in shown["steps"] for check in step["checks"]}
    assert (states["chain"], states["tree"], states["place"], states["opening"]) == ("holds", "holds", "holds", "gone")
    assert [check["state"] for check in shown["checks"]] == ["holds", "holds"]
    office.write("bundle.json", office.run("prove", ticket).out)
    office.write("trust.json", office.run("prove", "--trust").out)
    verified = office.run("verify", "bundle.json", "--trust", "trust.json", width=200)
    assert verified.code == 0, verified.said
    assert "openings were deleted" in verified.said
    notices = office.json("notices", "list")
    assert {notice["recipient"] for notice in notices} == {""}


async def test_the_log_says_what_was_deleted_and_names_nobody(office: Office) -> None:
    await talked(office, *TALK, ago=OLD)
    office.json("forget", "--account", "A-1", "--yes")
    leaves = newest(office)
    assert [leaf["event"] for leaf in leaves[-2:]] == ["retention_started", "retention"]
    told = leaves[-1]["values"]
    assert (told["about"], told["counts"]["turns"]) == ("account", 2)
    assert set(told) == {"about", "before", "counts"}
    assert "A-1" not in str(leaves[-2:])
    office.json(*FORGET)
    again = newest(office)[-1]
    assert again["event"] == "retention"
    assert again["values"]["about"] == "everything"
    size = again["index"]
    assert office.run(*FORGET).said.startswith("There is nothing to delete.")
    assert newest(office)[-1]["index"] == size


async def test_what_an_open_ticket_needs_stays_however_old_it_is_said_to_be(office: Office) -> None:
    ticket, _ = await talked(office, *TALK, decided=False)
    counts = office.json(*FORGET)["counts"]
    assert counts["turns"] == 2
    shown = office.json("log", "show", ticket)
    request = next(step for step in shown["steps"] if step["event"] == "request")
    assert request["values"]["operation"] == "pay"
    assert {check["state"] for check in request["checks"]} == {"holds"}
    waiting = office.json("tickets", "show", ticket)
    assert waiting["state"] == "pending"
    assert waiting["notices"][0]["recipient"] != ""


async def test_what_has_just_ended_stays_for_a_day(office: Office) -> None:
    fresh, ana = await paid(office)
    office.json(*FORGET)
    shown = office.json("log", "show", fresh)
    assert all(step["values"] is not None for step in shown["steps"])
    assert ana in str(shown["steps"])


async def test_an_account_is_forgotten_and_others_are_not(office: Office) -> None:
    mine, _ = await talked(office, *TALK, ago=OLD)
    await asked(office, "A-2")
    theirs, their_chat = await talked(office, ("user", "I am Bo"), ago=0, account="A-2", decided=False)
    done = office.json("forget", "--account", "A-1", "--yes")
    assert done["counts"]["turns"] == 2
    content = files(office)
    assert SECRETLY.encode() not in content
    assert b"I am Bo" in content
    assert [step["values"] for step in office.json("log", "show", mine, "--no-turns")["steps"][:3]] == [None] * 3
    said = office.json("log", "conversation", their_chat)["steps"]
    assert said[0]["turns"][0]["text"] == "I am Bo"
    assert office.json("log", "show", theirs)["steps"][1]["values"] is not None
    assert "Check that you spelled A-9" in office.run("forget", "--account", "A-9", "--yes").said


async def test_one_conversation_is_forgotten_at_once(office: Office) -> None:
    _, conversation = await talked(office, *TALK, decided=False)
    _, other = await talked(office, ("user", "Something else"), account="A-2", decided=False)
    assert office.json("forget", "--conversation", conversation, "--only", "turns", "--yes")["counts"] == {"turns": 2}
    assert SECRETLY.encode() not in files(office)
    assert office.json("log", "conversation", other)["steps"][0]["turns"][0]["text"] == "Something else"


async def test_deduplication_still_knows_what_was_asked(office: Office) -> None:
    ticket = await asked(office)
    office.json("revoke", f"ticket:{ticket}")
    office.json(*FORGET)
    assert await asked(office) == ticket


async def test_a_serving_process_deletes_by_its_settings(office: Office) -> None:
    old, _ = await talked(office, *TALK, ago=OLD)
    _, new = await talked(office, ("user", "Fresh words"), account="A-2", decided=False)
    office.settings("[retention]", "turns_days = 90")
    from counterfoil_server.retention import Retention

    configuration = config.load(office.folder / "counterfoil.toml")
    async with open_parts(configuration, transport=Mailbox()) as parts:
        await Retention(parts.store).look(configuration.settings.retention)
        kept = [turn.text for turn in await parts.store.turns(new)]
        request = Requester("bot", conversation=new)
        await parts.authority.request(
            request, "pay", canonical({"account": "A-1", "amount": {"value": "1.00", "currency": "EUR"}})
        )
    assert kept == ["Fresh words"]
    assert SECRETLY.encode() not in files(office)
    shown = office.json("log", "show", old)
    assert {step["values"] is None for step in shown["steps"]} == {False}


async def test_it_works_through_the_serving_process_too(office: Office) -> None:
    await talked(office, *TALK, ago=OLD)
    with office.running("serve", "--no-notices"):
        done = office.json(*FORGET)
        assert done["overwritten"] is True
        assert SECRETLY.encode() not in files(office)


async def test_a_serving_process_with_settings_runs_it(office: Office) -> None:
    await talked(office, *TALK, ago=OLD)
    office.settings("[retention]", "turns_days = 90", "notices_days = 3650")
    with office.running("serve", "--no-notices") as served:
        assert served.process.stderr is not None
        late = threading.Timer(60, served.process.kill)
        late.start()
        for line in served.process.stderr:
            if "Deleted 2 turns older than 90 days" in line:
                break
        else:
            raise AssertionError("it ended before it deleted anything")
        late.cancel()
        assert SECRETLY.encode() not in files(office)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Nothing says what is to be deleted."),
        (("--older-than", "soon"), "is no age"),
        (("--older-than", "-1d"), "is no age"),
        (("--older-than", "90d", "--only", "tickets"), "nothing of the kind tickets"),
    ],
)
def test_mistakes_are_refused(office: Office, arguments: tuple[str, ...], words: str) -> None:
    ran = office.run("forget", *arguments)
    assert ran.code == 2
    assert words in ran.said


@pytest.mark.parametrize("setting", ["turns_days = 0", "openings_days = -1", "turns_days = 1.5", "nothing_days = 3"])
def test_mistaken_settings_are_refused(office: Office, setting: str) -> None:
    office.settings("[retention]", setting)
    assert office.run("tickets", "list").code != 0


async def test_without_a_confirmation_nothing_is_deleted(office: Office) -> None:
    await talked(office, *TALK, ago=OLD)
    ran = office.run("forget", "--older-than", "1d")
    assert ran.code != 0
    assert "That needs a confirmation" in ran.said
    assert SECRETLY.encode() in files(office)
