"""What the process's exit code means; shown at the end of ``--help``."""

from __future__ import annotations

from counterfoil.errors import (
    CasesError,
    CounterfoilError,
    DeskError,
    KeyFileError,
    PolicyError,
    SettingsError,
)

OK = 0
REFUSED = 1
USAGE = 2
FOUND = 3
UNREACHABLE = 4
DOES_NOT_HOLD = 5
INTERRUPTED = 130

EXPLAINED = (
    "Exit codes: 0 done; 1 refused; 2 wrong usage, settings, desk, policy or key files; "
    "3 doctor, policy check or policy test found something wrong; 4 the serving process cannot be reached; "
    "5 verify found evidence that does not hold; "
    "130 interrupted."
)


class NotReachable(CounterfoilError):
    """Another process owns the state folder, and it does not answer."""

    code = "not_reachable"
    happened_default = "Another process owns the state folder, but it does not answer."
    remedy_default = "Wait until it has started; or stop it, and try again."


class OwnerStopped(NotReachable):
    """The process that this one was attached to has ended."""

    code = "owner_stopped"
    happened_default = (
        "The process that serves the desk has stopped; a call under way may or may not have taken effect."
    )
    remedy_default = "Connect again, and repeat the call: the same request gives the same ticket."


class ConfirmationNeeded(CounterfoilError):
    """A command that cannot be taken back was not confirmed."""

    code = "confirmation_needed"
    happened_default = "This needs a confirmation, and nobody is there to be asked."
    remedy_default = "Add --yes if you are sure."


class UsageMistake(CounterfoilError):
    """The command line itself is wrong."""

    code = "usage"
    happened_default = "The command was not understood."
    remedy_default = "Run 'counterfoil --help'."


class AlreadyThere(CounterfoilError):
    """Files that would be written exist."""

    code = "already_there"
    happened_default = "There are such files already; nothing was written."
    remedy_default = "Name another folder."


def exit_code_of(error: CounterfoilError) -> int:
    """The code for a refusal that ended a command."""
    match error:
        case NotReachable():
            return UNREACHABLE
        case SettingsError() | DeskError() | PolicyError() | CasesError() | KeyFileError():
            return USAGE
        case UsageMistake() | ConfirmationNeeded():
            return USAGE
        case _:
            return REFUSED
