"""Bundles whose checkpoints witnesses cosigned, or did not, or not so."""

from __future__ import annotations

import base64
from collections.abc import Callable

from counterfoil.checkpoints import Checkpoint, NoteSigner, cosign, read_checkpoint
from vectors.cast import LOG_SIGNER, START, STRANGE_WITNESS, WITNESSES
from vectors.forgery import Forgery
from vectors.make_bundles import attested, changed, day, numbers
from vectors.vector import JSONObject

SEEN = START + 900
BOTH_ASKED = "trust-two-witnesses.json"
NONE_ASKED = "trust-quorum-of-none.json"

Signing = Callable[[Checkpoint], str]
"""The lines that stand after the log's own."""


def witnessed() -> list[Forgery]:
    """Some hold: then nothing of them fails."""
    one, two = WITNESSES

    def bundle(name: str, shows: str, sign: Signing, *fails: str, trust: str = BOTH_ASKED) -> Forgery:
        return Forgery(name, shows, attested(changed("executed", under(sign))), list(fails), trust=trust)

    def wrong(name: str, shows: str, line: Signing) -> Forgery:
        return bundle(name, shows, lambda seen: by(one)(seen) + line(seen), "witnesses")

    def elsewhere(seen: Checkpoint) -> str:
        return by(two)(read_checkpoint(note_of(day().log.proof(0, size=seen.size - 1)), LOG_SIGNER.key))

    return [
        bundle("cosigned by both witnesses", "as many as are asked for", by(one, two)),
        bundle("cosigned in another sequence, and by others", "lines of others are left unread",
               by(STRANGE_WITNESS, two, one)),
        bundle("cosigned at two times", "each witness has its own clock",
               lambda seen: cosign(one, seen, SEEN) + cosign(two, seen, SEEN + 60)),
        bundle("cosigned in a far time", "eight bytes hold more than any date", by(one, two, at=(1 << 64) - 1)),
        bundle("cosigned by nobody, where nobody has to", "a quorum of none", by(), trust=NONE_ASKED),
        bundle("cosigned by one, where nobody has to", "it is told all the same", by(one), trust=NONE_ASKED),
        bundle("cosigned, and no witness is trusted", "lines of others are left unread", by(one, two),
               trust="trust.json"),
        bundle("cosigned by nobody", "two witnesses have to", by(), "witnesses"),
        bundle("cosigned by one of two", "two witnesses have to", by(one), "witnesses"),
        bundle("cosigned by one, and by somebody else", "others do not count", by(one, STRANGE_WITNESS), "witnesses"),
        bundle("cosigned twice by one", "a second line by one key makes a note worthless", by(one, two, two),
               "witnesses"),
        bundle("cosigned falsely, where nobody has to", "a signature in a trusted name holds, or fails",
               by(pretending(two)), "witnesses", trust=NONE_ASKED),
        wrong("cosigned by another key of that name and id", "the key is the trusted one", by(pretending(two))),
        wrong("a cosignature of another checkpoint", "it is over this one", elsewhere),
        wrong("a cosignature with another time", "the time is signed", edited(two, 7)),
        wrong("a cosignature with another byte", "it is no signature", edited(two, 8)),
        wrong("a cosignature that is too short", "a time and 64 bytes", lambda seen: line(two, content(two, seen)[:5])),
        wrong("a cosignature that is too long", "a time and 64 bytes",
              lambda seen: line(two, content(two, seen) + b"x")),
        wrong("a cosignature without a time", "the log signs without one, a witness does not",
              lambda seen: line(two, two.private.sign(seen.body.encode()))),
        Forgery("one leaf under a checkpoint that nobody cosigned", "each checkpoint is looked at",
                attested(changed("executed", under(by(one, two)), one_smaller)), ["witnesses"], trust=BOTH_ASKED),
    ]  # fmt: skip


def under(sign: Signing) -> Callable[[JSONObject], None]:
    """The change that adds these lines to each proof's checkpoint."""

    def change(value: JSONObject) -> None:
        for each in value["proofs"]:
            each["proof"] += sign(read_checkpoint(note_of(each["proof"]), LOG_SIGNER.key))

    return change


def one_smaller(value: JSONObject) -> None:
    first = numbers(value)[0]
    value["proofs"][0]["proof"] = day().log.proof(first, size=len(day().log.leaves) - 1)


def note_of(proof: str) -> str:
    return proof.partition("\n\n")[2]


def by(*signers: NoteSigner, at: int = SEEN) -> Signing:
    return lambda seen: "".join(cosign(signer, seen, at) for signer in signers)


def pretending(witness: NoteSigner) -> NoteSigner:
    """Another key, whose lines say that they are the witness's."""
    return NoteSigner(witness.key, STRANGE_WITNESS.private)


def content(witness: NoteSigner, seen: Checkpoint) -> bytes:
    """Time and signature of an honest line."""
    return base64.b64decode(cosign(witness, seen, SEEN).split(" ")[2])[4:]


def edited(witness: NoteSigner, place: int) -> Signing:
    """An honest line with one bit of another value at a place after the key's id."""

    def sign(seen: Checkpoint) -> str:
        honest = bytearray(content(witness, seen))
        honest[place] ^= 1
        return line(witness, bytes(honest))

    return sign


def line(witness: NoteSigner, signed: bytes) -> str:
    return f"— {witness.key.name} {base64.b64encode(witness.key.id + signed).decode()}\n"
