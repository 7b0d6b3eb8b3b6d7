"""The shapes of what is looked at closer: the chosen model's alarms and mistakes, members, shares of train, cost.

What does not belong here: what every model is scored by (`records.py`) and how any of it is computed.
"""

from __future__ import annotations

from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import Record, ReliabilityBin, Untested


class FlaggedWork(Record, frozen=True, kw_only=True):
    """How often benign episodes of one profile or sample raise alarms."""

    kind: str  # all, profile, sample
    name: str
    n_episodes: int
    n_windows: int
    windows: Estimate  # the share of windows with an alarm
    episodes: Estimate  # the share of episodes with one


class BenignWork(Record, frozen=True, kw_only=True):
    """Benign work by profile and sample, the most often flagged first."""

    rows: tuple[FlaggedWork, ...] = ()
    untested: tuple[Untested, ...] = ()  # at most ten of each kind
    n_untested: dict[str, int] = {}  # noqa: RUF012 - by kind; msgspec gives every instance its own
    n_further: dict[str, int] = {}  # noqa: RUF012 - tested ones that are flagged less often than those in `rows`
    note: str = ""  # why nothing is given


class Cause(Record, frozen=True, kw_only=True):
    """Why episodes are not ok: a reason code, the source that it speaks of where it speaks of one, how many."""

    reason: str
    source: str = ""
    episodes: int


class Confused(Record, frozen=True, kw_only=True):
    """Windows of one phase that were called another."""

    phase: str
    called: str
    n_windows: int


class PhaseSpan(Record, frozen=True, kw_only=True):
    """A stretch of a recording, in seconds since its start."""

    phase: str
    since_s: float
    until_s: float


class BadEpisode(Record, frozen=True, kw_only=True):
    """A test episode that the chosen model did badly on, with what it takes to draw it."""

    episode_id: str  # its name among all episodes
    own_id: str  # its id on its host
    host: str
    profile: str
    sample: str
    benign: bool
    verdict: str
    reasons: tuple[Cause, ...]
    log_loss: float  # mean over its windows
    right: float  # share of its windows whose phase was named
    n_windows: int
    confused: tuple[Confused, ...]  # the most frequent first
    alarm: str  # what became of the alarms, in words; empty where there can be none
    threshold: float | None
    duration_s: float
    spans: tuple[PhaseSpan, ...]
    middle_s: tuple[float, ...]  # of windows, or of stretches of equal length where there are many
    attack: tuple[float, ...]  # their attack probability, of a stretch the highest; none where it tells nothing
    called: tuple[str, ...]  # their most probable phase, of a stretch the most frequent
    step_s: float = 0.0  # from one to the next; further apart, what lies between was not scored


class TechniqueRecall(Record, frozen=True, kw_only=True):
    """In how many of the episodes where a technique ran the chosen model raised an alarm while it ran."""

    technique: str
    name: str
    n_episodes: int
    median_s: float  # from its first to its last row
    share: Estimate


class Techniques(Record, frozen=True, kw_only=True):
    """Recall by technique, of those that ran in five or more attacked test episodes."""

    rows: tuple[TechniqueRecall, ...] = ()
    untested: tuple[Untested, ...] = ()  # at most forty
    n_untested: int = 0
    n_episodes: int = 0  # attacked test episodes whose log rows name a technique
    n_missing: int = 0  # whose log rows are not there
    note: str = ""  # why nothing is given


class HostThreshold(Record, frozen=True, kw_only=True):
    """What one way to set a threshold gives on the test hosts; `kind` is pooled, mean, highest or own."""

    kind: str
    fpr: float  # that was asked for
    n_hosts: int  # that it was set on; of rounds the fewest
    recall: Estimate
    realised_fpr: Estimate
    worst_host: float | None = None  # the highest rate of a test host
    n_test_hosts: int = 0
    n_above: int = 0  # test hosts with a higher rate than was asked for
    attacked_share: float | None = None  # of the windows that were taken for clean


class OutOfRange(Record, frozen=True, kw_only=True):
    """How well the distance from what was trained on foretells errors."""

    distance: Estimate  # AUROC, by the distance of summaries
    outside: Estimate  # AUROC, by the share of channels outside the train side's quantiles
    usual: float | None  # distance of an episode beyond which it counts as far; of rounds the mean
    far_share_asked: float  # of left-out train episodes
    n_left_out: int
    n_episodes: int
    n_far: int
    accuracy_far: Estimate
    accuracy_near: Estimate
    median_by_host: dict[str, float]


class CloserLook(Record, frozen=True, kw_only=True):
    """What is looked at for the chosen model alone."""

    name: str
    reliability: tuple[ReliabilityBin, ...] = ()
    benign: BenignWork = BenignWork()
    worst: tuple[BadEpisode, ...] = ()
    techniques: Techniques = Techniques()
    thresholds: tuple[HostThreshold, ...] = ()
    out_of_range: OutOfRange | None = None


class MemberSpread(Record, frozen=True, kw_only=True):
    """Macro F1 on test of the members that left out one fold each, beside that of their mean."""

    name: str
    together: float
    members: tuple[float, ...]  # by fold


class SeedSpread(Record, frozen=True, kw_only=True):
    """Macro F1 on test of one member trained from several seeds on the same data."""

    name: str
    seeds: tuple[int, ...]  # the checkpoint's own first
    scores: tuple[float, ...]  # by seed
    deviation: Estimate  # standard deviation over the seeds


class ModelCost(Record, frozen=True, kw_only=True):
    """What scoring with one model took on the machine that did it."""

    name: str
    device: str
    members: int
    parameters: int  # of all members
    checkpoint_bytes: int  # with the sidecars of all members
    n_windows: int  # that were scored, of all scenes
    inputs_cpu_ms: float  # a window
    predict_cpu_ms: float  # a window
    windows_per_s: float  # by the clock, inputs and prediction together


class Without(Record, frozen=True, kw_only=True):
    """How a detector's macro F1 changes when a source or a channel is shown to it as missing."""

    what: str  # the source or the channel
    channels: int
    change: Estimate  # without it minus with it: above 0, it does harm


class Fall(Record, frozen=True, kw_only=True):
    """A detector that sees more than the realistic one of its model and lies below it by more than noise."""

    name: str
    reference: str
    gap: Estimate
    n_episodes: int  # of the test side, that `without` was measured on
    without: tuple[Without, ...]  # the most harmful first


class LearningPoint(Record, frozen=True, kw_only=True):
    """The score of one model that learnt from a share of the train episodes."""

    share: float
    n_episodes: int  # of a round, those among them that it was stopped on
    macro_f1: Estimate
    gain: Estimate | None = None  # over the share before, on the same resamples
