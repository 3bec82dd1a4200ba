"""Where a declaration stands: a refusal of the desk names the file and the line of the function concerned."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from counterfoil.errors import DeskError

P = ParamSpec("P")
R = TypeVar("R")


def place_of(function: Callable[..., Any]) -> str | None:
    """File and line at which the function's declaration begins, its decorators included; None for what has no text."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if inspect.iscode(code) else None


@contextmanager
def declared_at(function: Callable[..., Any]) -> Iterator[None]:
    """Within it, a refusal begins with the place of this function, unless it names one already.

    A name in an annotation that means nothing is a refusal too: it is looked up when the function is declared.
    """
    try:
        yield
    except NameError as error:
        placed = DeskError(
            f"{place_of(function)}: the name {error.name} in the annotations is not defined.", "Import or correct it."
        )
        placed.placed = True
        raise placed from error
    except DeskError as error:
        place = place_of(function)
        if error.placed or place is None:
            raise
        placed = DeskError(f"{place}: {error.happened}", error.remedy)
        placed.placed = True
        raise placed from None


def names_its_place(declare: Callable[P, R]) -> Callable[P, R]:
    """A declaring function or method, whose last positional argument is the function declared."""

    @functools.wraps(declare)
    def declaring(*args: P.args, **kwargs: P.kwargs) -> R:
        function = args[-1]
        if not callable(function):
            return declare(*args, **kwargs)
        with declared_at(function):
            return declare(*args, **kwargs)

    return declaring
