"""What is said once, when a state folder is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from counterfoil_server.config import Configuration

if TYPE_CHECKING:
    from counterfoil_server.cli.console import Output

SAME_USER = (
    "Counterfoil holds back the AI, not this machine's user: an AI client that can run programs as the same user as"
    " the server can change everything. Run the server as a user of its own, or on another machine."
)


def is_fresh(configuration: Configuration) -> bool:
    """Whether the state folder has no database yet."""
    from counterfoil_server.opening import DATABASE

    return not (configuration.state / DATABASE).exists()


def explain(configuration: Configuration, output: Output, *, demo: bool = False) -> None:
    """Say what was created and what to do with it; on stderr, so that JSON on stdout stays alone.

    A demo's state may be thrown away, and its roster key is needed again at the next start.
    """
    keep = "keep it for the next demo, or delete it to begin again." if demo else "keep it, and back it up."
    output.warn(f"First start. Created {configuration.state} with database, ledger and keys; {keep}")
    if configuration.roster_key.exists():
        move = (
            "In production it lies on another machine."
            if demo
            else "Move it off this machine now, and bring it back only to invite or disable people"
            " (setting 'roster_key' says where it is)."
        )
        output.warn(
            f"Created the roster's private key {configuration.roster_key}: whoever has it decides who may approve."
            f" {move}"
        )
    output.warn(SAME_USER)
