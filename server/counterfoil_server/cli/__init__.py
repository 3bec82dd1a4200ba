"""The command line ``counterfoil``.

Every command answers people on the terminal, and programs with ``--json`` on stdout. Commands that administer call the
verbs of ``administration/``; ``connection.py`` decides where those run.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run the command that the process was started with, and exit with its code."""
    from counterfoil_server.cli.main import execute

    sys.exit(execute(sys.argv[1:]))
