"""Group `evaluation`: the held-out scores of every detector and of the encoder, and the report."""

from typing import TYPE_CHECKING

import dagster as dg

from rlstir_assets.assets.datasets import split
from rlstir_assets.assets.detectors import baselines, checkpoint_key
from rlstir_assets.assets.investigator import encoder, nothing_made, ppo_policy
from rlstir_assets.assets.logs import log_events
from rlstir_assets.declarations import recipe_asset, recipe_check
from rlstir_assets.gpu.use import on_device
from rlstir_assets.partition_results import Part, told_of
from rlstir_assets.reporting import opening, refusals, table, tables_told, teller
from rlstir_assets.resources import Settings
from rlstir_core.contract import columns
from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.detectors.models import MODELS

if TYPE_CHECKING:  # they bring torch
    from rlstir_core.evaluation.investigation.records import EncoderEvaluation
    from rlstir_core.evaluation.report.comparison import Written
    from rlstir_core.evaluation.report.inputs import ReportInputs
    from rlstir_core.evaluation.stats.intervals import Estimate

GROUP = "evaluation"


@recipe_asset(
    group=GROUP,
    stage="evaluation",
    kind="json",
    deps=[
        split,
        *(checkpoint_key(model, mode) for mode in MODES for model in MODELS),
        baselines,
        dg.AssetDep(log_events, partition_mapping=dg.AllPartitionMapping()),  # for recall by technique
    ],
    on_gpu=True,
    description="Predictions first, labels afterwards: every checkpoint and baseline on the held-out episodes, each "
    "figure with its interval.",
    check_specs=[
        recipe_check(
            "leak_probes",
            asset="detector_eval",
            description="Nothing that should say nothing gives the answer away.",
        ),
        recipe_check(
            "untested",
            asset="detector_eval",
            description="Phases, profiles and hosts that the test side says too little about.",
        ),
        recipe_check(
            "drift",
            asset="detector_eval",
            description="Whether the episodes of the last day look like those of the same host before.",
        ),
    ],
)
def detector_eval(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe

    with refusals():
        opened, options = settings.opened(), settings.options(context.partition_key)
        hosts = settings.validated_hosts()
        with on_device(teller(context)) as use:
            result, is_new = evaluate_recipe(opened.layout, options, hosts, opened.registry, teller(context))
    probes = [{"probe": p.name, "value": p.value, "bound": p.bound, "verdict": p.verdict} for p in result.probes]
    untested = [{"kind": u.kind, "name": u.name, "reason": u.reason} for u in result.untested]
    files = [opened.layout.predictions(context.partition_key, each.model, each.mode) for each in result.models]
    words = columns.predictions(opened.registry.phases)
    return dg.MaterializeResult(
        metadata={
            "scores": table(_scores(result)),
            "scored now": is_new,
            **use.told(),
            **tables_told({"predictions": files}, {"predictions": words}),
            **_over_time(result),
        },
        data_version=dg.DataVersion(result.manifest.hashes["evaluation_inputs"]),
        check_results=[
            dg.AssetCheckResult(
                check_name="leak_probes",
                passed=all(probe.verdict in ("ok", "not measured") for probe in result.probes),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"recipe": context.partition_key, "probes": table(probes)},
            ),
            dg.AssetCheckResult(
                check_name="untested",
                passed=not untested,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"recipe": context.partition_key, "untested": table(untested)},
            ),
            _drift(result, context.partition_key),
        ],
    )


