"""The page of results on public data: what it says of its rows, and what it says where the data are absent."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.evaluation.stats.intervals import Estimate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_every_row_stands_with_its_interval_and_names_from_data_are_escaped(load: Any) -> None:
    page = load("public.page")
    rows = (
        page.Row(name="worse", cells={"accuracy": Estimate(value=0.5, lo=0.4, hi=0.6), "a minus b": "said"}),
        page.Row(name="ensemble_realistic", cells={"accuracy": Estimate(value=0.9, lo=0.8, hi=0.95)}),
    )
    section = page.Section(title="Logs", words="Words.", rows=rows, data="hpc_hiper ts_uea")
    text = page.page([section], [["real/x", "github x|y <b>", "MIT"]], page.COMMAND, 3.2)
    assert "0.900 [0.800, 0.950]" in text and text.index("ensemble") < text.index("worse")
    assert "<b>" not in text and "`python -m benchmarks results`" in text and "`hpc_hiper`, `ts_uea`" in text
    assert "weights" in text and "xgboost" in text


def test_where_the_data_are_is_read_from_the_datas_own_pages(load: Any, tmp_path: Path) -> None:
    head = "| folder | source | licence |\n|---|---|---|\n"
    for name, line in (("real", "| hpc_hiper/runs.csv.gz | github a | MIT | text |"), ("knowledge", "| car | b | X |")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(head + line + "\n| other | c | d |\n")
    found = load("public.page").sources(tmp_path, ("hpc_hiper", "car"))
    assert found == [["real/hpc_hiper/runs.csv.gz", "github a", "MIT"], ["knowledge/car", "b", "X"]]


def test_absent_data_are_one_sentence_and_exit_code_2(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.md"
    assert load("public.results").main(["--shared", str(tmp_path / "none"), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--shared" in said and not out.exists()


def test_what_the_page_says_of_itself_is_what_its_code_says(load: Any) -> None:
    page = load("public.page")
    written = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("\n\n")
    minutes = float(written[1].partition(" in ")[2].partition(" minutes")[0])
    assert page.page([], [], page.COMMAND, minutes).split("\n\n")[:3] == written[:3]
