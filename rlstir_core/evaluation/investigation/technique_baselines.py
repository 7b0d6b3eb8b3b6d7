"""What stands beside the encoder where logs of other authors are read: a linear SVM, and public technique texts.

What does not belong here: baselines on texts of rows (`baselines.py`), and figures.
"""

# E documents, K techniques
from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.evaluation.investigation.predictions import Spoken
from rlstir_core.investigator.techniques.decide import KNOWLEDGE_NAMING
from rlstir_core.investigator.techniques.documents import Document
from rlstir_core.investigator.techniques.knowledge import Knowledge

SVM, KNOWLEDGE, KNOWLEDGE_AND_LOGS = "svm", "knowledge", "knowledge+logs"
_STRENGTH = 1.0
_SAYS_NO = -1e3  # of a technique that no document carries


def svm_scores(
    learnt: Sequence[Document], y_EK: NDArray[np.bool_], others: Sequence[Sequence[Document]]
) -> list[Floats]:
    """Decision values, (E, K) of every other side: TF-IDF of the documents and a linear SVM for every technique."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.svm import LinearSVC

    found: list[Floats] = [np.full((len(side), y_EK.shape[1]), _SAYS_NO) for side in others]
    if not any(learnt):
        return found
    columns, weighing = DictVectorizer(), TfidfTransformer()
    x_EV = weighing.fit_transform(columns.fit_transform(learnt))
    sides = [weighing.transform(columns.transform(side)) if len(side) else None for side in others]
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
    return Spoken(knowledge.ids, knowledge.log_posteriors(documents), KNOWLEDGE_NAMING)
