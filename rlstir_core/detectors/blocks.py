"""The windows of some episodes under one view, a block of episodes at a time: memory follows the block, not the store.

Which windows there are is known before any tensor is opened, and so is which of them are drawn. What does not belong
here: what a window's inputs are (`inputs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import (
    Inputs,
    InputSchema,
    Windows,
    blinded,
    sequence_inputs,
    summary_inputs,
    windows_of,
)
from rlstir_core.detectors.views import View
from rlstir_core.learning.distort import HostDraws
from rlstir_core.learning.examples import CacheBudget

# N windows, K phases
BLOCK = 64  # episodes


class Blocks:
    """Windows with the means to make their inputs, block by block; what the budget allows is kept."""

    def __init__(
        self,
        windows: Windows,
        bounds: Sequence[tuple[int, int]],
        make: Callable[[int], Inputs],
        *,
        count_K: NDArray[np.int64],
        n_undrawn: int = 0,
        budget: CacheBudget | None = None,
        draws: HostDraws | None = None,
    ) -> None:
        self.windows = windows
        self.bounds = list(bounds)
        self.count_K = count_K  # labelled windows of each phase, before any were left out
        self.n_undrawn = n_undrawn  # windows that the cap left out
        self._make = make
        self.budget = budget
        self.draws = draws  # what is drawn for each window whenever training shows it
        self._kept: dict[int, Inputs] = {}

    def __len__(self) -> int:
        return len(self.bounds)

    def labels(self, k: int) -> NDArray[np.int64]:
        """The labels of block `k`; its tensors stay closed."""
        begin, end = self.bounds[k]
        return self.windows.label_N[begin:end]

    def inputs(self, k: int) -> Inputs:
        """What the model sees of block `k`."""
        if k in self._kept:
            return self._kept[k]
        made = self._make(k)
        if self.budget is not None and self.budget.take(made.n_bytes):
            self._kept[k] = made
        return made

    def __iter__(self) -> Iterator[Inputs]:
        return (self.inputs(k) for k in range(len(self)))


def one_block(inputs: Inputs, n_phases: int) -> Blocks:
    """Inputs that are in memory already."""
    n = len(inputs.windows.label_N)
    count_K = np.bincount(inputs.windows.label_N, minlength=n_phases)
    return Blocks(inputs.windows, [(0, n)] if n else [], lambda _: inputs, count_K=count_K)


def in_blocks(
    episodes: EpisodeSet,
    recordings: Sequence[Recording],
    inputs: InputSchema,
    view: View,
    *,
    min_purity: float = 0.0,
    most: int | None = None,
    budget: CacheBudget | None = None,
    block: int = BLOCK,
    blind: Sequence[int] = (),
) -> Blocks:
    """The windows that a detector of schema `inputs` sees of `recordings` under `view`.

    For training: windows that are less of one phase than `min_purity` are left out, and beyond `most` windows they
    are drawn evenly over episodes and phases. Columns in `blind` are shown as missing.
    """
    schema = episodes.schema
    windows, masks = windows_of(recordings, schema, view)
    n_phases = len(schema.phases)
    count_K = np.bincount(windows.label_N, minlength=n_phases)
    chosen = clear(windows, min_purity)
    n_undrawn = 0 if most is None else max(0, len(chosen) - most)
    if most is not None and n_undrawn:
        chosen = chosen[evenly(windows.episode_N[chosen], windows.label_N[chosen], most, view.salt)]
    if len(chosen) < len(windows.label_N):
        kept = [np.zeros(len(mask), bool) for mask in masks]
        for place, window in zip(windows.episode_N[chosen].tolist(), windows.window_N[chosen].tolist(), strict=True):
            kept[place][window] = True
        masks = kept
    size_R = np.array([mask.sum() for mask in masks], np.int64)
    used = np.flatnonzero(size_R)
    groups = [used[at : at + block] for at in range(0, len(used), block)]
    ends = np.cumsum([size_R[group].sum() for group in groups])
    bounds = [(int(end - size_R[group].sum()), int(end)) for group, end in zip(groups, ends, strict=True)]
    make = summary_inputs if inputs.kind == "summary" else sequence_inputs

    def opened(k: int) -> Inputs:
        of_block = [recordings[place] for place in groups[k]]
        keep = [masks[place] for place in groups[k]]
        return blinded(make(episodes, of_block, inputs.channels, view, keep), blind)

    draws = view.draws(schema, inputs.channels)
    return Blocks(
        windows.select(chosen), bounds, opened, count_K=count_K, n_undrawn=n_undrawn, budget=budget, draws=draws
    )


def clear(windows: Windows, min_purity: float) -> NDArray[np.intp]:
    """Windows that are mostly of one phase; all of them where a phase would be lost otherwise."""
    chosen = windows.purity_N >= min_purity
    if set(np.unique(windows.label_N[chosen])) != set(np.unique(windows.label_N)):
        chosen = np.ones(len(windows.label_N), bool)
    return np.flatnonzero(chosen)


def evenly(episode_N: NDArray[np.int64], label_N: NDArray[np.int64], most: int, salt: str = "") -> NDArray[np.intp]:
    """Places of `most` windows: every phase of every episode gives one before any gives two; (N,) -> (most,)."""
    rng = np.random.default_rng(list(f"evenly/{salt}".encode()))
    drawn_N = rng.permutation(len(label_N))
    group_N = episode_N[drawn_N] * (int(label_N.max()) + 1) + label_N[drawn_N]
    order = np.argsort(group_N, kind="stable")
    begins = np.flatnonzero(np.r_[True, np.diff(group_N[order]) != 0])
    turn_N = np.empty(len(label_N), np.int64)
    turn_N[order] = np.arange(len(label_N)) - np.repeat(begins, np.diff(np.r_[begins, len(label_N)]))
    return np.sort(drawn_N[np.argsort(turn_N, kind="stable")[:most]])
