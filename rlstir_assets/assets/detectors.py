"""Group `detectors`: twelve checkpoints, six models in two modes, from one factory."""

import dagster as dg

from rlstir_assets.assets.telemetry import window_features
from rlstir_assets.executor import GPU_POOL
from rlstir_assets.partitions import recipes
from rlstir_assets.reporting import OWNERS, refusals, table, teller
from rlstir_assets.resources import Settings
from rlstir_core.contract.registry import MODES
from rlstir_core.learning.presets import MODELS

GROUP = "detectors"
_WORDS = {
    "gbt": "Boosted trees on summary features",
    "mlp": "A multi-layer perceptron on summary features",
    "cnn": "Dilated convolutions on sequences",
    "gru": "A GRU on sequences",
    "lstm": "An LSTM on sequences",
    "transformer": "A transformer encoder on sequences",
}
_PROOFS = {
    "split_overlap": "No episode, content, near-duplicate, host, sample or time stands on both sides.",
    "class_coverage": "Every phase of the test side was trained on.",
    "schema_hash": "The checkpoint carries the hash of the schema that its data were made under.",
    "leaked_fits": "Only train episodes were fitted on, and each member left its validation fold out.",
}
# Slow ones first, so that the last step to end is a short one.
_PRIORITY = {"transformer": 5, "gbt": 4, "lstm": 3, "gru": 2, "cnn": 1, "mlp": 0}


def checkpoint_key(model: str, mode: str) -> dg.AssetKey:
    """`checkpoint/<mode>/<model>`."""
    return dg.AssetKey(["checkpoint", mode, model])


def _checkpoint_asset(model: str, mode: str) -> dg.AssetsDefinition:
    key = checkpoint_key(model, mode)

    @dg.asset(
        key=key,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"xgboost"} if model == "gbt" else {"torch"},
        partitions_def=recipes,
        deps=[dg.AssetDep(window_features, partition_mapping=dg.AllPartitionMapping()), "lab_checks"],  # of every host
        pool=None if model == "gbt" else GPU_POOL,
        op_tags={"dagster/priority": str(_PRIORITY[model]), **({} if model == "gbt" else {"rlstir/device": "gpu"})},
        description=f"{_WORDS[model]}, mode `{mode}`. Cross-fitted on the train side of the recipe; the schema's hash "
        "is part of the checkpoint.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=words) for name, words in _PROOFS.items()
        ],
    )
    def checkpoint(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
        from rlstir_core.detectors.experiment import check_checkpoint, train_checkpoint

        recipe = context.partition_key
        with refusals():
            plan = settings.plan(recipe)
            made, experiment, is_new = train_checkpoint(settings.layout, plan, model, mode, teller(context))
            proofs = check_checkpoint(experiment, made)
        facts = [member.facts for member in made.members]
        return dg.MaterializeResult(
            metadata={
                "validation_macro_f1": sum(f.best_validation_macro_f1 for f in facts) / len(facts),
                "members": table(
                    [
                        {
                            "member": place,
                            "rounds": f.rounds,
                            "best round": f.best_round,
                            "validation macro F1": f.best_validation_macro_f1,
                            "train windows": f.n_train_windows,
                        }
                        for place, f in enumerate(facts)
                    ]
                ),
                "parameters": facts[0].n_parameters,
                "channels": len(made.input_schema.channels),
                "input_sha256": made.input_sha256,
                "trained now": is_new,
            },
            data_version=dg.DataVersion(made.weights_sha256),
            check_results=[
                dg.AssetCheckResult(check_name=p.name, passed=p.holds, metadata={"detail": p.detail}) for p in proofs
            ],
        )

    return checkpoint


checkpoints = [_checkpoint_asset(model, mode) for mode in MODES for model in MODELS]
