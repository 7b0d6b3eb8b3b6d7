"""Arrow columns as numpy: names as places in a list of distinct ones, numbers as floats with NaN where there is none.

Names stay bytes until they are shown: a million of them are compared, a few are printed. What does not belong here:
which column means what (`columns.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.errors import StoreError
from rlstir_core.text import decoded, plain, shown

_SHOWN = 60  # characters of a name in a sentence


class AuditNames:
    """Distinct names, as bytes in Arrow."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def of(self, code: int) -> str:
        """The name as one safe and short line."""
        return plain(decoded(self.values[int(code)].as_py()), _SHOWN)

    def all(self) -> tuple[str, ...]:
        return tuple(decoded(value) for value in self.values.to_pylist())

    def first(self, codes: Iterable[int], most: int) -> tuple[str, ...]:
        return tuple(self.of(code) for code, _ in zip(codes, range(most), strict=False))

    def places_in(self, others: AuditNames) -> Ints:
        """Where each stands among the others, -1 where it does not."""
        return _places(pc.index_in(self.values, value_set=others.values))


def names_of(column: Any, where: str) -> tuple[Ints, AuditNames]:
    """(place of each row's name, -1 where it has none; the names). StoreError where they are no names."""
    kind = column.type
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise StoreError(f"{where} holds values of type {kind}, not names; write it as text or whole numbers")
    if pa.types.is_dictionary(kind):
        chunked = column.unify_dictionaries() if column.num_chunks > 1 else column
        parts = chunked.chunks
        values = parts[0].dictionary if parts else pa.array([], kind.value_type)
        index_N = _joined([_places(part.indices) for part in parts])
    else:
        encoded = pc.dictionary_encode(_encodable(column))
        if encoded.num_chunks > 1:
            encoded = encoded.unify_dictionaries()
        parts = encoded.chunks
        values = parts[0].dictionary if parts else pa.array([], kind)
        index_N = _joined([_places(part.indices) for part in parts])
    again = pc.dictionary_encode(_as_bytes(values, where))  # two values may be one name, or none
    places_V, names = _places(again.indices), again.dictionary
    for empty in np.flatnonzero(_values(pc.binary_length(names), np.int32) == 0).tolist():
        places_V[places_V == empty] = -1
        places_V[places_V > empty] -= 1
        names = pa.concat_arrays([names[:empty], names[empty + 1 :]])
    return np.append(places_V, -1)[index_N], AuditNames(names)


def numbers_of(column: Any, where: str) -> Floats:
    """The values as floats; what is null or not finite is NaN. StoreError where they are no numbers."""
    kind = column.type
    try:
        if pa.types.is_duration(kind):
            ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
            value_N = _floats(pc.cast(column, pa.int64())) / ticks
        elif is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
            value_N = _floats(column)
        elif pa.types.is_timestamp(kind):
            value_N = _floats(pc.cast(column, pa.int64()))
        else:
            raise StoreError(f"{where} holds values of type {kind}, not numbers; write it as numbers")
    except pa.ArrowException as error:
        raise StoreError(f"{where} is no column of numbers ({shown(str(error))}); write it as numbers") from None
    if not np.isfinite(value_N).all():
        value_N = np.where(np.isfinite(value_N), value_N, np.nan)
    return value_N


def is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_name(kind: Any) -> bool:
    """True for a type whose values can tell things apart: texts, whole numbers, yes and no."""
    if pa.types.is_dictionary(kind):
        return is_name(kind.value_type)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    raw = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in (*texts, *raw, pa.types.is_integer, pa.types.is_boolean))


def _encodable(column: Any) -> Any:
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8())
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    return column


def _as_bytes(values: Any, where: str) -> Any:
    kind = values.type
    if pa.types.is_floating(kind):
        number_V = _floats(values)
        known_V = np.isfinite(number_V)
        if (number_V[known_V] != np.round(number_V[known_V])).any() or (np.abs(number_V[known_V]) > 2**53).any():
            odd = number_V[known_V & (number_V != np.round(number_V))][:1]
            raise StoreError(
                f"{where} holds numbers with fractions ({', '.join(f'{each:g}' for each in odd)}), which name nothing; "
                "write it as text or whole numbers"
            )
        whole = [int(each) if known else None for each, known in zip(number_V, known_V, strict=True)]
        values = pa.array(whole, pa.int64())
    elif pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_null(kind):
        return pa.array([None] * len(values), pa.binary())
    elif not is_name(kind):
        raise StoreError(f"{where} holds values of type {kind}, not names; write it as text or whole numbers")
    if pa.types.is_integer(values.type):
        values = values.cast(pa.string())
    return values.cast(pa.binary())


def _places(indices: Any) -> Ints:
    """Whole numbers, -1 where there is none."""
    place_N: Ints = _values(indices.cast(pa.int64()), np.int64).copy()
    place_N[_null(indices)] = -1
    return place_N


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _floats(column: Any) -> Floats:
    cast = pc.cast(column, pa.float64(), safe=False)
    parts = []
    for chunk in cast.chunks if isinstance(cast, pa.ChunkedArray) else [cast]:
        value_N: Floats = _values(chunk, np.float64)
        if chunk.null_count:
            value_N = np.where(_null(chunk), np.nan, value_N)
        parts.append(value_N)
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])


# Arrow's own ways to numpy, and its scalars, import pandas where that is installed: a third of a second


def _values(array: Any, kind: type[Any]) -> Any:
    """The values of an Arrow array of numbers, where they lie; what stands for a null may be anything."""
    if not len(array):
        return np.zeros(0, kind)
    whole = np.frombuffer(array.buffers()[1], kind)
    return whole[array.offset : array.offset + len(array)]


def _null(array: Any) -> Bools:
    """True where the value is null."""
    valid = array.buffers()[0]
    if valid is None or not array.null_count:
        return np.zeros(len(array), np.bool_)
    bit_N = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
    found: Bools = bit_N[array.offset : array.offset + len(array)] == 0
    return found
