"""What evaluation looks at: the labels of scored windows and the probabilities that a model gave them.

The arrays of a Truth and of its Scores are in one order: window n of the one is window n of the other.
What does not belong here: any figure made from them.
"""

# E episodes, N windows, K phases
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.contract.registry import one_sided

Texts = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Episodes:
    """The episodes that windows come from, one array a property, all of length E."""

    episode_id: Texts
    host: Texts
    profile: Texts
    sample: Texts
    benign: Bools
    complete: Bools  # the verdict was ok
    duration_s: Floats

    def __post_init__(self) -> None:
        for name in ("episode_id", "host", "profile", "sample"):
            _coerce(self, name, np.str_)
        _coerce(self, "benign", np.bool_)
        _coerce(self, "complete", np.bool_)
        _coerce(self, "duration_s", np.float64)
        sizes = {name: getattr(self, name).shape for name in self.__dataclass_fields__}
        if len(set(sizes.values())) != 1 or self.episode_id.ndim != 1:
            raise ValueError(f"Episodes needs arrays of one length, not {sizes}")

    def __len__(self) -> int:
        return len(self.episode_id)


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The labels of N windows of E episodes over K phases."""

    phases: tuple[str, ...]  # the column order of every probability
    attack: tuple[bool, ...]  # which of them are attack phases
    episode_N: Ints  # row of `episodes`
    y_N: Ints
    purity_N: Floats  # share of the window that carries its label
    end_s_N: Floats  # window end, seconds since the point from which the episode is scored
    since_onset_s_N: Floats  # window end minus onset; NaN before the onset and where there is none
    episodes: Episodes
    round_N: Ints | None = None  # of the split, whose members scored the window; None where there is one round
    begin_s_N: Floats | None = None  # window begin, seconds since the recording's own start; None where unknown

    def __post_init__(self) -> None:
        for name in ("episode_N", "y_N"):
            _coerce(self, name, np.int64)
        for name in ("purity_N", "end_s_N", "since_onset_s_N"):
            _coerce(self, name, np.float64)
        if len(self.attack) != len(self.phases) or len(set(self.phases)) != len(self.phases):
            raise ValueError(f"Truth needs one attack flag a phase, and distinct phases, not {self.phases}")
        for name in ("y_N", "purity_N", "end_s_N", "since_onset_s_N"):
            if getattr(self, name).shape != self.episode_N.shape or self.episode_N.ndim != 1:
                raise ValueError(f"Truth.{name} has shape {getattr(self, name).shape}, not {self.episode_N.shape}")
        if self.begin_s_N is not None and self.begin_s_N.shape != self.episode_N.shape:
            raise ValueError(f"Truth.begin_s_N has shape {self.begin_s_N.shape}, not {self.episode_N.shape}")
        if len(self) and not (self.y_N.min() >= 0 and self.y_N.max() < self.n_phases):
            raise ValueError(f"Truth.y_N runs from {self.y_N.min()} to {self.y_N.max()} with {self.n_phases} phases")
        if len(self) and not (self.episode_N.min() >= 0 and self.episode_N.max() < len(self.episodes)):
            raise ValueError(f"Truth.episode_N points outside its {len(self.episodes)} episodes")

    def __len__(self) -> int:
        return len(self.y_N)

    @property
    def n_phases(self) -> int:
        return len(self.phases)

    @property
    def time_s_N(self) -> Floats:
        """What orders the windows of an episode: the recording's own time where it is known. (N,)"""
        return self.end_s_N if self.begin_s_N is None else self.begin_s_N

    @cached_property
    def attack_K(self) -> Bools:
        return np.asarray(self.attack, np.bool_)

    @cached_property
    def is_attack_N(self) -> Bools:
        """True where the label is an attack phase."""
        return self.attack_K[self.y_N]

    @cached_property
    def one_sided(self) -> str:
        """Why no figure can tell attack from the rest; empty where the phases are of both kinds."""
        return one_sided(self.phases, [name for name, attack in zip(self.phases, self.attack, strict=True) if attack])

    @cached_property
    def rounds(self) -> tuple[int, ...]:
        """The rounds that windows were scored in."""
        return (0,) if self.round_N is None else tuple(int(place) for place in np.unique(self.round_N))

    def in_round(self, place: int) -> Bools:
        """True for windows that were scored in this round. (N,)"""
        return np.ones(len(self), np.bool_) if self.round_N is None else self.round_N == place

    @cached_property
    def scored_E(self) -> Bools:
        """True for episodes that have at least one window."""
        found = np.zeros(len(self.episodes), np.bool_)
        found[self.episode_N] = True
        return found

    @cached_property
    def episodes_with_phase_K(self) -> Ints:
        """The number of episodes in which each phase stands. (K,)"""
        present = np.zeros((len(self.episodes), self.n_phases), np.bool_)
        present[self.episode_N, self.y_N] = True
        counts: Ints = present.sum(axis=0, dtype=np.int64)
        return counts

    def where(self, mask_N: Bools) -> Truth:
        """The windows of `mask_N`, with every episode still known."""
        return replace(
            self,
            episode_N=self.episode_N[mask_N],
            y_N=self.y_N[mask_N],
            purity_N=self.purity_N[mask_N],
            end_s_N=self.end_s_N[mask_N],
            since_onset_s_N=self.since_onset_s_N[mask_N],
            round_N=None if self.round_N is None else self.round_N[mask_N],
            begin_s_N=None if self.begin_s_N is None else self.begin_s_N[mask_N],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The probabilities that one model gave the windows of a Truth. (N, K)"""

    name: str
    model: str
    mode: str
    proba_NK: Floats

    def __post_init__(self) -> None:
        _coerce(self, "proba_NK", np.float64)
        if self.proba_NK.ndim != 2 or not np.isfinite(self.proba_NK).all():
            raise ValueError(f"Scores {self.name!r} needs finite probabilities of shape (N, K)")

    @cached_property
    def predicted_N(self) -> Ints:
        """The most probable phase; the first one among equals."""
        best: Ints = self.proba_NK.argmax(axis=1).astype(np.int64)
        return best

    def attack_N(self, truth: Truth) -> Floats:
        """The probability that the window is under attack: the sum over the attack phases."""
        total: Floats = self.proba_NK[:, truth.attack_K].sum(axis=1)
        return total

    def where(self, mask_N: Bools) -> Scores:
        """The scores of the windows of `mask_N`."""
        return replace(self, proba_NK=self.proba_NK[mask_N])


def check_pair(truth: Truth, scores: Scores) -> None:
    """ValueError unless `scores` can be the scores of `truth`."""
    needed = (len(truth), truth.n_phases)
    if scores.proba_NK.shape != needed:
        raise ValueError(f"scores {scores.name!r} have shape {scores.proba_NK.shape}, the labels need {needed}")


def _coerce(owner: object, name: str, dtype: type[np.generic]) -> None:
    value: ArrayLike = getattr(owner, name)
    object.__setattr__(owner, name, np.asarray(value, dtype=dtype))
