"""More evidence never loses permission: the check at load that a policy cannot say otherwise (T46).

Theory of operation
===================

A policy set allows when some permit holds and no forbid does. So evidence may only help a permit's condition to become
true, and only help a forbid's to become false. Whether a condition can do anything else is read off its syntax tree:
each place in it has a *sign*, +1 where the place becoming true can only help permission, -1 where it can only hurt;
``!``, ``unless`` and ``forbid`` turn the sign round. The rules:

* evidence (``holder_*``, ``code_typed`` bare; ``waited`` and ``staff.*`` compared with a written number by ``>=``,
  ``>``, ``<`` or ``<=``) stands only where more of it helps;
* warnings (``tainted``, ``unguarded``) stand only where they hurt: they add requirements, and never replace one;
* neither is used in any other way: not with ``==``, in a condition of ``if``, in a set or record, nor as part of the
  whole ``context`` or ``context.staff``, where its sign could not be read off;
* nothing that can fail (arithmetic overflows) comes after evidence or a warning in the same policy: evaluation goes
  from left to right and stops early, so whether it fails, which refuses, would depend on them.

Syntax that this module does not know is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cedarpy import pst

from counterfoil.cedar_schema import ACCOUNT_TYPE, PRINCIPAL_TYPE
from counterfoil.errors import PolicyError

MORE_HELPS = 1
MORE_HURTS = -1

FLAGS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(("holder_link", "holder_passkey", "holder_passkey_bound", "code_typed"), MORE_HELPS)
    | dict.fromkeys(("tainted", "unguarded"), MORE_HURTS)
)
"""The truth values of the context, and what more of each may do to permission."""

PLAIN = frozenset({"counters"})
"""Attributes of the context that a policy may use in any way."""

COMPARISONS: Mapping[str, int] = MappingProxyType({"greater": 1, "greater_eq": 1, "less": -1, "less_eq": -1})
"""What a larger left side does to the truth of a comparison."""

FALLIBLE = frozenset({"add", "sub", "mul", "neg", "offset", "duration_since", "to_date", "to_time", "get_tag"})
"""Operators whose evaluation can fail although the policy is valid."""

NAMEABLE = frozenset({PRINCIPAL_TYPE, ACCOUNT_TYPE, "Action"})
"""Entity types without attributes: reading one that was not given cannot fail."""


def check_monotone(policy: pst.Template, where: str) -> None:
    """Refuse a policy with which more evidence, or fewer warnings, could mean less permission.

    ``where`` begins the error's sentence (a file, a line and the policy's ``@id``). Raises :class:`PolicyError`.
    """
    if isinstance(policy.resource, pst.ScopeEq | pst.ScopeIn | pst.ScopeIsIn):
        raise PolicyError(
            f"{where} names one resource, but requests have no ids that could be known beforehand.",
            "Write 'resource', or 'resource is' and the operation's type.",
        )
    sign = MORE_HELPS if policy.effect == "permit" else MORE_HURTS
    walk = _Walk(where)
    for clause in policy.clauses:
        walk.condition(clause.expr, sign if isinstance(clause, pst.When) else -sign)


class _Walk:
    """One policy, read from left to right as Cedar evaluates it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.met: str | None = None
        """The last evidence or warning that was read so far."""

    def condition(self, expression: pst.Expr, sign: int) -> None:
        """Check an expression whose truth decides, at a place of this sign."""
        match expression:
            case pst.BinaryOp(op="and" | "or", left=left, right=right):
                self.condition(left, sign)
                self.condition(right, sign)
            case pst.UnaryOp(op="not", arg=arg):
                self.condition(arg, -sign)
            case pst.IfThenElse(cond=cond, then_expr=then, else_expr=otherwise):
                self.value(cond)
                self.condition(then, sign)
                self.condition(otherwise, sign)
            case pst.BinaryOp(op=op, left=left, right=pst.LongLit()) if op in COMPARISONS and _count(left):
                self._met(left, sign * COMPARISONS[op], MORE_HELPS)
            case pst.BinaryOp(op=op, left=pst.LongLit(), right=right) if op in COMPARISONS and _count(right):
                self._met(right, sign * -COMPARISONS[op], MORE_HELPS)
            case pst.GetAttr(base=pst.Var(name="context"), attr=attribute) if attribute in FLAGS:
                self._met(expression, sign, FLAGS[attribute])
            case _:
                self.value(expression)

    def value(self, expression: pst.Expr) -> None:
        """Check an expression that must not depend on evidence or warnings."""
        match expression:
            case pst.GetAttr(base=pst.Var(name="context"), attr=attribute) if attribute in PLAIN:
                return
            case pst.GetAttr(base=pst.Var(name="context")) | pst.Var(name="context"):
                raise self._misused(expression)
            case pst.HasAttr(base=pst.Var(name="context"), attrs=attributes):
                raise PolicyError(
                    f"{self.where} asks whether the context has {'.'.join(attributes)}.",
                    "Everything in the context is always there: name the action in the policy's head and use it.",
                )
            case pst.EntityLit(value=uid) if str(uid.type) not in NAMEABLE:
                raise PolicyError(f"{self.where} names the resource {uid}; a policy knows no other than 'resource'.")
            case pst.UnaryOp(op=op) | pst.BinaryOp(op=op) if op in FALLIBLE and self.met:
                raise PolicyError(
                    f"{self.where} calculates after it has read {self.met}; whether a calculation overflows, which "
                    f"refuses, must not depend on that.",
                    "Put the calculation first, or into a policy of its own.",
                )
        for part in parts(expression, self.where):
            self.value(part)

    def _met(self, attribute: pst.Expr, effect: int, wanted: int) -> None:
        self.met = _spelled(attribute)
        if effect == wanted:
            return
        if wanted == MORE_HELPS:
            raise PolicyError(
                f"{self.where} gives less permission for more evidence ({self.met}).",
                f"In a permit, ask for it: when {{ {_asked(attribute)} }}. "
                f"In a forbid, exempt it: unless {{ {_asked(attribute)} }}.",
            )
        raise PolicyError(
            f"{self.where} gives more permission because of a warning ({self.met}).",
            f"In a permit, exclude it or ask for more with it: !{self.met} || …. "
            f"In a forbid, name it: when {{ {self.met} }}.",
        )

    def _misused(self, expression: pst.Expr) -> PolicyError:
        spelled = _spelled(expression)
        if spelled == "context":
            return PolicyError(f"{self.where} uses the whole context as a value.", "Name one of its attributes.")
        if spelled == "context.staff":
            remedy = "Compare one role with a written number: context.staff.<role> >= 1."
        elif spelled == "context.waited":
            remedy = "Compare it with a written number of seconds: context.waited >= 3600."
        else:
            remedy = f"Use it bare, joined by && or ||: {spelled}."
        return PolicyError(f"{self.where} uses {spelled} in a way that does not show what more of it means.", remedy)


