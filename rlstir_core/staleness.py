"""What is out of date: asked before anything is run, and answered without decoding a tarball or opening a tensor.

The driver, the automation and the UI ask here. What does not belong here: making anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rlstir_core.contract.registry import MODES, Registry, load_registry
from rlstir_core.datasets.renewal import ALWAYS, Renewal
from rlstir_core.datasets.split import Split
from rlstir_core.datasets.store import split_is_current
from rlstir_core.detectors.beside.fitted import kept_baselines
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import kept_checkpoint
from rlstir_core.episodes.store.binding import is_bound
from rlstir_core.episodes.store.gone import gone_hosts
from rlstir_core.episodes.store.index import StoreIndex, load_index
from rlstir_core.episodes.validation.current import host_changes
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.acting.investigation_eval import acting_evaluation_is_current
from rlstir_core.evaluation.detectors.detector_eval import evaluation_is_current
from rlstir_core.evaluation.investigation.encoder_eval import encoder_evaluation_is_current
from rlstir_core.evaluation.report.comparison import report_is_current
from rlstir_core.hostlogs.store import log_changes
from rlstir_core.investigator.acting.cases import why_nobody_acts
from rlstir_core.investigator.acting.training import kept_acting
from rlstir_core.investigator.pretraining.training import kept_encoder
from rlstir_core.investigator.reading.tokenizer import kept_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy, why_not
from rlstir_core.learning.options import StudyOptions
from rlstir_core.provenance.store import graph_changes
from rlstir_core.results.lab_outcome import lab_inputs_sha256, read_outcome
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import Changes
from rlstir_core.telemetry.schema import make_schema, read_schema
from rlstir_core.telemetry.store import feature_changes, tensor_changes


def index_is_current(layout: Layout, index: StoreIndex) -> bool:
    """Whether the stored index is `index`, its store is remembered, and nothing is left of hosts that are gone."""
    try:
        return load_index(layout.index) == index and is_bound(layout, index) and not gone_hosts(layout, index.hosts)
    except UpstreamMissing:
        return False


def schema_is_current(store: Path, layout: Layout, normalise: str) -> bool:
    """Whether the stored schema is what the registry gives now."""
    try:
        return read_schema(layout.feature_schema) == make_schema(load_registry(store), normalise)
    except UpstreamMissing:
        return False


def lab_checks_are_current(layout: Layout, hosts: Iterable[str]) -> bool:
    """Whether the lab's checks looked at the log rows as they are."""
    outcome = read_outcome(layout)
    return outcome is not None and outcome.made_from == lab_inputs_sha256(layout, hosts)


def stale_host_stages(store: Path, layout: Layout, host: str, index: StoreIndex | None = None) -> tuple[str, ...]:
    """The host's stages that have something to do, in their order; by the stored index, or by `index`."""
    index = index or load_index(layout.index)
    if host_changes(store, layout, host, registry=load_registry(store), index=index):
        return HOST_STAGES
    return later_stages(layout, host)


def later_stages(layout: Layout, host: str) -> tuple[str, ...]:
    """The stages after validation that have something to do, where the verdicts themselves are current."""
    stale = set()
    for upstream, name, changes in _STAGES:
        try:
            if upstream in stale or changes(layout, host):
                stale.add(name)
        except UpstreamMissing:
            stale.add(name)
    return tuple(name for name in HOST_STAGES if name in stale)


# What each stage is made from, and what would change of it.
_STAGES: tuple[tuple[str, str, Callable[[Layout, str], Changes]], ...] = (
    ("validation", "window_tensors", tensor_changes),
    ("window_tensors", "window_features", feature_changes),
    ("validation", "log_events", log_changes),
    ("log_events", "provenance_graphs", graph_changes),
)
HOST_STAGES = ("validation", *(name for _, name, _ in _STAGES))


READERS = ("tokenizer", "encoder", "encoder_eval")
ACTORS = ("ppo_policy", "investigation_eval")
INVESTIGATOR = (*READERS, *ACTORS)
_EVALUATIONS = frozenset({"encoder_eval", "investigation_eval"})


