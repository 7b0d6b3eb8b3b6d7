"""Windows: how an episode's time is cut, and which phase a window belongs to.

What does not belong here: anything computed from telemetry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.contract.registry import Windowing

# T bins, W windows, K phases
_NS = 1_000_000_000


@dataclass(frozen=True)
class WindowGrid:
    """The windows of one episode, in bins since its start."""

    start_W: NDArray[np.int64]
    length: int


def window_grid(n_bins: int, windowing: Windowing) -> WindowGrid:
    """Every window that fits; one window from the start when the window is the whole episode.

    A window's place does not depend on what comes after it.
    """
    length = round(windowing.length_s * windowing.bin_hz)
    if windowing.whole:
        return WindowGrid(np.zeros(1, np.int64), length)
    stride = max(1, round(windowing.stride_s * windowing.bin_hz))
    return WindowGrid(np.arange(0, max(0, n_bins - length + 1), stride, dtype=np.int64), length)


def phase_of_bins(
    labels: Sequence[tuple[int, str]], phases: Sequence[str], t_start_wall_ns: int, n_bins: int, bin_hz: float
) -> NDArray[np.int64]:
    """Index of the phase at the middle of each bin, (T,); -1 before the first label."""
    phase_T = np.full(n_bins, -1, np.int64)
    if labels:
        middle_T = t_start_wall_ns + ((np.arange(n_bins) + 0.5) * (_NS / bin_hz)).astype(np.int64)
        begins = np.array([t for t, _ in labels], np.int64)
        index = np.array([-1, *(list(phases).index(phase) for _, phase in labels)])
        phase_T = index[np.searchsorted(begins, middle_T, side="right")]
    return phase_T


def window_labels(
    phase_T: NDArray[np.int64], grid: WindowGrid, n_phases: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Phase with the largest share of each window and that share (the purity); -1 and 0 where unlabelled.

    (T,) -> (W,), (W,). Purity is the share of the window's bins inside the recording.
    """
    inside = min(grid.length, len(phase_T))
    share_KT = (phase_T[None, :] == np.arange(n_phases)[:, None]).astype(np.float64)
    total_KT = np.concatenate([np.zeros((n_phases, 1)), np.cumsum(share_KT, axis=1)], axis=1)
    end_W = np.minimum(grid.start_W + grid.length, len(phase_T))
    share_KW = (total_KT[:, end_W] - total_KT[:, grid.start_W]) / inside
    label_W = share_KW.argmax(axis=0)
    purity_W = share_KW.max(axis=0).astype(np.float32)
    return np.where(purity_W > 0, label_W, -1), purity_W


def onset_ns(labels: Sequence[tuple[int, str]], onset_phase: str) -> int | None:
    """When the infection began, as far as the recording shows it: the first label of the onset phase.

    An episode that is already in that phase when its recording starts shows no onset, unless it never leaves it.
    """
    if len(labels) == 1:
        return labels[0][0] if labels[0][1] == onset_phase else None
    return next((t for t, phase in labels[1:] if phase == onset_phase), None)
