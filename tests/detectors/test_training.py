"""Training reads its own side of the split and nothing else, and says what it was made from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_store import Tiny

from rlstir_core.contract.registry import MODES
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split, read_split
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.episode_set import load_episodes
from rlstir_core.detectors.inputs import Inputs
from rlstir_core.detectors.scenes import Scored, write_predictions
from rlstir_core.detectors.study import open_study
from rlstir_core.detectors.training import check_checkpoint, kept_checkpoint, train_checkpoint
from rlstir_core.errors import CheckpointError, SplitRefused, UpstreamMissing
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import VERSIONS

SMALL = ("trees.rounds=10", "train.epochs=1", "train.min_epoch_steps=1", "train.views=1", "net.width=8", "net.layers=1",
         "train.device=cpu", "net.heads=2")  # fmt: skip
MODELS = ("gbt", "mlp", "gru")


def options(recipe: str = "sample", **split: object) -> StudyOptions:
    return StudyOptions(recipe=recipe, overrides=SMALL, split=SplitSettings(**{"folds": 2, **split}))


def silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Three hosts that ran six samples each, and who trains on them by `sample` and `loho`."""
    tiny = Tiny(tmp_path_factory.mktemp("training"))
    for h, host in enumerate(("host-a", "host-b", "host-c")):
        for k in range(6):
            tiny.add(f"ep-{h}{k}", seed=10 * h + k, host=host, sample_name=f"s-{k}")
    layout = tiny.build_all()
    for recipe in ("sample", "loho"):
        build_split(layout, recipe, tiny.hosts, options().split)
    return layout


@pytest.fixture
def layout(made: Layout, tmp_path: Path) -> Layout:
    """A copy that a test may change."""
    shutil.copytree(made.data, tmp_path / "data")
    return Layout(tmp_path / "data")


def lose(layout: Layout, episodes: list) -> None:
    for info in episodes:
        (layout.tensors(info.host) / f"{info.own_id}.safetensors").unlink()


@pytest.mark.parametrize("model", MODELS)
def test_a_detector_is_trained_without_the_tensors_of_the_test_side(layout: Layout, model: str) -> None:
    split = read_split(layout, "sample")
    assert {info.host for info in split.tested} == {info.host for info in split.trained_on}
    lose(layout, split.tested)
    checkpoint, checks, is_new = train_checkpoint(layout, options(), model, "realistic", silent)
    assert is_new and all(check.holds for check in checks) and checkpoint.n_train_episodes == len(split.trained_on)
    with pytest.raises(UpstreamMissing, match="key:window_tensors"):
        load_episodes(layout, split.episodes)


@pytest.mark.parametrize("model", MODELS)
def test_a_train_tensor_that_is_gone_is_missed(layout: Layout, model: str) -> None:
    lose(layout, read_split(layout, "sample").trained_on[:1])
    with pytest.raises(UpstreamMissing, match="key:window_tensors"):
        train_checkpoint(layout, options(), model, "realistic", silent)


def test_what_a_test_episode_holds_changes_no_bit_of_a_checkpoint(layout: Layout, made: Layout, tmp_path: Path) -> None:
    split, other = read_split(layout, "sample"), Layout(tmp_path / "other")
    shutil.copytree(made.data, other.data)
    for info in split.tested:  # any bytes will do: nobody looks
        (other.tensors(info.host) / f"{info.own_id}.safetensors").write_bytes(b"junk")
    for model in MODELS:
        one, two = (train_checkpoint(each, options(), model, "oracle", silent)[0] for each in (layout, other))
        assert one.weights_sha256 == two.weights_sha256


