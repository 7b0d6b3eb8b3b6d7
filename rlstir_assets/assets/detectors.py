"""Group `detectors`: twelve checkpoints, six models in two modes, from one factory; and what stands beside them."""

from contextlib import nullcontext

import dagster as dg

from rlstir_assets.assets.datasets import split
from rlstir_assets.assets.telemetry import window_features
from rlstir_assets.declarations import recipe_asset, recipe_check
from rlstir_assets.gpu.use import DeviceUse, on_device
from rlstir_assets.reporting import refusals, table, tables_told, teller
from rlstir_assets.resources import Settings
from rlstir_core.contract import columns
from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.detectors.models import MODELS

GROUP = "detectors"
_LATER = 10  # the primary mode first: where another shows no more channels, what it gives serves both
_CHECKS = {
    "schema_hash": "The checkpoint carries the hash of the schema that its data were made under.",
    "leaked_fits": "Only train episodes were fitted on, and each member left its validation fold out.",
}
_EVERY_HOST = dg.AssetDep(window_features, partition_mapping=dg.AllPartitionMapping())


def checkpoint_key(model: str, mode: str) -> dg.AssetKey:
    """`checkpoint/<model>_<mode>`: the last part is all that the graph shows."""
    return dg.AssetKey(["checkpoint", f"{model}_{mode}"])


def _checkpoint_asset(model: str, mode: str) -> dg.AssetsDefinition:
    key, spec = checkpoint_key(model, mode), MODELS[model]
    on_gpu = spec.device == "gpu"
    priority = spec.priority if mode == PRIMARY_MODE else spec.priority - _LATER

    @recipe_asset(
        group=GROUP,
        stage="weights",
        kind="torch" if on_gpu else "xgboost",
        key=key,
        deps=[split, _EVERY_HOST, "lab_checks"],
        on_gpu=on_gpu,
        op_tags={"dagster/priority": str(priority)},
        description=f"{spec.words}, mode `{mode}`. Cross-fitted on the train side of the recipe; the schema's hash is "
        "part of the checkpoint.",
        check_specs=[
            recipe_check(name, asset=key, blocking=True, description=words) for name, words in _CHECKS.items()
        ],
    )
    def checkpoint(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
        from rlstir_core.detectors.training import train_checkpoint
        from rlstir_core.live.producing.curves import curve_published

        recipe = context.partition_key
        with refusals(), on_device(teller(context)) if on_gpu else nullcontext(DeviceUse()) as use:
            layout, options = settings.opened().layout, settings.options(recipe)
            with curve_published(layout.data, f"{model}_{mode}", recipe):
                made, checks, is_new = train_checkpoint(layout, options, model, mode, teller(context))
        facts = [member.facts for member in made.members]
        return dg.MaterializeResult(
            metadata={
                "validation_macro_f1": round(sum(f.best_validation_macro_f1 for f in facts) / len(facts), 4),
                "members": table(
                    [
                        {
                            "round": member.round + 1,
                            "fold": member.fold + 1,
                            member.facts.unit: member.facts.done,
                            "best": member.facts.best,
                            "validation macro F1": member.facts.best_validation_macro_f1,
                            "train windows": member.facts.n_train_windows,
                            "not drawn": member.facts.n_left_out_windows,
                        }
                        for member in made.members
                    ]
                ),
                "parameters": facts[0].n_parameters,
                "channels": len(made.input_schema.channels),
                "input_sha256": made.input_sha256,
                "trained now": is_new and not made.same_as,
                **use.told(),
                **({"same channels and weights as": made.same_as} if made.same_as else {}),
            },
            data_version=dg.DataVersion(made.weights_sha256),
            check_results=[
                dg.AssetCheckResult(
                    check_name=check.name, passed=check.holds, metadata={"recipe": recipe, "detail": check.detail}
                )
                for check in checks
            ],
        )

    return checkpoint


checkpoints = [_checkpoint_asset(model, mode) for mode in MODES for model in MODELS]


@recipe_asset(
    group=GROUP,
    stage="baselines",
    kind="parquet",
    deps=[split, _EVERY_HOST, "lab_checks"],
    op_tags={"dagster/priority": "4"},
    description="What stands in the same table as the detectors: `majority`, `clock`, `metadata-only`, and `gbt` on a "
    "random split of windows and on shares of the train episodes, and members from other seeds. Fitted on the same "
    "folds; predictions only, labels unread.",
)
def baselines(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.detectors.beside.fitted import fit_baselines, prediction_files

    with refusals():
        opened, options = settings.opened(), settings.options(context.partition_key)
        made, is_new = fit_baselines(opened.layout, options, teller(context))
    files = [path for path, _ in prediction_files(opened.layout, context.partition_key, made)]
    return dg.MaterializeResult(
        metadata={
            "baselines": ", ".join(made.files),
            "fitted now": is_new,
            **tables_told({"predictions": files}, {"predictions": columns.predictions(opened.registry.phases)}),
        },
        data_version=dg.DataVersion(made.input_sha256),
    )
