"""Where a mode that sees more says less: which of the channels that it adds do it, told by showing them as missing.

Measured on the test side once the figures stand, so it explains them and chooses nothing. What does not belong here:
sources that training leaves out by itself (`rlstir_core/detectors/sources.py`).
"""

# E episodes, K phases, V variants: with everything, then without each source and each channel
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.detectors.blocks import in_blocks
from rlstir_core.detectors.checkpoint import Checkpoint, Members, load_detector
from rlstir_core.detectors.ensemble.combination import Ensemble
from rlstir_core.detectors.ensemble.weights import mix
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.inputs import InputSchema, blinded
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import TEST, scenes
from rlstir_core.detectors.study import Study
from rlstir_core.evaluation.stats.details import Fall, Without
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.evaluation.stats.records import PairedDifference
from rlstir_core.learning.scores import macro_f1
from rlstir_core.telemetry.schema import FeatureSchema

_EPISODES = 240  # of the test side that are looked at, evenly over it
_CHANNELS = 32  # beyond so many added ones only whole sources are looked at
_BLOCK = 16  # episodes


def falls(
    study: Study,
    episodes: EpisodeSet,
    trained: Mapping[tuple[str, str], Checkpoint | Ensemble],
    paired: Sequence[PairedDifference],
    tested_K: Bools,
    *,
    draws: int,
) -> tuple[Fall, ...]:
    """The detectors that lie below the same model's realistic one by more than noise, with what does it."""
    gaps = {(row.model, row.reference): row.difference for row in paired}
    found = []
    for (model, mode), each in trained.items():
        gap = gaps.get((f"{model}_{mode}", f"{model}_{PRIMARY_MODE}"))
        if gap is not None and gap.hi is not None and gap.hi < 0:
            found.append(fall(study, episodes, each, gap, tested_K, draws=draws))
    return tuple(found)


def fall(
    study: Study, episodes: EpisodeSet, trained: Checkpoint | Ensemble, gap: Estimate, tested_K: Bools, *, draws: int
) -> Fall:
    """How macro F1 changes without each source and each channel that the mode adds, the most harmful first."""
    source = {channel.name: channel.source for channel in study.schema.channels}
    added = sorted(set(study.shared[trained.mode]) - set(study.shared[PRIMARY_MODE]))
    of_source = {of: tuple(name for name in added if source[name] == of) for of in sorted({source[n] for n in added})}
    hidden = [(of, channels) for of, channels in of_source.items() if len(channels) > 1]
    hidden += [(name, (name,)) for name in added] if len(added) <= _CHANNELS else []
    sums_VES = confusions(study, episodes, trained, [channels for _, channels in hidden])
    there_K = tested_K & (sums_VES[0].sum(axis=0).reshape(len(tested_K), -1).sum(axis=1) > 0)
    with_all, *others = (Statistic(sums_US=sums, of=lambda s: macro_f1(s, there_K)) for sums in sums_VES)
    without = [
        Without(what=what, channels=len(channels), change=estimate(minus(other, with_all), draws=draws))
        for (what, channels), other in zip(hidden, others, strict=True)
    ]
    without.sort(key=lambda each: -(each.change.value or 0.0))
    return Fall(
        name=f"{trained.model}_{trained.mode}",
        reference=f"{trained.model}_{PRIMARY_MODE}",
        gap=gap,
        n_episodes=sums_VES.shape[1],
        without=tuple(without),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Voice:
    """A checkpoint's members, and what they see."""

    inputs: InputSchema
    members: Members


def _voices(study: Study, trained: Checkpoint | Ensemble) -> list[_Voice]:
    names = [trained.model] if isinstance(trained, Checkpoint) else [part.model for part in trained.parts]
    found = []
    for name in names:
        inputs = study.input_schema(MODELS[name].kind, trained.mode)
        path = study.layout.checkpoint(study.options.recipe, name, trained.mode)
        found.append(_Voice(inputs=inputs, members=load_detector(path, inputs)[1]))
    return found


def confusions(
    study: Study,
    episodes: EpisodeSet,
    trained: Checkpoint | Ensemble,
    hidden: Sequence[Sequence[str]],
) -> Floats:
    """Confusion of test episodes with everything, then with each of `hidden` missing, (V, E, K * K)."""
    schema, n, voices = study.schema, len(study.schema.phases), _voices(study, trained)
    view = next(scene.view for scene in scenes(schema) if scene.name == TEST)
    tested = [(place, each) for place, r in enumerate(study.split.rounds) for each in episodes.select(r.test)]
    at = np.unique(np.linspace(0, len(tested) - 1, min(len(tested), _EPISODES)).round().astype(int))
    row = {each.info.episode_id: e for e, (_, each) in enumerate(tested[k] for k in at)}
    schemas = {voice.inputs.sha256: voice.inputs for voice in voices}
    blind = {key: [(), *(columns_from(schema, of, names) for names in hidden)] for key, of in schemas.items()}
    sums_VES = np.zeros((1 + len(hidden), len(row), n * n))
    for place in range(len(study.split.rounds)):
        own = [each for r, each in (tested[k] for k in at) if r == place]
        if not own:
            continue
        own.sort(key=episodes.place)  # type: ignore[arg-type]
        blocks = {key: in_blocks(episodes, own, of, view, block=_BLOCK) for key, of in schemas.items()}
        for k in range(len(next(iter(blocks.values())))):
            made = {key: block.inputs(k) for key, block in blocks.items()}
            windows = next(iter(made.values())).windows
            row_N = np.array([row[name] for name in windows.episodes])[windows.episode_N]
            for v, sums_ES in enumerate(sums_VES):
                proba_MNK = np.stack(
                    [
                        voice.members.predict_round(place, blinded(made[key], blind[key][v]))
                        for voice in voices
                        for key in [voice.inputs.sha256]
                    ]
                )
                proba_NK = mix(trained.of(place), proba_MNK) if isinstance(trained, Ensemble) else proba_MNK[0]
                np.add.at(sums_ES, (row_N, windows.label_N * n + proba_NK.argmax(axis=1)), 1)
    return sums_VES


def columns_from(schema: FeatureSchema, inputs: InputSchema, channels: Sequence[str]) -> tuple[int, ...]:
    """Places of the input columns that any of these channels has a part in."""
    of_series = {series.name: series.channels for series in schema.series}
    named = [column.partition("|")[0] for column in inputs.columns]
    parts = [of_series.get(name, (name.partition("~")[0],)) for name in named]
    return tuple(at for at, names in enumerate(parts) if set(names) & set(channels))
