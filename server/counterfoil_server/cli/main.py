"""The program: its commands, its global options, and the one place where refusals become exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from counterfoil.errors import CounterfoilError, StoreFailed
from counterfoil_server.cli import demo, doctor, looking, people, policy, principals, serve, stopping, tickets
from counterfoil_server.cli.console import Output
from counterfoil_server.cli.exit_codes import EXPLAINED, INTERRUPTED, OK, UsageMistake, exit_code_of
from counterfoil_server.cli.session import ConfigOption, Given, JSONOption

app = typer.Typer(
    name="counterfoil",
    help="The AI holds a ticket. Only a verified person holds the counterfoil.",
    epilog=EXPLAINED,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

serve.register(app)
demo.register(app)
tickets.register(app)
stopping.register(app)
people.register(app)
principals.register(app)
looking.register(app)
policy.register(app)
doctor.register(app)


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
    output = Output(as_json="--json" in arguments)
    try:
        code = app(list(arguments) or ["--help"], prog_name="counterfoil", standalone_mode=False)
        return code if isinstance(code, int) else OK
    except TyperException as error:
        mistake = _usage_mistake(error)
        output.error(mistake)
        return exit_code_of(mistake)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (CounterfoilError, OSError, BaseExceptionGroup) as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        output.error(refusal)
        return exit_code_of(refusal)


def _usage_mistake(error: TyperException) -> UsageMistake:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "counterfoil"
    message = error.format_message().strip().rstrip(".")
    return UsageMistake(f"{message}." if message else None, f"Run '{command} --help' to see how it is used.")


def _refusal(error: BaseException) -> CounterfoilError | None:
    """The refusal that ``error`` is or, where tasks ran together, the first one inside; None for anything else."""
    match error:
        case CounterfoilError():
            return error
        case BaseExceptionGroup():
            return next((found for inner in error.exceptions if (found := _refusal(inner)) is not None), None)
        case OSError(filename=str() as name, strerror=str() as why):
            return StoreFailed(f"{name} cannot be used: {why}.", "Check that it exists and that this user may use it.")
    return None
