"""The cases of a study: recordings of its sides as the environment takes them, and what is believed of their rows.

Everything is fitted on what is learnt from: the row models, the head, the range of alerts and the budget; the fold of
the train side that chooses calibrates. What does not belong here: who acts in these cases (`training.py`).
"""

# E episodes, N rows, D numbers of a row, K techniques
from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.acting.glimpses import glimpses_of
from rlstir_core.investigator.belief.detector import Belief
from rlstir_core.investigator.belief.fit import Glimpse, TaughtCase, calibrate, fit_head
from rlstir_core.investigator.belief.row_model import RowModel, common_techniques, fit_row_models, vectors
from rlstir_core.investigator.belief.words import WordsAlone, row_words
from rlstir_core.investigator.reading.view import read_view
from rlstir_core.investigator.soc.alerts import AlertRule, alert_rule
from rlstir_core.investigator.soc.budget import cost_of_everything
from rlstir_core.investigator.soc.cases import Case, CaseSet, make_case
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.tamper.spans import Tampering
from rlstir_core.investigator.techniques.row_truth import RowTruth, row_truth, says_rows
from rlstir_core.progress import Tell

_SAY_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What policies are fitted and tuned on."""

    belief: Belief
    rule: AlertRule
    budget: float
    learnt: CaseSet
    chosen: CaseSet


@dataclass(frozen=True, kw_only=True)
class _Read:
    info: EpisodeInfo
    words: WordsAlone
    truth: RowTruth
    p_tamper_N: Floats | None  # what the rules say, where they were asked about all rows together


def recordings(episodes: Sequence[EpisodeInfo], most: int) -> list[EpisodeInfo]:
    """At most so many of the episodes whose truth speaks of single rows, evenly over hosts, drawn by their names."""
    by_host: dict[str, list[EpisodeInfo]] = defaultdict(list)
    for info in episodes:
        if says_rows(info):
            by_host[info.host].append(info)
    for own in by_host.values():
        own.sort(key=lambda info: hashlib.sha256(info.episode_id.encode()).digest())
    ranked = sorted((rank, info.episode_id, info) for own in by_host.values() for rank, info in enumerate(own))
    return sorted((info for _, _, info in ranked[:most]), key=lambda info: info.episode_id)


def why_nobody_acts(study: InvestigatorStudy) -> str:
    """Why nobody can learn to investigate on this split, in one sentence; empty where somebody can."""
    learnt, chosen = study.sides
    for words, side in (("side that is learnt from", learnt), ("fold that chooses", chosen), ("test side", study.test)):
        benign = [info.benign for info in recordings(side, study.numbers.acting.cases)]
        if not any(benign) or all(benign):
            lacks = "benign" if benign else "single"
            lacks = "attacked" if any(benign) else lacks
            return (
                f"the {words} has no {lacks} recording whose truth speaks of single rows, so nobody can learn to "
                "investigate, or be judged"
            )
    return ""


def prepare(study: InvestigatorStudy, tell: Tell) -> Prepared:
    """The cases of what is learnt from and of the fold that chooses, and the belief that was fitted on them."""
    numbers, seed = study.numbers.acting, study.numbers.seed
    learnt, chosen = (recordings(side, numbers.cases) for side in study.sides)
    read = _read(study, learnt, tell)
    truths = [each.truth for each in read]
    graph = study.numbers.investigator.without != "graph"
    technique_K = common_techniques(truths)
    words = [each.words if graph else each.words.own for each in read]
    mean, models, fold_E = fit_row_models(words, truths, [info.host for info in learnt], technique_K, seed, tell)
    vector_E = [vectors(models[fold], each) for each, fold in zip(words, fold_E, strict=True)]
    rule = alert_rule(vector_ND[:, 0] for vector_ND in vector_E)
    del words
    cases = _case_set(study, read, vector_E, rule)
    del read, vector_E  # several hundred megabytes
    budget = float(np.round(numbers.budget_share * cost_of_everything(cases, seed).mean(), 1))
    head = fit_head(
        _taught(cases), _glimpses(study, cases, budget), technique_K, seed, tell, numbers.belief_steps, graph
    )
    tell("cases of the fold that chooses")
    other = case_set(study, chosen, mean, rule, tell)
    calibrate(head, _taught(other), _glimpses(study, other, budget))
    belief = Belief(rows=mean, head=head.eval().requires_grad_(False))
    return Prepared(belief=belief, rule=rule, budget=budget, learnt=cases, chosen=other)


def case_set(
    study: InvestigatorStudy, episodes: Sequence[EpisodeInfo], rows: RowModel, rule: AlertRule, tell: Tell
) -> CaseSet:
    """The cases of episodes that taught nothing; one without any row is none."""
    read = _read(study, episodes, tell)
    return _case_set(study, read, [vectors(rows, each.words) for each in read], rule)


def _read(study: InvestigatorStudy, episodes: Sequence[EpisodeInfo], tell: Tell) -> list[_Read]:
    found = []
    for place, info in enumerate(episodes):
        if place % _SAY_EVERY == 0:
            tell(f"rows of case {place + 1:,} of {len(episodes):,}")
        said: list[Tampering] = []
        view = read_view(study.layout, info, study.train_hosts, said.append, numbers=False)
        if len(view):  # without a row nothing alarms
            rules_N = said[0].p_tamper_N if said else None
            truth = row_truth(study.layout, info)
            found.append(_Read(info=info, words=row_words(view), truth=truth, p_tamper_N=rules_N))
    return found


def _case_set(
    study: InvestigatorStudy, read: Sequence[_Read], vector_E: Sequence[NDArray[np.float16]], rule: AlertRule
) -> CaseSet:
    def case(each: _Read, vector_ND: NDArray[np.float16]) -> Case:
        return make_case(
            study.layout,
            each.info,
            vector_ND,
            vector_ND[:, 0].astype(np.float32),
            each.truth,
            study.numbers.seed,
            rule=rule,
            p_tamper_N=each.p_tamper_N,
        )

    return CaseSet(case(each, own) for each, own in zip(read, vector_E, strict=True))


def _glimpses(study: InvestigatorStudy, cases: CaseSet, budget: float) -> list[Glimpse]:
    numbers = study.numbers.acting
    return glimpses_of(cases, budget, numbers.glimpses, numbers.lanes, study.numbers.seed)


def _taught(cases: CaseSet) -> list[TaughtCase]:
    found = []
    for place in range(len(cases)):
        own = slice(cases.row_C1[place], cases.row_C1[place + 1])
        found.append(
            TaughtCase(vector_ND=cases.vector_ND[own], tree_N=cases.tree_N[own], truth_A=cases.truth_CK[place])
        )
    return found
