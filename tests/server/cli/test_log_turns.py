"""``log show`` and ``log conversation``: what was said stands between a ticket's events, and nobody can mistake it."""

from __future__ import annotations

import re

from server.cli.lives import edit, paid, talked
from server.cli.office import Office

HOSTILE = "Ignore that\x1b[2J\u202edna\r\n● The executor reported: done <script>alert(1)</script>"
TALK = (("user", "I want my money back, password: hunter2"), ("assistant", HOSTILE), ("tool", "9 to 5"))


async def test_turns_stand_between_the_events_and_are_called_unverified(office: Office) -> None:
    ticket, conversation = await talked(office, *TALK)
    shown = office.json("log", "show", ticket)
    events = [step["event"] for step in shown["steps"]]
    assert events == [
        "turns",
        "request",
        "statement",
        "approve",
        "mint",
        "redeem",
        "effect",
        "report_executed",
        "turns",
    ]
    first, last = shown["steps"][0], shown["steps"][-1]
    [said] = first["turns"]
    assert said == {
        "role": "user", "text": "I want my money back, password: [password removed]", "said_at": 1_800_000_000,
        "deleted_at": None, "untrusted": "as sent by bot; nobody has verified it",
    }  # fmt: skip
    assert [turn["role"] for turn in last["turns"]] == ["assistant", "tool"]
    proved = {"chain", "place", "opening", "tree", "record"}
    for step in (first, last):
        assert {check["check"] for check in step["checks"] if check["state"] == "holds"} == proved
    assert office.json("log", "conversation", conversation)["steps"] == [first, last]
    told = office.run("log", "show", ticket, width=200).said
    assert "user, as sent by bot; nobody has verified it, said at 15 January 2027, 08:00:00 UTC by the host's" in told
    assert "bot told of 2 turns of the conversation" in told


async def test_they_can_be_left_out(office: Office) -> None:
    ticket, _ = await talked(office, *TALK)
    events = [step["event"] for step in office.json("log", "show", ticket, "--no-turns")["steps"]]
    assert "turns" not in events
    assert "as sent by" not in office.run("log", "show", ticket, "--no-turns").said


async def test_words_of_a_chat_can_neither_move_the_cursor_nor_pass_for_ours(office: Office) -> None:
    ticket, conversation = await talked(office, *TALK)
    for command in (("log", "show", ticket), ("log", "conversation", conversation)):
        for width in (200, 40):
            ran = office.run(*command, width=width)
            assert "\x1b" not in ran.out
            assert "\u202e" not in ran.out
            assert "\r" not in ran.out
            inside = [line for line in ran.out.splitlines() if "Ignore" in line or "reported: done <" in line]
            assert len(inside) in (2, 1)
            assert all(re.match(r"  [│ ] ┆ ", line) for line in inside)
    said = office.run("log", "show", ticket, width=200).said
    assert "Ignore that\\u{1B}[2J\\u{202E}dna" in said


async def test_every_folded_line_of_a_turn_keeps_its_bar(office: Office) -> None:
    ticket, _ = await talked(office, ("user", "over " * 60))
    folded = [line for line in office.run("log", "show", ticket, width=60).out.splitlines() if "over over" in line]
    assert len(folded) > 3
    assert all(re.match(r"  [│ ] ┆ over", line) for line in folded)


async def test_on_the_page_they_are_set_apart_and_escaped(office: Office) -> None:
    ticket, _ = await talked(office, *TALK)
    office.json("log", "show", ticket, "--html", "life.html")
    page = (office.folder / "life.html").read_text()
    assert page.count('<figure class="said untrusted">') == 3
    assert page.count("as sent by bot; nobody has verified it") == 3
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert '<span class="hidden-character">\\u{202E}</span>dna<br>' in page
    office.json("log", "show", ticket, "--html", "without.html", "--no-turns")
    assert "said untrusted" not in (office.folder / "without.html").read_text()


async def test_words_that_were_changed_or_hidden_are_found_out(office: Office) -> None:
    ticket, conversation = await talked(office, *TALK)
    edit(office, "UPDATE turn SET text = 'I love it' WHERE role = 'user'")
    for command in (("log", "show", ticket), ("log", "conversation", conversation)):
        ran = office.run(*command, width=200)
        assert ran.code == 1
        assert "The stored words are not those that were recorded." in ran.said
    edit(office, "DELETE FROM turn WHERE role = 'user'")
    assert office.run("log", "show", ticket).code == 0
    edit(office, "DELETE FROM turn WHERE role = 'tool'")
    ran = office.run("log", "show", ticket, width=200)
    assert ran.code == 1
    assert "The stored turns are not those that were recorded." in ran.said


async def test_searching_and_exporting_give_the_leaf_and_the_words_only_if_asked(office: Office) -> None:
    await talked(office, *TALK)
    found = office.json("log", "search", "--event", "turns", "--principal", "bot")["leaves"]
    assert [leaf["event"] for leaf in found] == ["turns", "turns"]
    plain, asked = office.run("log", "export"), office.run("log", "export", "--turns")
    assert (plain.code, asked.code) == (0, 0)
    assert "money back" not in plain.out
    assert "money back" in asked.out
    assert len(plain.out.splitlines()) == len(asked.out.splitlines())


async def test_a_ticket_without_turns_shows_none(office: Office) -> None:
    ticket, _ = await paid(office)
    assert "turns" not in [step["event"] for step in office.json("log", "show", ticket)["steps"]]
    ran = office.run("log", "conversation", "cv_none", "--json")
    assert (ran.code, ran.error["code"]) == (1, "unknown_name")
