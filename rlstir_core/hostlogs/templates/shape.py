"""A masked line as columns that can be compared: words, delimiters and parameters, lists folded to one parameter.

What does not belong here: which lines share a template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from rlstir_core.hostlogs.templates.mask import MARK, PARAM, SOFT, TRUTH, TYPE_OF, UNTYPED, words

_MARKS = f"{PARAM}-{max(TYPE_OF)}"
_PIECES = re.compile(
    r"""(\s*+)([^\s=:,;()\[\]{}"'|<>\\][^\s=:,;()\[\]{}"'|<>]*+|\\[0-7]{3}|"(?![\s,;:)\]}=])[^"]*"|"""
    r"""(?<![\w'])'[^'\s][^']{0,80}'(?!\w)|[^\s=:,;()\[\]{}"'|<>]++|\S)"""
)
# A quoted text that begins with a command: `"GET /a HTTP/1.1"`. Its words are compared one by one.
_COMMAND = re.compile(f"[\"'][A-Z]{{2,}} (?:/ |[^{_MARKS}]*[{_MARKS}])")
_WITHIN = re.compile(r"""(\s*)([^\s=:,;()\[\]{}"'|<>]+|\S)""")
_GLUED_LIST = re.compile(f"[{_MARKS}](?:[,;|][{_MARKS}])+")
_EDGES = "[](){}<>,;\"'"
_SIZES = words("B KB MB GB TB K M G T kB KiB MiB GiB TiB")
_TRUTH = words("true false True False TRUE FALSE")
_SPANS = words("ms us sec secs second seconds min mins minute minutes hour hours day days s m h")
_FOLDED = _SIZES | _SPANS
_JOINED = re.compile(f"[{_MARKS}]:[{_MARKS}]")
_BEGUN = re.compile(rf" \([{_MARKS}]|[^\s=:,;(){{}}]\{{")  # a value in brackets, an object
_OBJECT = 40  # columns that an object may take
_GLUED = 8  # columns that colons join to one
ANY_SIZE = chr(ord(PARAM) + 0xF0)  # a unit of size in a key: `KB` and `MB` are one
_UNITS = _SIZES | _SPANS | {ANY_SIZE, "%", "bytes", "byte"}
_DATES = words(
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun UTC GMT CST EST PST CET CEST "
    "EDT PDT MDT MST CDT BST IST JST"
)
BEHIND = (":", "{", "(")  # what begins that which may stand behind a piece


class Piece(NamedTuple):
    """One column of a line: its text as read (parameters typed), its key, and whether white space stands before it."""

    text: str
    key: str
    space: str
    behind: tuple[tuple[Piece, ...], ...] = ()  # what may stand behind it: `:80`, `{1f u0}`, ` (1.2 KB)`, in this order


class Shape(NamedTuple):
    """A line's pieces, and its folded keys: what two lines must share to be compared column by column."""

    pieces: tuple[Piece, ...]
    folded: tuple[Piece, ...]


def shape_of(tokens: Sequence[str], spaces: Sequence[str] | None) -> Shape:
    """The shape of a masked line; `spaces` are the runs of white space between tokens where one is not a blank."""
    tokens = _dates(tokens)
    pieces = _pieces(tokens, spaces)
    folded = _pieces(*_fold(tokens, spaces)) if _may_fold(tokens) else pieces
    compared, text = folded, " ".join(tokens)
    if _JOINED.search(text) or not _FOLDED.isdisjoint([piece.key for piece in folded]):
        compared = _units(compared)
    if _BEGUN.search(text):
        compared = _optional(compared)
    whole = tuple(pieces)
    return Shape(whole, whole if compared is pieces else tuple(compared))


def _pieces(tokens: Sequence[str], spaces: Sequence[str] | None) -> list[Piece]:
    if spaces is not None:
        return _split("".join(part for pair in zip(tokens, [*spaces, ""], strict=True) for part in pair))
    text = " ".join(tokens)
    if '"' in text or "'" in text:
        return _split(text)
    made = list(chain.from_iterable(map(_pieces_of, tokens)))
    if made:
        made[0] = Piece(made[0].text, made[0].key, "")
    return made


@lru_cache(maxsize=1 << 14)
def _pieces_of(token: str) -> tuple[Piece, ...]:
    """The pieces of one token without quotes, behind a blank."""
    return tuple(_split(" " + token))


def _split(text: str) -> list[Piece]:
    found = _PIECES.findall(text)
    if '"' not in text and "'" not in text:
        return [Piece(piece, key_of(piece), gap) for gap, piece in found]
    made: list[Piece] = []
    for gap, piece in found:
        if piece[0] in "\"'" and _COMMAND.match(piece):
            made.append(Piece(piece[0], piece[0], gap))
            words = ((space, MARK["path"] if word == "/" else word) for space, word in _WITHIN.findall(piece[1:-1]))
            made.extend(Piece(word, key_of(word), space) for space, word in words)
            made.append(Piece(piece[0], piece[0], ""))
        else:
            made.append(Piece(piece, key_of(piece), gap))
    return made


@lru_cache(maxsize=1 << 15)
def key_of(piece: str) -> str:
    """The piece with untyped parameters, and with truth values and words that end in a digit or two masked as well."""
    if piece in _TRUTH:
        return TRUTH
    key = piece if piece.isascii() else piece.translate(UNTYPED)
    if not any(map(str.isdigit, key)):
        return key
    return SOFT.sub(rf"\g<1>{PARAM}", key)


def _may_fold(tokens: Sequence[str]) -> bool:
    """Whether two parameters stand side by side, or a list within a token."""
    before = False
    for token in tokens:
        marked = not token.isascii()
        if marked and (before or _GLUED_LIST.search(token)):
            return True
        before = marked
    return False


def _fold(tokens: Sequence[str], spaces: Sequence[str] | None) -> tuple[list[str], list[str] | None]:
    """Runs of equal masked tokens (a list of addresses, a date) as one token, that keeps the first one's types."""
    made: list[str] = []
    gaps: list[str] = []
    before = ""
    for i, token in enumerate(tokens):
        folded, untyped = token, ""
        if not token.isascii():
            folded = _GLUED_LIST.sub(_first_of, token)
            core = folded.strip(_EDGES)
            untyped = core.translate(UNTYPED)
            if len(untyped) > 1:
                untyped = SOFT.sub(rf"\g<1>{PARAM}", untyped)  # `r01=` and `r02=`
        if untyped == before and PARAM in untyped and (folded[0] not in "([{<" or made[-1][0] == folded[0]):
            # the list goes on: what closed the item before falls away, what closes this one stays
            made[-1] = made[-1].rstrip(_EDGES) + folded[folded.index(core) + len(core) :]
            continue
        if made:
            gaps.append(spaces[i - 1] if spaces is not None else " ")
        made.append(folded)
        before = untyped
    return made, gaps


def _first_of(found: re.Match[str]) -> str:
    return found.group()[0]


def _dates(tokens: Sequence[str]) -> Sequence[str]:
    """Names of months and days masked where they belong to a date."""
    if _DATES.isdisjoint(token.strip(_EDGES) for token in tokens):
        return tokens
    made = []
    for i, token in enumerate(tokens):
        core = token.strip(_EDGES)
        made.append(token.replace(core, MARK["time"]) if core in _DATES and _dated(tokens, i) else token)
    return made


def _dated(tokens: Sequence[str], i: int) -> bool:
    """Whether a month's or a day's name stands beside a number or another such name."""
    for j in (i - 1, i + 1):
        if 0 <= j < len(tokens):
            other = tokens[j].strip(_EDGES)
            if other in _DATES or (len(other) == 1 and other in TYPE_OF):
                return True
    return False


def _units(pieces: list[Piece]) -> list[Piece]:
    """`4 KB` and `3 MB` have one key, `<1 sec` is a parameter like `00:01`, and parameters around a colon are one."""
    made: list[Piece] = []
    for i, piece in enumerate(pieces):
        before = pieces[i - 1].key if i else ""
        if piece.key == PARAM and before == ":" and not piece.space and _ends_with_parameter(made):
            colon = made.pop()  # `1.2.3.4:80` is what `1.2.3.4` is
            made[-1] = made[-1]._replace(behind=((*chain.from_iterable(made[-1].behind), colon, piece),))
        elif piece.key in _SIZES and before == PARAM:
            made.append(Piece(piece.text, ANY_SIZE, piece.space))
        elif piece.key in _SPANS and before == PARAM and len(made) > 1 and made[-2].key == "<":
            less = made[-2]
            del made[-2:]
            made.append(Piece(MARK["time"], PARAM, less.space))
        else:
            made.append(piece)
    return made


def _optional(pieces: list[Piece]) -> list[Piece]:
    """A value in brackets of its own, and what an object holds (`Window{1f u0 Bar}`), belong to the piece before.

    Lines with and without them are compared as one.
    """
    made: list[Piece] = []
    i = 0
    while i < len(pieces):
        end = _bracketed(pieces, i) if pieces[i].key == "(" else _object(pieces, i) if pieces[i].key == "{" else 0
        behind = made[-1].behind if made else ()
        if end and made and all(BEHIND.index(group[0].key) < BEHIND.index(pieces[i].key) for group in behind):
            made[-1] = made[-1]._replace(behind=(*behind, tuple(pieces[i:end])))
            i = end
        else:
            made.append(pieces[i])
            i += 1
    return made


def _bracketed(pieces: list[Piece], i: int) -> int:
    """Where a bracket that opens at `i` and holds one value, with its unit, has ended; 0 for any other."""
    if not pieces[i].space:
        return 0  # `call(1)`
    for end in range(i + 2, min(i + 5, len(pieces))):
        if pieces[end].key == ")":
            inner = [piece.key for piece in pieces[i + 1 : end]]
            valued = inner[0] == PARAM or (inner[0].endswith("%") and inner[0][0] == PARAM)
            return end + 1 if valued and _UNITS.issuperset(inner[1:]) else 0
    return 0


def without_empty(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Empty brackets belong to the piece before, as brackets with a value do."""
    made: list[Piece] = []
    for piece in pieces:
        if piece.key == ")" and len(made) > 1 and made[-1].key == "(":
            opened = made.pop()
            made[-1] = made[-1]._replace(behind=(*made[-1].behind, (opened, piece)))
        else:
            made.append(piece)
    return made


def _object(pieces: list[Piece], i: int) -> int:
    """Where the braces that open at `i`, right behind a name, close; 0 where they do not, or stand alone."""
    if pieces[i].space or not i or not pieces[i - 1].key[-1].isalnum():
        return 0
    depth = 0
    for end in range(i, min(i + _OBJECT, len(pieces))):
        depth += (pieces[end].key == "{") - (pieces[end].key == "}")
        if not depth:
            return end + 1
    return 0


def _ends_with_parameter(made: list[Piece]) -> bool:
    if len(made) < 2 or made[-2].key != PARAM or made[-1].space:
        return False
    return sum(map(len, made[-2].behind)) < _GLUED


def aligned(pieces: Sequence[Piece], key: Sequence[str]) -> tuple[Piece, ...]:
    """The pieces with one for each column of a key that covers them: a parameter may take several pieces."""
    made: list[Piece] = []
    at = 0
    for i, value in enumerate(key):
        end = at + 1
        if value == PARAM:
            # up to where the constants that follow are found
            after = list(key[i + 1 :])
            stop = after.index(PARAM) if PARAM in after else len(after)
            if at < len(pieces) and (key[i - 1 : i], pieces[at].key) == (("(",), ")"):
                end = at  # empty brackets
            elif stop == len(after):
                end = len(pieces) - stop
            else:
                wanted = after[:stop]
                while end < len(pieces) and [piece.key for piece in pieces[end : end + stop]] != wanted:
                    end += 1
        taken = pieces[at:end]
        if len(taken) == 1:
            made.append(taken[0])
        elif taken:
            made.append(Piece(MARK["text"], PARAM, taken[0].space, taken[-1].behind))
        else:
            made.append(Piece(MARK["text"], PARAM, ""))
        at = end
    return tuple(made)
