"""Whether the threshold behind the decisions looks as if the test side had chosen it: a suspicion, never a proof.

It is suspected when it is exactly the best of all on the test side, where a threshold from elsewhere would hardly have
been, or when it does better there than the one that validation rows choose by more than chance. A threshold near the
optimum, or the best of a coarse grid, passes. What does not belong here: cutting scores (`cuts.py`).
"""

# N rows, U episodes
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.audit.checks.cuts import CRITERIA, Cuts, best, cuts_of, decisions_cut, middle
from rlstir_core.audit.figures import UnitSums
from rlstir_core.audit.findings import SHOWN, Checked, counted, not_checked, said
from rlstir_core.audit.material import AuditRows, Material, compact
from rlstir_core.evaluation.stats.intervals import TAIL, Estimate
from rlstir_core.learning.scores import macro_f1

CHECK = "test-chosen-threshold"
_MOST_ROWS = 50_000  # that are resampled
_DRAWS = 100
_SAME = 1e-12
_RARE = 0.05
_FEWEST_VALIDATION = 20  # rows of each class


def threshold(found: Material) -> Checked:
    if found.argmax_differs == 0:
        sentence = "Each decision is the most probable class, so there is no threshold to choose."
        return Checked(check=CHECK, verdict="ok", sentence=sentence)
    if found.positive is None:
        return not_checked(CHECK, _why(found))
    return _of_scores(found, _scored(found.test))


def _of_scores(found: Material, test: AuditRows) -> Checked:
    if not len(test):
        return not_checked(CHECK, "no test row has a score")
    called_N = test.decided_N == found.positive
    against = _against_own(test, called_N)
    if len(against):
        return _another(test, against)
    if called_N.all() or not called_N.any():
        return not_checked(CHECK, "all test rows are decided alike")
    shifted = test.threshold_N is not None and len(np.unique(test.threshold_N)) > 1
    cuts = cuts_of(_margin(test, shifted), test.y_N == found.positive)
    place, wrong = decisions_cut(cuts, called_N)
    if place is None:
        why = "no single threshold makes the decisions"
        return not_checked(CHECK, f"{why}: the best one contradicts {wrong:,} of {len(test):,} test rows")
    return _judged(found, (test, cuts, place), shifted)


def _why(found: Material) -> str:
    if found.argmax_differs is None:
        return found.why_no_score
    rows = counted(found.argmax_differs, "row")
    return f"{rows} are not decided for the most probable class, and by which rule is not known"


def _against_own(test: AuditRows, called_N: Bools) -> Ints:
    """Rows that are decided against the threshold that is given for them, whether it counts as above or not."""
    if test.threshold_N is None or test.score_N is None:
        return np.zeros(0, np.int64)
    or_equal = np.flatnonzero((test.score_N >= test.threshold_N) != called_N)
    above = np.flatnonzero((test.score_N > test.threshold_N) != called_N)
    return or_equal if len(or_equal) <= len(above) else above


def _another(test: AuditRows, against: Ints) -> Checked:
    sentence = (
        f"{len(against):,} of {len(test):,} test rows are decided against their own score and threshold: the threshold "
        "that is given is not the one that decided."
    )
    rows = tuple(f"row {test.place_N[n] + 1:,}" for n in against[:SHOWN])
    return Checked(check=CHECK, verdict="warn", sentence=sentence, about="rows", n_about=len(against), examples=rows)


