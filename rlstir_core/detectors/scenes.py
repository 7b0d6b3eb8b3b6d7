"""Scenes: which episodes a detector is shown, and from where; predictions are written before any label is read.

What does not belong here: joining predictions with labels, and any figure made from them (`evaluation/`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.atomic import replacing
from rlstir_core.detectors.blocks import in_blocks
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import Inputs, InputSchema, Windows
from rlstir_core.detectors.study import Study
from rlstir_core.detectors.views import RECORDED, View, prefix_views, scoring_view, validation_views
from rlstir_core.progress import Tell
from rlstir_core.telemetry.schema import FeatureSchema

# N windows, K phases
Seconds = tuple[float, float]  # of CPU and of the clock
VALIDATION = "validation"
TEST = "test"
BASELINE = "baseline"  # stands in a file's name where a mode stands for the detectors
AS_RECORDED = "test-as-recorded"
_PREFIX = "{}-first-{}"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Some episodes under one view."""

    name: str
    side: str
    view: View

    @property
    def prefix_bins(self) -> int:
        return self.view.bins


def scenes(schema: FeatureSchema) -> tuple[Scene, ...]:
    """Everything that a detector is scored on."""
    view = scoring_view(schema)
    found = [Scene(name=VALIDATION, side="validation", view=view), Scene(name=TEST, side="test", view=view)]
    if not schema.windowing.whole:
        found.append(Scene(name=AS_RECORDED, side="test", view=RECORDED))
    found += [Scene(name=_PREFIX.format(TEST, v.bins), side="test", view=v) for v in prefix_views(schema)]
    *early, _ = validation_views(schema)
    found += [Scene(name=_PREFIX.format(VALIDATION, v.bins), side="validation", view=v) for v in early]
    return tuple(found)


_BLOCK = 16  # episodes: nothing is shuffled here, and the inputs of several detectors are in memory at once


