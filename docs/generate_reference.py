"""Writes the parts of ``docs/reference`` that the code already says: ``python docs/generate_reference.py``.

Each page is written by hand around blocks between ``<!-- generated: name -->`` and ``<!-- end -->``; only these are
rewritten. With ``--check`` nothing is written, and the exit code says whether something would be.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import anyio
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from reference_words import FIELDS, SETTINGS

from counterfoil import roster, rungs, statements, tickets, tokens
from counterfoil.errors import CounterfoilError
from counterfoil.spelling import Spelled

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "support_desk"
BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def type_name(hint: Any) -> str:
    """A declared type, as the pages name it."""
    origin = get_origin(hint)
    if origin is Annotated:
        return type_name(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(part) for part in get_args(hint))
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(hint))
    if origin in (list, tuple):
        return f"list of {type_name(get_args(hint)[0])}"
    if origin is dict:
        return "table of " + type_name(get_args(hint)[1])
    plain = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
    return plain.get(hint) or str(hint.__name__)


# Settings -------------------------------------------------------------------------------------------------------------


def settings() -> str:
    """Every setting with its type, default and limits."""
    from counterfoil_server.config import Settings

    words = dict(SETTINGS)
    text = table(("setting", "type", "default", "meaning"), _settings_of(Settings, "", words))
    if words:
        raise ValueError(f"words for settings that do not exist: {', '.join(words)}")
    return text


def _settings_of(model: type[BaseModel], prefix: str, words: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    sections: list[tuple[str, type[BaseModel]]] = []
    for name, info in model.model_fields.items():
        section = _section(info.annotation)
        if section is not None:
            sections.append((name, section))
        kind = "table" if section is not None else type_name(info.annotation)
        yield f"`{prefix}{name}`", f"{kind}{_limits(info)}", _default(info), words.pop(f"{prefix}{name}")
    for name, section in sections:
        yield from _settings_of(section, f"{prefix}{name}.", words)


def _section(hint: Any) -> type[BaseModel] | None:
    return next(
        (part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, BaseModel)), None
    )


def _limits(info: FieldInfo) -> str:
    annotated = [part for part in get_args(info.annotation) if get_origin(part) is Annotated]
    found = [*info.metadata, *(mark for part in annotated for field in get_args(part)[1:] for mark in field.metadata)]
    ends = {name: getattr(mark, name) for mark in found for name in ("ge", "le") if hasattr(mark, name)}
    if not ends:
        return ""
    return f", {ends.get('ge', '')} to {ends['le']}" if "le" in ends else f", at least {ends['ge']}"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value is PydanticUndefined:
        return "none" if value is None else "see below"
    return f"`{value!r}`".replace("'", '"')


# Command line ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its arguments and options, as ``--help`` tells them."""
    from counterfoil_server.cli.exit_codes import EXPLAINED
    from counterfoil_server.cli.main import app

    root = typer.main.get_command(app)
    parts = [EXPLAINED, "Before or after every command:", _parameters(root)]
    for path, command in _leaves(root, ("counterfoil",)):
        usage = " ".join((*path, *_usage(command)))
        parts += [f"### `{' '.join(path[1:])}`", (command.help or "").strip(), f"```text\n{usage}\n```"]
        parts.append(_parameters(command, without=("--config", "--json", "--help")))
    return "\n\n".join(part for part in parts if part)


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        if not command.hidden:
            yield path, command
        return
    for name, each in below.items():
        yield from _leaves(each, (*path, name))


def _usage(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if not parameter.opts[0].startswith("-"):
            name = (parameter.metavar or parameter.name).upper()
            dots = "..." if parameter.nargs != 1 else ""
            yield f"{name}{dots}" if parameter.required else f"[{name}{dots}]"
    if any(parameter.opts[0].startswith("-") for parameter in command.params):
        yield "[OPTIONS]"


def _parameters(command: Any, without: Sequence[str] = ("--help",)) -> str:
    rows = []
    for parameter in command.params:
        if parameter.hidden or set(parameter.opts) & set(without):
            continue
        option = parameter.opts[0].startswith("-")
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts)) if option else (
            f"`{(parameter.metavar or parameter.name).upper()}`"
        )  # fmt: skip
        value = parameter.default
        plain = value if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        default = "required" if parameter.required else "" if plain in (None, "") else f"`{plain}`"
        rows.append((names, (parameter.help or "").strip(), default))
    return table(("name", "meaning", "default"), rows) if rows else ""


# Errors ---------------------------------------------------------------------------------------------------------------


