"""What stands around the scores: the split in words and counts, the quality of the data, the manifest.

What does not belong here: scores and their intervals.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from rlstir_core.atomic import file_sha256
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.contract.registry import PRIMARY_MODE, Registry
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.split import Split
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.study import Study
from rlstir_core.episodes.store.index import load_index
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.evaluation.report.inputs import (
    BadRows,
    Coverage,
    DataQuality,
    Excluded,
    HostQuality,
    IndexFault,
    LogQuality,
    LowDiversity,
    Manifest,
    Rejected,
    SplitDescription,
    SplitSide,
)
from rlstir_core.evaluation.stats.details import Cause
from rlstir_core.evaluation.stats.records import Untested
from rlstir_core.hostlogs.store import host_counts
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version as stage_version

_LOW_DIVERSITY = 2  # samples of a profile, below which its score speaks of them alone
REJECTED_NAMED = 40  # episodes that the report names; a command lists all
_VERDICT_COUNTS = {"ok": "ok", "degraded": "degraded", "reject": "rejected"}
_PACKAGES = ("rlstir", "torch", "xgboost", "numpy", "scipy", "pyarrow", "dagster", "msgspec", "zstandard")


def describe_split(layout: Layout, split: Split, registry: Registry) -> SplitDescription:
    """Who is on which side, and what was checked."""
    sides = {"train": split.trained_on, "test": split.tested}
    return SplitDescription(
        recipe=split.recipe,
        words=split.words,
        train=_side(layout, registry, sides["train"]),
        folds=len(split.rounds[0].folds),
        rounds=len(split.rounds),
        test=_side(layout, registry, sides["test"]),
        excluded=tuple(
            Excluded(kind=x.kind, name=x.what, reason=f"{x.reason} ({x.n_episodes} episodes)") for x in split.excluded
        ),
        coverage=tuple(_coverage(sides)),
        checks=tuple(f"{check.name}: {check.detail}" for check in split.checks),
        renewal=split.renewal,
    )


def never_shown(split: Split) -> tuple[Untested, ...]:
    """The hosts that the split left out: no model was shown them, so nothing is known of models on them."""
    return tuple(
        Untested(kind="host", name=each.what, n_test=0, reason=f"left out: {each.reason}")
        for each in split.excluded
        if each.kind == "host"
    )


def _side(layout: Layout, registry: Registry, infos: Sequence[EpisodeInfo]) -> SplitSide:
    degraded = {(info.host, info.own_id) for info in infos if info.windows and not info.complete}
    rows = (
        row
        for host in sorted({host for host, _ in degraded})
        for row in read_validation(layout.validation(host))
        if (host, row.episode_id) in degraded
    )
    return SplitSide(
        episodes=len(infos),
        windows=sum(sum(info.windows.values()) for info in infos),
        hosts=tuple(sorted({info.host for info in infos})),
        samples=tuple(sorted({info.sample for info in infos})),
        first_wall_ns=min((info.t_start_wall_ns for info in infos), default=None),
        last_wall_ns=max((info.t_end_wall_ns for info in infos), default=None),
        degraded=len(degraded),
        causes=causes_of(rows, registry),
    )


def causes_of(rows: Iterable[ValidationRow], registry: Registry) -> tuple[Cause, ...]:
    """Reasons with the sources that they speak of, by how many episodes have them."""
    counted = Counter(cause for row in rows for reason in row.reasons for cause in _sources(row, reason, registry))
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Cause(reason=reason, source=source, episodes=n) for (reason, source), n in ordered)


def _sources(row: ValidationRow, reason: str, registry: Registry) -> list[tuple[str, str]]:
    must_have_rows = [name for name, source in registry.sources.items() if source.required and not source.count]
    found: dict[str, Iterable[str]] = {
        ReasonCode.CHANNEL_MISSING: row.missing_sources,
        ReasonCode.CHANNEL_EMPTY: [name for name in must_have_rows if row.rows.get(name) == 0],
        ReasonCode.JSON_BAD_ROWS: row.bad_rows,
        ReasonCode.TIME_OUTSIDE: row.outside_rows,
    }
    return [(str(reason), source) for source in found.get(reason, ())] or [(str(reason), "")]


def _coverage(sides: dict[str, list[EpisodeInfo]]) -> list[Coverage]:
    phases = {name: Counter(phase for info in infos for phase in info.phases) for name, infos in sides.items()}
    profiles = {name: Counter(info.profile for info in infos) for name, infos in sides.items()}
    found = []
    for kind, counts in (("phase", phases), ("profile", profiles)):
        for name in sorted(set().union(*counts.values())):
            n = {side: counts[side][name] for side in sides}
            found.append(Coverage(kind=kind, name=name, **n))
    return found


_LOG_COUNTS = ("rows", "unparsed", "untimed", "bare", "cut", "year_assumed", "zone_assumed")


def describe_quality(
    layout: Layout, hosts: Sequence[str], registry: Registry, log_hosts: Sequence[str] = ()
) -> DataQuality:
    """Index faults, verdicts, clocks, low diversity and dropped rows; one host's verdicts at a time.

    `log_hosts` are those whose log rows are looked at too.
    """
    index = load_index(layout.index)
    sampled = {name for name, source in registry.sources.items() if not source.count}
    bad: list[BadRows] = []
    steps: list[str] = []
    qualities: list[HostQuality] = []
    samples: dict[str, set[str]] = defaultdict(set)
    infected: Counter[str] = Counter()
    refused: list[Rejected] = []
    times: list[int] = []  # the first start and the last end so far
    torn = 0
    for host in hosts:
        rows = read_validation(layout.validation(host))
        qualities.append(_host_quality(host, rows, sampled, registry))
        bad += _bad_rows(host, rows)
        torn += sum(sum(row.torn_lines.values()) for row in rows)
        steps += [
            f"the wall clock steps by {row.clock_step_ns / 1e9:.1f} s within {row.host}/{row.episode_id}"
            for row in rows
            if ReasonCode.TIME_CLOCK_STEP in row.reasons
        ]
        refused += [_rejected(row) for row in rows if not row.usable][: REJECTED_NAMED - len(refused)]
        usable = [row for row in rows if row.t_start_wall_ns is not None and row.t_end_wall_ns is not None]
        times += [row.t_start_wall_ns or 0 for row in usable] + [row.t_end_wall_ns or 0 for row in usable]
        times = [min(times), max(times)] if times else []
        for row in rows:
            if row.usable and not row.benign:
                samples[row.profile].add(row.sample_name)
                infected[row.profile] += 1
    notes = steps[:20]
    notes += [f"tarball {path} is named by no index line and was not used" for path in index.orphans[:20]]
    if torn:
        notes.append(f"{torn} telemetry lines held more than one record; every record was kept")
    return DataQuality(
        index_lines=index.n_lines,
        index_records=len(index.entries),
        index_faults=tuple(
            IndexFault(line=fault.line, detail=fault.detail.removeprefix(f"line {fault.line}: "))
            for fault in index.faults
        ),
        hosts=tuple(qualities),
        logs=_log_quality(layout, log_hosts),
        low_diversity=tuple(
            LowDiversity(profile=profile, samples=len(names), episodes=infected[profile])
            for profile, names in sorted(samples.items())
            if len(names) < _LOW_DIVERSITY
        ),
        bad_rows=tuple(bad),
        rejected=tuple(refused),
        first_wall_ns=times[0] if times else None,
        last_wall_ns=times[1] if times else None,
        notes=tuple(notes),
    )


def _rejected(row: ValidationRow) -> Rejected:
    return Rejected(host=row.host, path=row.path, reason=row.reason, detail=row.detail)


def _bad_rows(host: str, rows: Sequence[ValidationRow]) -> list[BadRows]:
    found = []
    for source in sorted({name for row in rows for name in row.rows}):
        dropped = sum(row.bad_rows.get(source, 0) + row.outside_rows.get(source, 0) for row in rows)
        if dropped:
            read = sum(row.rows.get(source, 0) for row in rows) + dropped
            found.append(BadRows(host=host, source=source, read=read, dropped=dropped))
    return found


def _log_quality(layout: Layout, hosts: Sequence[str]) -> tuple[LogQuality, ...]:
    """What is wrong with log rows, by channel; nothing of hosts whose rows were not made."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for host in hosts:
        if not layout.log_events(host).is_dir():
            continue
        for counts in host_counts(layout, host).values():
            for name in _LOG_COUNTS:
                sums[name].update(getattr(counts, name))
    return tuple(
        LogQuality(channel=channel, **{name: sums[name][channel] for name in _LOG_COUNTS})
        for channel in sorted(sums["rows"])
    )


