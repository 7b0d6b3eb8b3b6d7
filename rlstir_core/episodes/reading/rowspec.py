"""The row of one source as the registry describes it, and three ways to decode many of them.

`regular` takes lines that all have the same integer keys in the same order, `typed` takes any lines that a
msgspec struct can hold; both prove that they saw exactly one clean record per line, and say None otherwise.
`careful` takes one object that strict JSON gave and says what is wrong with it. All three agree on every
record that they accept. What does not belong here: lines, chunks and counts (`jsonl.py`).
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rlstir_core.arrays import Floats, Ints
from rlstir_core.contract.registry import CLOCK_FIELDS, Source
from rlstir_core.episodes.reading.strict import INT64_MAX, INT64_MIN

_REGULAR_LINE = re.compile(rb'\{"[A-Za-z_]+": ?(?:, ?"[A-Za-z_]+": ?)*\}\n')
_KEY = re.compile(rb'"([A-Za-z_]+)"')
_DIGITS = b"0123456789"
_NEWLINE, _SPACE, _QUOTE, _COMMA, _ZERO, _COLON, _OPEN, _CLOSE = b'\n ",0:{}'
_COUNT = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
_BIG = float(2**63)


@dataclass(frozen=True)
class Block:
    """Decoded rows: the integer columns (clocks first) and the float columns, in the spec's order."""

    ints: Ints
    floats: Floats

    def __len__(self) -> int:
        return len(self.ints)


class RowSpec:
    """The typed columns of one source."""

    def __init__(self, source: Source, text_chars: int) -> None:
        fields = source.fields
        self.int_names = (*CLOCK_FIELDS, *(name for name, field in fields.items() if field.type == "int"))
        self.float_names = tuple(name for name, field in fields.items() if field.type == "float")
        self.ignored = frozenset(source.ignored) - set(fields)
        required = {*CLOCK_FIELDS, *(name for name, field in fields.items() if field.required)}
        self._required_ints = [i for i, name in enumerate(self.int_names) if name in required]
        self._required_floats = [i for i, name in enumerate(self.float_names) if name in required]
        self._text_chars = text_chars
        self._place = {name.encode(): i for i, name in enumerate(self.int_names)}
        self._decoder = msgspec.json.Decoder(self._struct())
        self._ints_of = _getter(f"i{i}" for i in range(len(self.int_names)))
        self._floats_of = _getter(f"f{i}" for i in range(len(self.float_names)))
        self._ignored_of = _getter(f"x{i}" for i in range(len(self.ignored)))

    def regular(self, chunk: bytes) -> Block | None:  # noqa: PLR0911
        """Rows of a chunk whose lines differ in nothing but their digits.

        Without its digits the chunk must be one line over and over. Then nothing but digits can stand between
        a colon and the comma or brace that follows; when all digits of the chunk stand there, at least one in
        each place, the values are exactly those digits.
        """
        head = chunk[: chunk.find(b"\n") + 1].translate(None, _DIGITS)
        if _REGULAR_LINE.fullmatch(head) is None:
            return None
        skeleton = chunk.translate(None, _DIGITS)
        n = len(skeleton) // len(head)
        if skeleton != head * n:
            return None
        keys = _KEY.findall(head)
        places = [self._place[key] for key in keys if key in self._place]
        if len(places) != len(keys) or len(set(keys)) != len(keys) or self._required_floats:
            return None
        if not set(self._required_ints) <= set(places):
            return None
        raw = np.frombuffer(chunk, dtype=np.uint8)
        marks = np.flatnonzero((raw == _COLON) | (raw == _COMMA) | (raw == _CLOSE))  # in turns, as in the skeleton
        start, end = marks[0::2] + 1, marks[1::2]
        if b": " in head:
            if head.count(b": ") != len(keys) or (raw[start] != _SPACE).any():
                return None
            start += 1
        if (end - start).sum() != len(chunk) - len(skeleton):
            return None
        values = _parse_digits(chunk, raw, start, end)
        if values is None:
            return None
        table = values.reshape(n, len(keys))
        if places != list(range(len(self.int_names))):
            full = np.full((n, len(self.int_names)), -1, dtype=np.int64)
            full[:, places] = table
            table = full
        return Block(table, np.full((n, len(self.float_names)), np.nan))

    def typed(self, chunk: bytes) -> Block | None:  # noqa: PLR0911
        """Rows of a chunk through a struct decoder, when counting proves one clean record per line.

        msgspec keeps the last of duplicate keys and does not look at line ends, hence: as many `}` and `{`
        as lines, each `}` at a line's end, and exactly the quotes that the keys and texts found need.
        """
        raw = np.frombuffer(chunk, dtype=np.uint8)
        closing = raw == _CLOSE
        n = int(np.count_nonzero(closing))
        if np.count_nonzero(closing[:-1] & (raw[1:] == _NEWLINE)) != n or np.count_nonzero(raw == _NEWLINE) != n:
            return None
        if np.count_nonzero(raw == _OPEN) != n or b"\\" in chunk or not chunk.isascii():
            return None
        try:
            rows = self._decoder.decode_lines(chunk)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if len(rows) != n:
            return None
        ints, int_keys = _int_table(rows, self._ints_of, len(self.int_names))
        floats, float_keys = _float_table(rows, self._floats_of, len(self.float_names))
        quotes = int_keys + float_keys
        if self.ignored:
            types = list(map(type, chain.from_iterable(map(self._ignored_of, rows))))
            quotes += len(types) - types.count(msgspec.UnsetType) + types.count(str)
        if np.count_nonzero(raw == _QUOTE) != 2 * quotes:
            return None
        if (ints[:, self._required_ints] < 0).any() or np.isnan(floats[:, self._required_floats]).any():
            return None
        # above 2**63 an integer literal and a float literal look the same here, and only the latter may pass
        if floats.size and (np.abs(floats) >= _BIG).any():
            return None
        return Block(ints, floats)

    def careful(self, record: dict[str, Any]) -> tuple[list[int], list[float]] | str:
        """The values of one strict object, or what is wrong with it; unknown keys are passed over."""
        ints, floats = [], []
        for name in self.int_names:
            value = record.get(name)
            if value is None:
                value = -1
            elif type(value) is not int or value < 0:
                return f"{name} is not a non-negative integer"
            ints.append(value)
        for name in self.float_names:
            value = record.get(name)
            if value is None:
                value = math.nan
            elif type(value) is not float and type(value) is not int:
                return f"{name} is not a number"
            floats.append(float(value))
        for index in self._required_ints:
            if ints[index] < 0:
                return f"{self.int_names[index]} is missing"
        for index in self._required_floats:
            if math.isnan(floats[index]):
                return f"{self.float_names[index]} is missing"
        for name in self.ignored:
            value = record.get(name)
            if isinstance(value, (bool, dict, list)) or (type(value) is str and len(value) > self._text_chars):
                return f"{name} is not a short text or a number"
        return ints, floats

    def block(self, ints: Sequence[list[int]], floats: Sequence[list[float]]) -> Block:
        """A block from rows that `careful` gave."""
        return Block(
            np.array(ints, dtype=np.int64).reshape(len(ints), len(self.int_names)),
            np.array(floats, dtype=np.float64).reshape(len(ints), len(self.float_names)),
        )

    def _struct(self) -> type[msgspec.Struct]:
        text = Annotated[str, msgspec.Meta(max_length=self._text_chars)]
        whole = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
        fields: list[tuple[str, Any, Any]] = []
        for index, name in enumerate(self.int_names):
            fields.append((f"i{index}", _COUNT | None, msgspec.field(default=-1, name=name)))
        for index, name in enumerate(self.float_names):
            fields.append((f"f{index}", float | None, msgspec.field(default=math.nan, name=name)))
        for index, name in enumerate(sorted(self.ignored)):
            kind = text | whole | None | msgspec.UnsetType
            fields.append((f"x{index}", kind, msgspec.field(default=msgspec.UNSET, name=name)))
        return msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)


