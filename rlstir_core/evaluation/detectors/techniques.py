"""Recall by technique: whether an alarm was raised while the log rows of an episode say that a technique ran.

Labels of test episodes, read to evaluate and for nothing else. What does not belong here: naming techniques from logs.
"""

# N windows, L labels of rows
from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlstir_core.detectors.episode_set import Recording
from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.details import TechniqueRecall, Techniques
from rlstir_core.evaluation.stats.intervals import DRAWS, Statistic, estimate
from rlstir_core.evaluation.stats.metrics import too_few_episodes
from rlstir_core.evaluation.stats.records import Untested
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.hostlogs.attack.techniques import in_space, techniques
from rlstir_core.learning.scores import ratio
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.telemetry.schema import FeatureSchema

_NS = 1e9
_MOST_UNTESTED = 40

Spans = dict[str, tuple[int, int]]  # technique: wall time of its first and its last row, in ns


def technique_spans(path: Path) -> Spans | None:
    """From when to when the rows of one episode say that each technique ran; None where there are no rows to read."""
    try:
        table = pq.ParquetFile(path).read(columns=["ts_ns", "label_ttp"], use_threads=False).combine_chunks()
    except (OSError, KeyError, pa.ArrowException):
        return None
    if not len(table):
        return {}
    labels = table["label_ttp"].chunk(0)
    row_L = pc.list_parent_indices(labels).to_numpy()
    name_L = pc.list_flatten(labels).to_pylist()
    spans: Spans = {}
    for name, t in zip(name_L, table["ts_ns"].to_numpy()[row_L].tolist(), strict=True):
        first, last = spans.get(name, (t, t))
        spans[name] = (min(first, t), max(last, t))
    return spans


def technique_recall(
    truth: Truth,
    scores: Scores,
    threshold: Threshold,
    recordings: Mapping[str, Recording],
    layout: Layout,
    schema: FeatureSchema,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Techniques:
    """By technique, in what share of the attacked test episodes where it ran a window of that time raised an alarm."""
    alarm_N = threshold.alarms(truth, scores)
    if alarm_N is None:
        return Techniques(note=threshold.note)
    order = np.argsort(truth.episode_N, kind="stable")
    bounds = np.searchsorted(truth.episode_N[order], np.arange(len(truth.episodes) + 1))
    hits: dict[str, list[bool]] = defaultdict(list)
    lengths: dict[str, list[float]] = defaultdict(list)
    n_named = n_missing = 0
    by_host: dict[str, list[int]] = defaultdict(list)
    for place in np.flatnonzero(truth.scored_E & ~truth.episodes.benign).tolist():
        by_host[str(truth.episodes.host[place])].append(place)
    for host, places in sorted(by_host.items()):
        with holding(layout.host_lock(host), shared=True):
            for place in places:
                info = recordings[str(truth.episodes.episode_id[place])].info
                spans = technique_spans(layout.log_events(host) / f"{info.own_id}.parquet") if info.logs else {}
                n_missing += spans is None
                n_named += bool(spans)
                mine = order[bounds[place] : bounds[place + 1]]
                begin_s, alarm = truth.time_s_N[mine], alarm_N[mine]
                for technique, (first, last) in (spans or {}).items():
                    since_s, until_s = (first - info.t_start_wall_ns) / _NS, (last - info.t_start_wall_ns) / _NS
                    inside = (begin_s <= until_s) & (begin_s + schema.windowing.length_s >= since_s)
                    if inside.any():  # else the time was not scored
                        hits[technique].append(bool(alarm[inside].any()))
                        lengths[technique].append(until_s - since_s)
    note = "" if n_named else "no log row of an attacked test episode names a technique"
    few = [(technique, len(found)) for technique, found in sorted(hits.items()) if len(found) < MIN_PHASE_EPISODES]
    return Techniques(
        rows=tuple(
            _recall(technique, found, float(np.median(lengths[technique])), draws, seed)
            for technique, found in sorted(hits.items())
            if len(found) >= MIN_PHASE_EPISODES
        ),
        untested=tuple(
            Untested(kind="technique", name=technique, n_test=n, reason=too_few_episodes(n))
            for technique, n in few[:_MOST_UNTESTED]
        ),
        n_untested=len(few),
        n_episodes=n_named,
        n_missing=n_missing,
        note=note,
    )


def _recall(technique: str, found: list[bool], median_s: float, draws: int, seed: int) -> TechniqueRecall:
    known = in_space(technique)
    sums = np.stack([found, np.ones(len(found))], axis=1).astype(np.float64)
    return TechniqueRecall(
        technique=technique,
        name=techniques()[known].name if known is not None else "",
        n_episodes=len(found),
        median_s=round(median_s, 1),
        share=estimate(Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1])), draws=draws, seed=seed),
    )
