"""What the predictions of the test side are worth: its labels are read here, and predictions only from their files.

Rows are read an episode at a time; what is held of all of them is a bit of truth, what is sorted, and what was said of
tampering at all. What does not belong here: making predictions (`saying.py`), and how intervals are made (`stats/`).
"""

# E episodes, N rows
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.arrays import Bools, Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.figures import hits_at, micro_f1, share
from rlstir_core.evaluation.investigation.predictions import Read, read_risk, read_tactics, read_techniques
from rlstir_core.evaluation.investigation.records import ENCODER, RiskScores, TamperRows, TechniqueScores
from rlstir_core.evaluation.investigation.row_predictions import read_row_attacks
from rlstir_core.evaluation.investigation.sigma_baseline import SIGMA
from rlstir_core.evaluation.investigation.tamper_figures import (
    EpisodeCounts,
    TamperScores,
    episode_counts,
    paired_span_f1,
    tamper_scores,
    true_spans,
)
from rlstir_core.evaluation.investigation.tamper_predictions import (
    MODELS,
    SaidTampering,
    read_flags,
    read_spans,
    rows_by_episode,
)
from rlstir_core.evaluation.investigation.technique_baselines import SVM
from rlstir_core.evaluation.investigation.technique_figures import (
    Carried,
    calibration_error,
    official_tactics,
    parted_f1,
    precision_at_coverage,
    tactic_scores,
)
from rlstir_core.evaluation.investigation.two_class import ranking_statistics, told_statistics
from rlstir_core.evaluation.stats.across import write_sums
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, new_host_estimate, refused
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.hostlogs.store import host_counts, opened_rows
from rlstir_core.investigator.techniques.labels import given_tactics
from rlstir_core.investigator.techniques.row_truth import row_truth, says_rows
from rlstir_core.investigator.techniques.tactics import tactic_table
from rlstir_core.results.layout import Layout

