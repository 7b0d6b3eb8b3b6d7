"""Thresholds for a host never seen, beside the one that pooled validation sets: each with its guarantee and its price.

Over hosts (conformal): the validation hosts are the calibration sample, so what is promised is about a new host drawn
like them. From the host itself: its first windows, unlabelled and taken for clean. None of them replaces the threshold
of the tables. What does not belong here: that threshold (`../detection.py`).
"""

# N windows, H hosts
from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rlstir_core.arrays import Bools, Floats
from rlstir_core.evaluation.detectors.detection import Threshold, choose_threshold
from rlstir_core.evaluation.stats import counts
from rlstir_core.evaluation.stats.details import HostThreshold
from rlstir_core.evaluation.stats.intervals import DRAWS, estimate, refused
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.evaluation.stats.scored import Scores, Truth

FIRST_WINDOWS = math.ceil(3 / ALARM_FPR)  # of a host, that its own threshold is set on: fewer cannot show such a rate
_MIN_NEGATIVES = math.ceil(1 / ALARM_FPR)  # of a calibration host, so that its rate can be told at all
_MIN_LEFT = 100  # windows of a host beyond its first ones, or it is not scored


def new_host_thresholds(
    validation: tuple[Truth, Scores] | None,
    truth: Truth,
    scores: Scores,
    begun_ns: Mapping[str, int],
    *,
    fpr: float = ALARM_FPR,
    draws: int = DRAWS,
) -> tuple[HostThreshold, ...]:
    """A row a kind of threshold; `begun_ns` is when each test episode was recorded, by its name."""
    if truth.one_sided or validation is None:
        return ()
    pooled = choose_threshold(validation, fpr)
    rows = [_row("pooled", pooled, truth, scores, draws, fpr=fpr, n_hosts=_n_hosts(validation[0]))]
    for kind, choose in (("mean", mean_over_hosts), ("highest", highest_of_hosts)):
        values, n_hosts, note = {}, 10**9, ""
        for place in validation[0].rounds:
            inside = validation[0].in_round(place)
            value, n, why = choose(*calibration(validation[0].where(inside), validation[1].where(inside)), fpr)
            n_hosts, note = min(n_hosts, n), note or why
            if value is not None:
                values[place] = value
        of = Threshold(fpr=fpr, values=values, n_negatives=pooled.n_negatives, note=note)
        rows.append(_row(kind, of, truth, scores, draws, fpr=fpr, n_hosts=n_hosts))
    rows.append(_from_the_host(truth, scores, begun_ns, draws, fpr))
    return tuple(rows)


def calibration(truth: Truth, scores: Scores) -> tuple[list[Floats], int]:
    """Attack probabilities of the non-attack windows of every host that has enough of them, and how many do not."""
    attack_N, host_N = scores.attack_N(truth), np.asarray(truth.episodes.host)[truth.episode_N]
    quiet = [attack_N[(host_N == host) & ~truth.is_attack_N] for host in np.unique(host_N)]
    able = [each for each in quiet if len(each) >= _MIN_NEGATIVES]
    return able, len(quiet) - len(able)


def mean_over_hosts(quiet: list[Floats], n_few: int, fpr: float) -> tuple[float | None, int, str]:
    """The lowest threshold with (sum of the hosts' rates + 1) / (n + 1) <= fpr.

    By conformal risk control (arXiv:2208.02814) the rate of a new host is at most `fpr` on average over such hosts.
    """
    n, needed = len(quiet), math.ceil(1 / fpr) - 1
    if n < needed:
        few = f" ({n_few} more have too few non-attack windows)" if n_few else ""
        return (
            None,
            n,
            f"{n} calibration hosts{few}: no finite threshold promises {100 * fpr:g} %, {needed} hosts could",
        )
    at_V = np.unique(np.concatenate(quiet))
    after_V = np.nextafter(at_V, np.inf)  # candidates: just above a score
    rates_V = np.sum([1 - np.searchsorted(np.sort(each), after_V, side="left") / len(each) for each in quiet], axis=0)
    allowed = np.flatnonzero((rates_V + 1) / (n + 1) <= fpr + 1e-12)
    return float(after_V[allowed[0]]), n, ""


