"""The desk that the conformance suite talks to: those of its fixture tools that a desk can express, and one operation.

The suite names its fixtures: ``test_simple_text`` with a certain text, ``test_error_handling`` that fails.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from counterfoil.desk import Desk
from counterfoil.values import Account, Contact, Execution, Facts, Receipt

POLICY = """
@id("The holder confirms.")
permit (principal, action == Action::"post_letter", resource)
when { context.holder_passkey && context.code_typed };
"""


class Nobody:
    """A directory without customers."""

    async def find(self, hint: str) -> Account | None:
        return None

    async def person(self, account: Account) -> Contact | None:
        return None


def build() -> Desk:
    """The desk."""
    desk = Desk("Conformance", directory=Nobody())

    @desk.read
    async def test_simple_text() -> str:
        """Tests simple text content response."""
        return "This is a simple text response for testing."

    @desk.read
    async def test_error_handling() -> str:
        """Tests error response handling."""
        raise RuntimeError("This tool intentionally returns an error for testing")

    @desk.read
    async def add_numbers(first: int, second: int) -> int:
        """Add two numbers."""
        return first + second

    @desk.read
    async def query_region(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
        """Ask one region; clients repeat its name in the header Mcp-Param-Region."""
        return f"Asked in {region}."

    @desk.operation
    async def post_letter(execution: Execution, account: Account, text: str) -> Receipt:
        """Post a letter."""
        return Receipt(reference=execution.ticket)

    @post_letter.preview
    async def letter_facts(account: Account, text: str) -> Facts:
        return Facts(owners=(account,))

    return desk
