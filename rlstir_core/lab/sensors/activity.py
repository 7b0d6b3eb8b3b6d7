"""What a machine really does during an episode: (resources, steps) rates, before any sensor looks.

The sum of the host's habits, the ordinary jobs of whoever sits there, the stages of the sample, and the guest's
events. What does not belong here: counters, sampling times and rows (`sources.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.lab.hosts import Host
from rlstir_core.lab.sensors.activities import COSTS, RESOURCES, ROW
from rlstir_core.lab.sensors.profiles import Sample, play_cost
from rlstir_core.lab.signals import (
    STEP_S,
    Tempo,
    TempoKind,
    between,
    drift,
    envelope,
    factor,
    grain,
    lognormal,
    stream,
)
from rlstir_core.lab.story import Circle

TEMPI: tuple[TempoKind, ...] = ("pulse", "bursts", "ramp")  # of ordinary jobs: any tempo is honest too
LEVELS = ("rss", "threads", "procs")  # held, not spent: no burst shape, and slow to move
CPU = slice(ROW["user"], ROW["branch_misses"] + 1)


@dataclass(frozen=True, kw_only=True)
class EpisodeKnobs:
    """What makes two episodes of one sample on one host differ; log standard deviations.

    `gain` (a factor a resource for the whole episode: placement, guest kernel, warm caches) and `visit_gain` (the
    same for one visit to a stage) can be learned by heart from random windows and not for a held-out host: they
    widen the gap, and they make small stores harder than large ones. `visit` is the level of one visit. Ordinary
    jobs (`user_level`, and `user_s` seconds before one pauses) keep a single feature from meaning attack: more of
    them lowers the stump, and every other score with it.
    """

    gain: float = 0.12
    visit_gain: float = 0.10
    visit: float = 0.12
    user_s: float = 25.0
    user_level: float = 0.25


KNOBS = EpisodeKnobs()


def steps_of(story: Circle) -> int:
    """Steps of an episode's grid."""
    return round(story.duration_s / STEP_S) + 1


def activity_rates(seed: int, episode: str, host: Host, sample: Sample, story: Circle, events: Floats) -> Floats:
    """(resources, steps) rates per second; levels for `LEVELS`. CPU rows are core-seconds and cycles per second.

    `events` is what the guest's own events add (`event_load.py`).
    """
    n_steps = steps_of(story)
    rng = stream(seed, episode, "activity")
    rates = np.zeros((len(RESOURCES), n_steps))
    for habit in host.habits:
        _add(rates, COSTS[habit.activity] * habit.level, envelope(habit.tempo, rng, n_steps))
    for job, level, chance in host.users:
        if rng.random() < chance:
            pause = Tempo(kind="bursts", period_s=KNOBS.user_s * 2, duty=0.55, floor=0.05)
            kind = TEMPI[int(rng.integers(len(TEMPI)))]
            texture = Tempo(kind=kind, period_s=between(rng, 1.0, 5.0), duty=between(rng, 0.2, 0.6), floor=0.05)
            shape = envelope(pause, rng, n_steps) * 0.55 * envelope(texture, rng, n_steps)
            _add(rates, COSTS[job] * host.texture(job) * level * factor(rng, KNOBS.user_level), shape)
    visit = story.stage_at(n_steps)
    for number, (_, stage) in enumerate(story.visits()):
        here = (visit == number).astype(np.float64)
        level = factor(rng, KNOBS.visit)
        for one in sample.stages[stage]:
            _add(
                rates,
                play_cost(one, sample.textures[stage]) * host.texture(one.activity) * level,
                envelope(host.tempo(one.tempo), rng, n_steps) * here,
                here,
            )
    rates += events
    moods = lognormal(rng, KNOBS.visit_gain, len(RESOURCES), len(story.visits()))
    rates *= moods[:, visit]
    rates *= (host.gains() * lognormal(rng, KNOBS.gain, len(RESOURCES)))[:, None]
    rates *= drift(rng, n_steps, 8.0, host.drift_sigma, len(RESOURCES))
    rates *= lognormal(rng, host.white_sigma, len(RESOURCES), n_steps)
    for name in LEVELS:
        rates[ROW[name]] = _slow(rates[ROW[name]], 2.0)
    rates[CPU] /= host.speed
    busy = rates[ROW["user"]] + rates[ROW["sys"]]
    rates[CPU] *= np.minimum(1.0, host.cores / np.maximum(busy, 1e-9))
    rates[ROW["cycles"] : CPU.stop] *= host.ghz * 1e9
    return grain(rates)


def _add(rates: Floats, cost: Floats, shape: Floats, held: Floats | None = None) -> None:
    rates += cost[:, None] * shape
    for name in LEVELS:
        row = ROW[name]
        rates[row] += cost[row] * ((1.0 if held is None else held) - shape)


def _slow(values: Floats, width_s: float) -> Floats:
    """A causal moving mean: memory is not given back at once."""
    width = round(width_s / STEP_S)
    padded = np.concatenate([np.full(width, values[0]), values])
    sums = np.cumsum(padded)
    return grain((sums[width:] - sums[:-width]) / width)