_ONE_SIDED = "the test side has no attack, or nothing else, by what is known of its episodes"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Figures of techniques, of risks and of tampering."""

    models: tuple[TechniqueScores, ...]
    paired: dict[str, Estimate]
    risks: tuple[RiskScores, ...]
    paired_risk: dict[str, Estimate]
    paired_rows: dict[str, Estimate]
    row_prevalence: float | None
    tamper: tuple[TamperScores, ...]
    tamper_rows: tuple[TamperRows, ...]
    tamper_prevalence: float | None
    paired_spans: dict[str, Estimate]


def judge(
    layout: Layout,
    paths: Mapping[str, Path],
    test: Sequence[EpisodeInfo],
    carried: Carried,
    seen: Collection[str],
    *,
    draws: int,
) -> Judged:
    """All figures; `carried` has the exact techniques of the test side, `seen` those of the train side."""
    read, tactics = read_techniques(paths["techniques"]), read_tactics(paths["tactics"])
    models = tuple(
        _techniques(layout, name, each, tactics.get(name), test, carried, seen, draws) for name, each in read.items()
    )
    f1 = {name: micro_f1(each.said, carried, test) for name, each in read.items()}
    write_sums(paths["counts"], [info.episode_id for info in test], {name: each.sums_US for name, each in f1.items()})
    risks, paired_risk, paired_rows, rows = _risks(layout, paths, test, draws)
    tamper, tamper_rows, tampered, paired_spans = _tampering(layout, paths, test, draws)
    return Judged(
        models=models,
        paired=_against_encoder(f1, draws),
        risks=risks,
        paired_risk=paired_risk,
        paired_rows=paired_rows,
        row_prevalence=rows,
        tamper=tamper,
        tamper_rows=tamper_rows,
        tamper_prevalence=tampered,
        paired_spans=paired_spans,
    )


def _techniques(
    layout: Layout,
    name: str,
    read: Read,
    tactics: Mapping[str, tuple[str, ...]] | None,
    test: Sequence[EpisodeInfo],
    carried: Carried,
    seen: Collection[str],
    draws: int,
) -> TechniqueScores:
    exact = micro_f1(read.said, carried, test)
    of = None
    if tactics is not None:
        official = official_tactics(carried, tactic_table(layout))
        given = given_tactics(layout, test)
        hosts = {info.episode_id: info.host for info in test}
        labelled = {episode: given[episode] or each[:1] for episode, each in official.items()}
        any_of = {episode: each or given[episode] for episode, each in official.items()}
        of = tactic_scores(tactics, labelled, any_of, hosts, draws=draws)
    p_first = {episode: score if score >= 0 else float(np.exp(score)) for episode, score in read.score.items()}
    return TechniqueScores(
        name=name,
        micro_f1=estimate(exact, draws=draws),
        new_host=new_host_estimate(exact, np.array([info.host for info in test])),
        parent_f1=estimate(micro_f1(read.said, carried, test, parents=True), draws=draws),
        parts=parted_f1(read.said, carried, seen, draws=draws),
        hit_at=hits_at(read.said, carried, test, draws=draws),
        named=share([bool(read.said[info.episode_id].named) for info in test], draws),
        coverage=precision_at_coverage(read.said, read.margin, carried, draws=draws),
        calibration=refused("its scores are no probabilities")
        if name in (SVM, SIGMA)
        else calibration_error(read.said, p_first, carried, draws=draws),
        tactics=of,
    )


def _against_encoder(of: Mapping[str, Statistic], draws: int) -> dict[str, Estimate]:
    if ENCODER not in of:
        return {}
    return {name: estimate(minus(of[ENCODER], each), draws=draws) for name, each in of.items() if name != ENCODER}


def _risks(
    layout: Layout, paths: Mapping[str, Path], test: Sequence[EpisodeInfo], draws: int
) -> tuple[tuple[RiskScores, ...], dict[str, Estimate], dict[str, Estimate], float | None]:
    known = [info for info in test if says_rows(info)]
    attack_E = np.array([not info.benign for info in known], np.bool_)
    said = read_risk(paths["risk"]) if known else {}
    whole: dict[str, Statistic] = {}
    ranked: dict[str, tuple[Estimate, Estimate]] = {}
    for name, risk in said.items():
        if attack_E.all() or not attack_E.any():
            ranked[name] = (refused(_ONE_SIDED), refused(_ONE_SIDED))
            continue
        p_E = np.array([risk[info.episode_id] for info in known])
        precision, area = ranking_statistics(p_E, attack_E, np.arange(len(known)), known)
        whole[name] = area
        ranked[name] = (estimate(precision, draws=draws), estimate(area, draws=draws))
    rows, prevalence = _rows(layout, paths["row_attacks"], known, said)
    scores = tuple(
        RiskScores(
            name=name,
            risk_aupr=ranked[name][0],
            risk_auroc=ranked[name][1],
            row_ap=estimate(rows[name][0], draws=draws) if name in rows else None,
            row_auroc=estimate(rows[name][1], draws=draws) if name in rows else None,
        )
        for name in said
    )
    return (
        scores,
        _against_encoder(whole, draws),
        _against_encoder({name: each[0] for name, each in rows.items()}, draws),
        prevalence,
    )


def _rows(
    layout: Layout, path: Path, known: Sequence[EpisodeInfo], models: Collection[str]
) -> tuple[dict[str, tuple[Statistic, Statistic]], float | None]:
    """Average precision and AUROC of rows by the models that speak of them, and the share of attack rows."""
    place = {info.episode_id: e for e, info in enumerate(known)}
    truth = {info.episode_id: row_truth(layout, info).attack_N for info in known}
    found: dict[str, tuple[Statistic, Statistic]] = {}
    prevalence = None
    for model in models:

        def told(model: str = model) -> Iterator[tuple[int, Floats, Bools]]:
            for episode, p_N in read_row_attacks(path, model):
                yield place[episode], p_N, truth[episode]

        spoken = [(int(truth[episode].sum()), len(p_N)) for episode, p_N in read_row_attacks(path, model)]
        if not spoken:
            continue
        prevalence = sum(n for n, _ in spoken) / max(1, sum(n for _, n in spoken))
        if (ranked := told_statistics(told, len(known))) is not None:
            found[model] = ranked
    return found, prevalence


def _tampering(
    layout: Layout, paths: Mapping[str, Path], test: Sequence[EpisodeInfo], draws: int
) -> tuple[tuple[TamperScores, ...], tuple[TamperRows, ...], float | None, dict[str, Estimate]]:
    """Nothing where no test episode was tampered with: then every word on it is a false alarm of unknown worth."""
    counts_of = {host: host_counts(layout, host) for host in {info.host for info in test}}
    if not any(counts_of[info.host][info.own_id].tamper_spans for info in test if info.own_id in counts_of[info.host]):
        return (), (), None, {}
    spans = {model: read_spans(paths["spans"], model) for model in MODELS}
    flags = read_flags(paths["files"])
    counts: dict[str, list[EpisodeCounts]] = {model: [] for model in MODELS}
    ranked: dict[str, list[_Sparse]] = {model: [] for model in (MODELS[0], ENCODER)}
    tampered: list[Bools] = []
    rows = rows_by_episode(paths["rows"])
    nothing: dict[str, dict[tuple[str, int], float]] = {}
    next_said = next(rows, ("", nothing))
    for info in test:
        with opened_rows(layout, info.host, info.own_id) as file:
            table = file.read(columns=["member", "seq", "ts_ns", "channel", "tamper_tag"], use_threads=False)
        true = true_spans(table, counts_of[info.host][info.own_id].tamper_spans)
        said = nothing
        if next_said[0] == info.episode_id:  # both are in the order of episodes
            said, next_said = next_said[1], next(rows, ("", nothing))
        for model in MODELS:
            of = SaidTampering(
                spans=spans[model].get(info.episode_id, ()),
                p_N=_in_order(table, said.get(model, {})),
                flagged=flags.get((info.episode_id, model), frozenset()),
            )
            counts[model].append(episode_counts(table, of, true))
        for model, parts in ranked.items():
            parts.append(_Sparse.of(_in_order(table, said.get(model, {}))))
        tampered.append(np.array([bool(tag) for tag in table["tamper_tag"].to_pylist()], np.bool_))
    found = []
    for model, parts in ranked.items():

        def told(parts: list[_Sparse] = parts) -> Iterator[tuple[int, Floats, Bools]]:
            for e, (part, tampered_N) in enumerate(zip(parts, tampered, strict=True)):
                yield e, part.whole(len(tampered_N)), tampered_N

        statistics = told_statistics(told, len(test)) if any(len(part.at) for part in parts) else None
        if statistics is not None:
            found.append(TamperRows(name=model, row_ap=estimate(statistics[0], draws=draws)))
    scores = tuple(tamper_scores(model, each, draws=draws) for model, each in counts.items())
    ours, *others = MODELS
    gaps = {model: paired_span_f1(counts[ours], counts[model], draws=draws) for model in others}
    prevalence = sum(int(each.sum()) for each in tampered) / max(1, sum(map(len, tampered)))
    return scores, tuple(found), prevalence, gaps


class _Sparse(NamedTuple):
    """Likelihoods of an episode's rows, of which most are 0."""

    at: NDArray[np.int32]
    p: Floats

    @classmethod
    def of(cls, p_N: Floats) -> _Sparse:
        at = np.flatnonzero(p_N)
        return cls(at.astype(np.int32), p_N[at])

    def whole(self, n: int) -> Floats:
        p_N = np.zeros(n)
        p_N[self.at] = self.p
        return p_N


def _in_order(table: pa.Table, said: Mapping[tuple[str, int], float]) -> Floats:
    if not said:
        return np.zeros(len(table))
    keys = zip(table["member"].to_pylist(), table["seq"].to_pylist(), strict=True)
    return np.array([said.get(key, 0.0) for key in keys])
