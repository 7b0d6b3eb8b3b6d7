"""A table of columns with costs: refused with a sentence where it cannot be used, and compared where it can."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlstir_core.errors import StoreError
from rlstir_core.investigator.acquire.classifier import Classifier, Teaching
from rlstir_core.investigator.acquire.encoding import fit_encoding
from rlstir_core.investigator.acquire.lanes import TableLanes
from rlstir_core.investigator.acquire.learned import ShareNetwork, fit_by_moves, worth
from rlstir_core.investigator.acquire.study import AcquireNumbers, auroc, compare
from rlstir_core.investigator.acquire.table import Table, read_table, sides
from rlstir_core.investigator.policies.learned_greedy import GainNetwork, Learning
from rlstir_core.investigator.policies.probing import run
from rlstir_core.investigator.policies.simple import RandomLegal
from rlstir_core.learning.acting_numbers import PpoNumbers

ROWS = [[str(k * k), str(k % 7 / 10), "01"[k % 2]] for k in range(80)]


def written(path: Path, rows: list[list[str]], header: str = "a,b,class") -> Path:
    path.write_text("\n".join([*filter(None, [header]), *(",".join(row) for row in rows)]) + "\n")
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
    "line 82 has 2 cells where the first has 3": [*ROWS, ["1", "2"]],
    "has 80 different values": [[*row[:2], str(k)] for k, row in enumerate(ROWS)],
    "has 1 different values": [[*row[:2], "0"] for row in ROWS],
    "class '2' has 2 rows": [*ROWS, ["1", "2", "2"], ["2", "1", "2.0"]],
    "the class, column 'class', is missing": changed(4, 2, ""),
    "needs at least 60": ROWS[:20],
    "column 'a' counts the rows from 7 to 86": [[str(7 + k * 3 % 80), *row[1:]] for k, row in enumerate(ROWS)],
    "line 9, column 'a' is '-1e+308'": changed(7, 0, "-1e308"),
    "has too few columns, 2 ('a b class', 'x')": [["a b class|x"]],
    "holds NULs, as binary files and UTF-16 do": [["\0", "1", "0"], *ROWS],
    "line 3, column 'b' is no number: '0;5'": changed(1, 1, "0;5"),
    "write decimals with a point": changed(1, 1, '"0,5"'),
    "line 81, column 'b' is missing ('nan')": changed(79, 1, "NaN"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_table_that_cannot_be_used_is_refused_with_the_place_and_the_remedy(sentence: str, tmp_path: Path) -> None:
    header = "" if len(REFUSED[sentence]) == 1 or "NULs" in sentence else "a,b,class"
    with pytest.raises(StoreError) as refusal:
        read_table(written(tmp_path / "t.csv", REFUSED[sentence], header))
    assert sentence in str(refusal.value).replace('"', "'") and "\n" not in str(refusal.value)


PLAIN = "\n".join(["a,b,class", *(",".join(row) for row in ROWS)]) + "\n"
WRITTEN = {
    "byte order mark, carriage returns": "\ufeff" + PLAIN.replace("\n", "\r\n"),
    "semicolons": PLAIN.replace(",", ";"),
    "tabs, and a line without anything": PLAIN.replace(",", "\t") + "\n",
    "quotes and blanks": PLAIN.replace("a,b,class", '"a","b","class"').replace(",", ", "),
    "classes as decimals, one of them not": PLAIN.replace(",1\n", ",1.0\n", 3),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_the_same_table_is_read_however_it_is_written(how: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(WRITTEN[how], encoding="utf-8", newline="")
    found, plain = read_table(tmp_path / "t.csv"), read_table(written(tmp_path / "p.csv", ROWS))
    assert (found.names, found.classes) == (plain.names, plain.classes) == (("a", "b"), ("0", "1"))
    assert (found.x_NC == plain.x_NC).all() and (found.class_N == plain.class_N).all()


@pytest.mark.parametrize(
    ("header", "names", "n"),
    [("", ("column_1", "column_2"), 80), ("0,1,2", ("0", "1"), 80), ("1,2,target", ("1", "2"), 80),
     (",b,class", ("column_1", "b"), 80), ("3.5,0.2,0", ("column_1", "column_2"), 81)],
)  # fmt: skip
def test_a_first_line_of_numbers_is_a_row_and_no_header(
    header: str, names: tuple[str, ...], n: int, tmp_path: Path
) -> None:
    table = read_table(written(tmp_path / "t.csv", ROWS[::-1], header))
    assert (table.names, len(table.class_N)) == (names, n)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a,1\n", "no cost of column"), ("a,1\nb,-2\n", "line 2: the cost of column 'b' is '-2'; give a number from"),
     ("a,1\nb,x\n", "is 'x'"), ("a,nan\nb,1\n", "is 'nan'"), ("a,1e308\nb,1\n", "is '1e308'"), ("a,1,1\n", "give two"),
     ("a,1\nb,1\nb,1\n", "second cost"), ("a,1\nb,1\nc,1\n", "no column"), ("b,2\n", "no cost of column .a"),
     ("", "is empty; give a CSV file with a column's name and its cost a line")],
)  # fmt: skip
def test_costs_that_do_not_fit_the_table_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(StoreError, match=sentence):
        read_table(written(tmp_path / "t.csv", ROWS), tmp_path / "c.csv")


def test_a_table_or_its_costs_that_are_no_file_or_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="is no file; give a CSV file with a header"):
        read_table(tmp_path)
    path = written(tmp_path / "t.csv", ROWS)
    with pytest.raises(StoreError, match=r"c\.csv is no file; give a CSV file with a column's name"):
        read_table(path, tmp_path / "c.csv")
    monkeypatch.setattr("rlstir_core.investigator.acquire.table._MOST_CELLS", 100)
    with pytest.raises(StoreError, match="more than 50 rows of 2 columns; give a part of the rows"):
        read_table(path)
    monkeypatch.setattr("rlstir_core.investigator.acquire.table._MOST_COLUMNS", 1)
    with pytest.raises(StoreError, match="has 3 columns; at most 1 and the class can be asked for, leave some out"):
        read_table(path)


def test_rows_are_dealt_once_with_equal_shares_of_classes(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("column,cost\nb,2.5\na,1\n")
    table = read_table(written(tmp_path / "t.csv", ROWS), tmp_path / "c.csv")
    assert table.cost_C.tolist() == [1, 2.5] and table.classes == ("0", "1")
    dealt = sides(table, 1)
    parts = [dealt.train, dealt.validation, dealt.test]
    assert sorted(np.concatenate([part.x_NC[:, 0] for part in parts]).tolist()) == [k * k for k in range(80)]
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


def test_an_outlook_says_how_far_every_column_would_move_the_answer(table: Table, classifier: Classifier) -> None:
    lanes = TableLanes(table, classifier, n_lanes=12, price=0.1, most=4)
    lanes.reset(0)
    lanes.step(np.arange(12) % 4)
    outlook, before_BK, state = lanes.outlook(), lanes.answer_BK.copy(), lanes.state()
    assert (np.isnan(outlook.move_BC) == lanes.mask_BC).all() and (np.isnan(outlook.gain_BC) == lanes.mask_BC).all()
    for column in range(4):
        lanes.step(np.full(12, column))
        moved_B = ((lanes.answer_BK - before_BK) ** 2).sum(1)
        lanes.restore(state)
        legal_B = ~lanes.mask_BC[:, column]
        assert outlook.move_BC[legal_B, column] == pytest.approx(moved_B[legal_B], abs=1e-6)


def test_who_learns_from_moves_asks_for_what_tells_the_class(table: Table, classifier: Classifier) -> None:
    lanes = TableLanes(table, classifier, n_lanes=96, price=0.0, most=2)
    learning = Learning(hidden=16, rounds=1, steps=8, epochs=2, least_steps=60, batch=128, learning_rate=1e-2)
    fitted = fit_by_moves(lanes.reads, lanes, lanes, seed=0, tell=str, learning=learning)
    assert run(fitted, lanes, 0).return_B.mean() > run(RandomLegal(), lanes, 0).return_B.mean()
    first_B = fitted.act(*lanes.reset(0))
    assert (first_B != 3).all()  # that column is noise


def test_a_move_is_worth_what_it_earned_and_the_usual_where_nothing_moves() -> None:
    gain_NC = np.array([[0.1, 0.3, 0.0], [0.1, np.nan, 0.0]], np.float32)
    move_NC = np.array([[0.2, 0.1, 0.0], [0.2, np.nan, 0.0]], np.float32)
    low, high, usual = worth(gain_NC, move_NC)
    assert 0.5 < low < 1 < high < 3 and usual == pytest.approx(0.5 / 0.5)
    assert np.isfinite(worth(gain_NC * 0, move_NC * 0)).all()


def test_a_gain_is_a_share_of_the_loss_that_is_expected() -> None:
    network = ShareNetwork(9, 2, 4, n_classes=2)
    seen_BO = torch.zeros(3, 9)
    seen_BO[:, 4:6] = torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    with torch.no_grad():
        gain_BC = network(seen_BO)
        assert torch.equal(gain_BC[0], 0.5 * GainNetwork.forward(network, seen_BO)[0])
    assert (gain_BC[0] == gain_BC[1]).all() and (gain_BC[2] == 0).all()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))
    return lambda name: importlib.import_module(f"benchmarks.acting.{name}").main


def test_the_commands_refuse_in_one_sentence(tmp_path: Path, load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = written(tmp_path / "t.csv", changed(1, 1, "low")), str(tmp_path / "o.jsonl")
    given = ["--csv", str(path)]
    for name, words, sentence in (
        ("acquire", [*given, "--out", out], "line 3, column 'b' is no number: 'low'"),
        ("acquire", ["--csv", str(tmp_path / "none.csv"), "--out", out], "is no file"),
        ("acquire", [*given, "--out", out, "--seeds", "0"], "--seeds is 0; give 1 or more"),
        ("acquire", [*given, "--out", str(tmp_path)], "cannot be written"),
        ("acquire", [*given, "--out", str(tmp_path / "no" / "o.jsonl")], "cannot be written"),
        ("acquire", [*given, "--out", str(path)], "is read as well; give another file"),
        ("toys", ["--seeds", "0"], "--seeds is 0; give 1 or more"),
        ("toys", ["--steps", "0"], "steps"),
    ):
        assert load(name)(words) == 2
        said = capsys.readouterr().err
        assert said.startswith("Error: ") and said.count("\n") == 1 and sentence in said
    assert not Path(out).exists() and path.read_text().startswith("a,b,class")
