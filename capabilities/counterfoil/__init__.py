"""The trusted core of Counterfoil, and what an organisation writes its desk with.

*The AI holds a ticket. Only a verified person holds the counterfoil.*
"""

from counterfoil.desk import Desk, Directory
from counterfoil.operations import Operation
from counterfoil.reads import Read
from counterfoil.rungs import Rung
from counterfoil.values import (
    Account,
    Change,
    Contact,
    Execution,
    Facts,
    Money,
    NotExecuted,
    Owned,
    Receipt,
    fact,
    needs,
    shown,
)

__all__ = [
    "Account",
    "Change",
    "Contact",
    "Desk",
    "Directory",
    "Execution",
    "Facts",
    "Money",
    "NotExecuted",
    "Operation",
    "Owned",
    "Read",
    "Receipt",
    "Rung",
    "fact",
    "needs",
    "shown",
]
