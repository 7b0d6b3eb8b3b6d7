"""The knowledge model: public technique texts, none of them a log, to what a log's words tell of every technique.

ComplementNB (Rennie et al. 2003) over TF-IDF words, and the one text that is most alike. It can say techniques that no
log was ever labelled with; logs that are labelled may join the texts as further documents. What does not belong here:
importing the texts (`importers/knowledge.py`), the words of a log (`documents.py`), when one is named (`decide.py`).
"""

# E documents, V words, C techniques that texts speak of, K techniques of the label space
from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.errors import UpstreamMissing
from rlstir_core.hostlogs.attack.techniques import in_space
from rlstir_core.investigator.techniques.decide import KNOWLEDGE_NAMING, Naming, margins
from rlstir_core.investigator.techniques.documents import Document, text_document
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.wording import event_words, said_key
from rlstir_core.remedies import command
from rlstir_core.results.layout import Layout

NO_KNOWLEDGE = "public technique texts (rlstir import knowledge brings them)"
Labelled = Iterable[tuple[Document, Sequence[str]]]  # a log's document and the techniques that it carries
# Chosen on corpora and on sources of texts that nothing was trained on, see docs/investigator.md.
_ALPHA = 0.3
_TO_PARENT = 0.2  # weight of a sub-technique's texts for its parent
_OF_LOG = 0.5  # weight of a labelled log beside texts of its technique
_SHARPNESS = 0.45  # of the posteriors: standardised scores are not yet probabilities
_BLOCK = 4_096
_FLOOR = 1e-9


class Ranked(NamedTuple):
    """What is said of one document, over every technique that texts speak of."""

    techniques: tuple[str, ...]  # the likeliest first
    log_p: tuple[float, ...]
    margin: float  # of the first over the second
    named: frozenset[str]

    @property
    def abstained(self) -> bool:
        return not self.named


class SpeakingRow(NamedTuple):
    """What one row says of a technique."""

    place: int  # of the row among those that were asked
    score: float
    words: tuple[str, ...]  # that weigh most


