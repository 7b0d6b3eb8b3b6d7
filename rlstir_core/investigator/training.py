"""The training of the encoder: techniques of episodes, and whether they are attacks, from their log rows.

Cross-entropy of every technique that an episode of the train side carries, and of an attack where somebody said what
the episode is. Early stop on a fold of the train side.
What does not belong here: the network (`network/`) and scoring the test side (`evaluation/`).
"""

# E episodes, K outputs: the techniques, then an attack
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rlstir_core.arrays import Floats
from rlstir_core.atomic import sweep
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.investigator.checkpoint import EncoderCheckpoint, EncoderFacts, is_whole, read_encoder, write_encoder
from rlstir_core.investigator.inputs import N_OUTPUTS, LogInputs
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.reading.tokenizer import load_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.decide import choose_threshold
from rlstir_core.investigator.techniques.knowledge import fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS, episode_techniques, label_matrix
from rlstir_core.learning.devices import autocast, device, half_precision
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.loop import warm_cosine
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
        return _train(study, tell), True


def kept_encoder(study: InvestigatorStudy) -> EncoderCheckpoint | None:
    """The checkpoint on disk where it is what training it now would give, and may be relied on."""
    try:
        checkpoint = read_encoder(study.layout, study.options.recipe)
    except (CheckpointError, UpstreamMissing):
        return None
    current = checkpoint.input_sha256 == study.encoder_sha256 and is_whole(study.layout, checkpoint)
    return checkpoint if current else None


def _train(study: InvestigatorStudy, tell: Tell) -> EncoderCheckpoint:
    learnt, chosen = study.sides
    numbers = study.numbers.investigator
    tokenizer, manifest = load_tokenizer(study)
    knowledge = fit_knowledge(study.layout)
    budget = CacheBudget(numbers.cache_mib * _MIB)
    shown = [
        LogInputs(study, each, tokenizer, knowledge, hosts=study.train_hosts, budget=budget)
        for each in (learnt, chosen)
    ]
    taught, held = taught_of(study, learnt), taught_of(study, chosen)
    on = device(study.numbers.train.device)
    network, facts = fit(shown[0], shown[1], taught, held, study.numbers, tokenizer.size, on, tell)
    proba_EK = predict(network, shown[1], on)
    path = study.layout.encoder(study.options.recipe)
    sweep(path.parent, "encoder.")
    return write_encoder(
        study.layout,
        study.options.recipe,
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
) -> tuple[Investigating, EncoderFacts]:
    """A network with its best weights on validation, and how that went."""
    numbers = preset.investigator
    base_K = torch.tensor(base_logits(taught), dtype=torch.float32)
    # of what no train episode carries, only base rates and knowledge say something
    carried_K = taught.y_EK.any(axis=0)
    taught, held = (Taught(y_EK=each.y_EK, asked_EK=each.asked_EK & carried_K) for each in (taught, held))
    torch.manual_seed(preset.seed)
    rng = np.random.default_rng(preset.seed)
    network = Investigating(numbers, pieces, base_K).to(on)
    half = half_precision(preset.train.precision, on)
    scaler = torch.amp.GradScaler(on.type, enabled=half is torch.float16)
    optimiser = torch.optim.AdamW(network.parameters(), numbers.learning_rate, weight_decay=numbers.weight_decay)
    budget = train.budget(numbers.min_epoch_steps)
    total = numbers.epochs * sum(1 for _ in train.batches(range(len(train)), on, budget))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, total, numbers.warm_up))
    before = best = _loss_on(network, validation, held, on, half)
    best_epoch, best_weights, done = 0, _copy(network), 0
    for done in range(1, numbers.epochs + 1):
        network.train()
        for places, batch in train.batches(rng.permutation(len(train)).tolist(), on, budget):
            with autocast(half, on):
                logit_EK = network(batch)
            loss = _loss(logit_EK.float(), taught, places)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            scaler.step(optimiser)
            scaler.update()
            schedule.step()
        now = _loss_on(network, validation, held, on, half)
        if now < best:
            best, best_epoch, best_weights = now, done, _copy(network)
        tell(f"epoch {done}, loss on the validation fold {now:.3f}, {before:.3f} before training")
        if done - best_epoch >= numbers.patience:
            break
    network.load_state_dict(best_weights)
    return network, EncoderFacts(
        epochs=done,
        best_epoch=best_epoch,
        loss=best,
        loss_before=before,
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
    for places, batch in shown.batches(range(len(shown)), on):
        found[places] = torch.sigmoid(network(batch).double()).cpu().numpy()
    return found


def _loss(logit_EK: Tensor, taught: Taught, places: Sequence[int]) -> Tensor:
    """Cross-entropy of all that is asked, an episode."""
    y_EK = torch.as_tensor(taught.y_EK[places], dtype=torch.float32, device=logit_EK.device)
    asked_EK = torch.as_tensor(taught.asked_EK[places], dtype=torch.float32, device=logit_EK.device)
    summed = functional.binary_cross_entropy_with_logits(logit_EK, y_EK, weight=asked_EK, reduction="sum")
    return summed / len(places)


@torch.no_grad()
def _loss_on(
    network: Investigating, shown: LogInputs, held: Taught, on: torch.device, half: torch.dtype | None
) -> float:
    network.eval()
    total = 0.0
    for places, batch in shown.batches(range(len(shown)), on):
        with autocast(half, on):
            logit_EK = network(batch)
        total += float(_loss(logit_EK.float(), held, places)) * len(places)
    return total / len(shown) if len(shown) else math.inf


def _copy(network: nn.Module) -> dict[str, Any]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
