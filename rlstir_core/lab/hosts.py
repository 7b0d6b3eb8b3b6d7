"""Host personalities: cores, clocks, background, noise, gains, sensor habits and recording faults.

What does not belong here: attacks and honest jobs (`sensors/profiles.py`), which run the same on every host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from rlstir_core.arrays import Floats
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.ids import host_id
from rlstir_core.lab.machine.guest import Os
from rlstir_core.lab.sensors.activities import RESOURCES
from rlstir_core.lab.sensors.profiles import Play, bursts, play, pulse, ramp
from rlstir_core.lab.signals import Tempo, between, lognormal, stream

DEFAULT_HOSTS = ("elliott-thinkpad", "k-gamingcom")


@dataclass(frozen=True, kw_only=True)
class Host:
    """One recording host.

    Knobs and the leakage checks they move: `gain_sigma` (a factor per resource), `texture_sigma` (the same for one
    activity), `speed`, `habits` (always running) and `users` (ordinary jobs of an episode) belong to the host, so
    they lower the cross-host score however many episodes there are, and keep the gap open on large stores; of these
    the ordinary jobs weigh most, and in the oracle mode a habit that is loud in what only the hypervisor and the
    guest's agent count (`overlay`). `white_sigma` and `drift_sigma` are noise inside the host: less of it raises
    every score, the random split's first.
    """

    name: str
    os: Os  # of its guest
    cores: int
    ghz: float
    speed: float  # core-seconds that an activity of 1 core-second takes are divided by this
    gain_sigma: float
    texture_sigma: float
    white_sigma: float
    drift_sigma: float
    habits: tuple[Play, ...]
    users: tuple[tuple[str, float, float], ...]  # activity, level, chance in an episode
    mux: float  # share of the time that perf's counters really run
    wobble_s: float  # standard deviation of sampling times
    rss_every: int  # the kernel's cached rss is refreshed every so many samples
    clock_ppm: float
    ticks_hz: float = 100.0
    missing_netflow: float = 0.0  # share of episodes shipped without the bridge capture
    never: tuple[str, ...] = ()  # profiles that never ran here

    def tempo(self, tempo: Tempo) -> Tempo:
        """The same work on this host: a faster one is done sooner and waits longer for the next round."""
        return replace(tempo, duty=round(min(1.0, tempo.duty / self.speed), 3))

    def gains(self) -> Floats:
        """(len(RESOURCES),) what this host makes of one unit of each resource."""
        return lognormal(stream("host gains", self.name), self.gain_sigma, len(RESOURCES))

    def texture(self, activity: str) -> Floats:
        """(len(RESOURCES),) how this host's file system, drivers and libraries bend the cost of one activity."""
        return lognormal(stream("host texture", self.name, activity), self.texture_sigma, len(RESOURCES))


_NAMED = (
    Host(
        name="elliott-thinkpad",
        os="linux",
        cores=4,
        ghz=2.4,
        speed=1.0,
        gain_sigma=0.25,
        texture_sigma=0.12,
        white_sigma=0.05,
        drift_sigma=0.04,
        habits=(
            play("idle", 1.0, ramp(6.0, 0.7)),
            play("sync", 0.06, pulse(7.0, 0.2)),
            play("agents", 0.2, pulse(6.0, 0.2)),
            play("poll", 0.8, bursts(2.5, 0.3)),
        ),
        users=(("browse", 0.8, 0.5), ("build", 0.7, 0.6), ("sync", 0.7, 0.4), ("media", 0.6, 0.3)),
        mux=0.62,
        wobble_s=0.006,
        rss_every=1,
        clock_ppm=18.0,
        missing_netflow=0.06,
    ),
    Host(
        name="k-gamingcom",
        os="windows",
        cores=12,
        ghz=4.6,
        speed=1.7,
        gain_sigma=0.35,
        texture_sigma=0.25,
        white_sigma=0.05,
        drift_sigma=0.05,
        habits=(
            play("idle", 1.6, ramp(4.0, 0.8)),
            play("media", 0.2, pulse(1.0, 0.5)),
            play("agents", 1.6, bursts(3.0, 0.4)),
            play("poll", 0.8, pulse(5.0, 0.1)),
            play("overlay", 1.5, bursts(2.0, 0.4)),  # holds the oracle mode's gap open
        ),
        users=(("browse", 0.9, 0.4), ("media", 1.0, 0.4), ("sync", 0.6, 0.3), ("game", 0.7, 0.45)),
        mux=0.85,
        wobble_s=0.011,
        rss_every=5,
        clock_ppm=-41.0,
        ticks_hz=100.0,
        missing_netflow=0.85,
        never=("scan-and-dial",),
    ),
)
_BY_NAME = {host.name: host for host in _NAMED}


def host(name: str) -> Host:
    """The personality of a host: the lab's own two as they are, any other derived from its name."""
    return _BY_NAME.get(name) or _derived(host_id(name))


def resolve(names: tuple[str, ...]) -> tuple[Host, ...]:
    """The hosts of a store, each `name` or `name:system`; a refusal where there is none or one is named twice."""
    found = tuple(_asked_for(name) for name in names)
    if not found or len({each.name.lower() for each in found}) != len(found):
        raise StoreError(
            f"the hosts {', '.join(names) or '(none)'} must be one or more, each named once; change --hosts"
        )
    return found


def _asked_for(text: str) -> Host:
    name, colon, system = text.partition(":")
    if not colon:
        return host(name)
    systems: dict[str, Os] = {each: each for each in get_args(Os)}
    if system not in systems:
        raise ConfigError(
            f"host {text!r} asks for system {system!r}; the lab plays {' and '.join(systems)}: write for example "
            f"{name}:linux, or the name alone"
        )
    return replace(host(name), os=systems[system])


def _derived(name: str) -> Host:
    rng = stream("host personality", name)
    cores = int(rng.choice([2, 4, 6, 8, 12, 16]))
    ordinary = ("browse", "build", "sync", "media")
    return Host(
        name=name,
        os="linux" if stream("host os", name).random() < 0.5 else "windows",
        cores=cores,
        ghz=round(between(rng, 1.8, 4.8), 1),
        speed=between(rng, 0.8, 1.8),
        gain_sigma=between(rng, 0.22, 0.36),
        texture_sigma=between(rng, 0.12, 0.22),
        white_sigma=between(rng, 0.04, 0.07),
        drift_sigma=between(rng, 0.04, 0.06),
        habits=(
            play("idle", between(rng, 0.7, 1.8), ramp(between(rng, 3.0, 9.0), 0.7)),
            play(str(rng.choice(ordinary)), between(rng, 0.05, 0.35), pulse(between(rng, 1.0, 8.0), 0.4)),
            play("poll", between(rng, 0.3, 0.9), bursts(between(rng, 1.5, 6.0), 0.2)),
        ),
        users=tuple((job, between(rng, 0.4, 1.0), between(rng, 0.2, 0.6)) for job in ordinary),
        mux=between(rng, 0.5, 0.95),
        wobble_s=between(rng, 0.004, 0.012),
        rss_every=int(rng.choice([1, 1, 2, 5])),
        clock_ppm=between(rng, -60.0, 60.0),
        missing_netflow=0.06,
    )
