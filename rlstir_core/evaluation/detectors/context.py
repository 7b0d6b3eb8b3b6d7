"""What stands around the scores: the split in words and counts, the quality of the data, the manifest.

What does not belong here: scores and their intervals.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from rlstir_core.contract.registry import Registry
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.corpus import Recording
from rlstir_core.detectors.experiment import Experiment
from rlstir_core.episodes.index import load_index
from rlstir_core.episodes.verdicts import ValidationRow, read_validation
from rlstir_core.evaluation.report.inputs import (
    BadRows,
    Coverage,
    DataQuality,
    Excluded,
    HostQuality,
    IndexFault,
    LowDiversity,
    Manifest,
    SplitDescription,
    SplitSide,
)
from rlstir_core.results.layout import Layout

_SAYS = {
    "host": "Whole hosts are held out: nothing recorded on a test host was seen in training or validation.",
    "sample": "Samples are held out within each profile: no payload of the test side was seen in training.",
    "time": "Training uses the past only: every test episode began after the last train episode had ended.",
}
_LOW_DIVERSITY = 2  # samples of a profile, below which its score speaks of them alone
_PACKAGES = ("rlstir", "torch", "xgboost", "numpy", "scipy", "pyarrow", "dagster", "msgspec", "zstandard")


def describe_split(experiment: Experiment) -> SplitDescription:
    """Who is on which side, and what was proved."""
    split = experiment.split
    sides = {"train": experiment.train, "test": experiment.test}
    return SplitDescription(
        recipe=split.recipe,
        says=_SAYS[split.recipe],
        train=_side(sides["train"]),
        folds=len(split.folds),
        test=_side(sides["test"]),
        excluded=tuple(
            Excluded(kind="episodes", name=x.what, reason=f"{x.reason} ({x.n_episodes} episodes)")
            for x in split.excluded
        ),
        coverage=tuple(_coverage(sides)),
        proofs=tuple(f"{proof.name}: {proof.detail}" for proof in experiment.proofs),
    )


def _side(recordings: Sequence[Recording]) -> SplitSide:
    return SplitSide(
        episodes=len(recordings),
        windows=int(sum((recording.label_W >= 0).sum() for recording in recordings)),
        hosts=tuple(sorted({recording.info.host for recording in recordings})),
        samples=tuple(sorted({recording.info.sample for recording in recordings})),
    )


def _coverage(sides: dict[str, list[Recording]]) -> list[Coverage]:
    phases = {name: Counter(p for r in recordings for p in r.info.phases) for name, recordings in sides.items()}
    profiles = {name: Counter(r.info.profile for r in recordings) for name, recordings in sides.items()}
    found = []
    for kind, counts in (("phase", phases), ("profile", profiles)):
        for name in sorted(set().union(*counts.values())):
            n = {side: counts[side][name] for side in sides}
            found.append(Coverage(kind=kind, name=name, **n))
    return found


def describe_quality(layout: Layout, hosts: Sequence[str], registry: Registry) -> DataQuality:
    """Index faults, verdicts, clocks, low diversity and dropped rows."""
    index = load_index(layout.index)
    rows = {host: read_validation(layout.validation(host)) for host in hosts}
    every = [row for found in rows.values() for row in found]
    sampled = {name for name, source in registry.sources.items() if not source.count}
    bad = []
    for host, found in rows.items():
        for source in sorted({name for row in found for name in row.rows}):
            dropped = sum(row.bad_rows.get(source, 0) + row.outside_rows.get(source, 0) for row in found)
            if dropped:
                read = sum(row.rows.get(source, 0) for row in found) + dropped
                bad.append(BadRows(host=host, source=source, read=read, dropped=dropped))
    steps = [row for row in every if "time.clock_step" in row.reasons]
    notes = [
        f"the wall clock steps by {row.clock_step_ns / 1e9:.1f} s within {row.host}/{row.episode_id}"
        for row in steps[:20]
    ]
    notes += [f"tarball {path} is named by no index line and was not used" for path in index.orphans[:20]]
    torn = sum(sum(row.torn_lines.values()) for row in every)
    if torn:
        notes.append(f"{torn} telemetry lines held more than one record; every record was kept")
    return DataQuality(
        index_lines=index.n_lines,
        index_records=len(index.entries),
        index_faults=tuple(
            IndexFault(line=fault.line, detail=fault.detail.removeprefix(f"line {fault.line}: "))
            for fault in index.faults
        ),
        hosts=tuple(_host_quality(host, found, sampled) for host, found in rows.items()),
        low_diversity=tuple(_low_diversity(every)),
        bad_rows=tuple(bad),
        notes=tuple(notes),
    )


def _host_quality(host: str, rows: Sequence[ValidationRow], sampled: set[str]) -> HostQuality:
    verdicts = Counter(row.verdict for row in rows)
    offset_s, drift = _clock(rows, sampled)
    return HostQuality(
        host=host,
        ok=verdicts["ok"],
        degraded=verdicts["degraded"],
        rejected=verdicts["reject"],
        reasons=dict(Counter(reason for row in rows for reason in row.reasons).most_common()),
        clock_offset_s=offset_s,
        clock_drift_ppm=drift,
    )


def _clock(rows: Sequence[ValidationRow], sampled: set[str]) -> tuple[float | None, float | None]:
    """Medians over the host's episodes: the largest offset between two sampled sources in s, the drift in ppm.

    Sources of events are left out: their monotonic clock may be the system's uptime.
    """
    offsets = [
        max((abs(ns) for source, ns in row.clock_offset_ns.items() if source in sampled), default=0) / 1e9
        for row in rows
        if row.clock_offset_ns
    ]
    drifts = [row.clock_drift_ppm for row in rows if row.clock_drift_ppm is not None]
    return (
        float(np.median(offsets)) if offsets else None,
        float(np.median(drifts)) if drifts else None,
    )


def _low_diversity(rows: Sequence[ValidationRow]) -> list[LowDiversity]:
    samples: dict[str, set[str]] = defaultdict(set)
    episodes: Counter[str] = Counter()
    for row in rows:
        if row.usable and not row.benign:
            samples[row.profile].add(row.sample_name)
            episodes[row.profile] += 1
    return [
        LowDiversity(profile=profile, samples=len(names), episodes=episodes[profile])
        for profile, names in sorted(samples.items())
        if len(names) < _LOW_DIVERSITY
    ]


def make_manifest(
    layout: Layout, experiment: Experiment, registry: Registry, key: str, checkpoints: Sequence[Checkpoint]
) -> Manifest:
    """What it takes to defend or repeat the result."""
    plan = experiment.plan
    rows = [row for host in plan.hosts for row in read_validation(layout.validation(host))]
    index = load_index(layout.index)
    dropped = sum(sum(row.bad_rows.values()) + sum(row.outside_rows.values()) for row in rows)
    return Manifest(
        versions={"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        config={
            "recipe": plan.recipe,
            "preset": plan.preset,
            "train_hosts": ", ".join(plan.split.train_hosts) or "chosen by coverage",
            "normalise": experiment.corpus.schema.normalise,
            "seed": checkpoints[0].seed,
        },
        hashes={
            "evaluation_inputs": key,
            "registry": registry.sha256,
            "feature_schema": experiment.corpus.schema.sha256,
            "split": experiment.split_sha256,
        },
        counts={
            "index_records": len(index.entries),
            "index_faults": len(index.faults),
            "episodes_read": len(rows),
            "episodes_ok": sum(row.verdict == "ok" for row in rows),
            "episodes_degraded": sum(row.verdict == "degraded" for row in rows),
            "episodes_rejected": sum(row.verdict == "reject" for row in rows),
            "rows_parsed": sum(sum(row.rows.values()) for row in rows),
            "rows_dropped": dropped,
        },
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
