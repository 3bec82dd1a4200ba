"""Reading a policy text: what Cedar parses, fits the desk, and names what it is about.

Every refusal says where: the source, the line, and the policy's ``@id`` if it has one. The rules held here:

* the text parses, has no templates, and passes Cedar's strict validation against the desk's schema;
* a policy names only operations of the desk, and a permit names its actions, so that an operation that is added later
  is permitted to nobody;
* ``has`` asks only for what an operation declares. Cedar takes another name for a plain *no*, so a misspelled
  ``forbid`` would never apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import compress, pairwise

import cedarpy
from cedarpy import pst

from counterfoil.asking import Path, Reads, paths_read
from counterfoil.cedar_schema import MEMBERS, Resource, Shape
from counterfoil.errors import PolicyError
from counterfoil.monotone import check_monotone, parts

TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;|\S', re.DOTALL)
"""Enough of Cedar's grammar to find where policies begin: comments, strings, and the semicolon that ends a policy."""

UNDECLARED = re.compile(r"attribute `(arguments|facts)\.([^`]+)` on entity type `([^`]+)` not found")
"""How Cedar's validator says that an operation has no such argument or fact."""


@dataclass(frozen=True)
class Rule:
    """What is kept of one policy: Cedar's id of it, its effect, its words for people, and the actions of its head.

    ``words`` is its ``@id`` or None; ``actions`` is None where it speaks of every action; ``text`` is its own text,
    which begins in ``line`` of the whole.
    """

    id: str
    effect: str
    words: str | None
    actions: tuple[str, ...] | None
    text: str = ""
    line: int = 0

    def names(self, action: str) -> bool:
        """Whether the head names this action."""
        return self.actions is not None and action in self.actions


@dataclass(frozen=True)
class PolicyText:
    """A policy text that was read: Cedar's handle, and the rules in the order of the text.

    ``paths`` are, rule by rule, those into resource and context that it mentions.
    """

    handle: cedarpy.PolicySet
    rules: tuple[Rule, ...]
    paths: tuple[frozenset[Path], ...]

    def reads(self, action: str) -> Reads:
        """All that the rules read that speak of the action."""
        spoken = [rule.actions is None or action in rule.actions for rule in self.rules]
        return Reads(frozenset().union(*compress(self.paths, spoken)))


def read_policy(text: str, schema: cedarpy.Schema, resources: Mapping[str, Resource], source: str) -> PolicyText:
    """Parse and check ``text``; raises :class:`PolicyError` with the first mistake found."""
    begins = _beginnings(text)
    lines = {f"policy{number}": text.count("\n", 0, begin) + 1 for number, begin in enumerate(begins)}
    try:
        handle = cedarpy.PolicySet.from_str(text)
        tree = handle.to_pst()
    except ValueError as error:
        raise PolicyError(f"{_unparsed(text, begins, source)} does not parse: {_sentence(str(error))}") from None
    for template in tree.templates.values():
        raise PolicyError(
            f"{_where(template, lines, source)} is a template with a slot, which nothing would fill.",
            "Write 'principal' and 'resource' without a slot, or name them.",
        )
    policies = tuple(sorted(tree.static_policies.values(), key=lambda policy: (len(policy.id), policy.id)))
    for policy in policies:
        _check_action(policy, resources, _where(policy, lines, source))
    _validate(text, schema, resources, {policy.id: _where(policy, lines, source) for policy in policies}, source)
    for policy in policies:
        _check_has(policy, resources, _where(policy, lines, source))
        check_monotone(policy, _where(policy, lines, source))
    texts = {f"policy{number}": text[begin:end] for number, (begin, end) in enumerate(_extents(text, begins))}
    return PolicyText(
        handle,
        tuple(
            Rule(
                policy.id,
                policy.effect,
                _words_of(policy),
                _actions_of(policy),
                texts[policy.id].rstrip(),
                lines[policy.id],
            )
            for policy in policies
        ),
        tuple(frozenset(paths_read(policy, _where(policy, lines, source))) for policy in policies),
    )


def _words_of(policy: pst.Template) -> str | None:
    return policy.annotations.get("id") or None


def _actions_of(policy: pst.Template) -> tuple[str, ...] | None:
    match policy.action:
        case pst.ActionEq(entity=uid):
            return (uid.id,)
        case pst.ActionIn(entities=uids):
            return tuple(uid.id for uid in uids)
    return None


def _check_action(policy: pst.Template, resources: Mapping[str, Resource], where: str) -> None:
    actions = _actions_of(policy)
    if actions is None and policy.effect == "permit":
        raise PolicyError(
            f"{where} permits without naming an action, so it would also permit operations that are added later.",
            'Name it in the head: action == Action::"<operation>".',
        )
    known = [action for each in resources.values() for action in (each.execute, each.unattended)]
    for uid in sorted(map(str, pst.entity_uids(policy.action))):
        if uid not in {f'Action::"{action}"' for action in known}:
            raise PolicyError(
                f"{where} names {uid}, which is no action of the desk.",
                f"Use one of: {', '.join(known)}." if known else "Declare the operation first.",
            )


