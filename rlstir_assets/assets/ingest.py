"""Group `ingest`: which episodes there are, and what may be believed of them."""

from collections import Counter

import dagster as dg

from rlstir_assets import checks
from rlstir_assets.console import plain
from rlstir_assets.declarations import host_asset, hosts_workers, opened_hosts, plain_asset
from rlstir_assets.partition_results import Events, Part, partition_checks, partition_results
from rlstir_assets.partitions import register_hosts
from rlstir_assets.reporting import column_schema, counter, failing, refusals, table, types_of
from rlstir_assets.resources import Settings
from rlstir_core.atomic import canonical_sha256, file_sha256
from rlstir_core.contract import columns
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.episodes.store.writer import INDEX_NAME
from rlstir_core.episodes.validation.gate import VerdictsRefused
from rlstir_core.episodes.validation.validate import HostValidation, validate_host
from rlstir_core.episodes.validation.verdicts import VALIDATION_SCHEMA
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.results.versions import version
from rlstir_core.sync.run import Synced, sync_episodes
from rlstir_core.sync.sources import LinkCut, source_of

GROUP = "ingest"
_NUMBERS = ("bytes", "received_wall_ns")
_LINES = column_schema({name: "int64" if name in _NUMBERS else "string" for name in columns.INDEX}, columns.INDEX)


@plain_asset(
    group=GROUP,
    stage="index",
    kind="json",
    description="New episodes of another store, where a source is set (`sync_source`): each tarball is checked against "
    "its hash and its line appended to the store's index. A source that does not answer stops nothing: what is there "
    "is used, and the check says so.",
    metadata=_LINES,
    check_specs=[checks.source_is_here],
)
def synced_episodes(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    settings.name_place()
    if not settings.sync_source:
        return dg.MaterializeResult(
            metadata={"source": "none is set (RLSTIR_SYNC)"},
            data_version=dg.DataVersion("no source"),
            check_results=[checks.source_came(0, 0)],
        )
    with refusals():
        settings.check()
        try:
            source = source_of(settings.sync_source)
            made = sync_episodes(source, settings.store_path, progress=counter(context))
        except (LinkCut, ConfigError, StoreError) as error:  # a folder that is not mounted, or a link that is down
            made = Synced(source="", store=settings.store)
            made.left.add(f"nothing came of the source: {error}")
    for sentence in made.sentences():
        context.log.info(plain(sentence))
    index = settings.store_path / INDEX_NAME
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": made.named,
            "source": plain(made.source) or "it did not answer",
            "fetched": made.fetched,
            "bytes": made.n_bytes,
            "there already": made.there_already,
            "what happened": table([{"line": plain(sentence)} for sentence in made.sentences()]),
        },
        data_version=dg.DataVersion(file_sha256(index) if index.exists() else "no index"),
        check_results=[checks.source_came(made.left.n, made.refused.n)],
    )


@plain_asset(
    group=GROUP,
    stage="index",
    kind="json",
    deps=[synced_episodes],
    description="Every readable line of the store's `index.jsonl`, and every fault by its line. Binds the data folder "
    "to the store, registers the hosts as partitions, and takes away what was made of hosts that are gone.",
    metadata=_LINES,
    check_specs=[checks.index_readable],
)
def episode_index(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    settings.name_place()
    with refusals():
        settings.check()
        made = refresh_index(settings.store_path, settings.layout, prune=settings.prune, progress=counter(context))
    index = made.index
    register_hosts(context.instance, index.hosts, made.departed)
    per_host = Counter(entry.host_id for entry in index.entries)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(index.entries),
            "episodes": table([{"host": host, "episodes": n} for host, n in sorted(per_host.items())]),
            "faults": table([{"line": f.line, "reason": f.reason, "detail": f.detail} for f in index.faults[:50]]),
            "orphans": len(index.orphans),
            "hosts taken away": ", ".join(made.departed) or "none",
        },
        data_version=dg.DataVersion(canonical_sha256([version("index"), index])),
        check_results=[checks.index_was_read(index)],
    )


@host_asset(
    group=GROUP,
    stage="rows",
    kind="parquet",
    deps=[episode_index],
    description="One verdict per episode (ok, degraded, reject) with its reason, and the typed rows of every usable "
    "one. Only new and changed tarballs are decoded, and verdicts that reject most of a host never replace good ones.",
    metadata=column_schema(types_of(VALIDATION_SCHEMA), columns.VALIDATION),
    check_specs=[checks.verdict_rates],
)
def validation(context: dg.AssetExecutionContext, settings: Settings) -> Events:
    found: list[HostValidation] = []
    refused: dict[str, str] = {}
    opened = opened_hosts(context, settings)
    workers = hosts_workers(settings)

    def validate(host: str) -> Part | None:
        try:
            with refusals(but=VerdictsRefused):
                made = validate_host(
                    opened.store,
                    opened.layout,
                    host,
                    registry=opened.registry,
                    index=opened.index,
                    progress=counter(context),
                    workers=workers,
                )
        except VerdictsRefused as error:
            refused[host] = str(error)
            return None
        found.append(made)
        return _told(made)

    yield from partition_results(context, validate)
    results = {each.host: checks.host_is_believable(each.host, each) for each in found}
    results |= {host: checks.host_is_believable(host, None, sentence) for host, sentence in refused.items()}
    yield from partition_checks(context, results, checks.together(checks.verdict_rates, results))
    if not all(result.passed for result in results.values()):
        raise failing(
            [*refused.values(), *(f"verdict_rates: {each.sentence}" for each in found if not each.believable)]
        )


def _told(made: HostValidation) -> Part:
    reasons = Counter(reason for row in made.rows for reason in row.reasons)
    return Part(
        metadata={
            "dagster/row_count": len(made.rows),
            "ok": made.count("ok"),
            "degraded": made.count("degraded"),
            "rejected": made.count("reject"),
            "decoded": made.n_decoded,
            "unchanged": made.n_unchanged,
            "removed": made.n_removed,
            "reasons": table([{"reason": reason, "episodes": n} for reason, n in reasons.most_common(20)]),
        },
        data_version=canonical_sha256([version("rows"), made.rows]),
    )
