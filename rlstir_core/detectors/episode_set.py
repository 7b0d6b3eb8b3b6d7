"""Episodes as detectors use them: labels and channels in memory, tensors and features read from disk when asked for.

What does not belong here: which episodes train and which test (`datasets/`) and what a model sees of them
(`inputs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import UpstreamMissing
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import read_ledger
from rlstir_core.results.lock import holding
from rlstir_core.telemetry.feature_reader import FeatureReader
from rlstir_core.telemetry.schema import FeatureSchema, read_schema
from rlstir_core.telemetry.store import read_tensor, tensor_input_sha256
from rlstir_core.telemetry.window_table import TABLE, EpisodeWindows, read_window_table
from rlstir_core.telemetry.windows import WindowGrid, window_grid

# C channels, T bins, W windows, F feature columns


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One episode as detectors use it. Labels are -1 where a window has none."""

    info: EpisodeInfo
    n_bins: int
    grid: WindowGrid
    known_C: NDArray[np.bool_]
    label_W: NDArray[np.int64]
    purity_W: NDArray[np.float32]
    since_onset_W: NDArray[np.float64]
    open: Callable[[], NDArray[np.float32]]
    input_sha256: str = ""

    @property
    def x_CT(self) -> NDArray[np.float32]:  # noqa: N802 - the name carries the shape
        """The tensor, NaN where missing; read anew at each call."""
        return self.open()


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeSet:
    """Recordings by episode name, and the schema they were made under."""

    schema: FeatureSchema
    recordings: dict[str, Recording]
    features: Callable[[Sequence[str]], Callable[[Recording], NDArray[np.float32]]]
    place: Callable[[Recording], object]  # sort key under which stored features are read file by file

    def select(self, episodes: Iterable[str]) -> list[Recording]:
        """The recordings of these episodes; those without labelled windows teach and test nothing."""
        return [self.recordings[episode] for episode in episodes if episode in self.recordings]


def load_episodes(
    layout: Layout, infos: Sequence[EpisodeInfo], waiting: Callable[[str], None] | None = None
) -> EpisodeSet:
    """The episodes of `infos` that have labelled windows; no file of any other episode is opened.

    UpstreamMissing when the tensor of one of them is missing or is not that of the validated episode.
    """
    schema = read_schema(layout.feature_schema)
    made_under = schema.sha256
    by_host: dict[str, list[EpisodeInfo]] = {}
    for info in infos:
        if info.windows:
            by_host.setdefault(info.host, []).append(info)
    recordings: dict[str, Recording] = {}
    for host, wanted in sorted(by_host.items()):
        with holding(layout.host_lock(host), shared=True, waiting=waiting):
            windows = read_window_table(layout.tensors(host) / TABLE)
            held = {
                e: (name, key) for name, held in read_ledger(layout.tensors(host)).items() for e, key in held.items()
            }
        stale = []
        for info in wanted:
            key = tensor_input_sha256(info.decoded_sha256, made_under)
            row = windows.get(info.own_id)
            name, made_from = held.get(info.own_id, ("", ""))
            if row is None or row.input_sha256 != key or made_from != key or not (layout.tensors(host) / name).exists():
                stale.append(info.episode_id)
            else:
                recordings[info.episode_id] = _recording(layout, schema, info, row)
        if stale:
            raise UpstreamMissing(
                f"the tensors of host {host!r} are missing or out of date for {len(stale)} episodes "
                f"({', '.join(stale[:3])}); make them with: {how_to_make('window_tensors')}"
            )
    if not recordings:
        raise UpstreamMissing(
            "no episode of the split has telemetry with labelled windows, so there is nothing for detectors to learn; "
            "look at the verdicts of `rlstir validate`, or make what logs alone give: --select '+key:provenance_graphs'"
        )
    finder = FeatureReader(layout, ())

    def features(columns: Sequence[str]) -> Callable[[Recording], NDArray[np.float32]]:
        reader = FeatureReader(layout, columns)
        return lambda each: reader.read(each.info.host, each.info.own_id, each.input_sha256)

    return EpisodeSet(
        schema=schema,
        recordings={info.episode_id: recordings[info.episode_id] for info in infos if info.episode_id in recordings},
        features=features,
        place=lambda each: finder.place(each.info.host, each.info.own_id),
    )


def _recording(layout: Layout, schema: FeatureSchema, info: EpisodeInfo, row: EpisodeWindows) -> Recording:
    def opened() -> NDArray[np.float32]:
        tensor = read_tensor(layout, info.host, info.own_id)
        if tensor.signature != row.signature or tensor.x_CT.shape[1] != row.n_bins:
            raise UpstreamMissing(
                f"the tensor of episode {info.episode_id} was made anew while it was being read; run the command again"
            )
        return tensor.x_CT

    return Recording(
        info=info,
        n_bins=row.n_bins,
        grid=window_grid(row.n_bins, schema.windowing),
        known_C=row.known_C,
        label_W=row.label_W,
        purity_W=row.purity_W,
        since_onset_W=row.since_onset_W,
        open=opened,
        input_sha256=row.input_sha256,
    )
