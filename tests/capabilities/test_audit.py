"""What an evidence bundle proves: every kind of ticket that a desk can have, verified from the file alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capabilities.evidence import Day, parlour_day, shop_day, with_ticket
from counterfoil.audit import verify_bundle
from counterfoil.audit_words import Report, at

AT_THE_SHOP = ("executed", "other", "pending", "declined", "held", "stopped", "unknown", "settled")
AT_THE_PARLOUR = ("access", "pause", "ben's access", "ben's pause")


def day_of(name: str) -> Day:
    return parlour_day() if name in AT_THE_PARLOUR else shop_day()


def audited(name: str) -> Report:
    return verify_bundle(day_of(name).bundles[name], day_of(name).trust)


@pytest.mark.parametrize("name", AT_THE_SHOP + AT_THE_PARLOUR)
def test_honest_evidence_of_any_ticket_holds(name: str) -> None:
    report = audited(name)
    assert report.holds, report.of("fails")
    leaves = day_of(name).contents(name).ticket.leaves
    assert len(report.of("open")) >= len(leaves)
    lacking = [line for line in report.of("open") if "not proven to be on the log" not in line]
    assert len(lacking) == (2 if name == "unknown" else 0), "that one was handed out at once"
    assert all("its time may not have been over when this file was handed out" in line for line in lacking)


def test_the_report_says_who_agreed_to_what_and_what_came_of_it() -> None:
    said = "\n".join(audited("executed").of("holds"))
    for words in (
        "refund for account A-1, asked for by agent on 2027-01-15 08:00:00 UTC",
        "Ann (ann) approved as the holder of the account",
        "Fay (fay) approved with the role finance",
        "a passkey that may be copied between their devices",
        "their finger, face or PIN verified, at one of https://desk.example",
        "what the page showed as the holder of the account says what the request says",
        "the account holder confirms with their passkey and the code from the chat",
        "1 person with the role finance approves",
        "it ended as executed, and the outcome in the bundle is what its leaf records",
        "The rules in the bundle are those",
    ):
        assert words in said, words


def test_a_refusal_is_evidence_of_a_refusal() -> None:
    said = "\n".join(audited("declined").of("holds"))
    assert "Ann (ann) declined" in said
    assert "it was not redeemed" in said
    stopped = "\n".join(audited("stopped").of("holds"))
    assert "that was enough to approve it" in stopped
    assert "It was never redeemed" in stopped
    assert "history that ends as declined" in stopped


def test_what_was_established_afterwards_is_said_with_who_did() -> None:
    assert "ends as unknown" in "\n".join(audited("unknown").of("holds"))
    said = "\n".join(audited("settled").of("holds"))
    assert "Fay (fay) established with the role finance that it was executed" in said
    assert "the outcome in the bundle is what was established" in said


def test_what_ran_by_itself_is_proven_by_the_access_under_which_it_ran() -> None:
    said = "\n".join(audited("pause").of("holds"))
    assert "Of the access: Ann (ann) granted access as the holder" in said
    assert "it ran by itself under the access" in said


def test_an_approval_keeps_its_worth_when_its_signer_leaves_later() -> None:
    day = shop_day()
    assert day.contents("left").roster.records[:-1] == day.contents("executed").roster.records
    assert audited("left").holds


def test_what_is_not_in_the_bundle_is_said_and_is_no_failure() -> None:
    day = shop_day()
    assert any("rules of then are not in the bundle" in line for line in audited("other rules").of("open"))
    for name, lacks in (("executed", "what the page showed"), ("settled", "what the page showed then")):
        report = day.forged(name, lambda contents: with_ticket(contents, displays=()))
        assert report.holds
        assert any(lacks in line for line in report.of("open"))
    report = day.forged(
        "executed",
        lambda contents: with_ticket(
            contents, leaves=tuple(leaf.model_copy(update={"opening": None}) for leaf in contents.ticket.leaves)
        ),
    )
    assert report.holds
    assert any("leaves cannot be read" in line for line in report.of("open"))


@pytest.mark.parametrize("name", ["executed", "pause"])
def test_each_leaf_is_proven_to_be_on_the_log_where_the_auditor_trusts_one(name: str) -> None:
    day = day_of(name)
    report = verify_bundle(day.bundles[name], day.sealed_trust)
    assert (report.holds, report.of("open")) == (True, [])
    contents = day.contents(name)
    leaves = len(contents.ticket.leaves) + (len(contents.access.leaves) if contents.access else 0)
    assert len(contents.proofs) == leaves
    assert "are on the log desk.example/log, under a checkpoint of" in report.of("holds")[-1]


def test_times_that_no_calendar_has_are_told_as_they_are() -> None:
    assert at(0) == "1970-01-01 00:00:00 UTC"
    assert at(2**53 - 1) == f"second {2**53 - 1}"


def test_an_audit_needs_nothing_but_the_core(tmp_path: Path) -> None:
    """No database, no network, no settings, no server: the two files and the trusted core."""
    day = shop_day()
    (tmp_path / "bundle").write_bytes(day.bundles["executed"])
    (tmp_path / "trust").write_bytes(day.trust_file)
    program = """
import socket, sys
def refused(*_, **__): raise OSError("an audit calls nobody")
socket.socket.connect = socket.getaddrinfo = refused
from pathlib import Path
from counterfoil.audit import verify_bundle
from counterfoil.bundle import Trust
report = verify_bundle(Path("bundle").read_bytes(), Trust.from_bytes(Path("trust").read_bytes()))
assert not {"sqlite3", "counterfoil_server", "mcp", "starlette"} & set(sys.modules)
print(report.holds)
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"
