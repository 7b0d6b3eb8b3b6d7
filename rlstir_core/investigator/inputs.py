"""What a model is shown of some episodes: parts of their logs, whose rows stand among what is known around them.

An episode whose truth speaks of single rows is shown whole, in parts of consecutive rows; of imported logs, which are
labelled by the file, one part shows some rows of every kind. What does not belong here: labels (`techniques/`), and
reading rows (`reading/`).
"""

# E episodes, I parts, X rows of a part, P processes, K techniques, A numbers of a row
from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.store import host_counts
from rlstir_core.investigator.first_look import AROUND, FirstLook, around
from rlstir_core.investigator.network.encoder import InputWidths
from rlstir_core.investigator.pretraining.streaming import Kept, TrainingStep, plan, prefetched
from rlstir_core.investigator.reading.batches import Batch, Looked, collate
from rlstir_core.investigator.reading.shown import Shown, shown
from rlstir_core.investigator.reading.surroundings import FILE_KINDS, SOCKET_KINDS
from rlstir_core.investigator.reading.tokenizer import Tokenizer
from rlstir_core.investigator.reading.view import FEATURES, LogView, read_view
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.tamper.spans import Tampering
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.row_truth import says_rows
from rlstir_core.learning.examples import CacheBudget

_PROCESS_NUMBERS: Final = 3
WIDTHS: Final = InputWidths(
    row=len(AROUND) + len(FEATURES), nodes=(_PROCESS_NUMBERS, len(FILE_KINDS), len(SOCKET_KINDS))
)
Priors = Callable[[EpisodeInfo], NDArray[np.float32]]  # (K,): what is known of a file's techniques beforehand


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """Rows of an episode; all of them are shown together."""

    episode: int  # its place
    first: int
    last: int  # exclusive; the end of the rows that are shown, or of those that a digest is taken of
    digest: bool  # some rows of every kind of them instead of all