def _judged(found: Material, decided: tuple[AuditRows, Cuts, int], shifted: bool) -> Checked:
    test, cuts, place = decided
    span = cuts.span(place)
    figures = cuts.figures()
    what = "margin to the rows' own thresholds" if shifted else "threshold"
    where = f"The {what} behind the decisions lies in ({span[0]:.6g}, {span[1]:.6g}]"
    validation = _scored(found.validation)
    of_validation = _validation_cuts(found, validation, shifted)
    if not shifted and _free(span, cuts):
        return _ok(f"{where}, which holds .5: nobody needed to choose it.")
    tops = [name for name in CRITERIA if best(figures[name])[place]]
    if of_validation is not None:
        chosen = _chosen_on(of_validation)
        agreeing = [name for name, (low, high) in chosen.items() if low < span[1] and span[0] < high]
        if agreeing:
            return _ok(f"{where}, as the validation rows would choose it by {agreeing[0]}.")
    for name in tops:
        hits = _hit_rate(found, (of_validation, validation), decided, name)
        if hits <= _RARE:
            source = (
                "resampled validation rows choose as well in"
                if of_validation is not None
                else "without validation rows: one half of the test episodes chooses the best of the other in"
            )
            return Checked(
                check=CHECK,
                verdict="warn",
                sentence=(
                    f"{where} and is exactly the best of {len(cuts.cut_C):,} on the test side by {name} "
                    f"({figures[name][place]:.3f}); {source} {hits:.0%} of draws. It looks "
                    "chosen on test data, which this does not prove: say on which rows it was chosen."
                ),
                figures=_figure(name, float(figures[name][place])),
                about="test rows",
                n_about=len(test),
            )
    if of_validation is not None:
        return _against_validation(found, decided, (of_validation, validation), where)
    return _ok(
        f"{where}; it is not the best of {len(cuts.cut_C):,} on the test side by more than a threshold from elsewhere "
        "might be. Without validation rows no more can be said."
    )


def _against_validation(
    found: Material, decided: tuple[AuditRows, Cuts, int], of_validation: tuple[Cuts, AuditRows], where: str
) -> Checked:
    test, cuts, place = decided
    validation, rows = of_validation
    other = cuts.place_of(middle(_chosen_on(validation)["macro F1"]))
    gap = _gap(found, decided, other)
    figures = {"macro_f1_above_the_validation_choice": gap}
    text = f"{where}; on the test side it stands {said(gap, '+.3f')} macro F1 above the one that validation rows choose"
    if gap.lo is not None and gap.lo > 0 and not _likely(found, validation, rows, cuts.span(place)):
        sentence = (
            f"{text}, by more than chance. It may have been chosen on test data, or for a reason that these rows do "
            "not show: say on which rows it was chosen."
        )
        return Checked(
            check=CHECK, verdict="warn", sentence=sentence, figures=figures, about="test rows", n_about=len(test)
        )
    end = "as validation rows might have chosen it too" if gap.lo is not None and gap.lo > 0 else "not more than chance"
    return Checked(check=CHECK, verdict="ok", sentence=f"{text}, {end}.", figures=figures)


def _ok(sentence: str) -> Checked:
    return Checked(check=CHECK, verdict="ok", sentence=sentence)


def _figure(name: str, value: float) -> dict[str, Estimate]:
    key = name.lower().replace(" ", "_").replace("'", "")
    return {key: Estimate(value=value, note="the best of all thresholds on these rows, not an estimate")}


def _scored(rows: AuditRows) -> AuditRows:
    """Rows that have what a decision is made of."""
    assert rows.score_N is not None
    known_N = ~np.isnan(rows.score_N)
    if rows.threshold_N is not None:
        known_N &= ~np.isnan(rows.threshold_N)
    return rows.where(known_N)


def _margin(rows: AuditRows, shifted: bool) -> Floats:
    assert rows.score_N is not None
    return rows.score_N - rows.threshold_N if shifted and rows.threshold_N is not None else rows.score_N


def _free(span: tuple[float, float], cuts: Cuts) -> bool:
    """Whether the threshold can be .5 of scores between 0 and 1 (or from .5 up and from just above it)."""
    return bool(span[0] <= 0.5 <= span[1] and cuts.score_N[0] >= 0 and cuts.score_N[-1] <= 1)


def _validation_cuts(found: Material, validation: AuditRows, shifted: bool) -> Cuts | None:
    true_N = validation.y_N == found.positive
    if min(int(true_N.sum()), int((~true_N).sum())) < _FEWEST_VALIDATION:
        return None
    return cuts_of(_margin(validation, shifted), true_N)


def _chosen_on(cuts: Cuts) -> dict[str, tuple[float, float]]:
    """The thresholds that these rows would choose by each criterion: all that are as good as the best."""
    return {name: _widest(cuts, figure_C) for name, figure_C in cuts.figures().items()}


def _hit_rate(
    found: Material, validation: tuple[Cuts | None, AuditRows], decided: tuple[AuditRows, Cuts, int], name: str
) -> float:
    """How often episodes from elsewhere choose a threshold that is as good as the best on the test side."""
    test, on_test, _ = decided
    if validation[0] is None:
        return _half_hits(found, on_test, test, name)
    figure_C = on_test.figures()[name]
    chosen = _resampled(found, validation[0], validation[1], name)
    return float(np.mean([figure_C[on_test.place_of(middle(span))] >= figure_C.max() - _SAME for span in chosen]))


