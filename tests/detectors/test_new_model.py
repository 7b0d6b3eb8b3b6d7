"""A stranger's model: announced in one line, it is trained, written, read back and scored like the six."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tiny_store import Tiny

from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.blocks import Blocks
from rlstir_core.detectors.checkpoint import load_detector
from rlstir_core.detectors.inputs import Inputs, SummaryInputs
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.base import Detector, TrainingFacts
from rlstir_core.detectors.models.spec import ModelSpec
from rlstir_core.detectors.scenes import Scored, write_predictions
from rlstir_core.detectors.study import open_study
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.evaluation.detectors.pairs import ScoreReader
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.presets import Preset
from rlstir_core.learning.scores import class_weights, look
from rlstir_core.learning.standardise import Standardiser, fit_standardiser
from rlstir_core.progress import Tell

# ---- what a stranger writes into a file of their own

# N windows, F columns, K phases
_SUFFIX = ".linear"


class Linear(Detector):
    """Ridge regression on summary features, one column of answers a phase."""

    suffix: ClassVar[str] = _SUFFIX

    def fit(
        self, train: Sequence[Blocks], validation: Sequence[Blocks], n_phases: int, preset: Preset, tell: Tell
    ) -> TrainingFacts:
        self.standardiser = fit_standardiser(self._rows(block) for view in train for block in view)
        n_columns = len(self.standardiser.mean_F)
        weights_K = class_weights(np.sum([view.count_K for view in train], axis=0), preset.train.max_class_weight)
        gram_FF, answer_FK = np.eye(n_columns + 1) * preset.trees.l2, np.zeros((n_columns + 1, n_phases))
        for view in train:
            for k, block in enumerate(view):
                x_NF, label_N = self._seen(block), view.labels(k)
                weighted_NF = x_NF * weights_K[label_N][:, None]
                gram_FF += weighted_NF.T @ x_NF
                answer_FK += weighted_NF.T @ np.eye(n_phases)[label_N]
        self.weight_FK = np.linalg.solve(gram_FF, answer_FK)
        probas = [np.concatenate([self.predict_proba(block) for block in view]) for view in validation]
        f1, _ = look([view.windows.label_N for view in validation], probas)
        tell(f"validation macro F1 {f1:.3f}")
        return TrainingFacts(
            n_train_windows=sum(len(view.windows.label_N) for view in train),
            n_validation_windows=sum(len(view.windows.label_N) for view in validation),
            unit="solutions",
            done=1,
            best=1,
            best_validation_macro_f1=f1,
            n_parameters=self.weight_FK.size,
            class_weights=tuple(weights_K.tolist()),
        )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.weight_FK) - 1, self.weight_FK.shape[1]

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        margin_NK = self._seen(inputs) @ self.weight_FK
        raised_NK = np.exp(margin_NK - margin_NK.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(raised_NK / raised_NK.sum(axis=1, keepdims=True))

    def save(self, path: Path) -> dict[str, Any]:
        save_file({"w": self.weight_FK, "mean": self.standardiser.mean_F, "spread": self.standardiser.spread_F}, path)
        return {}

    def load(self, path: Path, settings: dict[str, Any]) -> None:
        stored = load_file(path)
        self.weight_FK, self.standardiser = stored["w"], Standardiser(stored["mean"], stored["spread"])

    def _seen(self, inputs: Inputs) -> NDArray[np.float64]:
        x_NF = self.standardiser(self._rows(inputs)).astype(np.float64)
        return np.concatenate([x_NF, np.ones((len(x_NF), 1))], axis=1)

    @staticmethod
    def _rows(inputs: Inputs) -> NDArray[np.float32]:
        assert isinstance(inputs, SummaryInputs)
        return inputs.x_NF


def build() -> Detector:
    return Linear()


# ---- and the entry in `detectors/models/__init__.py`; `module` only because this file lies elsewhere

MODEL = ModelSpec(
    name="linear",
    words="Ridge regression on summary features",
    kind="summary",
    device="cpu",
    priority=5,
    module=__name__,
)

# ---- what they may then expect


@pytest.fixture(autouse=True)
def _announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, MODEL.name, MODEL)


def test_a_seventh_model_is_trained_written_read_back_and_scored(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    for h, host in enumerate(("host-a", "host-b", "host-c")):
        for k in range(4):
            tiny.add(f"ep-{h}{k}", seed=10 * h + k, host=host)
    layout = tiny.build_all()
    options = StudyOptions(recipe="loho", overrides=("train.views=2",), split=SplitSettings(folds=2))
    build_split(layout, "loho", tiny.hosts, options.split)
    told: list[str] = []
    made, checks, is_new = train_checkpoint(layout, options, "linear", "realistic", told.append)
    assert is_new and all(check.holds for check in checks) and "member 6 of 6, validation macro F1" in told[-1]
    assert [member.sidecar for member in made.members] == [f"linear_realistic.{k}{_SUFFIX}" for k in range(6)]
    assert train_checkpoint(layout, options, "linear", "realistic", told.append)[2] is False

    study = open_study(layout, options)
    inputs = study.input_schema("summary", "realistic")
    checkpoint, members = load_detector(layout.checkpoint("loho", "linear", "realistic"), inputs)
    assert checkpoint == made and "~" in "".join(inputs.columns)
    episodes, path = study.load(study.split.episodes), layout.predictions("loho", "linear", "realistic")
    write_predictions(study, episodes, [Scored(path=path, inputs=inputs, predictor=members)], told.append)
    assert pq.ParquetFile(path).read()["round"].to_pylist().count(2) > 0
    every = list(episodes.recordings.values())
    truth, scores = ScoreReader(every, every, study.schema).read(path, "linear_realistic", "linear", "realistic")[
        "test"
    ]
    assert set(truth.episodes.host[truth.episode_N].tolist()) == set(tiny.hosts) and truth.rounds == (0, 1, 2)
    np.testing.assert_allclose(scores.proba_NK.sum(axis=1), 1)


def test_a_seventh_model_learns_the_easy_problem_block_by_block(easy: Any, in_parts: Any, preset: Preset) -> None:
    detector = MODELS["linear"].build()
    train, held, fresh = (easy("summary", seed=seed) for seed in range(3))
    detector.fit([in_parts(train, parts=3)], [in_parts(held)], 3, preset, lambda _: None)
    assert (
        detector.predict_proba(fresh).argmax(axis=1) == fresh.windows.label_N
    ).mean() > 0.7  # a line tells the middle badly
