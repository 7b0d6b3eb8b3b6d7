"""The six models: they learn, they are functions of their seed, and they come back as they were saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlstir_core.detectors.base import CrossFitted, macro_f1
from rlstir_core.detectors.checkpoint import DETECTORS
from rlstir_core.detectors.inputs import Inputs, SummaryInputs
from rlstir_core.learning import loop as training_module
from rlstir_core.learning.loop import Fold, train
from rlstir_core.learning.presets import MODELS, Preset

N_PHASES = 4  # one more than the problem has: a phase without a train window is nothing to stumble over
Easy = Callable[..., Inputs]


def fitted(name: str, easy: Easy, preset: Preset):
    detector = DETECTORS[name]()
    told: list[str] = []
    views = [easy(detector.kind, seed=0), easy(detector.kind, seed=1)]
    facts = detector.fit(views, [easy(detector.kind, seed=2)], N_PHASES, preset, told.append)
    return detector, facts, told


def test_there_are_the_six_models_of_the_design() -> None:
    assert tuple(DETECTORS) == MODELS == ("gbt", "mlp", "cnn", "gru", "lstm", "transformer")
    assert {name for name, kind in DETECTORS.items() if kind.kind == "summary"} == {"gbt", "mlp"}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_an_easy_problem_and_comes_back_as_it_was_saved(
    name: str, easy: Easy, preset: Preset, tmp_path: Path
) -> None:
    detector, facts, told = fitted(name, easy, preset)
    fresh = easy(detector.kind, seed=3)
    proba_NK = detector.predict_proba(fresh)
    assert macro_f1(fresh.windows.label_N, proba_NK) > 0.9
    np.testing.assert_allclose(proba_NK.sum(axis=1), 1, atol=1e-5)
    assert proba_NK.shape == (120, N_PHASES) and proba_NK[:, 3].max() < 0.5
    assert facts.best_validation_macro_f1 > 0.9 and 1 <= facts.best_round <= facts.rounds and facts.n_parameters > 0
    assert facts.n_validation_windows == 120 and facts.n_train_windows == 240 and facts.class_weights[3] == 0
    assert facts.selected_on == "validation" and told and "validation macro F1" in told[0]

    settings = detector.save(tmp_path / f"x{detector.suffix}")
    again = DETECTORS[name]()
    again.load(tmp_path / f"x{detector.suffix}", settings)
    np.testing.assert_array_equal(again.predict_proba(fresh), proba_NK)


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    name: str, easy: Easy, preset: Preset, tmp_path: Path
) -> None:
    short = replace(preset, training=replace(preset.training, rounds=2), trees=replace(preset.trees, rounds=5))
    raws = []
    for k, seed in enumerate((0, 0, 1)):
        torch.rand(k)  # what was drawn before must not matter
        detector, _, _ = fitted(name, easy, replace(short, seed=seed))
        detector.save(tmp_path / "x")
        raws.append((tmp_path / "x").read_bytes())
    assert raws[0] == raws[1] != raws[2]


@pytest.mark.parametrize("name", ["gbt", "mlp", "cnn"])
def test_a_prediction_does_not_depend_on_the_windows_beside_it(name: str, easy: Easy, preset: Preset) -> None:
    detector, _, _ = fitted(name, easy, replace(preset, training=replace(preset.training, rounds=2)))
    inputs = easy(detector.kind, seed=3)
    half = replace(inputs.windows, label_N=inputs.windows.label_N[:60])
    fewer = (
        replace(inputs, windows=half, x_NF=inputs.x_NF[:60])
        if isinstance(inputs, SummaryInputs)
        else replace(inputs, windows=half, start_N=inputs.start_N[:60])
    )
    np.testing.assert_allclose(detector.predict_proba(fewer), detector.predict_proba(inputs)[:60], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_no_window_gives_no_row(name: str, easy: Easy, preset: Preset) -> None:
    detector, _, _ = fitted(name, easy, replace(preset, training=replace(preset.training, rounds=1)))
    inputs = easy(detector.kind, seed=3)
    none = replace(inputs.windows, label_N=inputs.windows.label_N[:0])
    empty = (
        replace(inputs, windows=none, x_NF=inputs.x_NF[:0])
        if isinstance(inputs, SummaryInputs)
        else replace(inputs, windows=none, start_N=inputs.start_N[:0])
    )
    assert detector.predict_proba(empty).shape == (0, N_PHASES)


@pytest.mark.parametrize("name", ["gbt", "mlp"])
def test_labels_of_the_test_side_are_not_needed_to_predict(name: str, easy: Easy, preset: Preset) -> None:
    detector, _, _ = fitted(name, easy, replace(preset, training=replace(preset.training, rounds=2)))
    inputs = easy(detector.kind, seed=3)
    blind = replace(inputs, windows=replace(inputs.windows, label_N=np.zeros_like(inputs.windows.label_N)))
    np.testing.assert_array_equal(detector.predict_proba(inputs), detector.predict_proba(blind))


# ---- the loop


def loop(monkeypatch: pytest.MonkeyPatch, scores: list[float], **training: object):
    """The loop on a toy network whose validation macro F1 after each round is given."""
    from rlstir_core.learning.presets import Training

    label_N = np.array([0, 1] * 8)
    x_NF = torch.tensor(np.stack([label_N, 1 - label_N], axis=1), dtype=torch.float32)
    fold = Fold(batch=lambda places: x_NF[torch.as_tensor(places)], label_N=label_N)
    torch.manual_seed(0)
    network, seen, left = torch.nn.Linear(2, 2), [], iter(scores)

    def look(*_: object) -> tuple[float, float]:
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return next(left), 0.0

    monkeypatch.setattr(training_module, "look", look)
    settings = Training(
        **{"batch": 4, "rounds": len(scores), "patience": 2, "min_round_steps": 1, "device": "cpu"} | training
    )
    result = train(network, [fold], [fold], np.ones(2), settings, 0, lambda _: None)
    return result, network, seen


def test_the_best_weights_on_validation_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    result, network, seen = loop(monkeypatch, [0.2, 0.9, 0.5, 0.4, 0.95])
    assert (result.rounds, result.best_round, result.best_macro_f1) == (4, 2, 0.9)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, seen[1][name]) and not torch.equal(tensor, seen[3][name])


def test_training_stops_when_validation_has_not_grown_for_so_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop(monkeypatch, [0.1, 0.2, 0.3, 0.4, 0.5])[0].rounds == 5
    assert loop(monkeypatch, [0.5] + [0.1] * 9, patience=8)[0].rounds == 9


# ---- members


class Constant:
    """Says the same of every window."""

    def __init__(self, *proba: float) -> None:
        self.proba = proba

    def predict_proba(self, inputs: Inputs) -> np.ndarray:
        return np.tile(self.proba, (len(inputs.windows.label_N), 1))


def test_members_vote_by_their_mean_and_a_train_episode_is_scored_by_the_one_that_did_not_see_it(easy: Easy) -> None:
    inputs = easy("summary", seed=0, n=4)
    two = replace(inputs, windows=replace(inputs.windows, episodes=("ep-a", "ep-b"), episode_N=np.array([0, 1, 1, 0])))
    members = CrossFitted([(Constant(1.0, 0.0), ("ep-b",)), (Constant(0.5, 0.5), ("ep-a", "ep-c"))])
    np.testing.assert_allclose(members.predict_proba(two), [[0.75, 0.25]] * 4)
    np.testing.assert_allclose(members.predict_held_out(two)[:, 0], [0.5, 1.0, 1.0, 0.5])
