"""The encoder's checkpoint: what it was trained on and how, in JSON beside its weights; no pickle on any path.

What does not belong here: training.
"""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from rlstir_core.atomic import canonical_sha256, file_sha256, write_bytes, write_json
from rlstir_core.errors import CheckpointError, ConfigError, UpstreamMissing
from rlstir_core.investigator.inputs import WIDTHS
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.sizes import Memory
from rlstir_core.investigator.network.widen import NotWidenable, widen
from rlstir_core.investigator.pretraining.calibrated import AnswerCalibration
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.learning.container import MAX_JSON_BYTES, MAX_SIDECAR_BYTES, opened, verified_sidecar
from rlstir_core.learning.presets import Investigator
from rlstir_core.learning.shapes import shapes_alone
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version
from rlstir_core.text import printable, shown

_FORMAT = "rlstir-encoder-1"
_MAX_PIECES = 1 << 18
_MAX_COUNT = 2**53


class EncoderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How training went."""

    epochs: int
    best_epoch: int
    loss: float | None  # on the fold that chose, an episode; None where nothing was there to learn from
    loss_before: float | None  # of base rates and knowledge alone, before any step
    n_train_episodes: int
    n_validation_episodes: int
    n_techniques: int  # that an episode it was trained on carries
    n_parameters: int


class EncoderCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `encoder.ckpt.json`."""

    format: str = _FORMAT
    recipe: str
    preset: str
    seed: int
    numbers: dict[str, Any]  # the preset's, of the investigator
    pieces: int  # of the tokenizer
    tokenizer_sha256: str  # of its model
    schema_sha256: str
    knowledge_sha256: str  # of the technique texts; empty where there were none
    input_sha256: str  # of everything that decided the result
    calibration: AnswerCalibration  # by the validation fold
    memory: Memory  # that training takes on one device, calculated
    sidecar: str
    sidecar_sha256: str
    facts: EncoderFacts


def schema_sha256(tokenizer_sha256: str) -> str:
    """The hash of what goes in and comes out: how rows are read, the tokens, the techniques in their order."""
    return canonical_sha256([version("tokenizer"), version("encoder"), tokenizer_sha256, LABELS])


def write_encoder(layout: Layout, recipe: str, network: Investigating, **known: Any) -> EncoderCheckpoint:
    """Writes the weights first and the JSON last, so that a checkpoint that is there is whole."""
    path = layout.encoder(recipe)
    path.unlink(missing_ok=True)
    sidecar = path.with_name("encoder.safetensors")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(sidecar, save(weights))
    checkpoint = EncoderCheckpoint(
        recipe=recipe,
        schema_sha256=schema_sha256(known["tokenizer_sha256"]),
        sidecar=sidecar.name,
        sidecar_sha256=file_sha256(sidecar),
        **known,
    )
    write_json(path, checkpoint)
    return checkpoint


def read_encoder(layout: Layout, recipe: str) -> EncoderCheckpoint:
    """The checkpoint's JSON; CheckpointError or UpstreamMissing in one sentence otherwise."""
    path = layout.encoder(recipe)
    try:
        checkpoint = _read(path)
    except FileNotFoundError:
        raise UpstreamMissing(f"{path} is missing; make it with: {how_to_make('encoder', recipe)}") from None
    if checkpoint.recipe != recipe:
        raise CheckpointError(
            f"{path} is of recipe {shown(checkpoint.recipe)}, not of the folder it lies in; train it again"
        )
    return checkpoint


