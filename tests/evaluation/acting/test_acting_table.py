"""The table of investigations: what is written is read back, and a table that is not one is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from acting.simulated import by_hand

from rlstir_core.errors import StoreError
from rlstir_core.evaluation.acting import table as tables
from rlstir_core.evaluation.acting.judging import judge
from rlstir_core.evaluation.acting.table import InvestigationWriter, SaidStretch, read_runs
from rlstir_core.evaluation.acting.truth import EpisodeTruth, Truths
from rlstir_core.evaluation.acting.watched import Grid, watch

SPAN = SaidStretch(channel="evtx", t_start_wall_ns=5, t_end_wall_ns=9, score=0.5)
ONE = by_hand(
    "b", ("alert", 0, [], 0.25), ("near", 2, [7, 8], 0.5), ("stop", 0, [], 0.5),
    techniques=["T1", "T2"], scores=[0.5, 0.25], spans=[SPAN],
)  # fmt: skip
OTHER = by_hand("a", ("alert", 0, [], 0.125), ("far", 1.5, [1], 0.75), host="g")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with InvestigationWriter(tmp_path / "t.parquet") as writer:
        writer.add("greedy", 0, [ONE, OTHER])
        writer.add("ppo", 1, [ONE, OTHER])
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("block", [1, 1000])
def test_a_table_is_read_back_run_by_run_whatever_the_blocks(
    path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(tables, "_BLOCK", block)
    runs = list(read_runs(path))
    assert [(run.policy, run.seed) for run in runs] == [("greedy", 0), ("ppo", 1)]
    run = runs[1]
    assert run.episode_E == ["a", "b"] and run.host_E == ["g", "h"]
    assert run.first_E.tolist() == [0, 2, 5]
    assert [run.actions[a] for a in run.action_N] == ["alert", "far", "alert", "near", "stop"]
    assert run.paid_N.tolist() == [0, 1.5, 0, 2, 2] and run.p_risk_N.tolist() == [0.125, 0.75, 0.25, 0.5, 0.5]
    assert run.row_R.tolist() == [1, 7, 8] and run.step_R.tolist() == [1, 3, 3]
    assert list(zip(run.technique_D, run.score_D, run.episode_D, strict=True)) == [("T1", 0.5, 1), ("T2", 0.25, 1)]
    assert list(run.span_P) == [SPAN] and run.episode_P.tolist() == [1]
    assert pq.read_table(path)["n_revealed"].to_pylist()[:5] == [0, 1, 0, 2, 2]


def test_runs_are_written_in_order_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="runs come in order"), InvestigationWriter(tmp_path / "t.parquet") as writer:
        writer.add("ppo", 0, [ONE])
        writer.add("ppo", 0, [ONE])
    assert not list(tmp_path.glob("*.parquet"))


def put(column: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        at = table.schema.get_field_index(column)
        return table.set_column(at, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.drop_columns(["rows"]), "has no column rows"),
        (lambda t: t.set_column(4, "step", pa.array(["0"] * len(t))), "column step is 'string' and not int32"),
        (lambda t: t.slice(0, 0), "has no row"),
        (put("host", 3, None), "column host has empty cells"),
        (put("step", 1, 4), "steps do not count from 0 up"),
        (put("episode_id", 0, "c"), "an episode stands twice or out of order"),
        (put("action", 0, "near"), "the alert is not the first step"),
        (put("action", 1, "alert"), "the alert is not the first step"),
        (put("cost", 1, -1.0), "a cost is negative"),
        (put("cost", 1, float("nan")), "a cost is negative or no number"),
        (put("cumulative_cost", 1, 9.0), "the cumulative cost is not the sum"),
        (put("p_risk", 1, 1.5), "a probability is not between 0 and 1"),
        (put("p_tampered", 1, float("nan")), "a probability is not between 0 and 1"),
        (put("n_revealed", 1, 3), "the count of revealed rows is not that of the rows"),
        (put("rows", 1, [-1]), "a row has a negative place"),
        (put("rows", 1, [None]), "a row has a negative place"),
        (put("stopped", 1, False), "the last step of a case, and no other"),
        (put("spans", 0, []), "something is declared before the last step"),
        (put("scores", 4, [0.5]), "do not each have a name and a score"),
        (put("scores", 4, [0.5, float("inf")]), "do not each have a name and a score"),
        (put("spans", 4, [{"channel": "x", "t_start_wall_ns": 5, "t_end_wall_ns": 1, "score": 1}]), "ends before"),
        (put("spans", 4, [None]), "do not each have a name and a score"),
        (put("action", 1, "x" * 201), "a name is empty or longer than 200"),
        (lambda t: pa.concat_tables([t.slice(5), t.slice(0, 5)]), "does not stand in order of policy and seed"),
        (lambda t: pa.concat_tables([t, t]), "does not stand in order of policy and seed"),
    ],
)
def test_a_table_that_is_not_what_it_says_is_refused_in_a_sentence(
    path: Path, change: Callable[[Any], Any], sentence: str
) -> None:
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(StoreError, match=sentence) as refused:
        list(read_runs(path))
    assert "evaluate again" in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_no_table_is_refused(path: Path) -> None:
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(StoreError, match="cannot be read as a table"):
        list(read_runs(path))
    pq.write_table(pa.table({"cumulative_cost": ["two"]}), path)
    with pytest.raises(StoreError, match="cannot be read as a table"):
        Grid.of(path, 1.0)


@pytest.mark.parametrize("column", ["policy", "episode_id", "action"])
def test_names_that_are_no_text_are_refused(path: Path, column: str) -> None:
    table = pq.read_table(path)
    raw = pa.array([b"\xff"] * len(table), pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, raw), path)
    with pytest.raises(StoreError, match="evaluate again"):
        list(read_runs(path))


@pytest.mark.parametrize(
    ("truths", "sentence"),
    [
        (["b"], "'a' is one too many or missing"),
        (["a", "b", "c"], "'c' is one too many or missing"),
        (["a", "b"], "names other hosts"),
    ],
)
def test_a_run_on_other_episodes_or_hosts_is_refused(path: Path, truths: list[str], sentence: str) -> None:
    of = Truths(EpisodeTruth(episode_id=name, host="h", attack=True) for name in truths)
    with pytest.raises(StoreError, match=sentence):
        watch(path, next(read_runs(path)), of, Grid.of(path, 2.0))


def test_a_truth_that_contradicts_itself_is_a_defect() -> None:
    with pytest.raises(ValueError, match="is no attack and carries techniques"):
        Truths([EpisodeTruth(episode_id="a", host="h", attack=False, rows={"T1": (1,)})])
    with pytest.raises(ValueError, match="two truths"):
        Truths([EpisodeTruth(episode_id="a", host="h", attack=False)] * 2)


def test_nothing_is_judged_that_validation_or_test_did_not_see(path: Path, tmp_path: Path) -> None:
    truths = [EpisodeTruth(episode_id="a", host="g", attack=True), EpisodeTruth(episode_id="b", host="h", attack=False)]
    only = tmp_path / "greedy.parquet"
    with InvestigationWriter(only) as writer:
        writer.add("greedy", 0, [ONE, OTHER])
    with pytest.raises(StoreError, match=r"policy 'ppo' has no run in .*greedy\.parquet"):
        judge(path, only, truths, truths, budget=2.0, recipe="host")
    with pytest.raises(StoreError, match="has no run of policy 'ppo'"):
        judge(only, path, truths, truths, budget=2.0, recipe="host")
    with pytest.raises(StoreError, match="a side has no episode"):
        judge(path, path, truths, [], budget=2.0, recipe="host")
