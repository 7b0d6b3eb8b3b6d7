"""The honesty gap: the same models under every recipe that was evaluated, and how much the easier split flatters.

What does not belong here: which evaluations may stand side by side (`beside.py`), the words (`sections/honesty.py`),
and how a difference gets its interval (`stats/across.py`).
"""

# E episodes of a test side
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
import pyarrow as pa

from rlstir_core.arrays import Bools
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.store import read_split
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.investigation.figures import micro_f1_of
from rlstir_core.evaluation.investigation.predictions import read_risk
from rlstir_core.evaluation.investigation.records import ENCODER, EncoderEvaluation
from rlstir_core.evaluation.investigation.technique_baselines import KNOWLEDGE
from rlstir_core.evaluation.investigation.two_class import ranking_statistics
from rlstir_core.evaluation.report.beside import Evaluated, comparable_encoders, other_sides, remedy, why_not
from rlstir_core.evaluation.report.inputs import Honesty, HonestyRow, LeftOut, ReportInputs, SplitColumn
from rlstir_core.evaluation.report.rows import ordered
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.across import Gap, Tested, gap_across, is_what_was_said, tested_in, tested_phases_of
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate, refused
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.investigator.techniques.row_truth import says_rows
from rlstir_core.learning.scores import macro_f1
from rlstir_core.results.layout import Layout

MACRO_F1, MICRO_F1, RISK = "macro F1", "technique micro F1", "risk, average precision"
_EASY_FIRST = ("random", "sample", "time", "corpus", "host", "loho")
# What is set against what follows from what stands on both sides, never from the figures: the highest of several
# would flatter the difference itself. Where hosts are held out, recipes that leave them on both sides are the easier.
_AGAINST = {
    "random": ("host", "loho", "corpus", "time", "sample"),
    "sample": ("host", "loho"),
    "time": ("host", "loho"),
}


def make_honesty(layout: Layout, inputs: ReportInputs) -> Honesty:
    """The table for the report of `inputs`; everything else is read from where other recipes' evaluations lie."""
    return compare(Evaluated(inputs=inputs, layout=layout), other_sides(layout, inputs.recipe))


def read_honesty(layout: Layout, recipe: str) -> Honesty | None:
    """The table that the report of `recipe` shows; None where there is none."""
    try:
        return msgspec.json.decode(layout.honesty(recipe).read_bytes(), type=Honesty)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def compare(own: Evaluated, others: Iterable[Evaluated]) -> Honesty:
    """The table for the report of `own`."""
    sides, left_out = {own.recipe: own}, []
    found = {other.recipe: other for other in others}
    for recipe, other in found.items():
        reason = why_not(own.inputs.manifest, other.inputs.manifest)
        if reason:
            left_out.append(LeftOut(recipe=recipe, reason=reason))
        else:
            sides[recipe] = other
    sides = {recipe: sides[recipe] for recipe in _order(sides)}
    readers = comparable_encoders(own, sides, left_out)
    easy, strict = _poles(sides)
    pair = (sides[easy], sides[strict]) if easy else None
    common_K = None if pair is None else _tested_by_both(*pair)
    chosen = chosen_model(own.inputs)
    rows = [
        _detector_row(model, sides, pair, common_K, chosen is not None and model.name == chosen[0].name)
        for model in ordered(own.inputs)
        if model.mode == PRIMARY_MODE
    ]
    rows += _encoder_rows(readers, pair)
    if "random" not in sides:
        drawn = [_drawn_row(own.recipe, gap.model, gap.random, gap.held_out, gap.gap) for gap in own.inputs.gaps]
        rows += sorted(drawn, key=lambda row: row.mode != PRIMARY_MODE)
    return Honesty(
        columns=tuple(_column(side, readers) for side in sides.values()),
        rows=tuple(rows),
        easy=easy,
        strict=strict,
        partly=() if pair is None else _tested_by_one(*pair),
        left_out=tuple(left_out),
        missing=tuple(recipe for recipe in _order(RECIPES) if recipe not in sides and recipe not in found),
        remedy=remedy(own.inputs.manifest),
    )


def _order(recipes: Iterable[str]) -> list[str]:
    """What stands on both sides most comes first; a recipe that somebody added comes last."""
    known = list(recipes)
    return [name for name in _EASY_FIRST if name in known] + [name for name in known if name not in _EASY_FIRST]


def _poles(recipes: Iterable[str]) -> tuple[str, str]:
    """The easier recipe and the one it is set against; empty where there are no two."""
    made = set(recipes)
    for easy, against in _AGAINST.items():
        for strict in against:
            if easy in made and strict in made:
                return easy, strict
    return "", ""


def _column(side: Evaluated, readers: Mapping[str, EncoderEvaluation]) -> SplitColumn:
    encoder = readers.get(side.recipe)
    return SplitColumn(
        recipe=side.recipe,
        n_test_episodes=side.inputs.models[0].n_test_episodes if side.inputs.models else 0,
        n_log_episodes=None if encoder is None else encoder.n_test_episodes,
        prevalence=None if encoder is None else encoder.prevalence,
    )


# Detectors


def _detector_row(
    model: ModelEvaluation,
    sides: Mapping[str, Evaluated],
    pair: tuple[Evaluated, Evaluated] | None,
    common_K: Bools | None,
    best: bool,
) -> HonestyRow:
    cells = {r: found.metrics.macro_f1 for r, side in sides.items() if (found := _named(side, model.name)) is not None}
    gap = Gap(_nothing(pair))
    if pair is not None and all(side.recipe in cells for side in pair):
        first, second = (_tested(side, model.name, cells[side.recipe], common_K) for side in pair)
        gap = gap_across(first, second)
        unknown = first.statistic is None or second.statistic is None
        if _tested_by_one(*pair) and (unknown or common_K is None or not common_K.any()):
            gap = Gap(refused("the two go over different phases, and their common ones cannot be told"))
    return HonestyRow(
        model=model.model,
        mode=model.mode,
        figure=MACRO_F1,
        chosen=best,
        cells=cells,
        inflation=gap.estimate,
        shared=gap.shared,
    )


