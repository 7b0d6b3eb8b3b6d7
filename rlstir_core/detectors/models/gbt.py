"""`gbt`: gradient-boosted trees on summary features (XGBoost).

What does not belong here: the features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from rlstir_core.atomic import replacing
from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.inputs import Inputs, SummaryInputs
from rlstir_core.detectors.models.base import Detector, TrainingFacts
from rlstir_core.detectors.models.gbt_file import checked_model
from rlstir_core.errors import CheckpointError
from rlstir_core.learning.presets import Preset
from rlstir_core.learning.scores import class_weights, look
from rlstir_core.progress import Tell, looked

# N windows, F columns, K phases
_TREES_PER_LOOK = 10  # validation is looked at every so many trees, as a net is after every pass
_LOOKS = 3  # and the mean of so many looks counts: one look at few episodes is noise
_BINS = 64


class _Rows(xgb.DataIter):  # type: ignore[misc]
    """The rows of some views, a block at a time, as XGBoost asks for them: it keeps their bins and not their values."""

    def __init__(self, views: Sequence[Blocks], weights_K: NDArray[np.float64]) -> None:
        self.views, self.weights_K = views, weights_K
        self.places = [(view, k) for view in views for k in range(len(view))]
        self.at = 0
        super().__init__(release_data=True)

    def next(self, input_data: Any) -> bool:
        if self.at == len(self.places):
            return False
        view, k = self.places[self.at]
        label_N = view.labels(k)
        input_data(data=_summary(view.inputs(k)).x_NF, label=label_N, weight=self.weights_K[label_N])
        self.at += 1
        return True

    def reset(self) -> None:
        self.at = 0


class GradientBoostedTrees(Detector):
    """XGBoost with class weights, stopped early on validation macro F1."""

    suffix: ClassVar[str] = ".xgb.json"

    def __init__(self) -> None:
        self.booster: xgb.Booster | None = None
        self.n_phases = 0

    def fit(
        self, train: Sequence[Blocks], validation: Sequence[Blocks], n_phases: int, preset: Preset, tell: Tell
    ) -> TrainingFacts:
        """See `Detector.fit`."""
        trees, training = preset.trees, preset.train
        label_N = np.concatenate([view.windows.label_N for view in train])
        weights_K = class_weights(np.bincount(label_N, minlength=n_phases), training.max_class_weight)
        data = xgb.QuantileDMatrix(_Rows(train, weights_K), max_bin=_BINS, nthread=1)
        held = [[xgb.DMatrix(_summary(inputs).x_NF, nthread=1) for inputs in view] for view in validation]
        held_labels = [view.windows.label_N for view in validation]
        booster = xgb.Booster(
            {
                "objective": "multi:softprob",
                "num_class": n_phases,
                "max_depth": trees.depth,
                "eta": trees.learning_rate,
                "subsample": trees.subsample,
                "colsample_bytree": trees.columns,
                "min_child_weight": trees.min_child_weight,
                "lambda": trees.l2,
                "num_parallel_tree": trees.parallel_trees,
                "tree_method": "hist",
                "max_bin": _BINS,
                "seed": preset.seed,
                "nthread": 1,
            },
            [data],
        )
        best, best_trees = (-1.0, -math.inf), 0
        looks: list[tuple[float, float]] = []
        done = 0
        while done < trees.rounds:
            for _ in range(_TREES_PER_LOOK):
                booster.update(data, done)
                done += 1
            probas = [np.concatenate([booster.predict(block) for block in view]) for view in held]
            looks.append(look(held_labels, probas))
            f1, likelihood = np.mean(looks[-_LOOKS:], axis=0)
            now = (float(f1), float(likelihood))
            if now > best:
                best, best_trees = now, done
            tell(f"{done} trees, validation macro F1 {now[0]:.3f}")
            looked(done, now[0])
            if done - best_trees >= training.patience * _TREES_PER_LOOK:
                break
        self.booster, self.n_phases = booster[:best_trees], n_phases
        return TrainingFacts(
            n_train_windows=len(label_N),
            n_validation_windows=sum(len(label_N) for label_N in held_labels),
            n_left_out_windows=sum(view.n_undrawn for view in train),
            unit="trees",
            done=done,
            best=best_trees,
            best_validation_macro_f1=best[0],
            n_parameters=best_trees * n_phases * trees.parallel_trees,
            class_weights=tuple(round(float(weight), 4) for weight in weights_K),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """See `Detector.shape`."""
        assert self.booster is not None
        return self.booster.num_features(), self.n_phases

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """See `Detector.predict_proba`."""
        assert self.booster is not None
        x_NF = _summary(inputs).x_NF
        if not len(x_NF):
            return np.empty((0, self.n_phases))
        return np.asarray(self.booster.predict(xgb.DMatrix(x_NF, nthread=1)), np.float64)

    def save(self, path: Path) -> dict[str, Any]:
        """See `Detector.save`."""
        assert self.booster is not None
        with replacing(path) as temporary:
            temporary.write_bytes(self.booster.save_raw("json"))
        return {"n_phases": self.n_phases}

    def load(self, path: Path, settings: dict[str, Any]) -> None:
        """See `Detector.load`."""
        raw, stored = checked_model(path.read_bytes(), str(path))
        booster = xgb.Booster()
        try:
            booster.load_model(bytearray(raw))
        except (ValueError, TypeError, xgb.core.XGBoostError) as error:
            raise CheckpointError(
                f"{path} is not an XGBoost model in JSON ({type(error).__name__}); train the checkpoint again"
            ) from None
        if stored != settings.get("n_phases"):
            raise CheckpointError(
                f"{path} tells {stored} phases apart, its checkpoint {settings.get('n_phases')}; train it again"
            )
        self.booster, self.n_phases = booster, stored


def _summary(inputs: Inputs) -> SummaryInputs:
    assert isinstance(inputs, SummaryInputs)
    return inputs


def build() -> Detector:
    """See `ModelSpec.build`."""
    return GradientBoostedTrees()
