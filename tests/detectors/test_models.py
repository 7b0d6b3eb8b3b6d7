"""The six models: they learn, they are functions of their seed, and they come back as they were saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.detectors.inputs import Inputs
from rlstir_core.detectors.models import MODELS, neural
from rlstir_core.learning import loop as training_module
from rlstir_core.learning.examples import CacheBudget, ExampleBlock, Examples
from rlstir_core.learning.loop import train
from rlstir_core.learning.presets import Preset
from rlstir_core.learning.presets import preset as named_preset
from rlstir_core.learning.scores import window_macro_f1

N_PHASES = 4  # one more than the problem has: a phase without a train window is nothing to stumble over
Easy = Callable[..., Inputs]
Some = Callable[[Inputs, slice], Inputs]
Fit = Callable[..., tuple]


@pytest.fixture
def fitted(easy: Easy, in_parts: Callable[..., Blocks]) -> Fit:
    """`fitted(name, preset)`: a detector trained on the easy problem, its facts and what it told."""

    def fit(name: str, preset: Preset, **blocks: object) -> tuple:
        spec = MODELS[name]
        detector, told = spec.build(), []
        views = [in_parts(easy(spec.kind, seed=seed), N_PHASES, **blocks) for seed in (0, 1)]
        held = [in_parts(easy(spec.kind, seed=2), N_PHASES, **blocks)]
        facts = detector.fit(views, held, N_PHASES, preset, told.append)
        return detector, facts, told

    return fit


def test_there_are_the_six_models_of_the_design_and_each_says_what_it_is() -> None:
    assert tuple(MODELS) == ("gbt", "mlp", "cnn", "gru", "lstm", "transformer")
    assert {name for name, spec in MODELS.items() if spec.kind == "summary"} == {"gbt", "mlp"}
    assert {name for name, spec in MODELS.items() if spec.device == "cpu"} == {"gbt"}
    assert all(spec.name == name and len(spec.words) > 10 for name, spec in MODELS.items())
    assert all(spec.build().suffix in (".xgb.json", ".safetensors") for spec in MODELS.values())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_an_easy_problem_and_comes_back_as_it_was_saved(
    name: str, easy: Easy, fitted: Fit, preset: Preset, tmp_path: Path
) -> None:
    detector, facts, told = fitted(name, preset)
    fresh = easy(MODELS[name].kind, seed=3)
    proba_NK = detector.predict_proba(fresh)
    assert window_macro_f1(fresh.windows.label_N, proba_NK) > 0.9
    np.testing.assert_allclose(proba_NK.sum(axis=1), 1, atol=1e-5)
    assert proba_NK.shape == (120, N_PHASES) and proba_NK[:, 3].max() < 0.5
    assert facts.best_validation_macro_f1 > 0.9 and 1 <= facts.best <= facts.done and facts.n_parameters > 0
    assert facts.unit == ("trees" if name == "gbt" else "epochs")
    assert facts.n_validation_windows == 120 and facts.n_train_windows == 240 and facts.class_weights[3] == 0
    assert facts.selected_on == "validation" and told and "validation macro F1" in told[0]
    assert detector.shape == (6 if MODELS[name].kind == "summary" else 4, N_PHASES)

    settings = detector.save(tmp_path / f"x{detector.suffix}")
    again = MODELS[name].build()
    again.load(tmp_path / f"x{detector.suffix}", settings)
    np.testing.assert_array_equal(again.predict_proba(fresh), proba_NK)


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
def test_a_model_learns_the_easy_problem_from_several_blocks(
    name: str, easy: Easy, fitted: Fit, preset: Preset
) -> None:
    detector, facts, _ = fitted(name, preset, parts=3)
    fresh = easy(MODELS[name].kind, seed=3)
    assert window_macro_f1(fresh.windows.label_N, detector.predict_proba(fresh)) > 0.9
    assert (facts.n_train_windows, facts.n_validation_windows, facts.n_left_out_windows) == (240, 120, 0)


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
def test_what_is_kept_in_memory_and_what_is_made_again_gives_the_same_model(
    name: str, easy: Easy, fitted: Fit, preset: Preset
) -> None:
    short = replace(preset, train=replace(preset.train, epochs=3), trees=replace(preset.trees, rounds=10))
    fresh = easy(MODELS[name].kind, seed=3)
    predictions = [
        fitted(name, short, parts=3, budget=budget)[0].predict_proba(fresh)
        for budget in (None, CacheBudget(0), CacheBudget(30_000), CacheBudget(1 << 30))
    ]
    assert all(np.array_equal(predictions[0], other) for other in predictions[1:])


def test_a_checkpoint_says_how_many_windows_the_cap_left_out(fitted: Fit, preset: Preset) -> None:
    for name in ("gbt", "mlp"):
        short = replace(preset, train=replace(preset.train, epochs=1), trees=replace(preset.trees, rounds=10))
        assert fitted(name, short, n_undrawn=7)[1].n_left_out_windows == 14  # of two views


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    name: str, fitted: Fit, preset: Preset, tmp_path: Path
) -> None:
    short = replace(preset, train=replace(preset.train, epochs=2), trees=replace(preset.trees, rounds=5))
    raws = []
    for k, seed in enumerate((0, 0, 1)):
        torch.rand(k)  # what was drawn before must not matter
        detector, _, _ = fitted(name, replace(short, seed=seed))
        detector.save(tmp_path / "x")
        raws.append((tmp_path / "x").read_bytes())
    assert raws[0] == raws[1] != raws[2]


@pytest.mark.parametrize("name", ["gbt", "mlp", "cnn"])
def test_a_prediction_does_not_depend_on_the_windows_beside_it(
    name: str, easy: Easy, some: Some, fitted: Fit, preset: Preset
) -> None:
    detector, _, _ = fitted(name, replace(preset, train=replace(preset.train, epochs=2)))
    inputs = easy(MODELS[name].kind, seed=3)
    fewer = some(inputs, slice(60))
    np.testing.assert_allclose(detector.predict_proba(fewer), detector.predict_proba(inputs)[:60], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_no_window_gives_no_row(name: str, easy: Easy, some: Some, fitted: Fit, preset: Preset) -> None:
    detector, _, _ = fitted(name, replace(preset, train=replace(preset.train, epochs=1)))
    inputs = easy(MODELS[name].kind, seed=3)
    empty = some(inputs, slice(0))
    assert detector.predict_proba(empty).shape == (0, N_PHASES)


@pytest.mark.parametrize("name", ["gbt", "mlp"])
def test_labels_of_the_test_side_are_not_needed_to_predict(name: str, easy: Easy, fitted: Fit, preset: Preset) -> None:
    detector, _, _ = fitted(name, replace(preset, train=replace(preset.train, epochs=2)))
    inputs = easy(MODELS[name].kind, seed=3)
    blind = replace(inputs, windows=replace(inputs.windows, label_N=np.zeros_like(inputs.windows.label_N)))
    np.testing.assert_array_equal(detector.predict_proba(inputs), detector.predict_proba(blind))


# ---- the loop


def loop(monkeypatch: pytest.MonkeyPatch, scores: list[float], **training: object):
    """The loop on a toy network whose validation macro F1 after each epoch is given."""
    from rlstir_core.learning.presets import Training

    label_N = np.array([0, 1] * 8)
    x_NF = torch.tensor(np.stack([label_N, 1 - label_N], axis=1), dtype=torch.float32)
    examples = Examples([ExampleBlock(label_N=label_N, open=lambda: lambda places_B: x_NF[places_B])])
    torch.manual_seed(0)
    network, seen, left = torch.nn.Linear(2, 2), [], iter(scores)

    def look(*_: object) -> tuple[float, float]:
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return next(left), 0.0

    monkeypatch.setattr(training_module, "look", look)
    settings = Training(
        **{"batch": 4, "epochs": len(scores), "patience": 2, "min_epoch_steps": 1, "device": "cpu"} | training
    )
    result = train(network, [examples], [examples], np.ones(2), settings, 0, lambda _: None)
    return result, network, seen


def test_the_best_weights_on_validation_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    result, network, seen = loop(monkeypatch, [0.2, 0.9, 0.5, 0.4, 0.95])
    assert (result.epochs, result.best_epoch, result.best_macro_f1) == (4, 2, 0.9)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, seen[1][name]) and not torch.equal(tensor, seen[3][name])


def test_training_stops_when_validation_has_not_grown_for_so_many_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop(monkeypatch, [0.1, 0.2, 0.3, 0.4, 0.5])[0].epochs == 5
    assert loop(monkeypatch, [0.5] + [0.1] * 9, patience=8)[0].epochs == 9


# ---- members


class Constant:
    """Says the same of every window."""

    def __init__(self, *proba: float) -> None:
        self.proba = proba

    def predict_proba(self, inputs: Inputs) -> np.ndarray:
        return np.tile(self.proba, (len(inputs.windows.label_N), 1))


def test_members_vote_by_their_mean_and_a_fold_is_scored_by_the_one_that_left_it_out(easy: Easy) -> None:
    inputs = easy("summary", seed=0, n=4)
    members = Members([(0, 0, Constant(1.0, 0.0)), (0, 1, Constant(0.5, 0.5)), (1, 0, Constant(0.0, 1.0))])
    np.testing.assert_allclose(members.predict_round(0, inputs), [[0.75, 0.25]] * 4)
    np.testing.assert_allclose(members.predict_round(1, inputs), [[0.0, 1.0]] * 4)
    np.testing.assert_allclose(members.predict_fold(0, 1, inputs), [[0.5, 0.5]] * 4)
    np.testing.assert_allclose(members.predict_proba(inputs), [[0.5, 0.5]] * 4)


def test_numbers_for_a_device_train_here_too_and_what_stays_on_it_decides_no_weight(
    easy: Easy, in_parts: Callable[..., Blocks], monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk = ("net.width=16", "net.layers=1", "net.heads=2", "train.batch=32", "train.epochs=3", "train.device=cpu")
    numbers = named_preset("rtx4060", shrunk)

    def fit(room: int | None) -> tuple:
        monkeypatch.setattr(neural, "resident_bytes", lambda _: room)
        detector = MODELS["cnn"].build()
        train_view, held = (in_parts(easy("sequence", seed=seed), N_PHASES, parts=3) for seed in (0, 2))
        facts = detector.fit([train_view], [held], N_PHASES, numbers, lambda _: None)
        return detector.predict_proba(easy("sequence", seed=3)), facts

    (here, facts), (part, _), (none, _) = fit(None), fit(10_000), fit(0)
    np.testing.assert_array_equal(part, here)
    np.testing.assert_array_equal(none, here)
    weights = 4 * facts.n_parameters
    assert 5 * weights < facts.step_bytes < 5 * weights + 32 * 20 * 16 * 4 * 40  # some dozens of kept tensors
