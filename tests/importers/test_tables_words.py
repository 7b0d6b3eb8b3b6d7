"""Words, row numbers and clocks in foreign tables, and the summary that names them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace as Kit
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from rlstir_assets.cli import cli
from rlstir_core.episodes.limits import Limits
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.importers.table.clocks import is_clock, is_row_number
from rlstir_core.importers.table.numbers import numbers

WORDS = ("None", "NA", "null", "nan", "N/A", "NaN", "<NA>", "NULL")
LABELLED = """
name = "lab"
keys = { episode = "run", host = "host", profile = "job", sample = "what" }
time = { column = "when", unit = "s" }
labels = { column = "state", benign = ["clean"] }
windowing = { whole = false, bin_hz = 1.0, length_s = 4.0, stride_s = 2.0 }
[[channels]]
columns = ["*"]
"""
COLUMNS = "run,host,when,state,load,job,what"


def command(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", "table", *map(str, arguments)], prog_name="rlstir")


@pytest.mark.parametrize("word", WORDS)
def test_a_null_word_is_a_name_in_labels_and_keys(kit: Kit, tmp_path: Path, word: str) -> None:
    rows = [[word, word, kit.T0 + i, word if i < 5 or i > 14 else "clean", i % 3, word, word] for i in range(20)]
    made = kit.bring(tmp_path, kit.table(rows, COLUMNS), LABELLED)
    name = word.strip("<>").replace("/", "-")
    assert (made.hosts, made.profiles, made.phases) == ((name,), (name,), {name: 1, "clean": 1})
    assert kit.phases(tmp_path / "store", word) == [(-0.5, name), (4.5, "clean"), (14.5, name)]
    assert (made.null_words, made.losses, made.n_unlabelled_rows) == ({}, (), 0)


def test_an_empty_cell_keeps_the_phase_before_it_and_is_counted(kit: Kit, tmp_path: Path) -> None:
    states = ("clean", "", " ", "bad", "")
    made = kit.bring(tmp_path, kit.table(["r1", "m1", kit.T0 + i, s, i % 2] for i, s in enumerate(states)))
    assert kit.phases(tmp_path / "store") == [(-0.5, "clean"), (2.5, "bad")]
    assert made.n_unlabelled_rows == 3


def test_a_null_of_parquet_is_empty_and_its_words_are_data(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(kit.LAB.replace('["clean", "bad"]', '["clean", "None"]'))
    columns = {
        "run": pa.array(["None"] * 4).dictionary_encode(),
        "host": pa.array([b"m1"] * 4, pa.binary()),
        "when": [kit.T0 + i for i in range(4)],
        "state": pa.array(["clean", None, "None", None], pa.large_string()),
        "load": pa.array([1.5, None, float("inf"), 2.0]),
        "text": pa.array(["7", "None", "9", None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    made = kit.bring(tmp_path, (tmp_path / "t.parquet").read_bytes(), (tmp_path / "m.toml").read_text())
    assert kit.phases(tmp_path / "store", "None") == [(-0.5, "clean"), (1.5, "None")]
    assert made.hosts == ("m1",)
    assert made.null_words == {"load": {"inf": 1}, "text": {"None": 1}}
    np.testing.assert_equal(
        kit.column(tmp_path / "store", "load", "None"), [1.5, np.nan, 2.0]
    )  # the second row says nothing
    assert kit.column(tmp_path / "store", "text", "None") == [7, 9, -1]


def test_a_label_that_is_a_number_with_gaps_has_no_phase_nan(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    columns = {"run": ["a"] * 3, "host": ["m"] * 3, "when": [kit.T0, kit.T0 + 1, kit.T0 + 2], "load": [3, 1, 2]}
    pq.write_table(pa.table({**columns, "state": pa.array([1.0, float("nan"), 0.0])}), tmp_path / "t")
    mapping = kit.LAB.replace('phases = ["clean", "bad"]', 'names = { "1.0" = "bad", "0.0" = "clean" }')
    assert kit.bring(tmp_path, (tmp_path / "t").read_bytes(), mapping).phases == {"bad": 1, "clean": 1}


def test_words_in_channel_columns_are_missing_and_counted_by_column(kit: Kit, tmp_path: Path) -> None:
    cells = ("1", "NA", "2.5", "na", "?", "", "inf", "-1.#IND", "+4", " 7 ", "1e3")
    text = kit.table(["r1", "m1", kit.T0 + i, "clean", i * i % 7, cell] for i, cell in enumerate(cells))
    made = kit.bring(tmp_path, text.replace("state,load", "state,load,x"))
    assert made.null_words == {"x": {"-1.#IND": 1, "?": 1, "NA": 1, "na": 1, "inf": 1}}
    assert made.n_missing_cells == 6
    nan = np.nan
    np.testing.assert_equal(kit.column(tmp_path / "store", "x"), [1, nan, 2.5, nan, nan, nan, nan, nan, 4, 7, 1000])
    assert "list such words under nulls" in made.losses[0]


def test_the_mapping_says_which_words_are_missing(kit: Kit, tmp_path: Path) -> None:
    cells = [("-", "-9999", "NA"), ("1", "2", "3"), ("n.d.", "-9999.0", "4")]
    text = kit.table(
        (["r1", "m1", kit.T0 + i, "clean", i % 2, *cell] for i, cell in enumerate(cells)),
        "run,host,when,state,load,a,b,c",
    )
    mapping = 'nulls = ["-", "n.d."]\n' + kit.LAB.replace(
        "[[channels]]", '[[channels]]\ncolumns = ["b"]\nnulls = ["-9999"]\n[[channels]]'
    )
    made = kit.bring(tmp_path, text, mapping)
    assert made.null_words == {"a": {"-": 1, "n.d.": 1}, "b": {"-9999": 2}}
    assert made.odd_columns == {"c": "1 of 3 cells are no numbers, such as 'NA'"}
    np.testing.assert_equal(kit.column(tmp_path / "store", "b"), [np.nan, 2, np.nan])
    assert kit.column(tmp_path / "store", "a") == [-1, 1, -1]
    assert len(made.losses) == 1 and "column 'c' left out" in made.losses[0]
    declared = kit.bring(tmp_path, text, mapping.replace('"n.d."', '"n.d.", "NA"'), store="other")
    assert (declared.losses, declared.odd_columns) == ((), {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run,host,when,state,load\nr,?,1716494400,clean,1\nr,!,1716494400,clean,1\n", "both become|become one host"),
        ("run,host,when,state,load\nr,m,1716494400,?,1\n", "no letter or digit"),
        ("run,host,when,state,load\nr,,1716494400,clean,1\n", "is empty in line 2"),
        ("run,host,when,state,load\nr, ,1716494400,clean,1\n", "is empty in line 2"),
        ("run,host,when,state,load\nr,m,NA,clean,1\n", "holds 'NA', which is no number"),
        ("run,host,when,state,load\nr,m,,clean,1\n", "is empty in 1 rows"),
    ],
)
def test_names_that_cannot_be_kept_apart_are_refused(kit: Kit, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises((StoreError, ConfigError), match=words):
        kit.bring(tmp_path, text)


def test_numbers_are_the_same_however_they_are_written() -> None:
    assert numbers(pa.chunked_array([["1", "", "3"]]), None).values.tolist() == [1, -1, 3]
    assert numbers(pa.chunked_array([["1,5", "2", "x"]]), ("x",), ",").values.tolist()[:2] == [1.5, 2]
    assert numbers(pa.chunked_array([["true", "false"]]), None).values.tolist() == [1, 0]
    assert numbers(pa.chunked_array([[True, None]]), None).values.tolist() == [1, -1]
    assert numbers(pa.chunked_array([["18446744073709551615", "1"]]), None).values.tolist() == [2.0**64, 1]
    assert numbers(pa.chunked_array([[b"\xff", b"1"]]), None).values is None
    assert numbers(pa.chunked_array([[None, None]], type=pa.null()), None).values.shape == (2,)
    assert numbers(pa.chunked_array([["2024-05-01"]]), None).text == "2024-05-01"


@pytest.mark.parametrize(
    ("name", "place", "values", "is_one"),
    [
        ("", 0, [0, 1, 2, 3], True),
        ("", 0, [5, 17, 3, 4], True),  # rows that were drawn from a larger table
        ("", 0, [0, 1, 0, 1], True),  # tables put below each other
        ("", 0, [1, 1, 2, 2], False),
        ("", 3, [0, 1, 2, 3], False),
        ("Unnamed: 0", 0, [0, 1, 2], True),
        ("Unnamed: 0", 1, [7, 8, 9], True),
        ("Unnamed: 0.1", 1, [0, 1, 2], True),
        ("row_nr", 0, [0, 1, 2], True),
        ("Unnamed: 0", 0, [0.5, 1.5, 2.5], False),
        ("__index_level_0__", 4, [3, 1, 2], True),
        ("index", 0, [0, 1, 2, 3], True),
        ("level_0", 0, [12, 13, 14], True),
        ("index", 0, [3, 1, 2, 0], False),
        ("X", 0, [1, 2, 3, 4], True),
        ("load", 0, [0, 1, 2, 3], False),
    ],
)
def test_a_row_number_is_known_by_name_and_values(name: str, place: int, values: list[float], is_one: bool) -> None:
    assert is_row_number(name, place, np.array(values)) is is_one


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__", "index", "level_0"])
def test_a_row_number_is_left_out_and_named_unless_the_mapping_names_it(kit: Kit, tmp_path: Path, name: str) -> None:
    text = kit.table(([i, *row] for i, row in enumerate(kit.rows(range(20)))), f"{name},run,host,when,state,load")
    made = kit.bring(tmp_path, text)
    assert (made.index_columns, made.channels, made.losses) == ((name,), ("table.load",), ())
    if name:
        wanted = kit.bring(tmp_path, text, kit.LAB.replace('["*"]', f'["{name}", "load"]'), store="wanted")
        assert wanted.index_columns == () and list(wanted.clocks.values()) == ["counts the rows"]


def test_the_index_that_pandas_wrote_into_a_parquet_file_is_left_out(kit: Kit, tmp_path: Path) -> None:
    columns = {"run": ["r"] * 4, "host": ["m"] * 4, "when": [kit.T0 + i for i in range(4)], "state": ["bad"] * 4}
    said = {b"pandas": json.dumps({"index_columns": ["row", {"kind": "range"}, "when"]}).encode()}
    data = pa.table({**columns, "load": [3, 1, 2, 2], "row": [40, 10, 30, 20]}).replace_schema_metadata(said)
    pq.write_table(data, tmp_path / "p")
    made = kit.bring(tmp_path, (tmp_path / "p").read_bytes())
    assert (made.index_columns, made.channels) == (("row",), ("table.load",))
    pq.write_table(data.replace_schema_metadata({b"pandas": b"no json"}), tmp_path / "p")
    assert kit.bring(tmp_path, (tmp_path / "p").read_bytes(), store="other").index_columns == ()


def test_channels_that_tell_the_time_are_named_as_clocks(kit: Kit, tmp_path: Path) -> None:
    mapping = kit.LAB.replace("[[channels]]", '[[channels]]\ncolumns = ["total"]\nkind = "counter"\n[[channels]]')
    rows = []
    for run in ("r1", "r2", "r3"):
        for i, row in enumerate(kit.rows(range(20), run)):
            seen = (i, kit.T0 + i, f"{i + 0.5 + i % 2 / 100}", 1000 * len(rows), i // 4, 90 - i)
            grown = 100 + i * {"r1": 1, "r2": 2, "r3": 1}[run]
            rows.append([*row, *seen, 10 * i, grown])
    text = kit.table(rows, "run,host,when,state,load,step,epoch,elapsed,serial,tick,left,total,memory")
    made = kit.bring(tmp_path, text, mapping)
    named = {name.removeprefix("table.") for name in made.clocks}
    assert named == {"step", "epoch", "elapsed", "serial", "tick", "left"}
    assert made.clocks["table.serial"] == "counts the rows"
    assert "leave them out with exclude" in made.notes[0] and made.losses == ()


def test_few_rows_and_honest_rises_are_no_clocks() -> None:
    t = np.arange(12) * 1_000_000_000
    rng = np.random.default_rng(0)
    assert not is_clock([])
    assert not is_clock([(t[:4], t[:4])])
    assert not is_clock([(t, np.ones(12))])
    assert not is_clock([(t, np.cumsum(rng.random(12) * 9)) for _ in range(3)])
    assert not is_clock([(t, np.arange(12)), (t, np.arange(12) * 3)])
    assert is_clock([(t, np.arange(12)), (t[:1], t[:1]), (t + 7, np.arange(12) + 400)])


@pytest.fixture
def lossy(kit: Kit, tmp_path: Path) -> dict[str, Any]:
    rows = [[*row, "NA" if i == 3 else i * i % 5, "x" if i == 2 else 1] for i, row in enumerate(kit.rows(range(9)))]
    text = kit.table(([i, *row] for i, row in enumerate(rows)), ",run,host,when,state,load,gap,odd")
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "m.toml").write_text(kit.LAB)
    return {"--mapping": tmp_path / "m.toml", "--store": tmp_path / "s"}


def test_the_summary_says_all_of_it_and_strict_makes_losses_an_error(
    kit: Kit, tmp_path: Path, lossy: dict[str, Any]
) -> None:
    options = [part for pair in lossy.items() for part in pair]
    result = command(tmp_path / "t.csv", *options)
    assert result.exit_code == 0
    for words in (
        "9 rows, 1 episode of m1",
        "row numbers left out: (a column without a name)",
        "read as missing in gap: NA 1",
        "warning: column 'gap': 'NA' in 1 cells read as missing",
        "warning: column 'odd' left out: 1 of 9 cells are no numbers, such as 'x'",
    ):
        assert words in result.output
    strict = command(tmp_path / "t.csv", *options, "--strict")
    assert strict.exit_code == 2 and "2 losses with --strict" in strict.output
    assert "1 episode there already, unchanged" in strict.output
    (tmp_path / "m.toml").write_text('nulls = ["NA", "x"]\n' + kit.LAB)
    clean = command(tmp_path / "t.csv", *options, "--strict", "--replace", "--json")
    assert clean.exit_code == 0
    said = json.loads(clean.output)
    assert said["n_replaced"] == 1
    assert (said["losses"], said["null_words"]) == ([], {"gap": {"NA": 1}, "odd": {"x": 1}})


def test_several_files_joined_are_spoken_of(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(kit.LAB)
    for name, steps in (("a", range(8)), ("b", range(6, 12)), ("c", range(12, 20))):
        (tmp_path / name).write_text(kit.table(kit.rows(steps)))
    options = ("--mapping", tmp_path / "m.toml", "--store", tmp_path / "s")
    first = command(tmp_path / "a", tmp_path / "b", *options).output
    assert "14 rows of 2 files, 1 episode of m1" in first
    assert "parts of runs joined with others of these files: 1" in first
    assert "rows in more than one part, kept once: 2" in first
    assert "1 episode joined (12 rows before)" in command(tmp_path / "c", *options).output
    replaced = command(tmp_path / "c", *options, "--replace").output
    assert "1 episode replaced" in replaced


def test_a_text_column_with_a_number_in_it_is_no_loss(kit: Kit, tmp_path: Path) -> None:
    notes = ("42", *(f"note {i}" for i in range(8)))
    signs = ("1", *"-" * 8)
    rows = ([*row, note, sign] for row, note, sign in zip(kit.rows(range(9)), notes, signs, strict=True))
    made = kit.bring(tmp_path, kit.table(rows, "run,host,when,state,load,note,rare"))
    assert made.skipped_columns == ("note", "rare")
    assert list(made.odd_columns) == ["rare"]


def test_an_order_column_has_a_number_in_every_row(kit: Kit, tmp_path: Path) -> None:
    ordered = kit.LAB.replace('column = "when", unit = "s"', 'step_s = 1.0, order = "when"')
    with pytest.raises(StoreError, match="order column 'when' is empty in 1 rows"):
        kit.bring(tmp_path, kit.table([["r", "m", when, "clean", 1] for when in (1, "NA", 3)]), ordered)


def test_a_refusal_of_one_of_several_files_names_it(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(kit.LAB)
    (tmp_path / "good").write_text(kit.table(kit.rows(range(9))))
    (tmp_path / "bad").write_text(kit.table(kit.rows(range(9), host="")))
    result = command(tmp_path / "good", tmp_path / "bad", "--mapping", tmp_path / "m.toml", "--store", tmp_path / "s")
    assert result.exit_code == 2 and "rlstir: bad: column 'host' (host) is empty in line 2" in result.output
    assert not (tmp_path / "s").exists()


def test_an_episode_with_more_rows_than_validation_takes_is_named(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlstir_core.importers.table.summary.Limits", lambda: Limits(rows=5))
    made = kit.bring(tmp_path, kit.table(kit.rows(range(9))))
    assert made.n_too_many_rows == 1 and "have over 5 rows, which validation rejects" in made.losses[0]
