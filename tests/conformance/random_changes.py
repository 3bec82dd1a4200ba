"""JSON values that were changed at one place, by chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from counterfoil.canonical import canonical, parse_strict


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def changed_at_random(value: Any, chance: random.Random) -> Any:
    """A copy with one place changed: another character, number, element or type."""
    copy: Any = parse_strict(canonical(value))
    *path, last = chance.choice([path for path in places(copy) if path])
    holder = copy
    for key in path:
        holder = holder[key]
    item = holder[last]
    if isinstance(item, str) and item and chance.random() < 0.9:
        at, new = chance.randrange(len(item)), chance.choice('0123456789abcdefAZ_-="{}[]:, \\né\u202e')
        holder[last] = item[:at] + new + item[at + chance.choice((0, 1, 1, 1)) :]
    elif isinstance(item, list) and item and chance.random() < 0.9:
        chance.choice((item.reverse, lambda: item.append(item[0]), item.pop))()
    elif isinstance(item, int) and chance.random() < 0.9:
        holder[last] = item + chance.choice((-1, 1))
    else:
        holder[last] = chance.choice((None, "", 0, [], {}, True))
    return copy
