"""Group `datasets`: who trains, who validates and who tests."""

import dagster as dg

from rlstir_assets.assets.ingest import validation
from rlstir_assets.assets.telemetry import window_tensors
from rlstir_assets.declarations import recipe_asset, recipe_check
from rlstir_assets.reporting import refusals, table
from rlstir_assets.resources import Settings

GROUP = "datasets"


@recipe_asset(
    group=GROUP,
    stage="split",
    kind="json",
    deps=[
        dg.AssetDep(validation, partition_mapping=dg.AllPartitionMapping()),  # of every host
        dg.AssetDep(window_tensors, partition_mapping=dg.AllPartitionMapping()),
    ],
    description="Who trains, who validates and who tests, by which rule, what was left out, and the checks. Everything "
    "after it reads this and opens its own side only.",
    check_specs=[
        recipe_check(
            "split_overlap",
            asset="split",
            blocking=True,
            description="No episode, content, near-duplicate, host, sample, corpus or time stands on both sides.",
        ),
        recipe_check(
            "class_coverage",
            asset="split",
            blocking=True,
            description="Every phase of the test side was trained on.",
        ),
    ],
)
def split(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.datasets.store import build_split, refused_recipes

    recipe = context.partition_key
    with refusals():
        layout, hosts = settings.opened().layout, settings.validated_hosts()
        made, is_new = build_split(layout, recipe, hosts, settings.split_settings(), settings.renewal())
        refused = refused_recipes(layout, hosts, settings.split_settings())
    rounds: list[dict[str, str | int]] = [
        {
            "round": place,
            "train": len(each.train),
            "folds": len(each.folds),
            "test": len(each.test),
            "held out": ", ".join(each.held_out[:8]),
        }
        for place, each in enumerate(made.rounds, 1)
    ]
    coverage = next(check for check in made.checks if check.name == "class_coverage")
    apart = [check for check in made.checks if check is not coverage]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(made.episodes),
            # The partitions stay all recipes, so that `--partition host` works from CI before anything was read; which
            # ones are missing and which cannot be, Dagster cannot tell apart, so it is said here.
            "recipes": table([{"recipe": name, "possible": not why, "why not": why} for name, why in refused.items()]),
            "rounds": table(rounds[:50]),
            "left out": table([{"what": x.what, "reason": x.reason, "episodes": x.n_episodes} for x in made.excluded]),
            "checks": table([{"check": c.name, "holds": c.holds, "detail": c.detail} for c in made.checks]),
            "split now": is_new,
            "train side": made.renewal or "as the recipe chooses it from all episodes",
        },
        data_version=dg.DataVersion(made.sha256),
        check_results=[
            dg.AssetCheckResult(
                check_name="split_overlap",
                passed=all(check.holds for check in apart),
                metadata={"recipe": recipe, "detail": "; ".join(f"{c.name}: {c.detail}" for c in apart)},
            ),
            dg.AssetCheckResult(
                check_name="class_coverage",
                passed=coverage.holds,
                metadata={"recipe": recipe, "detail": coverage.detail},
            ),
        ],
    )
