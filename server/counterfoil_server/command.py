"""The console script ``counterfoil``: it needs the extra ``[server]``, and says how to install it where it is missing.

This module and the packages above it import nothing of the extra. A server that is installed but fails to import is
shown as what it is, never as a missing extra.
"""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("mcp", "anyio", "starlette", "uvicorn", "jinja2", "webauthn", "cbor2", "typer", "rich", "aiosmtplib")
"""The modules of the extra, as they are imported."""

INSTALL_LINE = 'pip install "counterfoil[server]"'


def main() -> None:
    """Run the command line; without the extra, print the one install line and exit with 2."""
    if any(importlib.util.find_spec(module) is None for module in NEEDED):
        print(INSTALL_LINE, file=sys.stderr)
        sys.exit(2)
    from counterfoil_server.cli import run

    run()
