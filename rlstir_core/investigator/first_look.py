"""The first look: a linear model over the words of a row and of what stands around it says how much a row is an attack.

Words and pairs of words of the row, its process, three ancestors and the event before (`reading/view.py`), each place
with weights of its own, fitted by stochastic gradients with averaging, which few episodes suffice for. The encoder
starts from it, so its scores of the episodes that it was fitted on are made by models that did not see them. What does
not belong here: the encoder (`network/`).
"""

# N log rows, U distinct texts, S slots of a row, W words, P processes, F features
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Array, Floats
from rlstir_core.investigator.reading.hashing import WORDS
from rlstir_core.investigator.reading.slots import SLOTS
from rlstir_core.progress import Tell

AROUND: Final = (
    "row", "process", "parent's process", "children", "siblings", "grandparent's process",
    "9 rows", "41 rows", "161 rows",
)  # fmt: skip
_PASSES = 6
_PENALTY = 1e-6
_FOLDS = 4
_BLOCK = 16  # episodes that are shuffled together
_FARTHEST = 100.0  # of log-odds
_LEAST = -8.0
_MOST = 5.0


@dataclass(frozen=True, kw_only=True)
class FirstLook:
    """A fitted model: a weight for each word in each slot."""

    weight_SW: NDArray[np.float32]
    bias: float

    def scores(self, words_UW: Any, slots_NS: NDArray[np.int32]) -> NDArray[np.float32]:
        """The log-odds of an attack, by row. (N,)"""
        said_US = np.vstack([words_UW @ self.weight_SW.T, np.zeros((1, len(SLOTS)), np.float32)])
        total_N = self.bias + sum(said_US[slots_NS[:, s], s] for s in range(len(SLOTS)))
        return np.asarray(np.clip(total_N, -_FARTHEST, _FARTHEST), np.float32)


LookedAt = tuple[Any, NDArray[np.int32], NDArray[np.bool_]]  # words (U, W), slots (N, S), attack or not (N,)


def fit_first_look(
    episode_I: Sequence[int], opened: Callable[[int], LookedAt], seed: int, tell: Tell
) -> tuple[FirstLook, list[FirstLook], dict[int, int]] | None:
    """The model for episodes that were not seen; for those that were: models, and which one did not see each.

    `episode_I` says which episode each thing that can be opened is of. The first model is the mean of the others. None
    where no row is an attack, or every row is.
    """
    rng = np.random.default_rng(seed)
    episodes = sorted(set(episode_I))
    fold_of = dict(zip(episodes, rng.permutation(np.arange(len(episodes)) % _FOLDS).tolist(), strict=True))
    fold_I = np.array([fold_of[episode] for episode in episode_I], np.int64)
    models = []
    for fold in range(_FOLDS):
        tell(f"first look {fold + 1} of {_FOLDS}")
        model = _fit(np.flatnonzero(fold_I != fold), opened, seed)
        if model is None:
            return None
        models.append(model)
    models = _scaled(models, fold_I, opened)
    mean = FirstLook(
        weight_SW=np.mean([model.weight_SW for model in models], axis=0),
        bias=float(np.mean([model.bias for model in models])),
    )
    return mean, models, fold_of


def _scaled(models: list[FirstLook], fold_I: NDArray[np.int64], opened: Callable[[int], LookedAt]) -> list[FirstLook]:
    """The models with log-odds that mean what they say of episodes that they did not see (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    said, answers = [], []
    for place, fold in enumerate(fold_I.tolist()):
        words_UW, slots_NS, attack_N = opened(place)
        said.append(models[fold].scores(words_UW, slots_NS))
        answers.append(attack_N)
    y_N = np.concatenate(answers)
    if y_N.all() or not y_N.any():
        return models
    fitted = LogisticRegression(C=1.0, max_iter=1_000).fit(np.concatenate(said)[:, None], y_N)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope <= 0:
        return models
    return [
        FirstLook(weight_SW=(slope * model.weight_SW).astype(np.float32), bias=slope * model.bias + offset)
        for model in models
    ]


def _fit(place_E: NDArray[np.intp], opened: Callable[[int], LookedAt], seed: int) -> FirstLook | None:
    from scipy import sparse
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier("log_loss", alpha=_PENALTY, average=True, random_state=seed, shuffle=True)
    rng = np.random.default_rng(seed)
    seen: set[bool] = set()
    for _ in range(_PASSES):
        order = rng.permutation(place_E)
        for at in range(0, len(order), _BLOCK):
            parts, answers = [], []
            for place in order[at : at + _BLOCK]:
                words_UW, slots_NS, attack_N = opened(int(place))
                padded = sparse.vstack([words_UW, sparse.csr_matrix((1, WORDS), dtype=np.float32)], format="csr")
                parts.append(sparse.hstack([padded[slots_NS[:, s]] for s in range(len(SLOTS))], format="csr"))
                answers.append(attack_N)
            y_N = np.concatenate(answers)
            if len(y_N):
                seen |= set(np.unique(y_N).tolist())
                model.partial_fit(sparse.vstack(parts, format="csr"), y_N, classes=np.array([False, True]))
    if len(seen) < 2:
        return None
    weight_SW = model.coef_.reshape(len(SLOTS), WORDS).astype(np.float32)
    return FirstLook(weight_SW=weight_SW, bias=float(model.intercept_[0]))


def around(score_N: Array, process_N: NDArray[np.int32], parent_P: NDArray[np.int32]) -> NDArray[np.float32]:
    """What the first look says of a row and around it, in the order of `AROUND`. (N, F)

    Largest scores of a process stand for it; -8 where there is none. Rows around are means of odds, in logs.
    """
    score_N = np.maximum(score_N, _LEAST)
    nobody = len(parent_P)
    process_N = np.where(process_N >= 0, process_N, nobody)
    parent_P = np.append(np.where(parent_P >= 0, parent_P, nobody), nobody)
    own_P = np.full(nobody + 1, _LEAST)
    np.maximum.at(own_P, process_N, score_N)
    own_P[nobody] = _LEAST
    children_P = np.full(nobody + 1, _LEAST)
    np.maximum.at(children_P, parent_P[:nobody], own_P[:nobody])
    children_P[nobody] = _LEAST
    parent_N = parent_P[process_N]
    odds_N = np.exp(np.minimum(score_N, _MOST))
    found = [
        score_N,
        own_P[process_N],
        own_P[parent_N],
        children_P[process_N],
        children_P[parent_N],
        own_P[parent_P[parent_N]],
        *(_rolled(odds_N, width) for width in (9, 41, 161)),
    ]
    return np.stack(found, axis=1).astype(np.float32)


def _rolled(odds_N: Floats, width: int) -> Floats:
    """The log of the mean over so many rows around each."""
    total_N1 = np.concatenate([[0.0], np.cumsum(odds_N)])
    at_N = np.arange(len(odds_N))
    first_N, last_N = np.maximum(at_N - width // 2, 0), np.minimum(at_N + width // 2 + 1, len(odds_N))
    mean_N: Floats = (total_N1[last_N] - total_N1[first_N]) / width
    found: Floats = np.log(np.maximum(mean_N, np.exp(_LEAST)))
    return found
