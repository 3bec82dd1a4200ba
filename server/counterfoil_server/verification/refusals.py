"""Refusals of requests that are not even well formed, and the HTTP status of every refusal."""

from __future__ import annotations

from counterfoil import errors
from counterfoil.errors import CounterfoilError


class RequestRefused(CounterfoilError):
    """A request that no page of ours would send. ``status``: the HTTP status of the answer."""

    code = "request_refused"
    happened_default = "The request cannot be used."
    remedy_default = "Open the link from your message again."

    def __init__(self, status: int, happened: str | None = None, remedy: str | None = None) -> None:
        super().__init__(happened, remedy)
        self.status = status


STATUSES: dict[type[CounterfoilError], int] = {
    errors.BadJSON: 400,
    errors.BadArguments: 400,
    errors.LinkRefused: 404,
    errors.StatementRefused: 403,
    errors.CodeRefused: 403,
    errors.Suspended: 403,
    errors.PolicyRefuses: 403,
    errors.WrongState: 409,
    errors.Expired: 410,
    errors.TooManyRequests: 429,
    errors.RosterRefused: 503,
    errors.TamperDetected: 503,
    errors.StoreFailed: 503,
}

UNEXPECTED = CounterfoilError(
    "Something went wrong on our side; nothing was changed.", "Wait a moment and open the link from your message again."
)


REMEDIES: dict[type[CounterfoilError], str] = {
    errors.WrongState: "Open the link from your message again to see where the request stands.",
    errors.Suspended: "Nothing was done; ask the organisation if you expected otherwise.",
    errors.StoreFailed: UNEXPECTED.remedy,
    errors.RosterRefused: "Nothing can be decided until the organisation has looked into it.",
    errors.TamperDetected: "Nothing was done; the organisation has to look into it.",
}
"""What to do, where an error's own words are meant for an administrator or an AI."""


def for_people(error: CounterfoilError) -> CounterfoilError:
    """The refusal in words for whoever is at the page."""
    remedy = REMEDIES.get(type(error))
    if remedy is None:
        return error
    if status_of(error) >= 500:
        return type(error)(None, remedy)
    return type(error)(error.happened, remedy) if error.remedy == error.remedy_default else error


def status_of(error: CounterfoilError) -> int:
    """The HTTP status that answers a refusal."""
    return error.status if isinstance(error, RequestRefused) else STATUSES.get(type(error), 403)
