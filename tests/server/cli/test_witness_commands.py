"""``counterfoil witness``, and a desk whose checkpoints are published: from the settings to an auditor's report."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from counterfoil.checkpoints import NoteKey, cosigned_at, read_checkpoint
from docs.steps import ROOT, steps
from server.cli.office import Office, Program, Served
from server.cli.signing import ANA, browser, enrolled, opened, payment
from server.cli.test_prove import Auditor


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Elsewhere:
    """Another machine: a folder with the program and nothing of a desk."""

    office: Office
    key: str

    @classmethod
    def at(cls, folder: Path, program: Program) -> Elsewhere:
        folder.mkdir()
        office = Office(folder, 0, program)
        return cls(office, office.json("witness", "init", f"watcher.example/{folder.name}")["key"])

    @contextmanager
    def serving(self, log: str, port: int = 0) -> Iterator[Served]:
        with self.office.running("witness", "serve", "--log", log, "--port", str(port)) as served:
            yield served


@pytest.fixture
def elsewhere(tmp_path: Path, program: Program) -> Elsewhere:
    return Elsewhere.at(tmp_path / "w1", program)


def log_key(office: Office) -> str:
    found: str = office.json("prove", "--trust")["log_key"]
    return found


def with_log(office: Office, *lines: str) -> None:
    office.settings("[log]", *lines)


def witness_line(*witnesses: tuple[str, str]) -> str:
    tables = [f'{{ url = "{url}", key = "{key}" }}' for url, key in witnesses]
    return f"witnesses = [{', '.join(tables)}]"


def published_checks(office: Office) -> list[dict[str, Any]]:
    ran = office.run("doctor", "--json")
    return [each for each in ran.json if each["check"] == "published"]


async def paid(office: Office) -> str:
    async with opened(office) as parts, browser(parts, office) as ana:
        await enrolled(parts, ana, ANA)
        return await payment(parts, ana)


def test_a_witness_is_made_and_served_where_there_is_no_desk(elsewhere: Elsewhere, office: Office) -> None:
    assert sorted(path.name for path in elsewhere.office.folder.iterdir()) == ["witness"]
    assert NoteKey.from_text(elsewhere.key).name == "watcher.example/w1"
    key = log_key(office)
    with elsewhere.serving(key) as served:
        assert served.ready["logs"] == [NoteKey.from_text(key).name]
        assert served.ready["key"] == elsewhere.key
        second = elsewhere.office.run("witness", "serve", "--log", key)
        assert (second.code, "uses the state folder" in second.said) == (1, True)
        assert served.stop().code == 0


def test_each_mistake_with_a_witness_is_told_in_words(elsewhere: Elsewhere, office: Office) -> None:
    key, run = log_key(office), elsewhere.office.run
    for arguments, code, words in (
        (("witness", "init", "watcher.example/w1"), 2, "There is a witness in witness already"),
        (("witness", "init", "a name", "--state", "new"), 2, "is no name of a witness"),
        (("witness", "serve", "--log", key, "--state", "nowhere"), 2, "There is no witness in nowhere"),
        (("witness", "serve", "--log", "x+y"), 2, "This is no verifier key"),
        (("witness", "serve", "--log", elsewhere.key), 2, "one key that signs a log's checkpoints"),
        (("witness", "serve"), 2, "--log"),
    ):
        ran = run(*arguments)
        assert (ran.code, words in ran.said) == (code, True), ran
    (elsewhere.office.folder / "witness" / "seen.json").write_text("{}")
    ran = run("witness", "serve", "--log", key)
    assert (ran.code, "is damaged or was changed" in ran.said) == (1, True)
    assert "Start a new witness with a new key" in ran.said


async def test_cosignatures_reach_the_auditor_and_too_few_are_no_evidence(
    office: Office, elsewhere: Elsewhere, tmp_path: Path, program: Program
) -> None:
    ticket = await paid(office)
    away = Elsewhere.at(tmp_path / "w2", program)
    with elsewhere.serving(log_key(office)) as witness:
        nobody = "http://127.0.0.1:1"
        with_log(office, witness_line((witness.ready["serving"], elsewhere.key), (nobody, away.key)), "quorum = 1")
        with office.running("serve", "--no-notices"):
            bundle, trust = office.run("prove", ticket).out, office.run("prove", "--trust").out
            says = {each["says"].partition(" h")[0]: each for each in published_checks(office)}
    assert says["The witness watcher.example/w1"]["status"] == "ok"
    assert "has not answered since" in says["The witness watcher.example/w2"]["says"]
    assert says["The witness watcher.example/w2"]["status"] == "wrong"
    auditor = Auditor.at(tmp_path / "auditor", program, bundle=bundle, trust=trust)
    ran = auditor.verify(width=200)
    assert ran.code == 0, ran
    assert "is cosigned by 1 of the 2 witnesses that you trust: watcher.example/w1 on 20" in ran.said
    (auditor.office.folder / "trust.json").write_text(trust.replace('"quorum": 1', '"quorum": 2'))
    refused = auditor.verify(width=200)
    assert refused.code == 5
    assert "cosigned by only 1 of the 2 witnesses that you trust" in refused.said


async def test_a_served_desk_publishes_and_goes_on_while_a_witness_hangs(
    office: Office, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    with elsewhere.serving(log_key(office)) as witness:
        witness.process.send_signal(signal.SIGSTOP)
        with_log(
            office, 'publish_file = "out/checkpoint"', witness_line((witness.ready["serving"], elsewhere.key)),
            "every = 1",
        )  # fmt: skip
        (office.folder / "out").mkdir()
        with office.running("serve", "--no-notices") as served:
            assert office.json("principals", "add", "ada")["principal"] == "ada"
            assert office.run("log", "tail", "--json").code == 0
            witness.process.send_signal(signal.SIGCONT)
            checks = published_checks(office)
            assert [each["status"] for each in checks] == ["ok", "ok"], checks
            note = read_checkpoint(
                (office.folder / "out" / "checkpoint").read_text(), NoteKey.from_text(log_key(office))
            )
            assert cosigned_at(note, NoteKey.from_text(elsewhere.key)) is not None
            ended = served.stop()
            assert (ended.code, "HTTP Request" in ended.err) == (0, False)


def test_the_how_to_does_what_it_says(office: Office, tmp_path: Path, program: Program) -> None:
    page = "how-to/witness.md"
    key = log_key(office)
    init, serve = steps(page, "Start a witness", NAME="witness.example/w1", LOGKEY=key)
    (tmp_path / "there").mkdir()
    there = Office(tmp_path / "there", 0, program)
    made = there.json(*init)["key"]
    at = serve.index("--port") + 1
    with there.running(*serve[:at], "0") as witness:
        settings = toml_in(page)
        url, name = witness.ready["serving"], "https://witness.example.com"
        assert name in settings[0]
        subprocess.run(["git", "init", "--quiet", "checkpoints"], cwd=office.folder, check=True)
        [line] = settings[0].replace(name, url).replace("NAME+…", made).splitlines()
        places = settings[1].replace("/mnt/elsewhere/", "").replace("/srv/", "").splitlines()
        assert [each.partition(" = ")[0] for each in places] == ["publish_file", "publish_git", "publish_url"]
        with_log(office, line, *places[:2])
        [doctor] = steps(page, "See how it stands")
        says = [each for each in office.run(*doctor, "--json").json if each["check"] == "published"]
    assert [each["status"] for each in says] == ["ok"] * 3
    assert (office.folder / "checkpoints" / "checkpoint").read_text() == (office.folder / "checkpoint").read_text()


def toml_in(page: str) -> list[str]:
    """The settings below each ``[log]`` on the page."""
    text = (ROOT / "docs" / page).read_text()
    return [block.partition("\n```")[0] for block in text.split("```toml\n[log]\n")[1:]]


def test_T50_a_state_folder_set_back_whole_does_not_start_beside_what_was_published(office: Office) -> None:
    subprocess.run(["git", "init", "--quiet", "repository"], cwd=office.folder, check=True)
    with_log(office, 'publish_file = "published"', 'publish_git = "repository"')
    office.json("principals", "add", "ada")
    shutil.copytree(office.state, office.folder / "backup")
    office.json("principals", "add", "bob")
    assert [each["status"] for each in published_checks(office)] == ["ok", "ok"]
    shutil.rmtree(office.state)
    (office.folder / "backup").rename(office.state)
    for published in ("published", "repository"):
        ran = office.run("principals", "list", width=400)
        assert ran.code == 1
        assert published in ran.said
        assert "it was cut, or is an older copy" in ran.said
        assert "counterfoil doctor --accept-log" in ran.said
        assert "it was cut, or is an older copy" in office.run("doctor", width=400).said
        if published == "published":
            (office.folder / "published").rename(office.folder / "aside")
    (office.folder / "aside").rename(office.folder / "published")
    assert office.run("doctor", "--accept-log", "--yes").code == 0
    assert all(each["status"] == "ok" for each in published_checks(office))
    assert list(office.folder.glob("published.until-*"))
    assert "/log/from-" in (office.folder / "published").read_text().splitlines()[0]
    assert "/log/from-" in (office.folder / "repository" / "checkpoint").read_text().splitlines()[0]


def test_T50_checkpoint_key_and_pinned_name_deleted_together_are_seen_by_what_was_published(office: Office) -> None:
    with_log(office, 'publish_file = "published"')
    office.json("principals", "add", "ada")
    assert published_checks(office)[0]["status"] == "ok"
    for name in ("checkpoint", "keys/log.pem"):
        (office.state / name).unlink()
    with closing(sqlite3.connect(office.state / "counterfoil.db", isolation_level=None)) as database:
        assert database.execute("DELETE FROM setting WHERE name = 'log_key'").rowcount == 1
    ran = office.run("principals", "list", width=400)
    assert ran.code == 1
    assert "holds a checkpoint that the log's key did not sign" in ran.said


def test_T50_a_witness_tells_doctor_that_a_desk_was_set_back(office: Office, elsewhere: Elsewhere) -> None:
    office.json("principals", "add", "ada")
    shutil.copytree(office.state, office.folder / "backup")
    with elsewhere.serving(log_key(office)) as witness:
        with_log(office, witness_line((witness.ready["serving"], elsewhere.key)))
        office.json("principals", "add", "bob")
        assert published_checks(office)[0]["status"] == "ok"
        shutil.rmtree(office.state)
        (office.folder / "backup").rename(office.state)
        [check] = published_checks(office)
        assert check["status"] == "wrong"
        assert "has seen" in check["says"]
        assert "it was cut, or is an older copy" in check["says"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['publish_url = "ftp://x"'], "is no web address"),
        (['publish_url = "https://me:secret@x"'], "is no web address"),
        ([witness_line(("nowhere", "KEY"))], "is no web address"),
        ([witness_line(("https://x", "nonsense"))], "is no verifier key of a witness"),
        ([witness_line(("https://x", "LOG"))], "is no verifier key of a witness"),
        ([witness_line(("https://x", "KEY"), ("https://y", "KEY"))], "name one witness twice"),
        ([witness_line(("https://x", "KEY")), "quorum = 2"], "asks for more witnesses than there are"),
        (["quorum = 1"], "asks for more witnesses than there are"),
        ([witness_line(("https://x", "KEY")), "quorum = 0"], "1"),
        (["publish_fil = 'x'"], "publish_file"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_place(
    office: Office, elsewhere: Elsewhere, lines: list[str], words: str
) -> None:
    key = log_key(office)
    with_log(office, *(line.replace("KEY", elsewhere.key).replace("LOG", key) for line in lines))
    ran = office.run("serve", width=400)
    assert ran.code == 2
    assert words in ran.said, ran
    assert "counterfoil.toml, line" in ran.said
