"""The file of an ensemble: which checkpoints it combines, by their hashes, and the weights of every round and fold.

It holds no weights of networks or trees; without the very checkpoints that it was fitted on it refuses to speak. What
does not belong here: fitting (`weights.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.atomic import canonical_sha256, file_sha256
from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.ensemble.weights import Mixture, mix
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.learning.container import MAX_JSON_BYTES, opened
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.text import shown

# M models, N windows, K phases
_FORMAT = "rlstir-ensemble-1"
_SUM_SLACK = 1e-6


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that is combined, and the hash of its file."""

    model: str
    checkpoint_sha256: str
    schema_sha256: str


class RoundMixture(msgspec.Struct, frozen=True, kw_only=True):
    """How the models of one round are combined. `folds` are fitted without the episodes of that fold."""

    mixture: Mixture
    folds: tuple[Mixture, ...]
    n_episodes: int  # of the train side, that it was fitted on
    n_windows: int


class Ensemble(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `ensemble_<mode>.ckpt.json`."""

    format: str = _FORMAT
    model: str = ENSEMBLE
    mode: str
    recipe: str
    preset: str
    seed: int
    train_sha256: str  # as that of its parts
    n_train_episodes: int
    parts: tuple[Part, ...]
    rounds: tuple[RoundMixture, ...]
    same_as: str = ""

    @property
    def schema_sha256(self) -> str:
        """The hash of all that its parts see."""
        return canonical_sha256([part.schema_sha256 for part in self.parts])

    @property
    def weights_sha256(self) -> str:
        """The hash of what was learnt, by it and by its parts' trainings."""
        return canonical_sha256([[part.model for part in self.parts], self.rounds])

    def of(self, place: int, fold: int | None = None) -> Mixture:
        """The mixture of a round; with `fold`, the one that has not seen that fold's episodes."""
        each = self.rounds[place]
        return each.mixture if fold is None else each.folds[fold]

    def predict(
        self, spoken: Mapping[str, Sequence[tuple[int, int, Floats]]], *, left_out: bool
    ) -> NDArray[np.float64]:
        """The combination of what its parts' members say of the same windows, (N, K).

        `spoken` are round, fold and probabilities by model. With `left_out` the episode is of a fold that each of
        these members left out, and so do the weights.
        """
        first = next(iter(spoken.values()))
        rounds: dict[int, list[int]] = {}
        for at, (place, _, _) in enumerate(first):
            rounds.setdefault(place, []).append(at)
        total: NDArray[np.float64] | float = 0.0
        n = 0
        for place, ats in rounds.items():
            proba_MNK = np.stack([np.mean([spoken[part.model][at][2] for at in ats], axis=0) for part in self.parts])
            fold = first[ats[0]][1] if left_out and len(ats) == 1 else None
            total = total + len(ats) * mix(self.of(place, fold), proba_MNK)
            n += len(ats)
        return np.asarray(total / n)


def read_ensemble(path: Path) -> Ensemble:
    """The file; CheckpointError or UpstreamMissing in one sentence otherwise."""
    remedy = how_to_make("detector_eval", path.parent.name)
    try:
        with opened(path, MAX_JSON_BYTES) as handle:
            found = msgspec.json.decode(handle.read(MAX_JSON_BYTES), type=Ensemble)
    except FileNotFoundError:
        raise UpstreamMissing(f"{path} is missing; make it with: {remedy}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not an ensemble ({error}); make it again with: {remedy}") from None

    def need(holds: bool, wrong: str) -> None:
        if not holds:
            raise CheckpointError(f"{path} {wrong}; make it again with: {remedy}")

    need(found.format == _FORMAT, f"has format {shown(found.format)}, not {_FORMAT!r}")
    own = (ENSEMBLE, found.mode in MODES, f"{ENSEMBLE}_{found.mode}.ckpt.json", path.parent.name)
    need((found.model, True, path.name, found.recipe) == own, "is not what its name and folder say")
    twin = f"{ENSEMBLE}_{PRIMARY_MODE}" if found.mode != PRIMARY_MODE else ""
    need(found.same_as in ("", twin), f"says that it is the same as {shown(found.same_as)}, which cannot be")
    names = [part.model for part in found.parts]
    need(0 < len(names) == len(set(names)) and set(names) <= MODELS.keys(), "combines no model, one twice, or others")
    need(bool(found.rounds), "has no round")
    for each in found.rounds:
        for mixture in (each.mixture, *each.folds):
            need(_sound(mixture, len(names)), "has weights that are no convex combination, or temperatures of 0")
    return found


def _sound(mixture: Mixture, n_models: int) -> bool:
    weights, heat = mixture.weights, mixture.temperatures
    whole = len(weights) == len(heat) == n_models and abs(sum(weights) - 1) < _SUM_SLACK
    return whole and min(weights) >= 0 and all(0.01 <= each <= 100 for each in heat)


def require_parts(layout: Layout, ensemble: Ensemble, checkpoints: Mapping[str, Checkpoint]) -> None:
    """CheckpointError where a checkpoint that it combines is missing, or of another training than it was fitted on.

    `checkpoints` are those of its mode, by model.
    """
    name = f"{ENSEMBLE}_{ensemble.mode}"
    remedy = how_to_make("detector_eval", ensemble.recipe)
    for part in ensemble.parts:
        checkpoint = checkpoints.get(part.model)
        path = layout.checkpoint(ensemble.recipe, part.model, ensemble.mode)
        if checkpoint is None or not path.exists():
            raise CheckpointError(f"{name} combines {path}, which is missing; make it again, then: {remedy}")
        if checkpoint.train_sha256 != ensemble.train_sha256 or file_sha256(path) != part.checkpoint_sha256:
            raise CheckpointError(
                f"{name} was fitted on another training of {part.model}_{ensemble.mode} than lies at {path}; make it "
                f"again with: {remedy}"
            )
        sizes = [len(each.folds) for each in ensemble.rounds]
        if any(m.round >= len(sizes) or m.fold >= sizes[m.round] for m in checkpoint.members):
            raise CheckpointError(f"{name} has fewer rounds or folds than {path}; make it again with: {remedy}")
