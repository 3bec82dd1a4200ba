"""A witness of logs: a program of its own, on a machine of its own, which cosigns checkpoints that are consistent."""

from counterfoil_server.witness.memory import Memory
from counterfoil_server.witness.service import application

__all__ = ["Memory", "application"]
