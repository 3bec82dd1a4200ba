"""The evidence bundle: everything about one ticket that others need to verify it, in one file.

This module is the format; ``audit.py`` says what a bundle proves, and ``docs/spec/bundle.md`` writes both down for
other implementations. Rules:

* a file is the canonical bytes (RFC 8785) of its value and nothing else, so no byte of it is without meaning;
* whatever was signed or hashed is carried as the very text that was signed or hashed, never as a value that has to be
  written out again;
* the desk's authority signs the whole, with a type of token that redeems and executes nothing: what only the desk can
  say (times, the end of it) is then its word, and later copies cannot be trimmed;
* a file of others is bounded in size, depth and number before anything in it is verified, and refused in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import not_
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from counterfoil import tokens
from counterfoil.assertions import RelyingParty
from counterfoil.canonical import canonical, digest, parse_strict
from counterfoil.checkpoints import LOG, WITNESS, FormerKey, NoteKey
from counterfoil.errors import BadJSON, EvidenceRefused, KeyFileError
from counterfoil.keys import Signer, VerificationKey
from counterfoil.roster import LastRecord, RosterTrust
from counterfoil.statements import Assertion
from counterfoil.tickets import State
from counterfoil.values import Frozen, Version

MAX_BUNDLE = 32 << 20
"""Bytes: a roster of ten thousand records has about ten million."""
MAX_TRUST = 1 << 18
"""Bytes of a trust file; ours have about two thousand."""
MAX_SIGNED = 100
"""Statements of one ticket: more people than any requirement asks for."""
MAX_LEAVES = 10_000
"""Leaves of one ticket, and proofs; one has about ten."""

MAX_WITNESSES = 16

BUNDLE_TYPE = "cf-bundle+jwt"
SETTLEMENT = "settlement"
"""In place of a seat: the page of the person who established an unknown outcome."""


class Signed(Frozen):
    """The exact text that a person signed, and the passkey's assertion over it."""

    statement: str
    assertion: Assertion


class Shown(Frozen):
    """What the page showed in a seat, as canonical JSON; statements name its digest."""

    seat: str
    content: str


class BundledLeaf(Frozen):
    """A leaf's body, and its opening unless that was deleted."""

    body: str
    opening: str | None


class LeafProof(Frozen):
    """The C2SP tlog-proof that leaf ``leaf`` is on the log."""

    leaf: int
    proof: str


class TicketEvidence(Frozen):
    """One ticket: the frozen envelope, what people signed and were shown, the capability and the order of a redeemed
    one, signed anew when nobody can use them any more, its leaves, and where it stands."""

    envelope: str
    statements: Annotated[tuple[Signed, ...], Field(max_length=MAX_SIGNED)]
    settlement: Signed | None
    displays: Annotated[tuple[Shown, ...], Field(max_length=MAX_SIGNED)]
    capability: str | None
    order: str | None
    leaves: Annotated[tuple[BundledLeaf, ...], Field(max_length=MAX_LEAVES)]
    state: State
    outcome: str | None


class RosterRecords(Frozen):
    """Every record of the roster, and the enrolments of those who signed."""

    records: tuple[str, ...]
    enrolments: Annotated[tuple[str, ...], Field(max_length=2 * MAX_SIGNED + 2)]


class PolicyText(Frozen):
    """The rules whose digest the envelope holds, and the schema they were checked against."""

    text: str
    schema_text: str


class Contents(Frozen):
    """What a bundle holds. ``access``: the ticket of the grant under which the request ran without its own approval."""

    ticket: TicketEvidence
    access: TicketEvidence | None
    roster: RosterRecords
    policy: PolicyText | None
    proofs: Annotated[tuple[LeafProof, ...], Field(max_length=MAX_LEAVES)]

    @property
    def digest(self) -> str:
        """By which the attestation names the contents."""
        return digest("counterfoil-bundle", canonical(self.model_dump(mode="json")))