def _named(side: Evaluated, name: str) -> ModelEvaluation | None:
    return next((model for model in side.inputs.models if model.name == name), None)


def _tested(side: Evaluated, name: str, said: Estimate, common_K: Bools | None) -> Tested:
    """The figure over the phases that both sides test."""
    sums, K = side.phase_sums.get(name), side.n_phases
    if sums is None or sums.sums_ES.shape[1] != K * K:
        return Tested(said)
    whole = tested_phases_of(said, sums, K)
    if whole.statistic is None or common_K is None or (common_K == tested_in(sums, K)).all():
        return whole
    statistic = Statistic(sums_US=sums.sums_ES, of=lambda s: macro_f1(s, common_K))
    return Tested(estimate(statistic), sums.episode_E, statistic)


def _tested_by_both(first: Evaluated, second: Evaluated) -> Bools:
    """The phases that both test, of all that there are; both sides are of one registry. (K,)"""
    one, other = _phases(first), _phases(second)
    every = first.inputs.models[0].confusion.phases if first.inputs.models else ()
    return np.array([phase in one and phase in other for phase in every], np.bool_)


def _tested_by_one(first: Evaluated, second: Evaluated) -> tuple[str, ...]:
    one, other = _phases(first), _phases(second)
    return tuple(phase for phase in dict.fromkeys((*one, *other)) if (phase in one) != (phase in other))


def _phases(side: Evaluated) -> tuple[str, ...]:
    """The phases that its macro F1 goes over."""
    return tuple(side.inputs.models[0].metrics.per_phase) if side.inputs.models else ()


def _drawn_row(recipe: str, name: str, random: Estimate, held_out: Estimate, gap: Estimate) -> HonestyRow:
    """`gbt` on windows drawn at random, which every evaluation has: some gap at least, where `random` was not made."""
    model, _, mode = name.rpartition("_")
    cells = {"random": random, recipe: held_out}
    return HonestyRow(model=model, mode=mode, figure=MACRO_F1, drawn_windows=True, cells=cells, inflation=gap)


# The encoder and what stands beside it


def _encoder_rows(found: Mapping[str, EncoderEvaluation], pair: tuple[Evaluated, Evaluated] | None) -> list[HonestyRow]:
    rows = [
        _encoder_row(found, pair, ENCODER, MICRO_F1, _micro_f1, _techniques),
        _encoder_row(found, pair, KNOWLEDGE, MICRO_F1, _micro_f1, _techniques),
        _encoder_row(found, pair, ENCODER, RISK, _risk_aupr, _risk),
    ]
    return [row for row in rows if any(cell.value is not None for cell in row.cells.values())]


def _encoder_row(
    found: Mapping[str, EncoderEvaluation],
    pair: tuple[Evaluated, Evaluated] | None,
    model: str,
    figure: str,
    of: Callable[[EncoderEvaluation], Mapping[str, Estimate]],
    tested: Callable[[Evaluated, str, Estimate], Tested],
) -> HonestyRow:
    cells = {recipe: said[model] for recipe, each in found.items() if model in (said := of(each))}
    gap = Gap(_nothing(pair))
    if pair is not None and all(side.recipe in cells for side in pair):
        first, second = (tested(side, model, cells[side.recipe]) for side in pair)
        gap = gap_across(first, second)
    return HonestyRow(model=model, figure=figure, cells=cells, inflation=gap.estimate, shared=gap.shared)


def _micro_f1(of: EncoderEvaluation) -> dict[str, Estimate]:
    return {scores.name: scores.micro_f1 for scores in of.models}


def _risk_aupr(of: EncoderEvaluation) -> dict[str, Estimate]:
    return {scores.name: scores.risk_aupr for scores in of.risks}


def _techniques(side: Evaluated, model: str, said: Estimate) -> Tested:
    sums = side.technique_sums.get(model)
    if sums is None or sums.sums_ES.shape[1] != 3:
        return Tested(said)
    found = Tested(said, sums.episode_E, micro_f1_of(sums.sums_ES))
    return found if is_what_was_said(found) else Tested(said)


def _risk(side: Evaluated, model: str, said: Estimate) -> Tested:
    """The risks that were written, beside what the split says of their episodes."""
    if side.layout is None:
        return Tested(said)
    try:
        split = read_split(side.layout, side.recipe)
        risk = read_risk(side.layout.encoder_predictions(side.recipe, "risk")).get(model, {})
    except (UpstreamMissing, OSError, pa.ArrowException, KeyError):
        return Tested(said)
    known = [info for info in split.tested if info.episode_id in risk and says_rows(info)]
    attack_E = np.array([not info.benign for info in known], np.bool_)
    if side.encoder is None or split.sha256 != side.encoder.split_sha256 or not attack_E.any() or attack_E.all():
        return Tested(said)
    risk_E = np.array([risk[info.episode_id] for info in known])
    statistic, _ = ranking_statistics(risk_E, attack_E, np.arange(len(known)), known)
    found = Tested(said, np.array([info.episode_id for info in known]), statistic)
    return found if is_what_was_said(found) else Tested(said)


def _nothing(pair: tuple[Evaluated, Evaluated] | None) -> Estimate:
    if pair is None:
        return refused("no easier split was made to set against this one")
    return refused("it was not evaluated under both")
