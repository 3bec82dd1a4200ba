"""``policy test``: whether the policy answers a table of cases as expected (``counterfoil.policy_cases``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from counterfoil.errors import CasesError
from counterfoil.policy_cases import FILE_NAME, Judged, alternatives, judge, read_cases
from counterfoil_server.cli.console import Output, counted
from counterfoil_server.cli.exit_codes import FOUND, OK
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.config import Configuration


def register(group: typer.Typer) -> None:
    """Add the command to ``policy``."""
    group.command("test")(with_session(ask_cases))


def ask_cases(
    session: Session,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help=f"The cases; otherwise {FILE_NAME} beside the policy.", show_default=False),
    ] = None,
) -> int:
    """Ask the policy a table of cases and compare its answers with those expected; exits with 3 if one differs."""
    judged = judged_cases(session.configuration, None if file is None else Path(file))
    failed = sum(not each.passed for each in judged)
    answer = {"cases": [_to_dict(each) for each in judged], "passed": len(judged) - failed, "failed": failed}
    session.output.answer(answer, lambda: _show(session.output, judged, failed))
    return FOUND if failed else OK


def judged_cases(configuration: Configuration, file: Path | None = None) -> list[Judged]:
    """What the policy says to the cases of ``file``, or of the file beside the policy; raises :class:`CasesError`."""
    policy = configuration.load_policy()
    path = file or (configuration.folder / configuration.settings.policy).parent / FILE_NAME
    cases = read_cases(_text(path), policy.desk, source=str(path))
    return [judge(policy, case) for case in cases]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CasesError(
            f"The cases {path} cannot be read: {why}.", "Name an existing file; 'counterfoil init' writes an example."
        ) from None


def _to_dict(judged: Judged) -> dict[str, Any]:
    found = judged.explanation
    return {
        "name": judged.case.name,
        "operation": judged.case.operation,
        "passed": judged.passed,
        "failures": list(judged.failures),
        "allowed": None if found.verdict is None else found.verdict.allowed,
        "requires": [rung.members() for rung in found.requirements.rungs],
        "unattended": found.unattended.allowed,
        "reasons": list(found.reasons),
    }


def _show(output: Output, judged: list[Judged], failed: int) -> None:
    passed, wrong = (Text(output.mark("✓", "ok"), "good"), Text(output.mark("✗", "x"), "bad"))
    rows = [(passed if each.passed else wrong, each.case.name, each.case.operation, _answer(each)) for each in judged]
    output.table(("", "case", "operation", "the policy's answer"), rows)
    for each in judged:
        if each.failures:
            output.heading(f"Not as expected: {each.case.name}")
            output.items("Expected:", _expected(each))
            output.items("But:", each.failures)
    output.gap()
    if failed:
        output.say((f"{counted(failed, 'case')} of {len(judged)} {'is' if failed == 1 else 'are'} wrong.", "bad"))
    else:
        output.say((f"{counted(len(judged), 'case')}, all as expected.", "good"))


def _answer(judged: Judged) -> str:
    found = judged.explanation
    if found.verdict is not None:
        return "allowed" if found.verdict.allowed else "refused"
    return "asks for approval" if found.requirements.rungs else "refused to everybody"


def _expected(judged: Judged) -> list[str]:
    case = judged.case
    found = []
    if case.allowed is not None:
        found.append(f"It is {'allowed' if case.allowed else 'refused'}.")
    if case.required is not None:
        found.append(f"It requires: {alternatives(case.required)}.")
    if case.unattended is not None:
        found.append(f"Without anybody's approval it {'may' if case.unattended else 'may not'} run.")
    if case.reason is not None:
        found.append(f"The reason given is: {case.reason}")
    return found
