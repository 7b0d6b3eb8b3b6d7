"""Which shapes share a template: words are told from parameters by how many values stand in one place.

Two shapes are compared where they have equally many columns. A place is a parameter where the same line, but for
that place, is seen with many values; how many is asked for depends on what stands there and before it. Shapes in
which several words vary at once are found by their rare words. What does not belong here: tokens and text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from operator import mul

from rlstir_core.hostlogs.templates.keys import (
    NAMING,
    TELLING,
    THINGS,
    Key,
    can_vary,
    closed,
    is_full_name,
    is_name,
    is_quoted,
    is_word,
)
from rlstir_core.hostlogs.templates.mask import PARAM
from rlstir_core.hostlogs.templates.spans import spans, widen

_MANY = 6  # values that make a place of words a parameter
_MANY_NAMES = 3  # the same, where all values look like names: `Foo$1`, `my_file`, `a.b`
_MANY_STATES = 12  # the same, where all are in capitals: states, not names
_MANY_FIRST = 10  # the same, at the line's beginning
_MANY_THINGS = 4  # the same, after a word that says what kind of thing is named
_ROUNDS = 4
_SPARSE = 5  # shapes that share a template with several words that vary
_MASKS = 64  # sets of parameter places that are tried a length
_BRACKETED = 6  # columns within brackets that other lines leave empty
_PRIME = (1 << 61) - 1
_PLACE = 0x9E3779B97F4A7C15 % _PRIME  # the golden ratio's bits: its powers, one a place, spread over all of the field


def group(keys: Sequence[Key]) -> list[Key]:
    """For every key its template's key: parameters in the places that vary. Depends on the set of keys alone.

    Parameters that stand side by side are one, so that a template's key may be shorter than those it covers.
    """
    now = {key: key for key in sorted(set(keys))}
    wide: set[Key] = set()  # templates in which a parameter takes more than one column

    hashes = _Hashes()

    def single_places(keys: list[Key]) -> dict[Key, Key]:
        return _single_places(keys, hashes)

    def apply(known: list[Key], made: dict[Key, Key], *, all_wide: bool = False) -> list[Key]:
        if not made:
            return known
        now.update({key: _follow(made, value) for key, value in now.items()})
        found = {_follow(made, key) for key in wide}
        found.update(new for key, new in made.items() if all_wide or len(new) < len(key))
        wide.clear()
        wide.update(found)
        return sorted(set(now.values()))

    known = sorted(now)
    for step in (_empty_brackets, _assigned, single_places, _sparse, _absorb, single_places):
        known = apply(known, step(known))
    known = apply(known, spans(known), all_wide=True)
    known = apply(known, single_places(known))
    known = apply(known, widen(known, wide))
    apply(known, _absorb(known))
    return [now[key] for key in keys]


def _follow(made: dict[Key, Key], key: Key) -> Key:
    if key not in made:
        return key
    for _ in range(4 * _ROUNDS):
        after = made.get(key, key)
        if after == key:
            return key
        key = after
    return key


def _single_places(keys: list[Key], hashes: _Hashes) -> dict[Key, Key]:
    """Places where many values stand in an otherwise equal line."""
    made: dict[Key, Key] = {}
    if keys == hashes.settled:
        return made
    for _ in range(_ROUNDS):
        contexts = _contexts(keys, hashes)
        places: dict[Key, set[int]] = defaultdict(set)
        for (i, _), values in contexts.items():
            if _varies(i, values):
                for key in values.values():
                    places[key].add(i)
        if not places:
            break
        after = []
        for key in keys:
            new = key
            if key in places:
                new = closed([PARAM if i in places[key] else value for i, value in enumerate(key)])
            if new != key:
                made[key] = new
            after.append(new)
        if after == keys:
            break
        keys = sorted(set(after))
    else:
        return {key: _follow(made, key) for key in made}
    hashes.settled = keys
    return {key: _follow(made, key) for key in made}


def _contexts(keys: list[Key], hashes: _Hashes) -> dict[tuple[int, int], dict[str, Key]]:
    """(place, hash of all else) -> value -> key, where more than one value stands in the place.

    A first pass over the hashes tells which are worth keeping, so that hostile logs take no memory.
    """
    seen: set[int] = set()
    again: set[int] = set()
    near = _near(keys)
    for key, columns in near:
        without = hashes[key][columns]
        again.update(seen.intersection(without))
        seen.update(without)
    found: dict[tuple[int, int], dict[str, Key]] = defaultdict(dict)
    if not again:
        return found
    for key, columns in near:
        without = hashes[key][columns]
        if again.isdisjoint(without):
            continue
        for i, (context, value) in enumerate(zip(without, key[columns], strict=True), columns.start):
            if context in again and (len(value) > 1 or value == PARAM or value.isalnum()):
                found[i, context][value] = key
    return {place: values for place, values in found.items() if len(values) > 1}


def _near(keys: list[Key]) -> list[tuple[Key, slice]]:
    """The keys that may differ from another in one column, and the columns where: the other half is equal."""
    halves = [(len(key), len(key) // 2) for key in keys]
    begun = [(n, key[:half]) for key, (n, half) in zip(keys, halves, strict=True)]
    ended = [(n, key[half:]) for key, (n, half) in zip(keys, halves, strict=True)]
    n_begun, n_ended = Counter(begun), Counter(ended)
    found = []
    for key, (n, half), one, two in zip(keys, halves, begun, ended, strict=True):
        start, stop = (0 if n_ended[two] > 1 else half), (n if n_begun[one] > 1 else half)
        if start < stop:
            found.append((key, slice(start, stop)))
    return found


class _Hashes(dict[Key, list[int]]):
    """Key -> for every column a hash of all other columns and their places.

    A place multiplies the hash of its value: added to it, as Python's hash of a pair nearly does, two values that
    change places would give what they gave before.
    """

    settled: Sequence[Key] = ()  # keys in which no place varies

    def __init__(self) -> None:
        super().__init__()
        self._places = [_PLACE]

    def __missing__(self, key: Key) -> list[int]:
        while len(self._places) < len(key):
            self._places.append(self._places[-1] * _PLACE % _PRIME)
        hashes = list(map(mul, map(hash, key), self._places))
        total = len(key) + sum(hashes)
        self[key] = made = [total - one for one in hashes]
        return made


def _varies(place: int, values: dict[str, Key]) -> bool:
    """Whether the values that stand in one place of an otherwise equal line are a parameter's."""
    one = next(iter(values.values()))
    if not any(is_word(value) for i, value in enumerate(one) if i != place):
        return False
    return PARAM in values or len(values) >= _needed(place, one, list(values))


