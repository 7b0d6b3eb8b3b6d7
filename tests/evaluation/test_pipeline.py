"""The glue of evaluation on a real run: scenes, predictions, refusals, probes, the files of the report."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from host_run import EVERY, HOST, NAMES, ROWS, TEST_HOST, TRAIN_HOST, evaluated, options_of, silent, stale

from rlstir_core.atomic import write_bytes
from rlstir_core.datasets.checks import check_split
from rlstir_core.datasets.episodes import episode_table
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.split import make_split
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.beside.fitted import fit_baselines
from rlstir_core.detectors.blocks import in_blocks
from rlstir_core.detectors.checkpoint import load_detector, read_checkpoint
from rlstir_core.detectors.ensemble.combination import read_ensemble
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import AS_RECORDED, BASELINE, TEST, VALIDATION, scenes
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import believed_checkpoint, check_checkpoint, train_checkpoint
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.errors import RlstirError, SplitRefused, UpstreamMissing
from rlstir_core.evaluation.detectors import detector_eval
from rlstir_core.evaluation.detectors.context import describe_quality
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.detectors.elsewhere.falls import confusions, fall
from rlstir_core.evaluation.detectors.pairs import ScoreReader
from rlstir_core.evaluation.detectors.probes import best_stump, feature_aurocs
from rlstir_core.evaluation.report.comparison import write_comparison
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.report.summary import closing_summary
from rlstir_core.evaluation.stats.counts import confusion_sums
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.remedies import how_to_make, how_to_make_all
from rlstir_core.results.layout import Layout

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(driven: Any) -> Study:
    return open_study(driven.layout, HOST)


@pytest.fixture(scope="module")
def episodes(study: Study) -> EpisodeSet:
    """Both sides."""
    return study.load(study.split.episodes)


def predictions(driven: Any, name: str) -> Any:
    model, mode = name.split("_")
    return pq.ParquetFile(driven.layout.predictions("host", model, mode)).read()


# Scenes and predictions


def test_predictions_hold_probabilities_of_every_scene_and_no_label(driven: Any) -> None:
    for name in ROWS:
        table = predictions(driven, name)
        columns = [f"p_{phase}" for phase in driven.registry.phases]
        assert table.column_names == ["scene", "round", "episode_id", "window", "seconds_seen", *columns]
        assert set(table["scene"].to_pylist()) == {VALIDATION, TEST, AS_RECORDED}
        assert set(table["round"].to_pylist()) == {0}
        proba = np.stack([table[column].to_numpy() for column in columns], axis=1)
        assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_predictions_are_all_written_before_the_first_label_is_joined(
    own_driven: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: own_driven.layout.predictions("host", *name.split("_")) for name in NAMES}
    for path in (*files.values(), own_driven.layout.report_inputs("host")):
        path.unlink()

    class FirstLabel(Exception):
        pass

    class Joins(ScoreReader):
        def read(self, *_: object) -> Any:
            raise FirstLabel

    monkeypatch.setattr(detector_eval, "ScoreReader", Joins)
    with pytest.raises(FirstLabel):
        evaluated(own_driven)
    assert all(path.is_file() for path in files.values())
    for name in ("majority", "clock", "metadata-only"):  # written before, by a step of their own
        assert own_driven.layout.predictions("host", name, BASELINE).is_file()


def test_a_prediction_does_not_change_with_the_labels_of_the_test_side(
    driven: Any, study: Study, episodes: EpisodeSet
) -> None:
    def wrong(recording: Recording) -> Recording:
        return dataclasses.replace(recording, label_W=np.where(recording.label_W >= 0, 0, -1))

    tested = episodes.select(info.episode_id for info in study.split.tested)
    for model in ("gbt", "gru"):
        inputs = study.input_schema(MODELS[model].kind, "realistic")
        _, members = load_detector(driven.layout.checkpoint("host", model, "realistic"), inputs)
        scene = next(scene for scene in scenes(study.schema) if scene.name == TEST)
        one, two = (
            [members.predict_round(0, block) for block in in_blocks(episodes, recordings, inputs, scene.view)]
            for recordings in (tested, [wrong(recording) for recording in tested])
        )
        assert len(one) == len(two) == 1 and np.array_equal(*one, *two)


def test_what_does_harm_is_measured_against_the_very_predictions_and_by_hiding_what_a_mode_adds(
    driven: Any, study: Study, episodes: EpisodeSet
) -> None:
    added = set(study.shared["oracle"]) - set(study.shared["realistic"])
    for trained in (
        believed_checkpoint(study, "gbt", "oracle"),
        read_ensemble(driven.layout.checkpoint("host", "ensemble", "oracle")),
    ):
        reader = ScoreReader(
            episodes.select(study.split.rounds[0].test), episodes.select(study.split.rounds[0].train), study.schema
        )
        said = driven.layout.predictions("host", trained.model, "oracle")
        truth, scores = reader.read(said, "", trained.model, "oracle")[TEST]
        wanted = confusion_sums(truth, scores.predicted_N).sum(axis=0)
        whole, blind = confusions(study, episodes, trained, [study.shared["oracle"]])
        assert np.array_equal(whole.sum(axis=0), wanted) and not np.array_equal(whole, blind)
        tested_K = np.ones(len(study.schema.phases), bool)
        found = fall(study, episodes, trained, Estimate(value=-0.1), tested_K, draws=50)
        assert {each.what for each in found.without if each.channels == 1} >= added
        values = [each.change.value or 0.0 for each in found.without]
        assert values == sorted(values, reverse=True)


def test_test_scenes_show_test_episodes_and_validation_shows_train_episodes(driven: Any, study: Study) -> None:
    table = predictions(driven, "gbt_realistic")
    shown: dict[str, set[str]] = {}
    for scene, episode in zip(table["scene"].to_pylist(), table["episode_id"].to_pylist(), strict=True):
        shown.setdefault(scene, set()).add(episode)
    (only,) = study.split.rounds
    assert shown[TEST] <= set(only.test) and shown[VALIDATION] <= set(only.train)
    assert shown[AS_RECORDED] == set(only.test)


def test_joining_gives_each_window_the_label_that_the_window_table_holds(
    driven: Any, study: Study, episodes: EpisodeSet
) -> None:
    path = driven.layout.predictions("host", "gbt", "realistic")
    test, train = (
        episodes.select(info.episode_id for info in side) for side in (study.split.tested, study.split.trained_on)
    )
    pairs = ScoreReader(test, train, study.schema).read(path, "gbt_realistic", "gbt", "realistic")
    table = predictions(driven, "gbt_realistic")
    for scene, side in ((AS_RECORDED, test), (TEST, test), (VALIDATION, train)):
        truth, scores = pairs[scene]
        rows = [row for row in table.select(["scene", "episode_id", "window"]).to_pylist() if row["scene"] == scene]
        label_of = {recording.info.episode_id: recording.label_W for recording in side}
        assert len(truth) == len(scores.proba_NK) == len(rows) > 0 and truth.rounds == (0,)
        assert truth.y_N.tolist() == [label_of[row["episode_id"]][row["window"]] for row in rows]


# Refusals


def test_a_split_of_other_settings_is_refused_with_the_command_that_makes_it(own_driven: Any) -> None:
    other = options_of(split=SplitSettings(folds=2))
    for step in (lambda: evaluated(own_driven, other), lambda: fit_baselines(own_driven.layout, other, silent)):
        with pytest.raises(UpstreamMissing, match=r"made with other hosts, corpora, folds or seed") as refusal:
            step()
        assert how_to_make("split", "host") in str(refusal.value)


def test_a_checkpoint_of_another_split_is_refused_with_the_command_that_trains_it(own_driven: Any) -> None:
    other = options_of(split=SplitSettings(folds=2))
    build_split(own_driven.layout, "host", own_driven.index.hosts, other.split)
    assert stale(own_driven, other) == EVERY - {"split", "tokenizer"}  # which sees all folds
    with pytest.raises(UpstreamMissing, match=r"another split") as refusal:
        evaluated(own_driven, other)
    sentence = str(refusal.value)
    assert all(name in sentence for name in ("gbt_realistic", "checkpoint/transformer_oracle", "baselines"))
    assert sentence.endswith(f"make these 13 with: {how_to_make_all('group:detectors', 'host')}")


def test_all_that_is_missing_is_named_at_once_with_one_command(own_driven: Any) -> None:
    for model in ("gru", "lstm"):
        own_driven.layout.checkpoint("host", model, "oracle").unlink()
    with pytest.raises(UpstreamMissing, match=r"gru_oracle\.ckpt\.json is missing, .*lstm_oracle; ") as refusal:
        evaluated(own_driven)
    selection = "key:checkpoint/gru_oracle or key:checkpoint/lstm_oracle"
    assert str(refusal.value).endswith(f"make these 2 with: {how_to_make_all(selection, 'host')}")
    own_driven.layout.split("host").unlink()
    with pytest.raises(UpstreamMissing, match="is missing") as refusal:
        evaluated(own_driven)
    assert str(refusal.value).endswith(how_to_make_all("+key:detector_eval", "host"))


def test_a_missing_checkpoint_is_named_with_the_command_that_makes_it(own_driven: Any) -> None:
    own_driven.layout.checkpoint("host", "lstm", "oracle").unlink()
    says = r"lstm_oracle\.ckpt\.json is missing; make it with: .*key:checkpoint/lstm_oracle"
    with pytest.raises(UpstreamMissing, match=says):
        evaluated(own_driven)
    assert stale(own_driven) == {"checkpoint/lstm_oracle", "detector_eval", "comparison_v2"}


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_baselines_of_which_a_file_is_lost_or_changed_are_named_with_their_command(
    own_driven: Any, damage: Callable[[Path], object]
) -> None:
    damage(own_driven.layout.predictions("host", "clock", BASELINE))
    with pytest.raises(UpstreamMissing, match=re.escape(how_to_make("baselines", "host"))):
        evaluated(own_driven)
    assert stale(own_driven) == {"baselines", "detector_eval", "comparison_v2"}


def test_a_checkpoint_of_another_schema_is_refused_by_both_hashes(driven: Any, study: Study) -> None:
    path = driven.layout.checkpoint("host", "gbt", "realistic")
    mine = study.input_schema("summary", "realistic")
    other = msgspec.structs.replace(mine, feature_schema_sha256="0" * 64)
    with pytest.raises(ValueError) as refusal:
        load_detector(path, other)
    assert mine.sha256[:12] in str(refusal.value) and other.sha256[:12] in str(refusal.value)
    checkpoint = msgspec.structs.replace(read_checkpoint(path), input_schema=other)
    checks = {check.name: check.holds for check in check_checkpoint(study, checkpoint)}
    assert checks == {"schema_hash": False, "leaked_fits": True}


def test_a_report_without_an_evaluation_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UpstreamMissing, match=re.escape(how_to_make("detector_eval", "host"))):
        write_comparison(Layout(tmp_path), "host")


def test_a_damaged_evaluation_is_made_again_and_not_believed(own_driven: Any) -> None:
    write_bytes(own_driven.layout.report_inputs("host"), b'{"recipe": 3}')
    assert read_inputs(own_driven.layout, "host") is None
    assert stale(own_driven) == {"detector_eval", "comparison_v2"}


# What stands around the scores


def test_untested_phases_and_profiles_are_listed_by_name(driven: Any) -> None:
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None
    assert "scan-and-dial" in {row.name for row in inputs.untested if row.kind == "profile"}
    assert all(row.reason for row in inputs.untested)
    tested = set(inputs.models[0].metrics.per_phase)
    assert not tested & {row.name for row in inputs.untested if row.kind == "phase"}


def test_the_quality_section_names_the_torn_line_and_the_degraded_host(driven: Any) -> None:
    quality = describe_quality(driven.layout, driven.index.hosts, driven.registry)
    fault = driven.index.faults[0]
    assert [f"line {found.line}: {found.detail}" for found in quality.index_faults] == [fault.detail]
    assert "two records in one line, both kept" in quality.index_faults[0].detail
    hosts = {row.host: row for row in quality.hosts}
    assert hosts[TEST_HOST].degraded > hosts[TRAIN_HOST].degraded == 0
    assert quality.index_records == len(driven.index.entries) == quality.index_lines + 1
    assert {row.profile for row in quality.low_diversity} >= {"cpu-saturate", "low-and-slow"}


def test_a_synthetic_store_has_its_leakage_checks_printed(driven: Any) -> None:
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None and inputs.synthetic
    names = " ".join(probe.name for probe in inputs.probes)
    for words in ("clock", "metadata-only", "stump", "random split", "held out"):
        assert words in names
    assert {probe.verdict for probe in inputs.probes} <= {"ok", "leak", "outside", "not measured"}


def test_the_stump_finds_a_column_that_gives_the_label_away(study: Study, episodes: EpisodeSet) -> None:
    attack = np.array([phase in study.schema.attack_phases for phase in study.schema.phases])
    told = study.schema.columns[3]

    def features(columns: Sequence[str]) -> Callable[[Recording], np.ndarray]:
        really, place = episodes.features(columns), list(columns).index(told)

        def marked(recording: Recording) -> np.ndarray:
            x_WF = really(recording).copy()
            x_WF[:, place] = -attack[recording.label_W].astype(np.float32)  # either way round
            return x_WF

        return marked

    assert best_stump(dataclasses.replace(episodes, features=features)) == (1.0, told)


def test_column_aurocs_agree_with_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    x_NF = rng.normal(size=(200, 7)).round(1).astype(np.float32)
    positive_N = rng.random(200) < 0.3
    expected = [roc_auc_score(positive_N, x_NF[:, f]) for f in range(7)]
    assert np.allclose(feature_aurocs(x_NF, positive_N), expected)


def test_the_closing_summary_fits_on_a_screen_and_says_what_comes_next(driven: Any) -> None:
    lines = closing_summary(driven.data, {"host": driven.layout.report("host")}, "rlstir ui")
    assert len(lines) <= 25 and lines[0] == "store: 16 episodes of 2 hosts"
    text = "\n".join(lines)
    said = ("16 synthetic episodes", "best by validation", "encoder on 8 held-out episodes", "untested")
    for words in (*said, "comparison_v2.md", "next: "):
        assert words in text
    assert closing_summary(driven.data, {}, "rlstir ui") == [
        "store: 16 episodes of 2 hosts",
        "no report was made",
        "next: rlstir ui",
    ]


def test_every_link_of_the_report_leads_to_a_file(driven: Any) -> None:
    report = driven.layout.report("host")
    links = re.findall(r"\[[^]]+\]\(([^)]+)\)", report.read_text())
    assert sum(not link.startswith("plots/") for link in links) == 14 * 3 + 3 * 2 + 3 + 7 + 2
    for link in links:
        assert (report.parent / link).is_file(), link
    page = report.with_suffix(".html").read_text()
    assert all(f'href="{link}"' in page for link in links if not link.startswith("plots/"))


def test_the_report_says_which_sources_the_test_side_lacks(driven: Any) -> None:
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None
    rows = [row for row in read_validation(driven.layout.validation(TEST_HOST)) if row.verdict == "degraded"]
    test = inputs.split.test
    assert test.degraded == len(rows) > 0
    assert sum(cause.episodes for cause in test.causes) >= len(rows)
    missing = {source for row in rows for source in row.missing_sources}
    assert {cause.source for cause in test.causes if cause.reason == "channel.missing"} == missing
    times = [(row.t_start_wall_ns, row.t_end_wall_ns) for h in driven.index.hosts
             for row in read_validation(driven.layout.validation(h))]  # fmt: skip
    assert inputs.quality.first_wall_ns == min(t[0] for t in times if t[0])
    assert inputs.quality.last_wall_ns == max(t[1] for t in times if t[1])


def test_the_model_that_validation_chose_is_what_the_comparison_reports(own_driven: Any) -> None:
    inputs = read_inputs(own_driven.layout, "host")
    assert inputs is not None and inputs.headline
    best = max((m for m in inputs.models if m.mode == "realistic"), key=lambda m: m.validation_macro_f1.value or 0)
    assert write_comparison(own_driven.layout, "host").chosen == best and chosen_model(inputs) == (best, "validation")


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "host"])
def test_other_recipes_split_the_same_store_or_say_why_not(driven: Any, recipe: str) -> None:
    try:
        split, twins = make_split(recipe, episode_table(driven.layout, driven.index.hosts))
    except SplitRefused as refusal:
        assert len(str(refusal).splitlines()) == 1
        return
    assert all(check.holds for check in check_split(split, twins))


def test_every_refusal_of_the_glue_is_one_sentence_of_the_projects_own_kind(tmp_path: Path) -> None:
    nothing = Layout(tmp_path / "nothing")
    for step in (lambda: open_study(nothing, HOST), lambda: fit_baselines(nothing, HOST, silent),
                 lambda: train_checkpoint(nothing, HOST, "gbt", "realistic", silent)):  # fmt: skip
        with pytest.raises(RlstirError) as refusal:
            step()
        assert "\n" not in str(refusal.value) and "make it with" in str(refusal.value)
