"""The program: its commands, its global options, and the one place where refusals become exit codes."""

from __future__ import annotations

import io
import sys
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup
from typer.exceptions import TyperException

from counterfoil.errors import CounterfoilError, StoreFailed
from counterfoil_server.cli.exit_codes import EXPLAINED, INTERRUPTED, OK, UsageMistake, exit_code_of
from counterfoil_server.cli.session import ConfigOption, Given, JSONOption

if TYPE_CHECKING:
    from counterfoil_server.cli.console import Output

MODULES = {
    "init": "init",
    "serve": "serve",
    "demo": "demo",
    "revoke": "stopping",
    "suspend": "stopping",
    "resume": "stopping",
    "suspensions": "stopping",
    "doctor": "doctor",
    "tickets": "tickets",
    "log": "log",
    "forget": "forget",
    "prove": "prove",
    "verify": "verify",
    "witness": "witness",
    "people": "people",
    "delegates": "delegates",
    "principals": "principals",
    "keys": "keys",
    "notices": "looking",
    "calls": "looking",
    "policy": "policy",
}
"""In which module each command is, in the order of ``--help``."""


class Commands(UserDict[str, Any]):
    """The commands by name. Each is imported when it is wanted, so that a server does not keep all the others."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(MODULES))

    def __getitem__(self, name: str) -> Any:
        """The command; raises KeyError if there is none of this name."""
        if self.data[name] is None:
            found = typer.Typer(rich_markup_mode=None)
            import_module(f"counterfoil_server.cli.{MODULES[name]}").register(found)
            self.data.update(typer.main.get_group(found).commands)
        return self.data[name]


class _Program(TyperGroup):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given | {"commands": Commands()})


app = typer.Typer(
    name="counterfoil",
    cls=_Program,
    help="The AI holds a ticket. Only a verified person holds the counterfoil.",
    epilog=EXPLAINED,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from counterfoil_server.app import VERSION

        print(f"counterfoil {VERSION}")
        raise typer.Exit()


@app.callback()
def settings(
    context: typer.Context,
    config: ConfigOption = None,
    as_json: JSONOption = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """The AI holds a ticket. Only a verified person holds the counterfoil."""
    context.obj = Given(Path(config) if config else None, as_json)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and answer its exit code. A refusal is shown without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    as_json = "--json" in arguments
    try:
        code = app(list(arguments) or ["--help"], prog_name="counterfoil", standalone_mode=False)
        return code if isinstance(code, int) else OK
    except TyperException as error:
        mistake = _usage_mistake(error)
        _output(as_json).error(mistake)
        return exit_code_of(mistake)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (CounterfoilError, OSError, BaseExceptionGroup) as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        _output(as_json).error(refusal)
        return exit_code_of(refusal)


def _output(as_json: bool) -> Output:
    # A command that writes nothing does without what draws on terminals.
    from counterfoil_server.cli.console import Output

    return Output(as_json=as_json)


def _usage_mistake(error: TyperException) -> UsageMistake:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "counterfoil"
    message = error.format_message().strip().rstrip(".")
    ended = message if message.endswith("?") else f"{message}."
    return UsageMistake(ended if message else None, f"Run '{command} --help' to see how it is used.")


def refusal_of(error: BaseException) -> CounterfoilError | None:
    """The refusal that ``error`` is or, where tasks ran together, the first one inside; None for anything else."""
    match error:
        case CounterfoilError():
            return error
        case BaseExceptionGroup():
            return next((found for inner in error.exceptions if (found := refusal_of(inner)) is not None), None)
        case OSError(filename=str() as name, strerror=str() as why):
            return StoreFailed(f"{name} cannot be used: {why}.", "Check that it exists and that this user may use it.")
    return None
