"""How commands about the log end where a proof is broken: after everything was shown, because it must be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from counterfoil.errors import TamperDetected
from counterfoil_server.cli.console import counted
from counterfoil_server.cli.exit_codes import exit_code_of
from counterfoil_server.cli.log_life import wrong_with
from counterfoil_server.cli.session import Session

REMEDY = "Keep a copy of the state folder, and run 'counterfoil doctor'; then restore it with its keys from a backup."


def refuse_broken(session: Session, wrong: Sequence[str]) -> None:
    """Raise TamperDetected if anything is wrong; with ``--json`` the answer said so, and only the exit code follows."""
    if not wrong:
        return
    more = f" {counted(len(wrong) - 1, 'more proof is', 'more proofs are')} broken." if len(wrong) > 1 else ""
    error = TamperDetected(f"{wrong[0]}{more}", REMEDY)
    if session.as_json:
        raise typer.Exit(exit_code_of(error))
    raise error


def broken_proofs(found: Mapping[str, Any]) -> list[str]:
    """What is wrong with the leaves found, and with the log that they were found in."""
    whole = [found["broken"]] if found["broken"] else []
    return [says for leaf in found["leaves"] for says in wrong_with(leaf)] + whole
