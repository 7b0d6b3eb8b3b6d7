"""Stretches of several words that are one parameter: names and texts between equal beginnings and ends.

What does not belong here: places of one word (`groups.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from rlstir_core.hostlogs.templates.keys import Key, can_vary, closed, is_word
from rlstir_core.hostlogs.templates.mask import PARAM

_FEW = 3  # texts that make a parameter of what stands in brackets, or behind `=`
_MANY = 6  # texts that make a parameter elsewhere
_SPAN = 6  # columns that a name or text may take
_SPAN_COLUMNS = 80  # longer lines are not searched for such
_CONTEXTS = 300_000  # places that are looked at in all
_COVERS = 200  # templates of such stretches that are compared with all others
_JOINING = frozenset([",", "-", "&", "+", "/"])
_PAIRS = frozenset({("[", "]"), ("(", ")"), ("{", "}"), ("<", ">")})

Ends = tuple[list[int], list[int]]  # hashes of a key's first columns, and of its last
Context = tuple[int, int, int]  # columns around a stretch, hash before it, hash behind it
TokenStretch = tuple[Context, int, int]  # with its begin and end


def spans(keys: list[Key]) -> dict[Key, Key]:
    """Stretches of one to some words that vary between equal beginnings and ends: names and texts of several words."""
    ends = {key: _ends(key) for key in keys if len(key) <= _SPAN_COLUMNS}
    # where one word is a parameter already, few texts of several words are enough
    known = {
        (len(key) - 1, heads[i], tails[len(key) - i - 1])
        for key, (heads, tails) in ends.items()
        if PARAM in key
        for i, value in enumerate(key)
        if value == PARAM
    }
    contexts = _shared(keys, ends)
    made: dict[Key, Key] = {}
    for context, found in sorted(contexts.items(), key=lambda item: -item[0][0]):
        fills = {fill for number, fill in found if keys[number] not in made}
        if len(fills) < _FEW or max(map(len, fills)) < 2:
            continue
        (number, fill), at = next(iter(found.items()))
        key = keys[number]
        end = at + len(fill)
        around = (key[at - 1] if at else "", key[end] if end < len(key) else "")
        titles = all(each[0][0].isupper() for each in fills)
        needed = _MANY if titles or end < len(key) else _MANY + 2
        if around in _PAIRS or around[0] == "=" or context in known:
            needed = _FEW
        if sum(map(is_word, key)) - sum(map(is_word, fill)) < 3 and around not in _PAIRS:
            needed *= 2
        if len(fills) < needed or all(all(map(str.isupper, each)) for each in fills):
            continue
        new = closed([*key[:at], PARAM, *key[end:]])
        for number, _fill in found:
            made.setdefault(keys[number], new)
    return made


def _shared(keys: list[Key], ends: dict[Key, Ends]) -> dict[Context, dict[tuple[int, Key], int]]:
    """Context -> (number of key, stretch) -> begin, where some keys share the context."""
    begun: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    for heads, tails in ends.values():
        begun.update(heads)
        ended.update(tails)
    few = {one for counts in (begun, ended) for one, n in counts.items() if n >= _FEW}
    seen: Counter[Context] = Counter()
    kept: dict[Key, list[TokenStretch]] = {}  # bounded like the contexts; others are looked for again
    n_kept = 0
    for key, each in ends.items():
        if len(seen) > _CONTEXTS:
            break
        stretches = list(_stretches(key, each, few))
        seen.update(context for context, _, _ in stretches)
        if n_kept < _CONTEXTS:
            kept[key] = stretches
            n_kept += len(stretches)
    contexts: dict[Context, dict[tuple[int, Key], int]] = defaultdict(dict)
    for number, key in enumerate(keys):
        if key in ends:
            for context, i, j in kept[key] if key in kept else _stretches(key, ends[key], few):
                if seen.get(context, 0) >= _FEW:
                    contexts[context][number, key[i:j]] = i
    return contexts


def widen(keys: list[Key], spanned: set[Key]) -> dict[Key, Key]:
    """Brings what a stretch's template covers, though parts of the stretch were parameters before, to that template.

    A parameter alone within brackets takes lists as well.
    """
    made: dict[Key, Key] = {}
    by_start: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        by_start[key[0] if key else ""].append(key)
    covers = [
        (key, at) for key in keys for at in range(1, len(key)) if key[at] == PARAM and _takes_more(key, at, spanned)
    ]
    for cover, at in covers[:_COVERS]:
        after = cover[at + 1 :]
        within = cover not in spanned
        if sum(map(is_word, cover)) < 1 + (cover[0] == PARAM):
            continue
        for key in keys if cover[0] == PARAM else by_start[cover[0]]:
            end = len(key) - len(after)
            if (
                key in made
                or not at + 1 < end <= at + 2 * _SPAN
                or not (_fits(key[end:], after) and _fits(key[:at], cover))
            ):
                continue
            if all(value == PARAM or _in_name(value) for value in key[at:end]) and ("," in key[at:end] or not within):
                made[key] = cover
    return made


def _fits(part: Key, cover: Key) -> bool:
    """Whether each column is the cover's, or a name where the cover has a parameter."""
    return all(
        value == wanted or (wanted == PARAM and _in_name(value)) for value, wanted in zip(part, cover, strict=False)
    )


def _takes_more(key: Key, at: int, spanned: set[Key]) -> bool:
    return key in spanned or key[at - 1 : at + 2] == ("[", PARAM, "]")


def _ends(key: Key) -> Ends:
    """Hashes of the first n columns, and of the last n, for every n."""
    heads, tails = [0], [0]
    for value in key:
        heads.append(hash((heads[-1], value)))
    for value in reversed(key):
        tails.append(hash((tails[-1], value)))
    return heads, tails


def _stretches(key: Key, ends: Ends, few: set[int]) -> Iterator[TokenStretch]:
    """((columns around it, hash before it, hash behind it), begin, end) of every stretch that may be a name or text.

    What stands before and behind it is among `few`: that of some other lines.
    """
    heads, tails = ends
    words = [0]
    for value in key:
        words.append(words[-1] + is_word(value))
    named = [_in_name(value) for value in key]
    for i in range(len(key)):
        if heads[i] not in few or not named[i] or key[i] in _JOINING:
            continue
        for j in range(i + 1, min(len(key), i + _SPAN) + 1):
            if not named[j - 1]:
                break
            if tails[len(key) - j] in few and key[j - 1] not in _JOINING and words[i] + words[-1] - words[j] >= 2:
                yield (len(key) - j + i, heads[i], tails[len(key) - j]), i, j


def _in_name(value: str) -> bool:
    return value in _JOINING or (value[0] not in "\"'" and can_vary(value))
