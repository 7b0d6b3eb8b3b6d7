"""What stands beside the encoder where logs of other authors are read: a linear SVM, and public technique texts.

What does not belong here: baselines on texts of rows (`baselines.py`), and figures.
"""

# E documents, K techniques, V words, C ids that texts speak of
from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.evaluation.investigation.predictions import Spoken
from rlstir_core.investigator.techniques.decide import KNOWLEDGE_NAMING
from rlstir_core.investigator.techniques.documents import Document
from rlstir_core.investigator.techniques.knowledge import Knowledge

SVM, KNOWLEDGE, KNOWLEDGE_AND_LOGS = "svm", "knowledge", "knowledge+logs"
_STRENGTH = 1.0
_BLOCK = 512  # documents that are asked together
_SAYS_NO = -1e3  # of a technique that no document carries


def svm_scores(learnt_EV: Any, y_EK: NDArray[np.bool_], others: Sequence[Any]) -> list[Floats]:
    """Decision values, (E, K) of every other side: TF-IDF of words and a linear SVM for every technique.

    Sides are counts over the same words, as `KeptDocuments` has them.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.svm import LinearSVC

    found: list[Floats] = [np.full((side.shape[0], y_EK.shape[1]), _SAYS_NO) for side in others]
    seen_V = np.flatnonzero(np.bincount(learnt_EV.indices, minlength=learnt_EV.shape[1]))
    if not len(seen_V):
        return found
    weighing = TfidfTransformer()
    x_EV = weighing.fit_transform(learnt_EV[:, seen_V]).astype(np.float64)  # what liblinear would make of it each time
    sides = [
        weighing.transform(side[:, seen_V], copy=False).astype(np.float64) if side.shape[0] else None for side in others
    ]
    for k in np.flatnonzero(y_EK.any(axis=0) & ~y_EK.all(axis=0)):
        model = LinearSVC(C=_STRENGTH, class_weight="balanced", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is as good
            model.fit(x_EV, y_EK[:, k])
        for scores, side in zip(found, sides, strict=True):
            if side is not None:
                scores[:, k] = model.decision_function(side)
    return found


def knowledge_spoken(knowledge: Knowledge, documents: Sequence[Document]) -> Spoken:
    """What public texts say over all ids; its naming was chosen on logs and rules of other authors."""
    said_EC = np.zeros((len(documents), len(knowledge.ids)))
    for first in range(0, len(documents), _BLOCK):
        block = slice(first, first + _BLOCK)
        said_EC[block] = knowledge.log_posteriors(documents[block])
    return Spoken(knowledge.ids, said_EC, KNOWLEDGE_NAMING)
