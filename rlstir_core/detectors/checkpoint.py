"""Checkpoints: a trained detector with the schema it was trained on, in JSON beside a sidecar of weights.

No pickle on any path. A checkpoint refuses data of another schema. What does not belong here: training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from rlstir_core.atomic import canonical_sha256, file_sha256, write_json
from rlstir_core.detectors.base import CrossFitted, Detector, TrainingFacts
from rlstir_core.detectors.inputs import InputSchema, require_same_schema
from rlstir_core.detectors.neural import (
    CnnDetector,
    GruDetector,
    LstmDetector,
    MlpDetector,
    TransformerDetector,
)
from rlstir_core.detectors.trees import GradientBoostedTrees
from rlstir_core.errors import CheckpointError, UpstreamMissing, how_to_make

_FORMAT = "rlstir-checkpoint-1"
_MAX_JSON_BYTES = 64 << 20

DETECTORS: dict[str, type[Detector]] = {
    kind.name: kind
    for kind in (
        GradientBoostedTrees,
        MlpDetector,
        CnnDetector,
        GruDetector,
        LstmDetector,
        TransformerDetector,
    )
}


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted detector: trained on all folds but one, stopped early on that one."""

    sidecar: str
    sidecar_sha256: str
    settings: dict[str, Any]
    facts: TrainingFacts
    validation_episodes: tuple[str, ...]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `<model>_<mode>.ckpt.json`; the members' mean probability is the detector's."""

    format: str = _FORMAT
    model: str
    mode: str
    recipe: str
    preset: str
    seed: int
    input_schema: InputSchema
    input_sha256: str  # of everything that decided the result: data, split, preset
    train_sha256: str  # of the episodes it was trained on, and their folds
    n_train_episodes: int
    members: tuple[Member, ...]

    @property
    def weights_sha256(self) -> str:
        """The hash of what was learnt."""
        return canonical_sha256([member.sidecar_sha256 for member in self.members])


def write_checkpoint(
    path: Path, members: Sequence[tuple[Detector, TrainingFacts, tuple[str, ...]]], **known: Any
) -> Checkpoint:
    """Writes the sidecars first and the JSON last, so that a checkpoint that is there is whole."""
    written = []
    for place, (detector, facts, episodes) in enumerate(members):
        sidecar = path.with_name(f"{path.name.removesuffix('.ckpt.json')}.{place}{detector.suffix}")
        settings = detector.save(sidecar)
        written.append(
            Member(
                sidecar=sidecar.name,
                sidecar_sha256=file_sha256(sidecar),
                settings=settings,
                facts=facts,
                validation_episodes=episodes,
            )
        )
    checkpoint = Checkpoint(model=members[0][0].name, members=tuple(written), **known)
    write_json(path, checkpoint)
    return checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint's JSON; CheckpointError or UpstreamMissing in one sentence otherwise."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise CheckpointError(f"{path} is larger than a checkpoint can be; train it again")
        checkpoint = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        model, _, mode = path.name.removesuffix(".ckpt.json").partition("_")
        raise UpstreamMissing(
            f"{path} is missing; make it with: {how_to_make(f'checkpoint/{mode}/{model}', path.parent.name)}"
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a checkpoint ({error}); train it again") from None
    if checkpoint.format != _FORMAT:
        raise CheckpointError(f"{path} has format {checkpoint.format!r}, not {_FORMAT!r}; train it again")
    if not checkpoint.members:
        raise CheckpointError(f"{path} has no members; train it again")
    if checkpoint.model not in DETECTORS:
        raise CheckpointError(f"{path} is of model {checkpoint.model!r}, which is unknown; train it again")
    if path.name != f"{checkpoint.model}_{checkpoint.mode}.ckpt.json":
        raise CheckpointError(
            f"{path} holds {checkpoint.model}_{checkpoint.mode}, not what its name says; put it back or train it again"
        )
    return checkpoint


def load_detector(path: Path, given: InputSchema | None = None) -> tuple[Checkpoint, CrossFitted]:
    """The checkpoint and its detector; with `given`, refuses data of another schema."""
    checkpoint = read_checkpoint(path)
    if given is not None:
        require_same_schema(checkpoint.input_schema, given)
    members = []
    for member in checkpoint.members:
        detector = DETECTORS[checkpoint.model]()
        detector.load(_sidecar(path, member), member.settings)
        wanted = (len(checkpoint.input_schema.columns), len(checkpoint.input_schema.phases))
        if detector.shape != wanted:
            raise CheckpointError(
                f"{path.parent / member.sidecar} takes {detector.shape[0]} columns and tells {detector.shape[1]} "
                f"phases apart, its checkpoint says {wanted[0]} columns and {wanted[1]} phases; train it again"
            )
        members.append((detector, member.validation_episodes))
    return checkpoint, CrossFitted(members)


def is_whole(path: Path, checkpoint: Checkpoint) -> bool:
    """True when every sidecar is the file that the checkpoint was written with."""
    try:
        return all(_sidecar(path, member).is_file() for member in checkpoint.members)
    except CheckpointError:
        return False


def _sidecar(path: Path, member: Member) -> Path:
    if Path(member.sidecar).name != member.sidecar:
        raise CheckpointError(f"{path} names a sidecar outside its folder ({member.sidecar!r}); train it again")
    sidecar = path.parent / member.sidecar
    if not sidecar.is_file() or file_sha256(sidecar) != member.sidecar_sha256:
        raise CheckpointError(
            f"{sidecar} is missing or is not the file its checkpoint was written with; train it again"
        )
    return sidecar
