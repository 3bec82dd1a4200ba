"""What every command starts from: where the settings are, and who reads the output.

``--config`` and ``--json`` may stand before or after a command. :func:`with_session` gives a command both options and,
in place of its first parameter, the :class:`Session` made of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer

from counterfoil_server import config
from counterfoil_server.cli import connection
from counterfoil_server.config import Configuration

if TYPE_CHECKING:
    from counterfoil_server.cli.console import Output

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="The settings file; otherwise counterfoil.toml in this folder or one above.",
        show_default=False,
    ),
]
JSONOption = Annotated[bool, typer.Option("--json", help="Answer with JSON on stdout.")]


@dataclass
class Given:
    """The options that stood before the command."""

    config: Path | None = None
    as_json: bool = False


@dataclass
class Session:
    """One run of one command."""

    config: Path | None
    as_json: bool

    @cached_property
    def output(self) -> Output:
        """Where the command writes to."""
        # What draws on terminals is large; a server that writes to its log only does without it.
        from counterfoil_server.cli.console import Output

        return Output(as_json=self.as_json)

    @cached_property
    def configuration(self) -> Configuration:
        """The settings; raises SettingsError where they are missing or wrong."""
        return config.load(self.config if self.config is not None else config.find(Path.cwd()))

    def call(self, verb: str, **arguments: Any) -> Any:
        """Run an administration verb where the state folder's owner is, or here if there is none."""
        return anyio.run(functools.partial(connection.call, self.configuration, verb, arguments, self.output))


def with_session(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """A Typer command of ``command``, whose first parameter is the session."""
    signature = inspect.signature(command, eval_str=True)
    own = list(signature.parameters.values())[1:]

    @functools.wraps(command)
    def run(context: typer.Context, config: Path | None = None, as_json: bool = False, **arguments: Any) -> int | None:
        given = context.find_root().ensure_object(Given)
        return command(Session(config or given.config, as_json or given.as_json), **arguments)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(parameter.replace(kind=keyword) for parameter in own),
        inspect.Parameter("config", keyword, annotation=ConfigOption, default=None),
        inspect.Parameter("as_json", keyword, annotation=JSONOption, default=False),
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    # Its hints would be read in place of these.
    del run.__wrapped__
    return run
