"""What must never be stored of a chat: secrets and payment numbers, cut out of a text before anybody keeps it.

Pure and deterministic, in time that grows with the length of the text: every pattern begins at the edge of a run of
its own characters or ends at most a bounded way on, so no run is gone through again and again. What is removed leaves a
mark that says what it was; marks are left alone by a second run.

It errs on the side of removing: a number that passes for a card's, or six digits that might be a match code, go. It
cannot know a secret that looks like words. Names of ours that are no secrets (tickets, conversations) stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

TOKEN = "[token removed]"
LINK = "[link secret removed]"
CODE = "[code removed]"
CARD = "[card number removed]"
IBAN = "[IBAN removed]"
PASSWORD = "[password removed]"
SECRET = "[secret removed]"

MARKS = (TOKEN, LINK, CODE, CARD, IBAN, PASSWORD, SECRET)
"""Everything that may stand in place of something."""

LONG = 32
"""Characters from which on a run of hex digits or base64 counts as a secret: 128 bits in hex."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
# Ours first, wherever they stand; then the header, and what looks like a token of some service.
_BEARER = re.compile(r"cfp_[A-Za-z0-9_-]{8,}")
_JWS = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*+){1,4}")
_HEADER = re.compile(r"(?i)(?<![a-z0-9])(bearer|basic)([ \t]{1,8})([a-z0-9._~+/-]{8,}+=*+)")
_SERVICE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|gh[a-z]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{10,}|A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,})"
)
_LINK = re.compile(r"(/(?:l|o|v|enrol)/)[A-Za-z0-9_-]{8,}")
_USER_INFO = re.compile(r"(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/@:]{0,100}:[^\s/@]{1,200}@")
_WORDS = (
    r"pass(?:word|wd|phrase|code)?|passwort|kennwort|mot de passe|contrase(?:ñ|n)a|pwd|pin|cvv2?|cvc2?|secret"
    r"|api[ _-]?key|(?:access|refresh|auth|id)[ _-]?token|client[ _-]?secret|private[ _-]?key"
)
_NAMED = re.compile(
    rf"(?i)(?<![a-z0-9])((?:{_WORDS})(?:[ \t](?:is|lautet|est))?[\"']?)([ \t]{{0,8}}[:=][ \t]{{0,8}}|[ \t]{{1,8}})"
)
_IS = re.compile(r"(?i)[ \t](?:is|lautet|est)[\"']?$")
_QUOTED = {quote: re.compile(rf"{quote}(?:\\.|[^{quote}\\\n])*+{quote}?") for quote in "\"'"}
_REST_OF_LINE = re.compile(r"[^\n]*")
_WORD = re.compile(r"[^\s\"'<>&]+")

_DIGITS = re.compile(r"(?<![\w])\d+(?:[ \-.\u00a0\u2009\u202f]{1,3}\d+)*+")
_GROUP = re.compile(r"\d+")
_SIX = re.compile(r"(?<![\w.,])\d{3}[ \-\u00a0\u2009\u202f]?\d{3}(?![\w]|[.,]\d)")
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ \-\u00a0]?[A-Za-z0-9])")
_RUN = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{LONG},}}+={{0,2}}")
_NAME_OF_OURS = re.compile(r"c[fv]_[a-z2-7]{32}")

CARD_LENGTHS = range(13, 20)
"""Digits of a payment card's number (ISO/IEC 7812)."""

IBAN_LENGTHS = range(15, 35)
"""Characters of an IBAN (ISO 13616): Norway's are the shortest."""


def redact(text: str) -> str:
    """``text`` without what must not be kept."""
    for step in _STEPS:
        text = step(text)
    return text


def removed(text: str) -> int:
    """How many marks stand in the text."""
    return sum(text.count(mark) for mark in MARKS)


def _named_values(text: str) -> str:
    """What follows the name of a secret: a quoted value; the rest of the line after a colon, since a passphrase has
    spaces; one word after an equals sign or ``is``."""
    kept: list[str] = []
    place = 0
    while (found := _NAMED.search(text, place)) is not None:
        end = _end_of_value(text, found)
        kept.append(text[place : found.end()])
        if end > found.end() and not text.startswith(MARKS, found.end()):
            kept.append(PASSWORD)
            place = end
        else:
            place = found.end()
    return "".join([*kept, text[place:]])


def _end_of_value(text: str, found: re.Match[str]) -> int:
    """Where the value after the name ends; where it begins if there is none."""
    start, sign = found.end(), found[2].strip()
    if not sign and _IS.search(found[1]) is None:
        return start  # "my password does not work"
    if start == len(text):
        return start
    if text[start] in _QUOTED and (quoted := _QUOTED[text[start]].match(text, start)) is not None:
        return quoted.end()
    value = (_REST_OF_LINE if sign == ":" and not found[1].endswith(('"', "'")) else _WORD).match(text, start)
    return value.end() if value is not None else start


