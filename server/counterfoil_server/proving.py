"""Evidence of one ticket, as it is handed to somebody who trusts neither this process nor its database.

Gathered by the process that owns the state folder. What is handed out is read from the database and nowhere believed:
whoever gets it verifies it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from counterfoil import openssh
from counterfoil.authority import Authority
from counterfoil.bundle import (
    SETTLEMENT,
    BundledLeaf,
    Contents,
    FormerLogKey,
    LeafProof,
    PolicyText,
    ReplacedKey,
    RosterRecords,
    Shown,
    Signed,
    TicketEvidence,
    TrustFile,
    attest,
)
from counterfoil.canonical import canonical, parse_strict
from counterfoil.cedar_schema import cedar_schema
from counterfoil.checkpoints import FormerKey, NoteKey
from counterfoil.display import display, display_digest
from counterfoil.errors import BadJSON, CounterfoilError, EvidenceRefused, StatementRefused, UnknownName
from counterfoil.judgement import Judge, signed_statement
from counterfoil.log import Leaf
from counterfoil.policy import policy_digest
from counterfoil.roster import SignedEnrolment
from counterfoil.settlement import settlement_display, settlement_display_digest
from counterfoil.statements import NAMESPACES, SETTLE_NAMESPACE, Assertion, Settlement, Statement, signed_as
from counterfoil.store import StoredSettlement, StoredStatement
from counterfoil.tickets import Event, Ticket

JSONObject = dict[str, Any]
ProveLeaf = Callable[[int], Awaitable[str]]
"""A leaf's number -> the proof that it is on the log."""


async def known_ticket(authority: Authority, ticket_id: str) -> Ticket:
    """The ticket; raises :class:`UnknownName`."""
    found = await authority.store.ticket(ticket_id)
    if found is None:
        raise UnknownName(f"There is no ticket {ticket_id}.", "List them with 'counterfoil tickets list'.")
    return found


async def openssh_files(authority: Authority, ticket_id: str) -> JSONObject:
    """Every signed statement of the ticket with a signature that ssh-keygen verifies, and who may sign what.

    ``files`` are texts by name; ``signatures`` say of each statement its file, person, decision and namespace. Raises
    :class:`UnknownName` where nobody signed anything, :class:`EvidenceRefused` for what ssh-keygen could not take.
    """
    ticket = await known_ticket(authority, ticket_id)
    judge, party = authority.judge, authority.judge.trust.party.id
    roster = await judge.roster()
    files: dict[str, str] = {}
    signers: dict[str, None] = {}
    signatures: list[JSONObject] = []
    approves = NAMESPACES[signed_as("approve", ticket.envelope)]
    stored: list[StoredStatement | StoredSettlement] = list(await authority.store.statements(ticket_id))
    if (settled := await authority.store.settlement(ticket_id)) is not None:
        stored.append(settled)
    for number, each in enumerate(stored, start=1):
        signed, decision, namespace, assertion = _read(each)
        known = roster.credentials.get(signed.credential)
        if known is None or known.person != signed.person:
            raise EvidenceRefused("A statement is signed with a passkey that the roster does not know.")
        name = f"statement-{number}.json"
        files[name] = each.statement.decode()
        files[f"{name}.sig"] = openssh.signature_file(
            assertion, challenge=signed.challenge, namespace=namespace, public_key=known.public_key, party=party
        )
        allowed = SETTLE_NAMESPACE if isinstance(signed, Settlement) else approves
        line = openssh.allowed_signer(signed.person, public_key=known.public_key, party=party, namespace=allowed)
        signers.setdefault(line)
        signatures.append({"file": name, "person": signed.person, "decision": decision, "namespace": namespace})
    if not signatures:
        raise UnknownName(f"Nobody has signed anything about {ticket_id}.", "Look with 'counterfoil tickets show'.")
    files["allowed_signers"] = "".join(f"{line}\n" for line in signers)
    return {"ticket": ticket_id, "files": files, "signatures": signatures}


def _read(stored: StoredStatement | StoredSettlement) -> tuple[Statement | Settlement, str, str, Assertion]:
    """What was signed, the decision in a word, its namespace, and the assertion over it."""
    try:
        if isinstance(stored, StoredSettlement):
            settlement = Settlement.from_bytes(stored.statement)
            return settlement, settlement.found, SETTLE_NAMESPACE, Assertion.model_validate_json(stored.assertion)
        statement = Statement.from_bytes(stored.statement)
        return statement, statement.decision, NAMESPACES[statement.decision], signed_statement(stored).assertion
    except (StatementRefused, ValueError):
        raise EvidenceRefused("A stored statement cannot be read.", "Run 'counterfoil doctor'.") from None


async def bundle(authority: Authority, ticket_id: str, policy_text: str | None, prove_leaf: ProveLeaf) -> str:
    """The evidence bundle of a ticket, attested by the authority. ``policy_text``: the rules of today, if they can be
    read; they are part of it where the ticket was decided by them. Raises :class:`UnknownName`, and StoreFailed where
    the log cannot be sealed."""
    ticket = await known_ticket(authority, ticket_id)
    parts = [await _evidence(authority, ticket)]
    if ticket.envelope.grant is not None:
        parts.append(await _evidence(authority, await known_ticket(authority, ticket.envelope.grant)))
    records, enrolments = await authority.store.roster()
    signers = {signed.assertion.credential for part in parts for signed in _all_signed(part)}
    contents = Contents(
        ticket=parts[0],
        access=parts[1] if len(parts) > 1 else None,
        roster=RosterRecords(
            records=tuple(records),
            enrolments=tuple(
                text for text in enrolments if SignedEnrolment.model_validate_json(text).enrolment.credential in signers
            ),
        ),
        policy=_policy(authority.judge, ticket, policy_text),
        proofs=tuple(
            [LeafProof(leaf=index, proof=await prove_leaf(index)) for part in parts for index in _indices(part)]
        ),
    )
    made = await attest(
        authority.keys.current, contents, issuer=authority.issuer, ticket=ticket_id, now=authority.store.now()
    )
    return made.to_bytes().decode()


