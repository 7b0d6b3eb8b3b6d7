"""What the report is made of: plain data, so that the same inputs give the same report anywhere.

What does not belong here: computing any of it, and any wording.
"""

# ruff: noqa: RUF012 - msgspec gives every instance its own empty dict
from __future__ import annotations

from rlstir_core.evaluation.acting.records import InvestigationEvaluation
from rlstir_core.evaluation.drift.records import Drift
from rlstir_core.evaluation.investigation.records import EncoderEvaluation
from rlstir_core.evaluation.stats.details import (
    Cause,
    CloserLook,
    Fall,
    LearningPoint,
    MemberSpread,
    ModelCost,
    SeedSpread,
)
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation, PairedDifference, Record, SplitGap, Untested


class SplitSide(Record, frozen=True, kw_only=True):
    episodes: int
    windows: int
    hosts: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    first_wall_ns: int | None = None  # when its first recording began and its last one ended
    last_wall_ns: int | None = None
    degraded: int = 0  # episodes that were scored or learnt from, and are not ok
    causes: tuple[Cause, ...] = ()  # of those, the most frequent first


class Excluded(Record, frozen=True, kw_only=True):
    """Something that the split leaves out by name."""

    kind: str  # profile, sample, episode, host
    name: str
    reason: str


class Coverage(Record, frozen=True, kw_only=True):
    """Episodes of one phase, profile or sample on each side."""

    kind: str
    name: str
    train: int
    test: int


class SplitDescription(Record, frozen=True, kw_only=True):
    recipe: str
    words: str  # one plain sentence: what is held apart
    train: SplitSide
    folds: int = 0  # of a round's train side: each in turn is the validation side of one member
    test: SplitSide
    excluded: tuple[Excluded, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    checks: tuple[str, ...] = ()  # what was checked to be disjoint
    renewal: str = ""  # whether the train side stayed and why; empty where the recipe alone decided
    rounds: int = 1


class HostQuality(Record, frozen=True, kw_only=True):
    """Verdicts and clocks of one host."""

    host: str
    ok: int
    degraded: int
    rejected: int
    causes: tuple[Cause, ...] = ()
    clock_offset_s: float | None = None
    clock_drift_ppm: float | None = None


class IndexFault(Record, frozen=True, kw_only=True):
    """A line of index.jsonl that could not be read whole."""

    line: int
    detail: str


class LowDiversity(Record, frozen=True, kw_only=True):
    """A profile with so few samples that its score speaks of them and of little else."""

    profile: str
    samples: int
    episodes: int


class BadRows(Record, frozen=True, kw_only=True):
    host: str
    source: str
    read: int
    dropped: int


class LogQuality(Record, frozen=True, kw_only=True):
    """Log rows of one channel, and how many of them are not what they should be."""

    channel: str
    rows: int
    unparsed: int
    untimed: int  # the event says no time that can be read
    bare: int  # no column is filled
    cut: int  # the exporter left out what was too long
    year_assumed: int
    zone_assumed: int


class Rejected(Record, frozen=True, kw_only=True):
    """An episode that cannot be trusted; `path` is its place in the store."""

    host: str
    path: str
    reason: str
    detail: str = ""


class DataQuality(Record, frozen=True, kw_only=True):
    index_lines: int
    index_records: int
    index_faults: tuple[IndexFault, ...] = ()
    hosts: tuple[HostQuality, ...] = ()
    logs: tuple[LogQuality, ...] = ()
    low_diversity: tuple[LowDiversity, ...] = ()
    bad_rows: tuple[BadRows, ...] = ()
    rejected: tuple[Rejected, ...] = ()  # the first of them
    first_wall_ns: int | None = None  # when the first usable recording began and the last one ended
    last_wall_ns: int | None = None
    notes: tuple[str, ...] = ()


class LeakProbe(Record, frozen=True, kw_only=True):
    """A check that the data or the split do not give the answer away."""

    name: str
    value: float | None
    bound: float
    verdict: str  # ok, leak, not measured
    detail: str = ""


class Manifest(Record, frozen=True, kw_only=True):
    """What it takes to defend or repeat the result."""

    versions: dict[str, str] = {}
    config: dict[str, str | int | float | bool | None] = {}
    hashes: dict[str, str] = {}
    counts: dict[str, int] = {}  # read, parsed, dropped


class SplitColumn(Record, frozen=True, kw_only=True):
    """A recipe whose evaluation is set beside the others."""

    recipe: str
    n_test_episodes: int  # of detectors
    n_log_episodes: int | None = None  # of the encoder; None where none was evaluated
    prevalence: float | None = None  # of attacks among them


class HonestyRow(Record, frozen=True, kw_only=True):
    """One model and one figure of it under every recipe that gives one."""

    model: str
    mode: str = ""  # of a detector
    figure: str
    chosen: bool = False  # by validation, in the recipe that the report is of
    drawn_windows: bool = False  # the random side is of windows, not of episodes
    cells: dict[str, Estimate]  # by recipe
    inflation: Estimate
    shared: int | None = None  # episodes on both of the two test sides that were resampled as one; None: as two


class LeftOut(Record, frozen=True, kw_only=True):
    """An evaluation that lies there and may not stand beside the others."""

    recipe: str
    reason: str


class Honesty(Record, frozen=True, kw_only=True):
    """The same models under every recipe that was made, and what the easier split flatters."""

    columns: tuple[SplitColumn, ...]  # what stands on both sides most comes first
    rows: tuple[HonestyRow, ...]
    easy: str = ""  # inflation is what is said under this recipe,
    strict: str = ""  # minus what is said under this one; both empty where there are no two such
    partly: tuple[str, ...] = ()  # phases that only one of the two tests: in no inflation
    left_out: tuple[LeftOut, ...] = ()
    missing: tuple[str, ...] = ()  # recipes that were not made
    remedy: tuple[str, ...] = ()  # what a command must say besides the recipe


class ReportInputs(Record, frozen=True, kw_only=True):
    """Everything in `comparison_v2.md`."""

    recipe: str
    headline: bool = True  # False: figures of this recipe show a gap and are no result
    store: str  # the registry's or the store's name
    synthetic: bool
    models: tuple[ModelEvaluation, ...]
    baselines: tuple[ModelEvaluation, ...]
    chance: float | None  # macro F1 of guessing by the train frequencies
    paired: tuple[PairedDifference, ...]
    gaps: tuple[SplitGap, ...]
    split: SplitDescription
    untested: tuple[Untested, ...]
    quality: DataQuality
    probes: tuple[LeakProbe, ...]
    manifest: Manifest
    one_sided: str = ""  # why no figure tells attack from the rest; empty where they do
    facts: dict[str, str] = {}  # further lines of the head: preset, device, window
    pictures: dict[str, str] = {}  # relative path by name: forest, confusion, early
    falls: tuple[Fall, ...] = ()  # detectors that see more and say less, with the channels that do it
    chosen: CloserLook | None = None  # a closer look at the model that the verdict speaks of
    members: tuple[MemberSpread, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    learning: tuple[LearningPoint, ...] = ()  # one member of `gbt` on growing shares of the train episodes
    drift: Drift | None = None  # of all hosts' last day, and since training
    investigation: EncoderEvaluation | None = None  # read from beside the evaluation; a result, and in the hash
    acting: InvestigationEvaluation | None = None  # likewise
    honesty: Honesty | None = None  # read from other recipes' evaluations too; a result, and in the hash
    costs: tuple[ModelCost, ...] = ()  # read from beside the evaluation: never part of it, nor of any hash
