"""Test episodes that are nearly some train episode, by their features scaled on the train side alone.

Exact twins are looked for among all episodes. Near ones among a bounded sample, against how near train episodes lie to
one another: twice closer than that is no accident, a little closer may be. What does not belong here: episodes with
one id on two sides (`overlap.py`).
"""

# E episodes, F features, A test episodes, B train episodes
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.audit.columns import TEST, TRAIN
from rlstir_core.audit.figures import share_estimate
from rlstir_core.audit.findings import SHOWN, Checked, Judgement, counted, not_checked
from rlstir_core.audit.material import AboutEpisodes, Material
from rlstir_core.evaluation.stats.intervals import TAIL

_MOST_TEST, _MOST_TRAIN = 1000, 4000  # between which distances are measured
_MOST_DISTANCE_FEATURES = 256
_ALIKE = 0.003  # of the middle distance between train neighbours: as good as equal
_FEWEST_FEATURES = 3  # with fewer, chance brings episodes as near as that
_NEAR_SHARE = 0.10  # of train episodes have a train neighbour nearer than the limit, at most and for certain
_COARSE = 0.05  # share of train episodes with a twin in train, beyond which features are too coarse to say
_BLOCK = 250
_FLAT, _FAR = 1e-12, 1e9  # a deviation that is none, and the furthest that a value may lie out


def near_duplicates(found: Material) -> Checked:
    check = "near-duplicates"
    about = found.about
    if about is None:
        return not_checked(check, "no table of episodes with features was given (--episodes)")
    if not about.feature_names:
        return not_checked(check, "the table of episodes has no numeric column of features")
    train = np.flatnonzero((found.side_E & (TRAIN | TEST) == TRAIN) & _measured(about))
    test = np.flatnonzero((found.side_E & (TRAIN | TEST) == TEST) & _measured(about))
    if len(train) < 2 or not len(test):
        return not_checked(check, f"features are known of {len(train):,} train and {len(test):,} test episodes")
    scaled_EF = _scaled(about.features_EF, train)
    if not scaled_EF.shape[1]:
        return not_checked(check, "no feature differs between train episodes")
    exact, coarse = _exact(scaled_EF, train, test)
    near, sampled, closer_A = _near(scaled_EF, train, test)
    twins = np.union1d(exact, near)
    share_closer = share_estimate(int(closer_A.sum()), len(sampled))
    figures = {
        "exact_share": share_estimate(len(exact), len(test)),
        "alike_share": share_estimate(len(near), len(sampled)),
        "closer_than_train_share": share_closer,
    }
    what = f"{scaled_EF.shape[1]:,} features" + (f" ({about.n_left_out:,} left out)" if about.n_left_out else "")
    bounded = len(sampled) < len(test) or len(train) > _MOST_TRAIN
    sample = (
        f" Distances are of a sample, {len(sampled):,} test against {min(len(train), _MOST_TRAIN):,} train episodes."
        if bounded
        else ""
    )
    verdict: Judgement = "ok"
    if len(twins):
        verdict = "warn" if coarse > _COARSE else "fail"
        sentence = (
            f"{counted(len(twins), 'test episode')} of {len(test):,} are equal ({len(exact):,}) or as good as equal "
            f"({len(np.setdiff1d(near, exact)):,}) to a train episode in {what}"
        )
        sentence += (
            f", but so are {coarse:.0%} of train episodes to one another: features may be too coarse to tell."
            if coarse > _COARSE
            else "."
        )
    elif share_closer.lo is not None and share_closer.lo > _NEAR_SHARE:
        verdict, twins = "warn", sampled[closer_A]
        sentence = (
            f"{share_closer.value:.0%} of test episodes lie nearer to a train episode than all but the nearest "
            f"{_NEAR_SHARE:.0%} of train episodes to one another, in {what}: many may be variants of what was learnt."
        )
    else:
        sentence = (
            f"No test episode of {len(test):,} is equal to a train episode in {what}, and they lie no nearer to train "
            f"episodes than those to one another ({share_closer.value:.0%} are closer than the nearest of those)."
        )
        if scaled_EF.shape[1] < _FEWEST_FEATURES:
            sentence += f" Fewer than {_FEWEST_FEATURES} features tell exact twins only."
    return Checked(
        check=check,
        verdict=verdict,
        sentence=sentence + sample,
        figures=figures,
        about="test episodes",
        n_about=len(twins),
        examples=found.names.first(twins, SHOWN),
    )


def _measured(about: AboutEpisodes) -> Bools:
    found = np.zeros(len(about.described_E), np.bool_)
    for value_E in about.features_EF.T:
        found |= ~np.isnan(value_E)
    return found


