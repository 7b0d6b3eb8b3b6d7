"""The training of the encoder: techniques of episodes, and whether they are attacks, from their log rows.

Cross-entropy of every technique that an episode of the train side carries, and of an attack where somebody said what
the episode is. Early stop on a fold of the train side.
What does not belong here: the network (`network/`) and scoring the test side (`evaluation/`).
"""

# E episodes, K outputs: the techniques, then an attack
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rlstir_core.arrays import Floats
from rlstir_core.atomic import sweep
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.investigator.checkpoint import (
    EncoderCheckpoint,
    EncoderFacts,
    is_whole,
    load_start,
    read_encoder,
    widened,
    write_encoder,
)
from rlstir_core.investigator.inputs import N_OUTPUTS, LogInputs
from rlstir_core.investigator.loop import Loop, Side
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.reading.tokenizer import load_tokenizer
from rlstir_core.investigator.state import States
from rlstir_core.investigator.streaming import Step, shuffled
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.decide import choose_threshold
from rlstir_core.investigator.techniques.knowledge import fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS, episode_techniques, label_matrix
from rlstir_core.investigator.together import train_together
from rlstir_core.investigator.world import world
from rlstir_core.learning.devices import device, half_precision
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.presets import Preset
from rlstir_core.progress import Tell
from rlstir_core.results.lock import holding

IMPORTED = "imported-logs"  # the profile of logs of which nobody says whether they are benign
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What is known of some episodes: (E, K) answers, and which of them are asked for."""

    y_EK: NDArray[np.bool_]
    asked_EK: NDArray[np.bool_]


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
    learnt, chosen = study.sides
    numbers, recipe = study.numbers.investigator, study.options.recipe
    tokenizer, manifest = load_tokenizer(study)
    path = study.layout.encoder(recipe)
    start = load_start(Path(numbers.start), path, manifest.model_sha256) if numbers.start else None
    knowledge = fit_knowledge(study.layout)
    budget = CacheBudget(numbers.cache_mib * _MIB)
    shown = [
        LogInputs(study, each, tokenizer, knowledge, hosts=study.train_hosts, budget=budget)
        for each in (learnt, chosen)
    ]
    taught, held = taught_of(study, learnt), taught_of(study, chosen)
    on = device(study.numbers.train.device)
    if world().first:
        sweep(path.parent, "encoder.")
    states = States(path=path.with_name("encoder.state.safetensors"), key=study.encoder_sha256, every_s=numbers.state_s)
    network, facts = fit(
        shown[0], shown[1], taught, held, study.numbers, tokenizer.size, on, tell, states=states, start=start
    )
    if not world().first:
        return
    proba_EK = predict(network, shown[1], on)
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
        threshold=choose_threshold(proba_EK[:, : len(LABELS)], held.y_EK[:, : len(LABELS)]),
        facts=facts,
    )
    states.remove()


def taught_of(study: InvestigatorStudy, episodes: Sequence[EpisodeInfo]) -> Taught:
    """What the truth says of these episodes."""
    carried = episode_techniques(study.layout, episodes)
    techniques_EK = label_matrix([carried[info.episode_id] for info in episodes])
    attack_E1 = np.array([[not info.benign] for info in episodes], np.bool_)
    asked_EK = np.ones((len(episodes), N_OUTPUTS), np.bool_)
    asked_EK[:, -1] = [info.profile != IMPORTED for info in episodes]
    return Taught(y_EK=np.concatenate([techniques_EK, attack_E1], axis=1), asked_EK=asked_EK)


def fit(
    train: LogInputs,
    validation: LogInputs,
    taught: Taught,
    held: Taught,
    preset: Preset,
    pieces: int,
    on: torch.device,
    tell: Tell,
    *,
    states: States | None = None,
    start: Investigating | None = None,
) -> tuple[Investigating, EncoderFacts]:
    """A network with its best weights on validation, and how that went; it begins as `start` where there is one."""
    numbers = preset.investigator
    base_K = torch.tensor(base_logits(taught), dtype=torch.float32)
    # of what no train episode carries, only base rates and knowledge say something
    carried_K = taught.y_EK.any(axis=0)
    taught, held = (Taught(y_EK=each.y_EK, asked_EK=each.asked_EK & carried_K) for each in (taught, held))
    torch.manual_seed(preset.seed)
    network = Investigating(numbers, pieces, base_K)
    if start is not None:
        widened(start, network)
    network = network.to(on)

    def steps(epoch: int) -> list[Step]:
        order = shuffled(len(train), np.random.default_rng([preset.seed, epoch]))
        return train.steps(order.tolist(), numbers.min_epoch_steps)

    result = Loop(
        network,
        Side(steps=steps, batch=train.batch, loss=lambda batch, places: _loss(network(batch), taught, places)),
        Side(
            steps=lambda _: validation.steps(range(len(validation))),
            batch=validation.batch,
            loss=lambda batch, places: _loss(network(batch), held, places),
        ),
        numbers,
        seed=preset.seed,
        on=on,
        half=half_precision(preset.train.precision, on),
        among=world(),
        states=states,
        tell=tell,
    ).run()
    return network, EncoderFacts(
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        loss=result.best,
        loss_before=result.before,
        n_train_episodes=len(train),
        n_validation_episodes=len(validation),
        n_techniques=int(taught.y_EK[:, :-1].any(axis=0).sum()),
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def base_logits(taught: Taught) -> Floats:
    """The log-odds of every answer on the train side, as if each had been given half a time more. (K,)"""
    asked_K = taught.asked_EK.sum(axis=0)
    yes_K = (taught.y_EK & taught.asked_EK).sum(axis=0)
    odds: Floats = np.log(yes_K + 0.5) - np.log(asked_K - yes_K + 0.5)
    return odds


@torch.no_grad()
def predict(network: Investigating, shown: LogInputs, on: torch.device) -> Floats:
    """Probabilities, (E, K), in the order of the episodes."""
    network.eval()
    found = np.zeros((len(shown), N_OUTPUTS))
    for places, batch in shown.batches(on):
        found[places] = torch.sigmoid(network(batch).double()).cpu().numpy()
    return found


def _loss(logit_EK: Tensor, taught: Taught, places: Sequence[int]) -> Tensor:
    """Cross-entropy of all that is asked, summed over the episodes of a batch."""
    y_EK = torch.as_tensor(taught.y_EK[places], dtype=torch.float32, device=logit_EK.device)
    asked_EK = torch.as_tensor(taught.asked_EK[places], dtype=torch.float32, device=logit_EK.device)
    return functional.binary_cross_entropy_with_logits(logit_EK.float(), y_EK, weight=asked_EK, reduction="sum")
