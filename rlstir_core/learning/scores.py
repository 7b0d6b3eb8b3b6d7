"""F1 from confusion matrices, and what training looks at to choose: the one macro F1 of the project.

What does not belong here: intervals (`evaluation/stats`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats

# N windows, K phases


def ratio(over: Floats, under: Floats) -> Floats:
    """over / under, NaN where `under` is 0."""
    quotient: Floats = np.divide(over, under, out=np.full(np.shape(under), np.nan), where=under != 0)
    return quotient


def phase_f1(sums: Floats, n_phases: int) -> Floats:
    """F1 of every phase. (..., K*K) -> (..., K). NaN for a phase that neither stands nor is predicted."""
    matrix = sums.reshape(*sums.shape[:-1], n_phases, n_phases)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    return ratio(2 * hits, matrix.sum(axis=-1) + matrix.sum(axis=-2))


def macro_f1(sums: Floats, tested_K: NDArray[np.bool_]) -> Floats:
    """The mean F1 of the tested phases. (..., K*K) -> (...). A phase without any window is left out."""
    f1 = phase_f1(sums, len(tested_K))[..., tested_K]
    known = np.isfinite(f1)
    return ratio(np.where(known, f1, 0.0).sum(axis=-1), known.sum(axis=-1))


def two_class_f1(right: Floats, called: Floats, true: Floats | float, n: Floats | float) -> Floats:
    """Macro F1 of two classes: how many of `n` were called the first and are, were called so, and are."""
    first = ratio(2 * right, called + true)
    second = ratio(2 * (n - called - true + right), 2 * n - called - true)
    found: Floats = (first + second) / 2
    return found


def window_macro_f1(label_N: NDArray[np.int64], proba_NK: Floats) -> float:
    """Mean F1 over the phases that `label_N` holds: what early stopping looks at."""
    n_phases = proba_NK.shape[1]
    sums = np.bincount(label_N * n_phases + proba_NK.argmax(axis=1), minlength=n_phases**2).astype(np.float64)
    return float(macro_f1(sums, sums.reshape(n_phases, n_phases).sum(axis=1) > 0))


def look(labels: Sequence[NDArray[np.int64]], probas: Sequence[Floats]) -> tuple[float, float]:
    """Macro F1 and mean log-likelihood, averaged over validation's views: greater is better, ties go to the second."""
    scores = [window_macro_f1(label_N, proba_NK) for label_N, proba_NK in zip(labels, probas, strict=True)]
    likely = [
        np.log(np.maximum(proba_NK[np.arange(len(label_N)), label_N], 1e-9)).mean()
        for label_N, proba_NK in zip(labels, probas, strict=True)
    ]
    return float(np.mean(scores)), float(np.mean(likely))


def class_weights(count_K: NDArray[np.int64], at_most: float) -> Floats:
    """Inverse class frequencies with mean 1 over the windows that were counted, clipped; (K,) -> (K,)."""
    present = count_K > 0
    weights = np.where(present, count_K.sum() / (present.sum() * np.maximum(count_K, 1)), 0.0)
    return np.clip(weights, 0.0, at_most)
