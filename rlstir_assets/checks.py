"""Asset checks: what each asks, whether it blocks, and what it shows; results name the partition in their metadata.

A check that blocks stops a run that would lie; what it protects is refused by the core as well, because a later run
knows nothing of a check that failed. What does not belong here: the verdicts themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from rlstir_assets.console import plain
from rlstir_assets.reporting import table
from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.episodes.store.index import StoreIndex
from rlstir_core.episodes.validation.gate import MAX_REJECTED
from rlstir_core.episodes.validation.validate import HostValidation
from rlstir_core.hostlogs.store import LogSummary
from rlstir_core.lab.leakage.gate import GATES, Gate

MAX_UNPARSED = 0.01  # of a log channel's rows; more says that a parser does not know the format
_SMALL_FAULTS = (ReasonCode.INDEX_TORN, ReasonCode.INDEX_REPEATED)  # no record was lost by them

index_readable = dg.AssetCheckSpec("index_readable", asset="episode_index", description="No index line was lost.")
verdict_rates = dg.AssetCheckSpec(
    "verdict_rates", asset="validation", blocking=True, description="At most half of a host's episodes are rejected."
)
parse_failures = dg.AssetCheckSpec(
    "parse_failures",
    asset="log_events",
    description="At most one row in a hundred of a log channel could not be parsed.",
)
lab_gates = [
    dg.AssetCheckSpec(name, asset="lab_checks", blocking=True, description=f"Generated stores: {asks}.")
    for name, asks in GATES.items()
]


def index_was_read(index: StoreIndex) -> dg.AssetCheckResult:
    """`index_readable`: how many lines were lost."""
    lost = sum(fault.reason not in _SMALL_FAULTS for fault in index.faults)
    return dg.AssetCheckResult(
        check_name=index_readable.name,
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"lost": lost, "torn": len(index.faults) - lost},
    )


def hosts_are_believable(found: Sequence[HostValidation], refused: Mapping[str, str]) -> dg.AssetCheckResult:
    """`verdict_rates`: the share of every host, and what was refused so that good verdicts stay."""
    hosts: list[dict[str, str | int | None]] = [
        {
            "host": each.host,
            "rejected": each.count("reject"),
            "episodes": len(each.rows),
            "message": each.sentence if not each.believable else "",
        }
        for each in found
    ]
    hosts += [
        {"host": host, "rejected": None, "episodes": None, "message": sentence} for host, sentence in refused.items()
    ]
    return dg.AssetCheckResult(
        check_name=verdict_rates.name,
        passed=not refused and all(each.believable for each in found),
        metadata={"hosts": table(hosts), "limit": MAX_REJECTED},
    )


def rows_were_parsed(found: Mapping[str, LogSummary]) -> dg.AssetCheckResult:
    """`parse_failures`: the channels of every host whose parser does not know the format."""
    bad = [
        f"{host} {channel}"
        for host, summary in found.items()
        for channel, n in summary.rows.items()
        if summary.unparsed.get(channel, 0) > MAX_UNPARSED * n
    ]
    return dg.AssetCheckResult(
        check_name=parse_failures.name,
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "hosts": ", ".join(found),
            "channels over the limit": ", ".join(bad[:20]) or "none",
            "limit": MAX_UNPARSED,
        },
    )


def gate_holds(gate: Gate) -> dg.AssetCheckResult:
    """A gate of the lab: the figure with its interval, the bar, and how many episodes it was found in."""
    figure = gate.figure
    metadata: dict[str, str | int | float] = {"bar": gate.bar, "episodes": gate.n, "detail": plain(gate.detail)}
    if figure is None:
        metadata["figure"] = "not a generated store" if not gate.n else "nothing to tell apart"
    else:
        metadata |= {"figure": round(figure.value, 3), "lo": round(figure.lo, 3), "hi": round(figure.hi, 3)}
    if not gate.judged:
        metadata["not judged"] = "too few generated episodes"
    return dg.AssetCheckResult(check_name=gate.name, passed=gate.passed, metadata=metadata)
