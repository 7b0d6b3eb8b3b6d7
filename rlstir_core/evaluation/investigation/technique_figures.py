"""Figures of what is said of techniques and tactics beyond one F1: parts, coverage, calibration, tactics.

All are sums over episodes. What does not belong here: how intervals are made (`stats/intervals.py`), files, and the
figures of every model that `figures.py` has.
"""

# E episodes, T tactics, B bins
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from rlstir_core.arrays import Bools, Floats
from rlstir_core.evaluation.investigation.predictions import NamedTechniques
from rlstir_core.evaluation.stats.counts import ECE_BINS, binned_calibration
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, new_host_estimate, refused
from rlstir_core.evaluation.stats.metrics import calibration_estimate
from rlstir_core.evaluation.stats.records import Record
from rlstir_core.investigator.techniques.tactics import TACTICS, TacticTable, official
from rlstir_core.learning.scores import ratio

MIN_FILES = 15  # a tactic in fewer episodes is untested
COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
Carried = Mapping[str, Collection[str]]  # {episode: its techniques, or its tactics}


class CoveragePoint(Record, frozen=True, kw_only=True):
    """The first technique of the episodes of which a model is surest."""

    coverage: float  # the share of episodes
    n: int
    precision: Estimate


class TacticScores(Record, frozen=True, kw_only=True):
    """What one model's tactics of the test episodes are worth."""

    accuracy: Estimate  # the first is the tactic that the episode is labelled with
    any_of: Estimate  # the first is an official tactic of a technique that the episode carries, or of its label alone
    new_host: Estimate  # any_of, with an interval for hosts like these
    macro_f1: Estimate
    tested: tuple[str, ...]  # the tactics of macro F1
    untested: dict[str, int]  # those in fewer than 15 episodes, and in how many


class PartedScores(Record, frozen=True, kw_only=True):
    """Micro F1 of the techniques that some training episode carries, and of the others."""

    seen: Estimate
    unseen: Estimate


def parted_f1(
    said: Mapping[str, NamedTechniques], carried: Carried, seen: Collection[str], *, draws: int
) -> PartedScores:
    """Micro F1 of both parts; what is named counts in the part that it belongs to."""
    return PartedScores(
        seen=_part_f1(said, carried, lambda technique: technique in seen, draws),
        unseen=_part_f1(said, carried, lambda technique: technique not in seen, draws),
    )


def _part_f1(
    said: Mapping[str, NamedTechniques], carried: Carried, inside: Callable[[str], bool], draws: int
) -> Estimate:
    rows = []
    for episode, true in carried.items():
        named, own = set(filter(inside, said[episode].named)), set(filter(inside, true))
        rows.append((len(named & own), len(named), len(own)))
    sums: Floats = np.array(rows, np.float64).reshape(-1, 3)
    if not sums[:, 2].any():
        return refused("no test episode carries such a technique")
    return estimate(Statistic(sums_US=sums, of=lambda s: ratio(2 * s[..., 0], s[..., 1] + s[..., 2])), draws=draws)


def precision_at_coverage(
    said: Mapping[str, NamedTechniques], sure: Mapping[str, float], carried: Carried, *, draws: int
) -> tuple[CoveragePoint, ...]:
    """How often the first technique is right among the surest episodes; `sure` has how sure a model is of each.

    Episodes that are equally sure stand together.
    """
    episodes = list(carried)
    sure_E = np.array([sure[episode] for episode in episodes])
    right_E = np.array([_first_is_right(said[episode].ranked, carried[episode]) for episode in episodes])
    found: list[CoveragePoint] = []
    for coverage in COVERAGES if episodes else ():
        at = np.sort(sure_E)[::-1][max(0, int(np.ceil(coverage * len(episodes))) - 1)]
        among_E = sure_E >= at
        point = CoveragePoint(
            coverage=float(among_E.mean()), n=int(among_E.sum()), precision=_share(right_E, among_E, draws)
        )
        if not found or found[-1].n != point.n:
            found.append(point)
    return tuple(found)


