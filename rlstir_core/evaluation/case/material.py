"""What a case page is made of, as plain data: whatever of it cannot be said has a sentence that says why.

What does not belong here: finding any of it (`gather.py`), and how it is shown (`page.py`).
"""

from __future__ import annotations

import msgspec

from rlstir_core.evaluation.detectors.saying.records import EpisodeScore, PhaseRun
from rlstir_core.investigator.inquiry.records import Inquiry, Questioning


class TruthShown(msgspec.Struct, frozen=True, kw_only=True):
    """What the episode's own labels say; for people, and never for a detector."""

    phases: tuple[PhaseRun, ...]
    onset_s: float | None  # when the infection began, as far as the recording shows it


class TimeLane(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of one log channel fall into each of equal stretches of time."""

    channel: str
    counts: tuple[int, ...]


class TreeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One process, or several alike, below the one that started it."""

    depth: int
    name: str
    detail: str
    used: str
    marked: bool  # a row that looks like an attack made it


class LogsShown(msgspec.Struct, frozen=True, kw_only=True):
    """The logs that are read together: their time line and their process trees."""

    name: str
    host: str
    n_rows: int
    t_first_wall_ns: int
    t_last_wall_ns: int
    lanes: tuple[TimeLane, ...]
    trees: tuple[TreeLine, ...]
    n_processes: int  # in trees; those in `trees` may stand for fewer


class CaseMaterial(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says."""

    name: str
    paths: tuple[str, ...]
    synthetic: bool
    phases: tuple[str, ...]  # all there are, in their order: it gives the colours
    attack_phases: tuple[str, ...]
    score: EpisodeScore | None
    no_score: str
    truth: TruthShown | None
    inquiry: Inquiry | None
    no_inquiry: str
    asked: Questioning | None
    no_asked: str
    logs: tuple[LogsShown, ...]
    n_more_logs: int  # whose time lines are not shown
    start_wall_ns: int | None  # of the telemetry
