"""How a question is put to Cedar: one action, its request, its resource and its contexts.

Handing a value to Cedar costs more than deciding on it, so it is given what some rule of the action reads, and nothing
else. Should a value be missing that a rule wants, evaluating fails, which means no. Every value of the arguments and
facts is checked against its declared type here, whether a rule reads it or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from cedarpy import pst

from counterfoil.cedar_schema import ACCOUNT_TYPE, PRINCIPAL_TYPE, Resource
from counterfoil.monotone import parts
from counterfoil.operations import Operation
from counterfoil.rungs import Rung
from counterfoil.store import Counters
from counterfoil.values import ASSURANCES, Money

NO_ACCOUNT = ""
"""The id of the account entity of a request whose account the directory does not know; no account has it."""

LARGEST_TOTAL = Decimal(2**63 - 1).scaleb(-4)
"""The largest ``decimal`` of Cedar (https://docs.cedarpolicy.com/policies/syntax-datatypes.html)."""

Path = tuple[str, ...]


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Reads:
    """The paths that rules read, such as ``("context", "staff", "finance")``."""

    paths: frozenset[Path]

    def touches(self, *path: str) -> bool:
        """Whether some rule reads this, something in it, or a whole that contains it."""
        return any(read[: len(path)] == path[: len(read)] for read in self.paths)


def paths_read(policy: pst.Template, where: str) -> Iterator[Path]:
    """Every path into the resource and the context that the policy mentions; ``where`` begins an error's sentence."""
    waiting = [clause.expr for clause in policy.clauses]
    while waiting:
        expression = waiting.pop()
        path = _path(expression)
        if path is None:
            waiting.extend(parts(expression, where))
        else:
            yield path


def _path(expression: pst.Expr) -> Path | None:
    match expression:
        case pst.Var(name="resource" | "context" as name):
            return (name,)
        case pst.GetAttr(base=base, attr=attribute):
            path = _path(base)
            return None if path is None else (*path, attribute)
        case pst.HasAttr(base=base, attrs=attributes):
            path = _path(base)
            return None if path is None else (*path, *attributes)
    return None


class Asking:
    """One action of one operation, and what its rules read."""

    def __init__(self, action: str, resource: Resource, reads: Reads, roles: Iterable[str]) -> None:
        self._resource = resource
        self._uid = {"type": resource.entity_type, "id": "requested"}
        self._action = {"type": "Action", "id": action}
        self._account = reads.touches("resource", "account")
        self._arguments = _read(reads, "resource", "arguments", [each.name for each in resource.arguments.attributes])
        self._facts = _read(reads, "resource", "facts", [each.name for each in resource.facts.attributes])
        self._context = _read(reads, "context", ["tainted", "unguarded", "counters", "code_typed", "waited"])
        self._counters = _read(reads, "context", "counters", ["count_24h", "total_24h"])
        self._roles = tuple(role for role in roles if reads.touches("context", "staff", role))
        levels = {f"holder_{name}": level for level, name in enumerate(ASSURANCES) if level}
        self._levels = {name: level for name, level in levels.items() if reads.touches("context", name)}

    @property
    def reads_counters(self) -> bool:
        """Whether any rule looks at what happened before."""
        return "counters" in self._context

    def request(self, question: Question) -> dict[str, Any]:
        """Principal, action and resource, as Cedar's JSON names them."""
        principal = {"type": PRINCIPAL_TYPE, "id": question.principal}
        return {"principal": principal, "action": self._action, "resource": self._uid}

    def entities(self, question: Question) -> str:
        """The resource as JSON; raises ``ValueError`` where a value is not of its declared type."""
        attributes: dict[str, Any] = {
            "arguments": self._resource.arguments.record(question.arguments, self._arguments),
            "facts": self._resource.facts.record(question.facts, self._facts),
        }
        if self._account:
            account = NO_ACCOUNT if question.account is None else question.account
            attributes["account"] = {"__entity": {"type": ACCOUNT_TYPE, "id": account}}
        return json.dumps([{"uid": self._uid, "attrs": attributes, "parents": []}])

    def contexts(self, question: Question, rungs: Iterable[Rung | None]) -> list[str]:
        """For each evidence, or None where there is none to speak of, the context as JSON."""
        common = self._circumstances(question)
        return [json.dumps(common if rung is None else common | self._evidence(rung)) for rung in rungs]

    def _circumstances(self, question: Question) -> dict[str, Any]:
        """The context without evidence; counters include the operation that is asked about."""
        counters: dict[str, Any] = {"count_24h": question.counters.count + 1}
        if question.operation.counts is not None:
            if question.amount is None:
                raise ValueError("the operation counts an amount, but none was given")
            total = question.counters.total + question.amount.amount
            if total > LARGEST_TOTAL:
                raise ValueError("the sum is too large for Cedar")
            amount = str(total.quantize(Decimal("0.0001"), ROUND_CEILING))
            counters["total_24h"] = {"__extn": {"fn": "decimal", "arg": amount}}
        found = {
            "tainted": question.tainted,
            "unguarded": question.unguarded,
            "counters": {name: value for name, value in counters.items() if name in self._counters},
        }
        return {name: value for name, value in found.items() if name in self._context}

    def _evidence(self, rung: Rung) -> dict[str, Any]:
        """A stronger assurance of the holder includes the weaker ones; roles that the desk lacks do not count."""
        reached = ASSURANCES.index(rung.holder)
        found: dict[str, Any] = {name: reached >= level for name, level in self._levels.items()}
        if self._roles:
            found["staff"] = {role: rung.staff.get(role, 0) for role in self._roles}
        if "code_typed" in self._context:
            found["code_typed"] = rung.code
        if "waited" in self._context:
            found["waited"] = rung.hold
        return found


def _read(reads: Reads, *path: Any) -> frozenset[str]:
    """Which of the names at the end of ``path``, a list, some rule reads."""
    *whole, names = path
    return frozenset(name for name in names if reads.touches(*whole, name))
