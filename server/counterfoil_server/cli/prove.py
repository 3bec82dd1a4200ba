"""``prove``: evidence of one ticket for somebody who trusts neither this machine nor us."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from counterfoil_server.cli.console import Output, assembled
from counterfoil_server.cli.exit_codes import UsageMistake
from counterfoil_server.cli.session import Session, with_session

NOT_CHECKED = (
    "ssh-keygen checks the signatures and nothing else: not the roster, the requirements, the website, nor that a"
    " finger, face or PIN was shown."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prove", short_help="Write evidence of a ticket that others can verify.")(with_session(prove))


def prove(
    session: Session,
    ticket: Annotated[str | None, typer.Argument(help="The ticket's id.", show_default=False)] = None,
    openssh: Annotated[
        Path | None,
        typer.Option(
            "--openssh",
            metavar="FOLDER",
            help="Write what was signed into this new folder, for ssh-keygen.",
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Write what an auditor of this desk has to trust, instead of a ticket.")
    ] = False,
) -> None:
    """Write evidence of a ticket that others can verify without this machine.

    By default one file on stdout, an evidence bundle: 'counterfoil prove TICKET > bundle.json'. Whoever gets it checks
    it with 'counterfoil verify bundle.json --trust trust.json', where trust.json is what 'counterfoil prove --trust'
    wrote and reached them another way. A bundle names everybody on the roster, with addresses: give it only to people
    who may see that.
    """
    if trust == (ticket is not None) or (trust and openssh is not None):
        raise UsageMistake("Name a ticket, or ask for --trust; not both.", "Run 'counterfoil prove --help'.")
    if trust:
        session.output.write_json(session.call("evidence_trust"))
    elif openssh is None:
        _write(session.call("evidence_bundle", ticket=ticket))
    else:
        _for_ssh(session, str(ticket), openssh)


def _write(text: str) -> None:
    """The very bytes of the file: a line's end after them would be one byte too many."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _for_ssh(session: Session, ticket: str, folder: Path) -> None:
    _check_new(folder)
    found = session.call("openssh_files", ticket=ticket)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in found["files"].items():
        (folder / name).write_bytes(text.encode())
    told = {"ticket": found["ticket"], "folder": str(folder), "signatures": found["signatures"]}
    session.output.answer(told, lambda: _written(session.output, folder, found["signatures"]))


def _check_new(folder: Path) -> None:
    """Evidence of two tickets in one folder would be taken for that of one."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageMistake(f"{folder} is there already.", "Name a folder that does not exist yet, or an empty one.")


def _written(output: Output, folder: Path, signatures: list[dict[str, Any]]) -> None:
    output.say(("Written ", "heading"), f"to {folder}.")
    for each in signatures:
        said = each["decision"].replace("_", " ")
        output.items(f"{each['file']}: {each['person']} signed “{said}”. Check it there with", [])
        output.paste(
            f"ssh-keygen -Y verify -f allowed_signers -I {each['person']} -n {each['namespace']}"
            f" -s {each['file']}.sig < {each['file']}",
            indent=4,
        )
    output.hint(assembled("A decline is refused: allowed_signers lists people for approvals alone. ", NOT_CHECKED))
