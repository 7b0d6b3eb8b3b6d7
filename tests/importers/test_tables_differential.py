"""A CSV holds what pandas reads in it: the same rows and cells on seeded, mutated inputs, whatever writes them."""

from __future__ import annotations

import csv
import io
import random
import re
from pathlib import Path

import pandas as pd
import pytest

from rlstir_core.errors import StoreError
from rlstir_core.importers.table.files import read_tables
from rlstir_core.importers.table.mapping import Mapping, parse_mapping

N_INPUTS = 300
MAPPING = b"""
name = "any"
keys = { episode = "run", profile = { constant = "p" }, sample = "run" }
time = { step_s = 1.0 }
labels = { constant = "a" }
[[channels]]
columns = ["*"]
"""
CELLS = (
    *("", " ", "0", "-1.5", "1e9", "007", "+3", "1,5", "NA", "None", "null", "nan", "?", "N/A", "<NA>", "-", "inf"),
    *(
        "a b",
        " lead",
        "trail ",
        'say "hi"',
        '"',
        '""',
        "two\nlines",
        "two\r\nlines",
        "a,b",
        "a;b",
        "a\tb",
        "a|b",
        "'q'",
    ),
    *("naïve", "日本", "🙂", "\u00a0", "\u2028", "x" * 3000, "2024-05-01T10:00:00Z", "#", "%", "\\", "\\n", "=1+1"),
)
SPLICES = ('"', '""', ",", "\n", "\r\n", " ", "\t", "'", "x", "")


def _text(rng: random.Random) -> tuple[str, str]:
    """A table as one of several tools would write it, and its delimiter."""
    delimiter = rng.choice(",,,;\t|")
    made = io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
    writer = csv.writer(made, delimiter=delimiter, quoting=quoting, lineterminator=rng.choice(("\n", "\r\n")))
    width = rng.randint(2, 6)
    writer.writerow(["run", *(f"c {i}" for i in range(1, width))])
    for _ in range(rng.randint(1, 30)):
        writer.writerow([f"r{rng.randint(0, 3)}", *(rng.choice(CELLS) for _ in range(1, width))])
        if rng.random() < 0.05:
            made.write(rng.choice(("\n", "\r\n", "  \n")))
    text = made.getvalue()
    return text.rstrip("\r\n") if rng.random() < 0.2 else text, delimiter


def _mutated(rng: random.Random) -> tuple[bytes, str, str]:
    """The bytes of a table with up to three faults, its delimiter and its encoding."""
    text, delimiter = _text(rng)
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        at = rng.randint(text.index("\n"), len(text))
        text = text[:at] + rng.choice(SPLICES) + text[at + rng.randint(0, 1) :]
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"))
    return text.encode(encoding), delimiter, encoding


def _theirs(raw: bytes, delimiter: str, encoding: str) -> list[list[str]] | None:
    try:
        frame = pd.read_csv(
            io.BytesIO(raw), sep=delimiter, encoding=encoding, dtype=str, keep_default_na=False, index_col=False
        )
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning):
        return None
    return [[str(name) for name in frame.columns], *frame.to_numpy().tolist()]


def _ours(path: Path, rules: Mapping) -> list[list[str]] | str:
    """Names and cells, or the refusal."""
    try:
        table = next(read_tables(path, rules)).table
    except StoreError as error:
        return str(error)
    columns = [[cell.decode() for cell in column.to_pylist()] for column in table.columns]
    return [table.column_names, *map(list, zip(*columns, strict=True))]


@pytest.mark.filterwarnings("ignore::pandas.errors.ParserWarning")
def test_rows_and_cells_are_those_of_pandas(tmp_path: Path) -> None:
    rules, path = parse_mapping(MAPPING, "any"), tmp_path / "t.csv"
    wrong, n_equal = [], 0
    for seed in range(N_INPUTS):
        raw, delimiter, encoding = _mutated(random.Random(seed))
        path.write_bytes(raw)
        ours, theirs = _ours(path, rules), _theirs(raw, delimiter, encoding)
        n_equal += ours == theirs
        if isinstance(ours, str):
            # pandas fills a short row up and cuts a long one; here it is refused, by its number
            if theirs is not None and not re.search(r"Row #\d+: Expected|has a header but no rows", ours):
                wrong.append((seed, ours, raw[:300]))
        elif theirs is not None and ours != theirs:
            wrong.append((seed, ours[:3], raw[:300]))
    assert not wrong, wrong[:3]
    assert n_equal > N_INPUTS * 0.7