def _half_hits(found: Material, cuts: Cuts, rows: AuditRows, name: str) -> float:
    """How often one half of the test episodes, drawn at random, chooses what is the best on the other half."""
    cuts, rows = _part(cuts, rows, len(found.names))
    unit_N, used = compact(rows.episode_N[cuts.order_N], len(found.names))
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(_DRAWS):
        half_N = (rng.permutation(len(used)) < len(used) / 2).astype(np.float64)[unit_N]
        other_C = cuts.figures(1 - half_N)[name]
        place = cuts.place_of(middle(_widest(cuts, cuts.figures(half_N)[name])))
        hits += bool(other_C[place] >= np.nanmax(other_C) - _SAME)
    return hits / _DRAWS


def _likely(found: Material, cuts: Cuts, rows: AuditRows, span: tuple[float, float]) -> bool:
    """Whether resampled validation episodes choose such a threshold, within 95 % of draws, by some criterion."""
    for name in CRITERIA:
        low_D, high_D = np.array(list(_resampled(found, cuts, rows, name))).T
        if np.quantile(low_D, TAIL) < span[1] and span[0] < np.quantile(high_D, 1 - TAIL):
            return True
    return False


def _resampled(found: Material, cuts: Cuts, rows: AuditRows, name: str) -> Iterator[tuple[float, float]]:
    """The thresholds that resampled episodes choose: all that are as good as the best."""
    cuts, rows = _part(cuts, rows, len(found.names))
    unit_N, used = compact(rows.episode_N[cuts.order_N], len(found.names))
    rng = np.random.default_rng(0)
    for _ in range(_DRAWS):
        weight_N = rng.multinomial(len(used), np.full(len(used), 1 / len(used))).astype(np.float64)[unit_N]
        yield _widest(cuts, cuts.figures(weight_N)[name])


def _widest(cuts: Cuts, figure_C: Floats) -> tuple[float, float]:
    places = np.flatnonzero(best(figure_C))
    return cuts.span(int(places[0]))[0], cuts.span(int(places[-1]))[1]


def _part(cuts: Cuts, rows: AuditRows, E: int) -> tuple[Cuts, AuditRows]:
    """Whole episodes, drawn until there are enough rows."""
    if len(rows) <= _MOST_ROWS:
        return cuts, rows
    n_E = np.bincount(rows.episode_N, minlength=E)
    order = np.random.default_rng(1).permutation(E)
    taken_E = np.zeros(E, np.bool_)
    taken_E[order[np.cumsum(n_E[order]) <= _MOST_ROWS]] = True
    mask_N = taken_E[rows.episode_N]
    sorted_mask_N = mask_N[cuts.order_N]
    place_N = np.cumsum(mask_N) - 1
    score_N = cuts.score_N[sorted_mask_N]
    inner = np.flatnonzero(np.diff(score_N) > 0) + 1
    part = Cuts(
        score_N=score_N,
        positive_N=cuts.positive_N[sorted_mask_N],
        order_N=place_N[cuts.order_N[sorted_mask_N]],
        cut_C=np.concatenate([[0], inner, [len(score_N)]]).astype(np.int64),
    )
    return part, rows.where(mask_N)


def _gap(found: Material, decided: tuple[AuditRows, Cuts, int], other: int) -> Estimate:
    """Macro F1 of the decisions minus that of another cut, over the same resampled episodes."""
    test, cuts, place = decided
    units = UnitSums(test.y_N, test.episode_N, len(found.names), found.n_classes)
    positive = found.positive
    assert positive is not None
    sums = []
    for cut in (int(cuts.cut_C[place]), int(cuts.cut_C[other])):
        decided_N = np.empty(len(test), np.int64)
        decided_N[cuts.order_N[:cut]], decided_N[cuts.order_N[cut:]] = 1 - positive, positive
        sums.append(units.of(decided_N))
    both = np.ones(2, np.bool_)
    return units.estimate(
        np.concatenate(sums, axis=1),
        lambda s: macro_f1(s[..., :4], both) - macro_f1(s[..., 4:], both),
        bounded=False,
    )
