"""The six profiles and their benign twins, as data: which activities a stage runs, how hard, at what tempo.

An infected episode and its twin walk through the same five stages at the same loads; they differ in tempo
and in the mixture, never in load alone. What does not belong here: when a stage begins (`story.py`), what
an activity costs (`activities.py`), the machine under it (`hosts.py`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.lab.sensors.activities import ACTIVITIES, COSTS, RESOURCES
from rlstir_core.lab.signals import Tempo, factor, lognormal, stream

DEFAULT_HARDNESS = 0.5
STAGES = ("clean", "armed", "infecting", "infected_running", "dormant")


@dataclass(frozen=True, kw_only=True)
class Play:
    """One activity of a stage: its level (1 is the cost in `activities.py`) and its tempo."""

    activity: str
    level: float
    tempo: Tempo

    def __post_init__(self) -> None:
        if self.activity not in ACTIVITIES:
            raise ValueError(f"no activity {self.activity!r}; choose one of {', '.join(ACTIVITIES)}")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of behaviour: the plays of its stages (the first stage is the machine without it), and its twin's.

    `flows_per_s` sets how many flows an episode has; it is the profile's and not the payload's, so that a count of
    netflow rows cannot tell a twin from an attack.
    """

    name: str
    n_samples: int
    flows_per_s: float
    attack: tuple[tuple[Play, ...], ...]
    twin: tuple[tuple[Play, ...], ...]


@dataclass(frozen=True, kw_only=True)
class SampleSpread:
    """How far samples of one profile lie apart, as log standard deviations.

    `level` and `period`: more of it makes an unseen sample harder. `texture` is a sample's own ratio between
    resources (an encryptor that reads twice what it writes): known samples get easier with it, unseen ones and small
    stores harder. `family` (a share, not a deviation) is what all attacks have in common in a stage at the default
    hardness, each resource a little up or down, and all twins in another way: it carries the cross-host score, and
    past 0.1 a ratio of cache counters alone gives the attack away (the stump).
    """

    level: float = 0.12
    period: float = 0.10
    texture: float = 0.12
    family: float = 0.09


SPREAD = SampleSpread()


def steady() -> Tempo:
    return Tempo(kind="steady")


def pulse(period_s: float, duty: float, floor: float = 0.03) -> Tempo:
    """Clockwork: what a timer in a payload does."""
    return Tempo(kind="pulse", period_s=period_s, duty=duty, floor=floor)


def bursts(period_s: float, duty: float, floor: float = 0.05) -> Tempo:
    """Irregular bursts: what people, queues and interrupts do."""
    return Tempo(kind="bursts", period_s=period_s, duty=duty, floor=floor)


def ramp(period_s: float, floor: float = 0.1) -> Tempo:
    """Work that swells and breaks off."""
    return Tempo(kind="ramp", period_s=period_s, floor=floor, wobble=0.2)


def play(activity: str, level: float, tempo: Tempo) -> Play:
    return Play(activity=activity, level=level, tempo=tempo)


