"""Do intervals of an ensemble cover? Its weights are fitted on left-out folds, it is scored on others: by simulation.

Six models of a made-up world, of five phases and windows that resemble each other within an episode and a host, speak
of the same windows. Weights, intervals and differences are the product's own code. Two ways to test:

- eight hosts, each in turn left out (`loho`): the weights for a host are fitted on what was said of the seven others,
  and the interval resamples hosts. What it must cover is the figure on hosts never seen, over many such trainings.
- fifty test episodes (`host`): weights fitted on 100 other episodes, and the interval resamples episodes. What it must
  cover is the figure of these very weights on further episodes.

Differences are to one model that was named before anything was seen, to the one that is best on the folds left out, and
to the one that is best on the test side, which test data choose.
Usage: python -m benchmarks coverage [--worlds N] [--seed K]
"""

# M models, N windows, K phases, E episodes, H hosts, S = K * K sums, U units that are resampled
from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.detectors.ensemble.weights import Mixture, fit_mixture, mix
from rlstir_core.evaluation.stats.intervals import LEVEL, Estimate, Statistic, estimate, new_host_estimate
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.learning.scores import macro_f1

M, K = 6, 5
EVERY = np.ones(K, bool)
SKILL_M = np.array([0.45, 0.4, 0.3, 0.25, 0.2, 0.0])
BASE_K = np.array([1.7, 1.3, 1.0, 1.4, 1.1])
OFTEN_K = np.array([0.9, 0.7, 0.5, 0.5, 0.4])
WINDOWS = 4  # of a phase that an episode has, on average
MEMBERS = 3  # that speak together of the test side; of a fold only the one does that left it out
DRAWS = 1000
FIXED = 0  # a model that was named before anything was seen, as `gbt` is in the report
FIGURES = (
    "the ensemble",
    "minus a model named before",
    "minus the best on the folds",
    "minus the best on the test side",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """What the models say of some episodes."""

    proba_MNK: Floats
    label_N: Ints
    episode_N: Ints
    n_episodes: int

    def select(self, keep_E: Bools) -> Said:
        """What they say of some of the episodes, which are numbered anew."""
        keep_N = keep_E[self.episode_N]
        return Said(
            proba_MNK=self.proba_MNK[:, keep_N],
            label_N=self.label_N[keep_N],
            episode_N=(np.cumsum(keep_E) - 1)[self.episode_N[keep_N]],
            n_episodes=int(keep_E.sum()),
        )

    def fitted(self) -> Mixture:
        return fit_mixture(self.proba_MNK, self.label_N, self.episode_N)

    def sums(self, proba_NK: Floats) -> Floats:
        """Confusion by episode, (E, K * K)."""
        cell_N = (self.episode_N * K + self.label_N) * K + proba_NK.argmax(axis=1)
        return np.bincount(cell_N, minlength=self.n_episodes * K * K).reshape(-1, K * K).astype(np.float64)

    def singles(self) -> Floats:
        """Confusion by model and episode, (M, E, K * K)."""
        return np.stack([self.sums(proba_NK) for proba_NK in self.proba_MNK])


class Hosts:
    """Hosts of the made-up world: each is difficult in its own way, for each phase and for each model."""

    def __init__(self, rng: np.random.Generator, n_hosts: int) -> None:
        self.rng = rng
        self.easy_HMK = rng.normal(0, 0.5, (n_hosts, 1, 1)) + rng.normal(0, 0.3, (n_hosts, 1, K))
        self.easy_HMK = self.easy_HMK + rng.normal(0, 0.25, (n_hosts, M, 1))

    def said(self, each: int, members: Sequence[int]) -> tuple[Ints, list[Said]]:
        """The host of each episode, (E,), and what so many members of every model say of these same episodes."""
        rng, host_E = self.rng, np.repeat(np.arange(len(self.easy_HMK)), each)
        n_episodes = len(host_E)
        count_EK = (1 + rng.poisson(WINDOWS - 1, (n_episodes, K))) * (rng.random((n_episodes, K)) < OFTEN_K)
        count_EK[:, 0] = np.maximum(count_EK[:, 0], 1)
        episode_N = np.repeat(np.repeat(np.arange(n_episodes), K), count_EK.reshape(-1))
        label_N = np.repeat(np.tile(np.arange(K), n_episodes), count_EK.reshape(-1))
        n = len(label_N)
        easy_EMK = rng.normal(0, 0.6, (n_episodes, 1, 1)) + rng.normal(0, 0.3, (n_episodes, M, K))
        easy_EMK += SKILL_M[:, None] + BASE_K + self.easy_HMK[host_E]
        # what all models take this window of this episode for, and what each does
        shared_MNK = rng.normal(0, 0.5, (n_episodes, 1, K)) + rng.normal(0, 0.4, (n_episodes, M, K))
        shared_MNK = shared_MNK[episode_N].transpose(1, 0, 2) + rng.normal(0, 0.7, (1, n, K))
        shared_MNK += rng.normal(0, 0.5, (M, n, K))
        shared_MNK[:, np.arange(n), label_N] += easy_EMK[episode_N, :, label_N].T
        found = []
        for size in members:
            logit_MNK = shared_MNK + rng.normal(0, 0.6 / size**0.5, (M, n, K))
            proba_MNK = np.exp(2 * (logit_MNK - logit_MNK.max(axis=2, keepdims=True)))  # too sure, as networks are
            proba_MNK /= proba_MNK.sum(axis=2, keepdims=True)
            found.append(Said(proba_MNK=proba_MNK, label_N=label_N, episode_N=episode_N, n_episodes=n_episodes))
        return host_E, found


def figure(sums_US: Floats) -> Statistic:
    """Macro F1 of confusions by unit."""
    return Statistic(sums_US=sums_US, of=lambda sums: macro_f1(sums, EVERY))


def best(sums_MES: Floats) -> int:
    return int(np.argmax(macro_f1(sums_MES.sum(axis=1), EVERY)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The figures of one world, and those that they must cover: of the ensemble and of every model."""

    estimates: tuple[Estimate, ...]
    rivals: tuple[int, ...]  # the model of each difference


def judged(interval: Callable[[Statistic], Estimate], ensemble_ES: Floats, test_MES: Floats, folds: int) -> Judged:
    """The ensemble's figure, and its difference to each rival."""
    rivals = (FIXED, folds, best(test_MES))
    asked = [figure(ensemble_ES), *(minus(figure(ensemble_ES), figure(test_MES[m])) for m in rivals)]
    return Judged(estimates=tuple(interval(each) for each in asked), rivals=rivals)


def by_hosts(rng: np.random.Generator, worlds: int, *, hosts: int = 8, each: int = 12) -> list[tuple[Judged, Floats]]:
    """Each host left out in turn; with what hosts never seen would have given, (1 + M,), over all these trainings."""
    found = []
    never_seen = np.zeros((1 + M, K * K))
    for _ in range(worlds):
        host_E, (folds, test) = Hosts(rng, hosts).said(each, (1, MEMBERS))
        ensemble_ES = np.empty((test.n_episodes, K * K))
        for host in range(hosts):
            mixture = folds.select(host_E != host).fitted()
            own = test.select(host_E == host)
            ensemble_ES[host_E == host] = own.sums(mix(mixture, own.proba_MNK))
        _, (later,) = Hosts(rng, 60).said(5, (MEMBERS,))
        never_seen[0] += later.sums(mix(mixture, later.proba_MNK)).sum(axis=0)
        never_seen[1:] += later.singles().sum(axis=1)
        names = host_E.astype(str)
        found.append(
            judged(lambda s, n=names: new_host_estimate(s, n), ensemble_ES, test.singles(), best(folds.singles()))
        )
    return [(each_world, macro_f1(never_seen, EVERY)) for each_world in found]


def by_episodes(rng: np.random.Generator, worlds: int, *, episodes: int = 50) -> list[tuple[Judged, Floats]]:
    """Two test hosts; with what further episodes of theirs would have given, (1 + M,), by these very weights."""
    found = []
    for _ in range(worlds):
        _, (folds,) = Hosts(rng, 5).said(20, (1,))
        mixture, test_hosts = folds.fitted(), Hosts(rng, 2)
        _, (test,) = test_hosts.said(episodes // 2, (MEMBERS,))
        _, (later,) = test_hosts.said(1500, (MEMBERS,))
        now = judged(
            lambda s: estimate(s, draws=DRAWS),
            test.sums(mix(mixture, test.proba_MNK)),
            test.singles(),
            best(folds.singles()),
        )
        further = np.stack([later.sums(mix(mixture, later.proba_MNK)), *later.singles()]).sum(axis=1)
        found.append((now, macro_f1(further, EVERY)))
    return found


def told(found: Sequence[tuple[Judged, Floats]]) -> dict[str, dict[str, float]]:
    """By figure: the share of the worlds whose interval covers, its standard error, mean width, figure and truth."""
    out = {}
    for place, name in enumerate(FIGURES):
        covered, widths, values, targets = [], [], [], []
        for each, truth in found:
            one = each.estimates[place]
            assert one.lo is not None and one.hi is not None and one.value is not None
            target = truth[0] - (truth[1 + each.rivals[place - 1]] if place else 0.0)
            covered.append(one.lo <= target <= one.hi)
            widths.append(one.hi - one.lo)
            values.append(one.value)
            targets.append(target)
        share = float(np.mean(covered))
        out[name] = {
            "coverage": round(share, 4),
            "standard_error": round((share * (1 - share) / len(found)) ** 0.5, 4),
            "width": round(float(np.mean(widths)), 4),
            "value": round(float(np.mean(values)), 4),
            "truth": round(float(np.mean(targets)), 4),
        }
    return out


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    began = time.process_time()
    rngs = np.random.default_rng(options.seed).spawn(2)
    result = {
        "wanted": LEVEL,
        "worlds": options.worlds,
        "8 hosts, each left out, interval over hosts": told(by_hosts(rngs[0], options.worlds)),
        "50 test episodes, interval over episodes": told(by_episodes(rngs[1], options.worlds)),
        "cpu_s": round(time.process_time() - began),
    }
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
