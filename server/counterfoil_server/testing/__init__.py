"""A desk, its people and its AI in the process of a test; and their parts, for tests and demonstrations of our own.

Users import it as ``counterfoil.testing``.
"""

from counterfoil_server.testing.assistant import Answer, Asked, Assistant, Conversation, ToolRefused, money
from counterfoil_server.testing.authenticator import PasskeyRefused, SoftwareAuthenticator, SoftwarePasskey
from counterfoil_server.testing.browser import Page, PageClient, PageRefused
from counterfoil_server.testing.clock import Clock
from counterfoil_server.testing.desk import OpenDesk, open_desk
from counterfoil_server.testing.mailbox import Mailbox, NoMessage
from counterfoil_server.testing.person import Person
from counterfoil_server.testing.policy import policy_cases
from counterfoil_server.testing.ticket import Ticket

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