@recipe_asset(
    group=GROUP,
    stage="encoder_eval",
    kind="json",
    deps=[encoder],
    on_gpu=True,
    description="Techniques and risks of the held-out episodes by the encoder, by base rates, by a bag of words and by "
    "public technique texts: predictions first, labels afterwards, each figure with its interval.",
)
def encoder_eval(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.evaluation.investigation.encoder_eval import evaluate_encoder, forget_evaluation
    from rlstir_core.investigator.study import why_not

    with refusals():
        study = settings.investigator(context.partition_key)
        if why := why_not(study.layout, study.split):
            forget_evaluation(study.layout, context.partition_key)
            return nothing_made(why)
        with on_device(teller(context)) as use:
            result, is_new = evaluate_encoder(study, teller(context))
    return dg.MaterializeResult(
        metadata={
            "scores": table(_technique_scores(result)),
            "test episodes": result.n_test_episodes,
            "with techniques": result.n_with_technique,
            "lacks": "; ".join(result.lacks) or "nothing",
            "scored now": is_new,
            **use.told(),
            **tables_told(
                {what: [study.layout.encoder_predictions(context.partition_key, what)] for what in columns.NAMINGS},
                columns.NAMINGS,
            ),
        },
        data_version=dg.DataVersion(result.input_sha256),
    )


@recipe_asset(
    group=GROUP,
    stage="investigation_eval",
    kind="json",
    deps=[ppo_policy],
    description="Every policy investigates the held-out episodes under one budget: what it asked, what that showed, "
    "how sure it was and what it cost; then labels are read, and differences between policies get their intervals.",
    check_specs=[
        recipe_check(
            "headroom",
            asset="investigation_eval",
            description="Whether this store can show that anything beats the simple policies at all.",
        )
    ],
)
def investigation_eval(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.evaluation.acting.investigation_eval import evaluate_acting, forget_acting
    from rlstir_core.investigator.acting.cases import why_nobody_acts
    from rlstir_core.investigator.study import why_not

    with refusals():
        study = settings.investigator(context.partition_key)
        if why := why_not(study.layout, study.split) or why_nobody_acts(study):
            forget_acting(study.layout, context.partition_key)
            return nothing_made(why, ("headroom",))
        found, is_new = evaluate_acting(study, teller(context))
    scores: list[dict[str, str | float | None]] = [
        {
            "policy": name,
            "coverage area": each.coverage_cost_auc.value,
            "95 %": _interval(each.coverage_cost_auc),
            "F1 area": each.f1_cost_auc.value,
        }
        for name, each in found.policies.items()
    ]
    steps = study.layout.encoder_predictions(context.partition_key, "investigations")
    return dg.MaterializeResult(
        metadata={
            "scores": table(scores),
            "test episodes": found.n_test_episodes,
            "scored now": is_new,
            **tables_told({"investigations": [steps]}, {"investigations": columns.INVESTIGATIONS}),
        },
        data_version=dg.DataVersion(found.input_sha256),
        check_results=[
            dg.AssetCheckResult(
                check_name="headroom",
                passed=found.headroom.coverage_room is True or found.headroom.f1_room is True,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "recipe": context.partition_key,
                    "room on coverage": str(found.headroom.coverage_room),
                    "room on F1": str(found.headroom.f1_room),
                    "validation episodes": found.headroom.n_episodes,
                },
            )
        ],
    )


def _drift(result: "ReportInputs", recipe: str) -> dg.AssetCheckResult:
    from rlstir_core.evaluation.drift.words import alarm_sentence

    hosts = () if result.drift is None else result.drift.hosts
    rows: list[dict[str, str | float | None]] = [
        {"host": h.host, "recent": h.n_recent, "before": h.n_before, "verdict": h.verdict, "p": h.p} for h in hosts
    ]
    return dg.AssetCheckResult(
        check_name="drift",
        passed=result.drift is None or not result.drift.alarm,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "recipe": recipe,
            "said": dg.MetadataValue.md(alarm_sentence(result.drift) or "No alarm."),
            "hosts": table(rows),
        },
    )


def _technique_scores(result: "EncoderEvaluation") -> list[dict[str, str | float | None]]:
    risk = {each.name: each for each in result.risks}
    return [
        {
            "model": model.name,
            "micro F1": model.micro_f1.value,
            "95 %": _interval(model.micro_f1),
            "top 3": model.hit_at["3"].value,
            "risk, AUROC": risk[model.name].risk_auroc.value if model.name in risk else None,
        }
        for model in result.models
    ]


def _scores(inputs: "ReportInputs") -> list[dict[str, str | float | None]]:
    """A row a model and baseline; narrow, so that the page need not be scrolled sideways."""
    models = [each for each in inputs.models if not each.same_as]
    found = [(each.name, each.metrics.macro_f1) for each in (*models, *inputs.baselines)]
    return [
        {
            "model": name,
            "macro F1": score.value,
            "95 %": _interval(score),
        }
        for name, score in found
    ]


def _over_time(inputs: "ReportInputs") -> dict[str, float]:
    """The macro F1 of each realistic model as plain numbers, of which Dagster draws a chart over evaluations."""
    found = {each.name: each.metrics.macro_f1.value for each in inputs.models if each.mode == PRIMARY_MODE}
    return {f"macro F1 of {name}": round(value, 4) for name, value in found.items() if value is not None}


def _interval(score: "Estimate") -> str:
    """In a few words: the page cuts off what is wider."""
    if score.lo is None or score.hi is None:
        return f"none: {score.note.partition(', no interval')[0]}"
    return f"{score.lo:.4f} to {score.hi:.4f}"


@recipe_asset(
    group=GROUP,
    stage="report",
    kind="markdown",
    deps=[detector_eval, encoder_eval, investigation_eval],
    description="The report: `comparison_v2.md`, the same as one offline HTML file, pictures, a manifest and a model "
    "card beside each checkpoint.",
)
def comparison_v2(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    from rlstir_core.evaluation.report.comparison import outdated_pages, write_comparison

    with refusals():
        layout = settings.opened().layout
        part = _page(write_comparison(layout, context.partition_key, teller(context)))
        # the honesty gap of every report shows this recipe, and automation asks for this report alone
        for recipe in outdated_pages(layout):
            if recipe != context.partition_key:
                told_of(context, recipe, _page(write_comparison(layout, recipe, teller(context))))
    return dg.MaterializeResult(metadata=part.metadata, data_version=dg.DataVersion(part.data_version))


def _page(written: "Written") -> Part:
    """What the UI shows of a report."""
    chosen = written.chosen
    best: dict[str, str | float] = {"chosen": "no realistic model has a figure on every side"}
    if chosen is not None:
        best = {"chosen": chosen.name}
        if chosen.metrics.macro_f1.value is not None:
            best["macro_f1"] = round(chosen.metrics.macro_f1.value, 4)
    return Part(
        metadata={
            "answer": dg.MetadataValue.md(opening(written.markdown.read_text())),
            "models": dg.MetadataValue.md(written.inline),
            "scores": table(_scores(written.inputs)),
            "report": dg.MetadataValue.text(str(written.markdown)),  # a text is broken into lines, a path is not
            "html": dg.MetadataValue.text(str(written.html)),
            **best,
        },
        data_version=written.sha256,
    )
