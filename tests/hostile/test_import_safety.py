"""What a foreign table, its mapping and their names say stays text wherever it comes out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from hostile_text import PAYLOADS, utf8
from plain_text import assert_file_is_plain, lines_of, tool

from rlstir_core.ids import is_safe

MAPPING = """
name = "fleet"
[keys]
episode = "run"
host = "machine"
profile = "job"
sample = "payload"
[time]
step_s = 1.0
[labels]
column = "state"
benign = ["clean"]
[[channels]]
columns = ["*"]
"""
COLUMNS = ("run", "machine", "job", "payload", "state", "tx")
Row = tuple[object, ...]


def csv_of(columns: tuple[str, ...], *rows: Row) -> str:
    import csv

    made = io.StringIO()
    csv.writer(made).writerows([columns, *rows])
    return made.getvalue()


def imported(folder: Path, text: str | bytes, mapping: str = MAPPING, name: str = "t.csv", *more: str) -> Result:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.toml").write_text(mapping)
    (folder / name).write_bytes(text if isinstance(text, bytes) else utf8(text))
    return tool("import", "table", folder / name, "--mapping", folder / "m.toml", "--store", folder / "store", *more)


FLAT = tuple(text for text in PAYLOADS if "\0" not in text)


def test_a_hostile_table_becomes_a_store_of_safe_names(tmp_path: Path) -> None:
    rows = [
        (*[f"{i} {text}"] * 4, state, step)
        for i, text in enumerate(FLAT)
        for step, state in enumerate(("clean", "clean", f"{i} {text}"))
    ]
    result = imported(tmp_path, csv_of(COLUMNS, *rows))
    assert result.exit_code == 0, result.output
    lines_of(result.output)
    store = tmp_path / "store"
    for path in store.rglob("*"):
        assert is_safe(path.name), path.name
        if path.suffix in (".jsonl", ".toml"):
            assert assert_file_is_plain(path).isascii()
    verdicts = tool("validate", "--store", store, "--json")
    assert verdicts.exit_code == 0 and verdicts.output.isascii()


def test_a_table_whose_header_is_no_utf8_is_refused_with_a_sentence(tmp_path: Path) -> None:
    result = imported(tmp_path, b"run,machine\xff,job\nr,m,j\n")
    assert result.exit_code == 2 and "UTF-8" in lines_of(result.output)


HOSTILE_TABLES: dict[str, Callable[[str], tuple[str | bytes, str]]] = {
    "columns that nothing maps": lambda t: (
        csv_of((*COLUMNS, t), ("r", "m", "j", "p", "clean", 1, t), ("q", "m", "j", "p", "bad", 1, t)),
        MAPPING,
    ),
    "a column that is missing": lambda t: (csv_of(("run", t), ("r", "x")), MAPPING),
    "a channel of text": lambda t: (
        csv_of((*COLUMNS, t), ("r", "m", "j", "p", "clean", 1, "x")),
        MAPPING.replace('["*"]', json.dumps([t]) if "\ud800" not in t else '["x"]'),
    ),
    "two columns of one name": lambda t: (csv_of((*COLUMNS, t, t), ("r", "m", "j", "p", "clean", 1, 1, 1)), MAPPING),
    "columns that become one": lambda t: (
        csv_of((*COLUMNS, f"{t}!", f"{t}?"), ("r", "m", "j", "p", "clean", 1, 1, 1)),
        MAPPING,
    ),
    "a run of two profiles": lambda t: (
        csv_of(COLUMNS, (t, "m", t, "p", "clean", 1), (t, "m", "k", "p", "clean", 1)),
        MAPPING,
    ),
    "a run without a phase": lambda t: (csv_of(COLUMNS, (t, "m", "j", "p", "", 1)), MAPPING),
    "an empty key": lambda t: (csv_of((*COLUMNS[:5], t), ("", "m", "j", "p", "clean", 1)), MAPPING),
    "a ragged row": lambda t: (csv_of(COLUMNS, (t, t)), MAPPING),
    "no table at all": lambda t: (f"{t}\n\n{t}", MAPPING),
    "a date that is none": lambda t: (
        csv_of((*COLUMNS, "when"), ("r", "m", "j", "p", "clean", 1, t)),
        MAPPING.replace("step_s = 1.0", 'column = "when"\nunit = "iso"'),
    ),
    "a series of text": lambda t: (f"@classlabel true a\n@data\n{t.splitlines()[0]}:a\n", MAPPING),
    "a mapping with another key": lambda t: (
        csv_of(COLUMNS, ("r", "m", "j", "p", "clean", 1)),
        f"{json.dumps(t)} = 1\n{MAPPING}",
    ),
    "a mapping with another name": lambda t: (
        csv_of(COLUMNS, ("r", "m", "j", "p", "clean", 1)),
        MAPPING.replace('"fleet"', json.dumps(t)),
    ),
    "a mapping that is no TOML": lambda t: (csv_of(COLUMNS, ("r", "m", "j", "p", "clean", 1)), f"{t}\n"),
}


@pytest.mark.parametrize("kind", HOSTILE_TABLES)
def test_whatever_an_import_says_of_a_table_is_plain(tmp_path: Path, kind: str) -> None:
    wrong = {}
    for number, payload in enumerate(FLAT):
        table, mapping = HOSTILE_TABLES[kind](payload)
        for more in ((), ("--json",)):
            result = imported(tmp_path / f"{number}{len(more)}", table, mapping, "t.csv", *more)
            try:
                lines_of(result.output)
                assert more or len(result.output) < 5_000
            except AssertionError as error:
                wrong[f"{number} {more}"] = str(error)[:200]
    assert not wrong


def test_a_table_whose_file_has_a_hostile_name_is_spoken_of_plainly(tmp_path: Path) -> None:
    rows = (("r", "m", "j", "p", "clean", 1), ("q", "m", "j", "p", "bad", 1))
    for number, payload in enumerate(FLAT):
        name = utf8(payload.replace("/", ":"))[:120].decode("utf-8", "ignore") + ".csv"
        for text in (csv_of(COLUMNS, *rows), csv_of(("run",), ("r",)), ""):
            result = imported(tmp_path / str(number), text, name=name)
            lines_of(result.output)
    assert all(is_safe(path.name) for path in tmp_path.glob("*/store/**/*"))
