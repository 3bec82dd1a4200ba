"""A desk, a policy, a settings file or a table of cases with each kind of mistake: the refusal names file and line and
says what to do, and nothing has been started."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.cli.office import DESK, POLICY, Office

SETTINGS = """\
# The office
desk = "desk:desk"
policy = "policy.cedar"
"""

CASES = """\
[defaults.pay]
arguments = { amount = { value = "20.00", currency = "EUR" } }
facts = { balance_after_it = { before = "1", after = "2" } }

[[case]]
name = "A payment"
operation = "pay"
evidence = { holder = "passkey", code = true }
allowed = true
"""

FILES = {"desk.py": DESK, "policy.cedar": POLICY, "counterfoil.toml": SETTINGS, "policy_cases.toml": CASES}


@dataclass(frozen=True)
class Row:
    """In ``file``, ``old`` becomes ``new`` (at the end, where ``old`` is empty). The refusal is about the line in which
    ``at`` stands, and has these words."""

    file: str
    old: str
    new: str
    at: str
    says: str
    remedy: str


def settings(old: str, new: str, at: str, says: str, remedy: str) -> Row:
    return Row("counterfoil.toml", old, new, at, says, remedy)


def desk(old: str, new: str, at: str, says: str, remedy: str) -> Row:
    return Row("desk.py", old, new, at, says, remedy)


def policy(new: str, says: str, remedy: str, *, at: str = "") -> Row:
    return Row("policy.cedar", "", f"\n{new}\n", at or new.split("\n")[0], says, remedy)


def case(old: str, new: str, at: str, says: str, remedy: str) -> Row:
    return Row("policy_cases.toml", old, new, at, says, remedy)


OPERATION, PREVIEW, READ = "@desk.operation", "@pay.preview", "@desk.read"
PAY = "async def pay(execution: Execution, account: Account, amount: Money) -> Receipt:"
FACTS = "async def payment_facts(account: Account, amount: Money) -> PaymentFacts:"
HEAD = 'permit (principal, action == Action::"pay", resource)'

ROWS: dict[str, Row] = {
    # Settings
    "no TOML": settings("", "port =\n", "port =", "is not TOML", "Correct that line"),
    "a key twice": settings(
        "", 'desk = "other:desk"\n', 'desk = "other', "is not TOML: Cannot overwrite", "Correct that"
    ),
    "an open text": settings("", 'host = "127\nport = 1\n', 'host = "127', "is not TOML", "Correct that line"),
    "unknown setting": settings("", "color = 1\n", "color", "no setting 'color'", "Remove it"),
    "misspelt setting": settings("", "prot = 8700\n", "prot", "no setting 'prot'", "Write port"),
    "unknown table": settings("", "[smpt]\nhost = 'm'\n", "[smpt]", "no setting 'smpt'", "Write smtp"),
    "misspelt in a table": settings("", "\n[times]\nlnk = 60\n", "lnk", "no setting 'times.lnk'", "Write link"),
    "missing in a table": settings("", "\n[smtp]\nhost = 'm'\n", "[smtp]", "'smtp.sender' is missing", "Add sender"),
    "missing at all": settings('policy = "policy.cedar"\n', "", "# The office", "'policy' is missing", "Add policy"),
    "text for a number": settings("", 'port = "80"\n', "port", "'port'", "a whole number without quotes"),
    "number for a text": settings("", "host = 127\n", "host", "'host'", "text in quotes"),
    "number for a list": settings("", "allowed_hosts = 1\n", "allowed_hosts", "'allowed_hosts'", "in square brackets"),
    "number in a list": settings(
        "", 'allowed_hosts = [\n  "a",\n  1,\n]\n', "  1,", "'allowed_hosts[1]'", "text in quotes"
    ),
    "text for a table": settings("", 'smtp = "mail"\n', "smtp", "'smtp'", "Write a table"),
    "too large": settings("", "port = 65536\n", "port", "less than or equal to 65535", "65535 or less"),
    "too small": settings("", "[caps]\nper_account = 0\n", "per_account", "'caps.per_account'", "1 or more"),
    "no choice": settings(
        "", "[smtp]\nhost='m'\nsender='s'\ntls = 'ssl'\n", "tls", "'smtp.tls'", "'none', 'starttls' or 'tls'"
    ),
    "empty": settings("", 'state = ""\n', "state", "'state'", "not empty"),
    "public_url with a path": settings(
        "", 'public_url = "https://x.example/a"\n', "public_url", "origin", "host and port"
    ),
    "public_url by number": settings("", 'public_url = "http://127.0.0.1"\n', "public_url", "need https", "localhost"),
    "public_url with a bad port": settings("", 'public_url = "https://x:y"\n', "public_url", "origin", "Write scheme"),
    "desk without a variable": settings(
        "desk:desk", "desk", 'desk = "desk"', "'module:variable'", 'Write desk = "desk:desk"'
    ),
    "desk as a path": settings(
        "desk:desk", "./desk.py:desk", "./desk", "'module:variable'", 'Write desk = "desk:desk"'
    ),
    "story without a function": settings(
        "", 'story = "s"\n', "story", "'module:function'", 'Write story = "story:play"'
    ),
    "desk of no module": settings("desk:desk", "dsk:desk", "dsk", "no module dsk", "Correct 'desk'"),
    "desk of no variable": settings("desk:desk", "desk:dsk", "desk:dsk", "variable dsk", "Name desk"),
    "desk that is none": settings("desk:desk", "desk:HOLDERS", "desk:", "not a Desk but dict", "Name desk"),
    "policy of no file": settings(
        "policy.cedar", "p.cedar", "p.cedar", "cannot be read: No such file", "existing file"
    ),
    # Desk: the module
    "bad syntax": desk(PAY, PAY[:-1], PAY[:-1], "SyntaxError: expected ':'", "Correct that line"),
    "unknown import": desk("", "import nothing_there\n", "import nothing_there", "nothing_there", "install it"),
    "import of no name": desk("Desk\n", "Desk, Dsk\n", "Dsk", "ImportError: cannot import name", "Correct that line"),
    "unknown name": desk('roles=["finance"]', "roles=ROLES", "ROLES", "NameError: name 'ROLES'", "Correct that line"),
    "unknown type": desk(PAY, PAY.replace("Money", "Mony"), "def pay(", "NameError: name 'Mony'", "Correct that line"),
    "unknown type looked up later": desk(
        PAY, PAY.replace("Money", "'Mony'"), OPERATION, "the name Mony in the annotations", "Import or correct"
    ),
    "a module that ends": desk("", "import sys\nsys.exit('no')\n", "sys.exit(", "SystemExit: no", "Correct that line"),
    "no function": desk("", "desk.read('hours')\n", "desk.read('hours')", "AttributeError", "Correct that line"),
    # Desk: reads
    "read without a docstring": desk(
        '    """When the office is open."""\n', "", READ, "docstring", "Say in one sentence"
    ),
    "read without a result": desk("hours() -> str", "hours()", READ, "what it returns", "Annotate its result"),
    "read of a reserved name": desk("def hours", "def ticket_status", READ, "is taken", "Rename the function"),
    "read that does not wait": desk("async def hours", "def hours", READ, "not an async function", "Write 'async def'"),
    "read of odd arguments": desk("hours()", "hours(when: bytes)", READ, "has the type", "Use str, int"),
    "read twice": desk("", f"\n{READ}\nasync def hours() -> str:\n    'Again.'\n", READ, "is taken", "Rename"),
    # Desk: operations
    "operation without a docstring": desk('    """Pay out some money."""\n', "", OPERATION, "docstring", "Say in one"),
    "operation of a bad name": desk("def pay(", "def Pay(", OPERATION, "not usable", "lower case"),
    "no execution": desk(
        PAY, PAY.replace("execution: Execution, ", ""), OPERATION, "not an Execution", "Write execution"
    ),
    "no account": desk(PAY, PAY.replace("account: Account", "who: str"), OPERATION, "0 Account", "Declare the account"),
    "no receipt": desk(PAY, PAY.replace("Receipt", "str"), OPERATION, "not return a Receipt", "-> Receipt"),
    "untyped parameter": desk(PAY, PAY.replace("amount: Money", "amount"), OPERATION, "no type", "Annotate it"),
    "odd parameter": desk(
        PAY, PAY.replace("amount: Money", "amount: bytes"), OPERATION, "has the type", "Use str, int"
    ),
    "starred parameter": desk(
        PAY, PAY.replace("amount", "*amount"), OPERATION, "not an ordinary", "without / and stars"
    ),
    "reserved parameter": desk(PAY, PAY.replace("amount", "note"), OPERATION, "uses itself", "Rename it"),
    "counts nothing": desk(OPERATION, f"{OPERATION}(counts='sum')", OPERATION, "counts sum", "of type Money"),
    "unknown delivery": desk(
        OPERATION, f"{OPERATION}(delivery='by')", OPERATION, "the delivery 'by'", "direct, collected"
    ),
    "no time": desk(OPERATION, f"{OPERATION}(time_limit=0)", OPERATION, "0 seconds", "as many seconds"),
    "unknown settler": desk(OPERATION, f"{OPERATION}(settled_by='x')", OPERATION, "settled by 'x'", "settled_by"),
    "unknown settler of all": desk(
        'roles=["finance"]', "settled_by='x'", "settled_by='x'", "settled by 'x'", "settled_by"
    ),
    "roles as one text": desk(
        'roles=["finance"]', "roles='finance'", "roles='finance'", "one text", 'roles=["finance"]'
    ),
    # Desk: previews
    "no preview": desk(PREVIEW, "", OPERATION, "has no preview", "@pay.preview"),
    "preview of other parameters": desk(
        FACTS, FACTS.replace("amount", "sum"), PREVIEW, "takes account, sum", "Give the"
    ),
    "preview without facts": desk(FACTS, FACTS.replace("PaymentFacts", "dict"), PREVIEW, "which Facts", "Annotate"),
    "fact of an odd type": desk("it: Change", "it: float", PREVIEW, "the type <class 'float'>", "Use str, int"),
    "preview that does not wait": desk(
        "async def payment_facts", "def payment_facts", PREVIEW, "async", "Write 'async"
    ),
    # Policy
    "policy that does not parse": policy(
        "permit (principal, action, resource) whn { true };", "does not parse", "Correct"
    ),
    "policy without its end": policy("permit (principal, action", "does not parse", "Correct the policy"),
    "policy with a template": policy(
        'permit (principal == ?principal, action == Action::"pay", resource);', "a template", "without a slot"
    ),
    "permit of every action": policy("permit (principal, action, resource);", "without naming an action", "Name it"),
    "permit of no action": policy(
        'permit (principal, action == Action::"pya", resource);', 'names Action::"pya"', "Use one of: pay"
    ),
    "unknown argument": policy(
        HEAD + "\nwhen { resource.arguments.sum == 1 };", "`arguments.sum`", "The arguments of pay are: "
    ),
    "unknown fact": policy(HEAD + "\nwhen { resource.facts.locked };", "`facts.locked`", "The facts of pay are: "),
    "unknown role": policy(HEAD + "\nwhen { context.staff.legal >= 1 };", "`staff.legal`", "Correct the name"),
    "wrong types": policy(HEAD + '\nwhen { context.holder_passkey == "yes" };', "does not fit", "Correct the policy"),
    "optional fact": policy(HEAD + '\nwhen { resource.facts.guard == "1" };', "optional attribute", "Ask first"),
    "question for no fact": policy(
        HEAD + "\nwhen { resource.facts has lokced };", "do not declare", "Correct the name"
    ),
    "less for more": policy(
        HEAD.replace("permit", "forbid") + "\nwhen { context.code_typed };", "less permission", "unless"
    ),
    "more for a warning": policy(HEAD + "\nwhen { context.tainted };", "because of a warning", "exclude it"),
    "exactly so many": policy(HEAD + "\nwhen { context.staff.finance == 2 };", "what more of it means", "Compare"),
    "the whole context": policy(HEAD + "\nwhen { context == context };", "", "Name one of its attributes"),
    "calculation too late": policy(
        HEAD + "\nwhen { context.code_typed && context.counters.count_24h + 1 < 3 };", "calculates after", "first"
    ),
    "one resource": policy(
        HEAD.replace("resource)", 'resource == Pay::"1")') + ";", "names one resource", "Write 'resource'"
    ),
    "evidence of nobody": policy(
        HEAD.replace('"pay"', '"pay/unattended"') + "\nwhen { context.code_typed };", "does not fit", ""
    ),
    # Cases
    "cases that are no TOML": case("", "case =\n", "case =", "is not TOML", "Correct that line"),
    "unknown key beside the cases": case("[defaults.pay]", "caes = 1\n[defaults.pay]", "caes", "no key 'caes'", "case"),
    "unknown key": case(
        "", "allwed = true\n", "allwed", "in the case “A payment”, there is no key 'allwed'", "Write allowed"
    ),
    "case without a name": case('name = "A payment"\n', "", "[[case]]", "case 1, which has no name", "Add name"),
    "name twice": case("", CASES[CASES.index("[[case]]") :], 'name = "A payment"', "there twice", "own"),
    "unknown operation": case('"pay"\n', '"pya"\n', '"pya"', "no operation 'pya'", "Write pay"),
    "unknown argument in a case": case("", "arguments = { sum = 1 }\n", "sum", "no argument 'sum'", "Remove it"),
    "wrong argument": case(
        'value = "20.00"', "value = 20", "value = 20", "the argument 'amount.value'", "text in quotes"
    ),
    "missing fact": case(
        CASES.splitlines(keepends=True)[2], "", "[[case]]", "the fact 'balance_after_it'", "Add balance"
    ),
    "wrong fact in the defaults": case('before = "1"', "before = 1", "before = 1", "before", "text in quotes"),
    "unknown role in a case": case(
        "code = true", "staff = { legal = 1 }", "legal", "'evidence.staff.legal'", "finance"
    ),
    "no duration": case("code = true", 'hold = "soon"', "soon", "no duration: 'soon'", "1 day"),
    "no assurance": case('"passkey"', '"password"', '"password"', "evidence.holder", "'passkey'"),
    "no expectation": case("allowed = true\n", "", "[[case]]", "nothing is expected", "Add allowed"),
    "allowed with nothing": case(
        'evidence = { holder = "passkey", code = true }\n', "", "allowed", "no evidence", "Add"
    ),
    "defaults of nothing": case(
        "[defaults.pay]", "[defaults.pya]", "[defaults.pya]", "no operation 'pya'", "Write pay"
    ),
    "wrong count": case("", "counters = { count = -1 }\n", "counters", "counters.count", "0 or more"),
    "wrong total": case("", 'counters = { total = "5" }\n', "counters", "counters.total", "form"),
}


def line_of(text: str, fragment: str) -> int:
    """The last line of those with the fragment."""
    return max(number for number, line in enumerate(text.splitlines(), 1) if fragment in line)


@pytest.mark.parametrize("name", ROWS)
def test_a_mistake_is_told_with_file_line_and_remedy_and_nothing_starts(office: Office, name: str) -> None:
    row = ROWS[name]
    files = dict(FILES)
    assert row.old in files[row.file]
    files[row.file] = files[row.file].replace(row.old, row.new) if row.old else files[row.file] + row.new
    for file, text in files.items():
        office.write(file, text)
    before = {path.name for path in office.folder.iterdir()}
    command = ("policy", "test") if row.file == "policy_cases.toml" else ("serve", "--no-notices")
    ran = office.run(*command, "--json")
    assert ran.code == 2, ran
    line = line_of(files[row.file], row.at)
    assert re.search(rf"{row.file}(, line {line}\b| has \d mistakes: .*line {line}: )", ran.error["happened"])
    assert row.says in ran.error["happened"]
    assert row.remedy in ran.error["remedy"]
    assert {path.name for path in office.folder.iterdir()} - before <= {"__pycache__"}


def test_there_is_a_row_for_each_kind_of_file() -> None:
    assert {row.file for row in ROWS.values()} == set(FILES)
    assert len(ROWS) >= 40


def test_all_mistakes_of_the_settings_are_told_at_once(office: Office) -> None:
    office.write("counterfoil.toml", 'desk = "desk"\nport = "80"\n\n[times]\nlink = 1\nlnk = 2\n')
    error = office.run("serve", "--no-notices", "--json").error
    assert "has 5 mistakes: line 1: " in error["happened"]
    for said in (
        "'policy' is missing",
        "line 2: the setting 'port'",
        "line 5: the setting 'times.link'",
        "line 6: there is no setting",
    ):
        assert said in error["happened"]
    for remedy in ('Line 1: Write desk = "desk:desk".', "Line 2: Write a whole number", "Line 6: Write link"):
        assert remedy in error["remedy"]


def test_all_mistakes_of_the_cases_are_told_at_once_and_no_case_runs(office: Office) -> None:
    wrong = '\n[[case]]\nname = "Another"\noperation = "pay"\narguments = { sum = 1 }\nallowed = 1\n'
    office.write("policy_cases.toml", CASES.replace('"pay"\n', '"pya"\n') + wrong)
    ran = office.run("policy", "test", "--json")
    assert ran.code == 2
    assert "cases" not in ran.json
    assert "in the case “A payment”, there is no operation 'pya'" in ran.error["happened"]
    assert "in the case “Another”, the key 'allowed'" in ran.error["happened"]


def test_a_demo_prepares_nothing_where_the_policy_is_wrong(office: Office) -> None:
    office.write("policy.cedar", "permit (")
    ran = office.run("demo", "--stay", "--json")
    assert ran.code == 2
    assert not office.state.exists()


def test_a_desk_of_several_modules_names_the_one_that_failed(office: Office) -> None:
    (office.folder / "parts").mkdir()
    office.write("parts/__init__.py", "")
    office.write("parts/bank.py", "\n\nBANK = 1 / 0\n")
    office.write("desk.py", "from parts.bank import BANK\n" + DESK)
    error = office.run("policy", "check", "--json").error
    assert f"{Path('parts') / 'bank.py'}, line 3: the module failed to load: ZeroDivisionError" in error["happened"]
