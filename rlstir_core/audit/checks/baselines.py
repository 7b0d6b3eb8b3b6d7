"""What knows nothing of the behaviour: the label from the clock alone, and from metadata alone.

Both learn on the train side's rows where their labels are in the predictions, otherwise within the test side, each
episode from the others. What does not belong here: the detector's own figure (`clusters.py`).
"""

# N rows, E episodes, K classes, B bins of time, F folds, V values of a column
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.audit.figures import MOST_UNITS, SumsFigure, by_episode, macro, true_classes
from rlstir_core.audit.findings import Checked, Judgement, not_checked, said
from rlstir_core.audit.material import AuditRows, Material
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate
from rlstir_core.evaluation.stats.rules import VOID_MARGIN
from rlstir_core.text import plain

CLOCK, METADATA = "clock-baseline", "metadata-baseline"
_FOLDS = 5
_BINS = 64
_NUMBER_BINS = 16
_FEWEST = 5  # episodes to learn from
_SAMPLE = 20_000  # rows that bins of time are made from
_MOST_VALUES = 10_000  # of a column; and no more than half as many as episodes, since an id says nothing of the next


@dataclass(frozen=True, kw_only=True, eq=False)
class _Lesson:
    """Who learns from whom: fold f of the test side learns from all rows to learn from but its own."""

    rows: AuditRows  # to learn from
    fold_E: Ints  # of test episodes, 0 where the train side teaches; of those to learn from, their own
    within: bool  # the test side itself teaches
    words: str


def clock(found: Material, macro_f1: Estimate) -> Checked:
    if found.test.time_s_N is None:
        return not_checked(CLOCK, "the predictions have no column `time_s`")
    test = _timed(found.test)
    lesson = _lesson(found, _timed(found.train), test)
    if lesson is None or test.time_s_N is None or lesson.rows.time_s_N is None:
        return not_checked(CLOCK, "too few episodes have times to learn a clock from")
    K = found.n_classes
    sample = np.random.default_rng(0).integers(0, len(lesson.rows), _SAMPLE)
    edges = np.unique(np.quantile(lesson.rows.time_s_N[sample], np.linspace(0, 1, _BINS + 1)[1:-1]))
    B = len(edges) + 1
    bin_N = np.searchsorted(edges, lesson.rows.time_s_N, "right")
    fold_N = lesson.fold_E[lesson.rows.episode_N]
    cells = np.bincount((fold_N * B + bin_N) * K + lesson.rows.y_N, minlength=_FOLDS * B * K)
    own_FBK = cells.reshape(_FOLDS, B, K).astype(np.float64)
    called_FB = _best_table(own_FBK, macro(true_classes(lesson.rows.y_N, K)))
    if lesson.within:
        test_bin_N, test_fold_N = bin_N, fold_N
    else:
        called_FB = np.broadcast_to(_best_of_all(own_FBK, macro(true_classes(lesson.rows.y_N, K))), (_FOLDS, B))
        test_bin_N, test_fold_N = np.searchsorted(edges, test.time_s_N, "right"), np.zeros(len(test), np.int64)
    decided_N = np.ascontiguousarray(called_FB).reshape(-1)[test_fold_N * B + test_bin_N]
    units = by_episode(test, len(found.names), K)
    figure = units.estimate(units.of(decided_N), macro(true_classes(test.y_N, K)))
    return _judged(CLOCK, "the time since the recording began", (figure, macro_f1), lesson, found)


def metadata(found: Material, macro_f1: Estimate) -> Checked:
    columns: dict[str, Floats | Ints] = {plain(group.name, 60): group.code_E for group in found.groups}
    columns |= {plain(name, 60): value_E for name, value_E in (found.about.metadata.items() if found.about else ())}
    if not columns:
        return not_checked(METADATA, "neither the split nor a table of episodes (--episodes) has a column of metadata")
    lesson = _lesson(found, found.train, found.test)
    if lesson is None:
        return not_checked(METADATA, "too few episodes have labels to learn from")
    E, K = len(found.names), found.n_classes
    learn_EK = _shares(lesson.rows, E, K)
    coded = {name: code for name, value in columns.items() if (code := _coded(value, _any(learn_EK))) is not None}
    if not coded:
        return not_checked(METADATA, f"none of {', '.join(list(columns)[:3])} has a value that two episodes share")
    of = macro(true_classes(lesson.rows.y_N, K))
    n_learn_EK = _counts(lesson.rows, E, K)
    likely = {name: _likely(code, learn_EK, lesson) for name, code in coded.items()}
    best: tuple[float, tuple[str, ...], Ints] = (-1.0, (), np.zeros(0, np.int64))
    for names in [tuple(coded), *((name,) for name in coded if len(coded) > 1)]:
        summed_EK = sum((likely[name] for name in names), np.zeros((E, K)))
        for balanced in (False, True):
            called_E = _called(summed_EK, learn_EK, balanced)
            value = float(of(_confusion(n_learn_EK, called_E)))
            if value > best[0]:
                best = (value, names, called_E)
    _, names, called_E = best
    test_EK = _counts(found.test, E, K)
    here = _any(test_EK)
    figure = _estimate(test_EK[here], called_E[here], macro(true_classes(found.test.y_N, K)))
    what = f"metadata alone ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
    return _judged(METADATA, what, (figure, macro_f1), lesson, found)


