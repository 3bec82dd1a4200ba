"""A verb called by name, with the arguments that somebody sent."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from counterfoil.errors import BadArguments

REMEDY = "The command line and the process that serves may be of different versions: update both, and start it again."


async def run(verb: str, found: Callable[..., Awaitable[Any]], arguments: dict[str, Any]) -> Any:
    """What the verb answers. Raises :class:`BadArguments` where it does not take these arguments, which is found out
    before it runs: what goes wrong within it is a fault of ours, and stays one."""
    try:
        bound = inspect.signature(found).bind(**arguments)
    except TypeError as error:
        raise BadArguments(f"The verb {verb} does not take these arguments: {error}.", REMEDY) from None
    return await found(*bound.args, **bound.kwargs)
