"""Strict JSON, one line at a time: the careful parser that decides wherever a fast path is not sure.

No NaN or Infinity, no duplicate keys, integers within int64, finite floats, UTF-8 without lone surrogates,
bounded nesting. In a damaged line every well-formed object still comes out, once and in order. What does not
belong here: which keys an object should have.
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass, field
from typing import Any

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
_SPACE = re.compile(r"[ \t\r\n]*")
_RESTARTS = 8  # places in one line where a lost record may begin again
_ITEM_WORK = 8  # a nested value costs as much time as so many characters
_ALL_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 1000  # int() refuses more than 4,300 digits


@dataclass(slots=True)
class JsonLine:
    """What one line held: objects, and the damaged stretches between them."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    n_damaged: int = 0
    fault: str = ""  # of the first stretch
    work: int = 0  # characters that the decoder went over, repeats included, and more for nested values

    def damage(self, why: str) -> None:
        self.n_damaged += 1
        self.fault = self.fault or why


class _Bad:
    """Stands for a value that strict JSON does not allow, so that the parser still finds where it ends."""

    def __init__(self, why: str) -> None:
        self.why = why


def parse_line(raw: bytes, nesting: int, most: int = sys.maxsize, most_work: int = sys.maxsize) -> JsonLine:
    """Every well-formed object in `raw`; a half object, a bad value or stray text is a damaged stretch.

    Reading ends after more than `most` of both, or after more work than `most_work`.
    """
    line = JsonLine()
    text = raw.decode("utf-8", "surrogateescape")
    long = len(raw) > 1000 and _LONG_NUMBER in raw.translate(_ALL_ZERO)
    decode = (_LONG_DECODER if long else _DECODER).raw_decode
    may_hold_surrogates = not text.isascii() or "\\u" in text
    at, restarts, lost = 0, 0, False
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if at >= len(text) or len(line.objects) + line.n_damaged > most or line.work > most_work:
            return line
        why = "not an object"
        try:
            value, end = decode(text, at)
        except RecursionError:
            value, end, why = None, len(text), "nesting is too deep"
        except json.JSONDecodeError as error:
            # an endless text was gone over to the end of the line, but its error names where it begins
            end = len(text) if error.msg.startswith("Unterminated") else error.pos
            value, why = None, "not JSON"
        line.work += end - at + _ITEM_WORK * sum(text.count(mark, at, end) for mark in "{[,")
        if isinstance(value, (dict, list, _Bad)):
            # the value's end is known, so that what follows can be read whatever is wrong inside
            why = _fault(value, nesting, may_hold_surrogates)
            if not why and isinstance(value, dict):
                line.objects.append(value)
            else:
                line.damage(why or "not an object")
            at, lost = end, False
            continue
        if not lost:
            line.damage(why)
        restarts += 1
        at = text.find("{", at + 1)
        lost = True
        if at < 0 or restarts > _RESTARTS:
            return line


def parse_object(raw: bytes, nesting: int) -> dict[str, Any] | str:
    """The one object that `raw` holds, or what is wrong with it."""
    line = parse_line(raw, nesting)
    if line.fault:
        return line.fault
    if len(line.objects) != 1:
        return f"{len(line.objects)} objects instead of one"
    return line.objects[0]


def _fault(value: object, nesting: int, may_hold_surrogates: bool) -> str:
    """What is wrong inside a decoded value; empty when nothing is."""
    if isinstance(value, _Bad):
        return value.why
    try:
        if why := _inside(value, nesting):
            return why
        if may_hold_surrogates:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        return "nesting is too deep"
    except UnicodeEncodeError:
        return "text that is not UTF-8"
    return ""


def _inside(value: object, depth: int) -> str:
    """Faults that the decoder's hooks cannot see: depth, and numbers in arrays."""
    if depth <= 0:
        return "nesting is too deep"
    if isinstance(value, dict):
        for item in value.values():
            if isinstance(item, (dict, list)) and (why := _inside(item, depth - 1)):
                return why
    elif isinstance(value, list):
        for item in value:
            if why := _inside(item, depth - 1) if isinstance(item, (dict, list)) else _value_fault(item):
                return why
    return ""


def _value_fault(value: object) -> str:
    if isinstance(value, _Bad):
        return value.why
    if isinstance(value, float):
        return "" if math.isfinite(value) else "a number that is not finite"
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return "an integer beyond int64"
    return ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Bad:
    found = dict(pairs)
    if len(found) != len(pairs):
        return _Bad("a duplicate key")
    for value in found.values():
        if type(value) is not str and (why := _value_fault(value)):
            return _Bad(why)
    return found


def _constant(_: str) -> _Bad:
    return _Bad("NaN or Infinity")


def _integer(digits: str) -> int | _Bad:
    return int(digits) if len(digits) <= 20 else _Bad("an integer beyond int64")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_LONG_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer)
