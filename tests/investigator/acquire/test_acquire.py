"""A table of columns with costs: refused with a sentence where it cannot be used, and compared where it can."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rlstir_core.errors import StoreError
from rlstir_core.investigator.acquire.classifier import Teaching
from rlstir_core.investigator.acquire.encoding import fit_encoding
from rlstir_core.investigator.acquire.study import AcquireNumbers, auroc, compare
from rlstir_core.investigator.acquire.table import read_table, sides
from rlstir_core.investigator.policies.learned_greedy import Learning
from rlstir_core.learning.acting_numbers import PpoNumbers

ROWS = [[str(k), str(k % 7 / 10), "01"[k % 2]] for k in range(80)]


def written(path: Path, rows: list[list[str]], header: str = "a,b,class") -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def changed(row: int, column: int, text: str) -> list[list[str]]:
    rows = [list(each) for each in ROWS]
    rows[row][column] = text
    return rows


REFUSED = {
    "line 5, column 'b' is missing": changed(3, 1, ""),
    "line 2, column 'a' is missing ('?')": changed(0, 0, "?"),
    "line 3, column 'b' is no number: 'low'": changed(1, 1, "low"),
    "only finite numbers": changed(1, 1, "inf"),
    "column 'a' is 7 in every row": [["7", *row[1:]] for row in ROWS],
    "has 2 cells where the header has 3": [*ROWS, ["1", "2"]],
    "has 80 values": [[*row[:2], str(k)] for k, row in enumerate(ROWS)],
    "has 1 values": [[*row[:2], "0"] for row in ROWS],
    "the class, column 'class', is missing": changed(4, 2, ""),
    "needs at least 60": ROWS[:20],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_table_that_cannot_be_used_is_refused_with_the_place_and_the_remedy(sentence: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal:
        read_table(written(tmp_path / "t.csv", REFUSED[sentence]))
    assert sentence in str(refusal.value).replace('"', "'") and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a,1\n", "no cost of column"), ("a,1\nb,-2\n", "above 0"), ("a,1\nb,x\n", "above 0"), ("a,1,1\n", "give two"),
     ("a,1\nb,1\nb,1\n", "second cost"), ("a,1\nb,1\nc,1\n", "no column")],
)  # fmt: skip
def test_costs_that_do_not_fit_the_table_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(StoreError, match=sentence):
        read_table(written(tmp_path / "t.csv", ROWS), tmp_path / "c.csv")


def test_rows_are_dealt_once_with_equal_shares_of_classes(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("column,cost\nb,2.5\na,1\n")
    table = read_table(written(tmp_path / "t.csv", ROWS), tmp_path / "c.csv")
    assert table.cost_C.tolist() == [1, 2.5] and table.classes == ("0", "1")
    dealt = sides(table, 1)
    parts = [dealt.train, dealt.validation, dealt.test]
    assert sorted(np.concatenate([part.x_NC[:, 0] for part in parts]).tolist()) == list(range(80))
    assert [part.class_N.mean() for part in parts] == [0.5, 0.5, 0.5]
    assert (sides(table, 2).test.x_NC[:, 0] != dealt.test.x_NC[:, 0]).any()


def test_an_encoding_tells_the_most_frequent_value_apart_and_bounds_heavy_tails() -> None:
    x_NC = np.array([[0.0]] * 70 + [[value] for value in np.geomspace(0.01, 1e6, 30)])
    encoding = fit_encoding(x_NC)
    place_N = encoding.place(np.array([[0.0], [0.01], [1.0], [1e6], [1e9], [-5.0]]))[:, 0]
    assert place_N[0] == place_N[5] == -1 and place_N[3] == place_N[4] == 1
    assert (np.diff(place_N[:4]) > 0.2).all()


def test_auroc_counts_ties_half_and_averages_classes() -> None:
    assert auroc(np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9]]), np.array([0, 1, 1])) == 0.75
    assert auroc(np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])) == 1


def test_every_method_is_read_off_at_every_point(tmp_path: Path) -> None:
    numbers = AcquireNumbers(
        picks=(1, 2, 20),
        prices=(0.02,),
        lanes=16,
        teaching=Teaching(hidden=8, steps=20, again=10, batch=32),
        learning=Learning(hidden=8, rounds=1, steps=3, epochs=1, batch=32),
        ppo_lanes=16,
        ppo=PpoNumbers(steps=256, rollout=2, batch=64, epochs=1, width=8, imitate_steps=128),
    )
    table = read_table(written(tmp_path / "t.csv", ROWS))
    lines = list(compare(table, 0, numbers, str))
    methods = ["random", "static", "greedy", "learned_greedy", "ppo"]
    points = [1, 2, "lambda=0.02"]  # there are two columns
    assert sorted(map(str, {(line.method, line.point) for line in lines})) == sorted(
        str((method, point)) for method in methods for point in points
    )
    assert len(lines) == 15
    for line in lines:
        assert line.cost == line.point if isinstance(line.point, int) else 0 <= line.cost <= 2
        assert 0 <= line.accuracy <= 1 and 0 <= line.auroc <= 1 and (line.earned is None) == isinstance(line.point, int)
    assert len({(line.accuracy, line.auroc) for line in lines if line.point == 2}) == 1  # all columns are seen


def test_the_command_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location(
        "acquire", Path(__file__).parents[3] / "benchmarks" / "acting" / "acquire.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = written(tmp_path / "t.csv", changed(1, 1, "low"))
    for words in (["--csv", str(path)], ["--csv", str(tmp_path / "none.csv")], ["--csv", str(path), "--seeds", "0"]):
        assert module.main([*words, "--out", str(tmp_path / "o.jsonl")]) == 2
        said = capsys.readouterr().err
        assert said.startswith("Error: ") and said.count("\n") == 1
    assert not (tmp_path / "o.jsonl").exists()
