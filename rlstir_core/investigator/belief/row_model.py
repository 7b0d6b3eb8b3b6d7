"""How much a row, seen alone, looks like an attack and like each technique: linear over its words, slot by slot.

An attack is told by the words of all slots; which technique it is by the words of the row and of its process, learnt
from attacks' rows alone, which are few. Fitted on the train side in folds of whole hosts, so that the vectors of
training rows were made by a model that saw nothing of their host: the belief is to be used on hosts that nobody saw.
What does not belong here: what some rows say together (`head.py`).
"""

# N log rows, S slots, W words by their hash, V words of the techniques' smaller hash, K techniques
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.belief.words import SLOTS_ALONE, WordsAlone
from rlstir_core.investigator.reading.hashing import WORDS
from rlstir_core.investigator.techniques.row_truth import RowTruth
from rlstir_core.progress import Tell

FARTHEST: Final = 12.0  # of log-odds
MOST_TECHNIQUES: Final = 62
NAMING_SLOTS: Final = 2  # the row and its process
NAMING_WORDS: Final = 1 << 15
_FOLDS = 4
_PASSES = 20
_NAMING_PASSES = 10
_PENALTY = 1e-5
_BLOCK = 16  # episodes that are shuffled together
_ROWS = 2_048  # distinct ones of an episode that are learnt from; those of an attack first


@dataclass(frozen=True, kw_only=True)
class RowModel:
    """A weight for each word in each slot for an attack; and for each technique, given an attack."""

    weight_SW: NDArray[np.float32]
    bias: float
    naming_KV: NDArray[np.float32]  # slots beside each other
    naming_K: NDArray[np.float32]

    def scores(self, words: WordsAlone) -> NDArray[np.float32]:
        """Log-odds of every row: of an attack, then of each technique. (N, 1 + K)"""
        words_UW = words.sparse
        attack_N = np.full(len(words), self.bias, np.float32)
        for slot in range(SLOTS_ALONE):
            attack_N += (words_UW @ self.weight_SW[slot])[words.text_NS[:, slot]]
        p_NK = _shares(_naming_words(words_UW, words.text_NS) @ self.naming_KV.T + self.naming_K)
        p_NK /= 1 + np.exp(-np.clip(attack_N, -FARTHEST, FARTHEST))[:, None]
        p_NK = np.clip(p_NK, 1e-9, 1 - 1e-9)
        found_ND = np.concatenate([attack_N[:, None], np.log(p_NK) - np.log1p(-p_NK)], axis=1)
        return np.asarray(np.clip(found_ND, -FARTHEST, FARTHEST), np.float32)


def vectors(model: RowModel, words: WordsAlone) -> NDArray[np.float16]:
    """What is kept of every row: log-odds of an attack, of tampering by the rules, of each technique. (N, 2 + K)"""
    score_ND = model.scores(words)
    rules_N1 = np.clip(words.rules_N[:, None], -FARTHEST, FARTHEST)
    found_ND = np.concatenate([score_ND[:, :1], rules_N1, score_ND[:, 1:]], axis=1)
    return np.asarray(found_ND, np.float16)


def common_techniques(truths: Sequence[RowTruth]) -> NDArray[np.int64]:
    """The techniques, as places in the label space, that rows of two episodes or more carry; the commonest first."""
    seen: dict[int, int] = {}
    for truth in truths:
        for technique in np.unique(truth.technique_M).tolist():
            seen[technique] = seen.get(technique, 0) + 1
    often = sorted((-n, technique) for technique, n in seen.items() if n > 1)
    return np.array([technique for _, technique in often[:MOST_TECHNIQUES]], np.int64)