def _indices(part: TicketEvidence) -> Iterator[int]:
    """The numbers of the leaves."""
    for leaf in part.leaves:
        value = parse_strict(leaf.body.encode())
        if isinstance(value, dict):
            yield int(value["n"])


async def trust(
    authority: Authority,
    log_key: NoteKey,
    witnesses: Sequence[NoteKey] = (),
    quorum: int = 0,
    *,
    former: Sequence[FormerKey] = (),
) -> JSONObject:
    """What an auditor of this desk has to bring: its public keys, names and the roster's version, as a trust file.
    ``quorum``: how many of the log's ``witnesses`` must have cosigned; ``former``: the keys that it had before."""
    version = (await authority.judge.roster()).version
    known = authority.judge.trust
    return TrustFile(
        issuer=authority.issuer,
        executors=tuple(sorted({authority.executor, *authority.judge.desk.executors})),
        party=known.party.id,
        origins=tuple(sorted(known.party.origins)),
        roster_keys=tuple(key.to_jwk() for key in known.keys.values()),
        roster_version=max(version, known.minimum_version),
        authority_keys=tuple([key.to_jwk() for key in (await authority.good_keys()).values()]),
        log_key=log_key.to_text(),
        witnesses=tuple(key.to_text() for key in witnesses),
        quorum=quorum,
        former_log_keys=tuple(FormerLogKey(key=each.key.to_text(), size=each.size) for each in former if each.size),
        replaced={name: ReplacedKey(version=last.version, digest=last.digest) for name, last in known.replaced.items()},
    ).model_dump(mode="json")


async def _evidence(authority: Authority, ticket: Ticket) -> TicketEvidence:
    store, judge = authority.store, authority.judge
    statements, settlement = await store.statements(ticket.id), await store.settlement(ticket.id)
    leaves: list[Leaf] = []
    while more := await store.leaves(ticket=ticket.id, after=leaves[-1].index if leaves else -1):
        leaves += more
    shown = {statement.seat: _display(judge, ticket, statement) for statement in statements}
    if settlement is not None:
        shown[SETTLEMENT] = _settlement_display(judge, ticket, settlement, leaves)
    capability, order = await authority.signed_anew(ticket, _redeemed(leaves), store.now())
    return TicketEvidence(
        envelope=ticket.envelope_bytes.decode(),
        statements=tuple(map(_signed, statements)),
        settlement=_signed(settlement) if settlement is not None else None,
        displays=tuple(Shown(seat=seat, content=text) for seat, text in shown.items() if text is not None),
        capability=capability,
        order=order,
        leaves=tuple(
            BundledLeaf(body=leaf.body.decode(), opening=leaf.opening.decode() if leaf.opening is not None else None)
            for leaf in leaves
        ),
        state=ticket.state,
        outcome=ticket.outcome,
    )


def _all_signed(part: TicketEvidence) -> Iterator[Signed]:
    yield from part.statements
    if part.settlement is not None:
        yield part.settlement


def _signed(stored: StoredStatement | StoredSettlement) -> Signed:
    return Signed(statement=stored.statement.decode(), assertion=_read(stored)[3])


def _display(judge: Judge, ticket: Ticket, stored: StoredStatement) -> str | None:
    """What the page showed, made again; None where the desk shows something else now."""
    try:
        content = display(judge.desk.name, judge.operation(ticket.envelope), ticket.envelope, stored.seat)
    except CounterfoilError:
        return None
    return _if_signed(content, display_digest(content), stored)


def _settlement_display(judge: Judge, ticket: Ticket, stored: StoredSettlement, leaves: list[Leaf]) -> str | None:
    """The same of the page on which somebody established what had happened: it told why nobody knew."""
    groups = _last_opened(leaves, Event.REPORT_UNKNOWN)
    if groups is None:
        return None
    then = replace(ticket, outcome=canonical(groups.get("outcome")).decode())
    content = settlement_display(judge.desk, then, stored.seat)
    return _if_signed(content, settlement_display_digest(content), stored)


def _redeemed(leaves: list[Leaf]) -> str | None:
    """The id of the capability that was redeemed; None where there is none, or its leaf's opening was deleted."""
    capability = (_last_opened(leaves, Event.REDEEM) or {}).get("capability")
    return capability if isinstance(capability, str) else None


def _last_opened(leaves: list[Leaf], event: Event) -> JSONObject | None:
    """The groups of the last leaf of this event, if it can be opened."""
    found = [leaf for leaf in leaves if leaf.event == event.value]
    try:
        opening = parse_strict(found[-1].opening or b"") if found else None
    except BadJSON:
        return None
    groups = opening.get("groups") if isinstance(opening, dict) else None
    return groups if isinstance(groups, dict) else None


def _if_signed(content: Mapping[str, Any], named: str, stored: StoredStatement | StoredSettlement) -> str | None:
    return canonical(dict(content)).decode() if _read(stored)[0].display == named else None


def _policy(judge: Judge, ticket: Ticket, text: str | None) -> PolicyText | None:
    """The rules that the envelope names, if they are those of today."""
    schema = cedar_schema(judge.desk)
    if text is None or policy_digest(text, schema) != ticket.envelope.policy:
        return None
    return PolicyText(text=text, schema_text=schema)
