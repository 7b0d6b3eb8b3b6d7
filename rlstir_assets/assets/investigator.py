"""Group `investigator`: what the logs of every host say, as rows and as graphs."""

from collections import Counter

import dagster as dg

from rlstir_assets.assets.ingest import validation
from rlstir_assets.console import plain
from rlstir_assets.partitions import hosts
from rlstir_assets.reporting import OWNERS, counter, png, refusals, table
from rlstir_assets.resources import Settings
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.leakage.gates import GATES, Gate, gates
from rlstir_core.provenance.store import build_graphs, largest_tree

GROUP = "investigator"
MAX_UNPARSED = 0.01  # of a log channel's rows; more says that a parser does not know the format


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=hosts,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[validation],
    description="A row an event of the host logs (auditd, auth, journald, Sysmon, EVTX), with templates, labels and "
    "tamper spans by the episode's truth.",
    check_specs=[
        dg.AssetCheckSpec(
            "parse_failures",
            asset="log_events",
            description="At most one row in a hundred of a log channel could not be parsed.",
        ),
        *(
            dg.AssetCheckSpec(f"lab_{name}", asset="log_events", blocking=True, description=f"Generated stores: {asks}")
            for name, asks in GATES.items()
        ),
    ],
)
def log_events(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    with refusals():
        found = {
            host: build_log_events(settings.store_path, settings.layout, host, counter(context))
            for host in context.partition_keys
        }
        context.log.info("honesty gates of generated episodes")
        judged = gates(settings.store_path, settings.layout, settings.index().hosts)
    channels = [
        {
            "host": host,
            "channel": channel,
            "rows": n,
            "not parsed": summary.unparsed.get(channel, 0),
            "share": summary.unparsed.get(channel, 0) / n,
        }
        for host, summary in found.items()
        for channel, n in summary.rows.items()
    ]
    bad = [f"{row['host']} {row['channel']}" for row in channels if float(str(row["share"])) > MAX_UNPARSED]
    templates = [
        {"host": host, "template": text[:300], "id": identity, "rows": n}
        for host, summary in found.items()
        for identity, n, text in summary.top_templates
    ]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(sum(summary.rows.values()) for summary in found.values()),
            "made": sum(summary.made for summary in found.values()),
            "channels": table(channels[:200]),
            "top_templates": table(templates[:100]),
            "duplicates": sum(summary.duplicates for summary in found.values()),
            "header and event disagree": sum(summary.mismatches for summary in found.values()),
            "rows over the bound": sum(summary.left_out for summary in found.values()),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="parse_failures",
                passed=not bad,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"channels over the limit": ", ".join(bad[:20]) or "none", "limit": MAX_UNPARSED},
            ),
            *(gate_result(gate) for gate in judged),
        ],
    )


def gate_result(gate: Gate) -> dg.AssetCheckResult:
    """A gate as the UI shows it: the figure with its interval, the bar, and how many episodes it was found in."""
    figure = gate.figure
    said: dict[str, str | int | float] = {"bar": gate.bar, "episodes": gate.n, "detail": plain(gate.detail)}
    if figure is None:
        said["figure"] = "not a generated store" if not gate.n else "nothing to tell apart"
    else:
        said |= {"figure": round(figure.value, 3), "lo": round(figure.lo, 3), "hi": round(figure.hi, 3)}
    if not gate.judged:
        said["not judged"] = "too few generated episodes"
    return dg.AssetCheckResult(check_name=f"lab_{gate.name}", passed=gate.passed, metadata=said)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=hosts,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[log_events],
    description="Processes, files and sockets of every episode with logs, and who made, read, wrote or called whom: "
    "four Parquet tables an episode, every edge with the log rows behind it.",
)
def provenance_graphs(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    with refusals():
        found = {host: build_graphs(settings.layout, host, counter(context)) for host in context.partition_keys}
        picture = largest_tree(settings.layout, context.partition_keys)
    rows = [
        {
            "host": host,
            "graphs": summary.made + summary.unchanged,
            **summary.nodes,
            **summary.edges,
            "facts left out": sum(summary.left_out.values()),
        }
        for host, summary in found.items()
    ]
    reasons: Counter[str] = Counter()
    for summary in found.values():
        reasons.update(summary.left_out)
    return dg.MaterializeResult(
        metadata={
            "made": sum(summary.made for summary in found.values()),
            "graphs": table(rows[:200]),
            "left out": table([{"reason": reason, "facts": n} for reason, n in reasons.most_common(20)]),
            "a tree": dg.MetadataValue.md(png(picture, "process tree")) if picture else "no process has a parent",
        }
    )
