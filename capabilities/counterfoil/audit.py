"""What an evidence bundle proves: verified offline, from the bundle and the auditor's own trust.

Nothing is looked up, no clock is read, and the desk's program is not needed. The sequence, each step in words of its
own in the :class:`Report`:

1. the authority's signature over the whole; without it nothing else is looked at;
2. the roster: every record by the roster key, without a gap, not older than the auditor knows it to be;
3. the access, where the request ran under one; then the request itself (``audit_ticket.py``): envelope, leaves, each
   statement by the roster *of the moment it counted*, what the pages showed, requirements, the capability and the
   order (``audit_tokens.py``), outcome;
4. the rules that the envelope names, where they are in the bundle;
5. that each leaf is on the log, where the auditor trusts one, and which witnesses saw that log (``audit_log.py``).

A finding *holds*, *fails*, or is *open*: what a bundle lacks without being wrong is said, never passed over. What no
bundle can prove is :data:`TRUSTED`, and ``docs/what-remains-trusted.md``.
"""

from __future__ import annotations

from counterfoil import tokens
from counterfoil.audit_log import verify_proofs
from counterfoil.audit_roster import RosterThen
from counterfoil.audit_ticket import TicketAudit
from counterfoil.audit_words import Report, at
from counterfoil.bundle import BUNDLE_TYPE, Attestation, Bundle, Contents, Trust
from counterfoil.errors import BadJSON, EvidenceRefused
from counterfoil.policy import policy_digest

TRUSTED = (
    "That each invitation reached the person it names: whoever opened it first is that person here.",
    "That each passkey in this bundle is the first of its invitation: executors compare it with the log.",
    "That the page showed what was signed: passkeys show nothing, the desk's own page does.",
    "That the person read it, understood it, and was not pressed.",
    "That the times are right: they are those of the desk's clock, and of nobody else's.",
    "That the organisation's own records were right when the request was made, and the people on the roster rightly"
    " hold those accounts and roles.",
    "That the executor ran just this, once, and told truly what came of it.",
    "That the log is the same for everybody who looks: trust witnesses of your own choice, or compare checkpoints.",
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
        access = TicketAudit(contents.access, rosters, trust, report, attestation.iat, "Of the access: ")
        access.verify()
    ticket = TicketAudit(contents.ticket, rosters, trust, report, attestation.iat)
    ticket.verify(access)
    if ticket.envelope is not None:
        if ticket.envelope.ticket != attestation.ticket:
            report.fail("The authority signed this file about another ticket.")
        _rules(contents, ticket.envelope.policy, report)
    told = [each.told for each in (ticket, access) if each is not None and each.told]
    verify_proofs(contents.proofs, {leaf.index: leaf.body for part in told for leaf in part.leaves}, trust, report)
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