def errors() -> str:
    """Every refusal by its code."""
    import counterfoil_server

    for module in pkgutil.walk_packages(counterfoil_server.__path__, "counterfoil_server."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = sorted({kind for kind in _kinds(CounterfoilError) if "code" in vars(kind)}, key=lambda kind: kind.code)
    return table(
        ("code", "class", "what happened", "what to do"),
        [(f"`{kind.code}`", f"`{kind.__name__}`", kind.happened_default, kind.remedy_default) for kind in found],
    )


def _kinds(root: type[CounterfoilError]) -> Iterator[type[CounterfoilError]]:
    for kind in root.__subclasses__():
        if kind.__module__.partition(".")[0] in ("counterfoil", "counterfoil_server"):
            yield kind
        yield from _kinds(kind)


# Tickets and records --------------------------------------------------------------------------------------------------


def states() -> str:
    """The transition table: from each state, which event leads where."""
    rows = [(f"`{state}`", f"`{event}`", f"`{end}`") for state, event, end in _transitions()]
    ends = ", ".join(f"`{state}`" for state in tickets.State if state in tickets.TERMINAL)
    return f"{table(('from', 'event', 'to'), rows)}\n\nNothing leaves {ends}."


def _transitions() -> Iterator[tuple[tickets.State, tickets.Event, tickets.State]]:
    """The table in the order in which states and events are declared."""
    for state in tickets.State:
        for event in tickets.Event:
            if (state, event) in tickets.TRANSITIONS:
                yield state, event, tickets.TRANSITIONS[state, event]


def state_diagram() -> str:
    """The same as a picture."""
    steps = [
        f"    {state} --> {end}: {event.replace('_', ' ')}"
        for state, event, end in _transitions()
        if event not in tickets.STOPS
    ]
    stopped = " or ".join(tickets.STOPS.values())
    steps += [f"    {state} --> stopped: stop" for state in tickets.State if state in tickets.STOPPABLE]
    lines = "\n".join(steps)
    return f'```mermaid\nstateDiagram-v2\n    state "{stopped}" as stopped\n    [*] --> pending\n{lines}\n```'


RECORDS: tuple[type[BaseModel | Spelled], ...] = (
    tickets.Envelope,
    rungs.Rung,
    statements.Statement,
    statements.Settlement,
    statements.Assertion,
    tokens.CapabilityClaims,
    tokens.OrderClaims,
    roster.Invitation,
    roster.End,
    roster.Enrolment,
    roster.SignedEnrolment,
)


def fields(model: type[BaseModel | Spelled]) -> dict[str, Any]:
    """The fields of one record and their types, be it a model or a struct."""
    if issubclass(model, BaseModel):
        return {name: info.annotation for name, info in model.model_fields.items()}
    hints = get_type_hints(model)
    return {name: hints[name] for name in model.__struct_fields__}


def record(model: type[BaseModel | Spelled]) -> str:
    """The fields of one record."""
    rows = []
    for name, annotation in fields(model).items():
        words = FIELDS.get(f"{model.__name__}.{name}") or FIELDS[name]
        rows.append((f"`{name}`", type_name(annotation), words))
    return table(("field", "type", "meaning"), rows)


def check_words() -> None:
    """Raise where words describe a field that no record has."""
    names = {f"{model.__name__}.{name}" for model in RECORDS for name in fields(model)}
    unknown = [words for words in FIELDS if words not in names | {name.partition(".")[2] for name in names}]
    if unknown:
        raise ValueError(f"words for fields that do not exist: {', '.join(unknown)}")


# Tools and schema of the example desk ---------------------------------------------------------------------------------


def tools() -> str:
    """The tools of the example desk, as ``tools/list`` shows them to an AI."""
    return anyio.run(_tools)


async def _tools() -> str:
    import json

    from example_desk import example_tools

    parts = []
    for tool in await example_tools(EXAMPLE):
        schema = json.dumps(tool.input_schema, indent=2, ensure_ascii=False)
        parts += [
            f"### `{tool.name}`",
            *(f"> {line}".rstrip() for line in (tool.description or "").splitlines()),
            "",
            f"<details><summary>Input schema</summary>\n\n```json\n{schema}\n```\n\n</details>\n",
        ]
    return "\n".join(parts)


def schema() -> str:
    """The Cedar schema of the example desk."""
    from example_desk import example_configuration

    from counterfoil.cedar_schema import cedar_schema

    with example_configuration(EXAMPLE) as configuration:
        return f"```cedarschema\n{cedar_schema(configuration.desk).strip()}\n```"


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "commands": commands,
    "errors": errors,
    "states": states,
    "state-diagram": state_diagram,
    "tools": tools,
    "schema": schema,
    **{f"record-{model.__name__.lower()}": (lambda model=model: record(model)) for model in RECORDS},  # type: ignore[misc]
}


def rewritten(text: str) -> str:
    """The page with every block made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found['name']]()}\n\n{found[3]}", text)


def main(arguments: Sequence[str]) -> int:
    """Rewrite the pages, or with ``--check`` name those that are out of date."""
    check_words()
    stale = []
    for page in sorted((HERE / "reference").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = rewritten(text)
        if fresh != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(fresh, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"Out of date: {', '.join(stale)}. Run: python docs/generate_reference.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
