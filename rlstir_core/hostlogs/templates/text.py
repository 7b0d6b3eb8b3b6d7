"""Texts of templates: made from the lines that share one, and matched against a line to give its parameters.

What does not belong here: which lines share a template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rlstir_core.hostlogs.templates.keys import Key
from rlstir_core.hostlogs.templates.mask import PARAM, TRUTH, TYPE_OF
from rlstir_core.hostlogs.templates.shape import BEHIND, Piece, Shape, aligned, key_of, without_empty

ANY = "<*>"
_MARKED = re.compile(f"[{min(TYPE_OF)}-{max(TYPE_OF)}]")
_ALL_MARKS = frozenset((*TYPE_OF, PARAM, TRUTH))


def text_of(shapes: list[Shape], cover: Key) -> tuple[str, list[list[str]]]:
    """The text that all shapes of one template share, and the types seen at each of its parameters."""
    if len({len(shape.pieces) for shape in shapes}) == 1 and len({_brackets(shape) for shape in shapes}) == 1:
        rows = [shape.pieces for shape in shapes]
    else:
        compared = [shape.folded for shape in shapes]
        if "(" not in cover:
            compared = [tuple(without_empty(pieces)) for pieces in compared]
        same = len(set(map(len, compared))) == 1
        rows = compared if same else [aligned(pieces, cover) for pieces in compared]
    parts: list[str] = []  # constant text, and None's place is a parameter
    kinds: list[set[str]] = []
    for column in zip(*rows, strict=True):
        _column(column, parts, kinds)
        if any(piece.behind for piece in column):
            for begin in BEHIND:
                _behind([_group(piece, begin) for piece in column], parts, kinds)
    return "".join(parts), [sorted(kind) for kind in kinds]


def _group(piece: Piece, begin: str) -> tuple[Piece, ...]:
    return next((group for group in piece.behind if group[0].key == begin), ())


def _brackets(shape: Shape) -> tuple[tuple[int, str], ...]:
    """The columns behind which something stands that other lines may not have, and what it begins with."""
    if shape.folded is shape.pieces:
        return ()
    return tuple((i, group[0].key) for i, piece in enumerate(shape.folded) for group in piece.behind)


def _column(column: Sequence[Piece], parts: list[str], kinds: list[set[str]]) -> None:
    """What stands in one column of all lines of a template."""
    space = column[0].space
    if space:
        parts.append(space)
    texts = {piece.text for piece in column}
    if len(texts) == 1 and column[0].text.isascii():
        parts.append(column[0].text)
        return
    keys = {key_of(text) for text in texts}
    if len(texts) > 1 and len(keys) > 1:
        quote = _quote_of(texts)
        parts.extend(quote)
        _param(parts, kinds, {_kind_of(text.strip(quote) if quote else text) for text in texts})
        parts.extend(quote)
        return
    # words that end in a digit stay where the digit never varies
    pattern = next(iter(texts)) if len(texts) == 1 else next(iter(keys))
    columns = list(zip(*(_kinds_in(text, pattern) for text in sorted(texts)), strict=True))
    _spread(pattern, [set(each) for each in columns], parts, kinds)


def _behind(found: Sequence[tuple[Piece, ...]], parts: list[str], kinds: list[set[str]]) -> None:
    """What may stand behind a piece: written out where all lines have it, else a parameter that may be empty."""
    if not any(found):
        return
    if not all(found):
        _param(
            parts, kinds, {_kind_of(pieces[1].text) if 1 < len(pieces) < 4 else "text" for pieces in found if pieces}
        )
    elif len({len(pieces) for pieces in found}) == 1:
        for column in zip(*found, strict=True):
            _column(column, parts, kinds)
    else:
        parts.append(found[0][0].space + found[0][0].text)
        _param(parts, kinds, {"text"})
        parts.append(found[0][-1].text)


def _quote_of(texts: set[str]) -> str:
    """The quote that all values stand in, which is no part of the parameter; empty for none."""
    quote = next(iter(texts))[0]
    return quote if quote in "\"'" and all(len(text) > 1 and text[0] == text[-1] == quote for text in texts) else ""


def _spread(pattern: str, found: list[set[str]], parts: list[str], kinds: list[set[str]]) -> None:
    at = 0
    for character in pattern:
        if character in _ALL_MARKS:
            _param(parts, kinds, found[at])
            at += 1
        else:
            parts.append(character)


def _kinds_in(text: str, pattern: str) -> list[str]:
    """The types of a piece's parameters, as many as the pattern has; a masked digit of a word is a number."""
    n = sum(character in _ALL_MARKS for character in pattern)
    own = [TYPE_OF[character] for character in text if character in TYPE_OF]
    if len(own) < n and pattern in (PARAM, TRUTH):
        return ["word"]
    return own if len(own) == n else [*own, *["number"] * n][:n]


def _kind_of(text: str) -> str:
    """The type of a value that a parameter takes whole."""
    marks = _MARKED.findall(text)
    if not marks:
        return "word"
    return TYPE_OF[marks[0]] if len(text) == 1 else "id"


def _param(parts: list[str], kinds: list[set[str]], found: set[str]) -> None:
    """Another parameter; right behind one it is the same."""
    if parts and parts[-1] == ANY:
        kinds[-1] |= found
        return
    parts.append(ANY)
    kinds.append(set(found))


def parameters(text: str, message: str) -> list[str] | None:
    """What stands at each `<*>` of a template in a message, white space counted as one blank; None where it differs.

    Takes one pass: constants are looked for from the left, the last one at the end.
    """
    pieces = " ".join(text.split()).split(ANY)
    line = " ".join(message.split())
    if len(pieces) == 1:
        return [] if line == pieces[0] else None
    if not line.startswith(pieces[0]) or not line.endswith(pieces[-1]):
        return None
    at, end = len(pieces[0]), len(line) - len(pieces[-1])
    found = []
    for piece in pieces[1:-1]:
        where = line.find(piece, at, end)
        if where < 0:
            return None
        found.append(line[at:where])
        at = where + len(piece)
    return [*found, line[at:end]] if at <= end else None


def fill(text: str, values: Iterable[str]) -> str:
    """The message that a template and its parameters make."""
    left = iter(values)
    return re.sub(re.escape(ANY), lambda _: next(left), " ".join(text.split()))
