"""Figures of tampering, as sums over episodes: F1 by span and by row, recall by operator, false spans of honest logs.

A true span is found when a span that is said overlaps it and is no longer than three times as long; a span that is
said is right when it finds one. Both reach over rows of a log file, borders of a gap among them; where the truth names
no rows, over all rows of its channel in its time. What does not belong here: files (`tamper_predictions.py`), rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa

from rlstir_core.arrays import Floats
from rlstir_core.evaluation.investigation.tamper_predictions import SaidSpan, SaidTampering
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, rate_estimate, refused
from rlstir_core.evaluation.stats.records import Record
from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.investigator.tamper.calibration import THRESHOLD
from rlstir_core.learning.scores import ratio

LONGEST = 3  # times as long as the true span
ROWS = 10_000
_NOWHERE = -2


class TrueSpan(Record, frozen=True, kw_only=True):
    """A stretch that was tampered with: the rows `first` to `last` of a log file."""

    member: str
    kind: str
    first: int
    last: int


class EpisodeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one model's spans and rows of one episode come to."""

    said: int
    right: int
    true: Mapping[str, int]  # by kind
    found: Mapping[str, int]
    rows: int
    rows_said: int
    rows_right: int
    rows_true: int
    files: int
    files_flagged: int

    @property
    def honest(self) -> bool:
        """Whether nothing was tampered with."""
        return not self.true and not self.rows_true


class TamperScores(Record, frozen=True, kw_only=True):
    """What one model's word on tampering is worth."""

    name: str
    span_f1: Estimate
    span_precision: Estimate
    span_recall: Estimate
    row_f1: Estimate
    recall_by_kind: dict[str, Estimate]
    false_spans: Estimate  # among 10,000 rows of episodes that nobody tampered with
    honest_flagged: Estimate  # the share of their log files that is flagged
    tampered_flagged: Estimate  # the share of tampered episodes of which a log file is flagged
    n_honest: int
    n_tampered: int


def true_spans(table: pa.Table, spans: Sequence[TamperSpan]) -> tuple[TrueSpan, ...]:
    """The truth as rows of log files; a span of which no row is left stands at no row, and counts as missed."""
    found: list[TrueSpan] = []
    members = np.array(table["member"].to_pylist(), object)
    channels = np.array(table["channel"].to_pylist(), object)
    seq_N, ts_N = table["seq"].to_numpy(), table["ts_ns"].to_numpy()
    for span in spans:
        places = span.places
        of_file = members == span.member if span.member else channels == span.channel
        if places is None:
            inside = (ts_N >= span.t_start_wall_ns) & (ts_N <= span.t_end_wall_ns) & (channels == span.channel)
            here = of_file & inside
        else:
            here = of_file & np.isin(seq_N, np.array(places, np.int64))
        if not here.any():
            found.append(TrueSpan(member=span.member, kind=span.kind, first=_NOWHERE, last=_NOWHERE))
        for member in sorted(set(members[here])):
            seqs = seq_N[here & (members == member)]
            found.append(TrueSpan(member=member, kind=span.kind, first=int(seqs.min()), last=int(seqs.max())))
    return tuple(found)


def finds(said: SaidSpan, true: TrueSpan) -> bool:
    """Whether the span that is said finds the true one."""
    first, last = _ends(said)
    overlaps = said.member == true.member and first <= true.last and true.first <= last
    return overlaps and last - first + 1 <= LONGEST * (true.last - true.first + 1)


def _ends(said: SaidSpan) -> tuple[int, int]:
    first = said.after_seq if said.after_seq >= 0 else said.before_seq
    last = said.before_seq if said.before_seq >= 0 else said.after_seq
    return min(first, last), max(first, last)


