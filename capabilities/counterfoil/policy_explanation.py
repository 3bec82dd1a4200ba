"""What the policy says to one request and one evidence, and why, in words.

For people who write policies. Nothing is decided here: the verdict is the one that the authority would come to, and the
rules are asked one by one, each part of their conditions alone, only to say what was missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import cedarpy
from pydantic import Field, JsonValue, ValidationError

from counterfoil.asking import Question
from counterfoil.declared_types import is_optional
from counterfoil.desk import Desk
from counterfoil.errors import CounterfoilError
from counterfoil.evidence import met
from counterfoil.file_mistakes import Mistake, instead, mistakes_in
from counterfoil.operations import Operation
from counterfoil.policy import Policy, Requirements, Verdict
from counterfoil.policy_conditions import Condition, conditions
from counterfoil.policy_text import Rule
from counterfoil.rungs import Rung, WrittenRung
from counterfoil.store import Counters
from counterfoil.values import ASSURANCES, DecimalText, Frozen

NOT_ASKED_FOR = "The policy would allow it, but it is less than any approval that people are asked for."


class Earlier(Frozen):
    """What happened before on the account with the operation, in the last 24 hours."""

    count: Annotated[int, Field(ge=0)] = 0
    total: DecimalText = "0.00"


class Situation(Frozen):
    """One request, as policy would see it. ``arguments`` and ``facts`` are JSON; what is left out is filled in: the
    account among the arguments, and as the only owner among the facts."""

    operation: str
    account: Annotated[str, Field(min_length=1)] = "account"
    principal: Annotated[str, Field(min_length=1)] = "agent"
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    counters: Earlier = Earlier()
    tainted: bool = False
    evidence: WrittenRung | None = None

    @property
    def proved(self) -> Rung | None:
        """The evidence, if any is given."""
        return None if self.evidence is None else self.evidence.rung


@dataclass(frozen=True)
class RuleFound:
    """A rule that speaks of the operation: whether it applies, and which of its conditions do not hold.

    ``applies`` is None where it could not be evaluated.
    """

    rule: Rule
    applies: bool | None
    unmet: tuple[Condition, ...]


@dataclass(frozen=True)
class Explanation:
    """``verdict``: whether it would be executed with the evidence given; None without any.

    ``judged_with``: the evidence with which the rules were asked; without any given, the most that can be asked for.
    """

    requirements: Requirements
    verdict: Verdict | None
    unattended: Verdict
    judged_with: Rung
    rules: tuple[RuleFound, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why: of the verdict, or of the requirements where no evidence was given."""
        return self.requirements.reasons if self.verdict is None else self.verdict.reasons


def question_of(desk: Desk, situation: Situation) -> Question | list[Mistake]:
    """What policy is asked, or every mistake in the situation."""
    operation = desk.operations.get(situation.operation)
    if operation is None:
        wrong = f"there is no operation '{situation.operation}'"
        return [Mistake(("operation",), wrong, instead(situation.operation, desk.operations))]
    mistakes: list[Mistake] = []
    arguments = {operation.account_parameter: situation.account} | situation.arguments
    try:
        operation.arguments.model_validate_json(json.dumps(arguments))
    except ValidationError as error:
        mistakes += mistakes_in(error, operation.arguments, ("arguments",), "argument")
    unsaid = {name: None for name, field in operation.facts.model_fields.items() if is_optional(field.annotation)}
    facts: dict[str, Any] = unsaid | {"owners": [situation.account]} | situation.facts
    try:
        facts = operation.facts.model_validate_json(json.dumps(facts)).model_dump(mode="json")
    except ValidationError as error:
        mistakes += mistakes_in(error, operation.facts, ("facts",), "fact")
    for role in situation.evidence.staff if situation.evidence else ():
        if role not in desk.roles:
            what = f"'evidence.staff.{role}' is no role of the desk"
            mistakes.append(Mistake(("evidence", "staff", role), what, instead(role, desk.roles)))
    if mistakes:
        return mistakes
    return Question(
        operation=operation,
        principal=situation.principal,
        account=situation.account,
        arguments=arguments,
        facts=facts,
        tainted=situation.tainted,
        unguarded=facts.get("guard") is None,
        counters=Counters(situation.counters.count, Decimal(situation.counters.total)),
        amount=operation.counted(json.dumps(arguments).encode()),
    )


def explain(policy: Policy, question: Question, evidence: Rung | None) -> Explanation:
    """What the policy asks for, whether the evidence suffices, and what each rule contributes."""
    requirements = _requirements(policy, question)
    judged_with = evidence if evidence is not None else _most(policy.desk, question.operation)
    return Explanation(
        requirements=requirements,
        verdict=None if evidence is None else _verdict(policy, question, requirements, evidence),
        unattended=policy.unattended(question),
        judged_with=judged_with,
        rules=tuple(_rules(policy, question, judged_with)),
    )


def _requirements(policy: Policy, question: Question) -> Requirements:
    try:
        return policy.requirements(question)
    except CounterfoilError as error:
        return Requirements((), (error.happened,))


def _verdict(policy: Policy, question: Question, requirements: Requirements, evidence: Rung) -> Verdict:
    """Executing takes both: what the ticket requires, and the policy's yes to what was really proved."""
    verdict = policy.allows(question, evidence)
    if verdict.allowed and met(requirements.rungs, evidence) is None:
        return Verdict(False, (NOT_ASKED_FOR,) if requirements.rungs else requirements.reasons)
    return verdict


def _most(desk: Desk, operation: Operation[Any, Any]) -> Rung:
    """All that the operation's ladder can ask for, together."""
    ladder = desk.ladder_of(operation)
    return Rung(
        holder=max((rung.holder for rung in ladder), key=ASSURANCES.index, default="none"),
        staff={role: max(rung.staff.get(role, 0) for rung in ladder) for each in ladder for role in each.staff},
        code=any(rung.code for rung in ladder),
        hold=max((rung.hold for rung in ladder), default=0),
    )


def _rules(policy: Policy, question: Question, evidence: Rung) -> Iterator[RuleFound]:
    """The rules that speak of executing the operation, in the order of the text."""
    action = question.operation.name
    try:
        asking = policy.actions[action]
        [context] = asking.contexts(question, [evidence])
        request = asking.request(question) | {"context": context}
        entities = cedarpy.Entities.from_json_str(asking.entities(question))
    except ValueError:
        return
    for rule in policy.rules:
        if rule.actions is None or rule.names(action):
            applies = _holds(rule.text, request, entities)
            parts = () if applies else conditions(rule.text, rule.line)
            unmet = tuple(part for part in parts if _holds(part.as_policy(), request, entities) is False)
            yield RuleFound(rule, applies, unmet)


def _holds(text: str, request: dict[str, Any], entities: cedarpy.Entities) -> bool | None:
    """Whether one policy, alone, applies; None where it fails."""
    try:
        answer = cedarpy.is_authorized(request, cedarpy.PolicySet.from_str(text), entities)
    except ValueError:
        return None
    if answer.diagnostics.errors:
        return None
    return bool(answer.diagnostics.reasons)