def _scaled(value_EF: Floats, train: Ints) -> NDArray[np.float32]:
    """Standardised by the train side; a missing value is the train mean; what does not vary there is left out."""
    found: NDArray[np.float32] = np.zeros(value_EF.shape, np.float32, order="F")
    n = 0
    for value_E in value_EF.T:
        known = value_E[train]
        known = known[~np.isnan(known)]
        top = np.abs(known).max(initial=0.0)  # scaled by it first, so that no square overflows
        if not top or (std := np.std(known / top)) <= _FLAT:
            continue
        with np.errstate(over="ignore"):
            scaled_E = (value_E / top - np.mean(known / top)) / std
        found[:, n] = np.nan_to_num(np.clip(scaled_E, -_FAR, _FAR), nan=0.0)
        n += 1
    return found[:, :n]


def _exact(scaled_EF: NDArray[np.float32], train: Ints, test: Ints) -> tuple[Ints, float]:
    """(test episodes that equal a train episode, share of train episodes that equal another one)."""
    no_zero_EF: NDArray[np.float32] = scaled_EF + np.zeros(1, np.float32)  # -0 becomes 0
    bits_EF: NDArray[np.uint64] = no_zero_EF.view(np.uint32).astype(np.uint64)
    factor_F: Ints = np.asarray(np.random.default_rng(0).integers(0, 2**62, bits_EF.shape[1]))
    key_E = np.zeros(len(bits_EF), np.uint64)
    for bits_E, factor in zip(bits_EF.T, factor_F.tolist(), strict=True):
        mixed_E = (key_E ^ bits_E) * np.uint64(2 * factor + 1)  # odd, so that nothing is lost
        key_E = mixed_E ^ (mixed_E >> np.uint64(29))
    known, counts = np.unique(key_E[train], return_counts=True)
    coarse = float(counts[counts > 1].sum() / len(train))
    return test[np.isin(key_E[test], known)], coarse


def _near(scaled_EF: NDArray[np.float32], train: Ints, test: Ints) -> tuple[Ints, Ints, Bools]:
    """(test episodes as good as equal to a train episode, the sample, who of it is closer than train episodes are)."""
    rng = np.random.default_rng(0)
    F = scaled_EF.shape[1]
    if F > _MOST_DISTANCE_FEATURES:
        scaled_EF = scaled_EF[:, np.sort(rng.choice(F, _MOST_DISTANCE_FEATURES, replace=False))]
    learnt = np.sort(rng.choice(train, min(len(train), _MOST_TRAIN), replace=False))
    sampled = np.sort(rng.choice(test, min(len(test), _MOST_TEST), replace=False))
    asked = np.sort(rng.choice(len(learnt), min(len(learnt), _MOST_TEST), replace=False))
    between_B = _nearest(scaled_EF[learnt[asked]], scaled_EF[learnt], asked)
    nearest_A = _nearest(scaled_EF[sampled], scaled_EF[learnt], None)
    alike = _ALIKE * float(np.median(between_B)) if F >= _FEWEST_FEATURES else 0.0
    closer_A = nearest_A < _limit(between_B)
    return sampled[nearest_A < alike], sampled, closer_A


def _limit(between_B: Floats) -> float:
    """A distance that at most so large a share of train episodes fall short of, for all that a sample tells; else 0."""
    n = len(between_B) // 2  # two that are nearest to one another are one thing that happened
    k = np.arange(1, n + 1)
    sure = np.flatnonzero(special.betaincinv(k, n - k + 1, 1 - TAIL) <= _NEAR_SHARE)  # of the k-th smallest
    return float(np.sort(between_B)[2 * sure[-1] + 1]) if len(sure) else 0.0


def _nearest(from_AF: NDArray[np.float32], to_BF: NDArray[np.float32], own: Ints | None) -> Floats:
    """Distance to the nearest of the others; `own` are places of the first among the second, which do not count."""
    square_B = np.square(to_BF).sum(axis=1)
    found = np.empty(len(from_AF))
    for start in range(0, len(from_AF), _BLOCK):
        part_AF = from_AF[start : start + _BLOCK]
        distance_AB = square_B - 2 * (part_AF @ to_BF.T)
        if own is not None:
            distance_AB[np.arange(len(part_AF)), own[start : start + _BLOCK]] = np.inf
        best = distance_AB.argmin(axis=1)
        # measured anew: the difference of squares is too rough for twins
        found[start : start + _BLOCK] = np.sqrt(np.square((part_AF - to_BF[best]).astype(np.float64)).sum(axis=1))
    return found