def stale_recipe_assets(
    layout: Layout, options: StudyOptions, hosts: Sequence[str], registry: Registry, renewal: Renewal = ALWAYS
) -> dict[str, bool]:
    """Every asset of the recipe by key, and whether it must be made; those of the investigator where it can be."""
    checkpoints = [f"checkpoint/{model}_{mode}" for mode in MODES for model in MODELS]
    names = ["split", *checkpoints, "baselines", "detector_eval", *INVESTIGATOR, "comparison_v2"]
    if not split_is_current(layout, options.recipe, hosts, options.split, renewal):
        return dict.fromkeys(names, True)
    study = open_study(layout, options)
    stale = {"split": False}
    for mode in MODES:
        for model in MODELS:
            stale[f"checkpoint/{model}_{mode}"] = kept_checkpoint(study, model, mode) is None
    stale["baselines"] = kept_baselines(study) is None
    evaluated = not any(stale.values()) and evaluation_is_current(study, registry)
    stale["detector_eval"] = not evaluated
    of_logs: dict[str, bool] = {}
    if not no_investigator(layout, study.split):
        of_logs = stale_investigator(_investigator_of(layout, options, study.split))
    stale |= of_logs
    of_logs_anew = any(of_logs.get(name, False) for name in _EVALUATIONS)
    stale["comparison_v2"] = not evaluated or of_logs_anew or not report_is_current(layout, options.recipe)
    return stale


def no_investigator(layout: Layout, split: Split) -> str:
    """Why the investigator cannot be made for this split; empty where it can, or where log rows are still to come."""
    try:
        return why_not(layout, split)
    except UpstreamMissing:
        return ""


def stale_investigator(study: InvestigatorStudy) -> dict[str, bool]:
    """The assets of the investigator, for a split that it can be made for, and whether they must be made."""
    tokenizer = kept_tokenizer(study) is None
    encoder = tokenizer or kept_encoder(study) is None
    stale = {
        "tokenizer": tokenizer,
        "encoder": encoder,
        "encoder_eval": encoder or not encoder_evaluation_is_current(study),
    }
    if not why_nobody_acts(study):
        stale["ppo_policy"] = kept_acting(study) is None
        stale["investigation_eval"] = stale["ppo_policy"] or not acting_evaluation_is_current(study)
    return stale


def investigator_assets(layout: Layout, options: StudyOptions, split: Split) -> tuple[str, ...]:
    """The assets of the investigator that can be made for `split`, which it can be made for at all."""
    return READERS if why_nobody_acts(_investigator_of(layout, options, split)) else INVESTIGATOR


def kept_investigator(layout: Layout, options: StudyOptions, split: Split) -> frozenset[str]:
    """Which of tokenizer, encoder and policies are what training for `split`, perhaps not written yet, would give."""
    if no_investigator(layout, split):
        return frozenset()
    study = _investigator_of(layout, options, split)
    return frozenset(name for name, is_stale in stale_investigator(study).items() if not is_stale) - _EVALUATIONS


def _investigator_of(layout: Layout, options: StudyOptions, split: Split) -> InvestigatorStudy:
    own = StudyOptions(recipe=options.recipe, preset=options.preset, overrides=options.overrides, split=options.split)
    return InvestigatorStudy(layout=layout, options=own, numbers=own.numbers(), split=split)


def kept_checkpoints(layout: Layout, options: StudyOptions, split: Split) -> frozenset[str]:
    """The keys of checkpoints that are what training them for `split`, which need not be written yet, would give."""
    study = _study_of(layout, options, split)
    return frozenset(
        f"checkpoint/{model}_{mode}"
        for mode in MODES
        for model in MODELS
        if kept_checkpoint(study, model, mode) is not None
    )


def same_modes(layout: Layout, options: StudyOptions, split: Split) -> dict[str, str]:
    """{mode: the mode that shows the very same channels to the detectors of `split`}, whose training serves both."""
    study = _study_of(layout, options, split)
    return {mode: same for mode in MODES if (same := study.same_as(mode))}


def _study_of(layout: Layout, options: StudyOptions, split: Split) -> Study:
    return Study(
        layout=layout,
        options=options,
        numbers=options.numbers(),
        split=split,
        schema=read_schema(layout.feature_schema),
    )