def fit_row_models(
    words_E: Sequence[WordsAlone],
    truth_E: Sequence[RowTruth],
    host_E: Sequence[str],
    technique_K: NDArray[np.int64],
    seed: int,
    tell: Tell,
) -> tuple[RowModel, list[RowModel], list[int]]:
    """The model for hosts that were not seen; and models, with the one for each episode that did not see its host.

    With fewer hosts than folds, folds are of episodes.
    """
    rng = np.random.default_rng(seed)
    groups = list(host_E) if len(set(host_E)) >= _FOLDS else [str(place) for place in range(len(host_E))]
    names = sorted(set(groups))
    fold_of = dict(zip(names, rng.permutation(np.arange(len(names)) % _FOLDS).tolist(), strict=True))
    fold_E = [fold_of[group] for group in groups]
    blocks = [(fold, _block(words_E, truth_E, own, rng)) for fold, own in _grouped(fold_E, rng)]
    models = []
    for fold in range(min(_FOLDS, len(names))):
        tell(f"rows seen alone, {fold + 1} of {_FOLDS}")
        own = [block for of, block in blocks if of != fold] or [block for _, block in blocks]
        models.append(_fit(own, technique_K, seed + fold))
    mean = RowModel(
        weight_SW=np.mean([model.weight_SW for model in models], axis=0),
        bias=float(np.mean([model.bias for model in models])),
        naming_KV=np.mean([model.naming_KV for model in models], axis=0),
        naming_K=np.mean([model.naming_K for model in models], axis=0),
    )
    return mean, models, fold_E


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Rows of some episodes that are learnt from together."""

    words_NX: Any  # sparse, slots beside each other
    attack_N: NDArray[np.bool_]
    naming_MV: Any  # of rows of an attack, once for each of their techniques
    technique_M: NDArray[np.int64]


def _grouped(fold_E: Sequence[int], rng: np.random.Generator) -> list[tuple[int, list[int]]]:
    """Episodes of one fold at a time, at most a block of them."""
    found = []
    for fold in sorted(set(fold_E)):
        own = rng.permutation([place for place, of in enumerate(fold_E) if of == fold]).tolist()
        found += [(fold, own[at : at + _BLOCK]) for at in range(0, len(own), _BLOCK)]
    return found


def _block(
    words_E: Sequence[WordsAlone], truth_E: Sequence[RowTruth], places: Sequence[int], rng: np.random.Generator
) -> _Block:
    from scipy import sparse

    parts, answers, naming, techniques = [], [], [], []
    for place in places:
        words, truth = words_E[place], truth_E[place]
        words_UW = words.sparse
        row_M = _distinct(words.text_NS, truth.attack_N, rng)
        chosen_MS = words.text_NS[row_M]
        parts.append(sparse.hstack([words_UW[chosen_MS[:, slot]] for slot in range(SLOTS_ALONE)], format="csr"))
        answers.append(truth.attack_N[row_M])
        kept_M = np.isin(truth.row_M, row_M)
        naming.append(_naming_words(words_UW, words.text_NS[truth.row_M[kept_M]]))
        techniques.append(truth.technique_M[kept_M])
    return _Block(
        words_NX=sparse.vstack(parts, format="csr"),
        attack_N=np.concatenate(answers),
        naming_MV=sparse.vstack(naming, format="csr"),
        technique_M=np.concatenate(techniques),
    )


def _distinct(text_NS: NDArray[np.int32], attack_N: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """The first row of each kind that says the same and is as much an attack; at most `_ROWS` of them."""
    if not len(text_NS):
        return np.zeros(0, np.int64)
    _, first = np.unique(np.column_stack([text_NS, attack_N]), axis=0, return_index=True)
    if len(first) > _ROWS:
        first = first[np.lexsort((rng.random(len(first)), ~attack_N[first]))][:_ROWS]
    return np.sort(first).astype(np.int64)


def _naming_words(words_UW: Any, text_NS: NDArray[np.int32]) -> Any:
    """The words that techniques are told by, under a smaller hash. (N, NAMING_SLOTS * NAMING_WORDS), sparse"""
    from scipy import sparse

    places_W = words_UW.indices % NAMING_WORDS
    small_UV = sparse.csr_matrix((words_UW.data, places_W, words_UW.indptr), shape=(words_UW.shape[0], NAMING_WORDS))
    return sparse.hstack([small_UV[text_NS[:, slot]] for slot in range(NAMING_SLOTS)], format="csr")


def _fit(blocks: Sequence[_Block], technique_K: NDArray[np.int64], seed: int) -> RowModel:
    """Logistic regressions by stochastic gradients with averaging (Polyak and Juditsky 1992)."""
    from sklearn.linear_model import SGDClassifier

    rng = np.random.default_rng(seed)
    attack = SGDClassifier("log_loss", alpha=_PENALTY, average=True, random_state=seed, shuffle=True)
    for _ in range(_PASSES):
        for place in rng.permutation(len(blocks)).tolist():
            if len(blocks[place].attack_N):
                attack.partial_fit(blocks[place].words_NX, blocks[place].attack_N, classes=np.array([False, True]))
    naming_KV, naming_K = _naming(blocks, technique_K, seed)
    return RowModel(
        weight_SW=attack.coef_.reshape(SLOTS_ALONE, WORDS).astype(np.float32),
        bias=float(attack.intercept_[0]),
        naming_KV=naming_KV,
        naming_K=naming_K,
    )


def _naming(
    blocks: Sequence[_Block], technique_K: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Which technique an attack's row shows, each against the others."""
    from scipy import sparse
    from sklearn.linear_model import SGDClassifier

    K = len(technique_K)
    weight_KV = np.zeros((K, NAMING_SLOTS * NAMING_WORDS), np.float32)
    bias_K = np.zeros(K, np.float32)
    words_MV = sparse.vstack([block.naming_MV for block in blocks], format="csr")
    technique_M = np.concatenate([block.technique_M for block in blocks])
    for place, technique in enumerate(technique_K.tolist()):
        truth_M = technique_M == technique
        if not truth_M.any() or truth_M.all():
            bias_K[place] = FARTHEST if truth_M.any() else -FARTHEST
            continue
        model = SGDClassifier(
            "log_loss", alpha=_PENALTY, average=True, random_state=seed, max_iter=_NAMING_PASSES, tol=None
        ).fit(words_MV, truth_M)
        weight_KV[place], bias_K[place] = model.coef_[0], model.intercept_[0]
    return weight_KV, bias_K


def _shares(said_NK: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of techniques, of which an attack's row shows one. (N, K)"""
    p_NK = 1 / (1 + np.exp(-np.clip(said_NK, -FARTHEST, FARTHEST)))
    found: NDArray[np.float32] = (p_NK / np.maximum(p_NK.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return found
