"""Checkpoints: a trained detector with the schema it was trained on, in JSON beside a sidecar of weights.

No pickle on any path. A checkpoint refuses data of another schema. What does not belong here: training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from rlstir_core.atomic import file_sha256, write_json
from rlstir_core.detectors.base import Detector, TrainingFacts
from rlstir_core.detectors.inputs import InputSchema, require_same_schema
from rlstir_core.detectors.neural import (
    CnnDetector,
    GruDetector,
    LstmDetector,
    MlpDetector,
    TransformerDetector,
)
from rlstir_core.detectors.trees import GradientBoostedTrees
from rlstir_core.errors import CheckpointError, UpstreamMissing

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


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `<model>_<mode>.ckpt.json`."""

    format: str = _FORMAT
    model: str
    mode: str
    recipe: str
    preset: str
    seed: int
    input_schema: InputSchema
    input_sha256: str  # of everything that decided the result: data, split, preset
    split_sha256: str
    n_train_episodes: int
    n_validation_episodes: int
    facts: TrainingFacts
    settings: dict[str, Any]
    sidecar: str
    sidecar_sha256: str


def write_checkpoint(path: Path, detector: Detector, **known: Any) -> Checkpoint:
    """Writes the sidecar first and the JSON last, so that a checkpoint that is there is whole."""
    sidecar = path.with_name(path.name.removesuffix(".ckpt.json") + detector.suffix)
    settings = detector.save(sidecar)
    checkpoint = Checkpoint(
        model=detector.name,
        settings=settings,
        sidecar=sidecar.name,
        sidecar_sha256=file_sha256(sidecar),
        **known,
    )
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
            f"{path} is missing; make it with: dagster asset materialize --select 'key:checkpoint/{mode}/{model}' "
            f"--partition {path.parent.name}"
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a checkpoint ({error}); train it again") from None
    if checkpoint.format != _FORMAT:
        raise CheckpointError(f"{path} has format {checkpoint.format!r}, not {_FORMAT!r}; train it again")
    if checkpoint.model not in DETECTORS:
        raise CheckpointError(f"{path} is of model {checkpoint.model!r}, which is unknown; train it again")
    if path.name != f"{checkpoint.model}_{checkpoint.mode}.ckpt.json":
        raise CheckpointError(
            f"{path} holds {checkpoint.model}_{checkpoint.mode}, not what its name says; put it back or train it again"
        )
    return checkpoint


def load_detector(path: Path, given: InputSchema | None = None) -> tuple[Checkpoint, Detector]:
    """The checkpoint and its detector; with `given`, refuses data of another schema."""
    checkpoint = read_checkpoint(path)
    if given is not None:
        require_same_schema(checkpoint.input_schema, given)
    if Path(checkpoint.sidecar).name != checkpoint.sidecar:
        raise CheckpointError(
            f"{path} names a sidecar outside its folder ({checkpoint.sidecar!r}); train it again"
        )
    sidecar = path.parent / checkpoint.sidecar
    if not sidecar.is_file() or file_sha256(sidecar) != checkpoint.sidecar_sha256:
        raise CheckpointError(
            f"{sidecar} is missing or is not the file its checkpoint was written with; train it again"
        )
    detector = DETECTORS[checkpoint.model]()
    detector.load(sidecar, checkpoint.settings)
    return checkpoint, detector