def _judged(check: str, what: str, pair: tuple[Estimate, Estimate], lesson: _Lesson, found: Material) -> Checked:
    figure, detector = pair
    if figure.value is None or detector.value is None:
        return not_checked(check, "one of the two figures is not defined on these episodes")
    chance = 1 / int(true_classes(found.test.y_N, found.n_classes).sum())
    floor = detector.lo if detector.lo is not None else detector.value
    roof = detector.hi if detector.hi is not None else detector.value
    verdict: Judgement = "ok"
    head = f"From {what}, {lesson.words}, macro F1 is {said(figure)}; the detector has {said(detector)}"
    if figure.value > roof:
        verdict, end = "fail", "which is less: it need not have learnt anything of behaviour."
    elif figure.value >= floor:
        verdict, end = "warn", "which is not told from it: the detector may have learnt no more than that."
    elif figure.value > chance + VOID_MARGIN:
        verdict = "warn"
        end = f"and guessing {chance:.2f}: labels follow it by more than {VOID_MARGIN:.2f}, and so may the figure."
    else:
        end = f"and guessing {chance:.2f}."
    return Checked(
        check=check,
        verdict=verdict,
        sentence=f"{head}, {end}",
        figures={"macro_f1_baseline": figure, "macro_f1_detector": detector},
        about="test episodes",
        n_about=int((np.bincount(found.test.episode_N) > 0).sum()),
    )


def _timed(rows: AuditRows) -> AuditRows:
    return rows if rows.time_s_N is None else rows.where(~np.isnan(rows.time_s_N))


def _lesson(found: Material, train: AuditRows, test: AuditRows) -> _Lesson | None:
    """From whom to learn; None where there are too few episodes."""
    E = len(found.names)
    rng = np.random.default_rng(3)
    for rows, within, words in (
        (train, False, "learnt from the train rows of the predictions"),
        (test, True, "learnt within the test side, each episode from the others"),
    ):
        here = np.flatnonzero(np.bincount(rows.episode_N, minlength=E))
        if len(here) >= _FEWEST and len(np.unique(rows.y_N)) > 1:
            fold_E = np.zeros(E, np.int64)
            fold_E[here] = rng.permutation(len(here)) % _FOLDS
            return _Lesson(rows=rows, fold_E=fold_E, within=within, words=words)
    return None


def _best_table(own_FBK: Floats, of: SumsFigure) -> Ints:
    """The class to call by fold and bin, learnt from the other folds. (F, B)"""
    rest_FBK = own_FBK.sum(axis=0) - own_FBK
    tables = [_calls(rest_FBK, balanced) for balanced in (False, True)]
    return tables[int(np.argmax([_table_figure(own_FBK, table, of) for table in tables]))]


def _best_of_all(own_FBK: Floats, of: SumsFigure) -> Ints:
    """The class to call by bin, learnt from all folds. (B,)"""
    whole_1BK = own_FBK.sum(axis=0)[None]
    tables = [_calls(whole_1BK, balanced) for balanced in (False, True)]
    found: Ints = tables[int(np.argmax([_table_figure(whole_1BK, table, of) for table in tables]))][0]
    return found


def _calls(count_FBK: Floats, balanced: bool) -> Ints:
    """The most frequent class of each bin, or the one most over-represented there; bins without rows take the whole."""
    prior_F1K = count_FBK.sum(axis=1, keepdims=True)
    smooth_FBK = count_FBK + prior_F1K / np.maximum(prior_F1K.sum(axis=2, keepdims=True), 1)
    called: Ints = (smooth_FBK / np.maximum(prior_F1K, 1) if balanced else smooth_FBK).argmax(axis=2)
    return called


def _table_figure(count_FBK: Floats, called_FB: Ints, of: SumsFigure) -> float:
    K = count_FBK.shape[2]
    sums_KK = np.zeros((K, K))
    np.add.at(sums_KK.T, called_FB.reshape(-1), count_FBK.reshape(-1, K))
    return float(of(sums_KK.reshape(-1)))


