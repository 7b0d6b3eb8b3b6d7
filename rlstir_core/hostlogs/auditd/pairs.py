"""The `key=value` pairs of a raw audit record's text, with quotes off and hex decoded.

Records of one type nearly always hold the same keys in the same order, so such a shape is learnt as one regular
expression, three times as fast as looking for pairs; both give the same. What does not belong here: the record's
head, msg='…', and interpreted output (`record.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rlstir_core.text import decoded

_SEEN_BEFORE = 30  # times that a shape is met before it is learnt: that costs as much as reading 500 records
_SHAPES_A_KIND = 6
_SHAPES = 64  # of a log; whoever writes keys of his own does not make us compile without end
_CANDIDATES = 1000
_KEYS = 48  # a longer record (EXECVE with many arguments) is not learnt

# a word without `=` is a pair with an empty value: so the pattern goes over any text once
_PAIR = re.compile(r'([^\s=]++)(?:=("[^"]*+"|\S*+)|)')
_WORD = re.compile(r'([^\s=]++)(?:(=)("[^"]*+"|\S*+)|)')
_HEX = re.compile(r"(?:[0-9A-F]{2})+").fullmatch
_ARGUMENT = re.compile(r"a[0-9]+").fullmatch

# What the kernel and libaudit write in hex when it holds a quote, a blank or a byte beyond ASCII.
_ESCAPED_WORDS = (
    "acct cgroup cmd comm cwd data device dir exe file grp invalid_context key name new-disk new_group ocomm old-disk "
    "path proctitle root_dir sw vm watch"
)
_ESCAPED = frozenset(_ESCAPED_WORDS.split())


@dataclass(slots=True)
class Odd:
    """What a record holds beside plain pairs."""

    words: list[str] = field(default_factory=list)  # that are no pairs
    repeated: list[tuple[str, str]] = field(default_factory=list)  # further values of a key
    encoded: dict[str, str] = field(default_factory=dict)  # the hex of values that are not UTF-8


@dataclass(slots=True)
class _Shape:
    match: re.Pattern[str]
    keys: tuple[str, ...]
    texts: tuple[str, ...]  # the keys whose values may be quoted or hex


class PairReader:
    """Reads pairs, and learns the shapes of one log."""

    def __init__(self) -> None:
        self._shapes: dict[str, list[_Shape]] = {}
        self._n_shapes = 0
        self._met: dict[tuple[str, tuple[str, ...]], int] = {}

    def read(self, kind: str, body: str) -> tuple[dict[str, str], Odd | None]:
        """The pairs of `body`, a record of type `kind`, and what else it holds. A key's first value counts."""
        for shape in self._shapes.get(kind, ()):
            match = shape.match.fullmatch(body)
            if match is not None:
                fields = dict(zip(shape.keys, match.groups(), strict=True))
                return fields, _clean(fields, shape.texts, kind) if shape.texts else None
        found = _PAIR.findall(body)
        fields = dict(found)
        odd = None
        if len(fields) != len(found) or "" in fields.values():
            fields, odd = _careful(body)
        elif self._n_shapes < _SHAPES and len(found) <= _KEYS:
            self._learn(kind, fields)
        unclean = _clean(fields, tuple(fields), kind)
        if odd is not None and unclean is not None:
            odd.encoded = unclean.encoded
        return fields, odd or unclean

    def _learn(self, kind: str, fields: dict[str, str]) -> None:
        seen = (kind, tuple(fields))
        n_met = self._met.get(seen, 0) + 1
        if n_met <= _SEEN_BEFORE:
            if len(self._met) < _CANDIDATES or n_met > 1:
                self._met[seen] = n_met
            return
        shapes = self._shapes.setdefault(kind, [])
        if len(shapes) >= _SHAPES_A_KIND:
            return
        texts = tuple(key for key, value in fields.items() if _is_text(key, kind) or value.startswith('"'))
        # atomic, so that a value ends here where it ends for `_PAIR`
        pattern = " ".join(
            re.escape(key) + ('=((?>"[^"]*+"|\\S*+))' if key in texts else '=((?!")\\S*+)') for key in fields
        )
        shapes.append(_Shape(re.compile(pattern + r"\s*"), tuple(fields), texts))
        self._n_shapes += 1


def _is_text(key: str, kind: str) -> bool:
    return key in _ESCAPED or (kind == "EXECVE" and _ARGUMENT(key) is not None)


def _clean(fields: dict[str, str], keys: tuple[str, ...], kind: str) -> Odd | None:
    """Takes quotes off and decodes hex, in place."""
    odd = None
    for key in keys:
        value = fields[key]
        if value[:1] == '"':
            # parts of a long argument stay as written until all are there
            if value[-1] == '"' and len(value) > 1 and "[" not in key:
                fields[key] = value[1:-1]
        elif _HEX(value) and _is_text(key, kind):
            raw = bytes.fromhex(value)
            try:
                fields[key] = raw.decode()
            except UnicodeDecodeError:
                odd = odd or Odd()
                odd.encoded[key] = value
                fields[key] = decoded(raw)
    return odd


def _careful(body: str) -> tuple[dict[str, str], Odd]:
    """Pairs of a text that also holds words, empty values or a key twice."""
    fields: dict[str, str] = {}
    odd = Odd()
    for match in _WORD.finditer(body):
        key, equals, value = match.groups()
        if not equals:
            odd.words.append(key)
        elif key in fields:
            odd.repeated.append((key, value))
        else:
            fields[key] = value
    return fields, odd
