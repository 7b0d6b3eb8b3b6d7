"""What a model is shown of some episodes: their rows as tokens, and what the knowledge model says of their words.

What does not belong here: labels (`techniques/`), and reading rows (`reading/`).
"""

# E episodes, K outputs: the techniques, then an attack
from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from functools import cached_property

import numpy as np
import torch

from rlstir_core.arrays import Ints
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.reading.batches import Batch, Rows, collate, n_tokens, packed
from rlstir_core.investigator.reading.rows import episode_texts
from rlstir_core.investigator.reading.tokenizer import Tokenizer
from rlstir_core.investigator.streaming import Kept, Step, plan, prefetched
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
        folder = study.layout.artifacts(study.options.recipe)
        self._rows: Kept[Rows] = Kept(self._read, Rows, budget, folder)

    def __len__(self) -> int:
        return len(self.episodes)

    @cached_property
    def lengths(self) -> Ints:
        """How many tokens each episode has, (E,); reads all of them once."""
        return np.array([n_tokens(self._rows[place]) for place in range(len(self))], np.int64)

    def steps(self, order: Iterable[int], min_steps: int = 0) -> list[Step]:
        """These episodes in steps of batches of the preset's tokens, or of fewer where they gave too few steps."""
        numbers = self._study.numbers.investigator
        budget = numbers.batch_tokens
        if min_steps:
            budget = max(1, min(budget, int(self.lengths.sum()) // (min_steps * numbers.accumulate)))
        return plan(order, self.lengths, budget, numbers.accumulate)

    def batch(self, places: Sequence[int]) -> Batch:
        """The batch of these episodes, on the host."""
        rows = [self._rows[place] for place in places]
        return collate(rows, self._prior_EK[list(places)])

    def batches(self, device: torch.device) -> Generator[tuple[list[int], Batch], None, None]:
        """(places, batch) of all episodes, in their order, on a device."""
        all_places = [places for step in self.steps(range(len(self))) for places in step]
        with closing(prefetched(self.batch, all_places)) as made:
            for places, batch in zip(all_places, made, strict=True):
                yield places, batch.to(device)

    def _read(self, place: int) -> Rows:
        numbers = self._study.numbers.investigator
        texts = episode_texts(self._study.layout, self.episodes[place], numbers.rows, self._hosts)
        if self._knowledge is not None:
            self._prior_EK[place, : len(LABELS)] = self._knowledge.scores(["\n".join(texts)])[0]
        return packed(self._tokenizer.rows(texts, numbers.row_tokens))