class Bundle(Frozen):
    """A bundle: its contents, and the authority's signature over them."""

    format: Literal["counterfoil-bundle"] = "counterfoil-bundle"
    v: Version = 1
    contents: Contents
    attestation: str

    def to_bytes(self) -> bytes:
        """The file; raises :class:`EvidenceRefused` if no verifier would read one so large."""
        body = canonical(self.model_dump(mode="json"))
        if len(body) > MAX_BUNDLE:
            raise EvidenceRefused(
                f"The bundle would be larger than {MAX_BUNDLE >> 20} MiB.", "The roster is too long to be handed out."
            )
        return body

    @staticmethod
    def from_bytes(body: bytes) -> Bundle:
        """Read a file; raises :class:`EvidenceRefused` unless it is exactly what :meth:`to_bytes` writes."""
        bundle = _read(Bundle, body, MAX_BUNDLE, "bundle")
        if bundle.to_bytes() != body:
            raise EvidenceRefused("The bundle is not in its canonical form: it was changed after it was written.")
        return bundle


class Attestation(Frozen):
    """What the authority says of a bundle: it handed out these contents about this ticket at ``iat`` (Unix seconds)."""

    iss: str
    ticket: str
    bundle: str
    iat: int


async def attest(key: Signer, contents: Contents, *, issuer: str, ticket: str, now: int) -> Bundle:
    """The bundle of these contents, signed by the authority; raises :class:`SignerFailed`."""
    claims = Attestation(iss=issuer, ticket=ticket, bundle=contents.digest, iat=now)
    return Bundle(contents=contents, attestation=await tokens.issue(key, BUNDLE_TYPE, claims.model_dump()))


class FormerLogKey(Frozen):
    """A verifier key that the log had before, and the size up to which its checkpoints count."""

    key: str
    size: Annotated[int, Field(ge=0)]


class ReplacedKey(Frozen):
    """Where a roster key that was replaced had to stop: number and digest of its last record."""

    version: Annotated[int, Field(ge=0)]
    digest: str


class TrustFile(Frozen):
    """What a verifier brings itself, as a file. Keys are public JWKs; ``party`` and ``origins`` are the passkeys'."""

    format: Literal["counterfoil-trust"] = "counterfoil-trust"
    v: Version = 1
    issuer: str
    executors: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    party: str
    origins: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    roster_keys: Annotated[tuple[dict[str, str], ...], Field(min_length=1, max_length=100)]
    roster_version: Annotated[int, Field(ge=0)]
    authority_keys: Annotated[tuple[dict[str, str], ...], Field(min_length=1, max_length=100)]
    log_key: str | None
    """The verifier key of the log; None: no log is trusted, and leaves are the desk's word."""
    witnesses: Annotated[tuple[str, ...], Field(max_length=MAX_WITNESSES)] = ()
    """The verifier keys of witnesses of the log."""
    quorum: Annotated[int, Field(ge=0)] = 0
    """How many of them must have cosigned a checkpoint."""
    former_log_keys: Annotated[tuple[FormerLogKey, ...], Field(max_length=100, exclude_if=not_)] = ()
    """Left out where there are none."""
    replaced: dict[str, ReplacedKey] = Field(default_factory=dict, max_length=100, exclude_if=not_)
    """Of the roster's keys, by id, those that sign up to some record only. Left out where there are none."""


