"""The cells of a column as numbers, with what was taken for missing on the way, word by word.

What does not belong here: which columns are read as numbers (`columns.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlstir_core.errors import StoreError

AnyArray = np.ndarray[Any, Any]

# What pandas, R, SQL dumps and C libraries write for "no value", in any case
USUAL_NULLS = frozenset(
    [
        *("na", "n/a", "nan", "-nan", "null", "(null)", "none", "nil", "?", "<na>", "#na", "#n/a", "#n/a n/a", "\\n"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    ]
)
_INT64_MAX = 2**63 - 1
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_WORDS_NAMED = 20


@dataclass(kw_only=True)
class Cells:
    """A column of numbers, or (`values` is None) the text that stood in its way."""

    values: AnyArray | None  # int64 with -1 for missing where no value is negative, else float64 with NaN
    nulls: dict[str, int] = field(default_factory=dict)  # a word that was read as missing -> cells
    n_numbers: int = 0
    n_text: int = 0
    n_words: int = 0  # different texts
    text: str = ""  # one of them


def as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A text column as strings, whatever Arrow keeps them in; StoreError where they are not UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        raise StoreError(
            f"column {name!r} holds text that is not UTF-8; say its encoding in the mapping, such as cp1252"
        ) from None


def is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    raw = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(value) for test in (*tests, *raw))


def numbers(column: pa.ChunkedArray, nulls: tuple[str, ...] | None, decimal: str = ".") -> Cells:
    """The numbers of a column. `nulls` are the words for "no value"; the usual ones where it is None."""
    cells = _from_text(column, nulls, decimal) if is_text(column.type) else _from_typed(column)
    if cells.values is not None and nulls:
        _blank_numbers(cells, nulls)
    return cells


def _from_typed(column: pa.ChunkedArray) -> Cells:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int64()), pa.int64()
    if pa.types.is_null(kind):
        return Cells(values=np.full(len(column), np.nan))
    if pa.types.is_integer(kind):
        known = column.drop_null()
        if len(known) == 0 or (pc.min(known).as_py() >= 0 and pc.max(known).as_py() <= _INT64_MAX):
            return Cells(values=column.cast(pa.int64()).fill_null(-1).to_numpy())
    elif not pa.types.is_floating(kind) and not pa.types.is_decimal(kind):
        return Cells(values=None, n_text=len(column), text=str(column[0])[:60])
    return _finite(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64))


def _finite(values: AnyArray) -> Cells:
    infinite = np.isinf(values)
    nulls = {"inf": int(np.count_nonzero(infinite))} if infinite.any() else {}
    return Cells(values=np.where(infinite, np.nan, values), nulls=nulls)


def _from_text(column: pa.ChunkedArray, nulls: tuple[str, ...] | None, decimal: str) -> Cells:
    try:
        text = pc.utf8_trim_whitespace(as_text(column, ""))
    except StoreError:
        return Cells(values=None, n_text=len(column), text="text that is not UTF-8")
    known = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    whole = _cast(known, pa.int64())
    if whole is not None:  # the usual case, without a look at words
        return _from_typed(whole)
    words = pc.utf8_lower(known) if nulls is None else known
    listed = sorted(USUAL_NULLS) if nulls is None else sorted(nulls)
    is_null = pc.is_in(words, value_set=pa.array(listed, pa.string()))
    found = _counts(known.filter(is_null))
    known = pc.if_else(is_null, pa.scalar(None, pa.string()), known)
    if decimal != ".":
        known = pc.replace_substring(known, decimal, ".")
    known = pc.replace_substring_regex(known, r"^\+([0-9.])", r"\1")
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        values = _cast(known, kind)
        if values is not None:
            cells = _from_typed(values)
            cells.nulls = {**found, **cells.nulls}
            return cells
    numeric = pc.match_substring_regex(known, _NUMBER)
    n_numbers = pc.sum(numeric).as_py() or 0
    others = known.filter(pc.invert(numeric))
    first, n_words = str(others[0])[:60] if len(others) else "", pc.count_distinct(others).as_py()
    return Cells(values=None, nulls=found, n_numbers=n_numbers, n_text=len(others), n_words=n_words, text=first)


def _cast(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return text.cast(kind)
    except pa.ArrowException:
        return None


def _counts(words: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(words).to_pylist()
    pairs = sorted(((pair["values"], pair["counts"]) for pair in counted), key=lambda pair: (-pair[1], pair[0]))
    return dict(pairs[:_WORDS_NAMED])


def _blank_numbers(cells: Cells, nulls: tuple[str, ...]) -> None:
    """Numbers that the mapping lists as words for "no value", such as -9999, become missing."""
    assert cells.values is not None
    for word in nulls:
        try:
            number = float(word)
        except ValueError:
            continue
        hits = cells.values == number
        if cells.values.dtype.kind == "i":
            hits &= cells.values != -1
        if n := int(np.count_nonzero(hits)):
            cells.nulls[word] = cells.nulls.get(word, 0) + n
            cells.values = np.where(hits, -1 if cells.values.dtype.kind == "i" else np.nan, cells.values)
