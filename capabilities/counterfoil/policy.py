"""The policy: what evidence an operation needs, and whether it may run with the evidence there is.

One text in Cedar answers both. Requirements are the weakest evidence with which executing would be allowed: the desk's
rungs are asked one by one, and the minimal allowed ones are the alternatives. The rules held here:

* no policy means that everything is refused, and executing is never asked with no evidence at all;
* an error in evaluation means no, whatever else was decided: Cedar skips a ``forbid`` that fails
  (GHSA-hm46-7j72-rpv9);
* autonomy is only ever given through ``<operation>/unattended``;
* a policy that does not fit the desk, names nobody's operation, permits without naming an action, or could turn more
  evidence into less permission, is refused when it is loaded (T46);
* the words people are shown are the ``@id`` of the policies that decided; nothing else depends on annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cedarpy

from counterfoil.asking import Asking, Question
from counterfoil.canonical import canonical, digest
from counterfoil.cedar_schema import cedar_schema, resources
from counterfoil.desk import Desk
from counterfoil.errors import PolicyError
from counterfoil.operations import Operation
from counterfoil.policy_text import Rule, read_policy
from counterfoil.rungs import Ladder, Rung

NOTHING_PERMITS = "No rule of the policy permits this."
FORBIDDEN = "A rule of the policy forbids this."
FAILED = "The policy could not be evaluated, which means no."
NO_EVIDENCE = "Nobody has approved this."


@dataclass(frozen=True)
class Verdict:
    """Yes or no, and the words of the policies that decided."""

    allowed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Requirements:
    """The alternatives of least evidence, in the desk's order; none means that the policy refuses. Reasons as above."""

    rungs: tuple[Rung, ...]
    reasons: tuple[str, ...]


def policy_digest(text: str, schema: str) -> str:
    """The digest by which envelopes name a policy: of its text and the schema it was checked against."""
    return digest("counterfoil-policy", canonical([text, schema]))


@dataclass(frozen=True)
class Policy:
    """A policy that was checked against a desk. Made by :meth:`load`; asking it changes nothing.

    ``digest`` is the digest of text and schema together; ``rules`` are in the order of the text.
    """

    digest: str
    desk: Desk
    actions: Mapping[str, Asking]
    ladders: Mapping[str, Ladder]
    handle: cedarpy.PolicySet
    rules: tuple[Rule, ...]

    @classmethod
    def load(cls, text: str, desk: Desk, *, source: str = "policy.cedar") -> Policy:
        """Check ``text`` against the desk; raises :class:`PolicyError` naming ``source``, the policy and the remedy."""
        schema_text = cedar_schema(desk)
        schema = cedarpy.Schema.from_str(schema_text)
        found = resources(desk)
        read = read_policy(text, schema, found, source)
        roles = tuple(dict.fromkeys(desk.roles))
        actions = {
            action: Asking(action, resource, read.reads(action), roles)
            for resource in found.values()
            for action in (resource.execute, resource.unattended)
        }
        return cls(
            digest=policy_digest(text, schema_text),
            desk=desk,
            actions=actions,
            ladders={name: Ladder.of(desk.ladder_of(operation)) for name, operation in desk.operations.items()},
            handle=read.handle,
            rules=read.rules,
        )

    def requirements(self, question: Question) -> Requirements:
        """The least evidence with which the policy would allow executing.

        Raises :class:`PolicyError` where a rung is allowed and one that asks for more is refused.
        """
        ladder = self.ladders.get(question.operation.name, Ladder.of(()))
        verdicts = self._ask(question.operation.name, question, ladder.rungs)
        allowed = {place for place, verdict in enumerate(verdicts) if verdict.allowed}
        if not allowed:
            reasons = _distinct(reason for place in ladder.strongest() for reason in verdicts[place].reasons)
            return Requirements((), reasons or (NOTHING_PERMITS,))
        if not ladder.is_upward(allowed):
            raise PolicyError(
                f"The policy refuses {question.operation.name} with more evidence where it allows it with less.",
                "Write each rule so that more evidence never loses permission.",
            )
        least = ladder.minimal(allowed)
        return Requirements(
            tuple(ladder.rungs[place] for place in least),
            _distinct(reason for place in least for reason in verdicts[place].reasons),
        )

    def allows(self, question: Question, evidence: Rung) -> Verdict:
        """Whether the operation may be executed with this evidence; ``evidence.hold`` is the seconds waited."""
        if evidence.is_empty:
            return Verdict(False, (NO_EVIDENCE,))
        return self._ask(question.operation.name, question, [evidence])[0]

    def unattended(self, question: Question) -> Verdict:
        """Whether the operation may run without anybody's evidence."""
        return self._ask(f"{question.operation.name}/unattended", question, [None])[0]

    def counts(self, operation: str, *, unattended: bool = False) -> bool:
        """Whether executing the operation depends on what happened before."""
        action = f"{operation}/unattended" if unattended else operation
        return action in self.actions and self.actions[action].reads_counters

    def may_run_alone(self, operation: str) -> bool:
        """Whether any rule permits the operation without anybody's evidence, in whatever circumstances."""
        return any(rule.effect == "permit" and rule.names(f"{operation}/unattended") for rule in self.rules)

    def outline(self, operation: Operation[Any, Any]) -> tuple[str, ...]:
        """The words of every permit for executing the operation, whoever asks and whatever for."""
        return _words(rule for rule in self.rules if rule.effect == "permit" and rule.names(operation.name))

    def _ask(self, action: str, question: Question, evidence: Sequence[Rung | None]) -> list[Verdict]:
        """One verdict per evidence; anything unexpected is a no to all of them."""
        try:
            asking = self.actions[action]
            request = asking.request(question)
            answers = cedarpy.is_authorized_batch(
                [request | {"context": context} for context in asking.contexts(question, evidence)],
                self.handle,
                cedarpy.Entities.from_json_str(asking.entities(question)),
            )
            if len(answers) != len(evidence):
                raise ValueError("Cedar did not answer every question")
            return [self._verdict(answer) for answer in answers]
        except Exception:
            return [Verdict(False, (FAILED,)) for _ in evidence]

    def _verdict(self, answer: cedarpy.AuthzResult) -> Verdict:
        if answer.diagnostics.errors or answer.decision is cedarpy.Decision.NoDecision:
            return Verdict(False, (FAILED,))
        determining = set(answer.diagnostics.reasons)
        words = _words(rule for rule in self.rules if rule.id in determining)
        if answer.decision is cedarpy.Decision.Allow:
            return Verdict(True, words)
        return Verdict(False, words or (FORBIDDEN if determining else NOTHING_PERMITS,))


def _words(rules: Iterable[Rule]) -> tuple[str, ...]:
    return _distinct(rule.words for rule in rules if rule.words)


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
