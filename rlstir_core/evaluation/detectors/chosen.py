"""What is looked at for the model that validation chose, and for no other: where it can be believed and where it fails.

What does not belong here: choosing it (`report/sections/verdict.py`), and each of the looks.
"""

from __future__ import annotations

import functools

from rlstir_core.contract.registry import Registry
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.reach import fit_reaches
from rlstir_core.detectors.scenes import TEST, VALIDATION
from rlstir_core.detectors.study import Study
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.evaluation.detectors.alarms import benign_work
from rlstir_core.evaluation.detectors.context import causes_of
from rlstir_core.evaluation.detectors.detection import choose_threshold
from rlstir_core.evaluation.detectors.elsewhere.out_of_range import out_of_range
from rlstir_core.evaluation.detectors.elsewhere.thresholds import new_host_thresholds
from rlstir_core.evaluation.detectors.pairs import ScoredPair
from rlstir_core.evaluation.detectors.techniques import technique_recall
from rlstir_core.evaluation.detectors.worst import worst_episodes
from rlstir_core.evaluation.stats.curves import reliability_with_intervals
from rlstir_core.evaluation.stats.details import Cause, CloserLook
from rlstir_core.evaluation.stats.rules import ALARM_FPR


def look_closer(
    name: str, pairs: dict[str, ScoredPair], episodes: EpisodeSet, study: Study, registry: Registry, *, draws: int
) -> CloserLook:
    """Everything about one model that its evaluation does not hold."""
    truth, scores = pairs[TEST]
    layout = study.layout
    threshold = choose_threshold(pairs.get(VALIDATION), ALARM_FPR)

    @functools.cache
    def rows_of(host: str) -> dict[str, ValidationRow]:
        return {row.episode_id: row for row in read_validation(layout.validation(host))}

    def reasons_of(host: str, episode: str) -> tuple[Cause, ...]:
        row = rows_of(host).get(episode)
        return () if row is None else causes_of([row], registry)

    both = truth.is_attack_N.any() and not truth.one_sided
    return CloserLook(
        name=name,
        reliability=reliability_with_intervals(truth, scores, draws=draws) if both else (),
        benign=benign_work(truth, scores, threshold, draws=draws),
        worst=worst_episodes(
            truth,
            scores,
            threshold,
            episodes.recordings,
            episodes.schema,
            reasons_of,
        ),
        techniques=technique_recall(
            truth, scores, threshold, episodes.recordings, layout, episodes.schema, draws=draws
        ),
        thresholds=new_host_thresholds(
            pairs.get(VALIDATION),
            truth,
            scores,
            {name: each.info.t_start_wall_ns for name, each in episodes.recordings.items()},
            draws=draws,
        ),
        out_of_range=out_of_range(truth, scores, fit_reaches(study, episodes), episodes, draws=draws),
    )
