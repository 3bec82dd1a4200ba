"""The life of one ticket in words, for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from counterfoil.display import in_words, visible
from counterfoil_server.cli.log_words import STYLES, Hearer, tell
from counterfoil_server.cli.tickets import STATES

JSONObject = Mapping[str, Any]

CHECK_STYLES = {"holds": "good", "gone": "note", "broken": "bad"}
CHECK_SIGNS = {"holds": ("✓", "ok"), "gone": ("–", "--"), "broken": ("✗", "x")}
"""The sign of a check's state, and what stands for it where it cannot be shown."""
BY_GRAVITY = tuple(CHECK_SIGNS)

NOT_PROVED = " (not proved)"
UNKNOWN_ACCOUNT = "unknown: the directory knows no such account"


@dataclass(frozen=True)
class SaidTurn:
    """One turn of a chat, made visible: who is said to have said it, from whom we have it, and its lines; or None, and
    in ``gone`` why there are none. ``said_at``: the host's word, or None."""

    role: str
    untrusted: str
    said_at: str | None
    lines: tuple[str, ...] | None
    gone: str = ""


@dataclass(frozen=True)
class LifeStep:
    """One step: where it stands on the log (None: not there), when it was, and everything told of it, made visible.

    ``note`` is what the AI wrote. ``checks`` are pairs of state and words. ``turns`` are what a host says was said.
    """

    index: int | None
    at: int | None
    style: str
    headline: str
    details: tuple[tuple[str, str], ...]
    note: str | None
    checks: tuple[tuple[str, str], ...]
    turns: tuple[SaidTurn, ...] = ()

    @property
    def worst(self) -> str:
        """The state of the check that went worst."""
        return max((state for state, _ in self.checks), key=BY_GRAVITY.index)


@dataclass(frozen=True)
class Life:
    """The whole: ``wrong`` names everything that a check found broken, one sentence each."""

    ticket: str
    organisation: str
    operation: str
    at: int
    state: str
    state_style: str
    meaning: str
    steps: tuple[LifeStep, ...]
    checks: tuple[tuple[str, str], ...]
    wrong: tuple[str, ...]

    @property
    def gone(self) -> bool:
        """Whether something that would be proof was deleted."""
        return any(step.worst == "gone" for step in self.steps)


def life_of(answer: JSONObject, to: Hearer) -> Life:
    """The answer of ``log_show`` in words."""
    style, meaning = STATES.get(answer["state"], ("bad", "its record is gone"))
    wrong = tuple(_wrong(answer))
    return Life(
        ticket=visible(answer["ticket"]),
        organisation=visible(answer["organisation"]),
        operation=visible(answer["operation"] or "a ticket without a record").replace("_", " "),
        at=answer["at"],
        state=visible(answer["state"] or "missing").replace("_", " "),
        state_style="" if wrong else style,
        meaning=meaning,
        steps=tuple(_step(step, answer, to) for step in answer["steps"]),
        checks=_checks(answer["checks"]),
        wrong=wrong,
    )


def wrong_with(leaf: JSONObject) -> Iterator[str]:
    """What is broken of one leaf, in sentences that name it."""
    about = "The executor's memory" if leaf["index"] is None else f"Leaf {leaf['index']}"
    return (f"{about}: {visible(check['says'])}" for check in leaf["checks"] if check["state"] == "broken")


def _wrong(answer: JSONObject) -> Iterator[str]:
    for check in answer["checks"]:
        if check["state"] == "broken":
            yield visible(check["says"])
    for step in answer["steps"]:
        yield from wrong_with(step)


def said_steps(answer: JSONObject, to: Hearer) -> tuple[LifeStep, ...]:
    """The answer of ``log_conversation`` in words."""
    return tuple(_step(step, {"note": None}, to) for step in answer["steps"])


def _step(step: JSONObject, answer: JSONObject, to: Hearer) -> LifeStep:
    told = tell(step, to)
    requested = step["event"] == "request"
    details = (*_asked_for(answer), *told.details) if requested else told.details
    note = answer["note"] if requested else None
    proved = not any(check["state"] == "broken" for check in step["checks"])
    return LifeStep(
        index=step["index"],
        at=step["at"],
        style=STYLES.get(step["event"], "") if proved else "bad",
        headline=visible(told.headline) + ("" if proved else NOT_PROVED),
        details=tuple((visible(label), value) for label, value in details),
        note=visible(note) if note else None,
        checks=_checks(step["checks"]),
        turns=tuple(said_turn(turn, to) for turn in step.get("turns", ())),
    )


def said_turn(turn: JSONObject, to: Hearer) -> SaidTurn:
    """One turn in words. Each line is made visible by itself, so that a text of several reads as one."""
    text, deleted = turn["text"], turn["deleted_at"]
    when = to.moment(deleted) if deleted is not None else "at an unknown time"
    return SaidTurn(
        role=visible(turn["role"]),
        untrusted=visible(turn["untrusted"]),
        said_at=None if turn["said_at"] is None else to.moment(turn["said_at"]),
        lines=None if text is None else tuple(map(visible, text.replace("\r\n", "\n").split("\n"))),
        gone="" if text is not None else f"text deleted by retention on {when}",
    )


def _asked_for(answer: JSONObject) -> Iterator[tuple[str, str]]:
    """What was requested, from the ticket's own record."""
    if answer["arguments"] is None:
        return
    for name, value in answer["arguments"].items():
        yield f"{name} (from the AI)".replace("_", " "), in_words(value)
    yield "means account", in_words(answer["account"]) if answer["account"] else UNKNOWN_ACCOUNT
    if answer["refusal"]:
        yield "nobody can approve it", in_words(answer["refusal"])


def _checks(checks: list[JSONObject]) -> tuple[tuple[str, str], ...]:
    return tuple((check["state"], visible(check["says"])) for check in checks)
