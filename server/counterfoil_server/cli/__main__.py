"""``python -m counterfoil_server.cli``."""

from counterfoil_server.cli import run

run()
