"""Scoring one episode from its tarball: the pipeline's probabilities, without labels and without the pipeline."""

from __future__ import annotations

import copy
import io
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard
from host_run import ROWS, TEST_HOST, TRAIN_HOST, silent

from rlstir_core.contract.registry import MODES
from rlstir_core.detectors import single as single_module
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.scenes import AS_RECORDED
from rlstir_core.detectors.single import IndexClaim, Standing, open_single, same_schema, spoken_single, standing_of
from rlstir_core.detectors.unusual import TrainRange, train_range, unusual
from rlstir_core.errors import CheckpointError, ConfigError, SchemaMismatch, StoreError, UpstreamMissing
from rlstir_core.evaluation.detectors import scoring
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.detectors.saying.records import phase_runs
from rlstir_core.evaluation.detectors.scoring import Scorer, default_recipe
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.features import episode_features
from rlstir_core.telemetry.windows import WindowGrid

PHASES = ("clean", "armed", "infecting")


@pytest.fixture(scope="module")
def scorer(driven: Any) -> Scorer:
    return Scorer(driven.layout, driven.store, "host", silent)


def tarballs(driven: Any, host: str) -> list[Path]:
    return sorted((driven.store / "episodes" / host).glob("*.tar.zst"))


def repacked(path: Path, target: Path, **members: bytes | None) -> Path:
    """A copy of a tarball with other members: `labels=None` takes `labels.jsonl` out, bytes replace it."""
    changed = {f"{name}.jsonl": data for name, data in members.items()}
    raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(raw)) as old,
        tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for member in old.getmembers():
            data = changed.get(member.name, old.extractfile(member).read())  # type: ignore[union-attr]
            if data is not None:
                info = tarfile.TarInfo(member.name)
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))
    target.write_bytes(zstandard.ZstdCompressor().compress(out.getvalue()))
    return target


def of_own(scorer: Scorer) -> list[Any]:
    """The checkpoints with members of their own."""
    return [each for each in scorer.loaded if each.members.members]


@pytest.mark.slow
def test_a_test_episode_scored_from_its_tarball_has_the_probabilities_of_the_pipeline(
    driven: Any, scorer: Scorer
) -> None:
    path = tarballs(driven, TEST_HOST)[0]
    single = open_single(path, IndexClaim(), scorer.registry, scorer.schema)
    for each in of_own(scorer):
        table = (
            pq.ParquetFile(driven.layout.predictions("host", each.checkpoint.model, each.checkpoint.mode))
            .read()
            .to_pylist()
        )
        rows = {
            row["window"]: row
            for row in table
            if row["scene"] == AS_RECORDED and row["episode_id"] == path.name.removesuffix(".tar.zst")
        }
        place = standing_of(each.checkpoint, scorer.split, single.recording.info)
        assert place.side == "test"
        spoken = spoken_single(each.members, each.checkpoint.input_schema, single, place)
        mine = np.mean([proba_NK for *_, proba_NK in spoken], axis=0)
        theirs = np.array([[rows[w][f"p_{phase}"] for phase in scorer.schema.phases] for w in sorted(rows)])
        assert len(rows) > 3 and np.abs(mine[sorted(rows)] - theirs).max() < 1e-6, each.name
        assert [rows[w]["seconds_seen"] for w in sorted(rows)] == single.seconds_W[sorted(rows)].tolist()


@pytest.mark.slow
def test_features_made_a_few_windows_at_a_time_are_those_of_the_whole_recording(
    driven: Any, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_module, "_WINDOWS_AT_ONCE", 2)
    single = open_single(tarballs(driven, TEST_HOST)[0], IndexClaim(), scorer.registry, scorer.schema)
    columns = scorer.schema.columns
    made = single.episodes.features(columns)(single.recording)
    whole = episode_features(single.x_CT, scorer.schema, single.recording.grid)
    assert len(made) > 4 and np.array_equal(made, whole, equal_nan=True)


