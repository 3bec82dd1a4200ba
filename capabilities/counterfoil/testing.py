"""Test your own desk: its real parts in the process of a test, people with passkeys in software, and a clock.

The parts are the server's, so this one module of the core leads to them: only when a name is used, and with the line
that installs them where they are missing. Nothing else in the core knows it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterfoil_server.testing import (
        Answer,
        Asked,
        Assistant,
        Clock,
        Conversation,
        Mailbox,
        NoMessage,
        OpenDesk,
        Page,
        PageClient,
        PageRefused,
        PasskeyRefused,
        Person,
        SoftwareAuthenticator,
        SoftwarePasskey,
        Ticket,
        ToolRefused,
        money,
        open_desk,
        policy_cases,
    )

__all__ = [
    "Answer",
    "Asked",
    "Assistant",
    "Clock",
    "Conversation",
    "Mailbox",
    "NoMessage",
    "OpenDesk",
    "Page",
    "PageClient",
    "PageRefused",
    "PasskeyRefused",
    "Person",
    "SoftwareAuthenticator",
    "SoftwarePasskey",
    "Ticket",
    "ToolRefused",
    "money",
    "open_desk",
    "policy_cases",
]

SERVER = "counterfoil_server.testing"
INSTALL_LINE = 'pip install "counterfoil[server]"'


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(SERVER), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("counterfoil", "counterfoil_server"):
            raise
        raise ImportError(
            f"counterfoil.testing runs the server's parts, which need {error.name}. Install them: {INSTALL_LINE}",
            name=error.name,
        ) from error
