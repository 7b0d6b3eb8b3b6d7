"""Group `logs`: what the logs of every host say, as rows and as graphs, and whether generated ones tell too much."""

from collections import Counter

import dagster as dg

from rlstir_assets import checks
from rlstir_assets.assets.ingest import validation
from rlstir_assets.console import plain
from rlstir_assets.declarations import host_asset, hosts_workers, opened_hosts, plain_asset
from rlstir_assets.partition_results import Events, Part, partition_checks, partition_results
from rlstir_assets.reporting import column_schema, counter, failing, png, refusals, table, types_of
from rlstir_assets.resources import Settings
from rlstir_core.atomic import canonical_sha256
from rlstir_core.contract import columns
from rlstir_core.hostlogs.store import LogSummary, build_log_events
from rlstir_core.hostlogs.table import SCHEMA
from rlstir_core.lab.leakage.gate import PRINTED
from rlstir_core.provenance.store import build_graphs, largest_tree
from rlstir_core.provenance.tables import SCHEMAS
from rlstir_core.results.lab_outcome import lab_inputs_sha256
from rlstir_core.results.ledger import held_sha256

GROUP = "logs"


@host_asset(
    group=GROUP,
    stage="log_rows",
    kind="parquet",
    deps=[validation],
    description="A row per event of the host logs (auditd, auth, journald, Sysmon, EVTX), with templates, labels and "
    "tamper spans by the episode's truth.",
    metadata=column_schema(types_of(SCHEMA), columns.LOG_EVENTS),
    check_specs=[checks.parse_failures, checks.log_times],
)
def log_events(context: dg.AssetExecutionContext, settings: Settings) -> Events:
    found: dict[str, LogSummary] = {}
    opened = opened_hosts(context, settings)
    workers = hosts_workers(settings)

    def build(host: str) -> Part:
        with refusals():
            found[host] = build_log_events(opened.store, opened.layout, host, counter(context), workers)
        return _rows_told(found[host], held_sha256(opened.layout.log_events(host), "log_rows"))

    yield from partition_results(context, build)
    for spec, asked in ((checks.parse_failures, checks.rows_were_parsed), (checks.log_times, checks.rows_say_times)):
        results = {host: asked(host, summary) for host, summary in found.items()}
        yield from partition_checks(context, results, checks.together(spec, results))


def _rows_told(summary: LogSummary, data_version: str) -> Part:
    channels: list[dict[str, str | int | float]] = [
        {
            "channel": channel,
            "rows": n,
            "not parsed": summary.unparsed.get(channel, 0),
            "share": summary.unparsed.get(channel, 0) / n,
            "no time": summary.untimed.get(channel, 0),
            "no field": summary.bare.get(channel, 0),
        }
        for channel, n in summary.rows.items()
    ]
    templates: list[dict[str, str | int]] = [
        {"template": text[:300], "id": identity, "rows": n} for identity, n, text in summary.top_templates
    ]
    return Part(
        metadata={
            "dagster/row_count": sum(summary.rows.values()),
            "made": summary.made,
            "channels": table(channels[:200]),
            "top_templates": table(templates[:100]),
            "duplicates": summary.duplicates,
            "header and event disagree": summary.mismatches,
            "year assumed": sum(summary.year_assumed.values()),
            "zone assumed": sum(summary.zone_assumed.values()),
            "rows over the bound": summary.left_out,
        },
        data_version=data_version,
    )


@host_asset(
    group=GROUP,
    stage="graph",
    kind="parquet",
    deps=[log_events],
    description="Processes, files and sockets of every episode with logs, and who made, read, wrote or called whom: "
    "four Parquet tables per episode, every edge with the log rows behind it.",
    metadata=column_schema(
        {f"{name}.{column}": kind for name, schema in SCHEMAS.items() for column, kind in types_of(schema).items()},
        {f"{name}.{column}": words for name, of_table in columns.GRAPHS.items() for column, words in of_table.items()},
    ),
)
def provenance_graphs(context: dg.AssetExecutionContext, settings: Settings) -> Events:
    opened = opened_hosts(context, settings)
    workers = hosts_workers(settings)

    def build(host: str) -> Part:
        with refusals():
            summary = build_graphs(opened.layout, host, counter(context), workers)
            picture = largest_tree(opened.layout, [host])
        left_out = Counter(summary.left_out).most_common(20)
        return Part(
            metadata={
                "dagster/row_count": sum(summary.nodes.values()) + sum(summary.edges.values()),
                "made": summary.made,
                "graphs": summary.made + summary.unchanged,
                **summary.nodes,
                **summary.edges,
                "facts left out": sum(summary.left_out.values()),
                "left out": table([{"reason": reason, "facts": n} for reason, n in left_out]),
                "a tree": dg.MetadataValue.md(png(picture, "process tree")) if picture else "no process has a parent",
            },
            data_version=held_sha256(opened.layout.graphs(host), "graph"),
        )

    yield from partition_results(context, build)


@plain_asset(
    group=GROUP,
    stage="lab_checks",
    kind="json",
    deps=[dg.AssetDep(log_events, partition_mapping=dg.AllPartitionMapping())],  # of every host
    description="Generated stores only: whether words, templates, counts or tampering give the answer away. What leaks "
    "is not trained on; ingest goes on all the same.",
    check_specs=checks.lab_gates,
)
def lab_checks(context: dg.AssetExecutionContext, settings: Settings) -> Events:
    from rlstir_core.lab.leakage.gates import gates

    with refusals():
        opened = settings.opened()
        context.log.info("looking for what gives generated episodes away")
        found = gates(opened.store, opened.layout, opened.index.hosts)
        inputs = lab_inputs_sha256(opened.layout, opened.index.hosts)
    shown = [
        {
            "figure": gate.name,
            "value": gate.figure.value if gate.figure else None,
            "lo": gate.figure.lo if gate.figure else None,
            "hi": gate.figure.hi if gate.figure else None,
            "bar": gate.bar,
            "judged": gate.judged,
            "detail": plain(gate.detail),
        }
        for gate in found
    ]
    yield dg.MaterializeResult(
        metadata={"generated episodes": max((gate.n for gate in found), default=0), "figures": table(shown)},
        data_version=dg.DataVersion(canonical_sha256([inputs, [(g.name, g.passed, g.figure) for g in found]])),
        check_results=[checks.gate_holds(gate) for gate in found if gate.name not in PRINTED],
    )
    leaks = [gate.sentence for gate in found if not gate.passed]
    if leaks:
        raise failing(leaks)