def _header(found: re.Match[str]) -> str:
    value = found[3]
    if len(value) < 20 and not any(map(str.isdigit, value)):
        return found[0]  # "bearer certificates"
    return f"{found[1]}{found[2]}{TOKEN}"


def _cards(found: re.Match[str]) -> str:
    """Groups of digits that together pass for a card's number; whole groups only."""
    run = found[0]
    groups = [(group.start(), group.end()) for group in _GROUP.finditer(run)]
    sums = LuhnSums([int(character) for character in run if character.isdecimal()])
    counts = [0]
    for start, end in groups:
        counts.append(counts[-1] + end - start)
    kept: list[str] = []
    place = first = 0
    while first < len(groups):
        last = _last_of_card(counts, sums, first)
        if last is None:
            first += 1
            continue
        kept += [run[place : groups[first][0]], CARD]
        place, first = groups[last][1], last + 1
    return "".join([*kept, run[place:]])


def _last_of_card(counts: list[int], sums: LuhnSums, first: int) -> int | None:
    """The last of the groups from ``first`` on that make up a card's number, the longest one. ``counts``: of the digits
    before each group."""
    found = None
    for last in range(first, min(first + CARD_LENGTHS.stop, len(counts) - 1)):
        length = counts[last + 1] - counts[first]
        if length >= CARD_LENGTHS.stop:
            break
        if length in CARD_LENGTHS and sums.holds(counts[first], counts[last + 1]):
            found = last
    return found


class LuhnSums:
    """Answers for any stretch of ``digits`` whether its check digit is right (ISO/IEC 7812-1, annex B)."""

    def __init__(self, digits: list[int]) -> None:
        self._upto: tuple[list[int], list[int]] = ([0], [0])
        for place, digit in enumerate(digits):
            for parity, sums in enumerate(self._upto):
                sums.append(sums[-1] + (_DOUBLED[digit] if place % 2 == parity else digit))

    def holds(self, start: int, end: int) -> bool:
        """Of the digits from ``start`` on and before ``end``; the last but one of them is doubled."""
        sums = self._upto[end % 2]
        return (sums[end] - sums[start]) % 10 == 0


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _ibans(text: str) -> str:
    kept: list[str] = []
    place = 0
    for found in _IBAN_START.finditer(text):
        if found.start() < place:
            continue
        end = max(_ends_of_iban(text, found.start()), default=None)
        if end is not None:
            kept += [text[place : found.start()], IBAN]
            place = end
    return "".join([*kept, text[place:]])


def _ends_of_iban(text: str, start: int) -> Iterator[int]:
    """Where an IBAN that begins there could end: at the edge of a word, with the right check digits (ISO 7064,
    MOD 97-10: the first four characters are counted last)."""
    head, rest, length = 0, 0, 0
    for place in range(start, len(text)):
        character = text[place]
        if character.isascii() and character.isalnum():
            value, length = int(character, 36), length + 1
            shifted = (head if length <= 4 else rest) * (100 if value > 9 else 10) + value
            if length <= 4:
                head = shifted
            else:
                rest = shifted % 97
            if length in IBAN_LENGTHS and (rest * 1_000_000 + head) % 97 == 1 and _is_edge(text[place + 1 : place + 2]):
                yield place + 1
            if length == IBAN_LENGTHS.stop:
                return
        elif character not in _GAPS or text[place - 1] in _GAPS:
            return


_GAPS = " -\u00a0"


def _is_edge(following: str) -> bool:
    return not (following.isascii() and following.isalnum())


def _long_run(found: re.Match[str]) -> str:
    run = found[0]
    if _NAME_OF_OURS.fullmatch(run):
        return run
    plain = run.rstrip("=")
    digit, lower, upper = (any(map(test, plain)) for test in (str.isdigit, str.islower, str.isupper))
    joined = not any(sign in plain for sign in "/-_")
    secret = (lower and upper and digit) or (joined and digit)
    # A path or a title with dashes has words of one case, and is longer than its longest part.
    return SECRET if secret or _longest_part(plain) >= LONG else run


def _longest_part(run: str) -> int:
    """Of the parts between slashes, dashes and underscores that hold a digit, the length of the longest one."""
    return max((len(part) for part in re.split(r"[/_-]", run) if any(map(str.isdigit, part))), default=0)


def _replacing(pattern: re.Pattern[str], by: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    return lambda text: pattern.sub(by, text)


_STEPS: tuple[Callable[[str], str], ...] = (
    _replacing(_PRIVATE_KEY, SECRET),
    _replacing(_BEARER, TOKEN),
    _replacing(_JWS, TOKEN),
    _replacing(_LINK, rf"\g<1>{LINK}"),
    _replacing(_USER_INFO, rf"\g<1>{PASSWORD}@"),
    _named_values,
    _replacing(_HEADER, _header),
    _replacing(_SERVICE, TOKEN),
    _ibans,
    _replacing(_DIGITS, _cards),
    _replacing(_SIX, CODE),
    _replacing(_RUN, _long_run),
)
