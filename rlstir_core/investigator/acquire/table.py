"""A CSV file as a table of numbers with a class, its costs and its sides; or the sentence that says why not.

The last column is the class, every other one a number that costs something to look at. What does not belong here:
how numbers are shown to a network (`encoding.py`).
"""

# N rows, C columns
from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.errors import StoreError
from rlstir_core.text import shown

_MOST_BYTES = 256 << 20
_MISSING = ("", "?", "na", "n/a", "nan", "null", "none")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_MOST_CLASSES = 50
_LEAST_ROWS, _LEAST_OF_A_CLASS = 60, 6
_MOST_COLUMNS = 1_000
_MOST_CELLS = 5_000_000  # eight pieces each, several times over, stay in memory
_MOST_VALUE = 1e100  # differences and quantiles stay finite
_COSTS = (1e-6, 1e6)
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
    """The table of a CSV file; StoreError with one sentence where it cannot be used.

    Cells are parted by commas, semicolons, tabs or bars, whichever parts the first line into most. Where the first line
    holds numbers instead of names, columns are named by their places.
    """
    rows = _rows(path, "a CSV file with a header and the class in the last column")
    first = next(rows)
    named = not _holds_numbers(first[1])
    names = _names(path, first[1], named)
    *columns, last = names
    numbers, texts, lines = array("d"), list[str](), array("q")
    for line, cells in rows if named else chain([first], rows):
        if len(cells) != len(names):
            raise StoreError(
                f"{path}, line {line} has {len(cells)} cells where the first has {len(names)}; mend the line"
            )
        try:
            numbers.extend(map(float, cells[:-1]))
        except ValueError:
            raise _refusal(path, line, names, cells) from None
        if len(numbers) > _MOST_CELLS:
            raise StoreError(
                f"{path} has more than {_MOST_CELLS // len(columns):,} rows of {len(columns)} columns; "
                "give a part of the rows"
            )
        lines.append(line)
        texts.append(cells[-1])
    if len(lines) < _LEAST_ROWS:
        raise StoreError(f"{path} has {len(lines)} rows; a comparison needs at least {_LEAST_ROWS}")
    x_NC = np.frombuffer(numbers).reshape(len(lines), len(columns))
    odd_RC = np.argwhere(~(np.abs(x_NC) <= _MOST_VALUE))  # NaN too
    if len(odd_RC):
        row, column = odd_RC[0]
        raise _refusal(path, lines[row], [columns[column]], [f"{x_NC[row, column]:g}"])
    for name, x_N in zip(columns, x_NC.T, strict=True):
        _check_column(path, name, x_N)
    classes, class_N = _classes(path, last, texts, lines)
    return Table(tuple(columns), classes, x_NC, class_N, _costs(costs, tuple(columns)))


def _holds_numbers(header: list[str]) -> bool:
    """Whether a first line is one of numbers; 0, 1, 2 … or 1, 2, 3 … are names that a program gave."""
    try:
        found = [float(cell) for cell in header[:-1]]
    except ValueError:
        return False
    with suppress(ValueError):  # the class may be a word
        found.append(float(header[-1]))
    return found not in ([float(k + first) for k in range(len(found))] for first in (0, 1))


def _names(path: Path, header: list[str], named: bool) -> list[str]:
    """Of all columns, the class too; a column without a name is called by its place."""
    if len(header) < 3:
        raise StoreError(
            f"{path} has too few columns, {len(header)} ({', '.join(map(shown, header))}); give two or more to choose "
            "from and, last, the class, parted by commas, semicolons or tabs"
        )
    if len(header) > _MOST_COLUMNS + 1:
        raise StoreError(
            f"{path} has {len(header)} columns; at most {_MOST_COLUMNS} and the class can be asked for, leave some out"
        )
    places = [f"column_{k}" for k in range(1, len(header) + 1)]
    if not named:
        return [*places[:-1], "class"]
    names = [name or place for name, place in zip(header, places, strict=True)]
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise StoreError(f"{path} names the column {shown(twice)} twice; give every column a name of its own")
    return names


def _check_column(path: Path, name: str, x_N: NDArray[np.float64]) -> None:
    """Refused: what can tell nothing, and what only tells one row from another."""
    where = f"{path}, column {shown(name)}"
    if (x_N == x_N[0]).all():
        raise StoreError(f"{where} is {x_N[0]:g} in every row and can tell nothing; remove the column")
    if (np.diff(np.sort(x_N)) == 1).all():
        raise StoreError(
            f"{where} counts the rows from {x_N.min():g} to {x_N.max():g}, which says where a row stands and nothing "
            "of it; remove the column"
        )


