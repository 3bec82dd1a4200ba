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

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

import cedarpy
from cedarpy import pst

from counterfoil.canonical import canonical, digest
from counterfoil.cedar_schema import ACCOUNT_TYPE, PRINCIPAL_TYPE, Resource, cedar_schema, resources
from counterfoil.desk import Desk, Operation
from counterfoil.errors import PolicyError
from counterfoil.policy_text import actions_of, read_policy, words_of
from counterfoil.rungs import ASSURANCES, Ladder, Rung
from counterfoil.store import Counters
from counterfoil.values import Money

NOTHING_PERMITS = "No rule of the policy permits this."
FORBIDDEN = "A rule of the policy forbids this."
FAILED = "The policy could not be evaluated, which means no."
NO_EVIDENCE = "Nobody has approved this."

NO_ACCOUNT = ""
"""The id of the account entity of a request whose account the directory does not know; no account has it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What policy is asked about; all of it is trusted except ``arguments``.

    ``arguments`` and ``facts`` are JSON values; ``counters`` span the last 24 hours without this operation, which
    counts ``amount``, if it counts something.
    """

    operation: Operation[Any, Any]
    principal: str
    account: str | None
    arguments: Mapping[str, Any]
    facts: Mapping[str, Any]
    tainted: bool
    unguarded: bool
    counters: Counters
    amount: Money | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no, and the words of the policies that decided."""

    allowed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Requirements:
    """The alternatives of least evidence, in the desk's order; none means that the policy refuses. Reasons as above."""

    rungs: tuple[Rung, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was checked against a desk. Made by :meth:`load`; asking it changes nothing.

    ``digest`` is the digest of text and schema together; ``policies`` are in the order of the text.
    """

    digest: str
    desk: Desk
    roles: tuple[str, ...]
    resources: Mapping[str, Resource]
    ladders: Mapping[str, Ladder]
    handle: cedarpy.PolicySet
    schema: cedarpy.Schema
    policies: tuple[pst.Template, ...]

    @classmethod
    def load(cls, text: str, desk: Desk, *, source: str = "policy.cedar") -> Policy:
        """Check ``text`` against the desk; raises :class:`PolicyError` naming ``source``, the policy and the remedy."""
        schema_text = cedar_schema(desk)
        schema = cedarpy.Schema.from_str(schema_text)
        found = resources(desk)
        read = read_policy(text, schema, found, source)
        return cls(
            digest=digest("counterfoil-policy", canonical([text, schema_text])),
            desk=desk,
            roles=tuple(dict.fromkeys(desk.roles)),
            resources=found,
            ladders={name: Ladder.of(desk.ladder_of(operation)) for name, operation in desk.operations.items()},
            handle=read.handle,
            schema=schema,
            policies=read.policies,
        )

    def requirements(self, question: Question) -> Requirements:
        """The least evidence with which the policy would allow executing.

        Raises :class:`PolicyError` where a rung is allowed and one that asks for more is refused.
        """
        ladder = self.ladders.get(question.operation.name, Ladder.of(()))
        verdicts = self._ask_to_execute(question, ladder.rungs)
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
        return self._ask_to_execute(question, [evidence])[0]

    def unattended(self, question: Question) -> Verdict:
        """Whether the operation may run without anybody's evidence."""
        return self._ask(question, "/unattended", [{}])[0]

    def outline(self, operation: Operation[Any, Any]) -> tuple[str, ...]:
        """The words of every permit for executing the operation, whoever asks and whatever for."""
        named = (policy for policy in self.policies if operation.name in (actions_of(policy) or ()))
        return _words(policy for policy in named if policy.effect == "permit")

    def _ask_to_execute(self, question: Question, rungs: Sequence[Rung]) -> list[Verdict]:
        return self._ask(question, "", [_evidence(rung, self.roles) for rung in rungs])

    def _ask(self, question: Question, suffix: str, evidence: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        """One verdict per evidence; anything unexpected is a no to all of them."""
        try:
            resource = self.resources[question.operation.name]
            uid = {"type": resource.entity_type, "id": "requested"}
            entity = {"uid": uid, "attrs": _attributes(resource, question), "parents": []}
            common = _circumstances(question)
            request = {
                "principal": {"type": PRINCIPAL_TYPE, "id": question.principal},
                "action": {"type": "Action", "id": f"{resource.operation}{suffix}"},
                "resource": uid,
            }
            # The entity holds what others wrote and is checked against the schema; the contexts are made right here, of
            # truth values, whole numbers and one decimal, and checking each would cost as much as deciding.
            answers = cedarpy.is_authorized_batch(
                [request | {"context": json.dumps({**common, **each})} for each in evidence],
                self.handle,
                cedarpy.Entities.from_json_str(json.dumps([entity]), self.schema),
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
        words = _words(policy for policy in self.policies if policy.id in determining)
        if answer.decision is cedarpy.Decision.Allow:
            return Verdict(True, words)
        return Verdict(False, words or (FORBIDDEN if determining else NOTHING_PERMITS,))


def _attributes(resource: Resource, question: Question) -> dict[str, Any]:
    account = NO_ACCOUNT if question.account is None else question.account
    return {
        "account": {"__entity": {"type": ACCOUNT_TYPE, "id": account}},
        "arguments": resource.arguments.record(question.arguments),
        "facts": resource.facts.record(question.facts),
    }


def _circumstances(question: Question) -> dict[str, Any]:
    """The context without evidence; counters include the operation that is asked about."""
    counters: dict[str, Any] = {"count_24h": question.counters.count + 1}
    if question.operation.counts is not None:
        if question.amount is None:
            raise ValueError("the operation counts an amount, but none was given")
        total = question.counters.total + question.amount.amount
        amount = str(total.quantize(Decimal("0.0001"), ROUND_CEILING))
        counters["total_24h"] = {"__extn": {"fn": "decimal", "arg": amount}}
    return {"tainted": question.tainted, "unguarded": question.unguarded, "counters": counters}


def _evidence(rung: Rung, roles: Iterable[str]) -> dict[str, Any]:
    """The context's evidence. A stronger assurance of the holder includes the weaker ones; other roles do not count."""
    level = ASSURANCES.index(rung.holder)
    holder = {f"holder_{name}": level >= ASSURANCES.index(name) for name in ASSURANCES if name != "none"}
    staff = {role: rung.staff.get(role, 0) for role in roles}
    return {**holder, "staff": staff, "code_typed": rung.code, "waited": rung.hold}


def _words(policies: Iterable[pst.Template]) -> tuple[str, ...]:
    return _distinct(words for policy in policies if (words := words_of(policy)))


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
