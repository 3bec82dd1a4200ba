"""Importing the module that declares a desk; every failure names the file and the line at which it happened."""

from __future__ import annotations

import ast
import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from counterfoil.desk import Desk
from counterfoil.errors import CounterfoilError, DeskError


def load_desk(setting: str, folder: Path, place: str) -> Desk:
    """The desk that ``setting`` (``module:variable``) names, imported from ``folder`` and checked.

    ``place`` is where the setting stands. Raises :class:`DeskError`.
    """
    module_name, _, variable = setting.partition(":")
    return _desk_in(_imported(module_name, folder, place, "desk"), variable, place)


def load_variable(value: str, folder: Path, place: str, *, setting: str) -> object:
    """Whatever else the ``value`` (``module:variable``) of a setting names, imported likewise; raises DeskError."""
    module_name, _, variable = value.partition(":")
    module = _imported(module_name, folder, place, setting)
    try:
        return getattr(module, variable)
    except AttributeError:
        file = getattr(module, "__file__", None) or module_name
        raise DeskError(f"{place}: there is no variable {variable} in {file}.", f"Correct '{setting}'.") from None


def _imported(module_name: str, folder: Path, place: str, setting: str) -> ModuleType:
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module_name)
    except CounterfoilError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise DeskError(
                f"{failed_at(error, folder, place)}: it needs the module {error.name}, which is not installed.",
                "Correct its name, or install it where Counterfoil is installed.",
            ) from error
        raise DeskError(
            f"{place}: there is no module {module_name} in {folder}.",
            f"Correct '{setting}', or go to the folder that has it.",
        ) from error
    except (Exception, SystemExit) as error:
        raise DeskError(
            f"{failed_at(error, folder, place)}: the module failed to load: {_said(error)}.",
            "Correct that line; running the file with python shows how it was reached.",
        ) from error
    finally:
        sys.path.remove(str(folder))


def _desk_in(module: object, variable: str, place: str) -> Desk:
    found = getattr(module, variable, None)
    if not isinstance(found, Desk):
        there = [name for name, value in vars(module).items() if isinstance(value, Desk)]
        what = "does not exist" if found is None else f"is not a Desk but {type(found).__name__}"
        file = getattr(module, "__file__", None) or getattr(module, "__name__", "the module")
        raise DeskError(
            f"{place}: the variable {variable} of {file} {what}.",
            f"Name {there[0]}, which is one." if there else "Name the variable that holds your Desk.",
        )
    try:
        found.check()
    except DeskError as error:
        if error.placed:
            raise
        raise DeskError(f"{_assigned_at(module, variable, place)}: {error.happened}", error.remedy) from None
    return found


def _assigned_at(module: object, variable: str, place: str) -> str:
    """Where the module's own text gives the variable its value."""
    file = getattr(module, "__file__", None)
    try:
        statements = ast.parse(Path(file or "").read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return place
    for statement in reversed(statements):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) if name == variable:
                return f"{file}, line {statement.lineno}"
    return str(file)


def failed_at(error: BaseException, folder: Path, place: str) -> str:
    """The innermost line of the desk's own folder that was being executed, or that cannot be read as Python."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else place


def _said(error: BaseException) -> str:
    """Kind and first line of what it says."""
    first = next(iter(str(error.msg if isinstance(error, SyntaxError) else error).splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(".: ")
