"""Programs in Go, run with the sources that Debian ships and with nothing from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGES = "/usr/share/gocode"
"""Where Debian puts the sources of ``golang-golang-x-mod-dev``."""


def environment(cache: Path) -> dict[str, str]:
    """The variables with which ``go`` finds them, and keeps what it compiles in ``cache``."""
    return os.environ | {"GO111MODULE": "off", "GOPATH": PACKAGES, "GOCACHE": str(cache), "GOFLAGS": ""}