def calibration_error(
    said: Mapping[str, NamedTechniques], p_first: Mapping[str, float], carried: Carried, *, draws: int
) -> Estimate:
    """How far the probability of the first technique lies from how often it is right."""
    count_EB, excess_EB = np.zeros((len(carried), ECE_BINS)), np.zeros((len(carried), ECE_BINS))
    for e, (episode, true) in enumerate(carried.items()):
        p = min(1.0, max(0.0, p_first[episode]))
        b = max(0, int(np.ceil(p * ECE_BINS)) - 1)
        count_EB[e, b], excess_EB[e, b] = 1.0, float(_first_is_right(said[episode].ranked, true)) - p
    return calibration_estimate(binned_calibration(count_EB, excess_EB), draws=draws)


def official_tactics(carried: Carried, table: TacticTable) -> dict[str, tuple[str, ...]]:
    """{episode: every official tactic of what it carries}"""
    return {
        episode: tuple(dict.fromkeys(tactic for each in sorted(own) for tactic in official(table, each)))
        for episode, own in carried.items()
    }


def tactic_scores(
    said: Mapping[str, Sequence[str]], labelled: Carried, any_of: Carried, hosts: Mapping[str, str], *, draws: int
) -> TacticScores:
    """Everything that is said of one model's tactics; `said` are its tactics of each episode, the likeliest first.

    `labelled` are the tactics that somebody gave an episode, `any_of` the official ones of its techniques. Episodes
    without any are not asked.
    """
    in_any = [episode for episode, tactics in any_of.items() if tactics]
    right_any = np.array([_first_is_right(said[episode], any_of[episode]) for episode in in_any], np.bool_)
    any_statistic = _share_statistic(right_any, np.ones(len(in_any), np.bool_))
    asked = [episode for episode, tactics in labelled.items() if tactics]
    right = np.array([_first_is_right(said[episode], labelled[episode]) for episode in asked], np.bool_)
    counts = {tactic: sum(tactic in labelled[episode] for episode in asked) for tactic in TACTICS}
    tested = tuple(tactic for tactic in TACTICS if counts[tactic] >= MIN_FILES)
    nothing = refused("no test episode has a tactic")
    return TacticScores(
        accuracy=_share(right, np.ones(len(asked), np.bool_), draws) if asked else nothing,
        any_of=estimate(any_statistic, draws=draws) if in_any else nothing,
        new_host=(
            new_host_estimate(any_statistic, np.array([hosts[episode] for episode in in_any])) if in_any else nothing
        ),
        macro_f1=_macro_f1(said, labelled, asked, tested, draws),
        tested=tested,
        untested={tactic: n for tactic, n in counts.items() if 0 < n < MIN_FILES},
    )


def _macro_f1(
    said: Mapping[str, Sequence[str]], labelled: Carried, asked: Sequence[str], tested: Sequence[str], draws: int
) -> Estimate:
    """The mean F1 of the tested tactics, where the first tactic is what is named."""
    if not tested:
        return refused(f"no tactic stands in {MIN_FILES} test episodes")
    sums = np.zeros((len(asked), 3 * len(tested)))
    for e, episode in enumerate(asked):
        for t, tactic in enumerate(tested):
            named, true = list(said[episode][:1]) == [tactic], tactic in labelled[episode]
            sums[e, 3 * t : 3 * t + 3] = named and true, named, true

    def mean(s: Floats) -> Floats:
        f1: Floats = np.nan_to_num(ratio(2 * s[..., ::3], s[..., 1::3] + s[..., 2::3]))
        return np.asarray(f1.mean(axis=-1))

    return estimate(Statistic(sums_US=sums, of=mean), draws=draws)


def _first_is_right(ranked: Sequence[str], true: Collection[str]) -> bool:
    return bool(ranked) and ranked[0] in true


def _share_statistic(right_E: Bools, among_E: Bools) -> Statistic:
    sums = np.stack([right_E & among_E, among_E], axis=1).astype(np.float64)
    return Statistic(sums_US=sums, of=lambda s: ratio(s[..., 0], s[..., 1]))


def _share(right_E: Bools, among_E: Bools, draws: int) -> Estimate:
    """Of the episodes that are meant: those alone are the units."""
    return estimate(_share_statistic(right_E[among_E], among_E[among_E]), draws=draws)