def highest_of_hosts(quiet: list[Floats], n_few: int, fpr: float) -> tuple[float | None, int, str]:
    """The highest of the hosts' own thresholds: a new host's own lies above it in at most one case in n + 1."""
    if not quiet:
        return None, 0, f"no calibration host has {_MIN_NEGATIVES} non-attack windows"
    own = []
    for each in quiet:
        allowed = math.floor(fpr * len(each) + 1e-9)
        own.append(float(np.nextafter(np.sort(each)[::-1][allowed], np.inf)))
    return max(own), len(quiet), ""


def first_windows(truth: Truth, begun_ns: Mapping[str, int], most: int = FIRST_WINDOWS) -> tuple[Bools, Bools]:
    """The first windows of each host by the clock, and all later ones; neither of a host with too few. (N,) (N,)"""
    begun_E = np.array([begun_ns[str(name)] for name in truth.episodes.episode_id], np.float64)
    time_N = begun_E[truth.episode_N] / 1e9 + truth.time_s_N
    host_N = np.asarray(truth.episodes.host)[truth.episode_N]
    first_N, later_N = np.zeros(len(truth), np.bool_), np.zeros(len(truth), np.bool_)
    for host in np.unique(host_N):
        here = np.flatnonzero(host_N == host)
        here = here[np.argsort(time_N[here], kind="stable")]
        if len(here) >= most + _MIN_LEFT:
            first_N[here[:most]] = True
            later_N[here[most:]] = True
    return first_N, later_N


def _from_the_host(truth: Truth, scores: Scores, begun_ns: Mapping[str, int], draws: int, fpr: float) -> HostThreshold:
    first_N, later_N = first_windows(truth, begun_ns)
    attack_N, host_N = scores.attack_N(truth), np.asarray(truth.episodes.host)[truth.episode_N]
    least_N = np.full(len(truth), np.inf)
    hosts = np.unique(host_N[first_N])
    for host in hosts:
        own = np.sort(attack_N[first_N & (host_N == host)])[::-1]
        least_N[host_N == host] = np.nextafter(own[math.floor(fpr * len(own) + 1e-9)], np.inf)
    if not len(hosts):
        note = f"no test host has {FIRST_WINDOWS + _MIN_LEFT} windows"
        return HostThreshold(kind="own", fpr=fpr, n_hosts=0, recall=refused(note), realised_fpr=refused(note))
    part, alarm_N = truth.where(later_N), (attack_N >= least_N)[later_N]
    return _scored("own", part, alarm_N, draws, fpr, len(hosts), attacked=float(truth.is_attack_N[first_N].mean()))


def _row(
    kind: str, threshold: Threshold, truth: Truth, scores: Scores, draws: int, *, fpr: float, n_hosts: int
) -> HostThreshold:
    alarm_N = threshold.alarms(truth, scores)
    if alarm_N is None:
        why = refused(threshold.note)
        return HostThreshold(kind=kind, fpr=fpr, n_hosts=n_hosts, recall=why, realised_fpr=why)
    return _scored(kind, truth, alarm_N, draws, fpr, n_hosts)


def _scored(
    kind: str, truth: Truth, alarm_N: Bools, draws: int, fpr: float, n_hosts: int, attacked: float | None = None
) -> HostThreshold:
    """Recall and rate, and how many test hosts exceed the rate that was asked for."""
    recall, realised = (
        estimate(counts.share_statistic(truth, alarm_N, among_N), draws=draws)
        if among_N.any()
        else refused("no such window")
        for among_N in (truth.is_attack_N, ~truth.is_attack_N)
    )
    host_N = np.asarray(truth.episodes.host)[truth.episode_N]
    rates = [
        float(alarm_N[quiet].mean())
        for host in np.unique(host_N)
        if (quiet := (host_N == host) & ~truth.is_attack_N).any()
    ]
    return HostThreshold(
        kind=kind,
        fpr=fpr,
        n_hosts=n_hosts,
        recall=recall,
        realised_fpr=realised,
        worst_host=max(rates, default=None),
        n_test_hosts=len(rates),
        n_above=sum(rate > fpr for rate in rates),
        attacked_share=attacked,
    )


def _n_hosts(truth: Truth) -> int:
    return len(np.unique(np.asarray(truth.episodes.host)[truth.episode_N]))