def _read(path: Path) -> EncoderCheckpoint:
    try:
        with opened(path, MAX_JSON_BYTES) as handle:
            checkpoint = msgspec.json.decode(handle.read(MAX_JSON_BYTES), type=EncoderCheckpoint)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CheckpointError(f"{path} is not an encoder's checkpoint ({error}); train it again") from None

    def need(holds: bool, wrong: str) -> None:
        if not holds:
            raise CheckpointError(f"{path} {wrong}; train it again")

    need(checkpoint.format == _FORMAT, f"has format {shown(checkpoint.format)}, not {_FORMAT!r}")
    need(checkpoint.sidecar == "encoder.safetensors", f"names other weights than its own, {shown(checkpoint.sidecar)}")
    need(0 < checkpoint.pieces <= _MAX_PIECES, "has a vocabulary that cannot be")
    need(printable(checkpoint.preset) == checkpoint.preset, "holds a text that is not printable")
    own = schema_sha256(checkpoint.tokenizer_sha256)
    need(checkpoint.schema_sha256 == own, "was made for other texts or techniques")
    need(len(checkpoint.calibration.base) in (0, len(LABELS)), "has base rates of other techniques")
    said = [getattr(checkpoint.facts, field) for field in checkpoint.facts.__struct_fields__]
    facts = [each for each in said if each is not None]
    need(all(math.isfinite(each) and 0 <= each <= _MAX_COUNT for each in facts), "has training facts that cannot be")
    return checkpoint


def load_encoder(layout: Layout, recipe: str, tokenizer_sha256: str) -> tuple[EncoderCheckpoint, Investigating]:
    """The checkpoint and its network; refuses another tokenizer than the one it was trained with."""
    path = layout.encoder(recipe)
    checkpoint = read_encoder(layout, recipe)
    if checkpoint.tokenizer_sha256 != tokenizer_sha256:
        raise CheckpointError(
            f"{path} was trained with another tokenizer than {layout.tokenizer(recipe).name} beside it; train it again "
            f"with: {how_to_make('encoder', recipe)}"
        )
    return checkpoint, _network(path, checkpoint)


def load_start(path: Path, own: Path, tokenizer_sha256: str) -> Investigating:
    """The network of a checkpoint that another training begins with; CheckpointError where it cannot be that.

    It must have been trained with the same tokenizer, which also says that no test episode of today taught it.
    """
    try:
        if path.resolve() == own.resolve():
            raise CheckpointError("it is the checkpoint that this training replaces; copy it and its weights elsewhere")
        checkpoint = _read(path)
        if checkpoint.tokenizer_sha256 != tokenizer_sha256:
            raise CheckpointError(
                "it was trained with another tokenizer, so its pieces mean other things; start without it, or train it "
                "on this split with this preset's vocabulary, rows and tokenizer_texts"
            )
        return _network(path, checkpoint)
    except FileNotFoundError:
        raise CheckpointError(
            f"training cannot start from {path}: there is no such file; name an encoder.ckpt.json"
        ) from None
    except CheckpointError as error:
        raise CheckpointError(f"training cannot start from {path}: {error}") from None


def widened(small: Investigating, large: Investigating) -> None:
    """Gives `large` what `small` knows; CheckpointError where it has no place for all of it."""
    try:
        widen(small, large)
    except NotWidenable as error:
        raise CheckpointError(
            f"training cannot start from a checkpoint that does not fit into this preset ({error}); choose sizes that "
            "are as large in everything"
        ) from None


def _network(path: Path, checkpoint: EncoderCheckpoint) -> Investigating:
    sidecar = verified_sidecar(path.parent, checkpoint.sidecar, checkpoint.sidecar_sha256)
    try:
        known = {field.name: field.type for field in fields(Investigator)}
        numbers = Investigator(**{name: value for name, value in checkpoint.numbers.items() if name in known})
        with opened(sidecar, MAX_SIDECAR_BYTES) as handle:
            weights = load(handle.read())
        with shapes_alone():  # no memory before the shapes are known to be those of the weights
            network = Investigating(numbers, checkpoint.pieces, torch.zeros(len(LABELS)), WIDTHS)
        network.load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError, ConfigError, TypeError) as error:
        raise CheckpointError(
            f"{sidecar} does not hold the weights that its checkpoint describes "
            f"({str(error).splitlines()[0][:120]}); train it again"
        ) from None
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise CheckpointError(f"{sidecar} holds weights that are no numbers; train it again")
    return network


def is_whole(layout: Layout, checkpoint: EncoderCheckpoint) -> bool:
    """True when the weights are those that the checkpoint was written with."""
    try:
        verified_sidecar(layout.encoder(checkpoint.recipe).parent, checkpoint.sidecar, checkpoint.sidecar_sha256)
    except CheckpointError:
        return False
    return True
