"""`rlstir lab generate`: a store of synthetic episodes, the same bytes for the same seed.

Simulates each planned episode once, lets sensors and logs look at it, and hands it to `episodes/store`. What does not
belong here: who runs what (`plan.py`), what happens on the guest (`life/`), how sensors (`sensors/`) and logs
(`writers/`, `tamper/`) see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rlstir_core.atomic import write_bytes
from rlstir_core.contract.members import TAMPER_SPANS, TECHNIQUES
from rlstir_core.episodes.store.writer import INDEX_NAME, jsonl_bytes, write_episode
from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.lab.hosts import DEFAULT_HOSTS
from rlstir_core.lab.life.episode import EpisodeTrace, simulate
from rlstir_core.lab.machine.events import Connected
from rlstir_core.lab.plan import EpisodePlan, LabOptions, plan_store
from rlstir_core.lab.sensors import sources
from rlstir_core.lab.sensors.activity import activity_rates, steps_of
from rlstir_core.lab.sensors.event_load import event_load
from rlstir_core.lab.sensors.profiles import STAGES
from rlstir_core.lab.signals import between, stream
from rlstir_core.lab.tamper.apply import applicable, tampered, with_artifact
from rlstir_core.lab.writers.linux import logs as linux_logs
from rlstir_core.lab.writers.windows import logs as windows_logs
from rlstir_core.progress import Progress

DEFAULT_EPISODES = 100


@dataclass(frozen=True, kw_only=True)
class GenerateSummary:
    """What was written."""

    store: Path
    episodes: int
    episodes_per_host: dict[str, int]
    infected: int
    benign: int
    tampered: int
    without_netflow: int
    torn_index_lines: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class EpisodeParts:
    """One episode as `write_episode` takes it: `extra` are logs and truth."""

    meta: dict[str, Any]
    labels: list[tuple[int, str]]
    sources: dict[str, bytes]
    extra: dict[str, bytes]


def generate_store(
    store: Path,
    *,
    hosts: tuple[str, ...] = DEFAULT_HOSTS,
    episodes: int = DEFAULT_EPISODES,
    options: LabOptions | None = None,
    progress: Progress | None = None,
) -> GenerateSummary:
    """Writes `episodes` episodes in all, shared evenly among `hosts`, and an index with one torn line.

    StoreError when the store has an index already; ConfigError when a number makes no store.
    """
    options = options or LabOptions()
    plans = plan_store(hosts=hosts, episodes=episodes, options=options)
    if (store / INDEX_NAME).exists():
        raise StoreError(
            f"{store} already holds a store ({INDEX_NAME} is there); choose another --store or remove that folder"
        )
    records = []
    for done, plan in enumerate(plans):
        if progress is not None:
            progress(done, len(plans), f"{plan.host.name}/{plan.episode_id}")
        made = make_episode(plan, options)
        records.append(write_episode(store, made.meta, made.labels, made.sources, made.extra))
    torn = write_torn_index(store, records, options.seed)
    if progress is not None:
        progress(len(plans), len(plans), "done")
    return GenerateSummary(
        store=store,
        episodes=len(plans),
        episodes_per_host=dict(Counter(plan.host.name for plan in plans)),
        infected=sum(not plan.benign for plan in plans),
        benign=sum(plan.benign for plan in plans),
        tampered=sum(plan.logs.tamper is not None for plan in plans),
        without_netflow=sum(not plan.netflow for plan in plans),
        torn_index_lines=torn,
        bytes=sum(record["bytes"] for record in records),
    )


def play(plan: EpisodePlan, options: LabOptions) -> EpisodeTrace:
    """What happens on the guest of a planned episode."""
    return simulate(
        options.seed,
        plan.episode_id,
        plan.host,
        plan.profile,
        benign=plan.benign,
        start_ns=plan.start_wall_ns,
        circle=plan.story,
        hardness=options.hardness,
        deep=options.depth == "deep",
    )


def make_episode(plan: EpisodePlan, options: LabOptions) -> EpisodeParts:
    """One planned episode: what happened on the guest, and what sensors and logs make of it."""
    trace = play(plan, options)
    logs, spans = _logs(plan, options, trace)
    played: dict[str, Any] = {
        "story": trace.story,
        "look_alikes": list(trace.look_alikes),
        "quirk": plan.logs.artifact,
    }
    if trace.trails:
        played["trails"] = [
            {"trail": each.name, "place": each.place, "attack": each.attack, "odd": list(each.odd)}
            for each in trace.trails
        ]
    meta = {
        "episode_id": plan.episode_id,
        "host_id": plan.host.name,
        "profile": plan.profile,
        "sample_name": plan.sample.name,
        "benign": plan.benign,
        "synthetic": True,
        "t_start_wall_ns": plan.start_wall_ns,
        "t_end_wall_ns": plan.start_wall_ns + round(plan.duration_s * sources.NS),
        "hardness": options.hardness,
        "lab": played,
    }
    if plan.benign:
        labels = [(plan.start_wall_ns, STAGES[0])]
    else:
        labels = [(plan.start_wall_ns + round(at * sources.NS), STAGES[stage]) for at, stage in plan.story.visits()]
    truth = {
        TECHNIQUES: msgspec.json.encode(trace.techniques),
        TAMPER_SPANS: msgspec.json.encode(spans),
    }
    return EpisodeParts(
        meta=meta, labels=labels, sources=_telemetry(plan, recording(plan, options, trace)), extra={**logs, **truth}
    )


def recording(plan: EpisodePlan, options: LabOptions, trace: EpisodeTrace) -> sources.SensorInput:
    """What the sensors look at."""
    seed, name = options.seed, plan.episode_id
    events = event_load(trace.events, plan.start_wall_ns, steps_of(plan.story))
    return sources.SensorInput(
        seed=seed,
        episode=name,
        host=plan.host,
        start_wall_ns=plan.start_wall_ns,
        duration_s=plan.duration_s,
        uptime_s=round(between(stream(seed, name, "frame"), 3_600, 400_000), 3),
        n_flows=plan.n_flows,
        rates=activity_rates(seed, name, plan.host, plan.sample, plan.story, events),
        guest_ip=trace.guest.ip,
        connections=tuple(event for event in trace.events if type(event) is Connected),
    )


def _telemetry(plan: EpisodePlan, seen: sources.SensorInput) -> dict[str, bytes]:
    members = {"proc": sources.proc, "perf": sources.perf, "qmp": sources.qmp, "guest": sources.guest}
    if plan.netflow:
        members["netflow"] = sources.netflow
    return {name: jsonl_bytes(source(seen)) for name, source in members.items()}


def _logs(
    plan: EpisodePlan, options: LabOptions, trace: EpisodeTrace
) -> tuple[Mapping[str, bytes], tuple[TamperSpan, ...]]:
    """The logs, and where they were tampered with."""

    def rng(what: str) -> Any:
        return stream(options.seed, plan.episode_id, what)

    writer = linux_logs if plan.host.os == "linux" else windows_logs
    logs = writer.write(trace.guest, trace.boot, trace.events, trace.living, rng("log writers"))
    start_ns, artifact = plan.start_wall_ns, plan.logs.artifact
    if artifact:
        logs = with_artifact(logs, artifact, rng("quirk"), near_ns=start_ns).logs
    if plan.logs.tamper is None:
        return logs, ()
    able = applicable(logs)
    operator = able[int(plan.logs.tamper * len(able))]
    done = tampered(logs, operator, rng("tamper"), strength=plan.logs.strength, near_ns=start_ns)
    return done.logs, done.spans


def write_torn_index(store: Path, records: list[dict[str, Any]], seed: int) -> int:
    """The index, with the seed lab's fault: one line that holds two whole records. Gives the number of such lines."""
    lines = [msgspec.json.encode(record) for record in records]
    torn = len(lines) > 1
    if torn:
        at = int(stream(seed, "torn line").integers(0, len(lines) - 1))
        lines[at : at + 2] = [lines[at] + lines[at + 1]]
    write_bytes(store / INDEX_NAME, b"".join(line + b"\n" for line in lines))
    return int(torn)
