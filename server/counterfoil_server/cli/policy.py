"""``policy check``: whether the policy fits the desk, and what it asks of people, operation by operation.

``policy test`` and ``policy explain`` are in modules of their own.
"""

from __future__ import annotations

from typing import Any

import typer

from counterfoil.desk import Desk
from counterfoil.errors import DeskError, PolicyError
from counterfoil.policy import NOTHING_PERMITS, Policy
from counterfoil_server.cli import policy_cases, policy_explain
from counterfoil_server.cli.console import Output
from counterfoil_server.cli.exit_codes import FOUND
from counterfoil_server.cli.session import Session, with_session

NO_WORDS = "a rule without words (give it an @id: people are shown it)"


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="The rules that decide who must agree.", rich_markup_mode=None)
    group.command("check")(with_session(check))
    policy_cases.register(group)
    policy_explain.register(group)
    app.add_typer(group, name="policy")


def check(session: Session) -> int | None:
    """Load the desk and the policy, and say what each operation needs. Changes nothing; exits with 3 if it is wrong."""
    configuration = session.configuration
    try:
        desk, policy = configuration.desk, configuration.load_policy()
    except (DeskError, PolicyError) as error:
        session.output.error(error)
        return FOUND
    found = {
        "policy": configuration.settings.policy,
        "digest": policy.digest,
        "operations": [_operation(name, desk, policy) for name in desk.operations],
    }
    session.output.answer(found, lambda: _show(session.output, found))
    return None


def _operation(name: str, desk: Desk, policy: Policy) -> dict[str, Any]:
    operation = desk.operations[name]
    return {
        "operation": name,
        "title": operation.title,
        "ladder": [rung.in_words() for rung in desk.ladder_of(operation) if not rung.is_empty],
        "permitted": _rules(policy, "permit", name),
        "forbidden": _rules(policy, "forbid", name),
        "settled_by": desk.settler_of(name),
        "unattended": _rules(policy, "permit", f"{name}/unattended"),
    }


def _rules(policy: Policy, effect: str, action: str) -> list[str]:
    """The words of the rules of this effect that speak of the action; a rule that names none speaks of all."""
    concerned = [
        rule for rule in policy.rules if rule.effect == effect and (rule.actions is None or rule.names(action))
    ]
    return [rule.words or NO_WORDS for rule in concerned]


def _show(output: Output, found: dict[str, Any]) -> None:
    output.checked(output.mark("✓", "ok"), "good", f"{found['policy']} fits the desk.")
    for each in found["operations"]:
        output.heading(f"{each['title']} ({each['operation']})")
        output.items("Approvals that can be asked for, weakest first:", each["ladder"])
        if each["permitted"]:
            output.items("Allowed, if they suffice for one of these rules:", each["permitted"])
        else:
            output.warn(f"{NOTHING_PERMITS} Every request for it is refused.")
        if each["forbidden"]:
            output.items("Refused, whoever approved:", each["forbidden"])
        if each["settled_by"]:
            output.items("If its outcome is unknown, established by:", [f"a person with the role {each['settled_by']}"])
        for words in each["unattended"]:
            output.warn(f"It may run without anybody's approval: {words}")
