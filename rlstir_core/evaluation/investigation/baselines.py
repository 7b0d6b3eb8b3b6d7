"""What stands beside the encoder in the same table: base rates, a bag of words, and the public technique texts alone.

All are fitted on what the encoder was trained on, and their thresholds are set on the fold that chose it. What does
not belong here: figures.
"""

# E episodes, V words, K outputs: the techniques, then an attack
from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.records import KNOWLEDGE
from rlstir_core.investigator.inputs import N_OUTPUTS
from rlstir_core.investigator.reading.rows import episode_texts
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.knowledge import Knowledge, words
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.training import Taught, base_logits
from rlstir_core.progress import Tell

MAJORITY, BAG = "majority", "bag-of-words"
BothScores = tuple[Floats, Floats]  # scores of validation and of the test side, (E, K); NaN where a model says nothing
_TEXTS = 2_048  # of an episode: more than the encoder reads
_STRENGTH = 10.0  # of the fit against its regularisation
_PASSES = 500


def baseline_scores(
    study: InvestigatorStudy,
    taught: Taught,
    sides: Sequence[Sequence[EpisodeInfo]],
    knowledge: Knowledge | None,
    tell: Tell,
) -> dict[str, BothScores]:
    """Scores by baseline; `sides` are the episodes of `taught`, the fold that chooses, and the test side."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    learnt, chosen, test = sides
    said_K = 1 / (1 + np.exp(-base_logits(taught)))
    found = {MAJORITY: (_repeated(said_K, len(chosen)), _repeated(said_K, len(test)))}
    tell("bag of words: reading the train side")
    vectoriser = TfidfVectorizer(analyzer=words, sublinear_tf=True)
    try:
        x_EV = vectoriser.fit_transform(_documents(study, learnt, study.train_hosts))
    except ValueError:  # no word at all
        return found
    tell("bag of words: reading the other sides")
    texts = [list(_documents(study, side, study.split.hosts)) for side in (chosen, test)]
    others = [vectoriser.transform(each) for each in texts]
    bag = [np.zeros((len(each), N_OUTPUTS)) for each in (chosen, test)]
    for k in range(N_OUTPUTS):
        for scores, column in zip(bag, _linear(x_EV, taught, k, others), strict=True):
            scores[:, k] = column
    found[BAG] = (bag[0], bag[1])
    if knowledge is not None:
        said = [np.full((len(each), N_OUTPUTS), np.nan) for each in (chosen, test)]
        for scores, each in zip(said, texts, strict=True):
            scores[:, : len(LABELS)] = knowledge.scores(each) if each else 0.0
        found[KNOWLEDGE] = (said[0], said[1])
    return found


def _linear(x_EV: object, taught: Taught, k: int, others: Sequence[object]) -> list[NDArray[np.float64]]:
    """Probabilities of answer `k` on the other sides, by logistic regression; the base rate where all say the same."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    asked_E = np.flatnonzero(taught.asked_EK[:, k])
    y_E = taught.y_EK[asked_E, k]
    if not len(y_E) or y_E.all() or not y_E.any():
        base = float(y_E.mean()) if len(y_E) else float("nan")
        return [np.full(each.shape[0], base) for each in others]  # type: ignore[attr-defined]
    model = LogisticRegression(C=_STRENGTH, max_iter=_PASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is as good
        model.fit(x_EV[asked_E], y_E)  # type: ignore[index]
    return [np.asarray(model.predict_proba(each)[:, 1]) for each in others]


def _repeated(said_K: Floats, n: int) -> Floats:
    return np.repeat(said_K[None], n, axis=0)


def _documents(study: InvestigatorStudy, episodes: Sequence[EpisodeInfo], hosts: Sequence[str]) -> Iterator[str]:
    for info in episodes:
        yield "\n".join(episode_texts(study.layout, info, _TEXTS, hosts))
