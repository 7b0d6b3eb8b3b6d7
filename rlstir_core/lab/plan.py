"""Who runs what and when: every episode of a generated store before it is simulated, planned blind to the label.

What does not belong here: simulating and writing it (`generate.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.lab.hosts import Host, resolve
from rlstir_core.lab.machine.guest import Os
from rlstir_core.lab.sensors.profiles import BY_NAME, DEFAULT_HARDNESS, PROFILES, Sample, samples
from rlstir_core.lab.sensors.sources import NS
from rlstir_core.lab.signals import between, factor, stream
from rlstir_core.lab.story import Circle, tell

MIN_DURATION_S = 20.0
Depth = Literal["near", "deep"]
BENIGN: dict[Depth, float] = {"near": 0.36, "deep": 0.5}  # share of episodes that are benign twins
_CAMPAIGN_START_NS = 1_772_438_400 * NS  # 2026-03-02 08:00 UTC
_DAY_S = 86_400
MAX_DAYS = 3_650


@dataclass(frozen=True, kw_only=True)
class PlanKnobs:
    """How far episodes of one kind differ.

    `duration_spread` varies lengths, blind to the label.
    `flows_spread` hides what is left of a profile in the number of flows. `artifacts` is the share of episodes whose
    logs have a benign artifact at hardness 0, and what hardness adds to it: more of them make every rule for tampering
    flag honest logs. `strength` is how much a tamper operator touches at hardness 0 and at 1.
    """

    duration_spread: float = 0.04
    flows_spread: float = 0.35
    artifacts: tuple[float, float] = (0.65, 0.2)
    strength: tuple[float, float] = (1.0, 0.2)


KNOBS = PlanKnobs()
# How often each benign artifact of logs is met, by operating system; what cannot happen there is left out.
ARTIFACT_ODDS: dict[Os, dict[str, float]] = {
    "linux": {
        "cpu_reorder": 3,
        "audit_backlog": 2.5,
        "ntp_step": 2,
        "filtered_export": 1.5,
        "agent_restart": 1.5,
        "journald_suppression": 1,
        "logrotate": 1,
        "ring_rollover": 1,
        "suspend": 1,
    },
    "windows": {
        "cpu_reorder": 3,
        "filtered_export": 3,
        "ntp_step": 2,
        "agent_restart": 1,
        "ring_rollover": 1,
        "suspend": 1,
    },
}


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """What a store is made with: `hardness` in [0, 1], and the shares of episodes that are benign and tampered with.

    `benign` is the share of twins among every profile's episodes, on every host alike: neither host nor profile tells.
    More of them make load say less, and `clean` more common. Equal seeds give the same episodes whatever `tampered`
    is: those of a store with 0 are the honest twins. `depth` is where the evidence of an attack lies: `near`, in the
    processes that it starts, or `deep`, two or three hops away from what alarms, with as many benign twins as attacks.
    """

    seed: int = 7
    duration_s: float = 120.0
    hardness: float = DEFAULT_HARDNESS
    benign: float | None = None  # as usual at that depth
    tampered: float = 0.25
    depth: Depth = "near"
    days: int = 21  # of recording

    def __post_init__(self) -> None:
        if self.depth not in BENIGN:
            raise ConfigError(f"depth is {self.depth!r}; choose one of {', '.join(BENIGN)}")
        for name in ("hardness", "benign_share", "tampered"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name.removesuffix('_share')} is {getattr(self, name)}; keep it between 0 and 1")
        if not 1 <= self.days <= MAX_DAYS:
            raise ConfigError(f"days is {self.days}; keep it between 1 and {MAX_DAYS}")
        if not MIN_DURATION_S <= self.duration_s <= 3600.0:
            raise ConfigError(f"duration_s is {self.duration_s}; keep it between {MIN_DURATION_S:.0f} and 3600 seconds")

    @property
    def benign_share(self) -> float:
        """The share of episodes that are benign twins."""
        return BENIGN[self.depth] if self.benign is None else self.benign


@dataclass(frozen=True, kw_only=True)
class LogPlan:
    """What becomes of the logs: a benign artifact by name, and a draw in [0, 1) for who tampers; empty, None: none."""

    artifact: str
    tamper: float | None
    strength: float


@dataclass(frozen=True, kw_only=True)
class EpisodePlan:
    """One episode before it is simulated."""

    episode_id: str
    host: Host
    profile: str
    sample: Sample
    benign: bool
    netflow: bool
    start_wall_ns: int
    duration_s: float
    n_flows: int
    story: Circle
    logs: LogPlan


def plan_store(*, hosts: tuple[str, ...], episodes: int, options: LabOptions) -> list[EpisodePlan]:
    """Every episode of the store, in the order of recording."""
    if episodes < len(hosts):
        raise ConfigError(f"{episodes} episodes cannot be shared among {len(hosts)} hosts; ask for at least one each")
    plans: list[EpisodePlan] = []
    for number, host in enumerate(resolve(hosts)):
        count = episodes // len(hosts) + (number < episodes % len(hosts))
        plans += _plan_host(host, count, options)
    return sorted(plans, key=lambda plan: (plan.start_wall_ns, plan.episode_id))


def _plan_host(host: Host, count: int, options: LabOptions) -> list[EpisodePlan]:
    seed, duration_s = options.seed, options.duration_s
    rng = stream(seed, host.name, "plan")
    deck = _deck(host, count, rng, options)
    missing = np.zeros(count, dtype=bool)
    missing[rng.permutation(count)[: round(host.missing_netflow * count)]] = True
    plans = []
    for number, (profile, sample, benign) in enumerate(deck):
        episode = f"ep-{stream(seed, host.name, number, 'id').bytes(6).hex()}"
        length = round(duration_s * (1 + KNOBS.duration_spread * between(rng, -1, 1)), 3)
        flows = BY_NAME[profile].flows_per_s * factor(rng, KNOBS.flows_spread) * length
        at_s = between(rng, 0, options.days * _DAY_S)
        plans.append(
            EpisodePlan(
                episode_id=episode,
                host=host,
                profile=profile,
                sample=sample,
                benign=benign,
                netflow=not missing[number],
                start_wall_ns=_CAMPAIGN_START_NS + round(at_s * 1_000_000) * 1000,
                duration_s=length,
                n_flows=max(1, round(flows)),
                story=tell(seed, episode, length),
                logs=_plan_logs(episode, host.os, options),
            )
        )
    return plans


def _deck(host: Host, count: int, rng: np.random.Generator, options: LabOptions) -> list[tuple[str, Sample, bool]]:
    """(profile, sample, benign) of `count` episodes: even over profiles, then over samples, in random order."""
    allowed = [profile for profile in PROFILES if profile.name not in host.never]
    first = int(rng.integers(len(allowed)))
    deck: list[tuple[str, Sample, bool]] = []
    owed = float(rng.random())  # carries the rounding of the benign share from profile to profile
    for place, profile in enumerate(allowed):
        n = count // len(allowed) + ((place - first) % len(allowed) < count % len(allowed))
        owed += options.benign_share * n
        n_benign = min(n, int(owed))
        owed -= n_benign
        for benign, m in ((True, n_benign), (False, n - n_benign)):
            choices = samples(profile, benign=benign, hardness=options.hardness)
            turn = int(rng.integers(len(choices)))
            deck += [(profile.name, choices[(turn + k) % len(choices)], benign) for k in range(m)]
    return [deck[k] for k in rng.permutation(len(deck))]


def _plan_logs(episode: str, os: Os, options: LabOptions) -> LogPlan:
    """Drawn the same way whatever the options, so that twins differ in nothing else."""
    rng = stream(options.seed, episode, "logs")
    faulty, which_artifact, tampered, which_operator, share = (float(each) for each in rng.random(5))
    base, more = KNOBS.artifacts
    easy, hard = KNOBS.strength
    return LogPlan(
        artifact=_artifact(os, which_artifact) if faulty < base + more * options.hardness else "",
        tamper=which_operator if tampered < options.tampered else None,
        strength=round((easy + (hard - easy) * options.hardness) * (0.5 + 0.5 * share), 6),
    )


def _artifact(os: Os, place: float) -> str:
    odds = ARTIFACT_ODDS[os]
    ends = np.cumsum(list(odds.values()))
    return list(odds)[int(np.searchsorted(ends, place * ends[-1], side="right"))]
