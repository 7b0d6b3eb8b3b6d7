"""What stands along time, or along cost, as places in per cent: phases, P(attack), rows a stretch, queries.

What does not belong here: the page around it (`page.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rlstir_core.evaluation.case.material import CaseMaterial, LogsShown
from rlstir_core.evaluation.detectors.saying.records import EpisodeScore, ModelSays, PhaseRun
from rlstir_core.evaluation.report.pictures.phases import phase_colour
from rlstir_core.investigator.inquiry.records import CaseAsked, SpanSaid
from rlstir_core.investigator.tamper.finding import clock
from rlstir_core.text import plain

_TICKS = 5
_POINTS = 400  # of a curve


def telemetry_lanes(case: CaseMaterial) -> dict[str, Any]:
    """Truth, every detector's phases and the chosen one's P(attack), over the seconds of the recording."""
    score = case.score
    assert score is not None
    chosen, *others = [says for says in score.models if not says.same_as]
    truth = list(case.truth.phases) if case.truth is not None else []
    return {
        "legend": [
            {"name": plain(phase), "colour": phase_colour(phase, case.phases), "attack": phase in case.attack_phases}
            for phase in case.phases
        ],
        "truth": _runs(truth, score, case),
        "chosen": {"name": _named(chosen), "runs": _runs(chosen.phases, score, case)},
        "others": [{"name": _named(says), "runs": _runs(says.phases, score, case)} for says in others],
        "curve": _curve(chosen.attack, score),
        "curve_words": plain(f"probability of an attack over time by {_named(chosen)}; {chosen.alarm}"),
        "threshold_y": None if chosen.threshold is None else _n(100 * (1 - chosen.threshold)),
        "alarm": None if chosen.first_alarm_s is None else _n(100 * chosen.first_alarm_s / score.duration_s),
        "threshold_words": _threshold(chosen),
        "ticks": _seconds(score.duration_s),
        "table": list(_table(truth, score)),
        "notes": [plain(sentence) for sentence in _notes(score)],
    }


def query_lane(asked: CaseAsked, budget: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A bar a query along what was spent, and what the axis says."""
    most = max(budget, asked.spent, 1e-9)
    bars = [
        {
            "left": _n(100 * (query.spent - query.cost) / most),
            "width": _n(100 * query.cost / most),
            "title": f"{query.query}, cost {query.cost:g}",
        }
        for query in asked.queries
    ]
    ticks = [{"left": _n(25 * k), "words": f"{most * k / 4:.3g}"} for k in range(5)]
    return bars, ticks


def log_lanes(log: LogsShown, spans: Sequence[SpanSaid]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows a stretch of time by log channel, with what looks tampered with, and what the axis says."""
    first, length = log.t_first_wall_ns, max(log.t_last_wall_ns - log.t_first_wall_ns, 1)
    marks = [
        {
            "channel": span.channel,
            "left": _n(min(max(100 * (span.t_start_wall_ns - first) / length, 0), 99.8)),
            "width": _n(min(max(100 * (span.t_end_wall_ns - span.t_start_wall_ns) / length, 0.2), 100)),
            "title": plain(f"{span.kind}, {span.score:.2f}"),
        }
        for span in spans
    ]
    lanes = [
        {
            "channel": plain(lane.channel),
            "n": len(lane.counts),
            "words": f"{sum(lane.counts):,} rows, at most {max(lane.counts):,} in a stretch",
            "path": _columns(lane.counts),
            "marks": [mark for mark in marks if lane.channel in mark["channel"] or len(log.lanes) == 1],
        }
        for lane in log.lanes
    ]
    ticks = [
        {"left": _n(100 * k / (_TICKS - 1)), "words": clock(first + length * k // (_TICKS - 1))[11:19]}
        for k in range(_TICKS)
    ]
    return lanes, ticks


def _runs(runs: Sequence[PhaseRun], score: EpisodeScore, case: CaseMaterial) -> list[dict[str, Any]]:
    return [
        {
            "left": _n(100 * run.start_s / score.duration_s),
            "width": _n(100 * max(run.end_s - run.start_s, 0) / score.duration_s),
            "title": plain(f"{run.phase}, {run.start_s:.1f} to {run.end_s:.1f} s, P {run.probability:.2f}"),
            "colour": phase_colour(run.phase, case.phases),
            "attack": run.phase in case.attack_phases,
        }
        for run in runs
    ]


def _curve(attack: Sequence[float], score: EpisodeScore) -> str:
    """Points of a line in a box of 1000 by 100; of a long recording the highest of neighbours."""
    step = max(1, -(-len(attack) // _POINTS))
    points = [
        (score.window_end_s[min(at + step, len(attack)) - 1], max(attack[at : at + step]))
        for at in range(0, len(attack), step)
    ]
    return " ".join(f"{1000 * t / score.duration_s:.1f},{100 * (1 - p):.1f}" for t, p in points)


def _columns(counts: Sequence[int]) -> str:
    """Columns of a histogram in a box of one unit a stretch by 100."""
    most = max(*counts, 1)
    return "".join(f"M{at} 100v-{100 * n / most:.1f}h1V100z" for at, n in enumerate(counts) if n)


def _seconds(duration_s: float) -> list[dict[str, Any]]:
    return [
        {"left": _n(100 * k / (_TICKS - 1)), "words": f"{duration_s * k / (_TICKS - 1):.0f} s"} for k in range(_TICKS)
    ]


def _threshold(says: ModelSays) -> str:
    where = "none" if says.threshold is None else f"{says.threshold:.4f}"
    return plain(f"{says.alarm}; threshold {where}: {says.threshold_from}")


def _table(truth: Sequence[PhaseRun], score: EpisodeScore) -> Iterator[tuple[str, str, str, str, str]]:
    for name, runs in [("truth", truth), *((_named(says), says.phases) for says in score.models if not says.same_as)]:
        for run in runs:
            yield name, f"{run.start_s:.1f}", f"{run.end_s:.1f}", plain(run.phase), f"{run.probability:.2f}"


def _notes(score: EpisodeScore) -> Iterator[str]:
    yield score.side
    if score.missing_sources:
        yield f"sources absent: {', '.join(score.missing_sources)}"
    if score.distance is not None and score.far_beyond is not None and score.distance > score.far_beyond:
        yield "It lies far from what was trained on: the figures of the report promise less here."
    yield from score.silent


def _named(says: ModelSays) -> str:
    return f"{says.model} {says.mode}"


def _n(per_cent: float) -> str:
    return f"{per_cent:.3f}".rstrip("0").rstrip(".")
