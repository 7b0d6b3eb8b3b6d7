"""The training of the encoder, from the log rows of the train side.

A first look is fitted, then the network that starts from it, stopped early on a fold of the train side, which also
calibrates it. What does not belong here: the network (`network/`), the loss (`taught.py`), and scoring the test side
(`evaluation/`).
"""

# K techniques
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlstir_core.atomic import sweep
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.investigator.answers import answers_of
from rlstir_core.investigator.checkpoint import (
    EncoderCheckpoint,
    EncoderFacts,
    is_whole,
    load_start,
    read_encoder,
    widened,
    write_encoder,
)
from rlstir_core.investigator.first_look import FirstLook, LookedAt, fit_first_look
from rlstir_core.investigator.inputs import WIDTHS, LogInputs
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.sizes import memory
from rlstir_core.investigator.pretraining.calibrated import calibrate
from rlstir_core.investigator.pretraining.loop import Loop, Side
from rlstir_core.investigator.pretraining.state import States
from rlstir_core.investigator.pretraining.streaming import TrainingStep, shuffled
from rlstir_core.investigator.pretraining.taught import Taught, base_log_odds, loss_of, taught_of
from rlstir_core.investigator.pretraining.together import train_together
from rlstir_core.investigator.pretraining.world import world
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.investigator.reading.tokenizer import Tokenizer, load_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.knowledge import fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.priors import priors
from rlstir_core.learning.devices import device, half_precision
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell
from rlstir_core.provenance.sampler import MAX_NODES
from rlstir_core.results.lock import holding

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Some parts of episodes, and what the truth says of them."""

    shown: LogInputs
    taught: Taught

    def among(self, chosen: Sequence[int]) -> Lesson:
        return Lesson(shown=self.shown.among(chosen), taught=self.taught.among(chosen))


def train_encoder(study: InvestigatorStudy, tell: Tell) -> tuple[EncoderCheckpoint, bool]:
    """Trains the recipe's encoder and writes its checkpoint; the last value is False where nothing had changed."""
    recipe = study.options.recipe
    with holding(study.layout.lock("encoder", recipe), waiting=tell):
        kept = kept_encoder(study)
        if kept is not None:
            return kept, False
        if study.numbers.investigator.devices > 1:
            train_together(study, tell)
        else:
            train_alone(study, tell)
        return read_encoder(study.layout, recipe), True


def kept_encoder(study: InvestigatorStudy) -> EncoderCheckpoint | None:
    """The checkpoint on disk where it is what training it now would give, and may be relied on."""
    try:
        checkpoint = read_encoder(study.layout, study.options.recipe)
    except (CheckpointError, UpstreamMissing):
        return None
    current = checkpoint.input_sha256 == study.encoder_sha256 and is_whole(study.layout, checkpoint)
    return checkpoint if current else None


def train_alone(study: InvestigatorStudy, tell: Tell) -> None:
    """Trains and writes the checkpoint, under a lock that is held; of several processes the first one writes."""
    numbers, recipe = study.numbers.investigator, study.options.recipe
    if not world().first:
        tell = _silent
    tokenizer, manifest = load_tokenizer(study)
    path = study.layout.encoder(recipe)
    start = load_start(Path(numbers.start), path, manifest.model_sha256) if numbers.start else None
    whole, train, held = lessons(study, tokenizer)
    asks_files = whole.taught.files
    on = device(study.numbers.train.device)
    if world().first:
        sweep(path.parent, "encoder.")
    states = States(path=path.with_name("encoder.state.safetensors"), key=study.encoder_sha256, every_s=numbers.state_s)
    network, facts = fit(train, held, study.numbers, tokenizer.size, on, tell, states=states, start=start)
    calibration = calibrate(list(answers_of(network, held.shown, on)), held.taught, train.taught)
    calibration = msgspec.structs.replace(calibration, files_by="encoder" if asks_files else "texts")
    tell(f"learning from all {len(study.train)} episodes of the train side, {facts.best_epoch} epochs")
    again = States(path=path.with_name("encoder.whole.state.safetensors"), key=states.key, every_s=numbers.state_s)
    network, _ = fit(
        whole, None, study.numbers, tokenizer.size, on, tell, states=again, start=start, epochs=facts.best_epoch
    )
    if not world().first:
        return
    write_encoder(
        study.layout,
        recipe,
        network,
        preset=study.options.preset,
        seed=study.numbers.seed,
        numbers=msgspec.to_builtins(numbers),
        pieces=tokenizer.size,
        tokenizer_sha256=manifest.model_sha256,
        knowledge_sha256=study.knowledge_sha256,
        input_sha256=study.encoder_sha256,
        calibration=calibration,
        memory=memory(
            network,
            numbers,
            half=half_precision(study.numbers.train.precision, on) is not None,
            nodes=MAX_NODES,
            outputs=len(LABELS),
        ),
        facts=facts,
    )
    states.remove()
    again.remove()