def _validate(
    text: str, schema: cedarpy.Schema, resources: Mapping[str, Resource], where: Mapping[str, str], source: str
) -> None:
    result = cedarpy.validate_policies(text, schema)
    if result.validation_passed and not result.errors:
        return
    for error in result.errors:
        mistake = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
        raise PolicyError(
            f"{where.get(error.policy_id, source)} does not fit the desk: {_sentence(mistake)}",
            _remedy(mistake, resources),
        )
    raise PolicyError(f"{source} does not fit the desk.")


def _remedy(mistake: str, resources: Mapping[str, Resource]) -> str | None:
    if "optional attribute" in mistake:
        return "Ask first whether it is there, as in: resource.facts has guard && resource.facts.guard == …."
    if '/unattended" not found' in mistake:
        return 'Evidence exists only when executing: name that action alone, as in action == Action::"<operation>".'
    if found := UNDECLARED.search(mistake):
        whole, wrong, entity_type = found.groups()
        for each in resources.values():
            if each.entity_type == entity_type:
                shape = each.facts if whole == "facts" else each.arguments
                names = ", ".join(attribute.name for attribute in shape.attributes) or "none"
                return (
                    f"The {whole} of {each.operation} are: {names}. Correct the name, or declare it there; a rule that "
                    f"speaks of other operations as well can ask first: resource.{whole} has {wrong} && …."
                )
    if "counters.total_24h" in mistake:
        return 'Say which amount is added up, as in @desk.operation(counts="amount"); or limit counters.count_24h.'
    if "in context for" in mistake:
        return "Correct the name: roles are those of the desk; the reference of policies has the other words."
    return None


def _check_has(policy: pst.Template, resources: Mapping[str, Resource], where: str) -> None:
    """Refuse ``has`` for what none of the operations in question declares."""
    named = _actions_of(policy)
    concerned = [each for each in resources.values() if named is None or {each.execute, each.unattended} & set(named)]
    declared: set[tuple[str, ...]] = {("account",), ("arguments",), ("facts",)}
    for each in concerned:
        declared |= _paths("arguments", each.arguments) | _paths("facts", each.facts)
    for expression in _expressions(policy, where):
        if isinstance(expression, pst.HasAttr):
            base = _resource_path(expression.base)
            if base is None:
                raise PolicyError(
                    f"{where} asks whether something other than the resource has {'.'.join(expression.attrs)}.",
                    "Name the attribute itself: what is not declared is refused, and all else is always there.",
                )
            path = (*base, *expression.attrs)
            if path not in declared:
                raise PolicyError(
                    f"{where} asks whether there is resource.{'.'.join(path)}, which its operations do not declare.",
                    "Correct the name; as it stands, the answer would always be no.",
                )


def _paths(whole: str, shape: Shape) -> set[tuple[str, ...]]:
    """Every path into the arguments or the facts."""
    found: set[tuple[str, ...]] = set()
    for each in shape.attributes:
        found |= {(whole, each.name), *((whole, each.name, member) for member in MEMBERS.get(each.cedar_type, ()))}
    return found


def _resource_path(expression: pst.Expr) -> tuple[str, ...] | None:
    """``("facts",)`` for ``resource.facts``, and so on; None for what is no path into the resource."""
    match expression:
        case pst.Var(name="resource"):
            return ()
        case pst.GetAttr(base=base, attr=attribute):
            path = _resource_path(base)
            return None if path is None else (*path, attribute)
    return None


def _expressions(policy: pst.Template, where: str) -> Iterator[pst.Expr]:
    waiting = [clause.expr for clause in policy.clauses]
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting.extend(parts(expression, where))


def _where(policy: pst.Template, lines: Mapping[str, int], source: str) -> str:
    words = _words_of(policy)
    line = f", line {lines[policy.id]}" if policy.id in lines else ""
    return f"{source}{line}: the {policy.effect}{f' “{words}”' if words else ''}"


def _beginnings(text: str) -> list[int]:
    """Where each policy begins."""
    begins: list[int] = []
    between = True
    for match in TOKEN.finditer(text):
        if match.group().startswith("//"):
            continue
        if between:
            begins.append(match.start())
        between = match.group() == ";"
    return begins


def _extents(text: str, begins: list[int]) -> list[tuple[int, int]]:
    """Where each policy begins and the next one does."""
    return list(pairwise([*begins, len(text)]))


def _unparsed(text: str, begins: list[int], source: str) -> str:
    """The source and, where one policy alone does not parse, the line at which it begins."""
    for begin, end in _extents(text, begins):
        try:
            cedarpy.PolicySet.from_str(text[begin:end])
        except ValueError:
            return f"{source}, line {text.count(chr(10), 0, begin) + 1}: the policy that begins there"
    return source


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
