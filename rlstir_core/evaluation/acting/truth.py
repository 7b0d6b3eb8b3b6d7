"""The truth of episodes as the judge of policies takes it: attack or not, labelled rows by technique, tamper spans.

What does not belong here: reading labels from a store, and figures.
"""

# E episodes, T techniques of episodes (an episode and a technique), K pairs of a labelled row and a technique
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Ints

_ROWS = 1 << 32  # no log table has as many rows


@dataclass(frozen=True, kw_only=True)
class TrueStretch:
    """A stretch in which a log channel was tampered with."""

    channel: str
    t_start_wall_ns: int
    t_end_wall_ns: int


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeTruth:
    """One episode. `rows` has each technique that it carries with the places of its rows in the log table.

    A technique of which no row is left has none: it counts among those to be named, and not for coverage. `times_ns`
    are the sorted times of the rows of each channel that was tampered with: spans are then compared in rows, as
    everywhere; without them in time.
    """

    episode_id: str
    host: str
    attack: bool
    rows: Mapping[str, Sequence[int] | NDArray[Any]] = field(default_factory=dict)
    tamper: tuple[TrueStretch, ...] = ()
    times_ns: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Truths:
    """The truths of a side as flat arrays, in the order of episodes."""

    def __init__(self, truths: Iterable[EpisodeTruth]) -> None:
        found = sorted(truths, key=lambda each: each.episode_id)
        self.episode_E = [each.episode_id for each in found]
        if len(set(self.episode_E)) != len(found):
            raise ValueError("an episode has two truths")
        self.host_E = [each.host for each in found]
        self.attack_E: Bools = np.array([each.attack for each in found], np.bool_)
        wrong = [each.episode_id for each in found if each.rows and not each.attack]
        if wrong:
            raise ValueError(f"{wrong[0]} is no attack and carries techniques")
        self.tamper_E = [each.tamper for each in found]
        self.times_E = [each.times_ns for each in found]
        self.tampered_E: Bools = np.array([bool(each.tamper) for each in found], np.bool_)
        pairs = [(e, name) for e, each in enumerate(found) for name in sorted(each.rows)]
        self.technique_T = [name for _, name in pairs]
        self.episode_T: Ints = np.array([e for e, _ in pairs], np.int64)
        rows_T = [np.unique(np.asarray(found[e].rows[name], np.int64)) for e, name in pairs]
        size_T = np.array([len(rows) for rows in rows_T], np.int64)
        slot_K = np.repeat(np.arange(len(pairs)), size_T)
        row_K = np.concatenate([*rows_T, np.zeros(0, np.int64)])
        key_K = self.episode_T[slot_K] * _ROWS + row_K if len(slot_K) else np.zeros(0, np.int64)
        order = np.argsort(key_K, kind="stable")
        self._key_K, self._slot_K = key_K[order], slot_K[order]
        self.carried_E: Ints = np.bincount(self.episode_T, minlength=len(found)).astype(np.int64)
        # of those with rows
        self.to_find_E: Ints = np.bincount(self.episode_T[size_T > 0], minlength=len(found)).astype(np.int64)

    def __len__(self) -> int:
        return len(self.episode_E)

    def found(self, episode_R: Ints, row_R: Ints) -> tuple[Ints, Ints]:
        """(places in R, techniques of episodes): each revealed row with each technique that it is labelled with."""
        key_R = episode_R * _ROWS + row_R
        low_R = np.searchsorted(self._key_K, key_R, side="left")
        high_R = np.searchsorted(self._key_K, key_R, side="right")
        count_R = high_R - low_R
        at = np.repeat(np.arange(len(key_R)), count_R)
        within = np.arange(len(at)) - np.repeat(np.cumsum(count_R) - count_R, count_R)
        return at, self._slot_K[low_R[at] + within]


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """How long stretches of one channel are and where they lie: in rows where their times are known, else in time."""

    times_ns: NDArray[Any] | None

    def ends(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """The first and last row of a stretch, the rows that border on it among them."""
        if self.times_ns is None or not len(self.times_ns):
            return start_ns, end_ns
        first = max(0, int(np.searchsorted(self.times_ns, start_ns, side="right")) - 1)
        last = min(len(self.times_ns) - 1, int(np.searchsorted(self.times_ns, end_ns, side="left")))
        return first, max(first, last)
