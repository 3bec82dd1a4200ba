"""Everybody and everything that the vectors are about: keys, people, requests, pages and what people signed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from capabilities.world import Office, Passkey
from counterfoil.bundle import FormerLogKey, ReplacedKey, TrustFile
from counterfoil.canonical import b64, canonical, digest
from counterfoil.checkpoints import LOG, WITNESS, NoteSigner
from counterfoil.display import about_request
from counterfoil.evidence import code_digest
from counterfoil.policy import policy_digest
from counterfoil.roster import End, sign_record
from counterfoil.rungs import Rung
from counterfoil.statements import HOLDER, Assertion, Statement
from counterfoil.tickets import Envelope, Signals, envelope_digest
from vectors.seeded import SeededKey, SeededPasskey, ed25519, seed

START = 1_800_000_000
ISSUER = "https://desk.example"
EXECUTOR = "executor:desk"
PARTY = "desk.example"
CODE = "123456"

AUTHORITY = SeededKey.of("authority")
ROSTER = SeededKey.of("roster")
SUCCESSOR = SeededKey.of("the next roster")
STRANGER = SeededKey.of("stranger")
SERVICE = SeededKey.of("the sign-in service")
LOG_SIGNER = NoteSigner.of("desk.example/log", LOG, ed25519("log"))
STRANGE_LOG = NoteSigner.of("desk.example/log", LOG, ed25519("another log"))
NEXT_LOG = NoteSigner.of("desk.example/log", LOG, ed25519("the next log"))
WITNESSES = tuple(NoteSigner.of(f"{name}.example/witness", WITNESS, ed25519(name)) for name in ("oak", "elm"))
STRANGE_WITNESS = NoteSigner.of("ash.example/witness", WITNESS, ed25519("ash"))

POLICY = 'permit (principal, action == Action::"refund", resource) when { context.holder_passkey };\n'
SCHEMA = "entity Agent;\n"

BOTH = Rung(holder="passkey", staff={"finance": 1}, code=True)
ALONE = Rung(holder="passkey", code=True)

PASSKEYS: dict[str, Passkey] = {
    name: SeededPasskey(name, backup_eligible=name != "ben")
    for name in ("ann", "ben", "fay", "fil", "nat", "lee", "lost", "stranger", "cyd")
}
"""Ben's cannot be copied; ``lost`` was Ann's; ``stranger`` is nobody's, ``cyd`` comes by a delegate."""


def trust_file(
    *,
    log: bool = True,
    version: int = 3,
    quorum: int | None = None,
    stopped: tuple[int, str] | None = None,
    former: int | None = None,
) -> TrustFile:
    """What ``counterfoil prove --trust`` would write of this desk. ``quorum``: None where no witness is trusted.
    ``stopped``: the last record of the roster's key, after which :data:`SUCCESSOR` signs.
    ``former``: the size at which the log's key was replaced by :data:`NEXT_LOG`."""
    return TrustFile(
        issuer=ISSUER,
        executors=(EXECUTOR,),
        party=PARTY,
        origins=(ISSUER,),
        roster_keys=tuple(key.public.to_jwk() for key in ((ROSTER, SUCCESSOR) if stopped else (ROSTER,))),
        roster_version=version,
        authority_keys=(AUTHORITY.public.to_jwk(),),
        log_key=(LOG_SIGNER if former is None else NEXT_LOG).key.to_text() if log else None,
        former_log_keys=() if former is None else (FormerLogKey(key=LOG_SIGNER.key.to_text(), size=former),),
        witnesses=tuple(each.key.to_text() for each in WITNESSES) if quorum is not None else (),
        quorum=quorum or 0,
        replaced={ROSTER.id: ReplacedKey(version=stopped[0], digest=stopped[1])} if stopped else {},
    )


# People ---------------------------------------------------------------------------------------------------------------


def office(*people: str) -> Office:
    """An office that invited and enrolled these people, who are among :data:`INVITED`."""
    made = Office()
    made.key = ROSTER
    for name in people:
        accounts, roles, channel = INVITED[name]
        channels = [f"{channel or name}@example.com"]
        invitation = made.invite(name, accounts=accounts, roles=roles, channels=channels)
        made.enrol(invitation, name, PASSKEYS[name])
    return made


INVITED: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "ann": (("A-1",), (), ""),
    "fay": ((), ("finance",), ""),
    "ben": (("A-2",), (), ""),
    "fil": (("A-1",), ("finance",), "fil"),
    "nat": ((), ("finance",), "ANN"),
    "lee": ((), ("finance",), ""),
}
"""Accounts, roles and, where it is not their own, whose address they have. Nat reads Ann's mail."""


