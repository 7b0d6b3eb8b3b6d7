"""Figures of techniques and tactics by hand, and tables of what models say over ids of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation import whole_tables
from rlstir_core.evaluation.investigation.predictions import (
    NamedTechniques,
    Spoken,
    read_tactics,
    read_techniques,
    write_tactics,
    write_techniques,
)
from rlstir_core.evaluation.investigation.row_predictions import RowWriter, read_row_attacks
from rlstir_core.evaluation.investigation.technique_baselines import svm_scores
from rlstir_core.evaluation.investigation.technique_figures import (
    calibration_error,
    official_tactics,
    parted_f1,
    precision_at_coverage,
    tactic_scores,
)
from rlstir_core.evaluation.investigation.two_class import ranking_statistics, told_statistics
from rlstir_core.evaluation.stats.intervals import estimate
from rlstir_core.investigator.techniques.decide import Naming
from rlstir_core.investigator.techniques.kept import KeptDocuments

N = 40
NAMES = [f"e{n:02d}" for n in range(N)]


def info(name: str) -> EpisodeInfo:
    return EpisodeInfo(
        episode_id=name,
        host="h",
        profile="p",
        sample="s",
        benign=False,
        complete=True,
        t_start_wall_ns=0,
        t_end_wall_ns=1,
        content_sha256=name,
        logs=("logs/a.evtx",),
    )


def said(first: str, *more: str, named: tuple[str, ...] = ()) -> NamedTechniques:
    return NamedTechniques((first, *more), frozenset(named))


def test_what_models_say_is_written_with_ranks_and_read_back(tmp_path: Path) -> None:
    infos = [info("a"), info("b")]
    ids = [f"T{n}" for n in range(1000, 1012)]
    score = np.zeros((2, 12))
    score[0, [3, 11]] = 2.0, 1.5
    spoken = {"m": Spoken(ids, score, Naming(threshold=1.0)), "one": Spoken(["T1"], score[:, 3:4], Naming(margin=0.0))}
    write_techniques(tmp_path / "t.parquet", infos, spoken)
    read = read_techniques(tmp_path / "t.parquet")
    assert read["m"].said["a"].ranked[:2] == ("T1003", "T1011") and len(read["m"].said["a"].ranked) == 10
    assert read["m"].said["a"].named == {"T1003", "T1011"} and read["m"].said["b"].named == frozenset()
    assert (read["m"].score["a"], read["m"].margin["a"]) == (2.0, 0.5)
    assert read["one"].margin["b"] == float("inf") and read["one"].said["b"].named == {"T1"}
    write_tactics(tmp_path / "c.parquet", infos, ["impact", "discovery"], {"m": np.array([[0.1, 0.9], [0.6, 0.4]])})
    assert read_tactics(tmp_path / "c.parquet")["m"] == {"a": ("discovery", "impact"), "b": ("impact", "discovery")}


def test_seen_and_unseen_techniques_are_counted_apart() -> None:
    spoken = {name: said("T1", named=("T1",) if n % 2 else ("T1", "T2")) for n, name in enumerate(NAMES)}
    carried = {name: ("T1", "T2") if n % 4 == 0 else ("T1",) for n, name in enumerate(NAMES)}
    found = parted_f1(spoken, carried, {"T1"}, draws=50)
    assert found.seen.value == 1.0
    assert found.unseen.value == pytest.approx(2 * 10 / (20 + 10)) and found.unseen.lo is not None
    assert parted_f1(spoken, carried, {"T1", "T2"}, draws=50).unseen.value is None


def test_precision_falls_where_the_less_sure_are_wrong_and_equals_stand_together() -> None:
    spoken = {name: said("T1") for name in NAMES}
    carried = {name: ("T1",) if n < 20 else ("T2",) for n, name in enumerate(NAMES)}
    sure = {name: 1.0 if n < 20 else 0.5 for n, name in enumerate(NAMES)}
    points = precision_at_coverage(spoken, sure, carried, draws=50)
    assert [(point.coverage, point.n, point.precision.value) for point in points] == [(0.5, 20, 1.0), (1.0, 40, 0.5)]
    assert precision_at_coverage({}, {}, {}, draws=50) == ()


def test_a_model_that_is_half_right_where_it_says_so_is_calibrated() -> None:
    spoken = {name: said("T1") for name in NAMES}
    carried = {name: ("T1",) if n % 2 else () for n, name in enumerate(NAMES)}
    assert calibration_error(spoken, dict.fromkeys(NAMES, 0.5), carried, draws=50).value == pytest.approx(0.0)
    assert calibration_error(spoken, dict.fromkeys(NAMES, 0.9), carried, draws=50).value == pytest.approx(0.4)


def test_a_tactic_is_right_by_its_label_or_by_any_official_one_and_rare_ones_are_untested() -> None:
    spoken = dict.fromkeys(NAMES, ("execution", "impact"))
    tactics = ["execution"] * 18 + ["persistence"] * 18 + ["impact"] * 4
    labelled = {name: (tactic,) for name, tactic in zip(NAMES, tactics, strict=True)}
    carried = {name: ("T1053.005",) if n < 36 else () for n, name in enumerate(NAMES)}
    table = {"T1053": ("execution", "persistence")}
    found = tactic_scores(
        spoken, labelled, official_tactics(carried, table), {name: name[1] for name in NAMES}, draws=50
    )
    assert found.accuracy.value == pytest.approx(18 / 40) and found.any_of.value == 1.0
    assert found.tested == ("execution", "persistence") and found.untested == {"impact": 4}
    assert found.macro_f1.value == pytest.approx((2 * 18 / (40 + 18) + 0.0) / 2)
    nothing = tactic_scores({}, {}, {}, {}, draws=50)
    assert nothing.accuracy.value is None and nothing.macro_f1.value is None


def test_a_linear_svm_learns_words_and_never_names_what_no_document_carried() -> None:
    learnt = [{"lsass": 1.0, "a": 1.0}, {"lsass": 2.0}, {"cron": 1.0}, {"cron": 1.0, "a": 1.0}]
    y = np.array([[True, False, False], [True, False, False], [False, True, False], [False, True, False]])
    kept = KeptDocuments(learnt)
    asked = KeptDocuments([{"lsass": 1.0}, {"cron": 3.0, "new": 1.0}], kept)
    assert list(kept) == learnt and asked[1] == {"cron": 3.0, "new": 1.0} and asked[1:] == [asked[1]]
    assert list(kept.among([3, 0])) == [learnt[3], learnt[0]]
    turned = KeptDocuments(dict(reversed(each.items())) for each in learnt)
    assert turned.counts_EV.indices.tolist() == kept.counts_EV.indices.tolist()
    scores, empty = svm_scores(kept.counts_EV, y, [asked.counts_EV, asked.counts_EV[:0]])
    assert scores.argmax(axis=1).tolist() == [0, 1] and (scores[:, 2] < scores[:, :2].min()).all()
    assert empty.shape == (0, 3)
    silent = KeptDocuments([{}]).counts_EV
    assert (svm_scores(silent, np.zeros((1, 2), bool), [silent])[0] == -1e3).all()


def test_rows_that_are_told_one_episode_after_the_other_rank_as_all_of_them_at_once() -> None:
    rng = np.random.default_rng(3)
    parts = [
        (e, np.round(rng.random(n), 2), rng.random(n) < 0.2) for e, n in enumerate(rng.integers(0, 30, N).tolist())
    ]
    episode_N = np.repeat(np.arange(N), [len(p_N) for _, p_N, _ in parts])
    p_N, attack_N = (np.concatenate([part[at] for part in parts]) for at in (1, 2))
    told = told_statistics(lambda: iter(parts), N)
    assert told is not None
    for one, other in zip(
        told, ranking_statistics(p_N, attack_N, episode_N, [info(name) for name in NAMES]), strict=True
    ):
        assert np.array_equal(one.sums_US, other.sums_US)
        assert estimate(one, draws=50).value == pytest.approx(estimate(other, draws=50).value, abs=1e-12)
    assert told_statistics(lambda: iter([(0, p_N, np.zeros(len(p_N), np.bool_))]), 1) is None


def test_rows_come_back_by_episode_though_a_group_of_the_file_has_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_tables, "_ROWS", 12)
    said = {f"e{e}": np.linspace(e, e + 1, n) for e, n in enumerate((5, 0, 9, 3, 20, 1))}
    with RowWriter(tmp_path / "r.parquet") as writer:
        for name, p_N in said.items():
            table = pa.table({"member": ["a.log"] * len(p_N), "seq": np.arange(len(p_N))})
            writer.add(name, table, {"encoder": p_N, "other": -p_N})
    with pq.ParquetFile(tmp_path / "r.parquet") as file:
        assert 2 < file.num_row_groups < 12
    for model, sign in (("encoder", 1), ("other", -1)):
        back = dict(read_row_attacks(tmp_path / "r.parquet", model))
        assert list(back) == [name for name, p_N in said.items() if len(p_N)]
        assert all(np.allclose(p_N, sign * said[name]) for name, p_N in back.items())
