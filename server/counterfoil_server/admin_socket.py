"""The private socket over which the command line reaches the process that owns the state folder.

A socket in the state folder (``private_socket.py``). One JSON object a line:
``{"verb": …, "arguments": {…}}`` is answered with ``{"ok": …}`` or ``{"error": {code, happened, remedy}}``.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from counterfoil.errors import BadArguments, CounterfoilError, StoreFailed
from counterfoil_server import private_socket
from counterfoil_server.administration import Administration

logger = logging.getLogger(__name__)

MAX_LINE = 1 << 20


async def serve(
    administration: Administration, state: Path, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Answer until cancelled."""
    await private_socket.serve(
        state,
        private_socket.ADMINISTRATION,
        lambda stream, _: _answer(administration, stream),
        task_status=task_status,
    )


async def call(state: Path, verb: str, arguments: dict[str, Any]) -> Any:
    """Run a verb in the owning process; raises the refusal it answers, or ConnectionError where nobody answers."""
    async with await private_socket.connect(state, private_socket.ADMINISTRATION) as stream:
        await stream.send(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        text = await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_LINE * 64)
    answer = json.loads(text)
    if "error" in answer:
        raise _refusal(answer["error"])
    return answer["ok"]


async def _answer(administration: Administration, stream: SocketStream) -> None:
    try:
        verb, arguments = _asked(await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_LINE))
        answer = {"ok": await administration.call(verb, arguments)}
    except CounterfoilError as error:
        answer = {"error": error.to_dict()}
    except (anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError):
        return
    except Exception:
        logger.exception("An administration verb failed")
        answer = {"error": StoreFailed("The verb failed; the server's log says why.").to_dict()}
    await stream.send(json.dumps(answer).encode() + b"\n")


def _asked(line: bytes) -> tuple[str, dict[str, Any]]:
    """The verb and its arguments; raises :class:`BadArguments` for what is no request."""
    try:
        request = json.loads(line)
        return str(request["verb"]), dict(request["arguments"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadArguments("The administration's request cannot be read.") from None


def _refusal(values: dict[str, str]) -> CounterfoilError:
    """The refusal of the owning process, of the same class where it is known."""
    kinds = {kind.code: kind for kind in _all_kinds(CounterfoilError)}
    return kinds.get(values["code"], CounterfoilError)(values["happened"], values["remedy"])


def _all_kinds(root: type[CounterfoilError]) -> list[type[CounterfoilError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _all_kinds(child))]