@dataclass(frozen=True, eq=False)
class Knowledge:
    """A fitted model."""

    ids: tuple[str, ...]  # C
    place: dict[str, int]  # of a word
    idf_V: NDArray[np.float32]
    weight_VC: NDArray[np.float32]  # what a word says of each technique, beside what it says of all
    text_DV: Any  # the documents themselves, sparse
    of_text: NDArray[np.int64]  # (P, 2): document and technique of every pair; of logs, where no text speaks of it
    share_P: NDArray[np.float32]  # how far a document counts for the technique

    def log_posteriors(self, documents: Iterable[Document]) -> Floats:
        """(E, C): log-probabilities of the techniques, one of which a document is taken to carry."""
        x_EV = self._vectors(documents)
        score_EC = _standard(np.asarray(x_EV @ self.weight_VC, np.float64)) + _standard(self._nearest(x_EV))
        score_EC = _SHARPNESS * _standard(score_EC)
        score_EC -= score_EC.max(axis=1, keepdims=True)
        found: Floats = score_EC - np.log(np.exp(score_EC).sum(axis=1, keepdims=True))
        return found

    def _nearest(self, x_EV: Any) -> Floats:
        """(E, C): the cosine of the most similar text of every technique."""
        of_P, share_P, start_C = self._by_technique
        found = np.zeros((x_EV.shape[0], len(self.ids)))
        for e in range(len(found)):
            cosine_D = np.asarray(self.text_DV @ x_EV[e].toarray()[0], np.float32)
            found[e] = np.maximum(np.maximum.reduceat(cosine_D[of_P] * share_P, start_C), 0.0)
        return found

    @cached_property
    def _by_technique(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """The document and the share of every pair, technique after technique, and where each begins."""
        order_P = np.argsort(self.of_text[:, 1], kind="stable")
        start_C = np.searchsorted(self.of_text[order_P, 1], np.arange(len(self.ids)))
        return self.of_text[order_P, 0], self.share_P[order_P], start_C

    def prior(self, documents: Iterable[Document]) -> Floats:
        """(E, K): by how much a document raises the log-probability of every technique of the label space.

        0 where it says nothing. A technique has what its sub-techniques outside the space have as well; one that no
        text speaks of has what the least likely one has.
        """
        p_EC = np.exp(self.log_posteriors(documents))
        found = np.full((len(p_EC), len(LABELS)), np.nan)
        for k, label in enumerate(LABELS):
            columns = [c for c, own in enumerate(self.ids) if in_space(own) == label]
            if columns:
                found[:, k] = np.log(np.maximum(p_EC[:, columns].sum(axis=1), _FLOOR) * len(self.ids) / len(columns))
        least_E1 = np.nanmin(found, axis=1, keepdims=True) if len(found) and not np.isnan(found).all() else 0.0
        return np.where(np.isnan(found), least_E1, found)

    def ranked(self, documents: Iterable[Document], naming: Naming = KNOWLEDGE_NAMING, most: int = 10) -> list[Ranked]:
        """Of each document the first techniques of all, and those that are named."""
        return self.ranked_by(self.log_posteriors(documents), naming, most)

    def ranked_by(self, said_EC: Floats, naming: Naming = KNOWLEDGE_NAMING, most: int = 10) -> list[Ranked]:
        """The same of log-posteriors."""
        named_EC, margin_E = naming.named(said_EC), margins(said_EC)
        found = []
        for said_C, named_C, margin in zip(said_EC, named_EC, margin_E, strict=True):
            order = np.argsort(-said_C, kind="stable")[:most]
            found.append(
                Ranked(
                    techniques=tuple(self.ids[c] for c in order),
                    log_p=tuple(float(said_C[c]) for c in order),
                    margin=float(margin),
                    named=frozenset(self.ids[c] for c in np.flatnonzero(named_C)),
                )
            )
        return found

    def scores(self, texts: Iterable[str]) -> Floats:
        """`prior` of plain texts."""
        return self.prior([text_document(text) for text in texts])

    def loudness(self, rows: Sequence[Document], techniques: Sequence[str]) -> Floats:
        """How loudly each row speaks for each of these techniques, all of which texts speak of. (rows, techniques)"""
        x_RV = _counts(map(_expanded, rows), self.place)
        x_RV.data *= self.idf_V[x_RV.indices]
        return np.asarray(x_RV @ self.weight_VC[:, [self.ids.index(each) for each in techniques]], np.float64)

    def speaks_for(
        self, rows: Sequence[Document], technique: str, most: int = 3, telling: int = 5
    ) -> list[SpeakingRow]:
        """The rows that speak loudest for a technique, each with the words that weigh most; none where none does.

        Of rows that say the same the first.
        """
        if technique not in self.ids:
            return []
        weight_V = self.weight_VC[:, self.ids.index(technique)]
        found: dict[tuple[float, tuple[str, ...]], SpeakingRow] = {}
        for place, row in enumerate(rows):
            weighed = {
                word: much * float(self.idf_V[v] * weight_V[v])
                for word, much in _expanded(row).items()
                if (v := self.place.get(word)) is not None
            }
            best = sorted((word for word in weighed if weighed[word] > 0), key=lambda word: (-weighed[word], word))
            if best and (score := sum(weighed.values())) > 0:
                said = SpeakingRow(place, score, tuple(best[:telling]))
                found.setdefault((round(score, 6), said.words), said)
        return sorted(found.values(), key=lambda said: (-said.score, said.place))[:most]

    def _vectors(self, documents: Iterable[Document]) -> Any:
        return _normal(_counts(map(_expanded, documents), self.place), self.idf_V)


def fit_knowledge(layout: Layout, labelled: Labelled = ()) -> Knowledge | None:
    """The model of the imported texts, and of labelled logs beside them; None where no text was imported.

    UpstreamMissing where their table is damaged. An encoder's prior is made of texts alone: what a model says of logs
    that it was made of is no guess.
    """
    texts = read_texts(layout)
    return None if texts is None else fitted(*texts, labelled)


def read_texts(layout: Layout) -> tuple[list[Document], list[Sequence[str]]] | None:
    """The imported texts as documents, and the techniques that each speaks of; None where there are none."""
    if not layout.knowledge.exists():
        return None
    documents: list[Document] = []
    carried: list[Sequence[str]] = []
    try:
        with pq.ParquetFile(layout.knowledge) as file:
            for batch in file.iter_batches(_BLOCK, columns=["text", "techniques", "events"], use_threads=False):
                for row in batch.to_pylist():
                    documents.append(text_document(row["text"], map(said_key, row["events"])))
                    carried.append(row["techniques"])
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise UpstreamMissing(
            f"{layout.knowledge} cannot be read ({str(error).splitlines()[0][:120]}); import the texts again with: "
            f"{command('import', 'knowledge', 'PATH')}"
        ) from None
    return documents, carried


def fitted(
    documents: Sequence[Document], carried: Sequence[Sequence[str]], labelled: Labelled = ()
) -> Knowledge | None:
    """The model of these documents, with their words alone; None where they speak of fewer than two techniques."""
    from scipy.sparse import csr_matrix, vstack
    from sklearn.naive_bayes import ComplementNB

    vocabulary = sorted({word for document in documents for word in document})
    place = {word: v for v, word in enumerate(vocabulary)}
    counts_EV = _counts(documents, place)
    of_logs: list[Sequence[str]] = []

    def logs() -> Iterator[Document]:
        for document, own in labelled:
            of_logs.append(own)
            yield _expanded(document)

    joined_EV = _counts(logs(), place)
    n_V = np.bincount(counts_EV.indices, minlength=len(place))
    idf_V = (np.log((1 + len(documents)) / (1 + n_V)) + 1).astype(np.float32)
    x_EV = _normal(vstack([counts_EV, joined_EV], format="csr"), idf_V)
    pairs = [  # a document counts for each of its techniques, and a little for their parents
        (e, technique, weight)
        for e, own in enumerate([*carried, *of_logs])
        for each in own
        for technique, weight in ((each, 1.0), (each.partition(".")[0], _TO_PARENT if "." in each else 0.0))
        if weight
    ]
    spoken = {technique for e, technique, _ in pairs if e < len(documents)}
    ids = sorted({technique for _, technique, _ in pairs})
    if len(ids) < 2 or not place:
        return None
    column = {technique: c for c, technique in enumerate(ids)}
    of_document = np.array([(e, column[technique]) for e, technique, _ in pairs], np.int64)
    share_P = np.array([weight for *_, weight in pairs])
    # where texts speak of a technique, the log that is most alike tells the lab, and logs count little beside them
    of_log_P = np.array([e >= len(documents) and technique in spoken for e, technique, _ in pairs])
    share_P[of_log_P] *= _OF_LOG
    of_class_CE = csr_matrix((share_P, (of_document[:, 1], of_document[:, 0])), shape=(len(ids), x_EV.shape[0]))
    # its counts are sums over the documents of a class, so that the sums give the same model as the documents
    model = ComplementNB(alpha=_ALPHA, norm=True).fit(of_class_CE @ x_EV, ids)
    weight_CV = model.feature_log_prob_
    weight_VC = np.ascontiguousarray((weight_CV - weight_CV.mean(axis=0)).T * len(place), np.float32)
    return Knowledge(
        ids=tuple(ids),
        place=place,
        idf_V=idf_V,
        weight_VC=weight_VC,
        text_DV=x_EV,
        of_text=of_document[~of_log_P],
        share_P=np.sqrt(share_P[~of_log_P]).astype(np.float32),
    )


def _standard(score_EC: Floats) -> Floats:
    """Each document's scores over the techniques, with mean 0 and deviation 1: only their differences say something."""
    score_EC = score_EC - score_EC.mean(axis=1, keepdims=True)
    spread_E1 = score_EC.std(axis=1, keepdims=True)
    return np.asarray(score_EC / np.where(spread_E1 > 0, spread_E1, 1.0))


def _expanded(document: Document) -> Document:
    """The document with what its events say in words."""
    found = dict(document)
    for key in [word for word in document if word.startswith("@")]:
        for word in event_words().get(key, ()):
            found[word] = found.get(word, 0.0) + document[key]
    return found


def _counts(documents: Iterable[Document], place: dict[str, int]) -> Any:
    """(E, V) sparse, words outside the vocabulary left out."""
    from scipy.sparse import csr_matrix

    data, columns, ends = array("f"), array("i"), array("q", [0])
    for document in documents:
        for word, said in document.items():
            if (v := place.get(word)) is not None:
                columns.append(v)
                data.append(said)
        ends.append(len(columns))
    return csr_matrix(
        (np.frombuffer(data, np.float32), np.frombuffer(columns, np.int32), np.frombuffer(ends, np.int64)),
        shape=(len(ends) - 1, len(place)),
    )


def _normal(counts_EV: Any, idf_V: NDArray[np.float32]) -> Any:
    """TF-IDF rows of length one."""
    from sklearn.preprocessing import normalize

    counts_EV = counts_EV.copy()
    counts_EV.data *= idf_V[counts_EV.indices]
    return normalize(counts_EV, copy=False) if counts_EV.shape[0] else counts_EV
