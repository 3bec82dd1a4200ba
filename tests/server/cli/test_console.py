"""What reaches the terminal: readable without colour, on narrow and on plain terminals, and never anybody's control."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess

import pytest
from rich.text import Text

from counterfoil_server.cli.console import NEW_LINE, Output, assembled, counted, moment
from counterfoil_server.cli.logs import OneLine
from server.cli.office import PROGRAM, Office


def test_nothing_is_coloured_where_nobody_looks(office: Office) -> None:
    ran = office.run("doctor")
    assert "\x1b" not in ran.out + ran.err


def test_no_color_is_respected_on_a_terminal(office: Office) -> None:
    coloured = office.run("doctor", TTY_COMPATIBLE="1", TERM="xterm-256color")
    plain = office.run("doctor", TTY_COMPATIBLE="1", TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b[32m" in coloured.out
    assert "\x1b[32m" not in plain.out


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_is_wider_than_the_terminal_or_padded(office: Office, width: int) -> None:
    for arguments in (("doctor",), ("policy", "check"), ("suspend", "operation:pay"), ("suspensions",), ("revoke",)):
        ran = office.run(*arguments, width=width)
        lines = (ran.out + ran.err).splitlines()
        assert all(len(line) <= width for line in lines), lines
        assert all(line == line.rstrip() for line in lines)


def test_a_terminal_without_unicode_is_served_in_ascii(office: Office) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = subprocess.run(
        [*PROGRAM, "doctor"], cwd=office.folder, env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0
    said = done.stdout.decode("ascii")
    assert "ok settings:" in said


def test_a_reader_that_has_enough_is_no_mistake(office: Office) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PROGRAM, "policy", "check"], cwd=office.folder, stdout=writing, stderr=subprocess.PIPE, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_text_of_others_can_neither_move_the_cursor_nor_hide() -> None:
    output = Output(as_json=False)
    evil = "a\x1b[2J\u202eb\nc[red]d"
    file = io.StringIO()
    output.console.file = file
    output.say(evil, (evil, ""))
    output.heading(evil)
    output.paste(evil)
    output.fields([(evil, evil)])
    output.items("said", [evil])
    output.table(("one",), [(evil,)])
    written = file.getvalue()
    assert "\x1b" not in written
    assert "\u202e" not in written
    assert "[red]" in written
    assert "\\u{1B}" in written


def test_T21_output_for_programs_steers_no_terminal_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"note": "a\x1b[2J\x9b2J\x7f\u202eb\u2028\U000e0041 “c”\n"}
    Output(as_json=True).write_json(value)
    written = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in written)
    assert "“c”" in written
    assert json.loads(written) == value


def test_only_our_own_line_breaks_break_lines() -> None:
    assert assembled("a\nb", NEW_LINE, ("c", "bold"), Text("d")).plain == "a\\u{A}b\ncd"


def test_words_for_numbers_and_times() -> None:
    assert (counted(1, "ticket"), counted(2, "ticket"), counted(0, "try", "tries")) == (
        "1 ticket",
        "2 tickets",
        "0 tries",
    )
    assert moment(None) == "-"
    assert "2001" in moment(1_000_000_000)


def logged(message: str, *arguments: object, as_json: bool = False, error: bool = False) -> str:
    record = logging.LogRecord("part", logging.WARNING, "file", 1, message, arguments, None)
    if error:
        try:
            raise ValueError("in\ntwo lines")
        except ValueError as caught:
            record.exc_info = (type(caught), caught, caught.__traceback__)
    return OneLine(as_json=as_json).format(record)


@pytest.mark.parametrize("path", ["/l/", "/o/", "/enrol/"])
def test_the_log_never_holds_a_link_that_lets_somebody_in(path: str) -> None:
    secret = "hAhHTWWZkkOZO5Pju8AdIGMKwKm2TDkpPCVGvelX3wc"
    for as_json in (False, True):
        line = logged("failed at %s", f"http://localhost{path}{secret}/options", as_json=as_json)
        assert secret not in line
        assert f"{path}" in line
    assert "abcdefghijkl" not in logged("Authorization: Bearer cfp_abcdefghijkl")


def test_a_log_entry_is_one_line_whatever_happened() -> None:
    for as_json in (False, True):
        line = logged("a\nb\x1b", as_json=as_json, error=True)
        assert len(line.splitlines()) == 1
        assert "two lines" in line
        assert "\x1b" not in line
