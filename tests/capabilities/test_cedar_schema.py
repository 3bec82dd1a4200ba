"""The schema that policies are checked against says exactly what the desk declares."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import cedarpy
import pytest
from pydantic import Field

from counterfoil.cedar_schema import cedar_schema, resource_type, resources
from counterfoil.desk import Desk
from counterfoil.errors import DeskError
from counterfoil.values import Account, Change, Contact, Execution, Facts, Money, Receipt


class NobodyKnown:
    async def find(self, hint: str) -> Account | None:
        return None

    async def person(self, account: Account) -> Contact | None:
        return None


class Speed(StrEnum):
    SLOW = "slow"
    FAST = "fast"


class InvoiceFacts(Facts):
    paid: bool
    total: Money
    address: Change
    payees: tuple[str, ...]
    customer: Account
    speed: Speed
    score: int | None = None
    disputed: bool = True


def invoice_desk(*roles: str) -> Desk:
    desk = Desk("Shop", directory=NobodyKnown(), roles=roles)

    @desk.operation
    async def adjust_invoice(
        execution: Execution,
        account: Account,
        amount: Money,
        lines: list[str],
        kind: Literal["credit", "debit"],
        has: str,
        factor: float,
        months: Annotated[int, Field(ge=1)] = 3,
        notify: bool = True,
        fee: Money = Money(value="1.50", currency="EUR"),  # noqa: B008 - immutable
        memo: str | None = None,
    ) -> Receipt:
        """Adjust an invoice."""
        raise NotImplementedError

    @adjust_invoice.preview
    async def invoice_facts(
        account: Account,
        amount: Money,
        lines: list[str],
        kind: Literal["credit", "debit"],
        has: str,
        factor: float,
        months: Annotated[int, Field(ge=1)] = 3,
        notify: bool = True,
        fee: Money = Money(value="1.50", currency="EUR"),  # noqa: B008 - immutable
        memo: str | None = None,
    ) -> InvoiceFacts:
        raise NotImplementedError

    return desk


def desk_with(*names: str) -> Desk:
    """A desk whose operations have these names and nothing else."""
    desk = Desk("Names", directory=NobodyKnown())
    for name in names:

        async def run(execution: Execution, account: Account) -> Receipt:
            """Do something."""
            raise NotImplementedError

        run.__name__ = name
        desk.operation(run)
    return desk


def accepts(desk: Desk, condition: str, action: str = "adjust_invoice") -> bool:
    text = f'permit(principal is Agent, action == Action::"{action}", resource) when {{ {condition} }};'
    return bool(cedarpy.validate_policies(text, cedar_schema(desk)))


@pytest.mark.parametrize(
    "condition",
    [
        'resource.account == Account::"A-1"',
        'resource.arguments.account == "ann@example.com"',
        'resource.arguments.amount.value.lessThan(decimal("50.00")) && resource.arguments.amount.currency == "EUR"',
        'resource.arguments.lines.contains("x")',
        'resource.arguments.kind == "credit"',
        'resource.arguments["has"] like "a*"',
        "resource.arguments.months < 12",
        "resource.arguments.notify",
        'resource.arguments has memo && resource.arguments.memo == "x"',
        "!resource.facts.paid",
        'resource.facts.total.currency == "EUR"',
        "resource.facts.address.before == resource.facts.address.after",
        "resource.facts.payees.containsAll(resource.facts.owners)",
        'resource.facts.customer == "A-1"',
        'resource.facts.speed == "fast"',
        "resource.facts has score && resource.facts.score > 3",
        'resource.facts has guard && resource.facts.guard == "v1"',
        "context.holder_link && context.holder_passkey && context.holder_passkey_bound && context.code_typed",
        "context.staff.finance >= 1 && context.waited > 3600",
        "context.counters.count_24h < 3",
        "context.tainted || context.unguarded",
    ],
)
def test_policies_can_speak_of_everything_declared(condition: str) -> None:
    assert accepts(invoice_desk("finance"), condition)


@pytest.mark.parametrize(
    "condition",
    [
        "resource.arguments.factor == 1",
        "resource.arguments.memo == resource.arguments.memo",
        "resource.facts.score > 3",
        "resource.facts.guard == resource.facts.guard",
        "resource.facts.customer == resource.account",
        "resource.arguments.months == resource.arguments.kind",
        "context.staff.legal >= 1",
        "resource.arguments.unheard_of",
    ],
)
def test_policies_cannot_speak_of_anything_else_or_mix_types(condition: str) -> None:
    assert not accepts(invoice_desk("finance"), condition)


def test_T45_a_days_sum_is_known_only_where_amounts_are_counted() -> None:
    limit = 'context.counters.total_24h.lessThanOrEqual(decimal("50.00"))'
    desk = invoice_desk("finance")
    assert not accepts(desk, limit)
    desk.operations["adjust_invoice"].counts = "amount"
    assert accepts(desk, limit)


@pytest.mark.parametrize("evidence", ["context.holder_passkey", "context.code_typed", "context.waited > 1"])
def test_evidence_is_unknown_to_the_unattended_action(evidence: str) -> None:
    desk = invoice_desk()
    assert accepts(desk, evidence)
    assert not accepts(desk, evidence, "adjust_invoice/unattended")
    assert accepts(desk, "!context.tainted && context.counters.count_24h < 3", "adjust_invoice/unattended")


def test_a_desk_without_roles_or_without_operations_has_a_schema() -> None:
    assert "staff: {}" in cedar_schema(invoice_desk())
    cedarpy.Schema.from_str(cedar_schema(invoice_desk()))
    cedarpy.Schema.from_str(cedar_schema(Desk("Empty", directory=NobodyKnown())))


def test_roles_with_any_name_can_be_asked_for() -> None:
    desk = invoice_desk("head of finance", 'the "boss"\\', "Prüfung", "in")
    for role in ("head of finance", 'the \\"boss\\"\\\\', "Prüfung", "in"):
        assert accepts(desk, f'context.staff["{role}"] >= 1')


@pytest.mark.parametrize(
    ("operation", "entity_type"),
    [
        ("refund", "Refund"),
        ("adjust_invoice", "AdjustInvoice"),
        ("set", "SetOperation"),
        ("account", "AccountOperation"),
        ("money", "MoneyOperation"),
        ("action", "ActionOperation"),
    ],
)
def test_each_operation_is_an_entity_type(operation: str, entity_type: str) -> None:
    assert resource_type(operation) == entity_type
    desk = desk_with(operation)
    assert accepts(desk, f'resource is {entity_type} && resource.facts.owners.contains("A-1")', operation)


@pytest.mark.parametrize(
    "word", ["agent", "boolean", "bool", "long", "string", "record", "entity", "extension", "change", "decimal", "if"]
)
def test_operations_may_have_names_that_cedar_uses(word: str) -> None:
    cedarpy.Schema.from_str(cedar_schema(desk_with(word)))


def test_two_operations_of_one_entity_type_are_refused() -> None:
    with pytest.raises(DeskError, match="a_1 and a1 are both A1"):
        cedar_schema(desk_with("a_1", "a1"))


GIVEN: dict[str, Any] = {
    "account": "A-1",
    "amount": {"value": "5.00", "currency": "EUR"},
    "lines": ["x"],
    "kind": "credit",
    "has": "y",
    "factor": 1.5,
    "memo": None,
    "unheard_of": 1,
}
EVERYTHING = {*GIVEN, "months", "notify", "fee"}


def money(value: str) -> dict[str, Any]:
    return {"value": {"__extn": {"fn": "decimal", "arg": value}}, "currency": "EUR"}


def test_the_record_of_arguments_has_defaults_and_no_floats_nulls_or_extras() -> None:
    shape = resources(invoice_desk())["adjust_invoice"].arguments
    left_out = {"factor", "memo", "unheard_of"}
    filled_in = {"months": 3, "notify": True, "fee": money("1.50"), "amount": money("5.00")}
    record = shape.record(GIVEN, EVERYTHING)
    assert record == {name: value for name, value in GIVEN.items() if name not in left_out} | filled_in
    assert shape.record(GIVEN | {"months": 5, "notify": False}, EVERYTHING)["months"] == 5
    assert shape.record(GIVEN | {"notify": False}, EVERYTHING)["notify"] is False


def test_the_record_has_only_what_is_wanted() -> None:
    shape = resources(invoice_desk())["adjust_invoice"].arguments
    assert shape.record(GIVEN, {"amount", "memo"}) == {"amount": money("5.00")}
    assert shape.record(GIVEN, set()) == {}


@pytest.mark.parametrize(
    "mistake",
    [
        {"account": 1},
        {"account": None},
        {"amount": "5.00"},
        {"amount": {"value": "5.00"}},
        {"amount": {"value": 5, "currency": "EUR"}},
        {"amount": {"value": "5.00", "currency": "EUR", "__extn": "x"}},
        {"lines": "x"},
        {"lines": ["x", {"__entity": {"type": "Account", "id": "A-2"}}]},
        {"months": True},
        {"months": 1.0},
        {"months": 2**63},
        {"months": -(2**63) - 1},
        {"notify": 1},
        {"notify": {"__entity": {"type": "Account", "id": "A-2"}}},
        {"memo": 1},
    ],
)
def test_a_value_of_another_type_is_refused_whether_it_is_wanted_or_not(mistake: dict[str, Any]) -> None:
    shape = resources(invoice_desk())["adjust_invoice"].arguments
    for wanted in (EVERYTHING, set[str]()):
        with pytest.raises(ValueError, match=r"not an? "):
            shape.record(GIVEN | mistake, wanted)


def test_facts_have_no_defaults_because_previews_say_everything() -> None:
    shape = resources(invoice_desk())["adjust_invoice"].facts
    given: dict[str, Any] = {
        "owners": ["A-1"],
        "paid": False,
        "total": {"value": "5.00", "currency": "EUR"},
        "address": {"before": "a", "after": "b"},
        "payees": [],
        "customer": "A-1",
        "speed": "slow",
        "disputed": True,
    }
    assert shape.record(given, set(given)) == given | {"total": money("5.00")}
    for missing in given:
        with pytest.raises(ValueError, match=r"not an? "):
            shape.record({name: value for name, value in given.items() if name != missing}, set(given))
