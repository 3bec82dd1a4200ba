"""What an evidence bundle proves: verified offline, from the bundle and the auditor's own trust.

Nothing is looked up, no clock is read, and the desk's program is not needed. The sequence, each step in words of its
own in the :class:`Report`:

1. the authority's signature over the whole; without it nothing else is looked at;
2. the roster: every record by the roster key, without a gap, not older than the auditor knows it to be;
3. the access, where the request ran under one; then the request itself (``audit_ticket.py``): envelope, leaves, each
   statement by the roster *of the moment it counted*, what the pages showed, requirements, outcome;
4. the rules that the envelope names, where they are in the bundle;
5. that each leaf is on the log, where the auditor trusts one.

A finding *holds*, *fails*, or is *open*: what a bundle lacks without being wrong is said, never passed over. What no
bundle can prove is :data:`TRUSTED`, and ``docs/what-remains-trusted.md``.
"""

from __future__ import annotations

from functools import partial

from counterfoil import tokens
from counterfoil.audit_roster import RosterThen
from counterfoil.audit_ticket import TicketAudit
from counterfoil.audit_words import Report, at
from counterfoil.bundle import BUNDLE_TYPE, Attestation, Bundle, Contents, Trust
from counterfoil.checkpoints import NoteKey, check_proof
from counterfoil.errors import BadJSON, EvidenceRefused
from counterfoil.policy import policy_digest

TRUSTED = (
    "That each invitation reached the person it names: whoever opened it first is that person here.",
    "That the page showed what was signed: passkeys show nothing, the desk's own page does.",
    "That the person read it, understood it, and was not pressed.",
    "That the times are right: they are those of the desk's clock, and of nobody else's.",
    "That the organisation's own records were right when the request was made, and the people on the roster rightly"
    " hold those accounts and roles.",
    "That the executor ran just this, once, and told truly what came of it.",
    "That the log is the same for everybody who looks: compare its checkpoints over time.",
    "That nothing happened to the ticket after the last leaf in this bundle.",
    "That your trust file came to you from the organisation, and its keys were nobody else's.",
)
"""What remains a matter of trust where everything holds."""


def verify_bundle(body: bytes, trust: Trust) -> Report:
    """Verify everything; raises :class:`EvidenceRefused` only for a file that is no bundle at all."""
    bundle = Bundle.from_bytes(body)
    report = Report()
    attestation = report.check("The authority's signature over this file", lambda: _attested(bundle, trust))
    if attestation is None:
        report.leave_open("Nothing else was looked at: anybody could have written it.")
        return report
    report.hold(
        f"The authority {trust.issuer} signed this file about {attestation.ticket} on {at(attestation.iat)}; nothing in"
        " it was changed since."
    )
    contents = bundle.contents
    rosters = report.check(
        "The roster", lambda: RosterThen(contents.roster.records, contents.roster.enrolments, trust.roster)
    )
    if rosters is None:
        report.leave_open("Without the roster, no signature can be anybody's.")
        return report
    report.hold(
        f"The roster of {rosters.now.version} records is signed by its key without a gap, and is not older than version"
        f" {trust.roster.minimum_version}."
    )
    access = None
    if contents.access is not None:
        access = TicketAudit(contents.access, rosters, trust, report, "Of the access: ")
        access.verify()
    ticket = TicketAudit(contents.ticket, rosters, trust, report)
    ticket.verify(access)
    if ticket.envelope is not None:
        if ticket.envelope.ticket != attestation.ticket:
            report.fail("The authority signed this file about another ticket.")
        _rules(contents, ticket.envelope.policy, report)
    _proofs(contents, [each for each in (ticket, access) if each is not None], trust.log, report)
    return report


def _attested(bundle: Bundle, trust: Trust) -> Attestation:
    try:
        payload, _ = tokens.verify(bundle.attestation, BUNDLE_TYPE, trust.authority_keys)
        attestation = Attestation.model_validate(payload)
    except (BadJSON, ValueError):
        raise EvidenceRefused("It is not by a key of the authority that you trust.") from None
    if attestation.iss != trust.issuer:
        raise EvidenceRefused("It is by another authority.")
    if attestation.bundle != bundle.contents.digest:
        raise EvidenceRefused("It is over something else: the file was changed.")
    return attestation


def _rules(contents: Contents, named: str, report: Report) -> None:
    """Whether the rules in the bundle are those by which requirements were found."""
    if contents.policy is None:
        report.leave_open("The rules of then are not in the bundle: they have been changed since.")
    elif policy_digest(contents.policy.text, contents.policy.schema_text) != named:
        report.fail("The rules in the bundle are not those that the request names.")
    else:
        report.hold("The rules in the bundle are those by which it was decided who had to agree.")


def _proofs(contents: Contents, tickets: list[TicketAudit], log: NoteKey | None, report: Report) -> None:
    """Which leaves are proven to be on the log."""
    proofs = {proof.leaf: proof.proof for proof in contents.proofs}
    leaves = {leaf.index: leaf.body for ticket in tickets if ticket.told for leaf in ticket.told.leaves}
    if len(proofs) != len(contents.proofs) or proofs.keys() - leaves.keys():
        report.fail("There is a proof of a leaf that is not in the bundle, or one leaf has two.")
    under: list[int] = []
    for index in sorted(leaves):
        if log is None:
            report.leave_open(f"Leaf {index} is not proven to be on the log: you trust no log.")
        elif index not in proofs:
            report.fail(f"Leaf {index} is not proven to be on the log: no proof came with it.")
        else:
            work = partial(_proven, index, leaves[index], proofs[index], log)
            size = report.check(f"The proof of leaf {index}", work)
            under += [size] if size is not None else []
    if log is not None and under and len(under) == len(leaves):
        report.hold(
            f"Leaves {', '.join(map(str, sorted(leaves)))} are on the log {log.name}, under a checkpoint of"
            f" {max(under)} leaves that its key signed."
        )


def _proven(index: int, body: str, proof: str, log: NoteKey) -> int:
    """The size of the log under whose checkpoint the leaf is; raises ProofRefused or EvidenceRefused."""
    number, checkpoint = check_proof(proof, body.encode(), log)
    if number != index:
        raise EvidenceRefused("It is of another place on the log.")
    return checkpoint.size
