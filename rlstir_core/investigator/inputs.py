"""What a model is shown of some episodes: their rows as tokens, and what the knowledge model says of their words.

What does not belong here: labels (`techniques/`), and reading rows (`reading/`).
"""

# E episodes, K outputs: the techniques, then an attack
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.reading.batches import Batch, EpisodeRows, Rows, batches, collate, n_tokens, packed
from rlstir_core.investigator.reading.rows import episode_texts
from rlstir_core.investigator.reading.tokenizer import Tokenizer
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.knowledge import Knowledge
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.learning.examples import CacheBudget

N_OUTPUTS = len(LABELS) + 1


class LogInputs:
    """Episodes, opened one after the other; `hosts` are whose names are hidden."""

    def __init__(
        self,
        study: InvestigatorStudy,
        episodes: Sequence[EpisodeInfo],
        tokenizer: Tokenizer,
        knowledge: Knowledge | None,
        *,
        hosts: Sequence[str],
        budget: CacheBudget,
    ) -> None:
        self.episodes = list(episodes)
        self._study, self._tokenizer, self._knowledge, self._hosts = study, tokenizer, knowledge, hosts
        self._prior_EK = np.zeros((len(self.episodes), N_OUTPUTS))
        self._rows = EpisodeRows(self._read, budget)

    def __len__(self) -> int:
        return len(self.episodes)

    def budget(self, min_steps: int) -> int:
        """Tokens of a batch: the preset's, or fewer where all episodes would give fewer batches than that."""
        total = sum(n_tokens(self._rows[place]) for place in range(len(self)))
        return max(1, min(self._study.numbers.investigator.batch_tokens, total // min_steps))

    def batches(
        self, order: Sequence[int], device: torch.device, budget: int | None = None
    ) -> Iterator[tuple[list[int], Batch]]:
        """(places, batch) of these episodes, in their order."""
        for places, rows in batches(self._rows, order, budget or self._study.numbers.investigator.batch_tokens):
            yield places, collate(rows, self._prior_EK[places]).to(device)

    def _read(self, place: int) -> Rows:
        numbers = self._study.numbers.investigator
        texts = episode_texts(self._study.layout, self.episodes[place], numbers.rows, self._hosts)
        if self._knowledge is not None:
            self._prior_EK[place, : len(LABELS)] = self._knowledge.scores(["\n".join(texts)])[0]
        return packed(self._tokenizer.rows(texts, numbers.row_tokens))
