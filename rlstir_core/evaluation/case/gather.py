"""Looks at an episode, or at logs, in every way there is, and keeps what each way says or why it cannot.

What does not belong here: how any of it is shown (`page.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq

from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Episode
from rlstir_core.errors import RlstirError
from rlstir_core.evaluation.case.material import CaseMaterial, LogsShown, TimeLane, TreeLine, TruthShown
from rlstir_core.evaluation.detectors.saying.records import EpisodeScore, PhaseRun
from rlstir_core.investigator.inquiry.gathering import Gathered, LogRows, gathered, is_episode
from rlstir_core.investigator.inquiry.inquire import investigate
from rlstir_core.investigator.inquiry.questioning import question
from rlstir_core.investigator.inquiry.records import Inquiry, Questioning
from rlstir_core.progress import Progress
from rlstir_core.provenance.picture import tree_lines
from rlstir_core.provenance.store import graph_of
from rlstir_core.results.champion import champion_of
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.windows import onset_ns

_BINS = 120  # of a time line
_LOGS = 12  # that have a time line and trees
_TREE_LINES = 120
_NS = 1e9
Reply = TypeVar("Reply")


def gather_case(
    path: Path,
    layout: Layout,
    store: Path,
    *,
    registry: Registry,
    recipe: str = "",
    policy: str = "ppo",
    budget: float | None = None,
    zone: str = "",
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> CaseMaterial:
    """What there is to say of the episode or the logs at `path`; StoreError where nothing can be read at all."""
    tell: Progress = progress or (lambda done, total, what: None)
    episode = _episode(path, registry)
    score, no_score = None, "these are logs and no episode, so there is no telemetry"
    if episode is not None:
        score, no_score = _asked(lambda: _score(path, layout, store, recipe, tell))
    given = {"registry": registry, "recipe": recipe, "zone": zone, "zones": zones, "progress": progress}
    inquiry: Inquiry | None
    asked: Questioning | None
    inquiry, no_inquiry = _asked(lambda: investigate([path], layout, **given))  # type: ignore[arg-type]
    if inquiry is None and score is None:
        investigate([path], layout, **given)  # type: ignore[arg-type]  # says what is wrong with the path
    asked, no_asked = None, no_inquiry
    logs: list[LogsShown] = []
    n_logs = 0
    if inquiry is not None:
        asked, no_asked = _asked(lambda: question([path], layout, policy=policy, budget=budget, **given))  # type: ignore[arg-type]
        tell(0, 0, "time lines and process trees")
        loud = {(row.log, row.seq) for row in inquiry.attack_rows}
        with gathered([path], registry=registry, zone=zone, zones=zones) as found:
            for rows in found.logs():
                n_logs += 1
                if len(logs) < _LOGS:
                    logs += _logs_shown(rows, found, loud)
    meta = episode.meta if episode is not None else None
    return CaseMaterial(
        name=meta.episode_id if meta is not None else path.name,
        paths=(str(path),),
        synthetic=meta is not None and meta.synthetic,
        phases=registry.phases,
        attack_phases=registry.attack_phases,
        score=score,
        no_score=no_score,
        truth=_truth(episode, registry) if episode is not None else None,
        inquiry=inquiry,
        no_inquiry=no_inquiry,
        asked=asked,
        no_asked=no_asked,
        logs=tuple(logs),
        n_more_logs=n_logs - len(logs),
        start_wall_ns=meta.t_start_wall_ns if meta is not None else None,
    )


def _asked(ask: Callable[[], Reply]) -> tuple[Reply | None, str]:
    """What is said, or None and the sentence why nothing is."""
    try:
        return ask(), ""
    except RlstirError as error:
        return None, str(error)


def _episode(path: Path, registry: Registry) -> Episode | None:
    """The episode at the path with its labels; None for logs, and for one that cannot be trusted."""
    return read_episode(path, registry=registry).episode if is_episode(path) else None


def _score(path: Path, layout: Layout, store: Path, recipe: str, tell: Progress) -> EpisodeScore:
    # scoring loads what detectors are made with, which takes longer than reading a log
    from rlstir_core.detectors.single import IndexClaim
    from rlstir_core.evaluation.detectors.scoring import Scorer, default_recipe

    chosen = recipe or default_recipe(layout, store)
    speaking = champion_of(layout, chosen, layout.report_inputs(chosen))

    def say(text: str) -> None:
        tell(0, 0, text)

    return Scorer(speaking, store, chosen, say).score(path, IndexClaim(), say)


def _truth(episode: Episode, registry: Registry) -> TruthShown | None:
    """The labels as stretches of time; None where there are none."""
    start, end = episode.meta.t_start_wall_ns, episode.meta.t_end_wall_ns
    labels = [(label.t_wall_ns, label.phase) for label in episode.labels]
    if not labels:
        return None
    ends = [t for t, _ in labels[1:]] + [end]
    runs = tuple(
        PhaseRun(
            phase=phase, start_s=max(t - start, 0) / _NS, end_s=min(until, end) / _NS - start / _NS, probability=1.0
        )
        for (t, phase), until in zip(labels, ends, strict=True)
        if until > max(t, start)
    )
    onset = onset_ns(labels, registry.onset_phase)
    return TruthShown(phases=runs, onset_s=None if onset is None else (onset - start) / _NS)


def _logs_shown(rows: LogRows, found: Gathered, loud: set[tuple[str, int]]) -> Iterator[LogsShown]:
    """Time lines and trees of one log, or of all logs of an episode; nothing where no row has a time."""
    ts_N = rows.table["ts_ns"].to_numpy(zero_copy_only=False).astype(np.float64)
    known_N = np.isfinite(ts_N) & (ts_N > 0)
    if not known_N.any():
        return
    first, last = int(ts_N[known_N].min()), int(ts_N[known_N].max())
    edges = np.linspace(first, max(last, first + 1), _BINS + 1)
    channel_N = np.array(rows.table["channel"].to_pylist())
    lanes = tuple(
        TimeLane(
            channel=str(channel),
            counts=tuple(np.histogram(ts_N[known_N & (channel_N == channel)], edges)[0].tolist()),
        )
        for channel in sorted(set(channel_N.tolist()))
    )
    member, seq = rows.table["member"].to_pylist(), rows.table["seq"].to_pylist()
    marked = {at for at in range(len(seq)) if (rows.shown(member[at]), seq[at]) in loud}
    private = found.private / "case.parquet"
    pq.write_table(rows.table, private)
    trees, n_processes = tree_lines(graph_of(private)[0], marked, most=_TREE_LINES)
    private.unlink()
    yield LogsShown(
        name=rows.name,
        host=rows.host,
        n_rows=len(rows.table),
        t_first_wall_ns=first,
        t_last_wall_ns=last,
        lanes=lanes,
        trees=tuple(
            TreeLine(depth=each.depth, name=each.name, detail=each.detail, used=each.right, marked=each.marked)
            for each in trees
        ),
        n_processes=n_processes,
    )
