"""The report's second half: what was not tested, what the data were like, how to repeat it, how to read it.

What does not belong here: figures of models (`models.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlstir_core.evaluation.report.inputs import DataQuality, HostQuality, LogQuality, ReportInputs, SplitSide
from rlstir_core.evaluation.report.markdown import MISSING, number, percent, plural, table
from rlstir_core.evaluation.report.rows import causes, distinct
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import MIN_BOOTSTRAP, MIN_EPISODES, MIN_HOSTS
from rlstir_core.evaluation.stats.rules import ALARM_FPR, VOID_MARGIN
from rlstir_core.text import escape_md

_MANY = 40
_READING = (
    f"""Every figure in brackets is a 95 % interval. What is resampled is the episode, never the window:
    from {MIN_BOOTSTRAP} test episodes up by the percentile bootstrap, from {MIN_EPISODES} by the logit
    jackknife with t, below that not at all.""",
    f"""That interval speaks of further episodes on these hosts. A claim about a new host needs the jackknife
    over hosts, given from {MIN_HOSTS} test hosts up; it speaks of the average over hosts like these.""",
    f"""Macro F1 is the mean F1 of the phases that stand in at least {MIN_PHASE_EPISODES} test episodes.""",
    """Validation is carved from the train side by whole episodes, in folds: a detector is the mean of members
    that each left one fold out, and its validation figures are those of the member that had not seen the
    episode.""",
    """Thresholds, scalers, model selection and early stopping saw train and validation only. A threshold for
    a rate of false positives is set on validation's non-attack windows; the rate on test stands beside
    it.""",
    """Attack F1 merges the attack phases against all others, by the most probable phase. AUROC and recall
    use the summed attack probability.""",
    f"""Time to detect counts seconds from the onset to the first alarm at {percent(ALARM_FPR)} false positives. A
    miss counts the time that was left in the recording, so the mean is a lower bound; a model that detects nothing has
    no mean.""",
    f"""`majority` says the most frequent phase, `clock` sees the time since the start and nothing else,
    `metadata-only` sees what is known of an episode without its telemetry. Where `clock` beats chance by
    more than {VOID_MARGIN:.2f}, the comparison is void.""",
    """False alarms an hour are the alarms that begin outside an attack, over the host-hours of the test windows
    without attack, a stride each. Average precision is the precision at each threshold weighted by the recall it adds;
    points of a curve have no interval. Both resample test episodes.""",
    f"""Reliability compares the mean attack probability of the windows in a tenth of the scale with the share of them
    under attack; the interval resamples episodes, and stands where {MIN_PHASE_EPISODES} of them have such windows.""",
    """Recall by technique and flagged benign work count an episode once, whatever the number of its alarms, and
    resample the episodes in which the technique or the work ran; a share of windows resamples episodes too.""",
    """The spreads of members and of seeds are extremes over a few trainings, scored on the same test episodes:
    nothing is resampled. The one interval there, of the standard deviation over seeds, is that of a normal law
    with the seed as its unit.""",
    """The learning curve resamples test episodes, and takes each gain on the same resamples; which train episodes a
    share holds is one draw, which no interval speaks of.""",
    """Cost was measured once, on one machine: it has no interval and is no part of the result.""",
    """Realistic models see network and host; oracle models see hypervisor and guest as well.""",
)


def untested_section(inputs: ReportInputs) -> str:
    text = (
        f"## Untested\n\nA phase, profile or host in fewer than {MIN_PHASE_EPISODES} test episodes is "
        "untested by that rule. It is in no average, and nothing here speaks of it.\n\n"
    )
    if not inputs.untested:
        return text + "None."
    rows = [[row.kind, escape_md(row.name), escape_md(row.reason)] for row in inputs.untested]
    return text + table(["kind", "name", "reason"], rows, align="lll")


def setup_section(inputs: ReportInputs) -> str:
    """What was trained and tested, in a few lines."""
    split = inputs.split
    lines = [
        f"train {plural(split.train.episodes, 'episode')} in {plural(split.folds, 'fold')} (each in turn is the "
        f"validation side), test {split.test.episodes:,} ({plural(split.test.windows, 'window')})"
        + (f", in {split.rounds} rounds: each tests what its models never saw" if split.rounds > 1 else ""),
        f"{plural(len(distinct(inputs)), 'model row')}, {plural(len(inputs.baselines), 'baseline')}",
        *(f"{escape_md(name)}: {escape_md(value)}" for name, value in inputs.facts.items()),
    ]
    return "## Setup\n\n" + "\n".join(f"- {line}" for line in lines)


def split_section(inputs: ReportInputs) -> str:
    split = inputs.split
    rows = [
        _side("train", split.train),
        _side("test", split.test),
    ]
    parts = [f"## Split `{split.recipe}`", "", escape_md(split.words), ""]
    parts += [f"What was done: {escape_md(split.renewal)}.", ""] if split.renewal else []
    parts += [table(["side", "episodes", "windows", "hosts", "samples"], rows, "lrrll")]
    if split.excluded:
        parts += ["", "Left out by name:", ""]
        parts += [f"- {row.kind} {escape_md(row.name)}: {escape_md(row.reason)}" for row in split.excluded]
    if split.coverage:
        rows = [[f"{row.kind} {escape_md(row.name)}", f"{row.train:,}", f"{row.test:,}"] for row in split.coverage]
        parts += ["", "Episodes on each side:", "", table(["", "train", "test"], rows)]
    if split.checks:
        parts += ["", "Checked:", "", *(f"- {escape_md(check)}" for check in split.checks)]
    return "\n".join(parts)


def quality_section(inputs: ReportInputs) -> str:
    quality = inputs.quality
    faults = plural(len(quality.index_faults), "fault")
    parts = [
        "## Data quality",
        "",
        f"The index has {plural(quality.index_lines, 'line')}, "
        f"{plural(quality.index_records, 'readable record')} and {faults}.",
    ]
    if quality.index_faults:
        parts += [
            "",
            *(f"- index line {row.line}: {escape_md(row.detail)}" for row in quality.index_faults[:_MANY]),
        ]
        parts += _rest(len(quality.index_faults))
    if quality.hosts:
        rows = [_host_row(row) for row in quality.hosts]
        head = ["host", "ok", "degraded", "rejected", "clock offset, s", "clock drift, ppm", "reasons"]
        parts += ["", table(head, rows, "lrrrrrl")]
        mostly = [row for row in quality.hosts if row.degraded + row.rejected > row.ok]
        parts += _bullets(
            f"host {escape_md(row.host)} is mostly degraded: {row.degraded + row.rejected} of "
            f"{plural(row.ok + row.degraded + row.rejected, 'episode')} are not ok"
            for row in mostly
        )
    parts += _rejected(quality)
    parts += _bullets(
        f"profile {escape_md(row.profile)} rests on {plural(row.samples, 'sample')} "
        f"({plural(row.episodes, 'episode')}): its score speaks of them and of little else"
        for row in quality.low_diversity
    )
    if quality.bad_rows:
        rows = [
            [escape_md(row.host), escape_md(row.source), f"{row.read:,}", f"{row.dropped:,}"]
            for row in quality.bad_rows
        ]
        parts += [
            "",
            "Rows that were dropped:",
            "",
            table(["host", "source", "read", "dropped"], rows, "llrr"),
        ]
    if quality.logs:
        head = ["log channel", "rows", "not parsed", "no time", "no field", "cut", "year: assumed", "zone: assumed"]
        parts += ["", "Log rows of both sides:", "", table(head, [_log_row(row) for row in quality.logs], "lrrrrrrr")]
    parts += _bullets(escape_md(note) for note in quality.notes)
    return "\n".join(parts)


def _log_row(row: LogQuality) -> list[str]:
    counts = (row.rows, row.unparsed, row.untimed, row.bare, row.cut, row.year_assumed, row.zone_assumed)
    return [escape_md(row.channel), *(f"{n:,}" for n in counts)]


def _rejected(quality: DataQuality) -> list[str]:
    """The first episodes that were rejected, by their place in the store, and where all of them stand."""
    count = sum(host.rejected for host in quality.hosts)
    if not count:
        return []
    named = [
        f"- {escape_md(row.path)}: {escape_md(row.reason)}" + (f", {escape_md(row.detail)}" if row.detail else "")
        for row in quality.rejected[:_MANY]
    ]
    rest = [f"- and {count - len(named):,} more"] if count > len(named) else []
    how = "`rlstir validate --store STORE --out verdicts.jsonl` lists all of them, STORE being where the store lies."
    was = "was" if count == 1 else "were"
    return ["", f"{plural(count, 'episode')} {was} rejected and used nowhere. {how}", "", *named, *rest]


def probes_section(inputs: ReportInputs) -> str:
    if not inputs.probes:
        return ""
    rows = [
        [
            escape_md(probe.name),
            number(probe.value),
            number(probe.bound),
            f"**{escape_md(probe.verdict)}**" if probe.verdict != "ok" else "ok",
            escape_md(probe.detail),
        ]
        for probe in inputs.probes
    ]
    text = "## Leak probes\n\nChecks that nothing gives the answer away.\n\n"
    return text + table(["probe", "value", "bound", "verdict", "detail"], rows, "lrrll")


def manifest_section(inputs: ReportInputs) -> str:
    manifest = inputs.manifest
    parts = ["## Manifest"]
    named: Sequence[tuple[str, dict[str, str]]] = [
        ("counts", {name: f"{count:,}" for name, count in manifest.counts.items()}),
        ("hashes", manifest.hashes),
        ("config", {name: _setting(value) for name, value in manifest.config.items()}),
        ("versions", manifest.versions),
    ]
    for title, pairs in named:
        if pairs:
            rows = [[escape_md(name), escape_md(value)] for name, value in pairs.items()]
            parts.append(table([title, ""], rows, align="ll"))
    return "\n\n".join(parts)


def reading_section() -> str:
    return "## How to read this\n\n" + "\n".join(f"- {' '.join(line.split())}" for line in _READING)


def _side(name: str, side: SplitSide) -> list[str]:
    samples = f"{len(side.samples)}: {_some(side.samples)}" if side.samples else MISSING
    return [name, f"{side.episodes:,}", f"{side.windows:,}", _some(side.hosts) or MISSING, samples]


def _some(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(escape_md(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _host_row(row: HostQuality) -> list[str]:
    return [
        escape_md(row.host),
        f"{row.ok:,}",
        f"{row.degraded:,}",
        f"{row.rejected:,}",
        number(row.clock_offset_s),
        number(row.clock_drift_ppm, 1),
        causes(row.causes) or MISSING,
    ]


def _setting(value: object) -> str:
    return "none" if value is None else str(value)


def _bullets(lines: Iterable[str]) -> list[str]:
    found = [f"- {line}" for line in lines]
    return ["", *found] if found else []


def _rest(count: int) -> list[str]:
    return [f"- and {count - _MANY} more"] if count > _MANY else []
