"""``log show``: a ticket's life in order with what is proved of each leaf, and every edit is found out."""

from __future__ import annotations

import os
import subprocess

import pytest

from counterfoil.log import GENESIS, chain_mac, keyed_mac
from counterfoil_server import config
from counterfoil_server.app import open_parts
from server.cli.lives import asked, edit, paid
from server.cli.office import PROGRAM, Office

LIFE = ["request", "statement", "approve", "mint", "redeem", "effect", "report_executed"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_life_is_told_in_order_with_every_proof(office: Office) -> None:
    ticket, ana = await paid(office)
    shown = office.json("log", "show", ticket)
    assert [step["event"] for step in shown["steps"]] == LIFE
    checks = {step["event"]: {check["check"]: check["state"] for check in step["checks"]} for step in shown["steps"]}
    proved = {"chain": "holds", "place": "holds", "opening": "holds", "tree": "holds"}
    assert checks["approve"] == checks["mint"] == checks["report_executed"] == proved
    assert checks["request"] == checks["statement"] == checks["redeem"] == proved | {"record": "holds"}
    assert checks["effect"] == {"ledger": "holds"}
    assert [(check["check"], check["state"]) for check in shown["checks"]] == [("log", "holds"), ("state", "holds")]
    assert all(isinstance(step["at"], int) for step in shown["steps"])
    said = office.run("log", "show", ticket, width=300).said
    told = [
        "executed: done",
        "From leaf 2 to the end of the log, every leaf follows",
        "bot asked for pay",
        "amount (from the AI): 20.00 EUR",
        "means account: A-1",
        "The stored request is the one that was recorded. It is included under the signed checkpoint of size 8.",
        f"Ana ({ana}) approved, as the holder of the account",
        "A capability was minted",
        "redeemed: it runs",
        "The executor began the effect",
        "The executor reported: done",
        "summary: 20.00 EUR were paid.",
    ]
    places = [said.index(words) for words in told]
    assert places == sorted(places)


async def test_what_an_ai_wrote_can_neither_move_the_cursor_nor_hide(office: Office) -> None:
    ticket, _ = await paid(office)
    ran = office.run("log", "show", ticket, width=200)
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "Please hurry\\u{1B}[2J \\u{202E}dna" in ran.said
    assert "the AI wrote (it may be wrong or misleading)" in ran.said


async def test_it_is_asked_of_a_serving_process_where_there_is_one(office: Office) -> None:
    ticket, _ = await paid(office)
    alone = office.json("log", "show", ticket)
    with office.running("serve", "--no-notices"):
        served = office.json("log", "show", ticket)
    assert served["steps"] == alone["steps"]


async def test_a_narrow_or_plain_terminal_shows_the_same(office: Office) -> None:
    ticket, _ = await paid(office)
    assert max(map(len, office.run("log", "show", ticket, width=40).out.splitlines())) <= 40
    done = subprocess.run(
        [*PROGRAM, "log", "show", ticket], cwd=office.folder, env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"  * The executor reported: done" in done.stdout


async def test_a_revoked_ticket_says_so_and_ends_there(office: Office) -> None:
    ticket = await asked(office)
    assert "waits for people to decide" in office.run("log", "show", ticket).said
    office.json("revoke", f"ticket:{ticket}", "--reason", "looks odd")
    assert [step["event"] for step in office.json("log", "show", ticket)["steps"]] == ["request", "revoke"]
    said = office.run("log", "show", ticket, width=200).said
    assert "stopped by an administrator or the holder" in said
    assert f"with everything in: ticket:{ticket}" in said


async def test_an_unknown_ticket_is_refused(office: Office) -> None:
    office.json("tickets", "list")
    ran = office.run("log", "show", "cf_none", "--json")
    assert (ran.code, ran.error["code"]) == (1, "unknown_name")


async def test_deleted_openings_leave_the_life_whole_but_untold(office: Office) -> None:
    ticket, ana = await paid(office)
    assert edit(office, "UPDATE leaf SET opening = NULL") > 0
    shown = office.json("log", "show", ticket)
    assert [step["event"] for step in shown["steps"]] == LIFE
    states = {check["check"]: check["state"] for check in shown["steps"][1]["checks"]}
    assert states == {"chain": "holds", "place": "holds", "opening": "gone", "record": "gone", "tree": "holds"}
    said = office.run("log", "show", ticket, width=200).said
    assert "Its opening was deleted" in said
    assert "Somebody signed a decision" in said
    assert ana not in said


EDITS = {
    "a body": (
        "UPDATE leaf SET body = CAST(replace(body, 'approve', 'decline') AS BLOB) WHERE event = 'approve'",
        "Leaf 4 of the log does not follow from the leaf before it.",
    ),
    "a mac": (
        "UPDATE leaf SET mac = zeroblob(32) WHERE event = 'statement'",
        "Leaf 3 of the log does not follow from the leaf before it.",
    ),
    "a removed leaf": ("DELETE FROM leaf WHERE event = 'statement'", "Leaf 3 of the log is missing."),
    "a removed request": ("DELETE FROM leaf WHERE event = 'request'", "The request of this ticket is not on the log."),
    "an opening": (
        "UPDATE leaf SET opening = CAST(replace(opening, 'approve', 'decline') AS BLOB) WHERE event = 'statement'",
        "Leaf 3: Its opening is not what was recorded, and is not shown.",
    ),
    "another event": (
        "UPDATE leaf SET event = 'mint' WHERE event = 'approve'",
        "Leaf 4 of the log is filed under another ticket or event.",
    ),
    "another ticket": (
        "UPDATE leaf SET ticket = 'cf_other' WHERE event = 'statement'",
        "Leaf 3 of the log is filed under another ticket or event.",
    ),
    "an earlier state": (
        "UPDATE ticket SET state = 'pending'",
        "By its leaves the ticket is executed, but its record says pending.",
    ),
    "an envelope": (
        "UPDATE envelope SET body = CAST(replace(body, '20.00', '90.00') AS BLOB)",
        "Leaf 2: The stored request is not the one that was recorded.",
    ),
    "a removed statement": (
        "DELETE FROM statement",
        "Leaf 3: The stored signed statement is not the one that was recorded.",
    ),
    "a removed redemption": (
        "UPDATE leaf SET ticket = 'cf_other' WHERE event = 'redeem'",
        "The executor began it, but the log knows of no redemption.",
    ),
}


@pytest.mark.parametrize("change", EDITS, ids=lambda name: name.replace(" ", "-"))
async def test_whoever_edits_what_was_recorded_is_found_out(office: Office, change: str) -> None:
    ticket, _ = await paid(office)
    sql, says = EDITS[change]
    assert edit(office, sql) == 1
    ran = office.run("log", "show", ticket, width=200)
    assert ran.code == 1
    assert says in ran.said
    assert "What is wrong:" in ran.out
    assert "restore it with its keys from a backup" in ran.err
    as_json = office.run("log", "show", ticket, "--json")
    assert as_json.code == 1
    assert as_json.json["ticket"] == ticket


async def test_an_edit_under_a_serving_process_breaks_the_leafs_inclusion(office: Office) -> None:
    ticket, _ = await paid(office)
    with office.running("serve", "--no-notices"):
        edit(office, "UPDATE leaf SET body = CAST(replace(body, 'approve', 'decline') AS BLOB) WHERE event = 'approve'")
        ran = office.run("log", "show", ticket, "--json")
    assert ran.code == 1
    states = {step["event"]: {check["check"]: check["state"] for check in step["checks"]} for step in ran.json["steps"]}
    assert states["approve"]["tree"] == "broken"
    assert states["statement"]["tree"] == "holds"


async def test_whoever_holds_the_chains_key_is_found_out_by_the_tree(office: Office) -> None:
    """The MACs are made anew after the edit, as only somebody with the key from the state folder can."""
    ticket, _ = await paid(office)
    async with open_parts(config.load(office.folder / "counterfoil.toml")) as parts:
        leaves = await parts.store.leaves()
        key = parts.authority._secrets.log
    previous = GENESIS
    for leaf in leaves:
        body = leaf.body.replace(b'"approve"', b'"decline"')
        previous = chain_mac(key, previous, body)
        event = leaf.event.replace("approve", "decline")
        edit(
            office, "UPDATE leaf SET body = ?, mac = ?, event = ? WHERE number = ?", (body, previous, event, leaf.index)
        )
    seal = keyed_mac(key, "counterfoil-log-head", b"%d %d %b" % (len(leaves), leaf.values["at"], previous))
    edit(office, "UPDATE head SET clock = ?, seal = ?", (leaf.values["at"], seal))
    for command in (("show", ticket), ("tail",), ("search",), ("export",)):
        ran = office.run("log", *command, width=200)
        assert ran.code == 1, command
        assert "leaves of the log are not those that were sealed." in ran.said, command
    states = {check["check"]: check["state"] for check in office.run("log", "show", ticket, "--json").json["checks"]}
    assert (states["sealed"], states["log"]) == ("broken", "holds")


async def test_nothing_is_told_from_a_forged_opening_or_envelope(office: Office) -> None:
    ticket, _ = await paid(office)
    edit(office, "UPDATE leaf SET opening = CAST(replace(opening, 'approve', 'gladly') AS BLOB)")
    edit(office, "UPDATE envelope SET body = CAST(replace(body, '20.00', '90.00') AS BLOB)")
    ran = office.run("log", "show", ticket, width=200)
    assert "gladly" not in ran.out
    assert "Somebody signed a decision" in ran.said
    assert "90.00" not in ran.out


async def test_a_ticket_whose_record_was_removed_is_still_told(office: Office) -> None:
    ticket = await asked(office)
    edit(office, "DELETE FROM envelope")
    assert edit(office, "DELETE FROM ticket") == 1
    ran = office.run("log", "show", ticket, width=200)
    assert ran.code == 1
    assert "The log tells of this ticket, but its record is gone." in ran.said
    assert "bot asked for pay" in ran.said
    assert "20.00" not in ran.out
