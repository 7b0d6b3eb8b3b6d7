"""Tables come from anybody: what cannot be read is refused in one sentence, what is odd is counted."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from rlstir_core.audit.columns import ColumnNames
from rlstir_core.audit.encode import names_of, numbers_of
from rlstir_core.audit.run import audit
from rlstir_core.audit.writing.markdown import markdown
from rlstir_core.errors import ConfigError, RlstirError, StoreError

EVIL = "<script>alert(1)</script>|`x`[a](http://b)\n\x1b[31m\u202e"


def refusal(tables: Any, **options: Any) -> str:
    with pytest.raises(RlstirError) as caught:
        tables.audit(**options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"PAR1 and no more", "cannot be read as Parquet"),
        (gzip.compress(b"episode,side\n", mtime=0), "is compressed"),
        (b"\x00\x01\x02\n", "neither Parquet nor CSV"),
        (b"episode,side\na,test\nb\n", "cannot be read as CSV"),
        (b"\xff\xfe,side\na,test\n", "cannot be read as CSV"),
        (b"episode,side,side\na,test,train\n", "more than one column 'side'"),
        (b"episode,host\na,b\n", "no column 'side' among 'episode', 'host'"),
        (b"episode,side\na,tset\n", "names a side 'tset'; write train, validation, test"),
        (b"episode,side\na,train\n", "no episode on side 'test'"),
        (b"episode,side\n", "no episode on side 'test'"),
        (b"episode,side\nother,test\n", "the first: run-000, run-001, run-002"),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else "",
)
def test_a_split_that_cannot_be_used_is_refused_in_one_sentence(tables: Any, content: bytes, said: str) -> None:
    predictions = tables.paths()[0]
    path = tables.folder / "split.csv"
    path.write_bytes(content)
    with pytest.raises(RlstirError, match=r"split\.csv") as caught:
        audit(predictions, path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def change(tables: Any, **columns: Any) -> None:
    for name, column in columns.items():
        if column is None:
            del tables.predictions[name]
        else:
            tables.predictions[name] = column


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"label": None}, "no column 'label'"),
        ({"predicted": None, "score": None}, "neither 'score' nor 'p_<class>'"),
        ({"label": np.arange(1920)}, "has 1,920 classes"),
        ({"label": np.array(["a"] * 1920), "predicted": np.array(["a"] * 1920)}, "fewer than two classes"),
        ({"label": np.array(["good", "bad"] * 960)}, "no class is named alike"),
        ({"label": np.full(1920, 0.25)}, "numbers with fractions (0.25)"),
        ({"episode": np.linspace(0, 1, 1920)}, "numbers with fractions"),
        ({"episode": [[1, 2]] * 1920}, "not names"),
        ({"score": np.array(["high"] * 1920)}, "not numbers"),
        ({"predicted": None, "score": np.linspace(0, 5, 1920)}, "neither 'predicted' nor 'threshold'"),
        ({"label": pa.nulls(1920, pa.string())}, "fewer than two classes"),
        ({"episode": pa.nulls(1920)}, "is a labelled prediction of a test episode"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_predictions_that_cannot_be_used_are_refused_in_one_sentence(
    tables: Any, columns: dict[str, Any], said: str
) -> None:
    change(tables, **columns)
    sentence = refusal(tables)
    assert said in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"positive": "worm"}, "--positive 'worm' is no class"),
        ({"held_out": ["rack"]}, "--held-out rack is no column"),
        ({"naming": ColumnNames(["label=wahrheit"])}, "no table has the column 'wahrheit'"),
        ({"naming": ColumnNames(metadata=["weather"])}, "no table has the column 'weather'"),
    ],
)
def test_options_that_name_what_is_not_there_are_refused(tables: Any, options: dict[str, Any], said: str) -> None:
    assert said in refusal(tables, **options)


def test_a_column_is_renamed_only_to_what_there_is_a_meaning_for() -> None:
    with pytest.raises(ConfigError, match="write MEANING=NAME"):
        ColumnNames(["colour=red"])


def test_a_table_with_more_rows_than_are_read_is_refused_before_it_is_read(
    tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlstir_core.audit.tables.MOST_ROWS", 1_000)
    assert "has 1,920 rows; at most 1,000 are read" in refusal(tables)
    monkeypatch.setattr("rlstir_core.audit.tables.MOST_ROWS", 10_000)
    monkeypatch.setattr("rlstir_core.audit.tables.MOST_BYTES", 500)
    assert "unpack to" in refusal(tables)


def test_rows_without_label_decision_or_score_are_counted_and_no_figure_holds_them(tables: Any) -> None:
    label, predicted = tables.predictions["label"].astype(object), tables.predictions["predicted"].astype(object)
    label[:3], predicted[3:5] = None, None
    score = tables.predictions["score"].copy()
    score[5:8], score[8] = np.nan, np.inf
    change(tables, label=label, predicted=predicted, score=score)
    found = tables.audit()
    assert found.n_test_rows == 120 * 8 - 5
    agree = {each.check: each for each in found.checks}["tables-agree"]
    assert "3 rows without a label; 2 rows without a decision" in agree.sentence


def test_hostile_names_leave_the_page_as_plain_words_and_the_sentences_on_one_line(tables: Any) -> None:
    name = tables.split["episode"].astype(object)
    name[0], name[6] = EVIL, "x" * 1_000_000
    host = tables.split["host"].astype(object)
    host[host == "host-1"] = EVIL
    tables.split |= {
        "episode": np.append(name, [EVIL]),
        "host": np.append(host, ["host-9"]),
        EVIL: np.append(host, [""]),
    }
    tables.split["side"] = np.append(tables.split["side"], ["train"])
    tables.predictions["episode"] = name[tables.of_row]
    tables.predictions["label"] = np.where(tables.predictions["label"] == "malware", EVIL, "benign")
    tables.predictions["predicted"] = np.where(tables.predictions["predicted"] == "malware", EVIL, "benign")
    found = tables.audit(positive=EVIL)
    assert {each.check: each.verdict for each in found.checks}["episode-overlap"] == "fail"
    page = markdown(found)
    assert "<script" not in page and "\x1b" not in page and "\u202e" not in page
    assert not re.search(r"(?<!\\)(\]\(|\[)|http:", page)
    assert len(page) < 40_000
    for each in found.checks:
        assert each.sentence.isprintable() and all(name.isprintable() for name in each.examples)


def test_a_name_is_the_same_as_text_number_bytes_or_dictionary_and_odd_bytes_are_shown_escaped() -> None:
    same = [
        pa.chunked_array([pa.array(["7", "8"]), pa.array(["7", None, ""])]),
        pa.chunked_array([pa.array([7, 8, 7, None, None])]),
        pa.chunked_array([pa.array([7.0, 8.0, 7.0, None, float("nan")])]),
        pa.chunked_array([pa.array([b"7", b"8", b"7", b"", None], pa.large_binary())]),
        pa.chunked_array(
            [pa.array(["7", "8"]).dictionary_encode(), pa.array(["8", "7", None]).dictionary_encode()[1:]]
        ),
    ]
    for column in same:
        codes, names = names_of(column, "here")
        kept = codes.tolist()
        assert names.all() == ("7", "8")
        assert [names.of(code) for code in kept if code >= 0][:2] == ["7", "8"], column.type
        assert kept.count(-1) == len(kept) - sum(code >= 0 for code in kept) >= 1
    _, odd = names_of(pa.chunked_array([pa.array([b"\xff\xfe\x00"])]), "here")
    assert odd.of(0) == "\\xff\\xfe\\x00"


def test_numbers_of_any_width_and_spans_of_time_are_read_and_what_is_not_finite_is_missing() -> None:
    column = pa.chunked_array([pa.array([1, None]), pa.array([3])]).cast(pa.int16())
    assert numbers_of(column, "here").tolist()[::2] == [1.0, 3.0]
    assert np.isnan(numbers_of(column, "here")[1])
    assert np.isnan(numbers_of(pa.chunked_array([pa.array([np.inf, np.nan])]), "here")).all()
    spans = pa.chunked_array([pa.array([1500, 2500], pa.duration("ms"))])
    assert numbers_of(spans, "here").tolist() == [1.5, 2.5]
    assert numbers_of(pa.chunked_array([], pa.float64()), "here").tolist() == []


def test_csv_says_the_same_as_parquet_whatever_its_delimiter_and_encoding(tables: Any) -> None:
    expected = tables.audit()
    paths: list[Path] = []
    for name, delimiter in (("predictions", ","), ("split", ";"), ("episodes", "\t")):
        path = tables.folder / f"{name}.csv"
        pacsv.write_csv(pa.table(getattr(tables, name)), path, pacsv.WriteOptions(delimiter=delimiter))
        paths.append(path)
    paths[1].write_bytes(b"\xef\xbb\xbf" + paths[1].read_bytes())  # as spreadsheets do
    found = audit(*paths)
    assert [(each.check, each.verdict, each.sentence) for each in found.checks] == [
        (each.check, each.verdict, each.sentence) for each in expected.checks
    ]
    paths[0].write_bytes(paths[0].read_bytes().replace(b"run-000", b"run-\xff"))
    assert any("missing in the split" in each.sentence for each in audit(*paths).checks)


def test_other_names_of_columns_are_found_or_told(tables: Any) -> None:
    expected = tables.audit()
    tables.predictions["run"], tables.predictions["y_true"] = (
        tables.predictions.pop(name) for name in ("episode", "label")
    )
    tables.split["run"], tables.split["subset"] = (tables.split.pop(name) for name in ("episode", "side"))
    tables.episodes["run"] = tables.episodes.pop("episode")
    assert "no column 'episode'" in refusal(tables)
    found = tables.audit(naming=ColumnNames(["episode=run"]))
    assert found.macro_f1 == expected.macro_f1
    assert found.read_as["predictions: y_true"] == "label" and found.read_as["split: subset"] == "side"


def test_files_that_are_not_there_are_named(tables: Any) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.parquet is no file"):
        audit(tables.paths()[0], Path("nowhere.parquet"))


def test_few_episodes_get_figures_without_intervals_and_no_verdict_that_needs_them(tables: Any) -> None:
    kept = np.isin(np.arange(240), np.append(tables.on("test")[:7], tables.on("train")))
    rows = kept[tables.of_row]
    tables.predictions = {name: column[rows] for name, column in tables.predictions.items()}
    tables.split = {name: column[kept] for name, column in tables.split.items()}
    found = tables.audit()
    verdicts = {each.check: each.verdict for each in found.checks}
    assert found.macro_f1.lo is None and "n = 7" in found.macro_f1.note
    assert verdicts["row-interval"] == "warn" and verdicts["permuted-labels"] == "not checked"


def test_one_row_in_one_episode_is_audited_as_far_as_it_goes(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"episode": [1], "label": [True], "predicted": [False], "score": [0.2]}), tmp_path / "p.parquet"
    )
    pq.write_table(pa.table({"episode": ["1"], "side": ["test"]}), tmp_path / "s.parquet")
    found = audit(tmp_path / "p.parquet", tmp_path / "s.parquet", tmp_path / "s.parquet")
    assert found.accuracy.value == 0 and not found.failed
