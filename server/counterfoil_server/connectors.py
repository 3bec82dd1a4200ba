"""Connectors that desks import: what an operation calls to have its effect done elsewhere."""

from __future__ import annotations

from counterfoil_server.execution.http_connector import HTTPConnector, OutcomeUnknown

__all__ = ["HTTPConnector", "OutcomeUnknown"]