class RoundPredictor(Protocol):
    """What scores a scene: the members of a round on its test side, the member that left a fold out on that fold."""

    def predict_round(self, place: int, inputs: Inputs) -> NDArray[np.float64]: ...

    def predict_members(self, place: int, inputs: Inputs) -> list[NDArray[np.float64]]: ...

    def predict_fold(self, place: int, fold: int, inputs: Inputs) -> NDArray[np.float64]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A predictor, what it sees, and the file that its predictions go to."""

    path: Path
    inputs: InputSchema
    predictor: RoundPredictor
    shown: tuple[str, ...] = ()  # the scenes that it is shown; all of them where none is named
    by_member: bool = False  # whether to keep what each member names on the test side


@dataclass(kw_only=True, eq=False)
class Spent:
    """What scoring one predictor took, and what its members named: nothing of it goes into a prediction file."""

    n_windows: int = 0
    inputs_cpu_s: float = 0.0  # making its inputs, as if no other predictor shared them
    inputs_wall_s: float = 0.0
    predict_cpu_s: float = 0.0
    predict_wall_s: float = 0.0
    called: list[NDArray[np.int8]] = field(default_factory=list)  # (M, n) by block of the test scene, in its order

    def add(self, n: int, *, inputs: Seconds = (0.0, 0.0), predict: Seconds) -> None:
        """Counts `n` windows more."""
        self.n_windows += n
        self.inputs_cpu_s += inputs[0]
        self.inputs_wall_s += inputs[1]
        self.predict_cpu_s += predict[0]
        self.predict_wall_s += predict[1]


def write_predictions(study: Study, episodes: EpisodeSet, scored: Sequence[Scored], tell: Tell) -> list[Spent]:
    """Shows every scene of every round to every predictor, a block of episodes at a time, and writes what they say."""
    schemas = {each.inputs.sha256: each.inputs for each in scored}
    spent = [Spent() for _ in scored]
    with contextlib.ExitStack() as held:
        writers = [held.enter_context(_writing(each.path, study.schema.phases)) for each in scored]
        for scene, place, fold, recordings in _parts(study, episodes):
            asked = [at for at, each in enumerate(scored) if not each.shown or scene.name in each.shown]
            ordered = sorted(recordings, key=episodes.place)  # type: ignore[arg-type]
            blocks = {
                key: in_blocks(episodes, ordered, schemas[key], scene.view, block=_BLOCK)
                for key in dict.fromkeys(scored[at].inputs.sha256 for at in asked)
            }
            n = len(next(iter(blocks.values()))) if blocks else 0
            for k in range(n):
                for key, of_schema in blocks.items():
                    began = now()
                    inputs = of_schema.inputs(k)
                    made = since(began)
                    for at in asked:
                        if scored[at].inputs.sha256 == key:
                            began = now()
                            proba_NK = _said(scored[at], scene, place, fold, inputs, spent[at])
                            spent[at].add(len(proba_NK), inputs=made, predict=since(began))
                            writers[at](scene, place, inputs.windows, proba_NK)
                tell(f"{scene.name}, round {place + 1} of {len(study.split.rounds)}: {k + 1}/{n} blocks of episodes")
    return spent


def _said(
    scored: Scored, scene: Scene, place: int, fold: int | None, inputs: Inputs, spent: Spent
) -> NDArray[np.float64]:
    """What a predictor says of a block; on the test scene what its members name is kept where that was asked for."""
    if fold is not None:
        return scored.predictor.predict_fold(place, fold, inputs)
    if not (scored.by_member and scene.name == TEST):
        return scored.predictor.predict_round(place, inputs)
    parts = scored.predictor.predict_members(place, inputs)
    spent.called.append(np.stack([part.argmax(axis=1).astype(np.int8) for part in parts]))
    return np.asarray(np.mean(parts, axis=0))


def now() -> Seconds:
    """What `since` counts from."""
    return time.process_time(), time.perf_counter()


def since(began: Seconds) -> Seconds:
    """Seconds of CPU and of the clock."""
    cpu, wall = now()
    return cpu - began[0], wall - began[1]


def _parts(study: Study, episodes: EpisodeSet) -> Iterator[tuple[Scene, int, int | None, list[Recording]]]:
    """Scene, round, fold (of validation) and the episodes."""
    for scene in scenes(study.schema):
        for place, each in enumerate(study.split.rounds):
            if scene.side == "test":
                yield scene, place, None, episodes.select(each.test)
            else:
                for fold, names in enumerate(each.folds):
                    yield scene, place, fold, episodes.select(names)


class _Writer:
    """One Parquet file: scene, round, episode, window, seconds seen, a probability for every phase."""

    def __init__(self, path: Path, phases: tuple[str, ...]) -> None:
        self.phases = phases
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [("scene", text), ("round", pa.int16()), ("episode_id", text), ("window", pa.int32())]
        self.schema = pa.schema([*fields, ("seconds_seen", pa.float64()), *((f"p_{p}", pa.float64()) for p in phases)])
        self.file = pq.ParquetWriter(path, self.schema, compression="zstd")

    def __call__(self, scene: Scene, place: int, windows: Windows, proba_NK: NDArray[np.float64]) -> None:
        n = len(windows.window_N)
        arrays = [
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([scene.name])),
            pa.array(np.full(n, place, np.int16)),
            pa.DictionaryArray.from_arrays(
                pa.array(windows.episode_N.astype(np.int32)), pa.array(windows.episodes, pa.string())
            ),
            pa.array(windows.window_N.astype(np.int32)),
            pa.array(windows.seconds_seen_N),
            *(pa.array(np.ascontiguousarray(proba_NK[:, k])) for k in range(len(self.phases))),
        ]
        self.file.write_table(pa.Table.from_arrays(arrays, schema=self.schema))


@contextlib.contextmanager
def _writing(path: Path, phases: tuple[str, ...]) -> Iterator[_Writer]:
    with replacing(path) as temporary:
        writer = _Writer(temporary, phases)
        try:
            yield writer
        finally:
            writer.file.close()