PROFILES: tuple[Profile, ...] = (
    Profile(
        name="cpu-saturate",
        n_samples=1,
        flows_per_s=0.8,
        attack=(
            (),
            (play("poll", 1.8, pulse(2.0, 0.2)), play("stash", 0.1, pulse(2.0, 0.2))),
            (play("unpack", 0.8, pulse(3.0, 0.35)), play("crunch", 0.25, pulse(3.0, 0.6))),
            (play("crunch", 1.3, pulse(5.0, 0.85, 0.1)), play("poll", 1.05, pulse(5.0, 0.1))),
            (
                play("beacon", 2.8, pulse(4.0, 0.12)),
                play("stash", 0.2, pulse(4.0, 0.12)),
                play("crunch", 0.14, pulse(4.0, 0.3)),
            ),
        ),
        twin=(
            (),
            (
                play("poll", 1.8, bursts(2.5, 0.3)),
                play("stash", 0.25, bursts(2.5, 0.3)),
                play("browse", 0.15, bursts(3.0, 0.3)),
            ),
            (
                play("unpack", 0.4, bursts(3.0, 0.35)),
                play("build", 0.35, bursts(2.0, 0.5)),
                play("crunch", 0.3, steady()),
            ),
            (play("crunch", 1.2, ramp(8.0, 0.6)), play("media", 0.25, steady())),
            (
                play("beacon", 2.4, bursts(4.0, 0.3)),
                play("stash", 0.2, bursts(4.0, 0.3)),
                play("media", 0.2, steady()),
            ),
        ),
    ),
    Profile(
        name="low-and-slow",
        n_samples=1,
        flows_per_s=0.9,
        attack=(
            (),
            (
                play("poll", 1.5, pulse(1.4, 0.25)),
                play("stash", 0.25, pulse(1.4, 0.25)),
                play("beacon", 1.0, pulse(2.8, 0.15)),
            ),
            (play("unpack", 0.22, pulse(2.4, 0.2)), play("stash", 0.35, pulse(2.4, 0.2))),
            (
                play("walk", 0.22, pulse(1.8, 0.3)),
                play("send", 0.1, pulse(3.6, 0.2)),
                play("poll", 0.75, pulse(1.8, 0.2)),
            ),
            (play("beacon", 2.4, pulse(3.0, 0.12)), play("walk", 0.06, pulse(6.0, 0.1))),
        ),
        twin=(
            (),
            (
                play("poll", 1.5, bursts(1.8, 0.3)),
                play("stash", 0.25, bursts(1.8, 0.3)),
                play("beacon", 1.0, bursts(3.0, 0.3)),
            ),
            (play("unpack", 0.2, bursts(3.0, 0.4)), play("browse", 0.15, bursts(3.0, 0.4))),
            (
                play("walk", 0.2, bursts(2.2, 0.4)),
                play("sync", 0.12, bursts(4.0, 0.4)),
                play("poll", 0.45, steady()),
            ),
            (
                play("beacon", 2.4, bursts(3.0, 0.3)),
                play("stash", 0.2, bursts(3.0, 0.3)),
                play("poll", 0.45, bursts(3.0, 0.3)),
            ),
        ),
    ),
    Profile(
        name="io-walk",
        n_samples=4,
        flows_per_s=0.7,
        attack=(
            (),
            (
                play("poll", 1.5, pulse(1.7, 0.2)),
                play("stash", 0.25, pulse(1.7, 0.2)),
                play("walk", 0.1, pulse(3.4, 0.15)),
            ),
            (play("unpack", 0.7, pulse(2.0, 0.3)), play("walk", 0.25, pulse(2.0, 0.3))),
            (
                play("walk", 0.8, pulse(1.5, 0.5)),
                play("pack", 0.7, pulse(1.5, 0.4)),
                play("stash", 0.4, pulse(1.5, 0.1)),
            ),
            (
                play("beacon", 2.4, pulse(4.5, 0.12)),
                play("stash", 0.2, pulse(4.5, 0.12)),
                play("walk", 0.14, pulse(4.5, 0.1)),
            ),
        ),
        twin=(
            (),
            (
                play("poll", 1.5, bursts(2.0, 0.3)),
                play("stash", 0.25, bursts(2.0, 0.3)),
                play("sync", 0.1, bursts(4.0, 0.3)),
            ),
            (
                play("unpack", 0.4, bursts(2.2, 0.35)),
                play("build", 0.35, bursts(2.0, 0.5)),
                play("walk", 0.3, bursts(3.0, 0.5)),
            ),
            (
                play("walk", 0.8, pulse(2.2, 0.5)),
                play("pack", 0.6, bursts(2.5, 0.4)),
                play("sync", 0.4, steady()),
            ),
            (
                play("beacon", 2.0, bursts(4.0, 0.3)),
                play("stash", 0.2, bursts(4.0, 0.3)),
                play("sync", 0.08, bursts(5.0, 0.3)),
            ),
        ),
    ),
    Profile(
        name="scan-and-dial",
        n_samples=2,
        flows_per_s=3.0,
        attack=(
            (),
            (
                play("poll", 1.65, pulse(1.6, 0.2)),
                play("stash", 0.25, pulse(1.6, 0.2)),
                play("scan", 0.1, pulse(3.2, 0.1)),
            ),
            (play("unpack", 0.5, pulse(2.6, 0.3)), play("scan", 0.25, pulse(2.6, 0.2))),
            (play("scan", 1.0, pulse(2.2, 0.6)), play("beacon", 2.4, pulse(2.2, 0.15))),
            (
                play("beacon", 2.8, pulse(3.5, 0.12)),
                play("stash", 0.2, pulse(3.5, 0.12)),
                play("scan", 0.10, pulse(7.0, 0.1)),
            ),
        ),
        twin=(
            (),
            (
                play("poll", 1.65, bursts(2.0, 0.3)),
                play("stash", 0.25, bursts(2.0, 0.3)),
                play("scan", 0.1, bursts(4.0, 0.3)),
            ),
            (
                play("unpack", 0.3, bursts(2.5, 0.3)),
                play("build", 0.25, bursts(2.0, 0.5)),
                play("scan", 0.25, bursts(3.0, 0.4)),
            ),
            (play("scan", 1.0, ramp(6.0, 0.4)), play("poll", 1.2, steady())),
            (
                play("beacon", 2.6, bursts(3.5, 0.3)),
                play("stash", 0.2, bursts(3.5, 0.3)),
                play("scan", 0.06, bursts(5.0, 0.3)),
            ),
        ),
    ),
    Profile(
        name="burst-exfil",
        n_samples=2,
        flows_per_s=1.2,
        attack=(
            (),
            (
                play("poll", 1.5, pulse(1.9, 0.2)),
                play("stash", 0.25, pulse(1.9, 0.2)),
                play("walk", 0.12, pulse(1.9, 0.2)),
            ),
            (play("unpack", 0.5, pulse(2.2, 0.25)), play("pack", 0.3, pulse(4.4, 0.3))),
            (play("send", 0.9, pulse(3.0, 0.3)), play("pack", 0.45, pulse(3.0, 0.35))),
            (
                play("beacon", 3.0, pulse(3.8, 0.12)),
                play("stash", 0.2, pulse(3.8, 0.12)),
                play("send", 0.08, pulse(3.8, 0.1)),
            ),
        ),
        twin=(
            (),
            (
                play("poll", 1.5, bursts(2.2, 0.3)),
                play("stash", 0.25, bursts(2.2, 0.3)),
                play("walk", 0.12, bursts(2.2, 0.3)),
            ),
            (
                play("unpack", 0.3, bursts(2.5, 0.3)),
                play("build", 0.25, bursts(2.0, 0.5)),
                play("pack", 0.3, ramp(5.0)),
            ),
            (
                play("send", 0.85, pulse(4.5, 0.35)),
                play("sync", 0.6, bursts(3.0, 0.5)),
                play("pack", 0.35, bursts(3.0, 0.35)),
            ),
            (
                play("beacon", 2.6, bursts(3.8, 0.3)),
                play("stash", 0.2, bursts(3.8, 0.3)),
                play("sync", 0.06, bursts(3.8, 0.3)),
            ),
        ),
    ),
    Profile(
        name="mem-churn",
        n_samples=2,
        flows_per_s=0.7,
        attack=(
            (),
            (
                play("poll", 1.5, pulse(1.5, 0.2)),
                play("stash", 0.25, pulse(1.5, 0.2)),
                play("churn", 0.05, pulse(3.0, 0.2)),
            ),
            (play("unpack", 0.6, pulse(2.4, 0.3)), play("churn", 0.3, pulse(2.4, 0.3))),
            (play("churn", 1.0, pulse(2.0, 0.6)), play("stash", 0.25, pulse(4.0, 0.2))),
            (
                play("beacon", 2.2, pulse(4.2, 0.12)),
                play("stash", 0.2, pulse(4.2, 0.12)),
                play("churn", 0.08, pulse(4.2, 0.2)),
            ),
        ),
        twin=(
            (),
            (
                play("poll", 1.5, bursts(2.0, 0.3)),
                play("stash", 0.25, bursts(2.0, 0.3)),
                play("churn", 0.05, bursts(4.0, 0.4)),
            ),
            (
                play("unpack", 0.35, bursts(2.5, 0.35)),
                play("build", 0.3, bursts(2.0, 0.5)),
                play("churn", 0.3, ramp(3.0)),
            ),
            (play("churn", 1.0, pulse(3.0, 0.6)), play("browse", 0.4, bursts(3.0, 0.4))),
            (
                play("beacon", 2.0, bursts(4.2, 0.3)),
                play("stash", 0.2, bursts(4.2, 0.3)),
                play("churn", 0.05, steady()),
            ),
        ),
    ),
)
BY_NAME: dict[str, Profile] = {profile.name: profile for profile in PROFILES}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One payload, or one honest program of the same kind: five stages with parameters of its own.

    `textures` (stages, resources) multiplies what its activities cost.
    """

    name: str
    stages: tuple[tuple[Play, ...], ...]
    textures: Floats


@functools.cache
def samples(profile: Profile, *, benign: bool, hardness: float = DEFAULT_HARDNESS) -> tuple[Sample, ...]:
    """The samples of a profile or of its twin; their names are hashes and say nothing.

    `hardness` in [0, 1] takes away what all attacks have in common: none of it is left at 1.
    """
    return tuple(_sample(profile, number, benign, hardness) for number in range(profile.n_samples))


def _sample(profile: Profile, number: int, benign: bool, hardness: float) -> Sample:
    rng = stream("sample", profile.name, number, benign)
    name = f"s-{stream('sample name', profile.name, number, benign).bytes(4).hex()}"
    stages = []
    for plays in profile.twin if benign else profile.attack:
        pace = factor(rng, SPREAD.period)
        stages.append(tuple(_own(one, pace, factor(rng, SPREAD.level)) for one in plays))
    signs = stream("family", benign).integers(0, 2, (len(STAGES), len(RESOURCES))) * 2.0 - 1.0
    family = 1.0 + SPREAD.family * 2.0 * (1.0 - hardness) * signs
    textures = family * lognormal(rng, SPREAD.texture, len(STAGES), len(RESOURCES))
    textures[0] = 1.0
    return Sample(name=name, stages=tuple(stages), textures=textures)


def _own(one: Play, pace: float, level: float) -> Play:
    tempo = replace(one.tempo, period_s=round(one.tempo.period_s * pace, 3))
    return replace(one, level=one.level * level, tempo=tempo)


def play_cost(one: Play, texture: Floats) -> Floats:
    """(resources,) what a play costs each second at mean tempo."""
    return np.asarray(COSTS[one.activity] * texture * one.level)
