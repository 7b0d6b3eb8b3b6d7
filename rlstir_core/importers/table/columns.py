"""The columns of a foreign table under a mapping: keys, phases and channels, checked.

Words such as `None` or `NA` are data in key and label columns: only an empty cell (or a null of Parquet) is empty
there. What does not belong here: times (`times.py`) and how rows become episodes (`runs.py`).
"""

from __future__ import annotations

import fnmatch
import math
import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from rlstir_core.contract.registry import CLOCK_FIELDS
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.ids import SafeName, fold, slug
from rlstir_core.importers.table.clocks import is_row_number
from rlstir_core.importers.table.mapping import ChannelRule, KeyRule, Mapping
from rlstir_core.importers.table.numbers import AnyArray, Cells, as_text, is_text, numbers

_FEW_WORDS = 3  # beside numbers: words for missing values rather than texts
_MINUS = re.compile(r"^\s*-(?=\.?\d)")


@dataclass
class TableChannel:
    """One column of the table, ready for its source."""

    column: str
    name: str
    rule: ChannelRule
    values: AnyArray


@dataclass(frozen=True)
class OddColumn:
    """A column that was left out because some of its cells are no numbers, though others are."""

    n_numbers: int
    n_text: int
    text: str  # one of the others

    @property
    def what(self) -> str:
        return f"{self.n_text} of {self.n_text + self.n_numbers} cells are no numbers, such as {self.text!r}"


@dataclass
class Channels:
    """The channels of a table, and what became of its other columns and cells."""

    found: list[TableChannel] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    index: list[str] = field(default_factory=list)  # row numbers, left out
    odd: dict[str, OddColumn] = field(default_factory=dict)
    nulls: dict[str, dict[str, int]] = field(default_factory=dict)  # column -> word read as missing -> cells
    assumed: dict[str, dict[str, int]] = field(default_factory=dict)  # those of them that the mapping does not list


def channel_columns(table: pa.Table, rules: Mapping, index_columns: tuple[str, ...] = ()) -> Channels:
    """The mapped numeric columns; a glob passes over text columns and row numbers, a plain name does not."""
    taken = rules.key_columns | {rules.time.column, rules.time.order} - {""}
    made = Channels()
    for place, column in enumerate(table.column_names):
        if column in taken:
            continue
        rule, exact = _rule_for(column, rules)
        if rule is None:
            made.skipped.append(column)
            continue
        declared = rules.nulls if rule.nulls is None else rule.nulls
        cells = numbers(table.column(column), declared, rules.decimal)
        if not exact and (column in index_columns or is_row_number(column, place, cells.values)):
            made.index.append(column)
            continue
        _add(made, column, rule, exact, cells, declared)
    for rule in rules.channels:
        for name in rule.columns:
            if not _is_glob(name) and name not in table.column_names:
                raise ConfigError(f"the mapping wants column {name!r}, which the table lacks; {_has(table)}")
    if not made.found:
        odd = "".join(f"; in {name!r} {it.what}" for name, it in list(made.odd.items())[:3])
        raise StoreError(f"no column of the table is a numeric channel of the mapping{odd}; {_has(table)}")
    _check_names(made.found)
    return made


def _add(
    made: Channels, column: str, rule: ChannelRule, exact: bool, cells: Cells, declared: tuple[str, ...] | None
) -> None:
    if cells.values is None:
        if exact:
            raise StoreError(
                f"column {column!r} is mapped as a channel but holds text such as {cells.text!r}; unmap it or mend it, "
                "or list words for missing values under nulls"
            )
        made.skipped.append(column)
        if cells.n_numbers and (cells.n_numbers >= cells.n_text or cells.n_words <= _FEW_WORDS):
            made.odd[column] = OddColumn(cells.n_numbers, cells.n_text, cells.text)
        return
    if cells.nulls:
        made.nulls[column] = cells.nulls
        if assumed := {word: n for word, n in cells.nulls.items() if word not in (declared or ())}:
            made.assumed[column] = assumed
    if any_known(cells.values):
        made.found.append(TableChannel(column, slug(column, "column"), rule, cells.values))
    else:
        made.skipped.append(column)


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