def _host_quality(host: str, rows: Sequence[ValidationRow], sampled: set[str], registry: Registry) -> HostQuality:
    verdicts = Counter(row.verdict for row in rows)
    offset_s, drift = _clock(rows, sampled)
    return HostQuality(
        host=host,
        ok=verdicts["ok"],
        degraded=verdicts["degraded"],
        rejected=verdicts["reject"],
        causes=causes_of(rows, registry),
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


def make_manifest(
    study: Study, hosts: Sequence[str], registry: Registry, key: str, checkpoints: Sequence[Checkpoint]
) -> Manifest:
    """What it takes to defend or repeat the result."""
    options, settings = study.options, study.split.settings
    counts: Counter[str] = Counter()
    for host in hosts:
        for row in read_validation(study.layout.validation(host)):
            counts["episodes_read"] += 1
            counts[f"episodes_{_VERDICT_COUNTS[row.verdict]}"] += 1
            counts["rows_parsed"] += sum(row.rows.values())
            counts["rows_dropped"] += sum(row.bad_rows.values()) + sum(row.outside_rows.values())
    index = load_index(study.layout.index)
    named = {
        "train_hosts": ", ".join(settings.train_hosts) or "by the recipe",
        "test_hosts": ", ".join(settings.test_hosts) or "by the recipe",
        "train_corpora": ", ".join(settings.train_corpora) or "by the recipe",
        "min_shared_channels": "half" if settings.min_shared_channels is None else settings.min_shared_channels,
    }
    return Manifest(
        versions={
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
            "evaluation": str(stage_version("evaluation")),
        },
        config={
            "recipe": options.recipe,
            "preset": options.preset,
            "set": ", ".join(options.overrides) or "nothing",
            **named,
            "folds": settings.folds,
            "normalise": study.schema.normalise,
            "seed": checkpoints[0].seed,
        },
        hashes={
            "evaluation_inputs": key,
            "index": file_sha256(study.layout.index),
            "registry": registry.sha256,
            "feature_schema": study.schema_sha256,
            "split": study.split.sha256,
        },
        counts={
            "index_records": len(index.entries),
            "index_faults": len(index.faults),
            **{name: counts[name] for name in ("episodes_read", *(f"episodes_{v}" for v in _VERDICT_COUNTS.values()))},
            "rows_parsed": counts["rows_parsed"],
            "rows_dropped": counts["rows_dropped"],
        },
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def describe_setup(study: Study, checkpoints: Sequence[Checkpoint]) -> dict[str, str]:
    """What every detector was made with, as name and value."""
    windowing, numbers = study.schema.windowing, study.numbers
    left_out = max(member.facts.n_left_out_windows for c in checkpoints for member in c.members)
    facts = {
        "preset": ", ".join([study.options.preset, *study.options.overrides]),
        "window": "the whole run"
        if windowing.whole
        else f"{windowing.length_s:g} s long, {windowing.stride_s:g} s stride, {windowing.bin_hz:g} bins a second",
        "normaliser": study.schema.normalise,
        "channels": f"{len(study.shared[PRIMARY_MODE])} that every train host records",
    }
    if said := _left_out(checkpoints):
        facts["sources left out"] = said
    if left_out:
        facts["trained on a part"] = (
            f"a member saw at most {numbers.train.max_train_windows:,} windows a view, drawn evenly over episodes and "
            f"phases; up to {left_out:,} labelled windows were not drawn"
        )
    return facts


def _left_out(checkpoints: Sequence[Checkpoint]) -> str:
    """The sources that members of a wider mode do not see, why, and how many; empty where each sees all of its mode."""
    found = []
    for mode in sorted({checkpoint.mode for checkpoint in checkpoints}):
        members = next(c.members for c in checkpoints if c.mode == mode)  # the same verdicts for each model
        for source in sorted({name for member in members for name in member.left_out}):
            verdicts = [v for m in members for v in m.sources if v.source == source and not v.kept]
            mean = np.mean([gain for verdict in verdicts for gain in verdict.gains])
            found.append(
                f"{len(verdicts)} of {len(members)} members of each model of mode {mode} do not see {source}: with it "
                f"a linear model's macro F1 changed by {mean:+.3f} on train hosts that were left out in turn"
            )
    return "; ".join(found)
