"""The figures of an evaluation as events, with the intervals that stand in `<model>_<mode>_eval.json`.

What does not belong here: computing any of them (`rlstir_core/evaluation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation, Stratum
from rlstir_core.live.contract import MetricData

_NOTE_CHARS = 2_000


def metrics(evaluations: Iterable[ModelEvaluation]) -> Iterator[MetricData]:
    """Of every model macro F1, accuracy, attack against the rest, and F1 by phase."""
    for each in evaluations:
        n = each.n_test_episodes
        for name, figure in (
            ("macro_f1", each.metrics.macro_f1),
            ("accuracy", each.metrics.accuracy),
            ("attack_f1", each.attack_vs_rest.f1),
            ("auroc", each.attack_vs_rest.auroc),
        ):
            yield _metric(each, name, figure, n_test=n)
        for phase, score in each.metrics.per_phase.items():
            yield _metric(each, "f1", score.f1, group="phase", of=phase, n_test=score.n_test)


def profiles(evaluations: Iterable[ModelEvaluation]) -> Iterator[MetricData]:
    """Of every model macro F1 by profile and by host; what was not tested says so."""
    for each in evaluations:
        yield from _strata(each, "profile", each.per_profile)
        yield from _strata(each, "host", each.per_host)


def _strata(
    each: ModelEvaluation, group: Literal["profile", "host"], strata: Mapping[str, Stratum]
) -> Iterator[MetricData]:
    for name, stratum in strata.items():
        yield _metric(each, "macro_f1", stratum.macro_f1, group=group, of=name, n_test=stratum.n_test)
    for gap in each.untested:
        if gap.kind == group and gap.name not in strata:
            nothing = Estimate(value=None, note=f"untested: {gap.reason}")
            yield _metric(each, "macro_f1", nothing, group=group, of=gap.name, n_test=gap.n_test)


def _metric(
    each: ModelEvaluation,
    name: str,
    figure: Estimate,
    *,
    n_test: int,
    group: Literal["all", "profile", "host", "phase"] = "all",
    of: str = "",
) -> MetricData:
    return MetricData(
        model=each.name,
        metric=name,
        value=figure.value,
        lo=figure.lo,
        hi=figure.hi,
        group=group,
        of=of,
        n_test=n_test,
        recipe=each.recipe,
        note=figure.note[:_NOTE_CHARS],
    )
