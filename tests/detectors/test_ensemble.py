"""An ensemble's weights, its file, and what it refuses to speak from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from rlstir_core.atomic import file_sha256, write_json
from rlstir_core.detectors.ensemble.combination import Ensemble, Part, RoundMixture, read_ensemble, require_parts
from rlstir_core.detectors.ensemble.making import evenly, spaced
from rlstir_core.detectors.ensemble.weights import Mixture, equal_mixture, fit_mixture, mix, tempered
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.results.layout import Layout


def said(label_N: np.ndarray, right: float, seed: int, sure: float = 3.0) -> np.ndarray:
    """Probabilities of a model that names a share `right` of the windows."""
    rng = np.random.default_rng(seed)
    called_N = np.where(rng.random(len(label_N)) < right, label_N, rng.integers(3, size=len(label_N)))
    logits_NK = rng.normal(0, 0.3, (len(label_N), 3)) + sure * np.eye(3)[called_N]
    return tempered(np.exp(logits_NK), 1.0)


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.integers(3, size=600), np.repeat(np.arange(60), 10)


def test_a_model_that_knows_more_weighs_more_and_the_combination_is_convex(labels: Any) -> None:
    label_N, episode_N = labels
    proba_MNK = np.stack([said(label_N, right, seed) for seed, right in enumerate((0.9, 0.3, 0.1))])
    found = fit_mixture(proba_MNK, label_N, episode_N)
    assert sum(found.weights) == pytest.approx(1) and min(found.weights) > 0
    assert found.weights[0] > 0.6 > 0.3 > found.weights[2]
    assert mix(found, proba_MNK).sum(axis=1) == pytest.approx(np.ones(600))
    assert fit_mixture(proba_MNK, label_N, episode_N) == found


def test_models_that_err_apart_are_better_together_on_windows_that_were_not_fitted_on(labels: Any) -> None:
    label_N, episode_N = labels
    proba_MNK = np.stack([said(label_N, 0.55, seed) for seed in range(4)])
    fitted, later = episode_N < 30, episode_N >= 30
    found = fit_mixture(proba_MNK[:, fitted], label_N[fitted], episode_N[fitted])
    right = (mix(found, proba_MNK[:, later]).argmax(axis=1) == label_N[later]).mean()
    assert max(found.weights) < 0.5
    assert right > max((proba_NK[later].argmax(axis=1) == label_N[later]).mean() for proba_NK in proba_MNK) + 0.05


def test_an_overconfident_model_is_cooled_and_nothing_to_fit_on_gives_the_plain_mean(labels: Any) -> None:
    label_N, episode_N = labels
    proba_MNK = np.stack([said(label_N, 0.6, 1, sure=9.0), said(label_N, 0.6, 2, sure=1.0)])
    hot, cool = fit_mixture(proba_MNK, label_N, episode_N).temperatures
    assert hot > 2 > 1.2 > cool
    nothing = fit_mixture(proba_MNK[:, :0], label_N[:0], episode_N[:0])
    assert nothing == equal_mixture(2) and np.allclose(mix(nothing, proba_MNK), proba_MNK.mean(axis=0), atol=1e-5)


HALF, FIRST = Mixture(temperatures=(1.0, 1.0), weights=(0.5, 0.5)), Mixture(temperatures=(1.0, 1.0), weights=(1.0, 0.0))


def written(root: Path, **changed: Any) -> tuple[Layout, Ensemble]:
    layout = Layout(root)
    for model in ("gbt", "mlp"):
        write_json(layout.checkpoint("host", model, "realistic"), {"of": model})
    ensemble = Ensemble(
        mode="realistic",
        recipe="host",
        preset="smoke",
        seed=0,
        train_sha256="of-today",
        n_train_episodes=9,
        parts=tuple(
            Part(
                model=model,
                checkpoint_sha256=file_sha256(layout.checkpoint("host", model, "realistic")),
                schema_sha256="schema",
            )
            for model in ("gbt", "mlp")
        ),
        rounds=(RoundMixture(mixture=HALF, folds=(FIRST, FIRST), n_episodes=9, n_windows=90),),
    )
    ensemble = msgspec.structs.replace(ensemble, **changed)
    write_json(layout.checkpoint("host", "ensemble", "realistic"), msgspec.to_builtins(ensemble))
    return layout, ensemble


def checkpoints(train_sha256: str = "of-today") -> dict[str, Any]:
    members = (SimpleNamespace(round=0, fold=1),)
    return {model: SimpleNamespace(train_sha256=train_sha256, members=members) for model in ("gbt", "mlp")}


def test_an_ensemble_refuses_without_its_parts_or_with_those_of_another_training(tmp_path: Path) -> None:
    layout, ensemble = written(tmp_path)
    path = layout.checkpoint("host", "ensemble", "realistic")
    assert read_ensemble(path) == ensemble
    require_parts(layout, ensemble, checkpoints())
    with pytest.raises(CheckpointError, match=r"fitted on another training of gbt_realistic.*detector_eval"):
        require_parts(layout, ensemble, checkpoints("of-yesterday"))
    write_json(layout.checkpoint("host", "mlp", "realistic"), {"of": "another"})
    with pytest.raises(CheckpointError, match=r"another training of mlp_realistic"):
        require_parts(layout, ensemble, checkpoints())
    layout.checkpoint("host", "mlp", "realistic").unlink()
    with pytest.raises(CheckpointError, match=r"mlp_realistic.ckpt.json, which is missing"):
        require_parts(layout, ensemble, checkpoints())
    with pytest.raises(UpstreamMissing, match=r"ensemble_oracle.ckpt.json is missing"):
        read_ensemble(layout.checkpoint("host", "ensemble", "oracle"))


def test_an_ensemble_with_fewer_folds_than_its_parts_is_refused(tmp_path: Path) -> None:
    layout, ensemble = written(tmp_path)
    few = msgspec.structs.replace(ensemble.rounds[0], folds=(FIRST,))
    with pytest.raises(CheckpointError, match=r"fewer rounds or folds than .*gbt_realistic"):
        require_parts(layout, msgspec.structs.replace(ensemble, rounds=(few,)), checkpoints())


def test_windows_to_fit_on_are_spread_over_an_episode_and_only_of_episodes_that_are_asked_for() -> None:
    names = [f"e{k // 10}" for k in range(1000)]
    one = evenly(names, 1, set(names))
    assert len(one) == 100 and np.unique(one // 10).tolist() == list(range(100))
    assert set((one % 10).tolist()) == set(range(10))  # not the first of each, which begins in peace
    assert np.diff(evenly(names, 5, {"e3"})).tolist() == [2, 2, 2, 2]
    assert evenly(names, 50, set(names)).tolist() == list(range(1000)) and not len(evenly(names, 5, set()))
    assert spaced(names[::10], 5) == {"e0", "e25", "e50", "e74", "e99"} and len(spaced(["a", "b"], 5)) == 2


def one_round(temperatures: tuple[float, ...], weights: tuple[float, ...]) -> dict[str, Any]:
    mixture = Mixture(temperatures=temperatures, weights=weights)
    return {"rounds": (RoundMixture(mixture=mixture, folds=(), n_episodes=1, n_windows=1),)}


@pytest.mark.parametrize(
    "changed",
    [
        {"format": "another"},
        {"mode": "oracle"},
        {"recipe": "loho"},
        {"rounds": ()},
        {"parts": ()},
        {"same_as": "gbt_realistic"},
        one_round((1.0,), (1.0,)),
        one_round((1.0, 1.0), (1.5, -0.5)),
        one_round((0.0, 1.0), (0.5, 0.5)),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    layout, _ = written(tmp_path, **changed)
    with pytest.raises(CheckpointError, match=r"make it again with"):
        read_ensemble(layout.checkpoint("host", "ensemble", "realistic"))


def test_an_episode_of_a_fold_is_spoken_of_with_weights_that_left_it_out(tmp_path: Path) -> None:
    _, ensemble = written(tmp_path)
    gbt, mlp = np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])
    one = {"gbt": [(0, 1, gbt)], "mlp": [(0, 1, mlp)]}
    assert ensemble.predict(one, left_out=True) == pytest.approx(gbt)
    assert ensemble.predict(one, left_out=False) == pytest.approx(np.array([[0.5, 0.5]]))
    both = {name: [*said, *said] for name, said in one.items()}
    assert ensemble.predict(both, left_out=False) == pytest.approx(np.array([[0.5, 0.5]]))
