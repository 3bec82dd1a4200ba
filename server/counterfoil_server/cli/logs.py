"""The serving process's log: one line per event on stderr, and never a link that lets somebody in.

There is no access log. Should an address of a page reach a message some other way, its secret is cut out here, and so
are bearer tokens.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from counterfoil.display import visible
from counterfoil_server.bearer import PREFIX

SECRETS = re.compile(rf"(/(?:l|o|enrol)/|{PREFIX})[A-Za-z0-9_-]{{8,}}")
"""Addresses of pages that carry a secret (approve, object, enrol), and bearer tokens."""


class OneLine(logging.Formatter):
    """``time level logger message``, or the same as one JSON object; tracebacks are folded into the line."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        message = without_secrets(message)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            return json.dumps({"at": at, "level": record.levelname, "logger": record.name, "message": message})
        return f"{at} {record.levelname} {record.name}: {visible(message)}"


def without_secrets(text: str) -> str:
    """``text`` with every secret cut out."""
    return SECRETS.sub(r"\1…", text)


def configure(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send every log of this process through one handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("mcp", "uvicorn", "httpx", "httpx2", "asyncio", "aiosmtplib"):
        logging.getLogger(name).setLevel(logging.WARNING)