@dataclass(frozen=True)
class Trust:
    """What a verifier brings itself. ``executors``: whose orders count; ``authority_keys``: who may attest; ``log``:
    whose checkpoints count, None for nobody's; of its ``witnesses`` at least ``quorum`` must have cosigned each."""

    issuer: str
    executors: frozenset[str]
    roster: RosterTrust
    authority_keys: Mapping[str, VerificationKey]
    log: NoteKey | None
    witnesses: tuple[NoteKey, ...] = ()
    quorum: int = 0
    former: tuple[FormerKey, ...] = ()
    """The keys that the log had before, each as far as it counts."""

    @staticmethod
    def from_bytes(body: bytes) -> Trust:
        """Read a trust file, in any spelling; raises :class:`EvidenceRefused`."""
        file = _read(TrustFile, body, MAX_TRUST, "trust file")
        party = RelyingParty(file.party, frozenset(file.origins))
        roster = RosterTrust(_keys(file.roster_keys), file.roster_version, party, _replaced(file))
        log = _log_key(file.log_key) if file.log_key is not None else None
        return Trust(
            issuer=file.issuer,
            executors=frozenset(file.executors),
            roster=roster,
            authority_keys=_keys(file.authority_keys),
            log=log,
            witnesses=_witnesses(file, log),
            quorum=file.quorum,
            former=_former(file, log),
        )


def _keys(values: tuple[dict[str, str], ...]) -> dict[str, VerificationKey]:
    try:
        found = [VerificationKey.from_jwk(value) for value in values]
    except KeyFileError:
        raise EvidenceRefused("A key in the trust file is not a public P-256 key.") from None
    return {key.id: key for key in found}


def _replaced(file: TrustFile) -> dict[str, LastRecord]:
    if file.replaced.keys() - _keys(file.roster_keys).keys():
        raise EvidenceRefused("The trust file says where a roster key stopped that it does not have.")
    return {name: LastRecord(last.version, last.digest) for name, last in file.replaced.items()}


def _log_key(text: str) -> NoteKey:
    try:
        key = NoteKey.from_text(text)
    except KeyFileError:
        raise EvidenceRefused("The log's key in the trust file cannot be read.") from None
    if key.kind != LOG:
        raise EvidenceRefused("The log's key in the trust file is not one that signs checkpoints.")
    return key


def _former(file: TrustFile, log: NoteKey | None) -> tuple[FormerKey, ...]:
    found = tuple(FormerKey(_log_key(each.key), each.size) for each in file.former_log_keys)
    keys = [each.key.public for each in found] + ([log.public] if log else [])
    if len(set(keys)) != len(keys):  # with two sizes the larger one would count, with none all of it
        raise EvidenceRefused("The trust file names a key of the log twice.")
    return found


def _witnesses(file: TrustFile, log: NoteKey | None) -> tuple[NoteKey, ...]:
    try:
        found = tuple(NoteKey.from_text(text) for text in file.witnesses)
    except KeyFileError:
        raise EvidenceRefused("The key of a witness in the trust file cannot be read.") from None
    if any(key.kind != WITNESS for key in found):
        raise EvidenceRefused("The key of a witness in the trust file is not one that cosigns.")
    public = {key.public for key in found}
    if len(public) != len(found):
        raise EvidenceRefused("The trust file names a witness twice.")
    if log is not None and log.public in public:
        raise EvidenceRefused("The trust file names the log as its own witness.")
    if file.quorum > len(found) or (found and log is None):
        raise EvidenceRefused("The trust file asks for more witnesses than it names, or names them without a log.")
    return found


File = TypeVar("File", Bundle, TrustFile)


def _read(model: type[File], body: bytes, most: int, name: str) -> File:
    if len(body) > most:
        raise EvidenceRefused(f"The {name} is larger than {most >> 10} KiB.")
    try:
        value = parse_strict(body)
    except BadJSON as error:
        raise EvidenceRefused(f"The {name} cannot be read: {error.happened}") from None
    if not isinstance(value, dict) or value.get("format") != model.model_fields["format"].default:
        raise EvidenceRefused(f"This is no {name} of Counterfoil.")
    if value.get("v") != 1 or type(value["v"]) is not int:  # true equals 1
        raise EvidenceRefused(f"This {name} is of another version.", "Verify it with a newer Counterfoil.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        place = ".".join(str(part)[:40] for part in error.errors()[0]["loc"][:8])
        raise EvidenceRefused(f"The {name} is not complete, or has too much: {place}.") from None
