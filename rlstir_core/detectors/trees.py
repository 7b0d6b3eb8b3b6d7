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
from rlstir_core.detectors.base import Detector, TrainingFacts, class_weights, clear, look
from rlstir_core.detectors.inputs import Inputs, SummaryInputs
from rlstir_core.detectors.trees_file import checked_model
from rlstir_core.errors import CheckpointError
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell

# N windows, F columns, K phases
_ROUNDS_A_LOOK = 10  # validation is looked at every so many trees, as a net is after every pass
_LOOKS = 3  # and the mean of so many looks counts: one look at few episodes is noise


class GradientBoostedTrees(Detector):
    """XGBoost with class weights, stopped early on validation macro F1."""

    name: ClassVar[str] = "gbt"
    kind: ClassVar[str] = "summary"
    suffix: ClassVar[str] = ".xgb.json"

    def __init__(self) -> None:
        self.booster: xgb.Booster | None = None
        self.n_phases = 0

    def fit(
        self, train: Sequence[Inputs], validation: Sequence[Inputs], n_phases: int, preset: Preset, tell: Tell
    ) -> TrainingFacts:
        """See `Detector.fit`."""
        trees, training = preset.trees, preset.training
        parts = [(_summary(view), clear(view, training.min_purity)) for view in train]
        x_NF = np.concatenate([view.x_NF[keep] for view, keep in parts])
        label_N = np.concatenate([view.windows.label_N[keep] for view, keep in parts])
        weights_K = class_weights(label_N, n_phases, training.max_class_weight)
        data = xgb.DMatrix(x_NF, label=label_N, weight=weights_K[label_N], nthread=1)
        held = [xgb.DMatrix(_summary(view).x_NF, nthread=1) for view in validation]
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
                "max_bin": 64,
                "seed": preset.seed,
                "nthread": 1,
            },
            [data],
        )
        best, best_round = (-1.0, -math.inf), 0
        looks: list[tuple[float, float]] = []
        done = 0
        while done < trees.rounds:
            for _ in range(_ROUNDS_A_LOOK):
                booster.update(data, done)
                done += 1
            looks.append(look(held_labels, [booster.predict(view) for view in held]))
            f1, likelihood = np.mean(looks[-_LOOKS:], axis=0)
            now = (float(f1), float(likelihood))
            if now > best:
                best, best_round = now, done
            tell(f"{done} trees, validation macro F1 {now[0]:.3f}")
            if done - best_round >= training.patience * _ROUNDS_A_LOOK:
                break
        self.booster, self.n_phases = booster[:best_round], n_phases
        return TrainingFacts(
            n_train_windows=len(label_N),
            n_validation_windows=sum(len(label_N) for label_N in held_labels),
            rounds=done,
            best_round=best_round,
            best_validation_macro_f1=best[0],
            n_parameters=best_round * n_phases * trees.parallel_trees,
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
