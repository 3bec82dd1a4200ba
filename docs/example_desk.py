"""The example desk, loaded in a folder of its own, for ``generate_reference.py``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mcp_types

from counterfoil_server import config
from counterfoil_server.config import Configuration


@contextmanager
def example_configuration(example: Path) -> Iterator[Configuration]:
    """The example's configuration, with its database and state in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        former = os.environ.get("SUPPORT_DESK_DATABASE")
        os.environ["SUPPORT_DESK_DATABASE"] = f"{folder}/shop.db"
        try:
            loaded = config.load(example / config.FILE_NAME)
            state = {"state": f"{folder}/state", "roster_key": f"{folder}/roster-key.pem"}
            yield Configuration(loaded.settings.model_copy(update=state), loaded.folder)
        finally:
            if former is None:
                del os.environ["SUPPORT_DESK_DATABASE"]
            else:
                os.environ["SUPPORT_DESK_DATABASE"] = former


async def example_tools(example: Path) -> Sequence[mcp_types.Tool]:
    """Its tools, as ``tools/list`` shows them."""
    from counterfoil_server.app import open_parts
    from counterfoil_server.conversation.catalogue import Catalogue

    async def run_nothing(ticket: object, order: str) -> None:
        raise AssertionError(f"a listing redeems nothing: {ticket}, {order}")

    with example_configuration(example) as configuration:
        async with open_parts(configuration) as parts:
            return Catalogue(parts.authority, run_order=run_nothing, wake=lambda: None).list.tools
