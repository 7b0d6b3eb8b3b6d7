"""Seeded streams, noise and tempo envelopes: the arithmetic that gives the same bytes on every machine.

Only +, -, *, / and comparisons reach a result unrounded, since those are exact under IEEE 754; whatever
passes a transcendental function or the standard library's maths is rounded at once (`grain`), so that the
last digit of somebody's libm never shows. What does not belong here: what the signals mean.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.errors import ConfigError

STEP_S = 0.1  # the grid on which activity is simulated; sources sample it at times of their own
_PLACES = 6

TempoKind = Literal["steady", "pulse", "bursts", "ramp"]


def stream(*names: object) -> np.random.Generator:
    """A random stream that depends on its names alone, not on what was drawn elsewhere before."""
    digest = hashlib.sha256("\0".join(str(name) for name in names).encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def grain(values: Floats) -> Floats:
    """`values` without the digits in which machines may differ."""
    return np.round(values, _PLACES)


def lognormal(rng: np.random.Generator, sigma: float, *shape: int) -> Floats:
    """Factors around 1 with log standard deviation `sigma`."""
    return grain(np.exp(sigma * rng.standard_normal(shape)))


def factor(rng: np.random.Generator, sigma: float) -> float:
    """One factor around 1."""
    return float(lognormal(rng, sigma, 1)[0])


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform draw in [low, high)."""
    return round(low + (high - low) * float(rng.random()), _PLACES)


def drift(rng: np.random.Generator, n_steps: int, knot_s: float, sigma: float, rows: int) -> Floats:
    """(rows, n_steps) factors around 1 that wander slowly: log-linear between knots `knot_s` apart."""
    width = max(1, round(knot_s / STEP_S))
    knots = sigma * rng.standard_normal((rows, n_steps // width + 2))
    step = np.arange(n_steps)
    left, share = step // width, (step % width) / width
    return grain(np.exp(knots[:, left] * (1.0 - share) + knots[:, left + 1] * share))


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """How an activity is spread over time; its mean stays 1, so tempo and load are separate knobs.

    `period_s` from one burst to the next, `duty` the share of it that is active, `floor` the share of the
    load that stays between bursts, `wobble` the irregularity of the period (0 is clockwork).
    """

    kind: TempoKind = "steady"
    period_s: float = 2.0
    duty: float = 0.5
    floor: float = 0.05
    wobble: float = 0.05

    def __post_init__(self) -> None:
        if self.period_s < 2 * STEP_S or not 0.0 < self.duty <= 1.0 or not 0.0 <= self.floor <= 1.0:
            raise ConfigError(f"{self} needs period_s >= {2 * STEP_S}, duty in (0, 1] and floor in [0, 1]")


def envelope(tempo: Tempo, rng: np.random.Generator, n_steps: int) -> Floats:
    """(n_steps,) relative intensity with mean 1 over a period, from a random point of the tempo on."""
    if tempo.kind == "steady":
        return np.ones(n_steps)
    place, duty = _places(tempo, rng, n_steps)
    shape = 2.0 * place if tempo.kind == "ramp" else np.where(place < duty, 1.0 / duty, 0.0)
    return tempo.floor + (1.0 - tempo.floor) * shape


def _places(tempo: Tempo, rng: np.random.Generator, n_steps: int) -> tuple[Floats, Floats]:
    """Where each step stands in its period, in [0, 1), and that period's duty."""
    wobble = 0.6 if tempo.kind == "bursts" else tempo.wobble
    periods = int(n_steps * STEP_S / tempo.period_s * 2.5) + 8
    lengths = tempo.period_s * np.clip(lognormal(rng, wobble, periods), 0.25, 4.0)
    duties = np.clip(tempo.duty * lognormal(rng, wobble / 2, periods), 0.02, 1.0)
    ends = np.cumsum(lengths)
    times = ends[0] * float(rng.random()) + STEP_S * np.arange(n_steps)
    index = np.minimum(np.searchsorted(ends, times, side="right"), periods - 1)
    place = np.clip((times - (ends[index] - lengths[index])) / lengths[index], 0.0, 0.999)
    return place, duties[index]