class LogInputs:
    """Parts of episodes, opened one after the other; `hosts` are whose names are hidden.

    `most_parts` of an episode are shown, evenly over it; all where it is None. `tampering` is told what the rules say
    of an episode when it is opened, where they were asked about all of its rows together.
    """

    def __init__(
        self,
        study: InvestigatorStudy,
        episodes: Sequence[EpisodeInfo],
        tokenizer: Tokenizer,
        priors: Priors | None,
        *,
        hosts: Sequence[str],
        budget: CacheBudget,
        most_parts: int | None = None,
        tampering: Callable[[EpisodeInfo, Tampering], None] | None = None,
    ) -> None:
        self.episodes = list(episodes)
        self._study, self._tokenizer, self._priors, self._hosts = study, tokenizer, priors, hosts
        self.parts = self._all_parts = _parts(study, self.episodes, most_parts)
        self._all_episodes = self.episodes
        self._at = list(range(len(self.parts)))  # of each part among all
        folder = study.layout.artifacts(study.options.recipe)
        self._shown: Kept[Shown] = Kept(self._read, Shown, budget, folder)
        self._last: tuple[int, LogView] | None = None
        self._tampering = tampering
        self._looks: Callable[[int], FirstLook | None] = lambda _: None

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def n_episodes(self) -> int:
        return len(self.episodes)

    def __getitem__(self, place: int) -> Shown:
        return self._shown[self._at[place]]

    def among(self, chosen: Sequence[int]) -> LogInputs:
        """Some of these episodes, by their places; what is kept of them is kept once."""
        found = copy(self)
        found.__dict__.pop("lengths", None)
        number = {episode: at for at, episode in enumerate(chosen)}
        found.episodes = [self.episodes[episode] for episode in chosen]
        own = sorted((number[part.episode], place) for place, part in enumerate(self.parts) if part.episode in number)
        found.parts = [replace(self.parts[place], episode=at) for at, place in own]
        found._at = [self._at[place] for _, place in own]
        return found

    def look_by(self, ask: Callable[[int], FirstLook | None]) -> None:
        """Says which first look speaks of the rows of each part."""
        self._looks = ask

    @cached_property
    def lengths(self) -> Ints:
        """How many tokens each part has, (I,); reads all of them once."""
        return np.array([self[place].n_tokens for place in range(len(self))], np.int64)

    def steps(self, order: Iterable[int], min_steps: int = 0) -> list[TrainingStep]:
        """These parts in steps of batches of the preset's tokens, or of fewer where they gave too few steps."""
        numbers = self._study.numbers.investigator
        budget = numbers.batch_tokens
        if min_steps:
            budget = max(1, min(budget, int(self.lengths.sum()) // (min_steps * numbers.accumulate)))
        return plan(order, self.lengths, budget, numbers.accumulate)

    def looked(self, place: int) -> tuple[Shown, Looked]:
        """A part, and what the first look says of it."""
        return of_look(self[place], self._looks(place))

    def batch(self, places: Sequence[int]) -> Batch:
        """The batch of these parts, on the host."""
        return collate([self.looked(place) for place in places])

    def batches(self, device: torch.device) -> Generator[tuple[list[int], Batch], None, None]:
        """(places, batch) of all parts, in their order, on a device."""
        all_places = [places for step in self.steps(range(len(self))) for places in step]
        with closing(prefetched(self.batch, all_places)) as made:
            for places, batch in zip(all_places, made, strict=True):
                yield places, batch.to(device)

    def _read(self, place: int) -> Shown:
        part = self._all_parts[place]
        numbers, info = self._study.numbers.investigator, self._all_episodes[part.episode]
        if self._last is None or self._last[0] != part.episode:  # parts of an episode are asked for in turn
            told = partial(self._tampering, info) if self._tampering is not None else None
            self._last = part.episode, read_view(self._study.layout, info, self._hosts, told)
        view = self._last[1]
        chosen = view.digest(numbers.rows) if part.digest else np.arange(part.first, min(part.last, len(view)))
        prior_K = np.zeros(len(LABELS), np.float32)
        if part.digest and self._priors is not None:  # of a recording it is the rows that are asked
            prior_K = self._priors(info)
        rows = view.of_rows(chosen).without(numbers.without)
        return shown(rows, self._tokenizer, numbers.row_tokens, prior_K)


def of_look(part: Shown, look: FirstLook | None) -> tuple[Shown, Looked]:
    """A part beside what a first look says of it; 0 where there is none."""
    n, n_processes = part.n_rows, part.counts[0]
    look_X = np.zeros(n, np.float32) if look is None else look.scores(part.words_UW, part.slots_XS)
    process_PC = np.zeros((n_processes, _PROCESS_NUMBERS), np.float32)
    process_X = part.process_X
    known = process_X >= 0
    process_PC[:, 0] = -1.0
    np.maximum.at(process_PC[:, 0], process_X[known], look_X[known] / 4)
    process_PC[:, 1] = np.log1p(np.bincount(process_X[known], minlength=n_processes)) / 4
    process_PC[:, 2] = part.parent_P >= 0
    around_XA = around(look_X, process_X, part.parent_P) / 4
    return part, Looked(look_X=look_X, around_XA=around_XA.astype(np.float32), process_PC=process_PC)


def _parts(study: InvestigatorStudy, episodes: Sequence[EpisodeInfo], most: int | None) -> list[LogPart]:
    counts = {host: host_counts(study.layout, host) for host in {info.host for info in episodes}}
    size = study.numbers.investigator.part_rows
    found = []
    for place, info in enumerate(episodes):
        of = counts[info.host].get(info.own_id)
        n = sum(of.rows.values()) if of is not None else 0
        if not says_rows(info):
            found.append(LogPart(episode=place, first=0, last=n, digest=True))
            continue
        starts = list(range(0, max(1, n), size))
        if most is not None and len(starts) > most:
            starts = [starts[k] for k in np.linspace(0, len(starts) - 1, most).round().astype(int)]
        found += [LogPart(episode=place, first=start, last=min(n, start + size), digest=False) for start in starts]
    return found
