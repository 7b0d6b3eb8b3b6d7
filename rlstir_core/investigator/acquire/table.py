"""A CSV file as a table of numbers with a class, its costs and its sides; or the sentence that says why not.

The last column is the class, every other one a number that costs something to look at. What does not belong here:
how numbers are shown to a network (`encoding.py`).
"""

# N rows, C columns
from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlstir_core.errors import StoreError
from rlstir_core.text import shown

_MOST_BYTES = 256 << 20
_MOST_CLASSES = 50
_LEAST_ROWS, _LEAST_OF_A_CLASS = 60, 6
_MOST_COLUMNS = 1_000
_SHARES = (0.6, 0.2)  # of train and validation; what is left is tested once


@dataclass(frozen=True)
class Table:
    """Numbers, and the class of each row."""

    names: tuple[str, ...]
    classes: tuple[str, ...]
    x_NC: NDArray[np.float64]
    class_N: NDArray[np.int64]
    cost_C: NDArray[np.float32]

    @property
    def n_columns(self) -> int:
        return len(self.names)

    def rows(self, row_N: NDArray[np.int64]) -> Table:
        return Table(self.names, self.classes, self.x_NC[row_N], self.class_N[row_N], self.cost_C)


@dataclass(frozen=True)
class DealtRows:
    """Rows that are learnt from, chosen on, and tested once."""

    train: Table
    validation: Table
    test: Table


def read_table(path: Path, costs: Path | None = None) -> Table:
    """The table of a CSV file with a header; StoreError with one sentence where it cannot be used."""
    header, *lines = _lines(path)
    header = [name.strip() for name in header]
    if len(header) < 2:
        raise StoreError(f"{path} has {len(header)} column; give at least one column and, last, the class")
    if len(header) > _MOST_COLUMNS + 1:
        raise StoreError(f"{path} has {len(header)} columns; at most {_MOST_COLUMNS} and the class can be asked for")
    twice = next((name for k, name in enumerate(header) if name in header[:k]), None)
    if twice is not None:
        raise StoreError(f"{path} names the column {shown(twice)} twice; give every column a name of its own")
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise StoreError(
                f"{path}, line {number} has {len(line)} cells where the header has {len(header)}; mend the line"
            )
    if len(lines) < _LEAST_ROWS:
        raise StoreError(f"{path} has {len(lines)} rows; a comparison needs at least {_LEAST_ROWS}")
    x_NC = np.array([_numbers(path, name, k, lines) for k, name in enumerate(header[:-1])]).T
    for k, name in enumerate(header[:-1]):
        if (x_NC[:, k] == x_NC[0, k]).all():
            raise StoreError(
                f"{path}, column {shown(name)} is {x_NC[0, k]:g} in every row and can tell nothing; remove the column"
            )
    classes, class_N = _classes(path, header[-1], [line[-1].strip() for line in lines])
    names = tuple(header[:-1])
    return Table(names, classes, x_NC, class_N, _costs(costs, names))


def _lines(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise StoreError(f"{path} is larger than {_MOST_BYTES >> 20} MiB; give a part of it")
        with path.open(newline="", encoding="utf-8-sig") as handle:
            lines = [line for line in csv.reader(handle, strict=True) if line]
    except UnicodeDecodeError:
        raise StoreError(f"{path} is no UTF-8 text; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise StoreError(f"{path} is no CSV file that can be read ({error}); save it as plain CSV") from None
    if not lines:
        raise StoreError(f"{path} is empty; give a CSV file with a header and the class in the last column")
    return lines


def _numbers(path: Path, name: str, column: int, lines: list[list[str]]) -> list[float]:
    found = []
    for number, line in enumerate(lines, 2):
        text = line[column].strip()
        if text.lower() in ("", "?", "na", "nan", "null", "none"):
            raise StoreError(
                f"{path}, line {number}, column {shown(name)} is missing ({shown(text)}); "
                "fill the cell, or leave the row or the column out"
            )
        try:
            value = float(text)
        except ValueError:
            raise StoreError(
                f"{path}, line {number}, column {shown(name)} is no number: {shown(text)}; "
                "code texts as numbers or leave the column out"
            ) from None
        if not math.isfinite(value):
            raise StoreError(
                f"{path}, line {number}, column {shown(name)} is {text}; only finite numbers can be compared"
            )
        found.append(value)
    return found


def _classes(path: Path, name: str, texts: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    missing = next((number for number, text in enumerate(texts, 2) if not text), None)
    if missing is not None:
        raise StoreError(f"{path}, line {missing}: the class, column {shown(name)}, is missing; leave the row out")
    classes, class_N, count = np.unique(texts, return_inverse=True, return_counts=True)
    if not 2 <= len(classes) <= _MOST_CLASSES:
        raise StoreError(
            f"{path}, the last column {shown(name)} has {len(classes)} values where 2 to {_MOST_CLASSES} classes are "
            "meant; put the class last"
        )
    if count.min() < _LEAST_OF_A_CLASS:
        raise StoreError(
            f"{path}, class {shown(str(classes[count.argmin()]))} has {count.min()} rows; "
            f"each class needs {_LEAST_OF_A_CLASS} to be on every side"
        )
    return tuple(str(each) for each in classes), class_N.astype(np.int64)


def _costs(path: Path | None, names: tuple[str, ...]) -> NDArray[np.float32]:
    """One line a column, `name,cost`, with a header or without; 1 for each where there is no file."""
    if path is None:
        return np.ones(len(names), np.float32)
    found: dict[str, float] = {}
    for number, line in enumerate(_lines(path), 1):
        if len(line) != 2:
            raise StoreError(f"{path}, line {number} has {len(line)} cells; give two: the column's name and its cost")
        name, text = line[0].strip(), line[1].strip()
        if name not in names:
            if number == 1:
                continue  # a header
            raise StoreError(f"{path}, line {number}: the table has no column {shown(name)}; remove the line")
        if name in found:
            raise StoreError(f"{path}, line {number} gives column {shown(name)} a second cost; remove one of them")
        try:
            cost = float(text)
        except ValueError:
            cost = math.nan
        if not (math.isfinite(cost) and cost > 0):
            raise StoreError(f"{path}, line {number}: a cost is a number above 0, not {shown(text)}; mend the cell")
        found[name] = cost
    absent = [name for name in names if name not in found]
    if absent:
        raise StoreError(f"{path} gives no cost of column {shown(absent[0])}; every column needs a line")
    return np.array([found[name] for name in names], np.float32)


def sides(table: Table, seed: int) -> DealtRows:
    """Rows dealt by chance, class by class, so that each side has the same shares of classes."""
    rng = np.random.default_rng([seed, 3])
    parts: list[list[NDArray[np.int64]]] = [[], [], []]
    for each in range(len(table.classes)):
        row_N = rng.permutation(np.flatnonzero(table.class_N == each))
        cuts = np.rint(np.cumsum(_SHARES) * len(row_N)).astype(int)
        for part, rows in zip(parts, np.split(row_N, cuts), strict=True):
            part.append(rows)
    train, validation, test = (table.rows(np.sort(np.concatenate(part))) for part in parts)
    return DealtRows(train, validation, test)