@pytest.mark.slow
def test_labels_are_not_read_so_none_and_lies_change_nothing(driven: Any, scorer: Scorer, tmp_path: Path) -> None:
    path = tarballs(driven, TEST_HOST)[0]
    told = scorer.score(path, IndexClaim(), silent)
    for labels in (None, b"no JSON at all"):
        other = scorer.score(repacked(path, tmp_path / "copy.tar.zst", labels=labels), IndexClaim(), silent)
        assert msgspec.structs.replace(other, path=told.path) == told
    assert told.models[0].name == scorer.chosen and [says.chosen for says in told.models] == [True] + [False] * 13
    assert sorted(says.name for says in told.models) == sorted(ROWS)


@pytest.mark.slow
def test_a_train_episode_is_spoken_of_by_the_member_that_left_it_out_and_the_output_says_so(
    driven: Any, scorer: Scorer, tmp_path: Path
) -> None:
    copy = tmp_path / "renamed.tar.zst"
    copy.write_bytes(tarballs(driven, TRAIN_HOST)[0].read_bytes())  # its content gives it away
    told = scorer.score(copy, IndexClaim(), silent)
    assert "train side of recipe host: 1 of 3 members" in told.side and "do not take this for a test" in told.side
    first = of_own(scorer)[0]
    place = standing_of(
        first.checkpoint,
        scorer.split,
        open_single(copy, IndexClaim(), scorer.registry, scorer.schema).recording.info,
    )
    ((_, fold),) = place.members
    assert told.episode_id in next(m.validation_episodes for m in first.checkpoint.members if m.fold == fold)


def judged(scorer: Scorer, of_rounds: dict[str, float], **changes: Any) -> scoring._Loaded:
    """The first checkpoint as if validation had chosen these thresholds."""
    first = of_own(scorer)[0]
    assert first.evaluation is not None
    found = msgspec.structs.replace(first.evaluation.recall_at_fpr[0], of_rounds=of_rounds, **changes)
    evaluation = msgspec.structs.replace(first.evaluation, recall_at_fpr=(found,))
    return scoring._Loaded(checkpoint=first.checkpoint, members=first.members, evaluation=evaluation)


@pytest.mark.slow
def test_the_first_window_over_the_threshold_that_validation_chose_is_the_alarm(scorer: Scorer) -> None:
    proba = np.zeros((4, len(scorer.schema.phases)))
    at = scorer.schema.phases.index(scorer.schema.attack_phases[0])
    proba[:, at], proba[:, at - 1] = [0.1, 0.4, 0.6, 0.9], [0.9, 0.6, 0.4, 0.1]
    seconds, place = np.array([10.0, 14.0, 20.0, 25.0]), Standing(side="test", members=((0, 0), (0, 1)))
    said = scorer._says(judged(scorer, {"1": 0.4}), place, seconds, proba)
    assert (said.first_alarm_s, said.alarm) == (14.0, "first alarm 14 s after the start")
    assert (
        "1 % false positives on validation" in said.threshold_from and f"{said.name}_eval.json" in said.threshold_from
    )
    assert (said.highest, said.highest_at_s) == (0.9, 25.0)
    assert scorer._says(judged(scorer, {"1": 0.95}), place, seconds, proba).alarm == "no alarm"
    earlier = judged(scorer, {}, threshold=0.4)
    none = scorer._says(earlier, place, seconds, proba)
    assert none.threshold is None and none.alarm == "no threshold, so no alarm can be told"
    assert none.threshold_from.startswith("the evaluation is of an earlier form; make it again with: ")
    assert none.threshold_from.endswith("detector_eval")
    refused = judged(scorer, {}, threshold=None, recall=Estimate(value=None, note="too few windows"))
    assert scorer._says(refused, place, seconds, proba).threshold_from == "too few windows"
    other = copy.copy(scorer)
    other.schema = msgspec.structs.replace(scorer.schema, attack_phases=scorer.schema.phases)
    untold = other._says(judged(scorer, {"1": 0.4}), place, seconds, proba)
    assert (untold.attack, untold.highest, untold.threshold) == ((), None, None)
    assert untold.alarm == "no alarm can be told" and "there is no rest" in untold.threshold_from


