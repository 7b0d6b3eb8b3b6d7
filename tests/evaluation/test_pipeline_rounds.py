"""Several rounds and the random recipe from a tiny store to the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_store import Tiny

from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.beside.fitted import fit_baselines
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import AS_RECORDED, BASELINE, TEST, VALIDATION
from rlstir_core.detectors.single import IndexClaim
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe
from rlstir_core.evaluation.detectors.pairs import ScoreReader
from rlstir_core.evaluation.detectors.scoring import Scorer
from rlstir_core.evaluation.report.comparison import Written, outdated_pages, write_comparison
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.across import read_sums
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.scores import macro_f1
from rlstir_core.results.layout import Layout
from rlstir_core.staleness import stale_recipe_assets

pytestmark = pytest.mark.slow
SMALL = ("trees.rounds=10", "train.epochs=1", "train.min_epoch_steps=1", "train.views=1", "net.width=8", "net.layers=1",
         "train.device=cpu", "net.heads=2", "bootstrap_draws=200", "train.max_train_windows=100",
         "seeds=2")  # fmt: skip
HOSTS = ("host-a", "host-b", "host-c")


def options(recipe: str) -> StudyOptions:
    return StudyOptions(recipe=recipe, overrides=SMALL, split=SplitSettings(folds=2))


def silent(_: str) -> None:
    pass


def made(root: Path) -> Tiny:
    """Three hosts with eight episodes each, by both recipes; a fourth has logs alone."""
    tiny = Tiny(root / "tiny")
    for h, host in enumerate(HOSTS):
        for k in range(8):
            tiny.add(f"ep-{h}{k}", seed=10 * h + k, seconds=30.0, host=host, benign=k % 4 == 3)
    for k in range(2):
        tiny.add_logs(f"log-{k}", f"May  1 12:00:01 web sshd[7]: {k}", host="web")
    tiny.build_all()
    for host in tiny.hosts:
        build_log_events(tiny.store, tiny.layout, host)  # without a technique, so nothing is learnt from them
    return tiny


def told(tiny: Tiny, recipe: str) -> tuple[ReportInputs, Written]:
    layout, chosen = tiny.layout, options(recipe)
    build_split(layout, recipe, tiny.hosts, chosen.split)
    for mode in MODES:
        for model in MODELS:
            train_checkpoint(layout, chosen, model, mode, silent)
    fit_baselines(layout, chosen, silent)
    inputs, is_new = evaluate_recipe(layout, chosen, tiny.hosts, tiny.registry, silent)
    assert is_new
    written = write_comparison(layout, recipe)
    assert not any(stale_recipe_assets(layout, chosen, tiny.hosts, tiny.registry).values())
    return inputs, written


@pytest.fixture(scope="module")
def rounds(shared: Any) -> tuple[Tiny, dict[str, tuple[ReportInputs, Written]]]:
    """Look, do not touch."""

    def fill(root: Path) -> tuple[Tiny, dict[str, tuple[ReportInputs, Written]]]:
        tiny = made(root)
        return tiny, {recipe: told(tiny, recipe) for recipe in ("loho", "random")}

    found: tuple[Tiny, dict[str, tuple[ReportInputs, Written]]] = shared("rounds", fill)[1]
    return found


@pytest.fixture(scope="module")
def tiny(rounds: Any) -> Tiny:
    found: Tiny = rounds[0]
    return found


@pytest.fixture(scope="module")
def loho(rounds: Any) -> tuple[Study, ReportInputs, Written]:
    return open_study(rounds[0].layout, options("loho")), *rounds[1]["loho"]


@pytest.fixture(scope="module")
def drawn(rounds: Any) -> tuple[Study, ReportInputs, Written]:
    return open_study(rounds[0].layout, options("random")), *rounds[1]["random"]


def test_every_host_with_telemetry_is_in_the_pooled_figures_once(loho: Any) -> None:
    study, inputs, _ = loho
    assert len(study.split.rounds) == 4 and inputs.split.rounds == 4 and inputs.split.folds == 2
    for evaluation in (*inputs.models, *inputs.baselines):
        assert set(evaluation.per_host) == set(HOSTS) and evaluation.n_test_hosts == 3
        assert evaluation.n_test_episodes == 24 and evaluation.n_train_episodes == 26


def test_a_window_is_scored_once_in_the_round_that_holds_its_host_out(tiny: Tiny, loho: Any) -> None:
    study = loho[0]
    round_of = {name: place for place, each in enumerate(study.split.rounds) for name in each.test}
    for name, mode in (("gbt", "realistic"), ("lstm", "oracle"), ("clock", BASELINE)):
        table = pq.ParquetFile(tiny.layout.predictions("loho", name, mode)).read()
        rows = [row for row in table.to_pylist() if row["scene"] == TEST]
        assert len(rows) == len({(row["episode_id"], row["window"]) for row in rows}) > 0
        assert all(row["round"] == round_of[row["episode_id"]] for row in rows)


def test_the_reader_keeps_the_round_of_every_window_and_of_every_validation_window(tiny: Tiny, loho: Any) -> None:
    study = loho[0]
    episodes = study.load(study.split.episodes)
    test, train = (
        episodes.select(info.episode_id for info in side) for side in (study.split.tested, study.split.trained_on)
    )
    path = tiny.layout.predictions("loho", "gbt", "realistic")
    pairs = ScoreReader(test, train, study.schema).read(path, "gbt_realistic", "gbt", "realistic")
    truth, _ = pairs[TEST]
    held_out = [each.held_out[0] for each in study.split.rounds]
    assert truth.rounds == (0, 1, 2) and held_out == [*HOSTS, "web"]
    assert truth.episodes.host[truth.episode_N].tolist() == [held_out[place] for place in truth.round_N]
    validation, scores = pairs[VALIDATION]
    assert validation.rounds == (0, 1, 2, 3) and len(validation) == len(scores.proba_NK)
    for place, each in enumerate(study.split.rounds):
        seen = np.unique(validation.episode_N[validation.in_round(place)])
        assert set(validation.episodes.episode_id[seen]) <= set(each.train)


def test_alarms_over_rounds_have_thresholds_of_each_round_or_say_why_not(loho: Any) -> None:
    for evaluation in loho[1].models:
        for figure in evaluation.recall_at_fpr:
            assert figure.threshold is None
            assert figure.recall.value is not None or "non-attack windows" in figure.recall.note


def test_an_episode_scored_from_its_tarball_is_spoken_of_by_the_round_that_holds_its_host_out(
    tiny: Tiny, loho: Any
) -> None:
    scorer = Scorer(tiny.layout, tiny.store, "loho", silent)
    path = tiny.store / "episodes" / "host-b" / "ep-11.tar.zst"
    told = scorer.score(path, IndexClaim(), silent)
    assert "test side of recipe loho" in told.side and scorer.trained_on == (*HOSTS, "web")
    for says in told.models:
        table = pq.ParquetFile(tiny.layout.predictions("loho", says.model, says.mode)).read().to_pylist()
        rows = [row for row in table if row["scene"] == AS_RECORDED and row["episode_id"] == "ep-11"]
        assert {row["round"] for row in rows} == {1} and says.n_members == 2
        theirs = [sum(row[f"p_{phase}"] for phase in scorer.schema.attack_phases) for row in rows]
        assert np.allclose([says.attack[row["window"]] for row in rows], theirs, rtol=0, atol=1e-6)


def test_the_model_that_validation_chose_is_what_the_comparison_reports(loho: Any) -> None:
    _, inputs, written = loho
    realistic = [model for model in inputs.models if model.mode == "realistic"]
    best = max(realistic, key=lambda model: model.validation_macro_f1.value or 0.0)
    assert written.chosen == best and chosen_model(inputs) == (best, "validation")
    text = written.markdown.read_text()
    assert f"chosen on validation ({best.validation_macro_f1.value:.3f} there), is **{best.model}**" in text
    assert "Leave one host out" in text and "no result" not in text


def test_the_report_says_that_a_part_was_trained_on_and_how_large_it_was(loho: Any) -> None:
    facts = loho[1].facts
    assert "a member saw at most 100 windows a view" in facts["trained on a part"]


def test_the_random_recipe_says_that_it_is_no_result(drawn: Any) -> None:
    study, inputs, written = drawn
    assert not inputs.headline and not study.split.headline and inputs.recipe == "random"
    head = written.markdown.read_text().split("## Models")[0]
    assert "**These figures are no result.** Recipe `random` lets hosts, samples and days stand on both sides" in head
    assert "These figures are no result." in written.html.read_text()


def test_another_recipe_stands_in_the_same_table_and_puts_only_the_page_of_the_first_behind(
    tiny: Tiny, loho: Any, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "own")
    shutil.copytree(tiny.layout.data, layout.data)
    of_random, of_loho = layout.report_inputs("random"), layout.report_inputs("loho").read_bytes()
    made = of_random.read_bytes()
    of_random.unlink()
    alone = write_comparison(layout, "loho").inputs.honesty
    of_random.write_bytes(made)
    assert alone is not None and [column.recipe for column in alone.columns] == ["loho"]
    stale = stale_recipe_assets(layout, options("loho"), tiny.hosts, tiny.registry)
    assert {name for name, is_stale in stale.items() if is_stale} == {"comparison_v2"}
    assert "loho" in outdated_pages(layout)
    tables = [write_comparison(layout, recipe).inputs.honesty for recipe in ("loho", "random")]
    assert outdated_pages(layout) == [] and layout.report_inputs("loho").read_bytes() == of_loho
    evaluations = {model.name: model for model in loho[1].models}
    sums = read_sums(layout.episode_sums("loho", "phases"))
    for found in tables:
        assert found is not None and (found.easy, found.strict, found.left_out) == ("random", "loho", ())
        assert [column.recipe for column in found.columns] == ["random", "loho"]
        for row in found.rows:
            model = evaluations[f"{row.model}_{row.mode}"]
            assert row.cells["loho"] == model.metrics.macro_f1 and row.inflation.value is not None
            tested_K = np.array([phase in model.metrics.per_phase for phase in model.confusion.phases])
            value = float(macro_f1(sums[model.name].sums_ES.sum(axis=0), tested_K))
            assert value == pytest.approx(model.metrics.macro_f1.value)
    one, other = ({row.model: row.inflation for row in found.rows} for found in tables if found)
    assert one == other  # one table, in whichever report


def test_nothing_names_where_it_was_made(loho: Any, tiny: Tiny) -> None:
    root = str(Path(tiny.store).parent)
    for path in tiny.layout.evaluation("loho").rglob("*.json"):
        assert root not in path.read_text(), path.name