def _needed(place: int, one: Key, values: list[str]) -> int:
    """How many values make a parameter of a place in a line like `one`."""
    if place == 0 or all(value.isupper() for value in values):
        return _MANY_STATES if place else _MANY_FIRST
    quoted = all(is_quoted(value) for value in values)
    if quoted and (_names_a_field(one, place) or all(" " in value for value in values)):
        return _MANY  # names of fields, sentences
    if quoted or one[place - 1] == "=":
        return 2
    # what the nearest word before says of the value
    word = next((one[i] for i in range(place - 1, -1, -1) if is_word(one[i]) or one[i] == PARAM), "").lower()
    telling = any(value.lower() in TELLING for value in values)
    if word in NAMING and not telling:
        return 2
    if all(is_name(value) for value in values):
        return _MANY_NAMES
    return _MANY_THINGS if word in THINGS and not telling else _MANY


def _sparse(keys: list[Key]) -> dict[Key, Key]:
    """Shapes that share their frequent words, and differ in several rare ones."""
    if len(keys) < _SPARSE:
        return {}
    by_length: dict[int, list[Key]] = defaultdict(list)
    for key in keys:
        by_length[len(key)].append(key)
    shared: dict[Key, list[Key]] = defaultdict(list)
    for alike in by_length.values():
        if len(alike) < _SPARSE:
            continue
        support: Counter[tuple[int, str]] = Counter()
        for key in alike:
            support.update(enumerate(key))
        for key in alike:
            frame = tuple(at[1] if support[at] >= _SPARSE or not can_vary(at[1]) else "" for at in enumerate(key))
            shared[frame].append(key)
    made: dict[Key, Key] = {}
    for frame, members in shared.items():
        if len(members) < _SPARSE:
            continue
        open_places = [i for i, value in enumerate(frame) if not value]
        words = sum(1 for value in frame if value and is_word(value))
        if not open_places or words < 2 or words < len(open_places):
            continue
        values = [{key[i] for key in members} for i in open_places]
        if any(len(each) < _SPARSE or all(value.isupper() for value in each) for each in values):
            continue
        new = closed([value or PARAM for value in frame])
        made.update(dict.fromkeys(members, new))
    return made


def _assigned(keys: list[Key]) -> dict[Key, Key]:
    """Values behind `=` or within quotes that vary, several at once, in otherwise equal lines."""
    frames: dict[Key, list[Key]] = defaultdict(list)
    for key in keys:
        open_places = set(_listed(key))
        if "=" in key or any(map(_stands_out, key)):
            open_places.update(
                i for i in range(1, len(key)) if (key[i - 1] == "=" or _stands_out(key[i])) and _is_value(key, i)
            )
        if open_places:
            frames[tuple("" if i in open_places else value for i, value in enumerate(key))].append(key)
    made = {}
    for frame, members in frames.items():
        if len(members) < 2 or not any(is_word(value) for value in frame):
            continue
        columns = [len(set(column)) > 1 for column in zip(*members, strict=True)]
        for key in members:
            made[key] = tuple(PARAM if varies else value for varies, value in zip(columns, key, strict=True))
    return made


