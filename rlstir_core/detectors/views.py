"""Views: from where, and how far, an episode is looked at.

Normalisers lean on the script of a recording when every recording starts where the script does. So detectors
are trained on random starts: the episode is rotated at a uniform offset, the normalisers start anew there, and
windows across the seam are left out. Prefix views of whole-run windows show the first bins only. What does not
belong here: features (`inputs.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array
from rlstir_core.learning.distort import HostDraws
from rlstir_core.telemetry.normalise import normalise
from rlstir_core.telemetry.schema import FeatureSchema
from rlstir_core.telemetry.windows import WindowGrid

# C channels, T bins, W windows
_SHARE_GONE = 1 / 3  # of the channels, where there is one source only


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to look at every episode: as recorded, from a random start, or its first bins."""

    kind: Literal["recorded", "random", "prefix"] = "recorded"
    salt: str = ""  # random: another salt, another offset
    bins: int = 0  # prefix: how many bins are seen
    drop: float = 0.0  # training: chance that an episode is shown without one source (or some channels of the only one)
    gain: float = 0.0  # training: spread of a random gain of each log channel, as another host would have
    fresh: bool = False  # whether both are drawn for each window each time it is shown, and not once an episode

    @property
    def distorts(self) -> bool:
        """Whether the episode is made as another host might have recorded it."""
        return bool(self.drop or self.gain) and not self.fresh

    def draws(self, schema: FeatureSchema, channels: Sequence[str]) -> HostDraws | None:
        """What is drawn for each window of these channels whenever it is shown; None where nothing is."""
        if not self.fresh or not (self.drop or self.gain):
            return None
        shown = [channel for channel in schema.channels if channel.name in set(channels)]
        sources = list(dict.fromkeys(channel.source for channel in shown))
        return HostDraws(
            gain=self.gain,
            drop=self.drop,
            log_C=np.array([channel.scale == "log" for channel in shown]),
            source_C=np.array([sources.index(channel.source) for channel in shown]),
        )

    def offset(self, episode: str, n_bins: int) -> int:
        """Bins by which the episode is rotated; a function of the episode's id and the salt alone."""
        if self.kind != "random":
            return 0
        digest = hashlib.sha256(f"{self.salt}/{episode}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % n_bins

    def distort(self, x_CT: Array, schema: FeatureSchema, episode: str) -> Array:
        """The episode as another host might have recorded it; unchanged without `drop` and `gain`."""
        if not self.distorts:
            return x_CT
        seed = hashlib.sha256(f"distort/{self.kind}/{self.bins}/{self.salt}/{episode}".encode()).digest()
        rng = np.random.default_rng(list(seed))
        sources = list(dict.fromkeys(channel.source for channel in schema.channels))
        out_CT = x_CT.copy()
        if self.gain:
            logs_C = np.array([channel.scale == "log" for channel in schema.channels])
            out_CT += (rng.normal(0.0, self.gain, len(x_CT)) * logs_C).astype(np.float32)[:, None]
        if rng.random() < self.drop:
            if len(sources) > 1:
                gone = sources[rng.integers(len(sources))]
                out_CT[[channel.source == gone for channel in schema.channels]] = np.nan
            else:
                out_CT[rng.random(len(out_CT)) < _SHARE_GONE] = np.nan
        return out_CT


RECORDED = View()
SCORING = View(kind="random", salt="scoring")


def training_views(
    schema: FeatureSchema, count: int, drop: float, gain: float, *, fresh: bool = False
) -> tuple[View, ...]:
    """The views that a detector is trained on: random starts, or prefixes where the window is the whole run."""
    if not schema.windowing.whole:
        return tuple(View(kind="random", salt=f"train-{k}", drop=drop, gain=gain, fresh=fresh) for k in range(count))
    return (*prefix_views(schema), RECORDED)


def prefix_views(schema: FeatureSchema) -> tuple[View, ...]:
    """One view for each early length of a whole-run window."""
    windowing = schema.windowing
    full = round(windowing.length_s * windowing.bin_hz)
    bins = {round(seconds * windowing.bin_hz) for seconds in windowing.prefixes_s}
    return tuple(View(kind="prefix", bins=n) for n in sorted(bins) if 2 <= n < full)


def scoring_view(schema: FeatureSchema) -> View:
    """The view that scores speak of: a random start, or the whole run."""
    return RECORDED if schema.windowing.whole else SCORING


def validation_views(schema: FeatureSchema) -> tuple[View, ...]:
    """The views that training stops on and a model is chosen by: the scoring view last, before it every prefix where
    the registry asks for their mean."""
    early = prefix_views(schema) if schema.windowing.selected_by == "prefix_mean" else ()
    return (*early, scoring_view(schema))


def seen(x_CT: Array, view: View) -> Array:
    """The levels that the view shows: a prefix has only its first bins."""
    return x_CT[:, : view.bins] if view.kind == "prefix" else x_CT


def normalised(x_CT: Array, schema: FeatureSchema, view: View, episode: str) -> Array:
    """Normalised channels under the view, in the recording's own order of time, (C, T) -> (M*C, T)."""
    offset = view.offset(episode, x_CT.shape[1])
    rotated = np.roll(x_CT, -offset, axis=1) if offset else x_CT
    z_CT = normalise(rotated, schema.normalise, schema.windowing.bin_hz)
    return np.roll(z_CT, offset, axis=1) if offset else z_CT


def unbroken(grid: WindowGrid, view: View, episode: str, n_bins: int) -> NDArray[np.bool_]:
    """Which windows do not lie across the seam of the rotation, (W,)."""
    offset = view.offset(episode, n_bins)
    return (grid.start_W >= offset) | (grid.start_W + grid.length <= offset)


def seconds_seen(grid: WindowGrid, view: View, episode: str, n_bins: int, bin_hz: float) -> NDArray[np.float64]:
    """Seconds from the point at which scoring starts to each window's end, (W,)."""
    length = view.bins if view.kind == "prefix" else grid.length
    offset = view.offset(episode, n_bins)
    return ((grid.start_W - offset) % n_bins + length) / bin_hz
