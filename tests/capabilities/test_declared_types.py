"""Which types a desk's functions may use: those that policy can name and a page can show."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import Field

from counterfoil import Account, Change, Facts, Money, fact
from counterfoil.declared_types import bare, check_arguments, check_facts, is_choice, is_optional, is_text_list
from counterfoil.errors import DeskError


class Colour(StrEnum):
    """A choice of texts."""

    RED = "red"


class Plain(Enum):
    """An enumeration that is no text."""

    RED = "red"


class Number(IntEnum):
    """A choice of numbers."""

    ONE = 1


Short = Annotated[str, Field(max_length=3)]


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (str, str),
        (Short, str),
        (Short | None, str),
        (Annotated[Short | None, Field()], str),
        (Optional[int], int),  # noqa: UP045 - the older spelling
        (str | int, str | int),
        (str | int | None, str | int | None),
        (Account | None, Account),
        (list[str], list[str]),
    ],
)
def test_the_bare_type_is_what_is_left_without_limits_and_none(hint: Any, kind: Any) -> None:
    assert bare(hint) == kind


@pytest.mark.parametrize(
    ("hint", "optional"),
    [
        (str, False),
        (Short, False),
        (str | int, False),
        (str | None, True),
        (Optional[str], True),  # noqa: UP045 - the older spelling
        (Annotated[str | None, Field()], True),
        (Literal["a"], False),
        (list[None], False),
        (Literal["a", None], False),
    ],
)
def test_what_may_be_none_says_so(hint: Any, optional: bool) -> None:
    assert is_optional(hint) is optional


@pytest.mark.parametrize(
    ("hint", "choice"),
    [
        (Literal["a", "b"], True),
        (Literal["a", 1], False),
        (Colour, True),
        (Plain, False),
        (Number, False),
        (str, False),
        (list[str], False),
    ],
)
def test_choices_are_of_texts(hint: Any, choice: bool) -> None:
    assert is_choice(hint) is choice


@pytest.mark.parametrize(
    ("hint", "lists"),
    [
        (list[str], True),
        (tuple[str, ...], True),
        (list[Short], True),
        (list[int], False),
        (set[str], False),
        (str, False),
    ],
)
def test_lists_are_of_texts(hint: Any, lists: bool) -> None:
    assert is_text_list(hint) is lists


@pytest.mark.parametrize("hint", [str, int, bool, float, Money, Account, Colour, Literal["a"], list[str], Short | None])
def test_a_parameter_that_can_be_judged_and_shown_is_accepted(hint: Any) -> None:
    check_arguments("f", {"item": hint})


@pytest.mark.parametrize("hint", [bytes, Plain, Number, Change, object, Any, dict[str, str], list[Money], str | int])
def test_any_other_parameter_is_refused_by_name(hint: Any) -> None:
    with pytest.raises(DeskError, match="item of f"):
        check_arguments("f", {"item": hint})


class GoodFacts(Facts):
    """Every type that a fact may have."""

    text: str
    number: int
    truth: bool = fact(about="item")
    amount: Money
    account: Account
    change: Change
    colour: Colour
    choice: Literal["a", "b"]
    texts: tuple[str, ...]
    maybe: Short | None = None


def test_facts_that_can_be_judged_and_shown_are_accepted() -> None:
    check_facts("f", GoodFacts, {"item"})


def test_a_fact_about_no_argument_is_refused() -> None:
    with pytest.raises(DeskError, match="truth of f"):
        check_facts("f", GoodFacts, {"other"})


@pytest.mark.parametrize("hint", [float, bytes, Plain, dict[str, str], list[int]])
def test_any_other_fact_is_refused_by_name(hint: Any) -> None:
    wrong = type("Wrong", (Facts,), {"__annotations__": {"item": hint}, "__module__": __name__})
    with pytest.raises(DeskError, match="item of f"):
        check_facts("f", wrong, set())