@cache
def everybody() -> Office:
    """All of them; Lee has left, and a passkey of Ann's is lost."""
    made = office(*INVITED)
    again = made.invite("ann", accounts=["A-1"], channels=["ann@example.com"])
    made.enrol(again, "ann", PASSKEYS["lost"])
    made.end("person", "lee")
    made.end("credential", PASSKEYS["lost"].credential)
    return made


def ended(made: Office, what: str, name: str, at: int) -> str:
    """The record that ends somebody next, at that time."""
    values = {"version": len(made.records) + 1, "previous": made.head, "what": what, "id": name, "iat": at}
    return sign_record(made.key, End.model_validate(values))


def roster_value(made: Office, people: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Records and enrolments, of these people alone where they are named."""
    names = None if people is None else {f'"person":"{name}"' for name in people}
    kept = [text for text in made.enrolments if names is None or any(name in text for name in names)]
    return {"records": list(made.records), "enrolments": kept}


# Requests, and what people sign of them -------------------------------------------------------------------------------


def envelope(**changes: Any) -> Envelope:
    """A refund of 80 EUR on Ann's account, which she and finance have to approve; ``changes`` replace fields."""
    ticket = str(changes.get("ticket", "cf_1"))
    salt = seed(f"salt of {ticket}")
    return Envelope(
        issuer=ISSUER,
        tenant="desk",
        ticket="cf_1",
        operation="refund",
        arguments='{"account":"A-1","amount":{"currency":"EUR","value":"80.00"},"order_id":"O-1"}',
        account="A-1",
        principal="agent",
        owner=None,
        actor=None,
        conversation=None,
        grant=None,
        delivery="direct",
        executor=EXECUTOR,
        facts='{"guard":"v1","owners":["A-1"]}',
        requirements=(BOTH,),
        policy=policy_digest(POLICY, SCHEMA),
        tool=digest("counterfoil-operation", b"refund"),
        code=code_digest(salt, CODE),
        signals=Signals(),
        note="The lamp arrived broken.",
        undoes=None,
        requested_at=START,
        expires_at=START + 86400,
        salt=b64(salt),
    ).changed(**changes)


LABELS = {"order_id": "Order id", "amount": "Amount", "reason": "Reason"}


def page(request: Envelope, seat: str = HOLDER, **changes: Any) -> str:
    """What the page shows of the request in this seat, as canonical JSON."""
    values = [(LABELS[name], value) for name, value in request.argument_values.items() if name in LABELS]
    shown = [
        {"label": label, "value": f"{value['value']} {value['currency']}" if isinstance(value, dict) else value}
        for label, value in values
    ]
    content = {
        "v": 1, "organisation": "The desk", "operation": request.operation.capitalize(), "summary": "A request.",
        "arguments": [{**entry, "known": []} for entry in shown], "changes": [], "facts": [],
        **about_request(request, seat),
    }  # fmt: skip
    return canonical(content | changes).decode()


def statement(request: Envelope, person: str, seat: str = HOLDER, /, **changes: Any) -> Statement:
    """The approval that somebody is asked to sign; ``changes`` replace fields."""
    passkey = PASSKEYS[str(changes.pop("passkey", person))]
    return Statement(
        issuer=ISSUER,
        envelope=envelope_digest(request.to_bytes()),
        display=digest("counterfoil-display", page(request, seat).encode()),
        seat=seat,
        person=person,
        credential=passkey.credential,
        decision="approve",
        code=CODE if seat == HOLDER else None,
        nonce=b64(seed(f"nonce of {request.ticket} {person} {seat}")),
        iat=START + 10,
        exp=START + 610,
    ).changed(**changes)


def signed(told: Statement, by: str | None = None, **misbehaviour: Any) -> dict[str, Any]:
    """The statement and its assertion, as bundles carry them. ``by`` names the passkey, the person's own by default."""
    assertion: Assertion = PASSKEYS[by or told.person].sign(told.challenge, **misbehaviour)
    return {"statement": told.to_bytes().decode(), "assertion": assertion.model_dump(mode="json")}


def approvals(request: Envelope, *seats: tuple[str, str]) -> list[dict[str, Any]]:
    """Approvals by person and seat."""
    return [signed(statement(request, person, seat)) for person, seat in seats]
