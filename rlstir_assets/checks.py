"""Asset checks: what each asks, whether it blocks, and what it shows.

Every host and every recipe has a result of its own: checks have the partitions of their assets, which works in Dagster
1.13.27 for runs of one partition, and for ranges by `partition_results.py`; each result names its partition besides. A
check that blocks stops a run that would lie; what it protects is refused by the core as well, because a later run
knows nothing of a check that failed. What does not belong here: the verdicts themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from rlstir_assets.console import plain
from rlstir_assets.declarations import host_check
from rlstir_assets.reporting import table
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.episodes.store.index import StoreIndex
from rlstir_core.episodes.validation.gate import MAX_REJECTED
from rlstir_core.episodes.validation.validate import HostValidation
from rlstir_core.hostlogs.store import LogSummary
from rlstir_core.lab.leakage.gate import GATES, Gate

MAX_UNPARSED = 0.01  # of a log channel's rows; more says that a parser does not know the format
MAX_UNTIMED = 0.01  # of a log channel's rows; those stand at the time of the row before
MOST_HOSTS = 200  # in a table
_SMALL_FAULTS = (ReasonCode.INDEX_TORN, ReasonCode.INDEX_REPEATED)  # no record was lost by them

index_readable = dg.AssetCheckSpec("index_readable", asset="episode_index", description="No index line was lost.")
source_is_here = dg.AssetCheckSpec(
    "source_is_here", asset="synced_episodes", description="Every episode that the source names came or was there."
)
verdict_rates = host_check(
    "verdict_rates", asset="validation", blocking=True, description="At most half of a host's episodes are rejected."
)
parse_failures = host_check(
    "parse_failures",
    asset="log_events",
    description="At most one row in a hundred of a log channel could not be parsed.",
)
log_times = host_check(
    "log_times",
    asset="log_events",
    description="At most one event in a hundred of a log channel says no time, and no year had to be assumed.",
)
lab_gates = [
    dg.AssetCheckSpec(name, asset="lab_checks", blocking=True, description=f"Generated stores: {asks}.")
    for name, asks in GATES.items()
]


def source_came(left: int, refused: int) -> dg.AssetCheckResult:
    """`source_is_here`: how many episodes or lines of the source did not come."""
    return dg.AssetCheckResult(
        check_name=source_is_here.name,
        passed=not left and not refused,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"left for the next time": left, "refused": refused},
    )


def index_was_read(index: StoreIndex) -> dg.AssetCheckResult:
    """`index_readable`: how many lines were lost."""
    lost = sum(fault.reason not in _SMALL_FAULTS for fault in index.faults)
    return dg.AssetCheckResult(
        check_name=index_readable.name,
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"lost": lost, "torn": len(index.faults) - lost},
    )


def host_is_believable(host: str, found: HostValidation | None, refused: str = "") -> dg.AssetCheckResult:
    """`verdict_rates` of one host: its share, or what was refused so that good verdicts stay."""
    sentence = refused if found is None else "" if found.believable else found.sentence
    metadata: dict[str, str | int] = {"host": host, "limit": f"{MAX_REJECTED:.0%} of the episodes"}  # no plot of it
    if found is not None:
        metadata |= {"rejected": found.count("reject"), "episodes": len(found.rows)}
    if sentence:
        metadata["detail"] = plain(sentence)
    return dg.AssetCheckResult(check_name=verdict_rates.name, passed=not sentence, metadata=metadata)


def rows_were_parsed(host: str, summary: LogSummary) -> dg.AssetCheckResult:
    """`parse_failures` of one host: the channels whose parser does not know the format."""
    bad = [channel for channel, n in summary.rows.items() if summary.unparsed.get(channel, 0) > MAX_UNPARSED * n]
    return dg.AssetCheckResult(
        check_name=parse_failures.name,
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "host": host,
            "channels over the limit": plain(", ".join(bad[:20])) or "none",
            "limit": f"{MAX_UNPARSED:.0%} of a channel's rows",
        },
    )


def rows_say_times(host: str, summary: LogSummary) -> dg.AssetCheckResult:
    """`log_times` of one host: the channels whose events say no time, and years that nobody says."""
    bad = [channel for channel, n in summary.rows.items() if summary.untimed.get(channel, 0) > MAX_UNTIMED * n]
    return dg.AssetCheckResult(
        check_name=log_times.name,
        passed=not bad and not summary.year_assumed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "host": host,
            "channels over the limit": plain(", ".join(bad[:20])) or "none",
            "limit": f"{MAX_UNTIMED:.0%} of a channel's rows",
            "rows whose year is assumed": sum(summary.year_assumed.values()),
        },
    )


def together(check: dg.AssetCheckSpec, found: Mapping[str, dg.AssetCheckResult]) -> dg.AssetCheckResult:
    """What the results of several hosts come to: it passes where all do."""
    rows: list[dict[str, str | bool]] = [
        {"host": host, "passed": result.passed, "detail": _detail(result)} for host, result in found.items()
    ]
    worst = [result.severity for result in found.values() if not result.passed]
    return dg.AssetCheckResult(
        check_name=check.name,
        passed=not worst,
        severity=worst[0] if worst else dg.AssetCheckSeverity.ERROR,
        metadata={"hosts": table(rows[:MOST_HOSTS])},
    )


def _detail(result: dg.AssetCheckResult) -> str:
    told = (result.metadata or {}).get("detail")
    return str(getattr(told, "value", told) or "")


def gate_holds(gate: Gate) -> dg.AssetCheckResult:
    """A gate of the lab: the figure with its interval, the bar, and how many episodes it was found in."""
    figure = gate.figure
    metadata: dict[str, str | int | float] = {"bar": gate.bar, "episodes": gate.n, "detail": plain(gate.detail)}
    if figure is None:
        metadata["figure"] = "not a generated store" if not gate.n else "nothing to tell apart"
    else:
        metadata |= {"figure": round(figure.value, 4), "lo": round(figure.lo, 4), "hi": round(figure.hi, 4)}
    if not gate.judged:
        metadata["not judged"] = "too few generated episodes"
    return dg.AssetCheckResult(check_name=gate.name, passed=gate.passed, metadata=metadata)
