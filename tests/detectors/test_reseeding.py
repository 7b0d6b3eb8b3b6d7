"""Members from other seeds: which seeds, on which windows, and what they decide."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlstir_core.contract.registry import default_registry
from rlstir_core.detectors.beside import reseeding
from rlstir_core.detectors.beside.reseeding import RESEEDED, fit_reseeded, further_seeds
from rlstir_core.detectors.scenes import TEST
from rlstir_core.detectors.study import Study
from rlstir_core.learning.presets import Preset, preset
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema


def study_of(layout: Layout, *overrides: str) -> Study:
    split = SimpleNamespace(train_sha256="a", sha256="b", rounds=("one", "two"))
    options: Any = SimpleNamespace(recipe="loho")
    study = Study(
        layout=layout,
        options=options,
        numbers=preset("smoke", overrides),
        split=split,  # type: ignore[arg-type]
        schema=make_schema(default_registry()),
    )
    study.__dict__["shared"] = {"realistic": study.schema.channel_names}
    return study


def test_the_number_of_seeds_decides_the_baselines_and_no_checkpoint(tmp_path: Path) -> None:
    three, four, other = (study_of(Layout(tmp_path), *words) for words in ((), ("seeds=4",), ("seed=1",)))
    assert further_seeds(three.numbers) == [1, 2] and further_seeds(other.numbers) == [2, 3]
    hashes = [study.training_sha256("gbt", "realistic") for study in (three, four, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert three.baselines_sha256 != four.baselines_sha256


def test_every_seed_of_a_model_learns_from_the_same_windows_one_member_a_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[tuple[object, object, int]] = []

    class Learns:
        def fit(self, train: object, held: object, n_phases: int, numbers: Preset, tell: object) -> None:
            learnt.append((train, held, numbers.seed))
            self.said = np.full((1, n_phases), len(learnt))

        def predict_proba(self, inputs: object) -> np.ndarray:
            return self.said

    monkeypatch.setattr(reseeding, "MODELS", dict.fromkeys(RESEEDED, SimpleNamespace(kind="summary", build=Learns)))
    monkeypatch.setattr(reseeding, "member_sides", lambda _, place, fold: (f"train {place}", f"fold {fold}"))
    monkeypatch.setattr(reseeding, "training_blocks", lambda _, train, *__: [train])
    monkeypatch.setattr(reseeding, "validation_blocks", lambda _, held, __: [held])
    study = study_of(Layout(tmp_path))
    found = list(fit_reseeded(study, study.layout, lambda _: None))
    assert [(of.model, of.seed) for of, _ in found] == [(model, seed) for model in RESEEDED for seed in (1, 2)]
    by_round = [([f"train {place}"], ["fold 0"], seed) for place in (0, 1) for seed in (1, 2)]
    assert learnt == by_round * len(RESEEDED)
    assert len({scored.path for _, scored in found}) == 4 and {scored.shown for _, scored in found} == {(TEST,)}
    inputs: Any = None
    said = [[scored.predictor.predict_round(place, inputs)[0, 0] for place in (0, 1)] for _, scored in found]
    assert said == [[1, 3], [2, 4], [5, 7], [6, 8]]  # each seed its own fits, a round each
