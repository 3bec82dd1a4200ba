"""Pages of a feed that were changed by chance, and signed again where the signature would hide the rest."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.random_changes import changed_at_random
from counterfoil.bundle import BundledLeaf
from counterfoil.canonical import canonical, digest, parse_strict, salted_digest, unb64
from counterfoil.checkpoints import to_base64
from counterfoil.errors import BadJSON
from counterfoil.feed import FEED_TYPE
from counterfoil.feed_leaves import OPENED
from counterfoil.log import GROUP, group_salt
from vectors.cast import ISSUER, LOG_SIGNER
from vectors.feed_pages import STATED, followed_log, has_to_open, page, statement
from vectors.make_log import SeededLog
from vectors.make_tokens import header_of, raw_token
from vectors.vector import JSONObject, Vector

CHARACTERS = '0123456789abcdefAZ_-+="{}[]:, .\\\n\t\x00\x7fé—\u202e\U0001f600'
VALUES: tuple[Any, ...] = ("", "x", "account:A-1", "person:ann", 0, 1.5, None, True, [], {"scope": "x"}, "é")


@dataclass(frozen=True)
class RandomFeeds:
    """Makes them; the same each time for the same ``chance``."""

    chance: random.Random

    def vector(self, name: str) -> Vector:
        """Pages to be read one after the other. What is expected of them, nobody has written down."""
        ways: list[Callable[[], list[JSONObject | str]]] = [
            self._out_of_order, self._changed_page, self._changed_text, self._changed_body, self._changed_opening,
            self._other_leaf, self._changed_claims, self._changed_note,
        ]  # fmt: skip
        pages = self.chance.choice(ways)()
        texts = [each if isinstance(each, str) else canonical(each).decode() for each in pages]
        now = STATED + self.chance.choice((0, 0, 0, 0, 0, 0, -60, -61, 5))
        trust = self.chance.choice(["trust.json"] * 12 + ["trust-no-log.json", "trust-log-key-replaced.json"])
        return Vector(name, "", "feed", {"pages": texts, "now": now}, {}, trust=trust)

    def _size(self, most: int = 21) -> int:
        return self.chance.randint(0, most)

    def _two(self) -> list[JSONObject]:
        """Two honest pages; there may be more of the log behind them."""
        log = followed_log()
        first, early, second, late = sorted(self.chance.randint(1, 21) for _ in range(4))
        if self.chance.random() < 0.7:
            second = late
        return [page(log, 0, first, size=early), page(log, first, second, size=late)]

    def _changed(self, text: str) -> str:
        """Another character, one more, or one less."""
        at, new = self._size(len(text)), self.chance.choice((*CHARACTERS, ""))
        return text[:at] + str(new) + text[at + self.chance.choice((0, 1, 1, 1)) :]

    def _out_of_order(self) -> list[JSONObject | str]:
        """Honest pages, which do not all go on where the last one ended."""
        log, pages, read = followed_log(), list[JSONObject | str](), 0
        for _ in range(self.chance.randint(1, 4)):
            first = self.chance.choice((read, read, read, read, self._size()))
            end = self.chance.choice((first, self.chance.randint(first, 21), 21))
            size = self.chance.choice((end, 21, self._size()))
            read, at = end, STATED + self.chance.choice((0, 0, 0, 1, -1, 61))
            proof: JSONObject = {} if end <= size else {"consistency": []}
            pages.append(page(log, first, min(end, size), size=size, at=at) | proof)
        return pages

    def _changed_page(self) -> list[JSONObject | str]:
        pages: list[JSONObject | str] = [*self._two()]
        place = self.chance.randrange(2)
        pages[place] = changed_at_random(pages[place], self.chance)
        return pages

    def _changed_text(self) -> list[JSONObject | str]:
        first, second = self._two()
        return [first, self._changed(canonical(second).decode())]

    def _changed_body(self) -> list[JSONObject | str]:
        """The log signs a tree over it."""
        log = followed_log()
        place = self.chance.randrange(len(log.leaves))
        leaf = log.leaves[place]
        value = changed_at_random(parse_strict(leaf.body.encode()), self.chance)
        body = self.chance.choice((canonical(value).decode(), self._changed(leaf.body)))
        log.leaves[place] = BundledLeaf(body=body, opening=leaf.opening)
        return self._cut(log)

    def _changed_opening(self) -> list[JSONObject | str]:
        """Half of the values are those that the leaf holds digests of."""
        log = followed_log()
        place = self.chance.choice([number for number, leaf in enumerate(log.leaves) if has_to_open(leaf)])
        leaf = log.leaves[place]
        opening: Any = changed_at_random(parse_strict(str(leaf.opening).encode()), self.chance)
        text = self.chance.choice((canonical(opening).decode(), self._changed(str(leaf.opening))))
        body: Any = parse_strict(leaf.body.encode())
        if self.chance.random() < 0.5 and _is_opening(opening):
            salt = unb64(opening["salt"])
            body["groups"] = {
                name: salted_digest(group_salt(salt, name), GROUP, canonical(value))
                for name, value in opening["groups"].items()
            }
        log.leaves[place] = BundledLeaf(body=canonical(body).decode(), opening=text)
        return self._cut(log)

    def _other_leaf(self) -> list[JSONObject | str]:
        """A leaf that says anything, or is closed, at the end of the log."""
        log = followed_log()
        event = self.chance.choice((*sorted(OPENED), "revoke", "request"))
        names = self.chance.sample(("envelope", "scope", "record", "reason"), self.chance.randint(0, 3))
        ticket = self.chance.choice(("cf_1", "cf_9", None))
        leaf = log.add(event, ticket, STATED, **{name: self.chance.choice(VALUES) for name in names})
        if self.chance.random() < 0.3:
            log.leaves[-1] = BundledLeaf(body=leaf.body, opening=None)
        return [page(log, 0, 20), page(log, 20)]

    def _changed_claims(self) -> list[JSONObject | str]:
        """Signed by the authority."""
        first, second = self._two()
        claims = {
            "iss": ISSUER,
            "checkpoint": digest("counterfoil-feed-checkpoint", second["checkpoint"].encode()),
            "iat": STATED,
        }
        header, payload = header_of(FEED_TYPE), canonical(claims).decode()
        if self.chance.random() < 0.7:
            payload = self.chance.choice(
                (canonical(changed_at_random(claims, self.chance)).decode(), self._changed(payload))
            )
        else:
            header = self._changed(header)
        return [first, second | {"statement": raw_token(header, payload)}]

    def _changed_note(self) -> list[JSONObject | str]:
        """Stated by the authority; half of them signed by the log."""
        first, second = self._two()
        body, gap, _ = second["checkpoint"].rpartition("\n\n")
        if self.chance.random() < 0.5:
            note = self._changed(second["checkpoint"])
        else:
            body = self._changed(body)
            signature = LOG_SIGNER.key.id + LOG_SIGNER.private.sign(f"{body}\n".encode())
            note = f"{body}{gap}— {LOG_SIGNER.key.name} {to_base64(signature)}\n"
        return [first, second | {"checkpoint": note, "statement": statement(note)}]

    def _cut(self, log: SeededLog) -> list[JSONObject | str]:
        """The whole of it on two pages."""
        cut = self.chance.randint(1, 20)
        return [page(log, 0, cut), page(log, cut)]


def _is_opening(value: Any) -> bool:
    """Whether digests can be made of it."""
    if not isinstance(value, dict) or not isinstance(value.get("groups"), dict):
        return False
    try:
        unb64(value["salt"])
    except (BadJSON, KeyError, TypeError):
        return False
    return True