def _count(expression: pst.Expr) -> bool:
    """Whether this is a number of the evidence: seconds waited, or approvals of one role."""
    match expression:
        case pst.GetAttr(base=pst.GetAttr(base=pst.Var(name="context"), attr="staff")):
            return True
        case pst.GetAttr(base=pst.Var(name="context"), attr="waited"):
            return True
    return False


def _spelled(expression: pst.Expr) -> str:
    """A path into the context as policies write it."""
    return f"{_spelled(expression.base)}.{expression.attr}" if isinstance(expression, pst.GetAttr) else "context"


def _asked(attribute: pst.Expr) -> str:
    return f"{_spelled(attribute)} >= 1" if _count(attribute) else _spelled(attribute)


def parts(expression: pst.Expr, where: str) -> tuple[pst.Expr, ...]:
    """The expressions directly inside, in the order of evaluation."""
    match expression:
        case pst.UnaryOp(arg=arg):
            return (arg,)
        case pst.BinaryOp(left=left, right=right):
            return (left, right)
        case pst.GetAttr(base=base) | pst.HasAttr(base=base) | pst.Like(base=base):
            return (base,)
        case pst.Is(base=base, in_expr=inside):
            return (base,) if inside is None else (base, inside)
        case pst.IfThenElse(cond=cond, then_expr=then, else_expr=otherwise):
            return (cond, then, otherwise)
        case pst.Set(elements=elements):
            return elements
        case pst.Record(fields=fields):
            return tuple(fields.values())
        case pst.Var() | pst.BoolLit() | pst.LongLit() | pst.StringLit() | pst.EntityLit():
            return ()
    raise PolicyError(f"{where} uses the expression {type(expression).__name__}, which is not supported.")
