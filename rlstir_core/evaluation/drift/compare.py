"""Whether two sets of episodes of one host differ: one permutation test over all numbers of their digests at once.

Without drift the episodes of a host could change places, so what is seen is held against what drawing the recent
episodes anew gives. Numbers are compared by ranks; each gives a p of its own, the smallest of them is what is
drawn anew, and so it is with what logs hold that is new. What does not belong here: how far they differ
(`distances.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.evaluation.drift.digest import Terms

# E episodes, C columns, P permutations (what is seen comes first), T terms

FIRST_DRAWS, DRAWS = 199, 999
_SETTLED = 0.1  # after the first draws no alarm can come of a larger p
_FAMILIES = 3  # columns, templates, words
_PER_LEVEL = 6 * _FAMILIES  # permutations for each 1 / level, so that a p below the level can be reached
_MOST_TERMS = 2_000
_BLOCK = 200
_TIE = 1e-7


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """The p of all numbers together, and of each column alone (1 where nothing can differ)."""

    p: float
    p_C: Floats
    moving_C: Bools  # columns that are not one value throughout
    new: dict[str, tuple[float, float]]  # share of what the episodes before do not know, and what draws give


class ScoredColumns:
    """Columns as scores that a sum over the recent episodes turns into a p each."""

    def __init__(self, x_EC: Floats, n_recent: int) -> None:
        self.n, self.n_recent = len(x_EC), n_recent
        score_EC, self.counts = rank_scores(x_EC)
        self.score_EC = score_EC
        self.moving = np.ptp(score_EC, axis=0) > 0 if self.n else np.zeros(x_EC.shape[1], bool)
        mean_C = score_EC.mean(axis=0)
        spread = score_EC.var(axis=0) * n_recent * (self.n - n_recent) / max(self.n - 1, 1)
        self._mean_C = mean_C * n_recent
        self._sd_C = np.sqrt(np.where(spread > 0, spread, 1.0))
        ones = np.where(self.counts, score_EC.sum(axis=0), 0).round().astype(np.int64)
        self._counted = np.flatnonzero(self.counts)
        different, self._row = np.unique(ones[self._counted], return_inverse=True)
        self._tails = np.array([_log_tails(int(k), self.n, n_recent) for k in different]).reshape(-1, n_recent + 1)

    def log_p(self, drawn_PE: Floats) -> Floats:
        """-log of the two-sided p of each column, (P, C)."""
        sums_PC = drawn_PE @ self.score_EC
        found = -(special.log_ndtr(-np.abs(sums_PC - self._mean_C) / self._sd_C) + math.log(2))
        if len(self._counted):
            found[:, self._counted] = self._tails[self._row, sums_PC[:, self._counted].round().astype(np.int64)]
        found[:, ~self.moving] = 0.0
        return np.asarray(np.maximum(found, 0.0))


def rank_scores(x_EC: Floats) -> tuple[Floats, Bools]:
    """Normal scores of each column's ranks, and which columns are mostly one value: those say where it is another.

    What is missing scores nought, as if it lay in the middle.
    """
    score_EC = np.zeros(x_EC.shape)
    counts = np.zeros(x_EC.shape[1], bool)
    for at in range(x_EC.shape[1]):
        known = np.flatnonzero(np.isfinite(x_EC[:, at]))
        if len(known) < 2:
            continue
        values, place, n_of = np.unique(x_EC[known, at], return_inverse=True, return_counts=True)
        if len(values) == 1:
            continue
        if 2 * n_of.max() > len(known):
            counts[at] = True
            score_EC[known, at] = place != n_of.argmax()
        else:
            ranks = np.cumsum(n_of) - (n_of - 1) / 2
            scores = special.ndtri((ranks - 0.5) / len(known))[place]
            score_EC[known, at] = scores - scores.mean()
    return score_EC, counts


class News:
    """The share of terms that no episode before knows, for any choice of the recent ones."""

    def __init__(self, terms: Terms, n_recent: int) -> None:
        known: dict[str, int] = {}
        for each in terms:
            for term in each:
                known[term] = known.get(term, 0) + 1
        # a term in more episodes than are recent is never new, and one in few of them says little
        able = sorted((term for term, n in known.items() if n <= n_recent), key=lambda term: (-known[term], term))
        place = {term: at for at, term in enumerate(able[:_MOST_TERMS])}
        self.share_ET = np.zeros((len(terms), len(place)))
        for row, each in enumerate(terms):
            for term, share in each.items():
                if term in place:
                    self.share_ET[row, place[term]] = share
        self.has_ET = (self.share_ET > 0).astype(np.float64)
        self.n_T = self.has_ET.sum(axis=0)
        self.n_recent = n_recent

    def shares(self, drawn_PE: Floats) -> Floats:
        """(P,)"""
        if not self.share_ET.shape[1]:
            return np.zeros(len(drawn_PE))
        new_PT = drawn_PE @ self.has_ET > self.n_T - 0.5
        return np.asarray(((drawn_PE @ self.share_ET) * new_PT).sum(axis=1) / self.n_recent)


def compare(
    x_EC: Floats,
    recent: Sequence[int],
    before: Sequence[int],
    *,
    level: float,
    seed: Sequence[int],
    templates: Terms = (),
    words: Terms = (),
) -> Compared:
    """Permutes which of the episodes are recent; more often where the first draws leave an alarm possible."""
    rows = [*recent, *before]
    columns = ScoredColumns(x_EC[rows], len(recent))
    news = {
        name: News([terms[at] for at in rows], len(recent))
        for name, terms in (("templates", templates), ("words", words))
        if terms
    }
    rng = np.random.default_rng(list(seed))
    seen = np.zeros((1, len(rows)))
    seen[0, : len(recent)] = 1.0
    log_p_C = columns.log_p(seen)[0]
    parts = [_statistics(columns, news, seen)]
    p = 1.0
    needed = max(DRAWS, math.ceil(_PER_LEVEL / level))
    for draws in (FIRST_DRAWS, needed):
        have = sum(len(part) for part in parts) - 1
        parts += [_statistics(columns, news, drawn) for drawn in _drawn(len(rows), len(recent), draws - have, rng)]
        p = _together(np.concatenate(parts))
        if p > _SETTLED:
            break
    found = np.concatenate(parts)
    return Compared(
        p=p,
        p_C=np.exp(-log_p_C),
        moving_C=columns.moving,
        new={name: (float(found[0, at]), float(found[1:, at].mean())) for at, name in enumerate(news, 1)},
    )


def reachable(n_recent: int, n_before: int) -> float:
    """The smallest p that any difference between so many episodes can have."""
    return 1 / math.comb(n_recent + n_before, n_recent)


def _statistics(columns: ScoredColumns, news: dict[str, News], drawn_PE: Floats) -> Floats:
    """(P, families)"""
    best = columns.log_p(drawn_PE).max(axis=1, initial=0.0)
    return np.stack([best, *(each.shares(drawn_PE) for each in news.values())], axis=1)


def _together(found_PF: Floats) -> float:
    """The p of the smallest p over families, each ranked among the draws."""
    n = len(found_PF)
    p_PF = np.stack([_ranked(found_PF[:, at]) for at in range(found_PF.shape[1])], axis=1)
    least = p_PF.min(axis=1)
    return float((least <= least[0] + _TIE).sum() / n)


def _ranked(found_P: Floats) -> Floats:
    """The share of draws with at least as much."""
    ordered = np.sort(found_P)
    return np.asarray((len(found_P) - np.searchsorted(ordered, found_P - _TIE, side="left")) / len(found_P))


def _drawn(n: int, n_recent: int, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    for start in range(0, draws, _BLOCK):
        size = min(_BLOCK, draws - start)
        chosen: Ints = rng.random((size, n)).argsort(axis=1)[:, :n_recent]
        drawn = np.zeros((size, n))
        np.put_along_axis(drawn, chosen, 1.0, axis=1)
        yield drawn


def _log_tails(ones: int, n: int, drawn: int) -> Floats:
    """-log of the two-sided p of j of `ones` being among `drawn` of n, for each j."""
    j = np.arange(drawn + 1)
    ok = (j <= ones) & (drawn - j <= n - ones)

    def choose(a: int, b: Ints | int) -> Floats:
        return np.asarray(special.gammaln(a + 1) - special.gammaln(b + 1.0) - special.gammaln(a - b + 1.0))

    having, others = np.minimum(j, ones), np.clip(drawn - j, 0, n - ones)
    mass = np.where(ok, np.exp(choose(ones, having) + choose(n - ones, others) - choose(n, drawn)), 0.0)
    upper, lower = mass[::-1].cumsum()[::-1], mass.cumsum()
    return np.asarray(-np.log(np.clip(2 * np.minimum(upper, lower), 1e-300, 1.0)))
