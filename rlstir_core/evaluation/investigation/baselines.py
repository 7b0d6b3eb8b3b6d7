"""What stands beside the encoder in the same table: base rates, words, and the public technique texts alone.

All are fitted on the train side; the rules by which they name techniques are chosen on the fold that chose the encoder,
by models that did not see it. What does not belong here: figures.
"""

# E episodes, V words, K techniques
from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.predictions import Spoken
from rlstir_core.evaluation.investigation.technique_baselines import KNOWLEDGE, SVM, knowledge_spoken, svm_scores
from rlstir_core.investigator.pretraining.taught import Taught, base_log_odds
from rlstir_core.investigator.reading.rows import episode_texts
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.decide import choose_naming
from rlstir_core.investigator.techniques.kept import KeptDocuments
from rlstir_core.investigator.techniques.knowledge import Knowledge
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.wording import words
from rlstir_core.progress import Tell

MAJORITY, BAG = "majority", "bag-of-words"
_TEXTS = 2_048  # of an episode: more than the encoder reads of a file
_STRENGTH = 10.0  # of the fit against its regularisation
_PASSES = 500


@dataclass(frozen=True, kw_only=True)
class BesideEncoder:
    """What baselines say of the test side."""

    techniques: dict[str, Spoken]
    risk: dict[str, Floats]


@dataclass(frozen=True, kw_only=True)
class TrainAndTest:
    """The train side, which of it the fold that chooses is, and the test side."""

    train: Sequence[EpisodeInfo]
    taught: Taught  # of the train side
    chosen: NDArray[np.bool_]
    test: Sequence[EpisodeInfo]
    train_documents: KeptDocuments
    test_documents: KeptDocuments  # over the same words


def beside_encoder(
    study: InvestigatorStudy,
    sides: TrainAndTest,
    knowledge: Knowledge | None,
    tell: Tell,
) -> BesideEncoder:
    """Everything that stands beside the encoder."""
    y_EK, chosen = sides.taught.technique_EK, sides.chosen
    said = BesideEncoder(techniques={}, risk={})

    def name(model: str, of_chosen_EK: Floats, test_EK: Floats) -> None:
        said.techniques[model] = Spoken(LABELS, test_EK, choose_naming(of_chosen_EK, y_EK[chosen]))

    base = [
        np.repeat(expit(base_log_odds(y_EK[of]))[None], n, axis=0)
        for of, n in (
            (~chosen, int(chosen.sum())),
            (np.ones(len(chosen), np.bool_), len(sides.test)),
        )
    ]
    name(MAJORITY, base[0], base[1])
    if sides.taught.rows_E.any():
        said.risk[MAJORITY] = np.full(len(sides.test), float(sides.taught.attack_E[sides.taught.rows_E].mean()))
    tell("words: reading both sides")
    bag = _Bag(_texts(study, sides.train, study.train_hosts), _texts(study, sides.test, study.split.hosts), chosen)
    if bag.has_words:
        name(BAG, *bag.techniques(y_EK))
        risk_E = bag.risk(sides.taught)
        if risk_E is not None:
            said.risk[BAG] = risk_E
    del bag  # its counts take as much room as those of the documents
    train_EV, test_EV = sides.train_documents.counts_EV, sides.test_documents.counts_EV
    name(
        SVM,
        svm_scores(train_EV[~chosen], y_EK[~chosen], [train_EV[chosen]])[0],
        svm_scores(train_EV, y_EK, [test_EV])[0],
    )
    if knowledge is not None:
        said.techniques[KNOWLEDGE] = knowledge_spoken(knowledge, sides.test_documents)
    return said


class _Bag:
    """TF-IDF of words and logistic regressions, fitted twice: without the fold that chooses, and on all."""

    def __init__(self, train: Iterable[str], test: Iterable[str], chosen: NDArray[np.bool_]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self.chosen, self.has_words = chosen, True
        counting = CountVectorizer(analyzer=words, dtype=np.float32)
        try:
            train_EV = counting.fit_transform(train)  # read once, an episode at a time
        except ValueError:  # no word at all
            self.has_words = False
            return
        test_EV = counting.transform(test)
        seen_V = np.flatnonzero(train_EV[~chosen].getnnz(axis=0))
        self.without = _weighed(train_EV[~chosen][:, seen_V], train_EV[chosen][:, seen_V])
        self.whole = _weighed(train_EV, test_EV)

    def techniques(self, y_EK: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Probabilities of the fold that chooses, and of the test side. (E, K) each"""
        found = []
        for (x_EV, other), of in ((self.without, ~self.chosen), (self.whole, np.ones(len(self.chosen), np.bool_))):
            n = 0 if other is None else other.shape[0]
            columns = [_linear(x_EV, y_EK[of, k], other) for k in range(y_EK.shape[1])]
            found.append(np.stack(columns, axis=1) if n else np.zeros((0, y_EK.shape[1])))
        return found[0], found[1]

    def risk(self, taught: Taught) -> Floats | None:
        """Probabilities of an attack, by the episodes of which somebody says what they are."""
        asked = np.flatnonzero(taught.rows_E)
        y_E = taught.attack_E[asked]
        if self.whole[1] is None or not len(asked) or y_E.all() or not y_E.any():
            return None
        return _linear(self.whole[0][asked], y_E, self.whole[1])


def _weighed(learnt_EV: Any, other_EV: Any) -> tuple[Any, Any]:
    """TF-IDF by the first of two sides; None for the other where it is empty."""
    from sklearn.feature_extraction.text import TfidfTransformer

    weighing = TfidfTransformer(sublinear_tf=True)
    return weighing.fit_transform(learnt_EV), weighing.transform(other_EV) if other_EV.shape[0] else None


def _linear(x_EV: Any, y_E: NDArray[np.bool_], other: Any) -> Floats:
    """Probabilities on the other side; the base rate where all say the same."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if other is None:
        return np.zeros(0)
    if y_E.all() or not y_E.any():
        return np.full(other.shape[0], float(y_E.mean()))
    model = LogisticRegression(C=_STRENGTH, max_iter=_PASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is as good
        model.fit(x_EV, y_E)
    return np.asarray(model.predict_proba(other)[:, 1])


def _texts(study: InvestigatorStudy, episodes: Sequence[EpisodeInfo], hosts: Sequence[str]) -> Iterator[str]:
    for info in episodes:
        yield "\n".join(episode_texts(study.layout, info, _TEXTS, hosts))
