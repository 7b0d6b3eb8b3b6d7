"""Scenes: which episodes a detector is shown, and from where; predictions are written before labels are read.

What does not belong here: any figure made from the predictions (`evaluate.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.atomic import replacing
from rlstir_core.detectors.corpus import Recording
from rlstir_core.detectors.experiment import Experiment, make_inputs
from rlstir_core.detectors.inputs import Inputs, InputSchema, Windows
from rlstir_core.detectors.views import RECORDED, View, prefix_views, scoring_view
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth

# N windows, K phases
VALIDATION = "validation"
TEST = "test"
AS_RECORDED = "test-as-recorded"
_PREFIX = "test-first-"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Some episodes under one view."""

    name: str
    side: str
    view: View

    @property
    def prefix_bins(self) -> int:
        return self.view.bins


def scenes(experiment: Experiment) -> tuple[Scene, ...]:
    """Everything that a detector of this experiment is scored on."""
    schema = experiment.corpus.schema
    view = scoring_view(schema)
    found = [Scene(name=VALIDATION, side="validation", view=view), Scene(name=TEST, side="test", view=view)]
    if not schema.windowing.whole:
        found.append(Scene(name=AS_RECORDED, side="test", view=RECORDED))
    found += [Scene(name=f"{_PREFIX}{v.bins}", side="test", view=v) for v in prefix_views(schema)]
    return tuple(found)


def recordings_of(experiment: Experiment, scene: Scene) -> list[Recording]:
    """The episodes of the scene."""
    return experiment.train if scene.side == "validation" else experiment.test


class Stage:
    """Makes the inputs of each scene once for all detectors that see the same."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.scenes = scenes(experiment)
        self._inputs: dict[tuple[str, str], Inputs] = {}

    def inputs(self, scene: Scene, schema: InputSchema) -> Inputs:
        """What a detector of `schema` sees in `scene`."""
        key = (scene.name, schema.sha256)
        if key not in self._inputs:
            recordings = recordings_of(self.experiment, scene)
            self._inputs[key] = make_inputs(self.experiment, recordings, schema, scene.view)
        return self._inputs[key]

    def forget(self) -> None:
        """Frees the inputs made so far."""
        self._inputs.clear()


def write_predictions(
    path: Path, parts: Sequence[tuple[Scene, Windows, NDArray[np.float64]]], phases: tuple[str, ...]
) -> None:
    """One Parquet file a detector: scene, episode, window, seconds seen, a probability for every phase."""
    tables = []
    for scene, windows, proba_NK in parts:
        episode_N = np.array(windows.episodes, dtype=object)[windows.episode_N]
        columns = {
            "scene": pa.array([scene.name] * len(episode_N), pa.string()),
            "episode_id": pa.array(episode_N, pa.string()),
            "window": pa.array(windows.window_N.astype(np.int32)),
            "seconds_seen": pa.array(windows.seconds_seen_N),
            **{f"p_{phase}": pa.array(proba_NK[:, k]) for k, phase in enumerate(phases)},
        }
        tables.append(pa.table(columns))
    with replacing(path) as temporary:
        pq.write_table(pa.concat_tables(tables).combine_chunks(), temporary, compression="zstd")


def read_predictions(
    path: Path, name: str, model: str, mode: str, experiment: Experiment
) -> dict[str, tuple[Truth, Scores]]:
    """Written predictions joined with the labels of their windows, by scene."""
    schema = experiment.corpus.schema
    table = pq.ParquetFile(path).read()
    scene_N = np.array(table["scene"].to_pylist())
    proba_NK = np.stack([table[f"p_{phase}"].to_numpy() for phase in schema.phases], axis=1)
    episode_N = np.array(table["episode_id"].to_pylist())
    window_N = table["window"].to_numpy()
    seconds_N = table["seconds_seen"].to_numpy()
    out = {}
    for scene in scenes(experiment):
        here = scene_N == scene.name
        truth = _truth(experiment, recordings_of(experiment, scene), episode_N[here], window_N[here], seconds_N[here])
        out[scene.name] = (truth, Scores(name=name, model=model, mode=mode, proba_NK=proba_NK[here]))
    return out


def _truth(
    experiment: Experiment,
    recordings: Sequence[Recording],
    episode_N: NDArray[np.str_],
    window_N: NDArray[np.int32],
    seconds_N: NDArray[np.float64],
) -> Truth:
    schema = experiment.corpus.schema
    place = {recording.info.episode_id: i for i, recording in enumerate(recordings)}
    place_N = np.array([place[episode] for episode in episode_N.tolist()], np.int64)
    pairs = list(zip(place_N.tolist(), window_N.tolist(), strict=True))
    return Truth(
        phases=schema.phases,
        attack=tuple(phase in schema.attack_phases for phase in schema.phases),
        episode_N=place_N,
        y_N=np.array([recordings[p].label_W[w] for p, w in pairs], np.int64),
        purity_N=np.array([recordings[p].purity_W[w] for p, w in pairs]),
        end_s_N=seconds_N,
        since_onset_s_N=np.array([recordings[p].since_onset_W[w] for p, w in pairs]),
        episodes=episodes_of(recordings),
    )


def episodes_of(recordings: Sequence[Recording]) -> Episodes:
    """What evaluation may know of the episodes."""
    infos = [recording.info for recording in recordings]
    return Episodes(
        episode_id=np.array([info.episode_id for info in infos]),
        host=np.array([info.host for info in infos]),
        profile=np.array([info.profile for info in infos]),
        sample=np.array([info.sample for info in infos]),
        benign=np.array([info.benign for info in infos]),
        complete=np.array([info.complete for info in infos]),
        duration_s=np.array([(info.t_end_wall_ns - info.t_start_wall_ns) / 1e9 for info in infos]),
    )
