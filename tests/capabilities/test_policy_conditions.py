"""The parts of a rule's conditions, cut out of its text."""

from __future__ import annotations

import cedarpy

from counterfoil.policy_conditions import conditions

RULE = """\
@id("when { a && b }")
permit (principal is Agent, action in [Action::"x"], resource)
when {
  context.a && // c && d }
  // nothing here
  (context.b || resource.facts.x && true) &&
  ["a && b"].contains(resource.facts.text) && { a: true && false }.a
} when { context.a || context.b && context.c } when { if context.a then true else context.b && true }
unless { context.q && context.r };"""


def test_a_conjunction_is_cut_into_its_parts_and_anything_else_stays_whole() -> None:
    assert [(part.line, part.in_words()) for part in conditions(RULE, 10)] == [
        (13, "context.a"),
        (15, "(context.b || resource.facts.x && true)"),
        (16, '["a && b"].contains(resource.facts.text)'),
        (16, "{ a: true && false }.a"),
        (17, "context.a || context.b && context.c"),
        (17, "if context.a then true else context.b && true"),
        (18, "unless { context.q && context.r }"),
    ]


def test_each_part_is_a_policy_of_its_own() -> None:
    for part in conditions(RULE, 1):
        cedarpy.PolicySet.from_str(part.as_policy())


def test_a_rule_without_conditions_has_no_parts() -> None:
    assert conditions("permit (principal, action, resource);", 1) == ()
