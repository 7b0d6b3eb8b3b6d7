"""From what was revealed of each process tree to how likely an attack, tampering and each technique are.

A tree is told by its largest log-odds and by the odds of its rows summed, so that many rows of one kind do not drown
another tree; trees add as odds, so that one of them is enough. Few numbers are learnt and techniques share them, as
there are few episodes. What does not belong here: keeping what was revealed (`pool.py`), and fitting (`fit.py`).
"""

# B lanes, T trees of all of them, D numbers of a row (attack, rules, techniques), K techniques, L labels
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlstir_core.investigator.belief.row_model import FARTHEST
from rlstir_core.investigator.techniques.labels import LABELS

ATTACK, TAMPERED, TECHNIQUES = 0, 1, 2  # places of answers; techniques are those of the label space, in its order
N_ANSWERS = 2 + len(LABELS)
_SCALE = 4.0  # log-odds over this are about one
_LEAST = 1e-4
_MOST = 14.0


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What is kept of the revealed rows of some trees."""

    max_TD: Tensor
    odds_TD: Tensor  # probabilities summed over rows
    n_T: Tensor


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What the trees of each lane say together: odds summed over trees."""

    attack_B: Tensor
    technique_BK: Tensor
    rows_B: Tensor
    trees_B: Tensor
    rules_max_B: Tensor
    rules_odds_B: Tensor


class BeliefHead(nn.Module):
    """Pooled trees to log-odds, (B, 2 + labels); the techniques of `label_K` are told apart, others have base rates."""

    label_K: Tensor
    base_L: Tensor
    platt_32: Tensor
    by_tree: Tensor

    def __init__(self, label_K: Tensor, base_L: Tensor, by_tree: bool = True) -> None:
        super().__init__()
        self.register_buffer("by_tree", torch.tensor(int(by_tree)))  # 0: all rows are pooled as if of one tree
        self.register_buffer("label_K", label_K)
        self.register_buffer("base_L", base_L)
        # slope and offset of the attack, of tampering, of techniques
        self.register_buffer("platt_32", torch.tensor([[1.0, 0.0]] * 3))
        self.tree, self.technique = _small(6, 16), _small(5, 12)
        self.whole, self.named, self.tampered = _small(4, 8), _small(3, 8), _small(3, 8)
        self.bias_K = nn.Parameter(torch.zeros(len(label_K)))
        self.nothing = nn.Parameter(torch.tensor(-2.0))  # log-odds of an attack where nothing looks like one
        self.nothing_K = nn.Parameter(torch.full((len(label_K),), -5.0))

    def trees(self, of: Pooled) -> tuple[Tensor, Tensor]:
        """The odds of an attack, (T,), and of each technique, (T, K), that each tree adds."""
        size_T = of.n_T.log1p() / _SCALE
        max_TD = of.max_TD / _SCALE
        sum_TD = (of.odds_TD + _LEAST).log() / _SCALE
        best_T = max_TD[:, 2:].amax(1) if max_TD.shape[1] > 2 else max_TD[:, 0]
        seen_TF = torch.stack([max_TD[:, 0], sum_TD[:, 0], max_TD[:, 1], sum_TD[:, 1], best_T, size_T], dim=1)
        attack_T = max_TD[:, 0] * _SCALE + self.tree(seen_TF)[:, 0]
        K = len(self.label_K)
        around_TKF = torch.stack([max_TD[:, 0], sum_TD[:, 0], size_T], dim=1)[:, None].expand(-1, K, -1)
        seen_TKF = torch.cat([torch.stack([max_TD[:, 2:], sum_TD[:, 2:]], dim=2), around_TKF], dim=2)
        technique_TK = max_TD[:, 2:] * _SCALE + self.technique(seen_TKF)[..., 0] + self.bias_K
        return attack_T.clamp(max=_MOST).exp(), technique_TK.clamp(max=_MOST).exp()

    def forward(self, of: Whole) -> Tensor:
        """Log-odds, calibrated, (B, 2 + labels)."""
        attack_B = (of.attack_B + self.nothing.exp()).log()
        rules_B = (of.rules_odds_B + _LEAST).log() / _SCALE
        size_B = of.rows_B.log1p() / _SCALE
        seen_BF = torch.stack([attack_B / _SCALE, size_B, of.trees_B.log1p() / _SCALE, rules_B], dim=1)
        attack_B = attack_B + self.whole(seen_BF)[:, 0]
        own_BK = (of.technique_BK + self.nothing_K.exp()).log()
        beside_BKF = torch.stack([attack_B / _SCALE, size_B], dim=1)[:, None].expand(-1, own_BK.shape[1], -1)
        own_BK = own_BK + self.named(torch.cat([own_BK[..., None] / _SCALE, beside_BKF], dim=2))[..., 0]
        tampered_B = self.tampered(torch.stack([of.rules_max_B / _SCALE, rules_B, size_B], dim=1))[:, 0]
        labels_BL = self.base_L.expand(len(attack_B), -1).clone()
        labels_BL[:, self.label_K] = self.platt_32[2, 0] * own_BK + self.platt_32[2, 1]
        said = [self.platt_32[k, 0] * each_B + self.platt_32[k, 1] for k, each_B in enumerate((attack_B, tampered_B))]
        return torch.cat([torch.stack(said, dim=1), labels_BL], dim=1).clamp(-FARTHEST, FARTHEST)


def _small(width: int, hidden: int) -> nn.Sequential:
    """A net of one hidden layer that says 0 at first."""
    last = nn.Linear(hidden, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), last)


def base_rates(n_L: Tensor, n: int) -> Tensor:
    """Log-odds of labels that n_L of n episodes carry, with half an episode added to both sides. (L,)"""
    return ((n_L + 0.5) / (n - n_L + 0.5)).log()


def loss_of(said_BA: Tensor, truth_BA: Tensor) -> Tensor:
    """Log loss, a lane: of the attack, of tampering, and of the techniques summed, which weigh a half together."""
    each_BA = functional.binary_cross_entropy_with_logits(said_BA, truth_BA, reduction="none")
    technique_B = each_BA[:, TECHNIQUES:].sum(1) / math.sqrt(len(LABELS))
    of_B = each_BA[:, ATTACK] + 0.5 * each_BA[:, TAMPERED] + 0.5 * technique_B
    return of_B.mean()
