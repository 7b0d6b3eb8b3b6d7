"""`rlstir lab generate`: a store of synthetic episodes, the same bytes for the same seed.

Plans who runs what and when (blind to the label), simulates each episode and hands it to `store_writer`.
What does not belong here: how activity looks (`activity.py`) and how sensors see it (`sources.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rlstir_core.atomic import write_bytes
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.lab.hosts import DEFAULT_HOSTS, Host, resolve
from rlstir_core.lab.sensors import sources
from rlstir_core.lab.sensors.activity import simulate
from rlstir_core.lab.sensors.profiles import BY_NAME, PROFILES, STAGES, Sample, samples
from rlstir_core.lab.signals import between, factor, stream
from rlstir_core.lab.store_writer import INDEX_NAME, jsonl_bytes, write_episode
from rlstir_core.lab.story import Story, tell

DEFAULT_EPISODES = 100
MIN_DURATION_S = 20.0
_CAMPAIGN_START_NS = 1_772_438_400 * sources.NS  # 2026-03-02 08:00 UTC
_CAMPAIGN_S = 21 * 86_400

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class PlanKnobs:
    """`benign_share` of every profile's episodes are twins, on every host alike: neither host nor profile tells.

    More twins make load say less, and make `clean` more common. `duration_spread` varies lengths, blind to the label.
    `flows_spread` hides what is left of a profile in the number of flows.
    """

    benign_share: float = 0.36
    duration_spread: float = 0.04
    flows_spread: float = 0.35


KNOBS = PlanKnobs()


@dataclass(frozen=True, kw_only=True)
class GenerateSummary:
    """What was written."""

    store: Path
    episodes: int
    episodes_per_host: dict[str, int]
    infected: int
    benign: int
    without_netflow: int
    torn_index_lines: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
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
    story: Story


def generate_store(
    store: Path,
    *,
    hosts: tuple[str, ...] = DEFAULT_HOSTS,
    episodes: int = DEFAULT_EPISODES,
    seed: int = 7,
    duration_s: float = 120.0,
    progress: Progress | None = None,
) -> GenerateSummary:
    """Writes `episodes` episodes in all, shared evenly among `hosts`, and an index with one torn line.

    StoreError when the store has an index already; ConfigError when a number makes no store.
    """
    plans = plan_store(hosts=hosts, episodes=episodes, seed=seed, duration_s=duration_s)
    if (store / INDEX_NAME).exists():
        raise StoreError(
            f"{store} already holds a store ({INDEX_NAME} is there); choose another --store or remove that folder"
        )
    records = []
    for done, plan in enumerate(plans):
        if progress is not None:
            progress(done, len(plans), f"{plan.host.name}/{plan.episode_id}")
        meta, labels, members = make_episode(seed, plan)
        records.append(write_episode(store, meta, labels, members))
    torn = write_torn_index(store, records, seed)
    if progress is not None:
        progress(len(plans), len(plans), "done")
    return GenerateSummary(
        store=store,
        episodes=len(plans),
        episodes_per_host=dict(Counter(plan.host.name for plan in plans)),
        infected=sum(not plan.benign for plan in plans),
        benign=sum(plan.benign for plan in plans),
        without_netflow=sum(not plan.netflow for plan in plans),
        torn_index_lines=torn,
        bytes=sum(record["bytes"] for record in records),
    )


def plan_store(*, hosts: tuple[str, ...], episodes: int, seed: int, duration_s: float) -> list[Plan]:
    """Every episode of the store, in the order of recording."""
    if episodes < len(hosts):
        raise ConfigError(f"{episodes} episodes cannot be shared among {len(hosts)} hosts; ask for at least one each")
    if not MIN_DURATION_S <= duration_s <= 3600.0:
        raise ConfigError(f"duration_s is {duration_s}; keep it between {MIN_DURATION_S:.0f} and 3600 seconds")
    plans: list[Plan] = []
    for number, host in enumerate(resolve(hosts)):
        count = episodes // len(hosts) + (number < episodes % len(hosts))
        plans += _plan_host(host, count, seed, duration_s)
    return sorted(plans, key=lambda plan: (plan.start_wall_ns, plan.episode_id))


def make_episode(seed: int, plan: Plan) -> tuple[dict[str, Any], list[tuple[int, str]], dict[str, bytes]]:
    """Meta, labels and source members of one planned episode."""
    rng = stream(seed, plan.episode_id, "frame")
    recording = sources.Recording(
        seed=seed,
        episode=plan.episode_id,
        host=plan.host,
        start_wall_ns=plan.start_wall_ns,
        duration_s=plan.duration_s,
        uptime_s=round(between(rng, 3_600, 400_000), 3),
        n_flows=plan.n_flows,
        rates=simulate(seed, plan.episode_id, plan.host, plan.sample, plan.story),
    )
    members = {"proc": sources.proc, "perf": sources.perf, "qmp": sources.qmp, "guest": sources.guest}
    if plan.netflow:
        members["netflow"] = sources.netflow
    meta = {
        "episode_id": plan.episode_id,
        "host_id": plan.host.name,
        "profile": plan.profile,
        "sample_name": plan.sample.name,
        "benign": plan.benign,
        "synthetic": True,
        "t_start_wall_ns": plan.start_wall_ns,
        "t_end_wall_ns": plan.start_wall_ns + round(plan.duration_s * sources.NS),
    }
    if plan.benign:
        labels = [(plan.start_wall_ns, STAGES[0])]
    else:
        labels = [(plan.start_wall_ns + round(at * sources.NS), STAGES[stage]) for at, stage in plan.story.visits()]
    return meta, labels, {name: jsonl_bytes(source(recording)) for name, source in members.items()}


def write_torn_index(store: Path, records: list[dict[str, Any]], seed: int) -> int:
    """The index, with the seed lab's fault: one line that holds two whole records. Gives the number of such lines."""
    lines = [msgspec.json.encode(record) for record in records]
    torn = len(lines) > 1
    if torn:
        at = int(stream(seed, "torn line").integers(0, len(lines) - 1))
        lines[at : at + 2] = [lines[at] + lines[at + 1]]
    write_bytes(store / INDEX_NAME, b"".join(line + b"\n" for line in lines))
    return int(torn)