def _parse_digits(chunk: bytes, raw: npt.NDArray[np.uint8], start: Ints, end: Ints) -> Ints | None:
    """The numbers whose digits stand from `start` to `end`; None where one is no int64 in JSON.

    Arrow turns texts into integers without making Python objects: the chunk is given to it as texts that lie
    end to end, every other one a number and those between null.
    """
    length = end - start
    if length.min() < 1 or ((raw[start] == _ZERO) & (length > 1)).any():
        return None
    n = 2 * len(start)
    offsets = np.zeros(n + 1, dtype=np.int32)
    offsets[1::2], offsets[2::2] = start, end
    valid = pa.py_buffer(b"\xaa" * (n // 8 + 1))
    texts = pa.Array.from_buffers(pa.string(), n, [valid, pa.py_buffer(offsets), pa.py_buffer(chunk)])
    try:
        numbers = texts.cast(pa.int64())
    except pa.ArrowInvalid:  # over int64
        return None
    values: Ints = np.frombuffer(numbers.buffers()[1], dtype=np.int64, count=n)[1::2]
    return values


def _getter(names: Iterable[str]) -> Any:
    """A function from a struct to a tuple of the named attributes, for any number of names."""
    wanted = list(names)
    if not wanted:
        return lambda _: ()
    get = operator.attrgetter(*wanted)
    return get if len(wanted) > 1 else lambda row: (get(row),)


def _int_table(rows: list[Any], get: Any, width: int) -> tuple[Ints, int]:
    """The integer columns, and how many keys were there."""
    values = chain.from_iterable(map(get, rows))
    nulls = 0
    try:
        flat = np.fromiter(values, dtype=np.int64, count=len(rows) * width)
    except TypeError:
        listed = list(chain.from_iterable(map(get, rows)))
        nulls = listed.count(None)
        flat = np.array([-1 if value is None else value for value in listed], dtype=np.int64)
    return flat.reshape(len(rows), width), int(np.count_nonzero(flat != -1)) + nulls


def _float_table(rows: list[Any], get: Any, width: int) -> tuple[Floats, int]:
    if not width:
        return np.empty((len(rows), 0)), 0
    listed = list(chain.from_iterable(map(get, rows)))
    nulls = listed.count(None)
    if nulls:
        listed = [math.nan if value is None else value for value in listed]
    flat = np.array(listed, dtype=np.float64)
    return flat.reshape(len(rows), width), int(np.count_nonzero(~np.isnan(flat))) + nulls


@functools.lru_cache(maxsize=64)
def _cached(name: str, encoded: bytes, text_chars: int) -> RowSpec:
    return RowSpec(msgspec.json.decode(encoded, type=Source), text_chars)


def row_spec(name: str, source: Source, text_chars: int) -> RowSpec:
    """The spec of a source; equal sources share one, since building its decoder costs a millisecond."""
    return _cached(name, msgspec.json.encode(source), text_chars)
