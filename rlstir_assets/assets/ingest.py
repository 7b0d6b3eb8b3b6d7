"""Group `ingest`: which episodes there are, and what may be believed of them."""

from collections import Counter

import dagster as dg

from rlstir_assets.partitions import HOST_PARTITION, hosts
from rlstir_assets.reporting import OWNERS, counter, refusals, table
from rlstir_assets.resources import Settings
from rlstir_core.episodes.gone import remove_gone_hosts
from rlstir_core.episodes.index import read_index, save_index
from rlstir_core.episodes.validate import validate_host

GROUP = "ingest"
MAX_REJECTED = 0.5  # a host of which more is rejected says more of its recorder than of malware


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"json"},
    description="Every readable line of the store's `index.jsonl`, and every fault by its line. Registers the hosts "
    "as partitions, and takes away what was made of hosts that the index names no more.",
    check_specs=[dg.AssetCheckSpec("index_readable", asset="episode_index", description="No index line was lost.")],
)
def episode_index(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    with refusals():
        index = read_index(settings.store_path)
        gone = remove_gone_hosts(settings.layout, index.hosts, counter(context))
        save_index(settings.layout.index, index)
    context.instance.add_dynamic_partitions(HOST_PARTITION, list(index.hosts))
    per_host = Counter(entry.host_id for entry in index.entries)
    lost = [fault for fault in index.faults if fault.reason not in ("index.torn", "index.repeated")]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(index.entries),
            "episodes": table([{"host": host, "episodes": n} for host, n in sorted(per_host.items())]),
            "faults": table([{"line": f.line, "reason": f.reason, "detail": f.detail} for f in index.faults[:50]]),
            "orphans": len(index.orphans),
            "hosts taken away": ", ".join(gone) or "none",
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="index_readable",
                passed=not lost,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"lost": len(lost), "torn": len(index.faults) - len(lost)},
            )
        ],
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=hosts,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[episode_index],
    description="One verdict an episode (ok, degraded, reject) with its reason, and the typed rows of every usable "
    "one. Only new and changed tarballs are decoded.",
    check_specs=[
        dg.AssetCheckSpec(
            "verdict_rates",
            asset="validation",
            blocking=True,
            description="At most half of a host's episodes are rejected.",
        )
    ],
)
def validation(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    found = []
    with refusals():
        index, registry = settings.index(), settings.registry()
        for host in context.partition_keys:
            found.append(
                validate_host(
                    settings.store_path,
                    settings.layout,
                    host,
                    registry=registry,
                    index=index,
                    progress=counter(context),
                )
            )
    bad = [v.host for v in found if v.rows and v.count("reject") > MAX_REJECTED * len(v.rows)]
    reasons = Counter(reason for v in found for row in v.rows for reason in row.reasons)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(len(v.rows) for v in found),
            "decoded": sum(v.n_decoded for v in found),
            "verdicts": table(
                [
                    {
                        "host": v.host,
                        "ok": v.count("ok"),
                        "degraded": v.count("degraded"),
                        "rejected": v.count("reject"),
                        "decoded": v.n_decoded,
                        "unchanged": v.n_unchanged,
                        "removed": v.n_removed,
                    }
                    for v in found
                ]
            ),
            "reasons": table([{"reason": reason, "episodes": n} for reason, n in reasons.most_common(20)]),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="verdict_rates",
                passed=not bad,
                metadata={"hosts over the limit": ", ".join(bad) or "none", "limit": MAX_REJECTED},
            )
        ],
    )
