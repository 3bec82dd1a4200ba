"""``policy explain``: what the policy says to one request and one evidence, and why (``policy_explanation``)."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from counterfoil.canonical import parse_strict
from counterfoil.errors import BadJSON
from counterfoil.file_mistakes import Mistake, mistakes_in
from counterfoil.policy_explanation import Explanation, RuleFound, Situation, explain, question_of
from counterfoil.rungs import Rung
from counterfoil_server.cli.console import Output
from counterfoil_server.cli.exit_codes import UsageMistake
from counterfoil_server.cli.session import Session, with_session

HELP = "Run 'counterfoil policy explain --help' to see how it is used."


def register(group: typer.Typer) -> None:
    """Add the command to ``policy``."""
    group.command("explain")(with_session(policy_explain))


def policy_explain(
    session: Session,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="The operation's name.")],
    arguments: Annotated[str, typer.Option("--arguments", metavar="JSON", help="Its arguments.")] = "{}",
    facts: Annotated[str, typer.Option("--facts", metavar="JSON", help="What its preview would read.")] = "{}",
    account: Annotated[str, typer.Option("--account", metavar="ID", help="The account.")] = "account",
    principal: Annotated[str, typer.Option("--principal", metavar="ID", help="The agent that asks.")] = "agent",
    count: Annotated[int, typer.Option("--count", help="How often it happened before in 24 hours.")] = 0,
    total: Annotated[
        str, typer.Option("--total", metavar="AMOUNT", help="How much was counted before in 24 hours.")
    ] = "0.00",
    tainted: Annotated[bool, typer.Option("--tainted", help="The agent has read what strangers wrote.")] = False,
    holder: Annotated[
        str | None,
        typer.Option("--holder", metavar="HOW", help="How the holder confirmed: link, passkey or passkey_bound."),
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="The holder typed the code from the chat.")] = False,
    staff: Annotated[
        list[str] | None,
        typer.Option("--staff", metavar="ROLE=N", help="So many people with the role approved. May be repeated."),
    ] = None,
    hold: Annotated[
        str | None, typer.Option("--hold", metavar="TIME", help="How long it waited, as in 1day or 36hours.")
    ] = None,
) -> None:
    """Say what the policy asks for a request, whether the approvals given suffice, and what each rule contributes."""
    given: dict[str, Any] = {"holder": holder, "code": code or None, "staff": _staff(staff), "hold": hold}
    evidence = {name: value for name, value in given.items() if value is not None}
    try:
        situation = Situation.model_validate(
            {
                "operation": operation,
                "account": account,
                "principal": principal,
                "arguments": _object("--arguments", arguments),
                "facts": _object("--facts", facts),
                "counters": {"count": count, "total": total},
                "tainted": tainted,
                "evidence": evidence or None,
            }
        )
    except ValidationError as error:
        raise _usage(mistakes_in(error, Situation)) from None
    policy = session.configuration.load_policy()
    question = question_of(policy.desk, situation)
    if isinstance(question, list):
        raise _usage(question)
    found = explain(policy, question, situation.proved)
    session.output.answer(_to_dict(operation, found), lambda: _show(session.output, question.operation.title, found))


def _staff(given: list[str] | None) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for each in given or ():
        role, equals, count = each.partition("=")
        if not equals or not count.isdecimal():
            raise UsageMistake(f"--staff {each} is not ROLE=N.", "Write it as in --staff finance=1.")
        found[role] = int(count)
    return found or None


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        value = parse_strict(text.encode())
    except BadJSON as error:
        raise UsageMistake(f"{option} is not JSON: {error.happened}", HELP) from None
    if not isinstance(value, dict):
        raise UsageMistake(f"{option} is no JSON object.", 'Write it as in \'{"order_id": "A-1"}\'.')
    return value


def _usage(mistakes: list[Mistake]) -> UsageMistake:
    says = "; ".join(each.says for each in mistakes)
    return UsageMistake(f"{says[:1].upper()}{says[1:]}.", mistakes[0].remedy if len(mistakes) == 1 else HELP)


def _to_dict(operation: str, found: Explanation) -> dict[str, Any]:
    return {
        "operation": operation,
        "requires": [rung.members() for rung in found.requirements.rungs],
        "requires_in_words": [rung.in_words() for rung in found.requirements.rungs],
        "allowed": None if found.verdict is None else found.verdict.allowed,
        "unattended": found.unattended.allowed,
        "reasons": list(found.reasons),
        "judged_with": found.judged_with.members(),
        "rules": [
            {
                "effect": each.rule.effect,
                "words": each.rule.words,
                "line": each.rule.line,
                "applies": each.applies,
                "unmet": [{"condition": part.in_words(), "line": part.line} for part in each.unmet],
            }
            for each in found.rules
        ],
    }


def _show(output: Output, title: str, found: Explanation) -> None:
    if found.verdict is not None:
        sign = ("✓", "ok", "good") if found.verdict.allowed else ("✗", "x", "bad")
        verdict = f"{title} is {'allowed' if found.verdict.allowed else 'refused'} where {_words(found.judged_with)}."
        output.checked(output.mark(sign[0], sign[1]), sign[2], verdict)
        output.items("Why:", found.verdict.reasons)
        output.gap()
    else:
        output.say((title, "heading"))
    if found.requirements.rungs:
        output.items("Before it is carried out, it asks for:", [rung.in_words() for rung in found.requirements.rungs])
    else:
        output.items("Nobody can approve it:", found.requirements.reasons)
    if found.unattended.allowed:
        output.warn("A rule permits it without anybody's approval.")
    output.heading("The rules that speak of it")
    if found.verdict is None:
        output.say(f"Asked as if all had been done that can be asked for: {_words(found.judged_with)}.")
    if not found.rules:
        output.say("None.")
    for each in found.rules:
        _rule(output, each)


def _words(rung: Rung) -> str:
    """The evidence, with the code where the words of a requirement would leave it out."""
    words = rung.in_words() or "nobody approves"
    return f"{words}, and the code from the chat" if rung.code and rung.holder in ("none", "link") else words


def _rule(output: Output, found: RuleFound) -> None:
    permits = found.rule.effect == "permit"
    if found.applies is None:
        sign, plain, style, says = "!", "!", "note", "cannot be evaluated, which means no"
    elif found.applies:
        sign, plain, style = ("✓", "ok", "good") if permits else ("✗", "x", "bad")
        says = "permits" if permits else "forbids"
    else:
        sign, plain, style, says = "–", "-", "quiet", f"does not {found.rule.effect}"
    words = f" “{found.rule.words}”" if found.rule.words else ""
    output.checked(output.mark(sign, plain), style, f"Line {found.rule.line}{words} {says}.")
    if found.applies is False and permits:
        missing = [f"{part.in_words()} (line {part.line})" for part in found.unmet]
        output.items("Does not hold:", missing or ["what its head says of the principal or the resource"])
