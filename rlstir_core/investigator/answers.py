"""From a network's answers, part by part, to what is said of an episode: its rows, its techniques, its risk.

What does not belong here: the network, and calibration against the truth (`pretraining/calibrated.py`).
"""

# E episodes, I parts, X rows of a batch, N rows of an episode, K techniques, T best rows
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rlstir_core.arrays import Floats
from rlstir_core.investigator.first_look import FirstLook
from rlstir_core.investigator.inputs import LogPart
from rlstir_core.investigator.network.heads import Answers, Investigating
from rlstir_core.investigator.reading.batches import Batch

_BEST: Final = 3  # rows that speak for a technique
_PERCENT: Final = 7  # of an episode's rows: the mean of the best says how much it is an attack
MOST: Final = 75  # of them
_LEAST = -30.0
_Rows = NDArray[np.float32]
_Part = tuple[tuple[_Rows, _Rows, _Rows], Floats]


@dataclass(frozen=True, kw_only=True)
class EpisodeAnswers:
    """What is said of one episode, not calibrated yet."""

    attack_N: NDArray[np.float32]  # log-odds of its rows in the order of their table; none where a digest was shown
    tamper_N: NDArray[np.float32]
    technique_K: Floats  # log-odds of a file's techniques, or logs of how much the best rows show each
    risk: float  # the mean log-odds of an attack of its best rows
    look_N: NDArray[np.float32]  # the first look's log-odds of its rows


class AnyInputs(Protocol):
    """Parts of episodes, whether a study knows these or not."""

    @property
    def parts(self) -> Sequence[LogPart]: ...

    @property
    def n_episodes(self) -> int: ...

    def look_by(self, ask: Callable[[int], FirstLook | None]) -> None: ...

    def batches(self, device: torch.device) -> Iterator[tuple[list[int], Batch]]: ...


@torch.no_grad()
def answers_of(network: Investigating, shown: AnyInputs, on: torch.device) -> Iterator[EpisodeAnswers]:
    """What is said of every episode, in their order."""
    network.eval()
    look = network.first_look
    shown.look_by(lambda _: look)
    held: list[_Part] = []
    episode = 0
    for places, batch in shown.batches(on):
        answers = network(batch)
        first = 0
        for e, (place, n) in enumerate(zip(places, batch.episodes.lengths, strict=True)):
            part = shown.parts[place]
            while part.episode > episode:  # parts stand in the order of episodes
                yield _joined(held)
                held, episode = [], episode + 1
            rows = slice(first, first + n)
            held.append(_of_part(answers, batch.look_X, e, rows, digest=part.digest, empty=part.last <= part.first))
            first += n
    for _ in range(episode, shown.n_episodes):
        yield _joined(held)
        held = []


def shown_by_rows(attack_X: Tensor, technique_XK: Tensor) -> Tensor:
    """The log of how much each row shows an attack by each technique. (X, K)"""
    return functional.logsigmoid(attack_X)[:, None] + functional.log_softmax(technique_XK, dim=1)


def _of_part(answers: Answers, look_X: Tensor, e: int, rows: slice, *, digest: bool, empty: bool) -> _Part:
    """Log-odds of rows (attack, tampering, first look), and (T, K) of techniques."""
    none = np.zeros(0, np.float32)
    if digest:
        return (none, none, none), answers.technique_EK[e][None].double().cpu().numpy()
    K = answers.technique_XK.shape[1]
    if empty:
        return (none, none, none), np.full((1, K), _LEAST)
    attack_X = answers.attack_X[rows]
    shows_XK = shown_by_rows(attack_X, answers.technique_XK[rows])
    best_TK = shows_XK.topk(min(_BEST, len(attack_X)), dim=0).values
    of_rows = (attack_X, answers.tamper_X[rows], look_X[rows])
    attack, tamper, look = (each.cpu().numpy() for each in of_rows)
    return (attack, tamper, look), best_TK.double().cpu().numpy()


def _joined(parts: list[_Part]) -> EpisodeAnswers:
    attack_N, tamper_N, look_N = (
        np.concatenate([np.zeros(0, np.float32), *(rows[which] for rows, _ in parts)]) for which in range(3)
    )
    best_TK = np.concatenate([best_TK for _, best_TK in parts])
    return EpisodeAnswers(
        attack_N=attack_N,
        tamper_N=tamper_N,
        technique_K=np.maximum(-np.sort(-best_TK, axis=0)[:_BEST], _LEAST).mean(axis=0),
        risk=risk_of(attack_N),
        look_N=look_N,
    )


def risk_of(attack_N: NDArray[np.float32], n: int | None = None) -> float:
    """The mean of the highest log-odds of `n` rows, which these are the best of; very low where there is none.

    A share of them and not a number, since more rows have higher ones by chance alone; a number at most, so that many
    rows do not drown an attack.
    """
    if not len(attack_N):
        return _LEAST
    asked = min(-(-_PERCENT * (n or len(attack_N)) // 100), MOST)  # rounded up
    return float(-np.sort(-np.asarray(attack_N, np.float64))[:asked].mean())
