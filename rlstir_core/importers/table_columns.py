"""The columns of a foreign table under a mapping: keys, phases, times and channels, checked.

What does not belong here: how rows become episodes (`tables.py`).
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlstir_core.contract.registry import CLOCK_FIELDS
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.ids import fold, slug
from rlstir_core.importers.table_mapping import ChannelRule, KeyRule, Mapping

AnyArray = np.ndarray[Any, Any]

_NS = 1_000_000_000
_PLAUSIBLE_NS = (946_684_800 * _NS, 4_102_444_800 * _NS)
_UNIT_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": _NS}
_INT64_MAX = 2**63 - 1


@dataclass
class TableChannel:
    """One column of the table, ready for its source."""

    column: str
    name: str
    rule: ChannelRule
    values: AnyArray


def channel_columns(table: pa.Table, rules: Mapping) -> tuple[list[TableChannel], list[str]]:
    """The mapped numeric columns; a glob passes over text columns, a plain name does not."""
    taken = rules.key_columns | {rules.time.column, rules.time.order} - {""}
    channels: list[TableChannel] = []
    skipped = []
    for column in table.column_names:
        if column in taken:
            continue
        rule, exact = _rule_for(column, rules)
        if rule is None:
            skipped.append(column)
            continue
        values = _numbers(table.column(column))
        if values is None:
            if exact:
                raise StoreError(f"column {column!r} is mapped as a channel but holds text; unmap it or mend it")
            skipped.append(column)
            continue
        if not any_known(values):
            skipped.append(column)
            continue
        channels.append(TableChannel(column, slug(column, "column"), rule, values))
    for rule in rules.channels:
        for name in rule.columns:
            if not _is_glob(name) and name not in table.column_names:
                raise ConfigError(f"the mapping wants column {name!r}, which the table lacks; {_has(table)}")
    if not channels:
        raise StoreError(f"no column of the table is a numeric channel of the mapping; {_has(table)}")
    _check_names(channels)
    return channels, skipped


def _check_names(channels: list[TableChannel]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for channel in channels:
        if channel.name in CLOCK_FIELDS or channel.name == "rows":
            raise StoreError(f"column {channel.column!r} has a name that the store uses itself; rename it")
        place = (channel.rule.source, fold(channel.name))
        if place in seen:
            raise StoreError(f"columns {seen[place]!r} and {channel.column!r} both become {channel.name!r}; rename one")
        seen[place] = channel.column


def _rule_for(column: str, rules: Mapping) -> tuple[ChannelRule | None, bool]:
    """The first rule that matches, and whether by the column's own name."""
    for rule in rules.channels:
        if any(fnmatch.fnmatchcase(column, pattern) for pattern in rule.exclude):
            continue
        if column in rule.columns:
            return rule, True
        if any(fnmatch.fnmatchcase(column, pattern) for pattern in rule.columns if _is_glob(pattern)):
            return rule, False
    return None, False


def _numbers(column: pa.ChunkedArray) -> AnyArray | None:
    """Int64 with -1 for missing where no value is negative, else float64 with NaN; None for text."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int64()), pa.int64()
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_integer(kind):
        known = column.drop_null()
        if len(known) == 0 or (pc.min(known).as_py() >= 0 and pc.max(known).as_py() <= _INT64_MAX):
            whole: AnyArray = column.cast(pa.int64()).fill_null(-1).to_numpy()
            return whole
    elif not pa.types.is_floating(kind) and not pa.types.is_decimal(kind):
        return None
    values: AnyArray = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def key_column(table: pa.Table, source: KeyRule, what: str) -> list[str]:
    """The text of a key in every row."""
    if not source.column:
        return [source.constant] * table.num_rows
    values = [None if v is None else str(v) for v in table.column(source.column).to_pylist()]
    if source.default:
        return [v or source.default for v in values]
    for number, value in enumerate(values, 2):
        if not value:
            raise StoreError(f"column {source.column!r} ({what}) is empty in line {number}; fill it or give a default")
    return [v for v in values if v]


def phase_column(table: pa.Table, rules: Mapping) -> list[str | None]:
    labels = rules.labels
    if not labels.column:
        return [slug(labels.constant)] * table.num_rows
    raw = [None if v is None else str(v) for v in table.column(labels.column).to_pylist()]
    names: dict[str, str] = {}
    for value in sorted({v for v in raw if v}):
        phase = str(labels.names.get(value, slug(value, "phase")))
        if value not in labels.names and fold(phase) in {fold(p) for v, p in names.items() if v not in labels.names}:
            raise ConfigError(f"two labels become phase {phase!r}, one is {value!r}; use [labels.names]")
        names[value] = phase
    return [names[v] if v else None for v in raw]


def time_column(table: pa.Table, rules: Mapping) -> AnyArray | None:
    """Times in nanoseconds where the table has a column of them."""
    time = rules.time
    if not time.column:
        return None
    column = table.column(time.column)
    if column.null_count:
        raise StoreError(f"time column {time.column!r} is empty in {column.null_count} rows; fill it")
    if time.unit == "iso" or pa.types.is_timestamp(column.type):
        times = _dates(column, time.column)
    elif pa.types.is_integer(column.type):
        times = column.cast(pa.int64()).to_numpy() * _UNIT_NS[time.unit]
    elif pa.types.is_floating(column.type):
        times = np.round(column.to_numpy() * _UNIT_NS[time.unit]).astype(np.int64)
    else:
        raise StoreError(f"time column {time.column!r} holds {column.type}; set unit = 'iso'")
    low, high = _PLAUSIBLE_NS
    if time.since == "epoch" and not (low <= times.min() and times.max() < high):
        raise StoreError(
            f"time column {time.column!r} in {time.unit!r} gives {int(times.min())} ns, not 2000 to 2100; "
            "correct the unit, or set since = 'start'"
        )
    result: AnyArray = times.astype(np.int64)
    return result


def _dates(column: pa.ChunkedArray, name: str) -> AnyArray:
    """ISO dates as nanoseconds; a date without a zone is UTC."""
    for kind in (pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            dates: AnyArray = column.cast(kind).cast(pa.int64()).to_numpy()
        except pa.ArrowException:
            continue
        return dates
    raise StoreError(f"time column {name!r} holds {str(column[0])[:60]!r}, no ISO date; change the unit")


def order_column(table: pa.Table, rules: Mapping) -> AnyArray | None:
    if not rules.time.order:
        return None
    values = _numbers(table.column(rules.time.order))
    if values is None:
        raise StoreError(f"[time] order column {rules.time.order!r} holds text; name a numeric column")
    return values


def require_columns(table: pa.Table, rules: Mapping) -> None:
    for column in sorted((rules.key_columns | {rules.time.column, rules.time.order}) - {""}):
        if column not in table.column_names:
            raise ConfigError(f"the mapping wants column {column!r}, which the table lacks; {_has(table)}")


def _has(table: pa.Table) -> str:
    return f"it has {', '.join(table.column_names)}"[:300]


def any_known(values: AnyArray) -> bool:
    return bool((values != -1).any() if values.dtype.kind == "i" else (~np.isnan(values)).any())


def _is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")
