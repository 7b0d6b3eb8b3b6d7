"""One file of log rows and its graph as the encoder of a recipe sees them: no study, no store, nothing kept.

What does not belong here: which file, and what is made of the answers (`inquiry/`).
"""

# X rows of a batch, K techniques, B best rows
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.answers import EpisodeAnswers, answers_of, shown_by_rows
from rlstir_core.investigator.checkpoint import EncoderCheckpoint, load_encoder, read_encoder
from rlstir_core.investigator.first_look import FirstLook
from rlstir_core.investigator.inputs import LogPart, of_look
from rlstir_core.investigator.network.heads import Answers, Investigating
from rlstir_core.investigator.reading.batches import Batch, collate
from rlstir_core.investigator.reading.shown import shown
from rlstir_core.investigator.reading.tokenizer import Tokenizer, open_tokenizer, read_manifest
from rlstir_core.investigator.reading.view import LogView
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.learning.devices import device
from rlstir_core.learning.presets import Investigator
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding

_SPEAK = 3  # rows for a technique


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenEncoder:
    """The encoder of a recipe, ready to be asked."""

    checkpoint: EncoderCheckpoint
    network: Investigating
    tokenizer: Tokenizer
    on: torch.device

    @property
    def part_rows(self) -> int:
        return int(self.checkpoint.numbers.get("part_rows", Investigator.part_rows))

    @property
    def without(self) -> str:
        return str(self.checkpoint.numbers.get("without", Investigator.without))

    @property
    def row_tokens(self) -> int:
        return int(self.checkpoint.numbers.get("row_tokens", Investigator.row_tokens))


@dataclass(frozen=True, kw_only=True)
class SingleAnswers:
    """What the encoder says of one file of rows."""

    answers: EpisodeAnswers
    speak_KB: list[list[int]]  # the rows that show each technique most, in the order of their table


def open_encoder(layout: Layout, recipe: str) -> OpenEncoder:
    """The recipe's encoder; UpstreamMissing or CheckpointError in one sentence where it cannot be used."""
    with holding(layout.lock("encoder", recipe), shared=True):
        read_encoder(layout, recipe)  # what is missing altogether is told as such
        manifest = read_manifest(layout, recipe)
        checkpoint, network = load_encoder(layout, recipe, manifest.model_sha256)
        tokenizer = open_tokenizer(layout, manifest)
    if network.pieces != tokenizer.size:
        raise CheckpointError(f"{layout.encoder(recipe)} has other pieces than its tokenizer; train it again")
    on = device("auto")
    return OpenEncoder(checkpoint=checkpoint, network=network.to(on).eval(), tokenizer=tokenizer, on=on)


def answers_of_view(encoder: OpenEncoder, view: LogView) -> SingleAnswers:
    """What the encoder says of all rows of a view."""
    inputs = _OneView(encoder, view)
    best: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
    first = 0

    def note(_: object, __: object, answers: Answers) -> None:
        nonlocal first
        shows_XK = shown_by_rows(answers.attack_X, answers.technique_XK)
        found = shows_XK.topk(min(_SPEAK, len(shows_XK)), dim=0)
        best.append((found.values.cpu().numpy(), found.indices.cpu().numpy() + first))
        first += len(shows_XK)

    hook = encoder.network.register_forward_hook(note)
    try:
        (answers,) = answers_of(encoder.network, inputs, encoder.on)
    finally:
        hook.remove()
    shows_BK, row_BK = (np.concatenate(each) for each in zip(*best, strict=True))
    order_BK = np.argsort(-shows_BK, axis=0, kind="stable")[:_SPEAK]
    return SingleAnswers(answers=answers, speak_KB=np.take_along_axis(row_BK, order_BK, axis=0).T.tolist())


def technique_scores(encoder: OpenEncoder, said: SingleAnswers) -> tuple[Floats, NDArray[np.bool_]]:
    """How much the best rows show each technique, and which are named by that. (K,)"""
    calibration = encoder.checkpoint.calibration
    score_K = calibration.score_K(said.answers, rows=True)
    return score_K, calibration.naming(rows=True).named(score_K[None])[0]


class _OneView:
    """The parts of one view, one a batch."""

    n_episodes = 1

    def __init__(self, encoder: OpenEncoder, view: LogView) -> None:
        self._encoder, self._view = encoder, view
        size, n = encoder.part_rows, len(view)
        self.parts = [
            LogPart(episode=0, first=start, last=min(n, start + size), digest=False) for start in range(0, n, size)
        ]
        self._look: Callable[[int], FirstLook | None] = lambda _: None

    def look_by(self, ask: Callable[[int], FirstLook | None]) -> None:
        self._look = ask

    def batches(self, on: torch.device) -> Iterator[tuple[list[int], Batch]]:
        prior_K = np.zeros(len(LABELS), np.float32)  # speaks of whole files alone
        for place, part in enumerate(self.parts):
            rows = self._view.of_rows(np.arange(part.first, part.last)).without(self._encoder.without)
            made = shown(rows, self._encoder.tokenizer, self._encoder.row_tokens, prior_K)
            yield [place], collate([of_look(made, self._look(place))]).to(on)