def episode_counts(table: pa.Table, said: SaidTampering, true: Sequence[TrueSpan]) -> EpisodeCounts:
    """Counts of one episode; a row counts as said from a likelihood of one half on."""
    right = sum(any(finds(each, span) for span in true) for each in said.spans)
    kinds: dict[str, int] = {}
    found: dict[str, int] = {}
    for span in true:
        kinds[span.kind] = kinds.get(span.kind, 0) + 1
        found[span.kind] = found.get(span.kind, 0) + any(finds(each, span) for each in said.spans)
    tagged_N = np.array([tag is not None for tag in table["tamper_tag"].to_pylist()], bool)
    said_N = said.p_N >= THRESHOLD
    members = set(table["member"].to_pylist())
    return EpisodeCounts(
        said=len(said.spans),
        right=right,
        true=kinds,
        found=found,
        rows=len(table),
        rows_said=int(said_N.sum()),
        rows_right=int((said_N & tagged_N).sum()),
        rows_true=int(tagged_N.sum()),
        files=len(members),
        files_flagged=len(members & said.flagged),
    )


def tamper_scores(name: str, counts: Sequence[EpisodeCounts], *, draws: int) -> TamperScores:
    """Everything that is said of one model; an episode is the unit. Precision counts honest episodes as well."""
    tampered = [each for each in counts if not each.honest]
    honest = [each for each in counts if each.honest]
    spans_US = _sums([_span_sums(each) for each in counts], 4)
    rows_US = _sums([(each.rows_right, each.rows_said, each.rows_right, each.rows_true) for each in counts], 4)
    kinds = sorted({kind for each in tampered for kind in each.true})
    return TamperScores(
        name=name,
        span_f1=_estimate(spans_US, span_f1_of, draws),
        span_precision=_estimate(spans_US, lambda s: ratio(s[..., 0], s[..., 1]), draws),
        span_recall=_estimate(spans_US, lambda s: ratio(s[..., 2], s[..., 3]), draws),
        row_f1=_estimate(rows_US, span_f1_of, draws),
        recall_by_kind={
            kind: _share([(each.found[kind], each.true[kind]) for each in tampered if kind in each.true], draws)
            for kind in kinds
        },
        false_spans=_rate(honest, draws),
        honest_flagged=_share([(each.files_flagged, each.files) for each in honest], draws),
        tampered_flagged=_share([(min(each.files_flagged, 1), 1) for each in tampered], draws),
        n_honest=len(honest),
        n_tampered=len(tampered),
    )


def paired_span_f1(one: Sequence[EpisodeCounts], other: Sequence[EpisodeCounts], *, draws: int) -> Estimate:
    """Span F1 of the one minus that of the other, on the same resamples of the same episodes."""
    both = [(*_span_sums(a), *_span_sums(b)) for a, b in zip(one, other, strict=True)]
    gap = Statistic(sums_US=_sums(both, 8), of=lambda s: span_f1_of(s[..., :4]) - span_f1_of(s[..., 4:]), bounded=False)
    return estimate(gap, draws=draws)


def _span_sums(counts: EpisodeCounts) -> tuple[int, int, int, int]:
    return counts.right, counts.said, sum(counts.found.values()), sum(counts.true.values())


def _rate(honest: Sequence[EpisodeCounts], draws: int) -> Estimate:
    if not honest:
        return refused("no episode is honest")
    events_U, rows_U = _sums([(each.said, each.rows / ROWS) for each in honest], 2).T
    return rate_estimate(events_U, rows_U, draws=draws)


def _share(pairs: Sequence[tuple[int, int]], draws: int) -> Estimate:
    if not pairs:
        return refused("no episode to count")
    return _estimate(_sums(pairs, 2), lambda s: ratio(s[..., 0], s[..., 1]), draws)


def _estimate(sums_US: Floats, of: Callable[[Floats], Floats], draws: int) -> Estimate:
    return estimate(Statistic(sums_US=sums_US, of=of), draws=draws)


def span_f1_of(sums: Floats) -> Floats:
    """(..., 4): right, said, found, true -> (...): the harmonic mean of right/said and found/true."""
    precision, recall = ratio(sums[..., 0], sums[..., 1]), ratio(sums[..., 2], sums[..., 3])
    f1 = ratio(2 * precision * recall, precision + recall)
    # nothing said or nothing right is no undefined figure, but a bad one
    return np.where((sums[..., 3] > 0) & ~np.isfinite(f1), 0.0, f1)


def _sums(rows: Sequence[tuple[float, ...]], width: int) -> Floats:
    return np.array(rows, np.float64).reshape(-1, width)
