"""The time column of a table in nanoseconds, checked before anything is multiplied.

What does not belong here: tables without a time column, whose rows are a fixed step apart (`runs.py`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlstir_core.errors import StoreError
from rlstir_core.importers.table.mapping import Mapping
from rlstir_core.importers.table.numbers import AnyArray, as_text, is_text

NS = 1_000_000_000
YEAR_NS = 366 * 86_400 * NS
_PLAUSIBLE_S = (946_684_800, 4_102_444_800)  # 2000 to 2100
_UNITS = {"s": NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_LONGEST_YEARS = 200  # inside int64, and past every time that is plausible


def time_column(table: pa.Table, rules: Mapping) -> AnyArray | None:
    """Times in nanoseconds where the table has a column of them."""
    time = rules.time
    if not time.column:
        return None
    column = table.column(time.column)
    if is_text(column.type):
        column = pc.utf8_trim_whitespace(as_text(column, time.column))
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if column.null_count:
        raise StoreError(f"time column {time.column!r} is empty in {column.null_count} rows; fill it")
    if time.unit == "iso" or pa.types.is_timestamp(column.type):
        return _dates(column, time.column)
    return _counted(_numeric(column, rules), rules)


def _numeric(column: pa.ChunkedArray, rules: Mapping) -> pa.ChunkedArray:
    """The column as int64 where all of it is whole, else as floats."""
    name, kind = rules.time.column, column.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise StoreError(f"time column {name!r} holds {kind}; set unit = 'iso'")
    if is_text(kind) and rules.decimal != ".":
        column = pc.replace_substring(column, rules.decimal, ".")
    for wanted in (pa.int64(), pa.float64()):
        try:
            return column.cast(wanted, safe=wanted == pa.int64())  # a large whole number may lose digits
        except pa.ArrowException:
            continue
    bad = next((text for text in column.to_pylist() if _float(text) is None), "")
    raise StoreError(f"time column {name!r} holds {str(bad)[:60]!r}, which is no number; for dates set unit = 'iso'")


def _float(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _counted(column: pa.ChunkedArray, rules: Mapping) -> AnyArray:
    time, unit = rules.time, _UNITS[rules.time.unit]
    values: AnyArray = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise StoreError(f"time column {time.column!r} holds a value that is no finite number; mend it")
    low, high = values.min(), values.max()
    fits = epoch_unit(low, high)
    if time.since == "epoch" and fits != time.unit:
        if fits:
            raise StoreError(
                f"time column {time.column!r} holds {_NAMES[fits]} since 1970 (such as {values[0]}), the mapping says "
                f"{time.unit!r}; set unit = {fits!r}"
            )
        raise StoreError(
            f"time column {time.column!r} in {time.unit!r} reaches from {low} to {high}, which is not 2000 to 2100; "
            "correct the unit, or set since = 'start'"
        )
    if max(abs(float(low)), abs(float(high))) * unit >= _LONGEST_YEARS * YEAR_NS:
        remedy = f"it holds {_NAMES[fits]} since 1970, so set unit = {fits!r}" if fits else "correct the unit"
        raise StoreError(
            f"time column {time.column!r} in {time.unit!r} reaches {high}, over {_LONGEST_YEARS} years; {remedy}"
        )
    if values.dtype.kind == "i":
        return values * unit
    whole = np.floor(values)  # apart, because a float has no room for nanoseconds since 1970
    times: AnyArray = whole.astype(np.int64) * unit + np.round((values - whole) * unit).astype(np.int64)
    return times


def epoch_unit(low: float, high: float) -> str:
    """The unit in which both numbers are times since 1970 in the years 2000 to 2100; empty where there is none."""
    for name, ns in _UNITS.items():
        per_second = NS // ns
        first, last = (second * per_second for second in _PLAUSIBLE_S)
        if first <= low and high < last:
            return name
    return ""


def smaller_unit(unit: str, span_ns: int, most_ns: int) -> str:
    """The largest unit below `unit` in which a span becomes at most `most_ns`; empty where none does."""
    below = list(_UNITS)[list(_UNITS).index(unit) + 1 :] if unit in _UNITS else []
    return next((name for name in below if span_ns * _UNITS[name] // _UNITS[unit] <= most_ns), "")


def _dates(column: pa.ChunkedArray, name: str) -> AnyArray:
    """ISO dates as nanoseconds; a date without a zone is UTC."""
    for kind in (pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            dates: AnyArray = column.cast(kind).cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowException:
            continue
        low, high = int(dates.min()), int(dates.max())
        if epoch_unit(low, high) != "ns":
            raise StoreError(
                f"time column {name!r} reaches from {column[int(dates.argmin())]} to {column[int(dates.argmax())]}, "
                "which is not 2000 to 2100; correct the dates"
            )
        return dates
    first = str(column[0])
    number = _float(first)
    unit = epoch_unit(number, number) if number is not None else ""
    remedy = f"it looks like {_NAMES[unit]} since 1970, so set unit = {unit!r}" if unit else "write dates as ISO 8601"
    bad = next((text for text in map(str, column.to_pylist()) if not text[:4].isdecimal()), first)
    raise StoreError(f"time column {name!r} holds {bad[:60]!r}, no ISO date; {remedy}")


def without_zone(table: pa.Table, rules: Mapping) -> bool:
    """Whether dates were read as UTC because they name no zone themselves."""
    if not rules.time.column:
        return False
    column = table.column(rules.time.column)
    if pa.types.is_timestamp(column.type):
        return column.type.tz is None
    if rules.time.unit != "iso":
        return False
    try:
        pc.utf8_trim_whitespace(as_text(column, rules.time.column)).cast(pa.timestamp("ns"))
    except (pa.ArrowException, StoreError):
        return False
    return True
