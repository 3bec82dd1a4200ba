"""``policy test`` and ``policy explain``, as people and scripts use them."""

from __future__ import annotations

import json

from server.cli.office import Office

CASES = """\
[defaults.pay]
arguments = { amount = { value = "20.00", currency = "EUR" } }
facts = { balance_after_it = { before = "1", after = "2" } }

[[case]]
name = "The holder is asked"
operation = "pay"
requires = [{ holder = "passkey", code = true }]

[[case]]
name = "A link is not enough"
operation = "pay"
evidence = { holder = "link" }
allowed = false
"""

PAY = (
    "policy", "explain", "pay",
    "--facts", json.dumps({"balance_after_it": {"before": "1", "after": "2"}}),
    "--arguments",
)  # fmt: skip
TWENTY = json.dumps({"amount": {"value": "20.00", "currency": "EUR"}})
LARGE = json.dumps({"amount": {"value": "500.01", "currency": "EUR"}})


def test_a_table_of_cases_is_shown_and_all_as_expected_is_0(office: Office) -> None:
    office.write("policy_cases.toml", CASES)
    ran = office.run("policy", "test")
    assert ran.code == 0
    assert "✓ The holder is asked pay asks for approval" in ran.said
    assert "✓ A link is not enough pay refused" in ran.said
    assert "2 cases, all as expected." in ran.said
    assert not office.state.exists()


def test_a_case_that_fails_is_shown_with_both_sides_and_is_3(office: Office) -> None:
    office.write("other.toml", CASES.replace("allowed = false", "allowed = true"))
    ran = office.run("policy", "test", "other.toml")
    assert ran.code == 3
    assert "✗ A link is not enough pay refused" in ran.said
    assert "Not as expected: A link is not enough Expected: - It is allowed. But: - It is refused." in ran.said
    assert "1 case of 2 is wrong." in ran.said
    as_json = office.run("policy", "test", "other.toml", "--json")
    assert (as_json.code, as_json.json["passed"], as_json.json["failed"]) == (3, 1, 1)
    failed = as_json.json["cases"][1]
    assert failed["failures"] == ["It is refused. No rule of the policy permits this."]
    assert failed["allowed"] is False


def test_without_a_file_of_cases_it_says_which_was_looked_for(office: Office) -> None:
    ran = office.run("policy", "test", "--json")
    assert (ran.code, ran.error["code"]) == (2, "cases_error")
    assert "policy_cases.toml cannot be read" in ran.error["happened"]


def test_explaining_says_what_is_asked_for_and_which_rules_decided(office: Office) -> None:
    ran = office.run(*PAY, TWENTY, "--holder", "passkey")
    assert ran.code == 0
    assert "✗ Pay is refused where the account holder confirms with their passkey." in ran.said
    assert "Before it is carried out, it asks for: - the account holder confirms with their passkey and the" in ran.said
    assert "Does not hold: - context.code_typed (line 4)" in ran.said
    assert not office.state.exists()


def test_explaining_without_evidence_says_the_requirements(office: Office) -> None:
    found = office.json(*PAY, TWENTY)
    assert found["allowed"] is None
    assert found["requires"] == [{"holder": "passkey", "staff": {}, "code": True, "hold": 0}]
    assert [(each["effect"], each["line"], each["applies"]) for each in found["rules"]] == [
        ("permit", 2, True),
        ("forbid", 6, False),
    ]


def test_explaining_what_a_forbid_refuses(office: Office) -> None:
    more = ("--holder", "passkey_bound", "--code", "--staff", "finance=2", "--hold", "1day", "--tainted")
    ran = office.run(*PAY, LARGE, *more, "--count", "2", "--total", "5.00", "--principal", "bot", "--account", "A-1")
    assert (
        "✗ Pay is refused where the account holder confirms with their passkey and the code from the chat, and 2 "
        in (ran.said)
    )
    assert "Nobody can approve it: - Never more than 500." in ran.said
    assert "✗ Line 6 “Never more than 500.” forbids." in ran.said


def test_what_cannot_be_explained_is_wrong_usage_with_a_remedy(office: Office) -> None:
    for arguments, said in [
        (("policy", "explain", "pya"), "There is no operation 'pya'"),
        ((*PAY, "{"), "--arguments is not JSON"),
        ((*PAY, "[]"), "--arguments is no JSON object"),
        ((*PAY, "{}"), "The argument 'amount' is missing"),
        ((*PAY, TWENTY, "--staff", "finance"), "is not ROLE=N"),
        ((*PAY, TWENTY, "--staff", "legal=1"), "'evidence.staff.legal' is no role"),
        ((*PAY, TWENTY, "--holder", "password"), "'evidence.holder' is not right"),
        ((*PAY, TWENTY, "--hold", "soon"), "no duration: 'soon'"),
        ((*PAY, TWENTY, "--total", "5"), "'counters.total' is not right"),
    ]:
        ran = office.run(*arguments, "--json")
        assert (ran.code, ran.error["code"]) == (2, "usage"), arguments
        assert said in ran.error["happened"]
        assert ran.error["remedy"]
