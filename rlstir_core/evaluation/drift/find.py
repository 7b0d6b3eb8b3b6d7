"""Drift of a store: the last day of every host against its past, and what came after training against the train side.

Hosts differ by nature, so an episode is only ever held against episodes of its own host; a host without a past is
named and not judged. What does not belong here: how two sets are compared (`compare.py`, `distances.py`,
`faults.py`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.contract.registry import Registry
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.detectors.study import Study
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.evaluation.drift.compare import compare, reachable
from rlstir_core.evaluation.drift.days import DAY_NS, MIN_BEFORE, DriftSides, day_of, last_end, since_training
from rlstir_core.evaluation.drift.digest import DigestReader, Digests
from rlstir_core.evaluation.drift.distances import distances, probe
from rlstir_core.evaluation.drift.faults import find_faults, shared_faults
from rlstir_core.evaluation.drift.records import DIFFERS, QUIET, UNTOLD, UP, ColumnDrift, Drift, HostDrift, Novelty
from rlstir_core.evaluation.stats.scored import Scores, Truth
from rlstir_core.progress import Tell

LEVEL = 0.01  # of a false alarm on a day without drift: of all hosts' numbers, and once more of their faults
MOST_COLUMNS, MOST_HOSTS = 20, 20  # that are kept
_MIN_RECENT = 3  # of the last day, for numbers; faults need none
_TOLD = 0.05  # p of a single column from which it is not worth a row


def attack_scores(truth: Truth, scores: Scores, infos: Mapping[str, EpisodeInfo]) -> dict[tuple[str, str], float]:
    """The mean attack probability of each scored episode, by host and the episode's id there."""
    attack_N = scores.proba_NK[:, np.flatnonzero(truth.attack)].sum(axis=1)
    n_E = np.bincount(truth.episode_N, minlength=len(truth.episodes))
    sum_E = np.bincount(truth.episode_N, attack_N, minlength=len(truth.episodes))
    named = [infos[str(name)] for name in truth.episodes.episode_id]
    return {(info.host, info.own_id): float(total / n) for info, total, n in zip(named, sum_E, n_E, strict=True) if n}


def find_drift(
    study: Study,
    registry: Registry,
    hosts: Sequence[str],
    scores: Mapping[tuple[str, str], float],
    scored_by: str,
    tell: Tell,
) -> Drift:
    """Reads verdicts of every host, and digests of the hosts that are compared, a host at a time."""
    layout, seed = study.layout, study.numbers.seed
    ends = [last_end(read_validation(layout.validation(host))) for host in hosts]
    until_ns = max((end for end in ends if end is not None), default=None)
    if until_ns is None:
        return Drift(hours=DAY_NS / 3.6e12, level=LEVEL)
    trained: dict[str, dict[str, int]] = {}
    for info in study.split.trained_on:
        trained.setdefault(info.host, {})[info.own_id] = info.t_end_wall_ns
    trained_until_ns = max((end for of_host in trained.values() for end in of_host.values()), default=None)
    days: dict[str, DriftSides] = {}
    after: dict[str, DriftSides] = {}
    new: list[str] = []
    for host in hosts:
        rows = read_validation(layout.validation(host))
        day = day_of(rows, until_ns)
        if day.recent and len(day.before) < MIN_BEFORE:
            new.append(host)
        elif day.recent:
            days[host] = day
        if host in trained and trained_until_ns is not None:
            since = since_training(rows, trained[host], trained_until_ns)
            if since.recent and len(since.before) >= MIN_BEFORE:
                after[host] = since
    reader = DigestReader(layout, registry, study.schema, scores)
    level = LEVEL / max(len(days), 1)
    found, grown = [], []
    for host in sorted({*days, *after}):
        wanted = {name for sides in (days.get(host), after.get(host)) if sides for side in sides for name in side}
        rows = [row for row in read_validation(layout.validation(host)) if row.episode_id in wanted]
        last = days.get(host)
        able = host in after or (last is not None and _can_tell(len(last.recent), len(last.before), level))
        digests = reader.read(host, rows, verdicts_only=not able)
        if last is not None:
            found.append(judge_host(host, digests, last, level=level, seed=seed))
        if host in after:
            told = judge_host(host, digests, after[host], level=LEVEL / len(after), seed=seed)
            grown.append(msgspec.structs.replace(told, verdict=DIFFERS) if told.verdict == UP else told)
        tell(f"drift of host {host}")
    return msgspec.structs.replace(
        judge_day(found),
        until_wall_ns=until_ns,
        n_new=len(new),
        new=tuple(new[:MOST_HOSTS]),
        scored_by=scored_by if scores else "",
        trained_until_wall_ns=trained_until_ns,
        n_since=len(grown),
        strayed=tuple(each.host for each in grown if each.verdict == DIFFERS),
        since_training=_first(grown),
    )


