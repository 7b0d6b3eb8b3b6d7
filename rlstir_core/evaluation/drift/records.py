"""What was found about drift, as plain data.

What does not belong here: finding it (`find.py`) and its words (`words.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import Record

UP, QUIET, UNTOLD = "alarm", "quiet", "cannot tell"
DIFFERS = "differs"  # since training: no alarm, for it would be the same one every day


class ColumnDrift(Record, frozen=True, kw_only=True):
    """One number of an episode's digest, before and now."""

    kind: str  # level, spread, missing of a channel; log, recording, score
    name: str
    before: float | None  # medians; of what is mostly one value, means
    recent: float | None
    ks: Estimate  # Kolmogorov-Smirnov distance
    psi: Estimate  # population stability index
    p: float  # of this number alone, not corrected for how many there are


class Novelty(Record, frozen=True, kw_only=True):
    """The share of log rows, or of their words, that the episodes before do not know."""

    what: str  # templates, words
    share: float
    expected: float  # of as many episodes drawn from all


class DriftFault(Record, frozen=True, kw_only=True):
    """What holds in every recent episode of a host, and in few or none before."""

    what: str  # source, clock
    name: str = ""  # of the source
    value_s: float | None = None  # of the clock
    n_before: int = 0  # episodes before that had it too
    chance: float  # that every recent episode has it where episodes could change places; over all that is looked for


class HostDrift(Record, frozen=True, kw_only=True):
    """Two sets of episodes of one host, compared."""

    host: str
    n_recent: int
    n_before: int
    n_left_out: int = 0  # without features of today
    verdict: str
    p: float | None = None  # by permutation, over all numbers at once
    level: float = 0.0  # below which it is an alarm
    n_columns: int = 0  # that were compared
    columns: tuple[ColumnDrift, ...] = ()  # those that differ most
    score: ColumnDrift | None = None  # of the chosen detector, where it was tested on both sides
    novelty: tuple[Novelty, ...] = ()
    faults: tuple[DriftFault, ...] = ()
    probe: Estimate = Estimate(value=None)  # AUROC of telling recent from before


class Drift(Record, frozen=True, kw_only=True):
    """The last day against the time before, and what came after training against what was trained on."""

    until_wall_ns: int | None = None  # end of the newest recording: the day ends here
    hours: float
    level: float  # of a false alarm on a day without drift, for each of the two rules
    alarm: bool = False
    n_hosts: int = 0  # that were compared; the first of them follow
    hosts: tuple[HostDrift, ...] = ()
    shared_faults: tuple[DriftFault, ...] = ()  # of every host of the day at once
    n_new: int = 0  # hosts that recorded in the last day and have too little past
    new: tuple[str, ...] = ()  # the first of them
    scored_by: str = ""  # the detector whose scores are compared
    trained_until_wall_ns: int | None = None
    n_since: int = 0
    strayed: tuple[str, ...] = ()  # all hosts that record otherwise since than what was trained on
    since_training: tuple[HostDrift, ...] = ()
