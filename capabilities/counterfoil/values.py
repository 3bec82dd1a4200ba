"""The values that a desk's signatures are written in: accounts, money, facts, receipts."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

from msgspec import Meta
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Account = NewType("Account", str)
"""The organisation's own stable id of what an operation touches. In a tool call it is a hint that the organisation's
directory looks up; connectors and previews only ever receive what the directory found."""

AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,13})\.[0-9]{2,4}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"
PATTERNS_IN_WORDS = {AMOUNT_PATTERN: "an amount such as 12.50", CURRENCY_PATTERN: "three capital letters, as in EUR"}
"""What to write where a text has to match one of these."""

DecimalText = Annotated[str, Field(pattern=AMOUNT_PATTERN, examples=["12.50"])]
"""A non-negative decimal with two to four digits after the point; fits Cedar's ``decimal``."""


Assurance = Literal["none", "link", "passkey", "passkey_bound"]
"""How surely the holder was recognised: not at all; by a code sent to their rostered channel; by a passkey with user
verification; by a passkey that cannot be copied off its device."""

ASSURANCES: tuple[Assurance, ...] = ("none", "link", "passkey", "passkey_bound")


class Frozen(BaseModel):
    """A value: strict, closed, immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Version = Annotated[int, Field(ge=1, le=1), Meta(ge=1, le=1)]
"""The version 1 of a format, for pydantic and msgspec. Pydantic takes ``true`` and ``1.0`` for a ``Literal[1]``, strict
or not."""


class Money(Frozen):
    """An amount as text with two to four decimals, and an ISO 4217 currency."""

    # The sentence above is in every AI's schemas. ``"1"`` is not ``1``, and neither is money (T24).
    value: DecimalText
    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN, examples=["EUR"])]

    @property
    def amount(self) -> Decimal:
        """The amount in units of the currency."""
        return Decimal(self.value)

    def __str__(self) -> str:
        return f"{self.value} {self.currency}"


class Change(Frozen):
    """What a person should compare: the state before, and the state after if they approve."""

    before: str
    after: str


class Facts(Frozen):
    """What a preview read from the organisation's own systems.

    ``owners`` are the accounts that own every object the operation touches; a ticket whose owners are not exactly the
    account it names is refused (T43). ``guard`` is a version or ETag that the connector applies atomically with the
    effect; without one the operation counts as ``unguarded``, which policy sees.

    Every field is shown to the person, given to the policy, and compared again before the effect, unless
    :func:`shown` says otherwise.
    """

    owners: tuple[Account, ...]
    guard: str | None = None


class Receipt(Frozen):
    """What a connector returns of an effect that happened."""

    reference: Annotated[str, Field(max_length=200)]
    summary: Annotated[str, Field(max_length=1000)] = ""


class Owned(BaseModel):
    """A record of one account, as personal reads return it. ``owner`` is compared with the account that was granted,
    and is no part of the answer."""

    model_config = ConfigDict(extra="forbid")

    owner: Account = Field(exclude=True)


def needs(assurance: Assurance, *, default: Any = None) -> Any:
    """A field of a record that only a holder recognised at least this surely has read to the AI; None for others."""
    return Field(default, json_schema_extra={"counterfoil": {"needs": assurance}})


def assurance_for(info: FieldInfo) -> Assurance:
    """How surely the holder must have been recognised for this field to be read."""
    extra = info.json_schema_extra
    declared = extra.get("counterfoil") if isinstance(extra, dict) else None
    found = declared.get("needs") if isinstance(declared, dict) else None
    return next((level for level in ASSURANCES if level == found), "none")


class Execution(Frozen):
    """What a connector may know of the order it runs. The idempotency key is the ticket's id, for providers.

    ``presented``: the order with all that it takes to verify it (JSON), where the operation names an executor outside.
    """

    ticket: str
    idempotency_key: str
    guard: str | None = None
    presented: str | None = None


class Contact(Frozen):
    """A person in the organisation's own records: a name for pages, and the address of their notices."""

    name: str
    email: str


class NotExecuted(Exception):
    """Raised by a connector to promise that no effect took place. Anything else it raises leaves the outcome unknown.

    The text is shown to people and to the AI.
    """


Audience = Literal["everyone", "staff"]


class FactStyle(Frozen):
    """How one fact is shown and used; attached to a field by :func:`fact` and :func:`shown`."""

    label: str | None = None
    about: str | None = None
    to: Audience = "everyone"
    compared: bool = True


def fact(*, label: str | None = None, about: str | None = None, to: Audience = "everyone", default: Any = ...) -> Any:
    """A fact with a ``label`` of its own, shown beside the argument it is ``about``, or to staff only."""
    return _field(FactStyle(label=label, about=about, to=to), default)


def shown(*, label: str | None = None, about: str | None = None, to: Audience = "everyone", default: Any = ...) -> Any:
    """Like :func:`fact`, for what is displayed and judged but not compared again at execution (scores, texts)."""
    return _field(FactStyle(label=label, about=about, to=to, compared=False), default)


def _field(style: FactStyle, default: Any) -> Any:
    return Field(default, json_schema_extra={"counterfoil": style.model_dump()})


def style_of(model: type[BaseModel], name: str) -> FactStyle:
    """The style of the field ``name`` of a facts model."""
    extra = model.model_fields[name].json_schema_extra
    if isinstance(extra, dict) and "counterfoil" in extra:
        return FactStyle.model_validate(extra["counterfoil"])
    return FactStyle()