def judge_day(found: Sequence[HostDrift]) -> Drift:
    """The hosts of a day together: a fault of every one of them is more than it is of each."""
    level = _faults_level(len(found))
    shared = tuple(each for each in shared_faults([host.faults for host in found]) if each.chance <= level)
    judged = [
        msgspec.structs.replace(host, verdict=UP) if any(each.chance <= level for each in host.faults) else host
        for host in found
    ]
    return Drift(
        hours=DAY_NS / 3.6e12,
        level=LEVEL,
        alarm=bool(shared) or any(host.verdict == UP for host in judged),
        n_hosts=len(judged),
        hosts=_first(judged),
        shared_faults=shared,
    )


def _faults_level(n_hosts: int) -> float:
    """Of each host, and of all of them at once where there are several."""
    return LEVEL / (n_hosts + 1 if n_hosts > 1 else 1)


def _first(found: Sequence[HostDrift]) -> tuple[HostDrift, ...]:
    """Those to be shown: alarms, and then what is most unlikely."""
    order = {UP: 0, DIFFERS: 0, QUIET: 1, UNTOLD: 2}
    ordered = sorted(found, key=lambda each: (order[each.verdict], not each.faults, each.p or 0.0, each.host))
    return tuple(ordered[:MOST_HOSTS])


def judge_host(host: str, digests: Digests, sides: DriftSides, *, level: float, seed: int) -> HostDrift:
    """Two sets of episodes of one host: what differs, and whether that can be chance."""
    recent, before = digests.select(sides.recent), digests.select(sides.before)
    n_recent, n_before = len(recent), len(before)
    told = HostDrift(
        host=host,
        n_recent=n_recent,
        n_before=n_before,
        n_left_out=len(sides.recent) + len(sides.before) - n_recent - n_before,
        verdict=UNTOLD,
        level=level,
        faults=find_faults(digests, recent, before),
    )
    if not _can_tell(n_recent, n_before, level):
        return told
    seeds = (seed, zlib.crc32(host.encode()))
    compared = compare(
        digests.x_EC,
        recent,
        before,
        level=level,
        seed=seeds,
        templates=digests.templates,
        words=digests.words,
    )
    scored = [at for at, (kind, _) in enumerate(digests.columns) if kind == "score"]
    scored = [at for at in scored if all(np.isfinite(digests.x_EC[side, at]).any() for side in (recent, before))]
    worst = [at for at in np.argsort(compared.p_C, kind="stable")[:MOST_COLUMNS] if compared.p_C[at] < _TOLD]
    return msgspec.structs.replace(
        told,
        verdict=UP if compared.p <= level else QUIET,
        p=compared.p,
        n_columns=int(compared.moving_C.sum()),
        score=next((_column(digests, at, recent, before, float(compared.p_C[at]), seeds[1]) for at in scored), None),
        columns=tuple(_column(digests, int(at), recent, before, float(compared.p_C[at]), seeds[1]) for at in worst),
        novelty=tuple(Novelty(what=what, share=new, expected=usual) for what, (new, usual) in compared.new.items()),
        probe=probe(digests.x_EC, recent, before, seeds[1]),
    )


def _can_tell(n_recent: int, n_before: int, level: float) -> bool:
    """Whether any difference between so many episodes could be an alarm."""
    return n_recent >= _MIN_RECENT and n_before >= MIN_BEFORE and reachable(n_recent, n_before) <= level


def _column(
    digests: Digests, at: int, recent: Sequence[int], before: Sequence[int], p: float, seed: int
) -> ColumnDrift:
    past, now = digests.x_EC[before, at], digests.x_EC[recent, at]
    ks, psi = distances(past, now, seed)
    middle = np.mean if _mostly_one(np.concatenate([past, now])) else np.median
    kind, name = digests.columns[at]
    return ColumnDrift(kind=kind, name=name, before=_of(middle, past), recent=_of(middle, now), ks=ks, psi=psi, p=p)


def _mostly_one(x_E: Floats) -> bool:
    _, counts = np.unique(x_E[np.isfinite(x_E)], return_counts=True)
    return bool(len(counts)) and 2 * int(counts.max()) > int(counts.sum())


def _of(middle: Callable[[Floats], np.floating[Any]], x_E: Floats) -> float | None:
    known = x_E[np.isfinite(x_E)]
    return float(middle(known)) if len(known) else None