def lessons(study: InvestigatorStudy, tokenizer: Tokenizer) -> tuple[Lesson, Lesson, Lesson]:
    """The whole train side, what is learnt from first, and the fold that chooses."""
    numbers = study.numbers.investigator
    knowledge = fit_knowledge(study.layout) if numbers.without != "knowledge" else None
    told = priors(study.layout, knowledge, study.train_hosts)
    budget = CacheBudget(numbers.cache_mib * _MIB)
    shown = LogInputs(
        study, study.train, tokenizer, told, hosts=study.train_hosts, budget=budget, most_parts=numbers.parts
    )
    taught = replace(taught_of(study.layout, study.train), files=study.asks_files or told is None)
    whole = Lesson(shown=shown, taught=taught)
    place = {info.episode_id: at for at, info in enumerate(study.train)}
    train, held = (whole.among([place[info.episode_id] for info in side]) for side in study.sides)
    return whole, train, held


def fit(
    train: Lesson,
    held: Lesson | None,
    preset: Preset,
    pieces: int,
    on: torch.device,
    tell: Tell,
    *,
    states: States | None = None,
    start: Investigating | None = None,
    epochs: int | None = None,
) -> tuple[Investigating, EncoderFacts]:
    """A network with its best weights on the fold that is held out, and how that went.

    It begins as `start` where there is one, with the first look that is fitted here. Without a fold it takes `epochs`
    epochs of the course that training with one would take.
    """
    numbers = preset.investigator
    asked_K = train.taught.carried_K  # of what no train episode carries, only base rates and knowledge say something
    files = train.taught.technique_EK[~train.taught.rows_E]
    base_K = torch.tensor(base_log_odds(files if len(files) else train.taught.technique_EK), dtype=torch.float32)
    torch.manual_seed(preset.seed)
    network = Investigating(numbers, pieces, base_K, WIDTHS)
    if start is not None:
        widened(start, network)
    look = _look(train, held, preset.seed, tell) if numbers.without != "first-look" else None
    if look is not None:
        network.start_from(look)
    if numbers.without == "pretraining":
        network.keep_encoders()
    network = network.to(on)

    def steps(epoch: int) -> list[TrainingStep]:
        order = shuffled(len(train.shown), np.random.default_rng([preset.seed, epoch]))
        return train.shown.steps(order.tolist(), numbers.min_epoch_steps)

    looked_at = held or train
    if not (train.taught.rows_E.any() or train.taught.files):
        epochs, held = 0, None  # nothing is asked that could teach
    result = Loop(
        network,
        Side(steps=steps, batch=train.shown.batch, loss=_loss(network, train, asked_K)),
        Side(
            steps=lambda _: looked_at.shown.steps(range(len(looked_at.shown))),
            batch=looked_at.shown.batch,
            loss=_loss(network, looked_at, asked_K),
        ),
        numbers,
        seed=preset.seed,
        on=on,
        half=half_precision(preset.train.precision, on),
        among=world(),
        states=states,
        tell=tell,
        blind=None if held is not None else epochs or 0,
    ).run()
    return network, EncoderFacts(
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        loss=result.best if math.isfinite(result.best) else None,
        loss_before=result.before if math.isfinite(result.before) else None,
        n_train_episodes=len(train.shown.episodes),
        n_validation_episodes=0 if held is None else len(held.shown.episodes),
        n_techniques=int(asked_K.sum()),
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def _silent(_: str) -> None:
    """What all processes would say is said by the first."""


def _loss(network: Investigating, lesson: Lesson, asked_K: NDArray[np.bool_]) -> Callable[[Batch, list[int]], Tensor]:
    def loss(batch: Batch, places: list[int]) -> Tensor:
        parts = [lesson.shown.parts[place] for place in places]
        said = network.each(batch) if network.training else [network(batch)]  # members learn each for itself
        losses = [loss_of(each, batch.episodes.lengths, lesson.taught, parts, asked_K) for each in said]
        return torch.stack(losses).mean()

    return loss


def _look(train: Lesson, held: Lesson | None, seed: int, tell: Tell) -> FirstLook | None:
    """Fits the first look; every part of the train side is looked at by a model that did not see its episode."""
    taught, parts = train.taught, train.shown.parts
    own = [place for place, part in enumerate(parts) if taught.truth[part.episode] is not None]

    def opened(at: int) -> LookedAt:
        part, shown = parts[own[at]], train.shown[own[at]]
        truth = taught.truth[part.episode]
        assert truth is not None
        return shown.words_UW, shown.slots_XS, truth.attack_N[part.first : part.last]

    fitted = fit_first_look([parts[place].episode for place in own], opened, seed, tell)
    if fitted is None:
        return None
    mean, models, fold_of = fitted
    train.shown.look_by(
        lambda place: models[fold_of[parts[place].episode]] if parts[place].episode in fold_of else mean
    )
    if held is not None:
        held.shown.look_by(lambda _: mean)
    return mean