@pytest.mark.slow
def test_the_thresholds_are_those_of_the_evaluation(driven: Any, scorer: Scorer) -> None:
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None
    chosen = {each.name: each.recall_at_fpr[0] for each in inputs.models}
    for says in scorer.score(tarballs(driven, TEST_HOST)[0], IndexClaim(), silent).models:
        assert says.threshold == chosen[says.name].threshold
        if says.threshold is None:  # too few windows on validation, and it says how many
            assert says.threshold_from == chosen[says.name].recall.note


@pytest.mark.slow
def test_a_threshold_of_a_round_counts_for_its_episodes_and_of_another_checkpoint_for_none(scorer: Scorer) -> None:
    rounds = judged(scorer, {"1": 0.5, "2": 0.75})
    second = scorer._threshold(rounds, Standing(side="test", members=((1, 0), (1, 1))))
    assert second[0] == 0.75 and "of round 2" in second[1]
    assert scorer._threshold(rounds, Standing(side="none", members=((0, 0), (1, 0))))[0] is None
    stale = scoring._Loaded(checkpoint=rounds.checkpoint, members=rounds.members, evaluation=None, stale=True)
    value, why = scorer._threshold(stale, Standing(side="test", members=((0, 0),)))
    assert value is None and why.startswith("the evaluation is of another checkpoint; make it with: ")


@pytest.mark.slow
def test_a_split_made_again_since_leaves_the_side_unknown(scorer: Scorer) -> None:
    checkpoint = of_own(scorer)[0].checkpoint
    assert scorer.split is not None
    info = msgspec.structs.replace(scorer.split.tested[0], episode_id="unheard-of", content_sha256="of nothing")
    other = msgspec.structs.replace(checkpoint, train_sha256="other")
    assert standing_of(other, scorer.split, info).side == "unknown"
    place = standing_of(checkpoint, scorer.split, info)
    assert place.side == "none" and len(place.members) == 3
    assert scorer._side_in_words(place).endswith("is not known to the split of recipe host by content or name")


@pytest.mark.slow
def test_an_episode_whose_content_was_altered_is_known_by_its_name(scorer: Scorer) -> None:
    checkpoint, split = of_own(scorer)[0].checkpoint, scorer.split
    assert split is not None
    for known, words in ((split.trained_on[0], "do not take this for a test"), (split.tested[0], "no member was")):
        altered = msgspec.structs.replace(known, content_sha256="another", host=known.host.upper())
        place, whole = standing_of(checkpoint, split, altered), standing_of(checkpoint, split, known)
        assert (place.side, place.members, place.by, whole.by) == (whole.side, whole.members, "name", "content")
        said = scorer._side_in_words(place)
        assert f"carries the name of one on the {place.side} side" in said and words in said


@pytest.mark.slow
def test_what_a_recording_lacks_is_told(driven: Any, scorer: Scorer, tmp_path: Path) -> None:
    whole = next(
        path for path in tarballs(driven, TEST_HOST) if scorer.score(path, IndexClaim(), silent).verdict == "ok"
    )
    told = scorer.score(repacked(whole, tmp_path / "less.tar.zst", perf=None), IndexClaim(), silent)
    assert told.verdict == "degraded" and told.missing_sources == ("perf",)
    assert told.reasons == {"channel.missing": "a source that the registry requires is absent"}
    assert "perf.cycles" in told.missing_channels


