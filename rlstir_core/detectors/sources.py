"""Which sources of a wider threat model do not travel from host to host, measured inside the train hosts alone.

Each train host in turn is left out, and a linear model on means and deviations is fitted on the others, with a source
and without. What does not belong here: what a model then sees (`inputs.py`), and hosts that nobody trains on.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import InputSchema, summary_inputs
from rlstir_core.detectors.views import RECORDED
from rlstir_core.learning.scores import window_macro_f1
from rlstir_core.learning.standardise import Standardiser

# N windows, F columns, K phases, H hosts
MIN_HOSTS = 3  # train hosts of a member, so that the two others teach when one is left out
_MAX_GROUPS = 8  # beyond so many hosts, some are left out together
_EPISODES = 60  # of a host that are looked at, evenly over its list
_RIDGE = 0.1
_LOSING = 2 / 3  # of the hosts lose by it, and so does their mean: then a source is left out
_STATISTICS = ("mean", "std")


class SourceVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a source did for hosts that were left out, on the train side of one member."""

    source: str
    channels: int
    kept: bool
    gains: tuple[float, ...]  # macro F1 with it minus without, a host (or group of hosts) that was left out

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        lost = sum(gain < 0 for gain in self.gains)
        return (
            f"{self.source} ({self.channels} channels) changed a linear model's macro F1 by {np.mean(self.gains):+.3f} "
            f"on train hosts left out in turn, and {lost} of {len(self.gains)} lost"
        )


def judged_sources(
    episodes: EpisodeSet, recordings: Sequence[Recording], inputs: InputSchema
) -> tuple[SourceVerdict, ...]:
    """A verdict on each source that the mode adds to the primary one; none with too few hosts to measure it on."""
    schema = episodes.schema
    by_name = {channel.name: channel for channel in schema.channels}
    added: dict[str, list[str]] = {}
    for name in inputs.channels:
        if by_name[name].vantage not in MODES[PRIMARY_MODE]:
            added.setdefault(by_name[name].source, []).append(name)
    hosts = sorted({recording.info.host for recording in recordings})
    if not added or len(hosts) < MIN_HOSTS or len(added) == len({by_name[name].source for name in inputs.channels}):
        return ()
    group = {host: place % min(len(hosts), _MAX_GROUPS) for place, host in enumerate(hosts)}
    x_NF, label_N, group_N, source_F = _table(episodes, recordings, inputs, group)
    primary_F = ~np.isin(source_F, list(added))
    verdicts = []
    shown_F = primary_F
    for source, channels in added.items():
        wider_F = shown_F | (source_F == source)
        n = len(inputs.phases)
        gains = _scores(x_NF[:, wider_F], label_N, group_N, n) - _scores(x_NF[:, shown_F], label_N, group_N, n)
        kept = not (gains.mean() < 0 and (gains < 0).mean() >= _LOSING)
        shown_F = wider_F if kept else shown_F
        rounded = tuple(round(float(gain), 4) for gain in gains)
        verdicts.append(SourceVerdict(source=source, channels=len(channels), kept=kept, gains=rounded))
    return tuple(verdicts)


def blind_columns(inputs: InputSchema, left_out: Sequence[str]) -> tuple[int, ...]:
    """Places of the input columns that are made from channels of these sources."""
    return tuple(at for at, column in enumerate(inputs.columns) if _source(column) in set(left_out))


def _source(column: str) -> str:
    """`guest` of `guest.load~ewma|mean`; a ratio's channels are of one source."""
    return column.split("|", maxsplit=1)[0].split("/", maxsplit=1)[0].split("~", maxsplit=1)[0].rsplit(".", 1)[0]


def _table(
    episodes: EpisodeSet, recordings: Sequence[Recording], inputs: InputSchema, group: dict[str, int]
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64], NDArray[np.str_]]:
    """Means and deviations of levels and normalised levels, with label, group and each column's source."""
    columns = episodes.schema.columns_of(inputs.channels)
    chosen = [at for at, name in enumerate(columns) if "/" not in name and name.split("|")[1] in _STATISTICS]
    source_F = np.array([_source(columns[at]) for at in chosen])
    rows, labels, groups = [np.empty((0, len(chosen)), np.float32)], [], []
    for host, place in group.items():
        own = [recording for recording in recordings if recording.info.host == host]
        own = [own[at] for at in np.unique(np.linspace(0, len(own) - 1, min(len(own), _EPISODES)).astype(int))]
        seen = summary_inputs(episodes, sorted(own, key=episodes.place), inputs.channels, RECORDED)  # type: ignore[arg-type]
        rows.append(seen.x_NF[:, chosen])
        labels.append(seen.windows.label_N)
        groups.append(np.full(len(seen.windows.label_N), place))
    return np.concatenate(rows), np.concatenate(labels), np.concatenate(groups), source_F


def _scores(x_NF: Floats, label_N: NDArray[np.int64], group_N: NDArray[np.int64], n_phases: int) -> Floats:
    """Macro F1 on each group by a ridge regression on the phases, fitted on the other groups; (H,)."""
    found = []
    for group in np.unique(group_N):
        train_N = group_N != group
        known_F = np.isfinite(x_NF[train_N]).any(axis=0)
        own_NF = x_NF[:, known_F].astype(np.float32)
        mean_F, spread_F = np.nanmean(own_NF[train_N], axis=0), np.nanstd(own_NF[train_N], axis=0) + 1e-3
        z_NF = Standardiser(mean_F, spread_F)(own_NF).astype(np.float64)
        z_NF = np.concatenate([z_NF, np.ones((len(z_NF), 1))], axis=1)
        count_K = np.bincount(label_N[train_N], minlength=n_phases)
        weight_N = 1.0 / count_K[label_N[train_N]]
        weight_N = weight_N / weight_N.sum()
        fit_NF, target_NK = z_NF[train_N], np.eye(n_phases)[label_N[train_N]]
        left_FF = (fit_NF * weight_N[:, None]).T @ fit_NF + _RIDGE * np.eye(fit_NF.shape[1])
        weight_FK = np.linalg.solve(left_FF, (fit_NF * weight_N[:, None]).T @ target_NK)
        found.append(window_macro_f1(label_N[~train_N], z_NF[~train_N] @ weight_FK))
    return np.array(found)