def test_a_checkpoint_is_kept_until_its_train_side_its_preset_or_its_code_changes(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, is_new = train_checkpoint(layout, options(), "gbt", "realistic", silent)
    again, checks, trained_again = train_checkpoint(layout, options(), "gbt", "realistic", silent)
    assert (is_new, trained_again) == (True, False) and again == first and all(check.holds for check in checks)
    study = open_study(layout, options())
    assert kept_checkpoint(study, "gbt", "realistic") == first and kept_checkpoint(study, "gbt", "oracle") is None
    other = msgspec.structs.replace(options(), overrides=(*SMALL, "trees.depth=2"))
    assert kept_checkpoint(open_study(layout, other), "gbt", "realistic") is None
    with monkeypatch.context() as patch:
        patch.setattr("rlstir_core.results.versions.VERSIONS", {**VERSIONS, "weights": VERSIONS["weights"] + 1})
        assert kept_checkpoint(open_study(layout, options()), "gbt", "realistic") is None
    (layout.artifacts("sample") / first.members[0].sidecar).unlink()
    assert kept_checkpoint(study, "gbt", "realistic") is None


def test_the_hash_of_the_train_side_does_not_know_the_test_side(made: Layout) -> None:
    split = read_split(made, "sample")
    fewer = msgspec.structs.replace(split, rounds=(msgspec.structs.replace(split.rounds[0], test=()),))
    assert (fewer.train_sha256 == split.train_sha256, fewer.sha256 == split.sha256) == (True, False)
    gone = split.rounds[0].train[0]
    changed = tuple(
        msgspec.structs.replace(e, decoded_sha256="x") if e.episode_id == gone else e for e in split.episodes
    )
    assert msgspec.structs.replace(split, episodes=changed).train_sha256 != split.train_sha256


def test_a_checkpoint_of_another_split_fails_the_check_of_clean_fits(layout: Layout) -> None:
    checkpoint, _, _ = train_checkpoint(layout, options(), "gbt", "realistic", silent)
    study = open_study(layout, options())
    first, *rest = checkpoint.members
    leaked = msgspec.structs.replace(first, validation_episodes=first.validation_episodes[1:])
    other = msgspec.structs.replace(checkpoint, train_sha256="0" * 64)
    for wrong in (other, msgspec.structs.replace(checkpoint, members=(leaked, *rest))):
        assert [check.holds for check in check_checkpoint(study, wrong)] == [True, False]
    another = msgspec.structs.replace(checkpoint.input_schema, feature_schema_sha256="0" * 64)
    renamed = msgspec.structs.replace(checkpoint, input_schema=another)
    assert [check.holds for check in check_checkpoint(study, renamed)] == [False, True]


def test_a_checkpoint_that_fails_its_check_is_never_current(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    train_checkpoint(layout, options(), "gbt", "realistic", silent)
    study = open_study(layout, options())
    assert kept_checkpoint(study, "gbt", "realistic") is not None
    first = study.split.rounds[0]
    both = msgspec.structs.replace(first, test=(*first.test, first.train[0]))  # as if the split had let it pass
    leaky = replace(study, split=msgspec.structs.replace(study.split, rounds=(both,)))
    assert kept_checkpoint(leaky, "gbt", "realistic") is None


def test_a_study_of_other_settings_than_the_split_is_refused_with_the_command(made: Layout) -> None:
    with pytest.raises(UpstreamMissing, match=r"other hosts, corpora, folds .* --recipe sample --select key:split"):
        open_study(made, options(folds=3))
    with pytest.raises(UpstreamMissing, match=r"time\.json is missing; make it .*--recipe time --select key:split"):
        open_study(made, options("time"))


# ---- rounds


class Named:
    """Writes down who was scored in which round and as part of which fold."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None, str]] = []

    def predict_round(self, place: int, inputs: Inputs) -> np.ndarray:
        self.seen += [(place, None, name) for name in inputs.windows.episodes]
        return self._flat(inputs)

    def predict_fold(self, place: int, fold: int, inputs: Inputs) -> np.ndarray:
        self.seen += [(place, fold, name) for name in inputs.windows.episodes]
        return self._flat(inputs)

    @staticmethod
    def _flat(inputs: Inputs) -> np.ndarray:
        return np.full((len(inputs.windows.label_N), 3), 1 / 3)


def test_every_host_is_scored_by_the_members_of_its_own_round(layout: Layout, tmp_path: Path) -> None:
    checkpoint, checks, _ = train_checkpoint(layout, options("loho"), "gbt", "realistic", silent)
    assert [(m.round, m.fold) for m in checkpoint.members] == [(r, f) for r in range(3) for f in range(2)]
    assert all(check.holds for check in checks)
    study = open_study(layout, options("loho"))
    inputs = study.input_schema("summary", "realistic")
    _, members = load_detector(layout.checkpoint("loho", "gbt", "realistic"), inputs)
    assert [(r, f) for r, f, _ in members.members] == [(m.round, m.fold) for m in checkpoint.members]
    named = Named()
    episodes = study.load(study.split.episodes)
    write_predictions(study, episodes, [Scored(path=tmp_path / "x.parquet", inputs=inputs, predictor=named)], silent)
    for place, each in enumerate(study.split.rounds):
        assert {name for r, f, name in named.seen if (r, f) == (place, None)} == set(each.test)
        assert {study.split.by_name[name].host for name in each.train}.isdisjoint(each.held_out)
        for fold, names in enumerate(each.folds):
            assert {name for r, f, name in named.seen if (r, f) == (place, fold)} == set(names)


def test_a_store_where_some_hosts_have_logs_alone_trains_on_those_with_telemetry(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    for h, host in enumerate(("host-a", "host-b", "host-c")):
        for k in range(4):
            tiny.add(f"ep-{h}{k}", seed=10 * h + k, host=host)
            tiny.add_logs(f"log-{h}{k}", f"May  1 12:00:01 web sshd[7]: {h} {k}", host=f"web-{h}")
    layout = tiny.build_all()
    for recipe in ("host", "loho"):
        split, _ = build_split(layout, recipe, tiny.hosts, options().split)
        for each in split.rounds:
            assert all(any(split.by_name[name].windows for name in fold) for fold in each.folds)
        for model in ("gbt", "gru"):
            _, checks, is_new = train_checkpoint(layout, options(recipe), model, "realistic", silent)
            assert is_new and all(check.holds for check in checks)


def test_a_train_side_with_telemetry_in_one_fold_alone_is_refused_in_one_sentence(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    for k in range(2):
        tiny.add(f"ep-{k}", seed=k, host=f"host-{k}")
        for n in range(3):
            tiny.add_logs(f"log-{k}{n}", f"May  1 12:00:01 web sshd[7]: {k} {n}", host=f"host-{k}")
    layout = tiny.build_all()
    build_split(layout, "host", tiny.hosts, options().split)
    with pytest.raises(SplitRefused, match="too few episodes with labelled windows for 2 folds; record more") as caught:
        train_checkpoint(layout, options("host"), "gbt", "realistic", silent)
    assert "\n" not in str(caught.value)


def test_a_mode_that_shows_no_more_channels_takes_over_the_weights_of_the_other(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODES, "oracle", MODES["realistic"])
    said: list[str] = []
    copy, checks, is_new = train_checkpoint(layout, options(), "mlp", "oracle", said.append)
    assert (copy.mode, copy.same_as, is_new) == ("oracle", "mlp_realistic", True) and all(c.holds for c in checks)
    assert "mode oracle has the same channels as realistic, so mlp is trained once" in said
    with monkeypatch.context() as patch:
        patch.setattr("rlstir_core.detectors.training._train", None)  # it was trained on the way
        own, _, is_new = train_checkpoint(layout, options(), "mlp", "realistic", silent)
    assert (own.same_as, is_new, own.weights_sha256) == ("", False, copy.weights_sha256)
    path = layout.checkpoint("sample", "mlp", "oracle")
    assert load_detector(path, open_study(layout, options()).input_schema("summary", "oracle"))[0] == copy
    assert {member.sidecar for member in copy.members} == {f"mlp_oracle.{k}.safetensors" for k in range(2)}
    assert not train_checkpoint(layout, options(), "mlp", "oracle", silent)[2]
    path.write_text(path.read_text().replace('"mlp_realistic"', '"gru_realistic"'))
    with pytest.raises(CheckpointError, match="same as 'gru_realistic', which cannot be"):
        load_detector(path)