@pytest.mark.slow
def test_what_cannot_be_scored_is_refused_in_one_sentence(driven: Any, scorer: Scorer, tmp_path: Path) -> None:
    path = tarballs(driven, TEST_HOST)[0]
    (tmp_path / "bad.tar.zst").write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"cannot be scored: its verdict is reject \(archive.not_zstd\)"):
        scorer.score(tmp_path / "bad.tar.zst", IndexClaim(), silent)
    sources = dict.fromkeys(driven.registry.sources)
    with pytest.raises(StoreError, match="holds no telemetry"):
        scorer.score(repacked(path, tmp_path / "bare.tar.zst", **sources), IndexClaim(), silent)
    with pytest.raises(ConfigError, match="recipe 'nonsense' is unknown; choose one of host"):
        Scorer(driven.layout, driven.store, "nonsense", silent)
    with pytest.raises(UpstreamMissing, match="--recipe loho"):
        Scorer(driven.layout, driven.store, "loho", silent)
    with pytest.raises(SchemaMismatch, match="--store"):
        Scorer(driven.layout, tmp_path, "host", silent)  # its registry is the packaged one
    with pytest.raises(UpstreamMissing, match="rlstir materialize --store"):
        default_recipe(Layout(tmp_path), driven.store)
    assert default_recipe(driven.layout, driven.store) == "host"
    with pytest.raises(SchemaMismatch, match="the checkpoint was trained under schema"):
        same_schema(of_own(scorer)[0].checkpoint, msgspec.structs.replace(scorer.schema, normalise="none"))


@pytest.mark.slow
def test_an_ensemble_that_cannot_speak_is_said_to_be_silent_and_refused_where_it_was_chosen(
    driven: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CheckpointError("combines gbt, which is missing")

    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None
    models = {each.name: each for each in inputs.models}
    monkeypatch.setattr(scoring, "require_parts", refuse)
    monkeypatch.setattr(scoring, "chosen_model", lambda _: (models["gbt_realistic"], "validation"))
    assert {
        sentence.partition(" does not speak: ")[::2]
        for sentence in Scorer(driven.layout, driven.store, "host", silent).silent
    } == {(f"ensemble_{mode}", "combines gbt, which is missing") for mode in MODES}
    monkeypatch.setattr(scoring, "chosen_model", lambda _: (models["ensemble_realistic"], "validation"))
    with pytest.raises(CheckpointError, match="combines gbt"):
        Scorer(driven.layout, driven.store, "host", silent)


def test_a_window_speaks_for_what_it_adds_and_runs_have_no_gap() -> None:
    proba = np.array([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]])
    runs = phase_runs(proba, np.array([10.0, 15.0, 20.0, 25.0]), PHASES)
    assert [(r.phase, r.start_s, r.end_s) for r in runs] == [
        ("clean", 0, 15),
        ("armed", 15, 20),
        ("clean", 20, 25),
    ]
    assert runs[0].probability == pytest.approx(0.8)


def test_channels_far_from_the_train_side_are_told_of_and_missing_ones_are_not() -> None:
    trained = TrainRange(channels=("a", "b", "c"), mean_C=np.zeros(3), spread_C=np.ones(3))
    x_CT = np.zeros((3, 40), np.float32)
    x_CT[1, 20:] = 7.0
    x_CT[2] = np.nan
    (found,) = unusual(trained, x_CT, WindowGrid(np.arange(0, 40, 10), 10), ("a", "b", "c"))
    assert (found.channel, found.share, found.distance) == ("b", 0.5, 3.5)


@pytest.mark.slow
def test_train_statistics_are_those_of_the_train_side(driven: Any) -> None:
    layout = driven.layout
    assert train_range(*load_detector(layout.checkpoint("host", "gbt", "realistic"))) is None
    found = train_range(*load_detector(layout.checkpoint("host", "mlp", "oracle")))
    assert found is not None
    host = layout.features(TRAIN_HOST)
    table = pq.read_table(sorted(host.glob("*.parquet"))[0], columns=["proc.rss_bytes|mean"])
    at = found.channels.index("proc.rss_bytes")
    values = table.column(0).to_numpy()
    assert abs(np.nanmean(values) - found.mean_C[at]) < found.spread_C[at]
