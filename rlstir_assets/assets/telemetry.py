"""Group `telemetry`: the feature schema, and tensors and summary features of every host."""

from collections.abc import Callable

import dagster as dg

from rlstir_assets.assets.ingest import episode_index, validation
from rlstir_assets.partitions import hosts
from rlstir_assets.reporting import OWNERS, counter, refusals, table
from rlstir_assets.resources import Settings
from rlstir_core.contract.registry import Registry
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import BuildSummary, build_features, build_tensors

GROUP = "telemetry"


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"json"},
    deps=[episode_index],
    description="Channels, windowing, normaliser, statistics and columns, with the hash that features and checkpoints "
    "carry.",
)
def feature_schema(settings: Settings) -> dg.MaterializeResult:
    with refusals():
        schema = make_schema(settings.registry(), settings.normalise)
        write_schema(settings.layout.feature_schema, schema)
    channels = [
        {"channel": c.name, "kind": c.kind, "unit": c.unit, "scale": c.scale, "vantage": c.vantage}
        for c in schema.channels
    ]
    return dg.MaterializeResult(
        metadata={
            "sha256": schema.sha256,
            "channels": table(channels),
            "columns": len(schema.columns),
            "normalise": schema.normalise,
        },
        data_version=dg.DataVersion(schema.sha256),
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"safetensors"},
    partitions_def=hosts,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[feature_schema, validation],
    description="Channel x time, float32, with a missingness mask: one file an episode.",
)
def window_tensors(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    return _build(context, settings, build_tensors)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=hosts,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[window_tensors],
    description="A row a window: keys, labels, purity, summary statistics and missingness.",
)
def window_features(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    return _build(context, settings, build_features)


def _build(
    context: dg.AssetExecutionContext, settings: Settings, build: Callable[..., BuildSummary]
) -> dg.MaterializeResult:
    layout: Layout = settings.layout
    with refusals():
        registry: Registry = settings.registry()
        found = {host: build(layout, host, registry, counter(context)) for host in context.partition_keys}
    return dg.MaterializeResult(
        metadata={
            "made": sum(summary["made"] for summary in found.values()),
            "episodes": table([{"host": host, **summary} for host, summary in found.items()]),
        }
    )
