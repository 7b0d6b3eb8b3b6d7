"""The numbers of a combination: a temperature for each model, then weights that sum to 1.

Everything is fitted on predictions for episodes that the models were not trained on. The fewer episodes there are, the
more do resamples of them differ, and the nearer do the weights come to equal ones. What does not belong here: reading
predictions (`making.py`) and files (`combination.py`).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from rlstir_core.arrays import Floats, Ints
from rlstir_core.learning.scores import macro_f1

# M models, N windows, K phases
BAGS, VOTES = 20, 8  # resamples of the episodes, and models that are added in each
EQUAL_VOTES = 1.0  # of each bag, shared by all models before the first is added
_LOG_T_SPREAD = 0.5  # of the prior of log temperatures, around 0
_LOG_T_MOST = 2.0
_FLOOR = 1e-6  # a model that is sure and wrong is not infinitely wrong


class Mixture(msgspec.Struct, frozen=True, kw_only=True):
    """A temperature and a weight for every model, in one order."""

    temperatures: tuple[float, ...]
    weights: tuple[float, ...]


def equal_mixture(n_models: int) -> Mixture:
    """The plain mean: what is used where there is nothing to fit on."""
    return Mixture(temperatures=(1.0,) * n_models, weights=(1 / n_models,) * n_models)


def fit_mixture(proba_MNK: Floats, label_N: Ints, episode_N: Ints) -> Mixture:
    """Temperatures by likelihood, weights by votes over resampled episodes (Caruana 2004); (M, N, K), (N,), (N,)."""
    n_models, n, _ = proba_MNK.shape
    if not n:
        return equal_mixture(n_models)
    size_N = balanced(label_N, episode_N)
    temperatures = [_temperature(proba_NK, label_N, size_N) for proba_NK in proba_MNK]
    heated_MNK = np.stack([tempered(p_NK, t) for p_NK, t in zip(proba_MNK, temperatures, strict=True)])
    _, episode_N = np.unique(episode_N, return_inverse=True)
    n_episodes = int(episode_N.max()) + 1
    rng = np.random.default_rng(0)
    weights_M = np.zeros(n_models)
    for _ in range(BAGS):
        drawn_E = np.bincount(rng.integers(n_episodes, size=n_episodes), minlength=n_episodes)
        often_N = drawn_E[episode_N.reshape(-1)]
        in_bag = often_N > 0
        weights_M += _votes(heated_MNK[:, in_bag], label_N[in_bag], often_N[in_bag].astype(np.float64))
    return Mixture(temperatures=tuple(temperatures), weights=tuple((weights_M / weights_M.sum()).tolist()))


def _votes(proba_MNK: Floats, label_N: Ints, often_N: Floats) -> Floats:
    """Shares of the models: greedily, the one that helps the sum most is added, and the best sum on the way counts."""
    n_models, _, n_phases = proba_MNK.shape
    votes_M = np.full(n_models, EQUAL_VOTES / n_models)
    total_NK = EQUAL_VOTES * proba_MNK.mean(axis=0)
    best, best_M = -np.inf, votes_M
    for _ in range(VOTES):
        goods = [_good(total_NK + proba_NK, label_N, often_N, n_phases) for proba_NK in proba_MNK]
        chosen = int(np.argmax(goods))
        votes_M = votes_M + np.eye(n_models)[chosen]
        total_NK = total_NK + proba_MNK[chosen]
        if goods[chosen] > best:
            best, best_M = goods[chosen], votes_M
    shares_M: Floats = best_M / best_M.sum()
    return shares_M


def _good(total_NK: Floats, label_N: Ints, often_N: Floats, n_phases: int) -> float:
    """Macro F1, which is asked for, and the mean log-likelihood, which still moves where the other stands."""
    sums = np.bincount(label_N * n_phases + total_NK.argmax(axis=1), weights=often_N, minlength=n_phases**2).astype(
        np.float64
    )
    present_K = sums.reshape(n_phases, n_phases).sum(axis=1) > 0
    right_N = np.take_along_axis(total_NK, label_N[:, None], axis=1)[:, 0] / total_NK.sum(axis=1)
    return float(macro_f1(sums, present_K)) + float(often_N @ np.log(right_N + _FLOOR) / often_N.sum())


def mix(mixture: Mixture, proba_MNK: Floats) -> NDArray[np.float64]:
    """Probabilities of the combination, (M, N, K) -> (N, K); each row sums to 1."""
    parts = zip(proba_MNK, mixture.temperatures, mixture.weights, strict=True)
    total_NK = np.sum([weight * tempered(proba_NK, t) for proba_NK, t, weight in parts], axis=0)
    return np.asarray(total_NK / total_NK.sum(axis=1, keepdims=True))


def tempered(proba_NK: Floats, temperature: float) -> NDArray[np.float64]:
    """The probabilities flattened (above 1) or sharpened (below), (N, K) -> (N, K)."""
    log_NK = np.log(np.maximum(proba_NK, _FLOOR)) / temperature
    log_NK -= log_NK.max(axis=1, keepdims=True)
    out_NK = np.exp(log_NK)
    return np.asarray(out_NK / out_NK.sum(axis=1, keepdims=True))


def balanced(label_N: Ints, episode_N: Ints) -> Floats:
    """What a window counts for temperatures: phases alike, and in one its episodes; the sum is that of episodes."""
    _, episode_N = np.unique(episode_N, return_inverse=True)
    n_phases = int(label_N.max()) + 1
    cell_N = episode_N.reshape(-1) * n_phases + label_N
    size_C = np.bincount(cell_N)
    episodes_K = np.bincount(np.flatnonzero(size_C) % n_phases, minlength=n_phases)
    n_episodes, n_present = int(episode_N.max()) + 1, int((episodes_K > 0).sum())
    out_N: Floats = n_episodes / (n_present * episodes_K[label_N] * size_C[cell_N])
    return out_N


def _temperature(proba_NK: Floats, label_N: Ints, size_N: Floats) -> float:
    every_N = np.arange(len(label_N))

    def cost(log_t: float) -> float:
        right_N = tempered(proba_NK, float(np.exp(log_t)))[every_N, label_N]
        return float(-size_N @ np.log(right_N + _FLOOR) + log_t**2 / (2 * _LOG_T_SPREAD**2))

    found = minimize_scalar(cost, bounds=(-_LOG_T_MOST, _LOG_T_MOST), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