def _rows(path: Path, meant: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their numbers, as cells without blanks around them. `meant` is what to give."""
    try:
        if not path.is_file():
            raise StoreError(f"{path} is no file; give {meant}")
        if path.stat().st_size > _MOST_BYTES:
            raise StoreError(f"{path} is larger than {_MOST_BYTES >> 20} MiB; give a part of it")
        with path.open(newline="", encoding="utf-8-sig") as handle:
            first = handle.readline()
            handle.seek(0)
            if "\0" in first:
                raise StoreError(f"{path} holds NULs, as binary files and UTF-16 do; save it as CSV in UTF-8")
            delimiter = max(",;\t|", key=first.count)  # the first of equals
            reader = csv.reader(handle, delimiter=delimiter, strict=True, skipinitialspace=True)
            found = False
            for cells in reader:
                if cells:
                    found = True
                    yield reader.line_num, [cell.strip() for cell in cells]
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); give {meant}") from None
    except UnicodeDecodeError:
        raise StoreError(f"{path} is no UTF-8 text; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise StoreError(f"{path} is no CSV file that can be read ({error}); save it as plain CSV") from None
    if not found:
        raise StoreError(f"{path} is empty; give {meant}")


def _refusal(path: Path, line: int, names: list[str], cells: list[str]) -> StoreError:
    """Which cell of a line cannot be compared, and what can be done about it."""
    for name, text in zip(names, cells, strict=False):
        where = f"{path}, line {line}, column {shown(name)}"
        if text.lower() in _MISSING:
            return StoreError(f"{where} is missing ({shown(text)}); fill the cell, or leave the row or the column out")
        try:
            value = float(text)
        except ValueError:
            remedy = "code texts as numbers or leave the column out"
            if _DECIMAL_COMMA.fullmatch(text):
                remedy = "write decimals with a point"
            return StoreError(f"{where} is no number: {shown(text)}; {remedy}")
        if not math.isfinite(value):
            return StoreError(f"{where} is {shown(text)}; only finite numbers can be compared, mend the cell")
        if abs(value) > _MOST_VALUE:
            return StoreError(f"{where} is {shown(text)}; numbers up to {_MOST_VALUE:g} can be compared, mend the cell")
    raise ValueError("every cell is a number that can be compared")


def _classes(
    path: Path, name: str, texts: list[str], lines: Sequence[int]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Classes in order; where all are numbers, 1 and 1.0 are the same."""
    missing = next((line for line, text in zip(lines, texts, strict=True) if text.lower() in _MISSING), None)
    if missing is not None:
        raise StoreError(f"{path}, line {missing}: the class, column {shown(name)}, is missing; leave the row out")
    found: NDArray[Any] = np.array(texts)
    with suppress(ValueError):
        found = found.astype(np.float64)
    classes, class_N, count = np.unique(found, return_inverse=True, return_counts=True)
    words = [f"{each:.15g}" if isinstance(each, float) else str(each) for each in classes.tolist()]
    if not 2 <= len(words) <= _MOST_CLASSES:
        raise StoreError(
            f"{path}, the last column {shown(name)} has {len(words)} different values where 2 to {_MOST_CLASSES} "
            "classes are meant; put the class last"
        )
    if count.min() < _LEAST_OF_A_CLASS:
        raise StoreError(
            f"{path}, class {shown(words[count.argmin()])} has {count.min()} rows; "
            f"each class needs {_LEAST_OF_A_CLASS} to be on every side, leave smaller ones out"
        )
    return tuple(words), class_N.astype(np.int64)


def _costs(path: Path | None, names: tuple[str, ...]) -> NDArray[np.float32]:
    """One line a column, `name,cost`, with a header or without; 1 for each where there is no file."""
    if path is None:
        return np.ones(len(names), np.float32)
    found: dict[str, float] = {}
    for place, (number, line) in enumerate(_rows(path, "a CSV file with a column's name and its cost a line")):
        if len(line) != 2:
            raise StoreError(f"{path}, line {number} has {len(line)} cells; give two: the column's name and its cost")
        name, text = line
        if name not in names:
            if not place:
                continue  # a header
            raise StoreError(f"{path}, line {number}: the table has no column {shown(name)}; remove the line")
        if name in found:
            raise StoreError(f"{path}, line {number} gives column {shown(name)} a second cost; remove one of them")
        try:
            cost = float(text)
        except ValueError:
            cost = math.nan
        if not _COSTS[0] <= cost <= _COSTS[1]:  # nor NaN
            raise StoreError(
                f"{path}, line {number}: the cost of column {shown(name)} is {shown(text)}; "
                f"give a number from {_COSTS[0]:g} to {_COSTS[1]:g}"
            )
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
