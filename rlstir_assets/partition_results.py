"""Results of partitions: each has metadata, a data version and checks of its own, though one run makes a range of them.

What does not belong here: what is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

# What Dagster notes beside a check's result of one partition has no public name.
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

Metadata = Mapping[str, dg.MetadataValue | dg.TableMetadataValue | str | int | float | bool]
if TYPE_CHECKING:
    Events = Iterator[dg.MaterializeResult | dg.AssetMaterialization | dg.AssetCheckResult]
else:  # Dagster reads the annotation of an asset, and takes a range only where it finds this one
    Events = Iterator[dg.MaterializeResult]

# Dagster gives all partitions of a range one data version. What its own event loop does where a body has said all
# about its partitions itself (observable sources) is done here: the body tells an event per partition, and the output
# carries the key that keeps the common event away. Neither this key nor the tags have a public name in 1.13.
_TOLD_ALREADY = "__source_asset_observation__"
_DATA_VERSION = "dagster/data_version"
_OWN_VERSION = "dagster/data_version_is_user_provided"
_CODE_VERSION = "dagster/code_version"
_INPUT_VERSION = "dagster/input_data_version"
_INPUT_EVENT = "dagster/input_event_pointer"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was made of one partition; `data_version` is a function of its content."""

    metadata: Metadata
    data_version: str


def partition_results(context: dg.AssetExecutionContext, make: Callable[[str], Part | None]) -> Events:
    """Makes every partition of the run and tells of each as soon as it is made; None where nothing was to tell."""
    keys = context.partition_keys
    for key in keys:
        part = make(key)
        if part is None:
            continue
        if len(keys) == 1:
            yield dg.MaterializeResult(metadata=part.metadata, data_version=dg.DataVersion(part.data_version))
            return
        yield dg.AssetMaterialization(
            context.asset_key, partition=key, metadata=part.metadata, tags=_versions(context, key, part.data_version)
        )
    yield dg.MaterializeResult(metadata={_TOLD_ALREADY: True})


def told_of(context: dg.AssetExecutionContext, partition: str, part: Part) -> None:
    """Tells of a partition of this asset that was brought up to date beside the one that was asked for."""
    tags = _versions(context, partition, part.data_version)
    context.log_event(
        dg.AssetMaterialization(context.asset_key, partition=partition, metadata=part.metadata, tags=tags)
    )


def partition_checks(
    context: dg.AssetExecutionContext, found: Mapping[str, dg.AssetCheckResult], together: dg.AssetCheckResult
) -> Iterator[dg.AssetCheckResult]:
    """The result of a check for every partition of the run.

    Dagster knows one result a check and step, of the one partition that the step has. Those of a range are told one
    by one, and `together`, which Dagster asks for, stands beside them for no partition.
    """
    if len(context.partition_keys) == 1:
        yield next(iter(found.values()), together)
        return
    for partition, result in found.items():
        made = _latest(context.instance, context.asset_key, partition)
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=context.asset_key,
                check_name=str(result.check_name),
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
                blocking=context.assets_def.get_spec_for_check_key(
                    dg.AssetCheckKey(context.asset_key, str(result.check_name))
                ).blocking,
                partition=partition,
                target_materialization_data=None
                if made is None
                else AssetCheckEvaluationTargetMaterializationData(
                    storage_id=made.storage_id, run_id=made.run_id, timestamp=made.timestamp
                ),
            )
        )
    yield together


def _versions(context: dg.AssetExecutionContext, partition: str, data_version: str) -> dict[str, str]:
    """The tags by which the UI and automation see what is out of date."""
    key = context.asset_key
    tags = {_DATA_VERSION: data_version, _OWN_VERSION: "true"}
    code_version = context.assets_def.get_asset_spec(key).code_version
    if code_version is not None:
        tags[_CODE_VERSION] = code_version
    for upstream in context.assets_def.asset_deps[key]:
        found = _latest(context.instance, upstream, partition)
        if found is not None and found.asset_materialization is not None:
            tags[f"{_INPUT_VERSION}/{upstream.to_user_string()}"] = (found.asset_materialization.tags or {}).get(
                _DATA_VERSION, "INITIAL"
            )
            tags[f"{_INPUT_EVENT}/{upstream.to_user_string()}"] = str(found.storage_id)
    return tags


def _latest(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> dg.EventLogRecord | None:
    """The last time that `key` was made: this partition, or where it has none, all of it."""
    for partitions in ([partition], None):
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions), limit=1
        ).records
        if records:
            return records[0]
    return None