def _empty_brackets(keys: list[Key]) -> dict[Key, Key]:
    """Brackets that are empty in some lines and hold something in others of the kind: `by ()` and `by (uid=0)`.

    One value in brackets has left the key with them, so that empty ones do the same where such a key is.
    """
    empty = {_around(key, i, i + 1) for key in keys for i in _opened(key) if key[i + 1 : i + 2] == (")",)}
    if not empty:
        return {}
    filled = {_around(key, i, end) for key in keys for i in _opened(key) if (end := _closed(key, i)) > i + 1} & empty
    without = {(i, key[0], key[i - 1 : i], len(key) - i + 1) for key in keys for i in range(1, len(key) + 1)}
    made = {}
    for key in keys:
        new: list[str] = []
        at = 0
        for i in _opened(key):
            end = _closed(key, i)
            around = _around(key, i, end)
            if end and around in filled:
                new += [*key[at : i + 1], PARAM]
                at = end
            elif end == i + 1 and around in without:
                new += key[at:i]
                at = end + 1
        if at:
            made[key] = (*new, *key[at:])
    return made


def _closed(key: Key, i: int) -> int:
    """Where the bracket that opens at `i` closes; 0 where that is far away."""
    end = next((j for j in range(i + 1, min(len(key), i + _BRACKETED + 2)) if key[j] in "()"), 0)
    return end if end and key[end] == ")" else 0


def _opened(key: Key) -> list[int]:
    return [i for i, value in enumerate(key) if value == "("]


def _around(key: Key, i: int, end: int) -> tuple[int, str, tuple[str, ...], int]:
    """What two lines with brackets in the same place share."""
    return i, key[0], key[i - 1 : i], len(key) - end


def _listed(key: Key) -> list[int]:
    """Words that are the values of a list of them: `, current: Absent, start: Staged`; its beginning is a sentence."""
    if "," not in key or key.count(":") < 2:
        return []
    found = [
        i
        for i in range(3, len(key))
        if key[i - 1] == ":"
        and is_word(key[i - 2])
        and key[i - 3] in ",;([{"
        and (i + 1 == len(key) or key[i + 1] in ",;)]}")
    ]
    return [i for i in found if can_vary(key[i]) and " " not in key[i]] if len(found) > 1 else []


@lru_cache(maxsize=1 << 14)
def _stands_out(value: str) -> bool:
    """Whether a value is quoted or may be a name with its packages."""
    return value[0] in "\"'" or value.count(".") > 1


def _is_value(key: Key, i: int) -> bool:
    """Whether one word stands behind `=`, or alone within quotes, or is a name with its packages."""
    value = key[i]
    if not can_vary(value) or " " in value:
        return False
    if is_full_name(value):
        return key[i + 1 : i + 2] not in (("=",), (":",), ("(",))
    return key[i - 1] == "=" or (is_quoted(value) and not _names_a_field(key, i))


def _names_a_field(key: Key, i: int) -> bool:
    """Whether a quoted word is a field's name, as in JSON."""
    return key[i + 1 : i + 2] == (":",)


def _absorb(keys: list[Key]) -> dict[Key, Key]:
    """A shape that another one covers, parameters standing where it has words."""
    lookup = Lookup(keys)
    made = {}
    for key in keys:
        cover = lookup.find(key)
        if cover is not None and cover != key:
            made[key] = cover
    return made


class Lookup:
    """Which of many templates' keys covers a key: the most frequent sets of parameter places are tried in turn."""

    def __init__(self, keys: Sequence[Key]) -> None:
        masks: dict[int, Counter[tuple[int, ...]]] = defaultdict(Counter)
        for key in keys:
            masks[len(key)][tuple(i for i, value in enumerate(key) if value == PARAM)] += 1
        self._masks = {
            length: sorted(counts, key=lambda mask: (len(mask), -counts[mask], mask))[:_MASKS]
            for length, counts in masks.items()
        }
        self._keys = set(keys)

    def find(self, key: Key) -> Key | None:
        """The most general key that covers `key` and shares a word with it."""
        best: Key | None = None
        here = {i for i, value in enumerate(key) if value == PARAM}
        for mask in self._masks.get(len(key), ()):
            if not here.issubset(mask):
                continue
            new = list(key)
            for i in mask:
                new[i] = PARAM
            cover = tuple(new)
            if cover in self._keys and any(is_word(value) for value in cover):
                best = cover
        return best
