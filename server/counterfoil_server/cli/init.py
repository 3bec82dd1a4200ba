"""``init``: a starter desk with its policy, settings and tests, to be read and then changed.

Nothing is ever overwritten: where one of the files is there already, nothing at all is written.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from counterfoil_server.cli.exit_codes import AlreadyThere
from counterfoil_server.cli.session import Session, with_session

FILES = {
    "desk.py": "what the AI may read, and what it may request",
    "policy.cedar": "who must agree to it",
    "policy_cases.toml": "what the policy is expected to say",
    "counterfoil.toml": "the settings",
    "test_desk.py": "tests of the desk and of the policy",
    "conftest.py": "what each test gets: the desk, opened for it alone",
    "pytest.ini": "how the tests are run",
    ".gitignore": "keeps keys and state out of version control",
}
"""What is written, and what each is for, in the order in which to read them."""

KEPT = frozenset({".gitignore"})
"""What a folder may well have already; it is then left as it is."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", short_help="Write a starter desk with policy, settings and tests.")(with_session(init))


def init(
    session: Session,
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Where; made if it does not exist. Otherwise here.")
    ] = ".",
) -> None:
    """Write a starter desk, its policy, settings and tests into a folder. Never overwrites a file."""
    target = Path(folder)
    written = write_starter(target)
    kept = [name for name in FILES if name not in written]
    commands = ["counterfoil policy test", "counterfoil demo --stay"]
    if target.resolve() != Path.cwd():
        commands = [f"cd {_quoted(folder)} && {commands[0]}", commands[1]]
    answer = {"folder": str(target), "written": written, "kept": kept, "next": commands}
    session.output.answer(answer, lambda: _show(session, target, written, kept, commands))


def write_starter(folder: Path) -> list[str]:
    """Write the starter's files and answer their names; raises :class:`AlreadyThere` before anything is written."""
    there = [name for name in FILES if name not in KEPT and _exists(folder / name)]
    if there:
        names = f"{', '.join(there)} {'is' if len(there) == 1 else 'are'}"
        raise AlreadyThere(f"{names} in {folder} already; nothing was written.", "Name an empty or a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    templates = files(__package__) / "starter"
    written: list[str] = []
    try:
        for name in FILES:
            if name in KEPT and _exists(folder / name):
                continue
            # "x" refuses what somebody else made meanwhile, and does not follow a link.
            with (folder / name).open("x", encoding="utf-8") as file:
                written.append(name)
                file.write((templates / name.removeprefix(".")).read_text(encoding="utf-8"))
    except OSError:
        for name in written:
            (folder / name).unlink()
        raise
    return written


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _quoted(folder: str) -> str:
    from shlex import quote

    return quote(folder)


def _show(session: Session, folder: Path, written: list[str], kept: list[str], commands: list[str]) -> None:
    output = session.output
    output.checked(output.mark("✓", "ok"), "good", f"Wrote a starter desk to {folder.resolve()}:")
    output.fields([(name, FILES[name]) for name in written])
    for name in kept:
        output.warn(f"{name} was there and is as it was. Add these lines to it: state/ and roster-key.pem")
    output.gap()
    output.say("Next, try its policy; then run it, with a mailbox in place of e-mail:")
    output.paste("\n".join(commands))
