"""What an evaluation is made from: checkpoints and baselines of this very split, and the hash of all of it.

What does not belong here: the evaluation (`detector_eval.py`).
"""

from __future__ import annotations

from rlstir_core.atomic import canonical_sha256, file_sha256
from rlstir_core.contract.registry import MODES, Registry
from rlstir_core.detectors.beside.fitted import Baselines, kept_baselines
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import believed_checkpoint
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.learning.options import StudyOptions
from rlstir_core.remedies import how_to_make_all
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import held_sha256
from rlstir_core.results.versions import version

Checkpoints = dict[tuple[str, str], Checkpoint]
_NAMED = 3  # assets that one selection names; more are made as a group


def opened_study(layout: Layout, options: StudyOptions) -> Study:
    """The study of a recipe; UpstreamMissing says how to make all that stands before its evaluation."""
    try:
        return open_study(layout, options)
    except UpstreamMissing as error:
        every = how_to_make_all("+key:detector_eval", options.recipe)
        raise UpstreamMissing(f"{error}, or all that stands before detector_eval with: {every}") from None


def read_upstream(study: Study) -> tuple[Checkpoints, Baselines]:
    """Checkpoints and baselines of this very split; others may have seen what is the test side now.

    UpstreamMissing names all that cannot be used, and one command that makes it.
    """
    recipe = study.options.recipe
    checkpoints: Checkpoints = {}
    faults: dict[str, str] = {}  # by asset
    for mode in MODES:
        for model in MODELS:
            try:
                checkpoints[model, mode] = believed_checkpoint(study, model, mode)
            except (UpstreamMissing, CheckpointError) as error:
                faults[f"checkpoint/{model}_{mode}"] = str(error)
    baselines = kept_baselines(study)
    if baselines is None:
        faults["baselines"] = (
            "the baselines are missing, or were fitted on other data, another split or another preset than today's"
        )
    if faults or baselines is None:
        some = "key:" + " or key:".join(faults) if len(faults) <= _NAMED else "group:detectors"
        first = next(iter(faults.values())).partition("; ")[0]
        more = f", and so it is with {', '.join(list(faults)[1:])}" if len(faults) > 1 else ""
        them = "it" if len(faults) == 1 else f"these {len(faults)}"
        raise UpstreamMissing(f"{first}{more}; make {them} with: {how_to_make_all(some, recipe)}")
    return checkpoints, baselines


def evaluation_sha256(study: Study, registry: Registry, checkpoints: Checkpoints, baselines: Baselines) -> str:
    """The hash of everything that decides an evaluation."""
    index = study.layout.index
    return canonical_sha256(
        [
            version("evaluation"),
            study.options,
            registry.sha256,
            study.split.sha256,
            [(c.model, c.mode, c.input_sha256, c.weights_sha256) for c in checkpoints.values()],
            baselines,
            file_sha256(index) if index.exists() else "",
            # recall by technique and the quality of logs
            [held_sha256(study.layout.log_events(host), "log_rows") for host in study.split.hosts],
        ]
    )
