"""One figure under two splits: its sums by episode in a file, and how far it stands higher under the easier split.

What does not belong here: models on the same test side (`paired.py`), and which splits are set against each other.
"""

# E episodes of a test side, U episodes of either, S sums
from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Bools, Floats
from rlstir_core.atomic import replacing
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import (
    DRAWS,
    MIN_BOOTSTRAP,
    Estimate,
    Statistic,
    estimate,
    independent_gap,
)
from rlstir_core.evaluation.stats.scored import Texts
from rlstir_core.learning.scores import macro_f1

_SCHEMA = pa.schema({"model": pa.string(), "episode_id": pa.string(), "sums": pa.list_(pa.int64())})
_SAME = 1e-9  # what the order of additions may move


class Sums(NamedTuple):
    """What a figure of one test side is a function of."""

    episode_E: Texts
    sums_ES: Floats


class Tested(NamedTuple):
    """A figure with the interval that it was given, and the statistic that it is, by episode; None where unknown."""

    said: Estimate
    episode_E: Texts | None = None
    statistic: Statistic | None = None


class Gap(NamedTuple):
    """How far one figure stands above the other; `shared` episodes are on both sides, which were resampled as one."""

    estimate: Estimate
    shared: int | None = None  # None where the sides count as independent


def write_sums(path: Path, episodes: Sequence[str] | Texts, sums: Mapping[str, Floats]) -> None:
    """A row an episode and model: counts, in the order that the figure's function wants."""
    with replacing(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
        for model, sums_ES in sums.items():
            counts = np.asarray(sums_ES, np.int64)
            offsets = np.arange(len(counts) + 1, dtype=np.int32) * counts.shape[1]
            columns = {
                "model": pa.array([model] * len(counts), pa.string()),
                "episode_id": pa.array([str(episode) for episode in episodes], pa.string()),
                "sums": pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts.reshape(-1))),
            }
            writer.write_table(pa.table(columns, schema=_SCHEMA))


def set_sums_aside(path: Path, former: Path) -> None:
    """Keeps what lies at `path` as what was before, so that the next evaluation can be set against it."""
    with suppress(FileNotFoundError):
        path.replace(former)


def read_sums(path: Path) -> dict[str, Sums]:
    """{model: its sums}; nothing where the file is missing or is not one of these."""
    try:
        table = pq.ParquetFile(path).read(columns=list(_SCHEMA.names), use_threads=False)
        model_R = table["model"].to_numpy()
        episode_R = np.asarray(table["episode_id"].to_pylist(), np.str_)
        flat = table["sums"].combine_chunks().flatten().to_numpy()
        sums_RS = flat.astype(np.float64).reshape(len(model_R), -1) if len(model_R) else np.zeros((0, 0))
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return {}
    return {
        str(model): Sums(episode_R[model_R == model], sums_RS[model_R == model]) for model in dict.fromkeys(model_R)
    }


def tested_in(confusion: Sums, n_phases: int) -> Bools:
    """The phases that stand in enough episodes to be scored, from confusion matrices by episode. (K,)"""
    true_EK = confusion.sums_ES.reshape(-1, n_phases, n_phases).sum(axis=2)
    enough_K: Bools = (true_EK > 0).sum(axis=0) >= MIN_PHASE_EPISODES
    return enough_K


def gap_across(first: Tested, second: Tested, *, draws: int = DRAWS) -> Gap:
    """The first figure minus the second, which is of another test side.

    The episodes of both sides are resampled as one: an episode that both tested is drawn for both, so what the two
    figures have in common is no noise of their difference. Without sums by episode the sides count as independent, and
    so where a figure is 0 or 1, which resampling would not move.
    """
    apart = independent_gap(first.said, second.said)
    if apart.lo is None or not (_known(first) and _known(second)):
        return Gap(apart)
    if any(each.said.value in (0.0, 1.0) for each in (first, second)):
        return Gap(apart)
    statistic, shared = _joined(first, second)
    few = min(len(_units(first)[0]), len(_units(second)[0])) < MIN_BOOTSTRAP
    return Gap(estimate(statistic, draws=draws, jackknife=few), shared)


def tested_phases_of(said: Estimate, sums: Sums, n_phases: int) -> Tested:
    """Macro F1 over the phases that its side tests; without the statistic where the sums are of other predictions."""
    own_K = tested_in(sums, n_phases)
    found = Tested(said, sums.episode_E, Statistic(sums_US=sums.sums_ES, of=lambda s: macro_f1(s, own_K)))
    return found if is_what_was_said(found) else Tested(said)


def is_what_was_said(tested: Tested) -> bool:
    """Whether the sums by episode give the figure itself, so that they are of the same predictions."""
    if tested.statistic is None or tested.said.value is None:
        return False
    return abs(tested.statistic.value() - tested.said.value) <= _SAME


def _known(tested: Tested) -> bool:
    return tested.statistic is not None and tested.episode_E is not None


def _units(tested: Tested) -> tuple[Texts, Statistic]:
    assert tested.statistic is not None and tested.episode_E is not None
    return tested.episode_E, tested.statistic


def _joined(first: Tested, second: Tested) -> tuple[Statistic, int]:
    """The difference as one statistic over the episodes of either side, and how many episodes both sides have."""
    (first_E, one), (second_E, other) = _units(first), _units(second)
    name_U = np.union1d(first_E, second_E)
    S = one.sums_US.shape[1]
    sums_US = np.zeros((len(name_U), S + other.sums_US.shape[1]))
    sums_US[np.searchsorted(name_U, first_E), :S] = one.sums_US
    sums_US[np.searchsorted(name_U, second_E), S:] = other.sums_US
    exact = None if one.exact is None or other.exact is None else one.exact - other.exact
    joined = Statistic(
        sums_US=sums_US, of=lambda s: one.of(s[..., :S]) - other.of(s[..., S:]), bounded=False, exact=exact
    )
    return joined, len(first_E) + len(second_E) - len(name_U)
