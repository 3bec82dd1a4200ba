"""Who holds a bundle and a trust file confirms with Go's packages and ssh-keygen that this key approved exactly this
statement, and that the log records it: the commands of ``docs/how-to/verify-evidence.md``, at a real ticket."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conformance.golang import environment
from counterfoil.checkpoints import LOG, NoteSigner, to_base64
from docs.snippets import ROOT
from server.cli.conftest import own_desk
from server.cli.office import Office, Program
from server.cli.signing import ANA, browser, enrolled, opened, payment

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("go")]
__all__ = ["own_desk"]

PAGE = (ROOT / "docs/how-to/verify-evidence.md").read_text(encoding="utf-8")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Program.started() as program:
        yield Office.at(tmp_path / "office", program)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("go")


def commands(person: str) -> list[str]:
    """What stands on the page: the line that runs the program, and the one that runs ssh-keygen."""
    [section] = re.findall(r"^## With Go and ssh-keygen\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    return [line.replace("PERSON", person) for line in lines if not line.startswith("apt-get ")]


def edited(bundle: str, text: str, other: str, after: str = "") -> str:
    """The bundle with the first such JSON in its texts changed, from where ``after`` stands."""
    start = bundle.index(json.dumps(after)[1:-1])
    found = bundle.index(json.dumps(text)[1:-1], start)
    return bundle[:found] + bundle[found:].replace(json.dumps(text)[1:-1], json.dumps(other)[1:-1], 1)


def test_the_page_names_the_packages() -> None:
    assert "apt-get install golang-go golang-golang-x-mod-dev openssh-client" in PAGE


async def test_the_commands_of_the_page_confirm_an_approval_and_nothing_else(office: Office, cache: Path) -> None:
    async with opened(office) as parts, browser(parts, office) as ana:
        person = await enrolled(parts, ana, ANA)
        yes, no = await payment(parts, ana), await payment(parts, ana, "decline", amount="30.00")
    program, keygen = commands(person)
    (office.folder / "examples").symlink_to(ROOT / "examples")
    trust = office.run("prove", "--trust").out
    bundle = office.run("prove", yes).out

    def run(line: str, **files: str) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (office.folder / f"{name}.json").write_text(text)
            shutil.rmtree(office.folder / "evidence", ignore_errors=True)
        return subprocess.run(
            ["sh", "-c", line], env=environment(cache), cwd=office.folder, capture_output=True, text=True, timeout=300
        )

    ran = run(program, bundle=bundle, trust=trust)
    assert ran.returncode == 0, ran.stderr
    leaves = json.loads(bundle)["contents"]["ticket"]["leaves"]
    assert len(re.findall(r"^leaf \d+ of \d+: ", ran.stdout, re.MULTILINE)) == len(leaves)
    at = next(json.loads(each["body"])["n"] for each in leaves if json.loads(each["body"])["event"] == "statement")
    assert f'statement-1.json: "approve" by {person}, recorded by leaf {at}\n' in ran.stdout
    assert "Good" in run(keygen).stdout
    assert "file exists" in run(program).stderr
    statement = office.folder / "evidence" / "statement-1.json"
    statement.write_text(statement.read_text().replace('"holder"', '"Holder"'))
    assert run(keygen).returncode != 0

    known = json.loads(trust)
    stranger = NoteSigner.of(known["log_key"].split("+")[0], LOG, Ed25519PrivateKey.generate()).key.to_text()
    private = Ed25519PrivateKey.generate()
    signer = NoteSigner.of(known["log_key"].split("+")[0], LOG, private)
    body = f"elsewhere.example/log\n1\n{to_base64(bytes(32))}\n"
    line = f"— {signer.key.name} {to_base64(signer.key.id + private.sign(body.encode()))}\n"
    other_log = json.loads(bundle)
    for each in other_log["contents"]["proofs"]:
        each["proof"] = each["proof"].split("\n\n")[0] + f"\n\n{body}\n{line}"
    named = {"bundle": json.dumps(other_log), "trust": json.dumps(known | {"log_key": signer.key.to_text()})}
    swapped = json.loads(bundle)
    first, second = swapped["contents"]["proofs"][:2]
    first["proof"], second["proof"] = second["proof"], first["proof"]
    wrong = [
        ({"trust": json.dumps(known | {"log_key": stranger})}, "no verifiable signatures"),
        ({"trust": json.dumps(known | {"log_key": None})}, "names no log"),
        ({"bundle": edited(bundle, '"person":"', '"person":"eve-', after='"enrolment":{')}, "no enrolment"),
        (named, "of another log"),
        ({"bundle": json.dumps(swapped)}, "has no proof"),
        ({"bundle": edited(bundle, '"event":"mint"', '"event":"mind"')}, "invalid transparency proof"),
        ({"bundle": edited(bundle, '"seat":"holder","v"', '"seat":"Holder","v"')}, "recorded by no leaf"),
        (
            {"bundle": edited(bundle, '"statement":"', '"statement":"A', after='"groups":{"decision":"approve"')},
            "does not open",
        ),
    ]
    for files, says in wrong:
        ran = run(program, **({"bundle": bundle, "trust": trust} | files))
        assert (ran.returncode, says in ran.stderr) == (1, True), (says, ran.stderr)

    declined = run(program, bundle=office.run("prove", no).out, trust=trust)
    assert declined.returncode == 0, declined.stderr
    assert f'"decline" by {person}' in declined.stdout
    assert run(keygen).returncode != 0