def _plan_host(host: Host, count: int, seed: int, duration_s: float) -> list[Plan]:
    rng = stream(seed, host.name, "plan")
    deck = _deck(host, count, rng)
    missing = np.zeros(count, dtype=bool)
    missing[rng.permutation(count)[: round(host.missing_netflow * count)]] = True
    plans = []
    for number, (profile, sample, benign) in enumerate(deck):
        episode = f"ep-{stream(seed, host.name, number, 'id').bytes(6).hex()}"
        length = round(duration_s * (1 + KNOBS.duration_spread * between(rng, -1, 1)), 3)
        flows = BY_NAME[profile].flows_per_s * factor(rng, KNOBS.flows_spread) * length
        at_s = between(rng, 0, _CAMPAIGN_S)
        plans.append(
            Plan(
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
            )
        )
    return plans


def _deck(host: Host, count: int, rng: np.random.Generator) -> list[tuple[str, Sample, bool]]:
    """(profile, sample, benign) of `count` episodes: even over profiles, then over samples, in random order."""
    allowed = [profile for profile in PROFILES if profile.name not in host.never]
    first = int(rng.integers(len(allowed)))
    deck: list[tuple[str, Sample, bool]] = []
    owed = float(rng.random())  # carries the rounding of benign_share from profile to profile
    for place, profile in enumerate(allowed):
        n = count // len(allowed) + ((place - first) % len(allowed) < count % len(allowed))
        owed += KNOBS.benign_share * n
        n_benign = min(n, int(owed))
        owed -= n_benign
        for benign, m in ((True, n_benign), (False, n - n_benign)):
            choices = samples(profile, benign=benign)
            turn = int(rng.integers(len(choices)))
            deck += [(profile.name, choices[(turn + k) % len(choices)], benign) for k in range(m)]
    return [deck[k] for k in rng.permutation(len(deck))]
