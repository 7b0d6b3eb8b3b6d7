"""What the checks look at: three tables joined by episode, in codes and floats.

What does not belong here: reading files (`tables.py`, `predictions.py`, `about_episodes.py`), and any figure.
"""

# E episodes of the split, N rows of predictions, F features, K classes
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.audit.columns import TEST, TRAIN, VALIDATION
from rlstir_core.audit.encode import AuditNames

SideBits = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditRows:
    """Rows of predictions that have a label and a decision, with what else is known of them."""

    episode_N: Ints
    y_N: Ints
    decided_N: Ints
    place_N: Ints  # in the file, from 0
    score_N: Floats | None  # of the positive class; NaN where there is none
    threshold_N: Floats | None
    time_s_N: Floats | None

    def __len__(self) -> int:
        return len(self.y_N)

    def where(self, mask_N: Bools) -> AuditRows:
        """The rows of the mask."""
        if mask_N.all():
            return self
        kept = np.flatnonzero(mask_N)
        return AuditRows(
            episode_N=self.episode_N[kept],
            y_N=self.y_N[kept],
            decided_N=self.decided_N[kept],
            place_N=self.place_N[kept],
            score_N=None if self.score_N is None else self.score_N[kept],
            threshold_N=None if self.threshold_N is None else self.threshold_N[kept],
            time_s_N=None if self.time_s_N is None else self.time_s_N[kept],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeGroup:
    """A column that says what episodes belong to; an episode may stand in several lines, and so in several groups."""

    name: str
    code_E: Ints  # of the first line of each episode, -1 where unknown
    names: AuditNames
    line_episode_L: Ints
    line_code_L: Ints
    line_side_L: SideBits


@dataclass(frozen=True, kw_only=True, eq=False)
class AboutEpisodes:
    """The third table: what is known of episodes, and what was measured in them."""

    metadata: Mapping[str, Floats | Ints]  # codes (-1 unknown) or numbers (NaN unknown), (E,) each
    features_EF: Floats
    feature_names: tuple[str, ...]
    described_E: Bools
    n_left_out: int  # features, where there are too many
    n_unknown: int  # episodes that the split does not know
    not_used: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """All that there is to check."""

    names: AuditNames  # of the episodes of the split
    side_E: SideBits
    groups: tuple[EpisodeGroup, ...]
    classes: tuple[str, ...]
    rows: AuditRows
    about: AboutEpisodes | None
    n_rows: int  # in the file
    n_without_label: int
    n_without_decision: int
    unknown: tuple[str, ...]  # the first episodes that the split does not know
    n_unknown: int
    argmax_differs: int | None  # rows whose decision is not the most probable class; None without such scores
    positive: int | None  # the class that the score speaks for
    decided_by: str  # where decisions come from
    why_no_score: str
    rounds: str  # a column of the split that seems to tell rounds; empty without

    @cached_property
    def test(self) -> AuditRows:
        """Rows of test episodes, those that stand on another side as well included: so they were counted."""
        return self.rows.where((self.side_E & TEST)[self.rows.episode_N] > 0)

    @cached_property
    def train(self) -> AuditRows:
        return self.rows.where(self.side_E[self.rows.episode_N] & (TRAIN | TEST) == TRAIN)

    @cached_property
    def validation(self) -> AuditRows:
        return self.rows.where(self.side_E[self.rows.episode_N] & (VALIDATION | TEST) == VALIDATION)

    @property
    def n_classes(self) -> int:
        return len(self.classes)


def compact(code_N: Ints, most: int) -> tuple[Ints, Ints]:
    """(codes 0 .. U-1 of the rows; the old code of each), for codes that are not all used."""
    used_U = np.flatnonzero(np.bincount(code_N, minlength=most))
    new = np.zeros(most, np.int64)
    new[used_U] = np.arange(len(used_U))
    return new[code_N], used_U
