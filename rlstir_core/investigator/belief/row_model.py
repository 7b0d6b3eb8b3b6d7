"""How much a row, seen alone, looks like an attack and like each technique: linear over its words, slot by slot.

Fitted on rows of the train side in folds of whole hosts, so that the vectors of training rows were made by a model that
saw nothing of their host: the belief is to be used on hosts that nobody saw. What does not belong here: what some rows
say together (`head.py`).
"""

# N log rows, S slots, B buckets of words, D answers of a row: an attack, then techniques
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rlstir_core.investigator.belief.words import BUCKETS, SLOTS_ALONE, WordsAlone
from rlstir_core.investigator.techniques.row_truth import RowTruth
from rlstir_core.progress import Tell

FARTHEST: Final = 12.0  # of log-odds
MOST_TECHNIQUES: Final = 62
_FOLDS = 3
_EPOCHS = 3
_EPISODES = 8  # of a step
_RATE = 0.01
_DECAY = 0.01
_ROWS = 2_048  # of an episode that a step learns from
_START = -4.0


@dataclass(frozen=True, kw_only=True)
class RowModel:
    """A weight for each word in each slot, for each answer."""

    weight_SBD: NDArray[np.float32]
    bias_D: NDArray[np.float32]

    def scores(self, words: WordsAlone) -> NDArray[np.float32]:
        """Log-odds of every row, (N, D)."""
        words_UB = words.sparse
        total_ND = np.tile(self.bias_D, (len(words), 1))
        for slot in range(SLOTS_ALONE):
            total_ND += (words_UB @ self.weight_SBD[slot])[words.text_NS[:, slot]]
        return np.clip(total_ND, -FARTHEST, FARTHEST)


def vectors(model: RowModel, words: WordsAlone) -> NDArray[np.float16]:
    """What is kept of every row: log-odds of an attack, of tampering by the rules, of each technique. (N, 1 + D)"""
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
    models = []
    for fold in range(min(_FOLDS, len(names))):
        tell(f"rows seen alone, {fold + 1} of {_FOLDS}")
        own = [place for place, of in enumerate(fold_E) if of != fold] or list(range(len(fold_E)))
        models.append(_fit([words_E[k] for k in own], [truth_E[k] for k in own], technique_K, seed + fold))
    mean = RowModel(
        weight_SBD=np.mean([model.weight_SBD for model in models], axis=0),
        bias_D=np.mean([model.bias_D for model in models], axis=0),
    )
    return mean, models, fold_E


def _fit(
    words_E: Sequence[WordsAlone], truth_E: Sequence[RowTruth], technique_K: NDArray[np.int64], seed: int
) -> RowModel:
    """Logistic regressions by AdamW (Loshchilov & Hutter 2019), all of them at once."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    D = 1 + len(technique_K)
    bags = [nn.EmbeddingBag(BUCKETS, D, mode="sum") for _ in range(SLOTS_ALONE)]
    for bag in bags:
        nn.init.zeros_(bag.weight)
    bias_D = nn.Parameter(torch.full((D,), _START))
    optimiser = torch.optim.AdamW([*(bag.weight for bag in bags), bias_D], _RATE, weight_decay=_DECAY)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(words_E))
        for at in range(0, len(order), _EPISODES):
            optimiser.zero_grad()
            chosen = order[at : at + _EPISODES]
            for place in chosen.tolist():
                loss = _loss(bags, bias_D, words_E[place], truth_E[place], technique_K, rng)
                (loss / len(chosen)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    weights = [bag.weight.detach().numpy() for bag in bags]
    return RowModel(weight_SBD=np.stack(weights), bias_D=bias_D.detach().numpy())


def _loss(
    bags: Sequence[nn.EmbeddingBag],
    bias_D: Tensor,
    words: WordsAlone,
    truth: RowTruth,
    technique_K: NDArray[np.int64],
    rng: np.random.Generator,
) -> Tensor:
    """Summed over the answers of an episode's rows, a thousand rows being one."""
    rows = np.arange(len(words))
    if len(rows) > _ROWS:
        rows = np.sort(rng.choice(len(rows), _ROWS, replace=False))
    word_W = torch.from_numpy(words.word_W.astype(np.int32))
    pointer = torch.from_numpy(words.word_ptr[:-1])
    nothing_1D = torch.zeros(1, len(bias_D))
    said_ND = bias_D
    for slot, bag in enumerate(bags):
        text_UD = torch.cat([bag(word_W, pointer), nothing_1D])
        said_ND = said_ND + text_UD[torch.from_numpy(words.text_NS[rows, slot].astype(np.int64))]
    answer_ND = torch.from_numpy(answers_of(truth, len(words), technique_K)[rows])
    return functional.binary_cross_entropy_with_logits(said_ND, answer_ND, reduction="sum") / 1_000


def answers_of(truth: RowTruth, n: int, technique_K: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the truth says of `n` rows: an attack, then each of the techniques. (N, 1 + K)"""
    found_ND = np.zeros((n, 1 + len(technique_K)), np.float32)
    found_ND[:, 0] = truth.attack_N
    place = np.full(int(max(technique_K.max(initial=-1), truth.technique_M.max(initial=-1))) + 2, -1, np.int64)
    place[technique_K] = np.arange(len(technique_K))
    at_M = place[truth.technique_M]
    found_ND[truth.row_M[at_M >= 0], 1 + at_M[at_M >= 0]] = 1.0
    return found_ND
