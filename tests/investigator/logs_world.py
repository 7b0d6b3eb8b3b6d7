"""A store of logs alone, small and with something to learn: commands that only episodes with a technique run."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rlstir_core.contract.registry import load_registry
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.episodes.store.index import read_index, save_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.investigator.study import InvestigatorStudy, open_investigator
from rlstir_core.learning.options import StudyOptions
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout

START_NS = 1_777_600_000_000_000_000
SECOND = 1_000_000_000
TELLS = {"T1003.001": "dump lsass memory", "T1053.003": "crontab -e schedule", "T1685.006": "shred wtmp history"}
WORK = ("ls -la", "vim notes.txt", "git pull", "make all", "cat report.csv", "ssh build", "df -h", "top", "less todo")
FIRST_PID = 900
BACK = (11, 12)  # lines of a tampered log
EMPTY = ("south", 0)
CANARY_RULE, CANARY_HOST = "technique_id=T1059,canaryrule", "canaryhost"
NUMBERS = (
    *("acting.cases=8", "acting.glimpses=1", "acting.belief_steps=5", "acting.walk_steps=2", "acting.tries=1"),
    *("acting.order=1", "acting.seeds=1", "acting.lanes=4", "ppo.steps=64", "ppo.rollout=8"),
    "investigator.vocabulary=400",
    "investigator.tokenizer_texts=2000",
    "investigator.rows=32",
    "investigator.row_tokens=16",
    "investigator.width=16",
    "investigator.heads=2",
    "investigator.epochs=4",
    "investigator.members=1",
    "investigator.min_epoch_steps=12",
    "investigator.learning_rate=0.01",
    "bootstrap_draws=200",
    "train.device=cpu",
)


@dataclass(frozen=True)
class LogsWorld:
    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def layout(self) -> Layout:
        return Layout(self.root / "data")

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        return read_index(self.store).hosts

    def study(self, *more: str, recipe: str = "host") -> InvestigatorStudy:
        options = StudyOptions(recipe=recipe, overrides=(*NUMBERS, *more), split=SplitSettings(folds=4))
        return open_investigator(self.layout, options)


def auth_log(rng: random.Random, host: str, tells: list[str], *, tampered: bool) -> tuple[bytes, dict[str, list[int]]]:
    """A log of commands, and the processes that ran each technique; a tampered one has lines with an earlier time."""
    said = [("", rng.choice(WORK)) for _ in range(20)] + [(each, TELLS[each]) for each in tells for _ in range(2)]
    rng.shuffle(said)
    lines = [
        f"May  1 01:{k - 9 * (tampered and k in BACK):02}:07 {host} sudo[{FIRST_PID + k}]: maria : TTY=pts/0 ; "
        f"PWD=/home/maria ; USER=root ; COMMAND=/usr/bin/{words} {rng.randrange(10**6)}"
        for k, (_, words) in enumerate(said)
    ]
    ran = {each: [FIRST_PID + k for k, (shown, _) in enumerate(said) if shown == each] for each in tells}
    return ("\n".join(lines) + "\n").encode(), ran


def sysmon_event(host: str) -> bytes:
    event = {
        "EventID": 1,
        "SourceName": "Microsoft-Windows-Sysmon",
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Hostname": f"{host}.lab.example",
        "UtcTime": "2026-05-01 01:00:01.000",
        "RuleName": CANARY_RULE,
        "Image": "C:\\Windows\\System32\\cmd.exe",
        "CommandLine": f"cmd.exe /c ping {host}.lab.example",
        "User": f"LAB\\{host.upper()}$",
        "ProcessId": 44,
    }
    return json.dumps(event).encode() + b"\n"


def write_world(store: Path, *, labelled: bool = True, imported: Sequence[int] = (), seed: int = 3) -> None:
    """Four hosts with eight episodes each; every other episode carries one or two techniques.

    One has a log without a line, and the last of each host was tampered with; `imported` are labelled by the file.
    """
    rng = random.Random(seed)
    records = []
    for host in ("north", "south", "west", CANARY_HOST):
        for k in range(8):
            tells = rng.sample(sorted(TELLS), rng.randint(1, 2)) if k % 2 else []
            end = START_NS + 3600 * SECOND
            tampered, by_file = k == 7, k in imported
            log, ran = auth_log(rng, host, tells, tampered=tampered)
            always = {"t_start_wall_ns": START_NS - 10**17, "t_end_wall_ns": 2 * 10**18}
            truth = [{"technique": each, "pids": [] if by_file else pids, **always} for each, pids in ran.items()]
            span = {"channel": "auth", "kind": "clock_step", "member": "logs/auth.log", "seqs": BACK, **always}
            extra = {"logs/auth.log": log, "logs/sysmon.jsonl": sysmon_event(host)}
            if (host, k) == EMPTY:
                extra = {"logs/auth.log": b""}
            if labelled:
                extra["gt_ttp_sequence.json"] = json.dumps(truth).encode()
                extra["gt_tamper_spans.json"] = json.dumps([span] if tampered else []).encode()
            meta = {
                "episode_id": f"ep-{host}-{k}",
                "host_id": host,
                "profile": "imported-logs" if by_file else "io-walk",
                "sample_name": f"s{k}",
                "benign": not tells and not by_file,
                "t_start_wall_ns": START_NS,
                "t_end_wall_ns": end,
            }
            records.append(write_episode(store, meta, (), {}, extra))
    write_index(store, records)


def build_world(root: Path, *, labelled: bool = True, imported: Sequence[int] = ()) -> LogsWorld:
    """The store, its log rows and their graphs, and its split by host."""
    world = LogsWorld(root)
    write_world(world.store, labelled=labelled, imported=imported)
    index = read_index(world.store)
    save_index(world.layout.index, index)
    for host in index.hosts:
        validate_host(world.store, world.layout, host, registry=load_registry(world.store), index=index)
        build_log_events(world.store, world.layout, host)
        build_graphs(world.layout, host)
    build_split(world.layout, "host", index.hosts, SplitSettings(folds=4))
    return world


def sigma_rules(folder: Path) -> list[Path]:
    """A rule for each of the techniques, as Sigma writes them."""
    paths = [folder / f"{technique}.yml" for technique in TELLS]
    for path, (technique, told) in zip(paths, TELLS.items(), strict=True):
        rule = {
            "title": told,
            "level": "high",
            "tags": [f"attack.{technique.lower()}"],
            "logsource": {"product": "linux", "service": "sudo"},
            "detection": {"keywords": [told], "condition": "keywords"},
        }
        path.write_text(json.dumps(rule))
    return paths