def _counts(rows: AuditRows, E: int, K: int) -> Floats:
    return np.bincount(rows.episode_N * K + rows.y_N, minlength=E * K).reshape(E, K).astype(np.float64)


def _shares(rows: AuditRows, E: int, K: int) -> Floats:
    """What share of an episode's rows has each label: every episode teaches as much. (E, K)"""
    count_EK = _counts(rows, E, K)
    found: Floats = count_EK / np.maximum(count_EK.sum(axis=1, keepdims=True), 1)
    return found


def _any(count_EK: Floats) -> Bools:
    """True for episodes that have a row. (E,)"""
    return np.asarray((count_EK > 0).any(axis=1), np.bool_)


def _coded(value_E: Floats | Ints, learn_E: Bools) -> Ints | None:
    """Values as codes 0 .. V, of which the last is unknown; None where no two episodes to learn from share one."""
    if np.issubdtype(value_E.dtype, np.floating):
        known = value_E[learn_E & ~np.isnan(value_E)]
        if not len(known):
            return None
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _NUMBER_BINS + 1)[1:-1]))
        code_E = np.where(np.isnan(value_E), len(edges) + 1, np.searchsorted(edges, value_E, "right"))
        return code_E.astype(np.int64)
    n_values = len(np.unique(value_E[learn_E & (value_E >= 0)]))
    if not n_values or n_values > min(_MOST_VALUES, learn_E.sum() / 2):
        return None
    top = int(value_E.max()) + 1
    return np.where(value_E < 0, top, value_E).astype(np.int64)


def _likely(code_E: Ints, learn_EK: Floats, lesson: _Lesson) -> Floats:
    """log p(value | class) of every episode, learnt from the episodes of other folds, or from all. (E, K)

    An episode that is not learnt from (of the test side, where the train side teaches) has all of them as teachers.
    """
    teachers = np.flatnonzero(_any(learn_EK))
    K, V = learn_EK.shape[1], int(code_E.max()) + 1
    cell = lesson.fold_E[teachers] * V + code_E[teachers]
    size = _FOLDS * V
    own_FVK = np.stack(
        [np.bincount(cell, weights=learn_EK[teachers, k], minlength=size) for k in range(K)], axis=1
    ).reshape(_FOLDS, V, K)
    all_1VK = own_FVK.sum(axis=0, keepdims=True)
    count_FVK = np.concatenate([all_1VK - own_FVK, all_1VK])  # the last: from all
    class_F1K = count_FVK.sum(axis=1, keepdims=True)
    share_F1K = class_F1K / np.maximum(class_F1K.sum(axis=2, keepdims=True), 1e-9)
    likely_FVK = np.log((np.maximum(count_FVK, 0) + share_F1K + 1e-9) / (class_F1K + 1))
    fold_E = np.full(len(code_E), _FOLDS)
    fold_E[teachers] = lesson.fold_E[teachers]
    found: Floats = likely_FVK.reshape(-1, K)[fold_E * V + code_E]
    return found


def _called(likely_EK: Floats, learn_EK: Floats, balanced: bool) -> Ints:
    prior_K = learn_EK.sum(axis=0)
    with np.errstate(divide="ignore"):
        log_K = np.where(prior_K > 0, 0.0 if balanced else np.log(prior_K), -np.inf)
    called: Ints = (likely_EK + log_K).argmax(axis=1)
    return called


def _confusion(count_EK: Floats, called_E: Ints) -> Floats:
    """The confusion matrix of all rows, where each episode is called one class. (K*K,)"""
    K = count_EK.shape[1]
    sums = [np.bincount(called_E, weights=count_EK[:, k], minlength=K) for k in range(K)]
    return np.concatenate(sums)


def _estimate(count_EK: Floats, called_E: Ints, of: SumsFigure) -> Estimate:
    """The figure of episodes that are called one class each, with its interval over them."""
    E, K = count_EK.shape
    unit_E = np.arange(E) if E <= MOST_UNITS else np.random.default_rng(0).permutation(E) % MOST_UNITS
    units = min(E, MOST_UNITS)
    sums = np.zeros((units, K, K))
    cell_E = unit_E * K + called_E
    for k in range(K):
        sums[:, k, :] = np.bincount(cell_E, weights=count_EK[:, k], minlength=units * K).reshape(units, K)
    return estimate(Statistic(sums_US=sums.reshape(units, K * K), of=of), jackknife=E > MOST_UNITS)
