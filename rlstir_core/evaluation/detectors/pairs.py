"""Written predictions joined with the labels of their windows: here, and nowhere earlier, are test labels read.

What does not belong here: making predictions (`detectors/scenes.py`) and figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.scenes import scenes
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth
from rlstir_core.telemetry.schema import FeatureSchema

# N windows, K phases, E episodes
ScoredPair = tuple[Truth, Scores]


class TruthTable:
    """The labels of every window of some episodes, looked up for many windows at once."""

    def __init__(self, recordings: Sequence[Recording], schema: FeatureSchema) -> None:
        self.schema = schema
        self.episodes = episodes_of(recordings)
        self.place = {recording.info.episode_id: at for at, recording in enumerate(recordings)}
        sizes = [len(recording.label_W) for recording in recordings]
        self.begin_E = np.cumsum([0, *sizes])[:-1]
        self.label_W = np.concatenate([np.empty(0, np.int64), *(r.label_W for r in recordings)])
        self.purity_W = np.concatenate([np.empty(0, np.float32), *(r.purity_W for r in recordings)])
        self.since_W = np.concatenate([np.empty(0), *(r.since_onset_W for r in recordings)])
        starts = np.concatenate([np.empty(0, np.int64), *(r.grid.start_W for r in recordings)])
        self.begin_s_W = starts / schema.windowing.bin_hz

    def truth(
        self,
        place_N: NDArray[np.int64],
        window_N: NDArray[np.int64],
        seconds_N: NDArray[np.float64],
        round_N: NDArray[np.int64] | None = None,
    ) -> Truth:
        """The labels of these windows; seconds are counted from where scoring began."""
        at_N = self.begin_E[place_N] + window_N
        return Truth(
            phases=self.schema.phases,
            attack=tuple(phase in self.schema.attack_phases for phase in self.schema.phases),
            episode_N=place_N,
            y_N=self.label_W[at_N],
            purity_N=self.purity_W[at_N],
            end_s_N=seconds_N,
            since_onset_s_N=self.since_W[at_N],
            episodes=self.episodes,
            round_N=round_N,
            begin_s_N=self.begin_s_W[at_N],
        )


class ScoreReader:
    """Reads prediction files of one recipe; the episodes of each side keep one order for all of them."""

    def __init__(self, test: Sequence[Recording], validation: Sequence[Recording], schema: FeatureSchema) -> None:
        self.schema = schema
        self.sides = {"test": TruthTable(test, schema), "validation": TruthTable(validation, schema)}

    def read(self, path: Path, name: str, model: str, mode: str) -> dict[str, ScoredPair]:
        """Truth and scores by scene."""
        table = pq.ParquetFile(path).read(use_threads=False).unify_dictionaries().combine_chunks()
        scene_N, names = _codes(table["scene"])
        out = {}
        for scene in scenes(self.schema):
            if scene.name not in names:
                continue
            side = self.sides[scene.side]
            here = np.flatnonzero(scene_N == names.index(scene.name))
            episode_N, episodes = _codes(table["episode_id"])
            place_of = np.array([side.place.get(episode, -1) for episode in episodes], np.int64)
            round_N = table["round"].to_numpy()[here].astype(np.int64)
            truth = side.truth(
                place_of[episode_N[here]],
                table["window"].to_numpy()[here].astype(np.int64),
                table["seconds_seen"].to_numpy()[here],
                round_N if round_N.any() else None,
            )
            proba_NK = np.stack([table[f"p_{phase}"].to_numpy()[here] for phase in self.schema.phases], axis=1)
            out[scene.name] = (truth, Scores(name=name, model=model, mode=mode, proba_NK=proba_NK))
        return out


def read_random_split(path: Path, episodes: EpisodeSet, mode: str) -> ScoredPair:
    """What `gbt` said on the test windows of the random split, and their labels."""
    recordings = list(episodes.recordings.values())
    labels = TruthTable(recordings, episodes.schema)
    table = pq.ParquetFile(path).read(use_threads=False)
    place_N = np.array([labels.place[episode] for episode in table["episode_id"].to_pylist()], np.int64)
    truth = labels.truth(place_N, table["window"].to_numpy().astype(np.int64), table["seconds_seen"].to_numpy())
    proba_NK = np.stack([table[f"p_{phase}"].to_numpy() for phase in episodes.schema.phases], axis=1)
    return truth, Scores(name=f"gbt_{mode}", model="gbt", mode=mode, proba_NK=proba_NK)


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


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """A dictionary column as places in a list of texts."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), [])
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.indices.to_numpy().astype(np.int64), array.dictionary.to_pylist()
