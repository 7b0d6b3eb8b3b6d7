"""Damaged and hostile checkpoints are refused with one sentence, without running code, waiting or swelling.

What does not belong here: checkpoints that are fine (`tests/detectors/test_checkpoint.py`).
"""

from __future__ import annotations

import pickle
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_checkpoints import CASES
from hostile_checkpoints.in_json import settings
from hostile_checkpoints.in_tensors import tensors
from hostile_checkpoints.in_trees import chain, first_tree, learner, model_of, trees
from hostile_checkpoints.victim import ATTACKED, Bait, Victim, inputs_of, schema_of
from safetensors.torch import load_file, save_file

from rlstir_core.detectors.blocks import one_block
from rlstir_core.detectors.checkpoint import Fitted, load_detector, read_checkpoint, write_checkpoint
from rlstir_core.detectors.models import MODELS
from rlstir_core.errors import CheckpointError, RlstirError, SchemaMismatch, UpstreamMissing
from rlstir_core.learning.presets import Net, Preset, Training, Trees

AT_MOST_MIB, AT_MOST_S = 256, 10.0


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound checkpoint of every kind of model."""
    torch.set_num_threads(1)
    preset = Preset(
        name="tiny",
        trees=Trees(rounds=5),
        net=Net(width=8, layers=1, heads=2, stem_stride=2),
        train=Training(epochs=1, min_epoch_steps=1, device="cpu"),
    )
    folder = tmp_path_factory.mktemp("artifacts") / "host"
    for name in ATTACKED:
        kind, detector = MODELS[name].kind, MODELS[name].build()
        views, held = ([one_block(inputs_of(kind, seed), 3)] for seed in (0, 1))
        made = detector.fit(views, held, 3, preset, lambda _: None)
        write_checkpoint(
            folder / f"{name}_realistic.ckpt.json",
            name,
            [Fitted(detector=detector, facts=made, validation_episodes=("ep-a",))],
            mode="realistic",
            recipe="host",
            preset="tiny",
            seed=0,
            input_schema=schema_of(kind),
            input_sha256="a" * 64,
            train_sha256="b" * 64,
            n_train_episodes=2,
        )
    return folder


@pytest.fixture
def victim(written: Path, tmp_path: Path) -> Callable[[str], Victim]:
    def copied(model: str) -> Victim:
        shutil.copytree(written, tmp_path / "artifacts" / "host")
        return Victim(tmp_path / "artifacts" / "host", model)

    return copied


@pytest.fixture(autouse=True)
def _never_waits() -> Iterator[None]:
    def late(*_: object) -> None:
        raise AssertionError("the loader waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def assert_refused(path: Path, says: str, kind: type[RlstirError] = CheckpointError) -> None:
    peak, start = peak_mib(), time.perf_counter()
    with pytest.raises(kind, match=says) as caught:
        load_detector(path)
    assert time.perf_counter() - start < AT_MOST_S and peak_mib() - peak < AT_MOST_MIB
    text = str(caught.value)
    assert type(caught.value) is kind
    assert text.isascii() and text.isprintable() and len(text) < 700
    assert f"{path.parent.name}/{path.name.split('_')[0]}_" in text  # the file
    assert "again" in text  # the remedy


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_checkpoint_is_refused_in_one_sentence(victim: Callable[[str], Victim], case: str) -> None:
    model, damage, says = CASES[case]
    one = victim(model)
    load_detector(one.json)
    damage(one)
    assert_refused(one.json, says)
    assert not one.mark.exists()


def test_there_are_more_than_thirty_cases_and_the_bait_works(tmp_path: Path) -> None:
    assert len(CASES) > 30
    pickle.loads(pickle.dumps(Bait(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("model", ATTACKED)
def test_a_checkpoint_of_another_schema_or_none_at_all_is_refused_by_name(
    victim: Callable[[str], Victim], model: str
) -> None:
    one = victim(model)
    with pytest.raises(SchemaMismatch, match="train it again"):
        load_detector(one.json, schema_of("sequence" if MODELS[model].kind == "summary" else "summary"))
    one.json.unlink()
    with pytest.raises(UpstreamMissing, match=f"key:checkpoint/{model}_realistic"):
        load_detector(one.json)


@pytest.mark.parametrize("model", ["mlp", "gru", "transformer"])
def test_weights_that_are_all_zero_are_allowed(victim: Callable[[str], Victim], model: str) -> None:
    one = victim(model)
    found = load_file(one.sidecar)
    save_file({n: t if n.startswith("standardiser.") else torch.zeros_like(t) for n, t in found.items()}, one.sidecar)
    one.vouch()
    _, detector = load_detector(one.json)
    proba_NK = detector.predict_proba(inputs_of(MODELS[model].kind, 2))
    np.testing.assert_allclose(proba_NK, 1 / 3)


def test_finite_weights_that_overflow_are_refused_when_they_are_used(victim: Callable[[str], Victim]) -> None:
    one = victim("mlp")
    tensors(lambda t: [v.fill_(3e38) for k, v in t.items() if k.startswith("network.")])(one)
    _, detector = load_detector(one.json)
    with pytest.raises(CheckpointError, match="too large to compute with; train it again"):
        detector.predict_proba(inputs_of("summary", 2))


def test_a_sequence_model_that_takes_other_inputs_is_refused_when_it_is_used(victim: Callable[[str], Victim]) -> None:
    one = victim("gru")
    wider = {"stem.conv.weight": (8, 8, 5), "pool.overview.body.1.weight": (16, 32)}
    tensors(lambda t: t.update({f"network.{name}": torch.zeros(shape) for name, shape in wider.items()}))(one)
    settings(n_inputs=8)(one)
    _, detector = load_detector(one.json)
    with pytest.raises(CheckpointError, match="takes 8 inputs, not 6; train it again"):
        detector.predict_proba(inputs_of("sequence", 2))


def test_what_a_tree_model_says_beside_its_trees_is_not_believed(victim: Callable[[str], Victim]) -> None:
    one = victim("gbt")
    _, before = load_detector(one.json)
    learner(feature_names=["<script>"] * 6, attributes={"best_iteration": "9999"}, feature_types=["c"] * 6)(one)
    first_tree(id=99999, parents=[2**30] * 99)(one)
    _, after = load_detector(one.json)
    view = inputs_of("summary", 2)
    np.testing.assert_array_equal(before.predict_proba(view), after.predict_proba(view))
    assert read_checkpoint(one.json).model == "gbt"


def test_a_tree_that_is_one_long_chain_is_walked_and_not_recursed_into(victim: Callable[[str], Victim]) -> None:
    one, n = victim("gbt"), 100_000

    def change(tree: dict[str, Any]) -> None:
        one_tree: dict[str, Any] = {
            "tree_param": {"num_nodes": str(2 * n + 1), "num_feature": "6"},
            "left_children": chain(n, 1),
            "right_children": chain(n, 2),
        }
        model_of(tree)["trees"][0] = one_tree
        for name in ("split_indices", "default_left", "split_type"):
            one_tree[name] = [0] * (2 * n + 1)
        for name in ("split_conditions", "base_weights", "loss_changes", "sum_hessian"):
            one_tree[name] = [0.0] * (2 * n + 1)

    trees(change)(one)
    _, detector = load_detector(one.json)
    assert np.isfinite(detector.predict_proba(inputs_of("summary", 2))).all()
