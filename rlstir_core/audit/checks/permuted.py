"""The permuted-label control: what the same decisions score when episodes have one another's labels.

An episode whose labels change within takes those of another one stretched to its own length, so that the script of the
recordings stays: what is left to know is which episode it is. What does not belong here: what a clock alone would score
(`baselines.py`).
"""

# E episodes that are permuted, N rows of theirs, K classes
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlstir_core.arrays import Floats, Ints
from rlstir_core.audit.figures import macro, true_classes
from rlstir_core.audit.findings import Checked, Judgement, counted, not_checked
from rlstir_core.audit.material import AuditRows, Material, compact
from rlstir_core.evaluation.stats.intervals import MIN_EPISODES, Estimate

CHECK = "permuted-labels"
_MOST_EPISODES, _MOST_ROWS = 4000, 50_000
_WORK = 4_000_000  # cells in all permutations together
_FEWEST, _MOST = 199, 999  # permutations
_LEVEL = 0.05
_SCRIPT = 0.95  # agreement of permuted labels with the true ones, from which nothing is left to permute


def permuted_labels(found: Material) -> Checked:
    rows, sampled = _part(found.test, len(found.names))
    episode_N, used_E = compact(rows.episode_N, len(found.names))
    E, K = len(used_E), found.n_classes
    true_K = true_classes(rows.y_N, K)
    if true_K.sum() < 2:
        return not_checked(CHECK, "the test side holds one class only")
    if E < MIN_EPISODES:
        return not_checked(CHECK, f"{counted(E, 'test episode')} are too few to permute (from {MIN_EPISODES} on)")
    constant = _constant(episode_N, rows.y_N, E, K)
    draw = _whole(episode_N, rows, constant, K) if constant is not None else _stretched(episode_N, rows, E, K)
    n = int(np.clip(_WORK // (E * K if constant is not None else len(rows)), _FEWEST, _MOST))
    of = macro(true_K)
    value = float(of(np.bincount(rows.y_N * K + rows.decided_N, minlength=K * K).astype(np.float64)))
    rng = np.random.default_rng(0)
    figure_P, agree_P = np.empty(n), np.empty(n)
    for p in range(n):
        sums, agree_P[p] = draw(rng.permutation(E))
        figure_P[p] = of(sums)
    if agree_P.mean() >= _SCRIPT:
        return not_checked(CHECK, "labels stand at the same places in nearly all episodes; see clock-baseline")
    p_value = (1 + int((figure_P >= value - 1e-12).sum())) / (n + 1)
    top = float(np.quantile(figure_P, 1 - _LEVEL))
    verdict: Judgement = "ok" if p_value <= _LEVEL else "fail"
    how = "above" if verdict == "ok" else "not above"
    sentence = (
        f"Macro F1 {value:.3f} is {how} what {n:,} permutations of labels over {counted(E, 'episode')} give (mean "
        f"{figure_P.mean():.3f}, 95 % below {top:.3f}); p = {p_value:.3g}, the least is {1 / (n + 1):.3g}."
    )
    if verdict == "fail":
        sentence += " The detector is not told from one that knows nothing of which episode it sees."
    figures = {
        "macro_f1_permuted": Estimate(
            value=float(figure_P.mean()),
            lo=float(np.quantile(figure_P, 0.025)),
            hi=float(np.quantile(figure_P, 0.975)),
            method=f"{n} permutations by episode",
        ),
        "p": Estimate(value=p_value, note=f"resolution {1 / (n + 1):.3g}"),
    }
    sample = f" Of a sample of {E:,} test episodes." if sampled else ""
    return Checked(
        check=CHECK, verdict=verdict, sentence=sentence + sample, figures=figures, about="test episodes", n_about=E
    )


_Draw = Callable[[Ints], tuple[Floats, float]]  # of a permutation: the confusion matrix, the share of labels unchanged


def _part(rows: AuditRows, n_episodes: int) -> tuple[AuditRows, bool]:
    """Whole episodes, a bounded number of them and of their rows, but no fewer than a test needs."""
    n_E = np.bincount(rows.episode_N, minlength=n_episodes)
    here = np.flatnonzero(n_E)
    if len(here) <= _MOST_EPISODES and len(rows) <= _MOST_ROWS:
        return rows, False
    order = np.random.default_rng(2).permutation(here)
    few = min(_MOST_EPISODES, max(MIN_EPISODES * 5, int((np.cumsum(n_E[order]) <= _MOST_ROWS).sum())))
    taken = np.zeros(n_episodes, np.bool_)
    taken[order[:few]] = True
    return rows.where(taken[rows.episode_N]), few < len(here)


def _constant(episode_N: Ints, y_N: Ints, E: int, K: int) -> Ints | None:
    """The label of each episode, where it has one; None where labels change within episodes."""
    n_EK = np.bincount(episode_N * K + y_N, minlength=E * K).reshape(E, K)
    label_E: Ints = n_EK.argmax(axis=1)
    return label_E if ((n_EK > 0).sum(axis=1) == 1).all() else None


def _whole(episode_N: Ints, rows: AuditRows, label_E: Ints, K: int) -> _Draw:
    called_EK = np.bincount(episode_N * K + rows.decided_N, minlength=len(label_E) * K)
    called_EK = called_EK.reshape(-1, K).astype(np.float64)
    one_EK = np.eye(K)[label_E]

    def draw(order_E: Ints) -> tuple[Floats, float]:
        return (one_EK[order_E].T @ called_EK).reshape(-1), float((label_E[order_E] == label_E).mean())

    return draw


def _stretched(episode_N: Ints, rows: AuditRows, E: int, K: int) -> _Draw:
    """Rows in the order of time (or of the file); another episode's label at the same share of its length."""
    keys = (np.arange(len(rows)),) if rows.time_s_N is None else (rows.time_s_N,)
    order_N = np.lexsort((*keys, episode_N))
    episode_N, y_N, decided_N = episode_N[order_N], rows.y_N[order_N], rows.decided_N[order_N]
    n_E = np.bincount(episode_N, minlength=E)
    start_E = np.concatenate([[0], np.cumsum(n_E)[:-1]])
    share_N = (np.arange(len(y_N)) - start_E[episode_N] + 0.5) / n_E[episode_N]

    def draw(order_E: Ints) -> tuple[Floats, float]:
        other_N = order_E[episode_N]
        label_N = y_N[start_E[other_N] + (share_N * n_E[other_N]).astype(np.int64)]
        sums = np.bincount(label_N * K + decided_N, minlength=K * K).astype(np.float64)
        return sums, float((label_N == y_N).mean())

    return draw
