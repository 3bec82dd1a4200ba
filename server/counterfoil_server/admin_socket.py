"""The private socket over which the command line reaches the process that owns the state folder.

A Unix socket in the state folder, whose rights (0700) are the access control. One JSON object a line:
``{"verb": …, "arguments": {…}}`` is answered with ``{"ok": …}`` or ``{"error": {code, happened, remedy}}``.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from counterfoil.errors import BadArguments, CounterfoilError, StoreFailed
from counterfoil_server.administration import Administration

logger = logging.getLogger(__name__)

MAX_LINE = 1 << 20


def socket_path(state: Path) -> str:
    """Where the socket lies. Unix socket names hold about 100 bytes, so a long folder is named by a descriptor."""
    path = str(state / "admin.sock")
    if len(path.encode()) < 100:
        return path
    descriptor = os.open(state, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{descriptor}/admin.sock"


async def serve(administration: Administration, state: Path) -> None:
    """Answer until cancelled."""
    path = socket_path(state)
    Path(path).unlink(missing_ok=True)
    listener = await anyio.create_unix_listener(path, mode=0o600)
    try:
        await listener.serve(lambda stream: _answer(administration, stream))
    finally:
        with anyio.CancelScope(shield=True):
            await listener.aclose()
        Path(path).unlink(missing_ok=True)


async def call(state: Path, verb: str, arguments: dict[str, Any]) -> Any:
    """Run a verb in the owning process; raises the refusal it answers, or ConnectionError where nobody answers."""
    async with await anyio.connect_unix(socket_path(state)) as stream:
        await stream.send(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        text = await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_LINE * 64)
    answer = json.loads(text)
    if "error" in answer:
        raise _refusal(answer["error"])
    return answer["ok"]


async def _answer(administration: Administration, stream: SocketStream) -> None:
    async with stream:
        try:
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_LINE)
            request = json.loads(line)
            answer = {"ok": await administration.call(str(request["verb"]), dict(request["arguments"]))}
        except CounterfoilError as error:
            answer = {"error": error.to_dict()}
        except (anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError):
            return
        except (ValueError, KeyError, TypeError):
            answer = {"error": BadArguments("The administration's request cannot be read.").to_dict()}
        except Exception:
            logger.exception("An administration verb failed")
            answer = {"error": StoreFailed("The verb failed; the server's log says why.").to_dict()}
        await stream.send(json.dumps(answer).encode() + b"\n")


def _refusal(values: dict[str, str]) -> CounterfoilError:
    """The refusal of the owning process, of the same class where it is known."""
    kinds = {kind.code: kind for kind in _all_kinds(CounterfoilError)}
    return kinds.get(values["code"], CounterfoilError)(values["happened"], values["remedy"])


def _all_kinds(root: type[CounterfoilError]) -> list[type[CounterfoilError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _all_kinds(child))]
