"""The example desk over a shop of its own, asked as Counterfoil asks it: preview, policy, connector, lookup, undo."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from counterfoil.asking import Question
from counterfoil.desk import Desk
from counterfoil.policy import Policy
from counterfoil.rungs import Rung
from counterfoil.store import Counters
from counterfoil.values import Account, Execution, Facts, Money, Receipt

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "support_desk"
sys.path.insert(0, str(FOLDER))  # desks are loaded with their own folder on the path

import desk as example  # noqa: E402
from business import Business  # noqa: E402

HOLDER = Rung(holder="passkey", code=True)
FINANCE = Rung(holder="passkey", code=True, staff={"finance": 1})
TWO_OF_FINANCE = Rung(holder="passkey", code=True, staff={"finance": 2})
LOCKED = "Nothing is changed on a locked account but its lock, nor where the fraud score is 80 or more."


def euro(value: str, currency: str = "EUR") -> Money:
    return Money(value=value, currency=currency)


@dataclass(frozen=True)
class Northlight:
    """A shop at its beginning, with its desk and policy."""

    database: Path
    desk: Desk
    shop: Business
    policy: Policy

    @staticmethod
    def at(database: Path) -> Northlight:
        desk = example.build(database)
        policy = Policy.load((FOLDER / "policy.cedar").read_text(), desk)
        return Northlight(database, desk, Business(database), policy)

    async def facts(self, operation: str, account: str, **arguments: Any) -> Any:
        """What the preview says."""
        preview = self.desk.operations[operation].run_preview
        assert preview is not None
        found = await preview(account=Account(account), **arguments)
        assert isinstance(found, Facts)
        return found

    async def run(self, operation: str, key: str, guard: str | None, account: str, **arguments: Any) -> Receipt:
        """What the connector does with this key on this version."""
        receipt = await self.desk.operations[operation].run(
            execution(key, guard), account=Account(account), **arguments
        )
        assert isinstance(receipt, Receipt)
        return receipt

    async def lookup(self, operation: str, key: str) -> Receipt | None:
        """What the connector finds afterwards."""
        lookup = self.desk.operations[operation].run_lookup
        assert lookup is not None
        found = await lookup(execution(key))
        assert found is None or isinstance(found, Receipt)
        return found

    async def undo(self, operation: str, key: str, receipt: Receipt) -> Receipt:
        """What undoing does."""
        undone = await self.desk.operations[f"undo_{operation}"].run(
            execution(key), account=Account("C-1001"), receipt=receipt
        )
        assert isinstance(undone, Receipt)
        return undone

    async def question(
        self, operation: str, account: str, /, *, earlier: str = "0.00", count: int = 0, **arguments: Any
    ) -> Question:
        """What policy is asked; ``earlier`` is the sum and ``count`` the number of what was asked before that day."""
        facts = await self.facts(operation, account, **arguments)
        amount = arguments.get("amount")
        plain = {
            name: value.model_dump(mode="json") if isinstance(value, Money) else value
            for name, value in arguments.items()
        }
        return Question(
            operation=self.desk.operations[operation],
            principal="assistant",
            account=Account(account),
            arguments={"account": account} | plain,
            facts=facts.model_dump(mode="json"),
            tainted=False,
            unguarded=facts.guard is None,
            counters=Counters(count=count, total=Decimal(earlier)),
            amount=amount,
        )

    async def required(self, operation: str, account: str, /, **arguments: Any) -> tuple[list[Rung], tuple[str, ...]]:
        """The alternatives that policy asks for, and its reasons."""
        found = self.policy.requirements(await self.question(operation, account, **arguments))
        return list(found.rungs), found.reasons

    def rows(self, statement: str) -> list[Any]:
        """What a query of the shop's own database answers."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(statement).fetchall()


def execution(key: str, guard: str | None = None) -> Execution:
    """An order to run."""
    return Execution(ticket=key, idempotency_key=key, guard=guard)
