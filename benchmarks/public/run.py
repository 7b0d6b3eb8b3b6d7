"""Public tables through the product's own way: import, validation, features, split, every detector, evaluation.

What does not belong here: any figure, and which data there are (`counters.py`, `series.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rlstir_core.contract.registry import MODES, load_registry
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.beside.fitted import fit_baselines
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.study import Study, open_study
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.episodes.store.index import read_index, save_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe
from rlstir_core.evaluation.detectors.pairs import ScoredPair, ScoreReader
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.importers.tables import import_table
from rlstir_core.learning.options import StudyOptions
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A table as a store whose hosts have features."""

    store: Path
    layout: Layout
    hosts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One evaluated split: what the report is made of, and every row's predictions joined with their labels."""

    study: Study
    inputs: ReportInputs
    pairs: dict[str, dict[str, ScoredPair]]  # {name of the row: {scene: labels and probabilities}}


def brought(file: Path, mapping: str, root: Path) -> Brought:
    """Imports a table and brings every host up to features."""
    store, layout = root / "store", Layout(root / "data")
    import_table(file, mapping, store)
    registry, index = load_registry(store), read_index(store)
    save_index(layout.index, index)
    write_schema(layout.feature_schema, make_schema(registry))
    for host in index.hosts:
        validate_host(store, layout, host, registry=registry, index=index)
        build_tensors(layout, host, registry)
        build_features(layout, host, registry)
    return Brought(store=store, layout=layout, hosts=tuple(index.hosts))


def judged(data: Brought, options: StudyOptions, tell: Tell) -> Judged:
    """Splits, trains every detector there is, fits what stands beside them and evaluates.

    The rows are those that the evaluation lists in its primary mode, whatever they are.
    """
    layout = data.layout
    build_split(layout, options.recipe, data.hosts, options.split)
    for mode in MODES:
        for model in MODELS:
            tell(f"{model}_{mode}")
            train_checkpoint(layout, options, model, mode, _silent)
    fit_baselines(layout, options, _silent)
    inputs, _ = evaluate_recipe(layout, options, data.hosts, load_registry(data.store), _silent)
    study = open_study(layout, options)
    episodes = study.load(study.split.episodes)
    test, train = (
        episodes.select(info.episode_id for info in side) for side in (study.split.tested, study.split.trained_on)
    )
    reader = ScoreReader(test, train, study.schema)
    pairs = {}
    for row in inputs.models:
        if not row.same_as:
            pairs[row.name] = reader.read(layout.predictions(options.recipe, row.model, row.mode), row.name, "", "")
    for row in inputs.baselines:
        pairs[row.name] = reader.read(layout.predictions(options.recipe, row.model, row.mode), row.name, "", "")
    return Judged(study=study, inputs=inputs, pairs=pairs)


def _silent(_: str) -> None:
    pass
