"""Group `investigator`: the tokenizer of log rows, the encoder that names techniques in them, and who investigates.

Where a store has no logs, or no technique on one of the sides, nothing is made and the asset says so: what stands on
telemetry goes on.
"""

import dagster as dg

from rlstir_assets.assets.datasets import split
from rlstir_assets.assets.logs import log_events, provenance_graphs
from rlstir_assets.declarations import recipe_asset, recipe_check
from rlstir_assets.gpu.use import on_device
from rlstir_assets.reporting import refusals, table, teller
from rlstir_assets.resources import Settings
from rlstir_core.atomic import canonical_sha256

GROUP = "investigator"
MOST_BY_ALERT = 0.60  # AUROC


def nothing_made(why: str, checks: tuple[str, ...] = ()) -> dg.MaterializeResult:
    """The result of an asset that this store gives no reason to make."""
    return dg.MaterializeResult(
        metadata={"not made": why},
        data_version=dg.DataVersion(canonical_sha256(why)),
        check_results=[
            dg.AssetCheckResult(check_name=name, passed=True, metadata={"detail": f"not made: {why}"})
            for name in checks
        ],
    )


@recipe_asset(
    group=GROUP,
    stage="tokenizer",
    kind="sentencepiece",
    deps=[split, dg.AssetDep(log_events, partition_mapping=dg.AllPartitionMapping()), "lab_checks"],
    description="SentencePiece on the texts of log rows of the train side alone; its manifest lists the episodes that "
    "it saw. No host, user, rule name or label is in a text.",
    check_specs=[
        recipe_check(
            "train_side_alone",
            asset="tokenizer",
            blocking=True,
            description="The tokenizer saw episodes of the train side and no other.",
        )
    ],
)
def tokenizer(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.investigator.reading.tokenizer import build_tokenizer
    from rlstir_core.investigator.study import why_not

    with refusals():
        study = settings.investigator(context.partition_key)
        if why := why_not(study.layout, study.split):
            return nothing_made(why, ("train_side_alone",))
        made, is_new = build_tokenizer(study, teller(context))
    strangers = set(made.saw) - {info.episode_id for info in study.train}
    return dg.MaterializeResult(
        metadata={"pieces": made.pieces, "texts": made.texts, "episodes": len(made.saw), "trained now": is_new},
        data_version=dg.DataVersion(made.model_sha256),
        check_results=[
            dg.AssetCheckResult(
                check_name="train_side_alone",
                passed=not strangers,
                metadata={
                    "recipe": context.partition_key,
                    "detail": f"{len(made.saw)} episodes seen, {len(strangers)} not of the train side",
                },
            )
        ],
    )


@recipe_asset(
    group=GROUP,
    stage="encoder",
    kind="torch",
    deps=[tokenizer, dg.AssetDep(provenance_graphs, partition_mapping=dg.AllPartitionMapping())],
    on_gpu=True,
    op_tags={"dagster/priority": "2"},
    description="A linear first look at log rows and what stands around them, then a transformer and GraphSAGE that "
    "start from it: attack, techniques and tampering by row. Stopped and calibrated on a fold of the train side.",
)
def encoder(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.investigator.pretraining.training import train_encoder
    from rlstir_core.investigator.study import why_not

    with refusals():
        study = settings.investigator(context.partition_key)
        if why := why_not(study.layout, study.split):
            return nothing_made(why)
        with on_device(teller(context), every=study.numbers.investigator.devices > 1) as use:
            made, is_new = train_encoder(study, teller(context))
    facts = made.facts
    losses = {"validation_loss": facts.loss, "before training": facts.loss_before}
    return dg.MaterializeResult(
        metadata={
            **{name: round(loss, 4) for name, loss in losses.items() if loss is not None},
            "epochs": facts.epochs,
            "best": facts.best_epoch,
            "techniques": facts.n_techniques,
            "train episodes": facts.n_train_episodes,
            "validation episodes": facts.n_validation_episodes,
            "parameters": facts.n_parameters,
            "memory of training": "; ".join(f"{what}: {size}" for what, size in made.memory.lines()[1:]),
            "knowledge": made.knowledge_sha256 or "none was imported",
            "trained now": is_new,
            **use.told(),
        },
        data_version=dg.DataVersion(made.sidecar_sha256),
    )


@recipe_asset(
    group=GROUP,
    stage="ppo_policy",
    kind="torch",
    deps=[
        split,
        dg.AssetDep(log_events, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(provenance_graphs, partition_mapping=dg.AllPartitionMapping()),
        "lab_checks",
    ],
    op_tags={"dagster/priority": "1"},
    description="Who decides which costly queries are asked of a host's logs: a frozen belief about what was revealed, "
    "and policies from a fixed order to PPO, fitted on the train side and tuned on the fold that chooses.",
    check_specs=[
        recipe_check(
            "alert_alone",
            asset="ppo_policy",
            description="The score of the alert that an investigation begins with hardly tells attacks from the rest.",
        )
    ],
)
def ppo_policy(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.investigator.acting.cases import why_nobody_acts
    from rlstir_core.investigator.acting.training import train_acting
    from rlstir_core.investigator.study import why_not

    with refusals():
        study = settings.investigator(context.partition_key)
        if why := why_not(study.layout, study.split) or why_nobody_acts(study):
            return nothing_made(why, ("alert_alone",))
        made, is_new = train_acting(study, teller(context))
    facts = made.facts
    return dg.MaterializeResult(
        metadata={
            "cases": facts.n_cases,
            "hosts": facts.n_hosts,
            "cases that choose": facts.n_choosing,
            "budget": made.budget,
            "mean return where stop rules were chosen": table(
                [{"policy": name, "return": round(each, 4)} for name, each in facts.mean_return.items()]
            ),
            "trained now": is_new,
        },
        data_version=dg.DataVersion(canonical_sha256(made.files)),
        check_results=[
            dg.AssetCheckResult(
                check_name="alert_alone",
                passed=facts.alert_auroc is None or facts.alert_auroc <= MOST_BY_ALERT,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"recipe": context.partition_key, "AUROC": facts.alert_auroc or "not measured"},
            )
        ],
    )
