"""Checkpoints: a trained detector with the schema it was trained on, in JSON beside a sidecar of weights.

No pickle on any path. A checkpoint refuses data of another schema. What does not belong here: training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.atomic import canonical_sha256, file_sha256, write_bytes, write_json
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.detectors.inputs import Inputs, InputSchema, blinded, require_same_schema
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.base import Detector, TrainingFacts
from rlstir_core.detectors.sources import SourceVerdict, blind_columns
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.learning.container import MAX_JSON_BYTES, opened, verified_sidecar
from rlstir_core.remedies import how_to_make
from rlstir_core.text import printable, shown

# N windows, K phases
_FORMAT = "rlstir-checkpoint-2"
_MAX_MEMBERS = 2_000
_MAX_ROUNDS = 1_000
_MAX_TEXT = 400  # characters of any text in a checkpoint
_MAX_COUNT = 2**53


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted detector: trained on all folds of a round but one, stopped early on that one."""

    round: int = 0  # of the split
    fold: int = 0
    sidecar: str
    sidecar_sha256: str
    settings: dict[str, Any]
    facts: TrainingFacts
    validation_episodes: tuple[str, ...]
    sources: tuple[SourceVerdict, ...] = ()  # that the mode adds, and which of them this member does not see

    @property
    def left_out(self) -> tuple[str, ...]:
        """The sources that it does not see."""
        return tuple(each.source for each in self.sources if not each.kept)


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
    same_as: str = ""  # the detector that sees the same channels: these weights are copies of its own

    @property
    def schema_sha256(self) -> str:
        return self.input_schema.sha256

    @property
    def weights_sha256(self) -> str:
        """The hash of what was learnt."""
        return canonical_sha256([member.sidecar_sha256 for member in self.members])


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A member as it comes from training."""

    detector: Any  # a Detector
    facts: TrainingFacts
    validation_episodes: tuple[str, ...]
    round: int = 0
    fold: int = 0
    sources: tuple[SourceVerdict, ...] = ()


class Members:
    """The fitted members of a checkpoint, as predictors by round and fold.

    `blind` are the columns that a member of a round and fold does not see.
    """

    def __init__(
        self,
        members: Sequence[tuple[int, int, Detector]],
        blind: Mapping[tuple[int, int], tuple[int, ...]] | None = None,
    ) -> None:
        self.members = list(members)
        self.blind = dict(blind or {})

    def say(self, place: int, fold: int, detector: Detector, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities by one member, of what it may see, (N, K)."""
        return detector.predict_proba(blinded(inputs, self.blind.get((place, fold), ())))

    def predict_round(self, place: int, inputs: Inputs) -> NDArray[np.float64]:
        """Mean probability of the members of one round, (N, K): what its test episodes are scored with."""
        return np.asarray(np.mean(self.predict_members(place, inputs), axis=0))

    def predict_members(self, place: int, inputs: Inputs) -> list[NDArray[np.float64]]:
        """Probabilities by each member of one round, (N, K) each, in the order of the folds that they left out."""
        ordered = sorted(((r, f, detector) for r, f, detector in self.members if r == place), key=lambda m: m[1])
        return [self.say(*member, inputs) for member in ordered]

    def predict_fold(self, place: int, fold: int, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities by the member that left this fold out, (N, K): what validation is scored with."""
        return next(self.say(*member, inputs) for member in self.members if member[:2] == (place, fold))

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Mean probability of all members, (N, K)."""
        return np.asarray(np.mean([self.say(*member, inputs) for member in self.members], axis=0))


def write_checkpoint(path: Path, model: str, members: Sequence[Fitted], **known: Any) -> Checkpoint:
    """Writes the sidecars first and the JSON last, so that a checkpoint that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for place, fitted in enumerate(members):
        detector = fitted.detector
        sidecar = path.with_name(f"{path.name.removesuffix('.ckpt.json')}.{place}{detector.suffix}")
        settings = detector.save(sidecar)
        written.append(
            Member(
                round=fitted.round,
                fold=fitted.fold,
                sidecar=sidecar.name,
                sidecar_sha256=file_sha256(sidecar),
                settings=settings,
                facts=fitted.facts,
                validation_episodes=fitted.validation_episodes,
                sources=fitted.sources,
            )
        )
    checkpoint = Checkpoint(model=model, members=tuple(written), **known)
    write_json(path, checkpoint)
    return checkpoint


def copy_checkpoint(source: Path, checkpoint: Checkpoint, path: Path, **known: Any) -> Checkpoint:
    """A checkpoint at `path` with the weights of that at `source`, its JSON last; `known` is what it says otherwise."""
    own, name = (each.name.removesuffix(".ckpt.json") for each in (path, source))
    members = []
    for member in checkpoint.members:
        sidecar = own + member.sidecar.removeprefix(name)
        weights = verified_sidecar(source.parent, member.sidecar, member.sidecar_sha256)
        write_bytes(path.with_name(sidecar), weights.read_bytes())
        members.append(msgspec.structs.replace(member, sidecar=sidecar))
    copied = msgspec.structs.replace(checkpoint, members=tuple(members), same_as=name, **known)
    write_json(path, copied)
    return copied


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint's JSON; CheckpointError or UpstreamMissing in one sentence otherwise."""
    try:
        with opened(path, MAX_JSON_BYTES) as handle:
            checkpoint = msgspec.json.decode(handle.read(MAX_JSON_BYTES), type=Checkpoint)
    except FileNotFoundError:
        model, _, mode = path.name.removesuffix(".ckpt.json").partition("_")
        raise UpstreamMissing(
            f"{path} is missing; make it with: {how_to_make(f'checkpoint/{model}_{mode}', path.parent.name)}"
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a checkpoint ({error}); train it again") from None
    _check(path, checkpoint)
    return checkpoint


def _check(path: Path, checkpoint: Checkpoint) -> None:
    """CheckpointError where the JSON says what cannot be; whoever wrote the weights may have written it too."""
    model, mode, schema = checkpoint.model, checkpoint.mode, checkpoint.input_schema

    def need(holds: bool, wrong: str) -> None:
        if not holds:
            raise CheckpointError(f"{path} {wrong}; train it again")

    need(checkpoint.format == _FORMAT, f"has format {shown(checkpoint.format)}, not {_FORMAT!r}")
    n_members = len(checkpoint.members)
    need(0 < n_members <= _MAX_MEMBERS, f"has {n_members or 'no'} members, not 1 to {_MAX_MEMBERS}")
    need(model in MODELS, f"is of model {shown(model)}, which is unknown")
    own_name = f"{model}_{mode}"
    need(path.name == f"{own_name}.ckpt.json", f"holds {shown(own_name)}, not what its name says; put it back")
    twin = f"{model}_{PRIMARY_MODE}" if mode != PRIMARY_MODE else ""
    need(checkpoint.same_as in ("", twin), f"says that it is the same as {shown(checkpoint.same_as)}, which cannot be")
    own_folder = checkpoint.recipe == path.parent.name
    need(own_folder, f"is of recipe {shown(checkpoint.recipe)}, not of the folder it lies in; put it back")
    need(
        (schema.kind, schema.mode) == (MODELS[model].kind, mode),
        f"has an input schema of {shown(schema.kind)} inputs in mode {shown(schema.mode)}, not its own",
    )
    for what, names in (("channel", schema.channels), ("column", schema.columns), ("phase", schema.phases)):
        need(0 < len(names) == len(set(names)), f"has an input schema that names no {what}, or one twice")
    for text in _texts(checkpoint):
        plain = len(text) <= _MAX_TEXT and printable(text) == text
        need(plain, f"holds {shown(text)}, a text that is too long or not printable")
    counted = 0 <= checkpoint.n_train_episodes <= _MAX_COUNT and abs(checkpoint.seed) <= _MAX_COUNT
    need(counted, "has a seed or a number of train episodes that cannot be")
    for place, member in enumerate(checkpoint.members):
        need(_is_sober(member.facts), f"has training facts of member {place} that are negative or too large")
        gains = [gain for each in member.sources for gain in each.gains]
        need(all(-1 <= gain <= 1 for gain in gains), f"has gains of sources of member {place} that cannot be")
        sound = 0 <= member.round < _MAX_ROUNDS and 0 <= member.fold < _MAX_MEMBERS
        need(sound, f"has a round or fold of member {place} that cannot be")
        wanted = f"{own_name}.{place}{MODELS[model].build().suffix}"
        need(
            member.sidecar == wanted,
            f"names a sidecar outside its folder or another's, {shown(member.sidecar)} instead of {wanted}",
        )


def _texts(checkpoint: Checkpoint) -> list[str]:
    schema = checkpoint.input_schema
    found = [checkpoint.preset, checkpoint.input_sha256, checkpoint.train_sha256, schema.feature_schema_sha256]
    found += [*schema.channels, *schema.columns, *schema.phases]
    for member in checkpoint.members:
        found += [member.sidecar_sha256, member.facts.selected_on, member.facts.unit, *member.validation_episodes]
        found += [each.source for each in member.sources]
    return found


def _is_sober(facts: TrainingFacts) -> bool:
    values = [getattr(facts, name) for name in facts.__struct_fields__]
    numbers = [*(value for value in values if isinstance(value, (int, float))), *facts.class_weights]
    return all(-1 <= value <= _MAX_COUNT for value in numbers)


def load_detector(path: Path, given: InputSchema | None = None) -> tuple[Checkpoint, Members]:
    """The checkpoint and its detector; with `given`, refuses data of another schema."""
    checkpoint = read_checkpoint(path)
    if given is not None:
        require_same_schema(checkpoint.input_schema, given)
    members = []
    for member in checkpoint.members:
        detector = MODELS[checkpoint.model].build()
        detector.load(verified_sidecar(path.parent, member.sidecar, member.sidecar_sha256), member.settings)
        wanted = (len(checkpoint.input_schema.columns), len(checkpoint.input_schema.phases))
        if detector.shape != wanted:
            raise CheckpointError(
                f"{path.parent / member.sidecar} takes {detector.shape[0]} columns and tells {detector.shape[1]} "
                f"phases apart, its checkpoint says {wanted[0]} columns and {wanted[1]} phases; train it again"
            )
        members.append((member.round, member.fold, detector))
    blind = {(m.round, m.fold): blind_columns(checkpoint.input_schema, m.left_out) for m in checkpoint.members}
    return checkpoint, Members(members, blind)


def is_whole(path: Path, checkpoint: Checkpoint) -> bool:
    """True when every sidecar is the file that the checkpoint was written with."""
    try:
        return all(verified_sidecar(path.parent, m.sidecar, m.sidecar_sha256).is_file() for m in checkpoint.members)
    except CheckpointError:
        return False
