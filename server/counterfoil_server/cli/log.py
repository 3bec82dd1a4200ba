"""``log show``: what the append-only log tells of a ticket, and whether its proofs hold.

The commands that list leaves are in modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from counterfoil_server.cli.console import Output, assembled, exact_moment
from counterfoil_server.cli.log_export import export
from counterfoil_server.cli.log_life import (
    CHECK_SIGNS,
    CHECK_STYLES,
    Life,
    LifeStep,
    SaidTurn,
    life_of,
    said_steps,
    wrong_with,
)
from counterfoil_server.cli.log_lines import search, tail
from counterfoil_server.cli.log_proofs import refuse_broken
from counterfoil_server.cli.log_words import Hearer
from counterfoil_server.cli.session import Session, with_session
from counterfoil_server.cli.whole_file import refuse_existing, write_whole

POINTS = {"good": ("●", "*"), "bad": ("●", "*"), "busy": ("●", "*")}
"""The points on the timeline of steps that changed much; the others have a smaller one."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The append-only log: what happened, and the proof of it.", rich_markup_mode=None)
    group.command("show")(with_session(show_life))
    group.command("conversation")(with_session(show_conversation))
    group.command("tail")(with_session(tail))
    group.command("search")(with_session(search))
    group.command("export")(with_session(export))
    app.add_typer(group, name="log")


def show_life(
    session: Session,
    ticket: Annotated[str, typer.Argument(help="The ticket's id.")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a page that needs nothing else.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it exists.")] = False,
    turns: Annotated[
        bool, typer.Option("--turns/--no-turns", help="With what was said in its conversation, as the host told it.")
    ] = True,
) -> None:
    """Draw a ticket's life: every leaf of the log about it, and whether its proofs hold. Exits with 1 if one does not.

    The log is verified from the ticket's request to its end. What was said in the chat is shown as its host sent it:
    nobody has verified it, and nothing was decided by it.
    """
    if html is not None:
        refuse_existing(html, force=force)
    answer = session.call("log_show", ticket=ticket, turns=turns)
    life = life_of(answer, Hearer(answer["people"]))
    if html is None:
        session.output.answer(answer, lambda: draw(session.output, life))
    else:
        from counterfoil_server.cli.log_page import render  # what writes pages is large

        write_whole(html, render(answer).encode(), force=force)
        written = {"ticket": ticket, "file": str(html), "wrong": list(life.wrong)}
        session.output.answer(written, lambda: session.output.say(f"Written to {html}."))
    refuse_broken(session, life.wrong)


def show_conversation(
    session: Session, conversation: Annotated[str, typer.Argument(help="The conversation's handle.")]
) -> None:
    """Show what was said in a conversation, as its host sent it: nobody has verified it. Exits with 1 where it is not
    what was recorded then."""
    answer = session.call("log_conversation", conversation=conversation)

    def show() -> None:
        session.output.say(("Conversation ", "heading"), (conversation, "heading"))
        _draw_steps(session.output, said_steps(answer, Hearer()))

    session.output.answer(answer, show)
    refuse_broken(session, [wrong for step in answer["steps"] for wrong in wrong_with(step)])


def draw(output: Output, life: Life) -> None:
    """The timeline on the terminal."""
    output.say(("Ticket ", "heading"), (life.ticket, "heading"))
    output.fields([("State", assembled((life.state, life.state_style), f": {life.meaning}"))])
    output.heading("Proofs")
    for check in life.checks:
        output.checked(_sign(output, check[0]), CHECK_STYLES[check[0]], check[1])
    output.heading("What happened")
    _draw_steps(output, life.steps)
    if life.wrong:
        output.items("What is wrong:", life.wrong)


def _draw_steps(output: Output, steps: Sequence[LifeStep]) -> None:
    for number, step in enumerate(steps, 1):
        _draw_step(output, step, last=number == len(steps))


def _draw_step(output: Output, step: LifeStep, *, last: bool) -> None:
    sign, plain = POINTS.get(step.style, ("○", "o"))
    when = exact_moment(step.at) if step.at is not None else "at an unknown time"
    where = "not on the log" if step.index is None else f"leaf {step.index}"
    below = [Text(f"{when}, {where}", "quiet")]
    below += [assembled((f"{label}: ", "quiet"), value) for label, value in step.details]
    if step.note:
        below.append(assembled(("the AI wrote (it may be wrong or misleading): ", "quiet"), f"“{step.note}”"))
    below += [line for turn in step.turns for line in _turn_lines(output, turn)]
    if proved := " ".join(says for state, says in step.checks if state == "holds"):
        below.append(assembled((f"{_sign(output, 'holds')} ", "good"), (proved, "quiet")))
    below += [
        assembled((f"{_sign(output, state)} {says}", CHECK_STYLES[state]))
        for state, says in step.checks
        if state != "holds"
    ]
    output.on_rail(output.mark(sign, plain), step.style, Text(step.headline, "heading"), below, last=last)


def _turn_lines(output: Output, turn: SaidTurn) -> Iterator[Text]:
    """The words of a turn behind a bar of their own, so that no line of them passes for one of ours."""
    when = f", said at {turn.said_at} by the host's clock" if turn.said_at is not None else ""
    yield assembled((f"{turn.role}, {turn.untrusted}{when}:", "untrusted"))
    bar = output.mark("┆", ":")
    width = max(output.console.width - 10, 16)
    for line in turn.lines if turn.lines is not None else (f"[{turn.gone}]",):
        for piece in Text(line).wrap(output.console, width, overflow="fold"):
            yield assembled((f"{bar} {piece.plain}", "untrusted"))


def _sign(output: Output, state: str) -> str:
    return output.mark(*CHECK_SIGNS[state])
