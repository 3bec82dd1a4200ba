"""``log tail`` and ``log search``: leaves, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import anyio
import typer

from counterfoil_server import admin_socket
from counterfoil_server.cli.connection import BROKEN
from counterfoil_server.cli.console import Output
from counterfoil_server.cli.exit_codes import UsageMistake
from counterfoil_server.cli.log_life import CHECK_SIGNS
from counterfoil_server.cli.log_proofs import broken_proofs, refuse_broken
from counterfoil_server.cli.log_words import RECORDED, Hearer, tell
from counterfoil_server.cli.points_in_time import seconds_of
from counterfoil_server.cli.session import Session

PACE = 1.0
"""Seconds between two looks at the log."""
AT_ONCE = 200
"""Leaves of one look."""

NOBODY_SERVES = "No process serves this desk at the moment; what comes is shown when one does. Ctrl-C ends this."

Leaf = Mapping[str, Any]


def tail(
    session: Session,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones as they come.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest.")] = 20,
) -> None:
    """Show the newest leaves of the log, one line each, the newest last. With --json, one JSON value a line."""
    found = session.call("log_tail", limit=limit)
    leaves = found["leaves"]
    _show(session.output, leaves)
    wrong = broken_proofs(found)
    if follow:
        with suppress(KeyboardInterrupt):
            anyio.run(_follow, session, leaves[-1]["index"] if leaves else -1, wrong)
    elif not leaves and not session.as_json:
        session.output.say("The log is empty.")
    refuse_broken(session, wrong)


async def _follow(session: Session, last: int, wrong: list[str]) -> None:
    """Show what comes after the leaf ``last`` until interrupted."""
    warned = False
    while True:
        try:
            found = await admin_socket.call(
                session.configuration.state, "log_tail", {"after": last, "limit": AT_ONCE}
            )  # fmt: skip
        except (OSError, *BROKEN):
            found = {"leaves": [], "broken": None}
            if not warned:
                session.output.warn(NOBODY_SERVES)
            warned = True
        _show(session.output, found["leaves"])
        wrong += broken_proofs(found)
        last = found["leaves"][-1]["index"] if found["leaves"] else last
        if len(found["leaves"]) < AT_ONCE:
            await anyio.sleep(PACE)


def search(
    session: Session,
    event: Annotated[str | None, typer.Option(help="Only this event, such as request, statement or redeem.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only from this time on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only before this time (ISO 8601).")] = None,
    account: Annotated[str | None, typer.Option(help="Only what is about this account.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only what is about this operation.")] = None,
    principal: Annotated[str | None, typer.Option(help="Only what is about this principal and its requests.")] = None,
    person: Annotated[str | None, typer.Option(help="Only what this person did, or what was done to them.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Only leaves after the one of this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
) -> None:
    """Find leaves of the log, the oldest first. What was looked through is verified; exits with 1 if it was edited.

    Words that were only in a deleted opening find nothing any more.
    """
    between = {"since": seconds_of(since, "--since"), "until": seconds_of(until, "--until")}
    if None not in between.values() and between["since"] > between["until"]:  # type: ignore[operator]
        raise UsageMistake("--since is after --until.", "Exchange them.")
    words = {"event": event, "account": account, "operation": operation, "principal": principal, "person": person}
    found = session.call("log_search", **words, **between, after=-1 if after is None else after, limit=limit)

    def show() -> None:
        _show(session.output, found["leaves"])
        if not found["leaves"]:
            session.output.say("No leaf of the log fits.")
            if event is not None and event not in RECORDED:
                session.output.hint(f"There is no event {event}; known are {', '.join(sorted(RECORDED))}.")
        if found["more_after"] is not None:
            session.output.hint(f"There may be more: add --after {found['more_after']} to go on.")

    session.output.answer(found, show)
    refuse_broken(session, broken_proofs(found))


def _show(output: Output, found: Iterable[Leaf]) -> None:
    if output.as_json:
        output.write_json_lines(found)
        return
    for leaf in found:
        _line(output, leaf)


def _line(output: Output, leaf: Leaf) -> None:
    when = "at an unknown time" if leaf["at"] is None else _moment(leaf["at"])
    about = " ".join(leaf[name] for name in ("ticket", "operation", "account") if leaf[name])
    wrong = " ".join(check["says"] for check in leaf["checks"] if check["state"] == "broken")
    output.line(
        (f"{when}  {leaf['index']}  ", "quiet"),
        tell(leaf, Hearer()).headline,
        (f"  {about}" if about else "", "quiet"),
        (f"  {output.mark(*CHECK_SIGNS['broken'])} {wrong}" if wrong else "", "bad"),
    )


def _moment(seconds: int) -> str:
    """Local date and time to the second, as short as can be sorted."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
