"""Which episodes are the last day's and which come before, by the time of the recordings and never by a clock here.

What does not belong here: what of an episode is compared (`digest.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rlstir_core.episodes.validation.verdicts import ValidationRow

DAY_NS = 24 * 3_600 * 1_000_000_000
MIN_BEFORE = 10  # episodes; a host with fewer has no past to be held against
MOST = 500  # episodes of one side; the latest


class DriftSides(NamedTuple):
    """Ids of one host's episodes, in the order of time."""

    recent: tuple[str, ...]
    before: tuple[str, ...]


def last_end(rows: Iterable[ValidationRow]) -> int | None:
    """When the newest recording ended, in ns; None where none says it."""
    return max((row.t_end_wall_ns for row in rows if row.t_end_wall_ns is not None), default=None)


def day_of(rows: Sequence[ValidationRow], until_ns: int) -> DriftSides:
    """The episodes that began in the last day, and the latest before; what says no time is in neither."""
    known = _in_time(rows)
    begin = until_ns - DAY_NS
    return DriftSides(
        recent=tuple(name for at, name in known if at >= begin)[-MOST:],
        before=tuple(name for at, name in known if at < begin)[-MOST:],
    )


def since_training(rows: Sequence[ValidationRow], trained: Mapping[str, int], until_ns: int) -> DriftSides:
    """The episodes that began after the last train episode ended, and the latest that were trained on."""
    known = _in_time(rows)
    return DriftSides(
        recent=tuple(name for at, name in known if at > until_ns and name not in trained)[-MOST:],
        before=tuple(name for _, name in known if name in trained)[-MOST:],
    )


def _in_time(rows: Sequence[ValidationRow]) -> list[tuple[int, str]]:
    return sorted((row.t_start_wall_ns, row.episode_id) for row in rows if row.t_start_wall_ns is not None)