def _texts(table: pa.Table, name: str) -> list[str | None]:
    """The cells of a key or label column as they stand; None for an empty one and for a null."""
    column = table.column(name)
    if is_text(column.type):
        column = as_text(column, name)
    found: list[str | None] = []
    for value in column.to_pylist():
        if value is None or (isinstance(value, float) and math.isnan(value)):
            found.append(None)
        else:
            text = str(value)
            found.append(text if text.strip() else None)
    return found


def key_column(table: pa.Table, source: KeyRule, what: str) -> list[str]:
    """The text of a key in every row; two values never become one name."""
    if not source.column:
        return [source.constant] * table.num_rows
    values = _texts(table, source.column)
    if source.default:
        values = [v or source.default for v in values]
    for number, value in enumerate(values, 2):
        if not value:
            raise StoreError(f"column {source.column!r} ({what}) is empty in line {number}; fill it or give a default")
    if what != "episode" and not source.hash:
        _check_apart({v for v in values if v}, source.column, what)
    return [v for v in values if v]


def name_of(text: str, fallback: str) -> SafeName:
    """The safe name of a key or label; a minus sign counts, since -1 and 1 are the classes of many archives."""
    return slug(_MINUS.sub("minus-", text), fallback)


def _check_apart(values: set[str], column: str, what: str) -> None:
    names: dict[str, str] = {}
    for value in sorted(values):
        name = name_of(value, what)
        if name in names:
            remedy = "rename one" if what == "host" else "rename one, or set hash = true"
            raise StoreError(
                f"{names[name][:80]!r} and {value[:80]!r} in column {column!r} become one {what}, {name!r}; {remedy}"
            )
        names[name] = value


def phase_column(table: pa.Table, rules: Mapping) -> list[str | None]:
    labels = rules.labels
    if not labels.column:
        return [slug(labels.constant)] * table.num_rows
    raw = _texts(table, labels.column)
    names: dict[str, str] = {}
    for value in sorted({v for v in raw if v}):
        phase = labels.names.get(value) or name_of(value, "")
        if not phase:
            raise ConfigError(f"label {value[:60]!r} has no letter or digit to name a phase; name it in [labels.names]")
        if value not in labels.names and fold(phase) in {fold(p) for v, p in names.items() if v not in labels.names}:
            raise ConfigError(f"two labels become phase {phase!r}, one is {value!r}; use [labels.names]")
        names[value] = phase
    return [names[v] if v else None for v in raw]


def order_column(table: pa.Table, rules: Mapping) -> AnyArray | None:
    if not rules.time.order:
        return None
    cells = numbers(table.column(rules.time.order), None, rules.decimal)
    if cells.values is None:
        raise StoreError(f"[time] order column {rules.time.order!r} holds text; name a numeric column")
    if n := int((~known(cells.values)).sum()):
        raise StoreError(f"[time] order column {rules.time.order!r} is empty in {n} rows; fill it")
    return cells.values


def require_columns(table: pa.Table, rules: Mapping) -> None:
    for column in sorted((rules.key_columns | {rules.time.column, rules.time.order}) - {""}):
        if column not in table.column_names:
            raise ConfigError(f"the mapping wants column {column!r}, which the table lacks; {_has(table)}")


def _has(table: pa.Table) -> str:
    return f"it has {', '.join(table.column_names)}"[:300]


def known(values: AnyArray) -> AnyArray:
    """Where a column has a value."""
    mask: AnyArray = values != -1 if values.dtype.kind == "i" else ~np.isnan(values)
    return mask


def any_known(values: AnyArray) -> bool:
    return bool(known(values).any())


def _is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")
