"""Group `telemetry`: the feature schema, and tensors and summary features of every host."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from rlstir_assets.assets.ingest import episode_index, validation
from rlstir_assets.declarations import host_asset, hosts_workers, opened_hosts, plain_asset
from rlstir_assets.partition_results import Events, Part, partition_results
from rlstir_assets.reporting import column_schema, counter, refusals, table
from rlstir_assets.resources import Settings
from rlstir_core.contract import columns
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import held_sha256
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import WINDOW_TYPES, BuildSummary, build_features, build_tensors
from rlstir_core.telemetry.window_table import TABLE, count_windows

GROUP = "telemetry"
_STATISTICS = {**columns.STATISTICS, **columns.OF_PARTS}


@plain_asset(
    group=GROUP,
    stage="schema",
    kind="json",
    deps=[episode_index],
    description="Channels, windowing, normaliser, statistics and columns, with the hash that features and checkpoints "
    "carry.",
)
def feature_schema(settings: Settings) -> dg.MaterializeResult:
    with refusals():
        opened = settings.opened()
        schema = make_schema(opened.registry, settings.normalise)
        write_schema(opened.layout.feature_schema, schema)
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


@host_asset(
    group=GROUP,
    stage="tensors",
    kind="safetensors",
    deps=[feature_schema, validation],
    description="Channel x time, float32, with a missingness mask: one file per episode.",
)
def window_tensors(context: dg.AssetExecutionContext, settings: Settings) -> Events:
    yield from _build(context, settings, build_tensors, Layout.tensors, "tensors")


@host_asset(
    group=GROUP,
    stage="features",
    kind="parquet",
    deps=[window_tensors],
    description="A row per window: keys, labels, purity, summary statistics and missingness. The columns of statistics "
    "are `<series>|<statistic>`; `feature_schema` lists the channels that series are made of.",
    metadata=column_schema(
        {**WINDOW_TYPES, **{f"<series>|{statistic}": "float" for statistic in _STATISTICS}},
        {**columns.WINDOW_KEYS, **{f"<series>|{name}": words for name, words in _STATISTICS.items()}},
    ),
)
def window_features(context: dg.AssetExecutionContext, settings: Settings) -> Events:
    yield from _build(context, settings, build_features, Layout.features, "features")


def _build(
    context: dg.AssetExecutionContext,
    settings: Settings,
    build: Callable[..., BuildSummary],
    folder: Callable[[Layout, str], Path],
    stage: str,
) -> Events:
    opened = opened_hosts(context, settings)
    workers = hosts_workers(settings)

    def build_one(host: str) -> Part:
        with refusals():
            summary = build(opened.layout, host, opened.registry, counter(context), workers)
        metadata = {"dagster/row_count": count_windows(opened.layout.tensors(host) / TABLE), **summary}
        return Part(metadata=metadata, data_version=held_sha256(folder(opened.layout, host), stage))

    return partition_results(context, build_one)
